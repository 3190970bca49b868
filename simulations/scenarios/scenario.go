package scenarios

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/simulations/sim"
)

// Result is the verdict over one seed.
type Result struct {
	Scenario   string
	Seed       uint64
	Hash       uint64
	Steps      uint64
	Virtual    time.Duration
	Violations []string
	Acked      int64 // batches
	Read       int64 // records of the final read
	Lives      int
	// Seen counts what happened: answers by API and error, faults by class, rare paths of the node.
	Seen map[string]int
	// Drawn describes the plan.
	Drawn string
}

// Scenario is something a seed can run.
type Scenario struct {
	Name string
	// Doc says what it provokes and which promise or bug report it guards.
	Doc string
	Run func(seed uint64, trace io.Writer) *Result
}

// All are the scenarios, the general ones first.
func All() []Scenario {
	out := []Scenario{
		{"swarm", "one node, clients and faults as the seed draws them", Swarm},
		{"transactions", "the swarm with transactional producers: nothing aborted is shown, nothing torn, nothing hangs (D1-D8, G1-G5)", Transactions},
		{"groups", "the swarm with clients of coordinators: one owner, no stale commit, offsets stay, copies are made once (D3, D7, D12, E1-E8, J1)", Groups},
		{"compaction", "the swarm with compacted topics: the newest of every key stays, nothing deleted comes back, offsets stay (2.4-i, G7)", Compaction},
		{"storage", "one log under every kind of crash (D-RECOVER)", overWorld("storage", StorageLog)},
		{"raft", "the metadata log of a single voter under every kind of crash (I1, I6)", overWorld("raft", RaftLog)},
	}
	for _, d := range directed {
		out = append(out, Scenario{d.name, d.doc, d.run})
	}
	return out
}

// Named finds a scenario.
func Named(name string) (Scenario, error) {
	all := All()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		return Scenario{}, fmt.Errorf("no scenario %q; there are %v", name, names)
	}
	return all[i], nil
}

func overWorld(name string, run func(uint64, io.Writer) *sim.World) func(uint64, io.Writer) *Result {
	return func(seed uint64, trace io.Writer) *Result {
		w := run(seed, trace)
		return &Result{
			Scenario: name, Seed: seed, Hash: w.Trace.Hash(), Steps: w.Steps(), Virtual: w.Now(), Violations: slices.Clone(w.Failures()), Seen: map[string]int{},
		}
	}
}
