package api

import (
	"sync/atomic"
	"time"
)

// rarelyEvery is the time between two lines about the same thing that clients do again and again.
const rarelyEvery = time.Minute

// rarely lets one line through every rarelyEvery, on any thread. The zero value lets the next one through.
type rarely struct {
	next  atomic.Int64 // monotonic, nanoseconds
	times atomic.Int64 // since the last line
}

// due counts an occurrence at now and reports whether to say it, and how many there were since the last line, this one included.
func (r *rarely) due(now time.Duration) (times int64, ok bool) {
	times = r.times.Add(1)
	next := r.next.Load()
	if int64(now) < next || !r.next.CompareAndSwap(next, int64(now+rarelyEvery)) {
		return 0, false
	}
	r.times.Add(-times)
	return times, true
}
