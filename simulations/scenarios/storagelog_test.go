package scenarios

import (
	"flag"
	"io"
	"os"
	"testing"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this one seed, with its trace")
	seedsFlag = flag.Uint64("seeds", 0, "run so many seeds")
)

func traceOf(seed uint64) io.Writer {
	if *seedFlag == seed && seed != 0 {
		return os.Stdout
	}
	return nil
}

func TestStorageLogSurvivesEveryCrash(t *testing.T) {
	first, n := uint64(1), uint64(500)
	if *seedFlag != 0 {
		first, n = *seedFlag, 1
	}
	if *seedsFlag != 0 {
		n = *seedsFlag
	}
	failed := 0
	for seed := first; seed < first+n; seed++ {
		w := StorageLog(seed, traceOf(seed))
		for _, f := range w.Failures() {
			t.Errorf("seed %d: %s", seed, f)
		}
		if len(w.Failures()) > 0 {
			failed++
		}
		if failed > 10 {
			t.Fatal("enough")
		}
	}
}
