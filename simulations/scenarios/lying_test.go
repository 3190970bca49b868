package scenarios

import (
	"io"
	"testing"

	"github.com/troupe-broker/troupe/simulations/sim"
)

// TestLyingDiskIsNoticed guards the scenarios themselves: on a disk that syncs nothing the promises cannot hold, so a scenario that sees
// nothing wrong there sees nothing at all.
func TestLyingDiskIsNoticed(t *testing.T) {
	lie := func(d *sim.Disk) { d.Lies = true }
	for name, run := range map[string]func(uint64, io.Writer, func(*sim.Disk)) *sim.World{"storage": storageLog, "raft": raftLog} {
		noticed := 0
		for seed := range uint64(60) {
			if len(run(seed, nil, lie).Failures()) > 0 {
				noticed++
			}
		}
		if noticed < 20 {
			t.Errorf("%s: noticed in %d of 60 seeds", name, noticed)
		}
	}
}
