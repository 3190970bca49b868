package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// idleCheck is how often a broker looks whether it is idle. Allocating less than idleBytes in that time is idleness: timers and
	// a scrape of the metrics stay below it.
	idleCheck = 15 * time.Second
	idleBytes = 2 << 20
)

// spareProcessor lets Go run on one thread more than there are cores, unless GOMAXPROCS says what is wanted: a thread that waits for the
// disk counts as running until the scheduler notices, and on few cores the others would wait with it. With 16 producers of transactions
// on two cores that is worth 10 % of throughput.
var spareProcessor = sync.OnceFunc(func() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
})

// trimWhenIdle gives memory back to the system when a busy time is over, until ctx ends. While it is busy a broker allocates so little
// that Go's collector hardly runs (five times for 530 MB produced), so GOGC and GOMEMLIMIT stay at Go's defaults, to be set by
// whoever wants; but then it does not run after the load either, and pooled buffers would stay for minutes.
func trimWhenIdle(ctx context.Context) {
	tick := time.NewTicker(idleCheck)
	defer tick.Stop()
	last, trimmed := allocated(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := allocated()
		idle := now-last < idleBytes
		if idle && !trimmed {
			debug.FreeOSMemory() // what pools hold survives one collection,
			debug.FreeOSMemory() // not two
			now = allocated()
		}
		last, trimmed = now, idle
	}
}

// allocated is the number of bytes allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
