package scenarios

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/mutation"
)

// Killed says how a planted bug was found.
type Killed struct {
	Seeds int    // runs until then, over all scenarios
	By    string // scenario, seed and the first violation; empty if it survived
}

// Kill plants m and runs scenarios, a few seeds of each in turn, until one sees a violation. At most seedsMax seeds of each scenario.
func Kill(m mutation.Mutation, seedsMax int) (k Killed) {
	mutation.Set(m)
	defer mutation.Set(mutation.None)
	all := All()
	for seed := uint64(1); seed <= uint64(seedsMax); seed++ {
		for _, s := range all {
			k.Seeds++
			if r := s.Run(seed, nil); len(r.Violations) > 0 {
				k.By = fmt.Sprintf("%s seed %d: %s", s.Name, seed, firstLine(r.Violations[0]))
				return k
			}
		}
	}
	return k
}

func firstLine(s string) string {
	for i, c := range s {
		if c == '\n' || i > 160 {
			return s[:i]
		}
	}
	return s
}
