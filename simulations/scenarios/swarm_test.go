package scenarios

import (
	"io"
	"os"
	"testing"
)

func TestSwarm(t *testing.T) {
	each(t, "swarm", 20)
}

func TestTransactions(t *testing.T) {
	each(t, "transactions", 10)
}

func TestGroups(t *testing.T) {
	each(t, "groups", 15)
}

func TestCompaction(t *testing.T) {
	each(t, "compaction", 10)
}

func TestDirectedScenarios(t *testing.T) {
	for _, d := range directed {
		t.Run(d.name, func(t *testing.T) { each(t, d.name, 2) })
	}
}

// each runs a scenario for seeds 1 to n, or what the flags ask for.
func each(t *testing.T, name string, n uint64) {
	t.Helper()
	s, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	first := uint64(1)
	var trace io.Writer
	if *seedsFlag != 0 {
		n = *seedsFlag
	}
	if *seedFlag != 0 {
		first, n, trace = *seedFlag, 1, os.Stdout
	}
	for seed := first; seed < first+n; seed++ {
		r := s.Run(seed, trace)
		for _, v := range r.Violations {
			t.Errorf("%s seed %d: %s", name, seed, v)
		}
	}
}
