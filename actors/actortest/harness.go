// Package actortest runs one actor without a system: one message in, effects out.
//
// A Harness stands in the runtime's place. It delivers messages when the test says so, records what the actor does to the world as
// a list of effects in order, keeps a clock that stands still until it is advanced, and runs offloaded work on demand. It decides
// like the real runtime where the actor can tell: replies match requests, cancelled timers are silent, nothing comes after a stop.
// A panic of the actor is a panic of the test.
package actortest

import (
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// Effect is one thing the actor did: a Sent, Requested, Spawned, Stopped, Watched, Unwatched, TimerSet, TimerCancelled or Offloaded.
type Effect any

// The effects. PIDs compare by name under reflect.DeepEqual, which Expect uses.
type (
	Sent struct {
		To  actors.PID
		Msg any
	}
	Requested struct {
		ID      uint64
		To      actors.PID
		Timeout time.Duration
		Msg     any // with its head filled in
	}
	// Spawned names the child; its Spec is in Harness.Specs.
	Spawned   struct{ PID actors.PID }
	Stopped   struct{ PID actors.PID }
	Watched   struct{ PID actors.PID }
	Unwatched struct{ PID actors.PID }
	TimerSet  struct {
		ID    actors.TimerID
		After time.Duration
		Msg   any
	}
	TimerCancelled struct{ ID actors.TimerID }
	// Offloaded says work waits for RunOffload.
	Offloaded struct{}
)

// Harness holds one actor. The exported fields may be changed before the first delivery.
type Harness struct {
	// ActorSystem is what Context.System returns.
	ActorSystem *actors.System
	// Log is what Context.Logger returns; silent by default.
	Log *slog.Logger
	// Specs are the children that live, by PID.String: spawned, and no Terminated delivered.
	Specs map[string]actors.Spec

	t       testing.TB
	actor   actors.Actor
	context *actors.Context
	self    actors.PID
	wall    time.Time // at mono 0
	mono    time.Duration
	chance  uint64
	ids     uint64
	waits   []wait
	work    []func() any
	effects []Effect
	stopped bool
}

// wait is a timer or a request.
type wait struct {
	id  uint64
	due time.Duration
	msg any
}

// New makes a harness of an actor that has got no message yet, not even Started. Ids count from 1, the wall clock starts with the
// year 2020, the monotonic clock at one hour, and chance is the same in every run.
func New(t testing.TB, actor actors.Actor) *Harness {
	h := &Harness{
		Log: slog.New(slog.DiscardHandler), Specs: map[string]actors.Spec{},
		t: t, actor: actor, self: actors.NewPID("test", "self"),
		wall: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Hour), mono: time.Hour,
	}
	h.context = actors.NewContext((*recorder)(h))
	return h
}

// Self is the actor's PID.
func (h *Harness) Self() actors.PID { return h.self }

// Context is the actor's, for calling functions that take one.
func (h *Harness) Context() *actors.Context { return h.context }

// Mono is the virtual monotonic clock; Now the virtual wall clock.
func (h *Harness) Mono() time.Duration { return h.mono }

// Now is the virtual wall clock.
func (h *Harness) Now() time.Time { return h.wall.Add(h.mono) }

// Deliver gives the actor one message and returns what it did. A reply to nothing asked is dropped, as the runtime does.
func (h *Harness) Deliver(msg any) []Effect {
	h.t.Helper()
	if h.stopped {
		h.t.Fatalf("%T delivered to an actor that stopped", msg)
	}
	if r, ok := msg.(actors.Reply); ok && r.CorrelationID() != 0 && !h.forget(r.CorrelationID()) {
		return h.Effects()
	}
	if gone, ok := msg.(actors.Terminated); ok {
		delete(h.Specs, gone.Who.String()) // the name is free
	}
	h.actor.Receive(h.context, msg)
	if _, ok := msg.(actors.Stopping); ok {
		h.stopped = true
	}
	return h.Effects()
}

// Start delivers Started.
func (h *Harness) Start() []Effect {
	h.t.Helper()
	return h.Deliver(actors.Started{})
}

// EndTurn ends the turn of an actors.TurnEnder and returns what it did.
func (h *Harness) EndTurn() []Effect {
	h.t.Helper()
	e, ok := h.actor.(actors.TurnEnder)
	if !ok {
		h.t.Fatalf("%T is no TurnEnder", h.actor)
	}
	e.EndTurn(h.context)
	return h.Effects()
}

// Effects returns what was done since it was last asked. Every delivery ends with it.
func (h *Harness) Effects() []Effect {
	out := h.effects
	h.effects = nil
	return out
}

// Advance moves the clock by d. Timers and request timeouts that become due are delivered on the way, each at its own time.
func (h *Harness) Advance(d time.Duration) []Effect {
	h.t.Helper()
	end := h.mono + d
	var out []Effect
	for len(h.waits) > 0 && h.waits[0].due <= end {
		w := h.waits[0]
		h.waits = h.waits[1:]
		h.mono = max(h.mono, w.due)
		out = append(out, h.Deliver(w.msg)...)
	}
	h.mono = end
	return out
}

// Waiting is the number of timers and requests pending.
func (h *Harness) Waiting() int { return len(h.waits) }

// RunOffload runs the oldest offloaded work and delivers its result.
func (h *Harness) RunOffload() []Effect {
	h.t.Helper()
	if len(h.work) == 0 {
		h.t.Fatal("no work was offloaded")
	}
	work := h.work[0]
	h.work = h.work[1:]
	if result := work(); result != nil {
		return h.Deliver(result)
	}
	return nil
}

// Offloads is the number of offloaded works not yet run.
func (h *Harness) Offloads() int { return len(h.work) }

// Expect fails the test unless got are exactly the wanted effects, in order.
func Expect(t testing.TB, got []Effect, want ...Effect) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("effect %d: unexpected %#v", i, got[i])
		case i >= len(got):
			t.Errorf("effect %d: missing %#v", i, want[i])
		case !reflect.DeepEqual(got[i], want[i]):
			t.Errorf("effect %d:\n got %#v\nwant %#v", i, got[i], want[i])
		}
	}
}

// Messages picks what was sent or requested out of effects, in order.
func Messages(effects []Effect) []any {
	var out []any
	for _, e := range effects {
		switch e := e.(type) {
		case Sent:
			out = append(out, e.Msg)
		case Requested:
			out = append(out, e.Msg)
		}
	}
	return out
}

// Take returns the only message of type M that was sent or requested; it fails the test if there is none or more than one.
func Take[M any](t testing.TB, effects []Effect) M {
	t.Helper()
	var found []M
	for _, msg := range Messages(effects) {
		if m, ok := msg.(M); ok {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		var zero M
		t.Fatalf("%d messages of type %T among %#v", len(found), zero, effects)
	}
	return found[0]
}

// await keeps waits ordered by time, then id.
func (h *Harness) await(id uint64, d time.Duration, msg any) {
	w := wait{id, h.mono + max(0, d), msg}
	at, _ := slices.BinarySearchFunc(h.waits, w, func(a, b wait) int {
		if a.due <= b.due {
			return -1
		}
		return 1
	})
	h.waits = slices.Insert(h.waits, at, w)
}

func (h *Harness) forget(id uint64) bool {
	n := len(h.waits)
	h.waits = slices.DeleteFunc(h.waits, func(w wait) bool { return w.id == id })
	return len(h.waits) < n
}
