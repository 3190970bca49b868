//go:build mutate

package scenarios

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/mutation"
)

// TestMutationsAreKilled plants every known bug and expects the scenarios to see it soon. go test -tags "mutate invariants".
func TestMutationsAreKilled(t *testing.T) {
	for _, e := range mutation.Table {
		t.Run(e.Name, func(t *testing.T) {
			if k := Kill(e.Mutation, 25); k.By == "" {
				t.Errorf("survived %d runs: %s", k.Seeds, e.Bug)
			} else {
				t.Logf("after %d runs by %s", k.Seeds, k.By)
			}
		})
	}
}
