package replica

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// AwaitsMax bounds the readers parked in one partition. At the bound a reader is told to look again at once.
const AwaitsMax = 10_000

// Await is a reader that waits until there is something at or after Offset.
type Await struct {
	ReplyTo   actors.PID
	ID        uint64
	Offset    int64
	Committed bool // waits for the last stable offset, else for the high watermark
	Deadline  time.Duration
}

// Awaits are the parked readers of one partition, in the order they came. The zero value is ready.
type Awaits struct {
	waiting []Await
}

// Park keeps a reader until Wake or WakeAll hands it over. False at AwaitsMax.
func (w *Awaits) Park(a Await) bool {
	if len(w.waiting) >= AwaitsMax {
		return false
	}
	w.waiting = append(w.waiting, a)
	return true
}

// Forget drops a reader that has gone away; unknown ones are ignored.
func (w *Awaits) Forget(replyTo actors.PID, id uint64) {
	for i, a := range w.waiting {
		if a.ID == id && a.ReplyTo.Equal(replyTo) {
			w.keep(append(w.waiting[:i], w.waiting[i+1:]...))
			return
		}
	}
}

// Wake hands over the readers that find something below the bounds or are past their deadline. yield must not call back.
func (w *Awaits) Wake(highWatermark, lastStable int64, now time.Duration, yield func(Await)) {
	kept := w.waiting[:0]
	for _, a := range w.waiting {
		bound := highWatermark
		if a.Committed {
			bound = lastStable
		}
		if a.Offset < bound || a.Deadline <= now {
			yield(a)
		} else {
			kept = append(kept, a)
		}
	}
	w.keep(kept)
}

// WakeAll hands over every reader: the view changed in a way that all must look at.
func (w *Awaits) WakeAll(yield func(Await)) {
	waiting := w.waiting
	w.waiting = nil
	for _, a := range waiting {
		yield(a)
	}
}

// keep replaces the list, which lies in the same array, and lets a grown array go when it is empty.
func (w *Awaits) keep(kept []Await) {
	clear(w.waiting[len(kept):])
	if w.waiting = kept; len(kept) == 0 && cap(kept) > awaitsKept {
		w.waiting = nil
	}
}

const awaitsKept = 64 // readers of capacity that an empty list keeps

// Len is the number of parked readers.
func (w *Awaits) Len() int { return len(w.waiting) }

// NextDeadline is the earliest deadline; ok is false if nobody waits.
func (w *Awaits) NextDeadline() (at time.Duration, ok bool) {
	for _, a := range w.waiting {
		if !ok || a.Deadline < at {
			at, ok = a.Deadline, true
		}
	}
	return at, ok
}
