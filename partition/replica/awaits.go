package replica

import (
	"math"
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
//
// They are few, and most wait at the very end, so a list is walked when something may be due. That is known from three lower bounds,
// which only a walk raises: a turn that is of no use to anybody looks at nothing else.
type Awaits struct {
	waiting []Await
	// Lower bounds over waiting: of the offsets by what they wait for, and of the deadlines.
	offset, stable int64
	deadline       time.Duration
}

// Park keeps a reader until Wake or WakeAll hands it over. False at AwaitsMax.
func (w *Awaits) Park(a Await) bool {
	if len(w.waiting) >= AwaitsMax {
		return false
	}
	if len(w.waiting) == 0 {
		w.resetBounds()
	}
	w.waiting = append(w.waiting, a)
	w.lowerBounds(&a)
	return true
}

func (w *Awaits) resetBounds() {
	w.offset, w.stable, w.deadline = math.MaxInt64, math.MaxInt64, math.MaxInt64
}

func (w *Awaits) lowerBounds(a *Await) {
	if a.Committed {
		w.stable = min(w.stable, a.Offset)
	} else {
		w.offset = min(w.offset, a.Offset)
	}
	w.deadline = min(w.deadline, a.Deadline)
}

// Forget drops a reader that has gone away; unknown ones are ignored.
func (w *Awaits) Forget(replyTo actors.PID, id uint64) {
	for i := range w.waiting {
		if a := &w.waiting[i]; a.ID == id && a.ReplyTo.Equal(replyTo) {
			w.keep(append(w.waiting[:i], w.waiting[i+1:]...))
			return
		}
	}
}

// Wake hands over the readers that find something below the bounds or are past their deadline. yield must not call back.
func (w *Awaits) Wake(highWatermark, lastStable int64, now time.Duration, yield func(Await)) {
	if len(w.waiting) == 0 || highWatermark <= w.offset && lastStable <= w.stable && now < w.deadline {
		return
	}
	w.resetBounds()
	kept := w.waiting[:0]
	for i := range w.waiting {
		a := w.waiting[i]
		bound := highWatermark
		if a.Committed {
			bound = lastStable
		}
		if a.Offset < bound || a.Deadline <= now {
			yield(a)
		} else {
			kept = append(kept, a)
			w.lowerBounds(&a)
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

// NextDeadline is a lower bound of the deadlines; ok is false if nobody waits. Waking at it and finding nothing due raises it.
func (w *Awaits) NextDeadline() (at time.Duration, ok bool) {
	return w.deadline, len(w.waiting) > 0
}
