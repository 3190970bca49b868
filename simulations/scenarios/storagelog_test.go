package scenarios

import (
	"flag"
	"io"
	"os"
	"testing"

	"github.com/troupe-broker/troupe/simulations/sim"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this one seed, with its trace")
	seedsFlag = flag.Uint64("seeds", 0, "run so many seeds")
)

// eachSeed runs a world for seeds 1 to n, or what the flags ask for.
func eachSeed(t *testing.T, n uint64, run func(uint64, io.Writer) *sim.World) {
	t.Helper()
	first := uint64(1)
	var trace io.Writer
	if *seedsFlag != 0 {
		n = *seedsFlag
	}
	if *seedFlag != 0 {
		first, n, trace = *seedFlag, 1, os.Stdout
	}
	failed := 0
	for seed := first; seed < first+n && failed < 10; seed++ {
		w := run(seed, trace)
		for _, f := range w.Failures() {
			t.Errorf("seed %d: %s", seed, f)
		}
		if len(w.Failures()) > 0 {
			failed++
		}
	}
}

func TestStorageLogSurvivesEveryCrash(t *testing.T) {
	eachSeed(t, 500, StorageLog)
}
