package scenarios

import (
	"bytes"
	"testing"
)

// TestSameSeedSameHash runs seeds twice in one process, and once with the trace printed: nothing may differ. Fresh processes are
// compared by cmd/simulate --twice.
func TestSameSeedSameHash(t *testing.T) {
	for _, name := range []string{"swarm", "i2-crash-points", "storage", "raft"} {
		s, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		for seed := uint64(1); seed <= 4; seed++ {
			var text bytes.Buffer
			a, b, c := s.Run(seed, nil), s.Run(seed, nil), s.Run(seed, &text)
			if a.Hash != b.Hash || a.Steps != b.Steps {
				t.Errorf("%s seed %d: hash %x after %d steps, then %x after %d", name, seed, a.Hash, a.Steps, b.Hash, b.Steps)
			}
			if a.Hash != c.Hash || text.Len() == 0 {
				t.Errorf("%s seed %d: the trace changes the hash from %x to %x", name, seed, a.Hash, c.Hash)
			}
		}
	}
}
