package sim

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// World is one run.
type World struct {
	Seed  uint64
	Trace Trace

	now   time.Duration // since the beginning of the world
	queue heap
	order *Stream // breaks ties between events of one instant
	steps uint64
	hosts []*Host
	// failures are violations found while the world runs: panics of actors, broken step invariants.
	failures []string
	// Check, if set, runs after every step: the step invariants.
	Check func()
}

// NewWorld makes an empty world. trace, if not nil, gets a line for every event worth one.
func NewWorld(seed uint64, trace io.Writer) *World {
	w := &World{Seed: seed, order: NewStream(seed, "order")}
	w.Trace.out = trace
	w.Trace.now = func() string { return fmt.Sprintf("%12.6f", w.now.Seconds()) }
	w.Trace.mix(seed)
	return w
}

// Now is the time since the beginning of the world.
func (w *World) Now() time.Duration { return w.now }

// Steps counts the events carried out.
func (w *World) Steps() uint64 { return w.steps }

// Stream is the source of chance of that name.
func (w *World) Stream(name string) *Stream { return NewStream(w.Seed, name) }

// Fail notes a violation; the run goes on so that more can be seen, up to failuresMax.
func (w *World) Fail(format string, args ...any) {
	if len(w.failures) < failuresMax {
		text := fmt.Sprintf(format, args...)
		w.failures = append(w.failures, text)
		w.Trace.Printf("VIOLATION %s", text)
	}
}

const failuresMax = 20

// Failures are the violations so far.
func (w *World) Failures() []string { return w.failures }

// Event is something that will happen.
type Event struct {
	at    time.Duration
	tie   uint64
	run   func()
	index int // in the heap; -1 when it happened or was withdrawn
}

// After arranges that run happens d from now (at once if d is negative, but never before the current event has ended).
func (w *World) After(d time.Duration, run func()) *Event {
	e := &Event{at: w.now + max(d, 0), tie: w.order.Uint64(), run: run}
	w.queue.push(e)
	return e
}

// Cancel withdraws e and reports whether that prevented it.
func (w *World) Cancel(e *Event) bool {
	if e.index < 0 {
		return false
	}
	w.queue.remove(e)
	return true
}

// Step carries out the next event; false when there is none.
func (w *World) Step() bool {
	e := w.queue.pop()
	if e == nil {
		return false
	}
	w.now = e.at
	w.steps++
	w.Trace.mix(uint64(e.at))
	e.run()
	if w.Check != nil {
		w.Check()
	}
	return true
}

// RunFor steps until d has passed; what is due later stays.
func (w *World) RunFor(d time.Duration) {
	end := w.now + d
	for next := w.queue.peek(); next != nil && next.at <= end; next = w.queue.peek() {
		w.Step()
	}
	w.now = end
}

// RunUntil steps until done is true, at most for limit, and reports whether it became true.
func (w *World) RunUntil(limit time.Duration, done func() bool) bool {
	end := w.now + limit
	for !done() {
		next := w.queue.peek()
		if next == nil || next.at > end {
			w.now = end
			return done()
		}
		w.Step()
	}
	return true
}

func (w *World) String() string {
	return "seed " + strconv.FormatUint(w.Seed, 10) + " hash " + strconv.FormatUint(w.Trace.hash, 16)
}
