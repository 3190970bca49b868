package actors

import (
	"container/heap"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
)

// world is a dispatcher, a clock, chance and offloaded work on one thread: what is ready runs in an order drawn from a seed, time
// passes when the test says so or nothing is ready.
type world struct {
	rng    *rand.Rand
	now    time.Duration
	ready  []func()
	timers timers
	ids    int
}

type worldTimer struct {
	due     time.Duration
	id      int
	f       func()
	stopped bool
}

type timers []*worldTimer

func (h timers) Len() int { return len(h) }
func (h timers) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].id < h[j].id
}
func (h timers) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timers) Push(x any)   { *h = append(*h, x.(*worldTimer)) }
func (h *timers) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func newWorld(seed uint64) *world { return &world{rng: rand.New(rand.NewPCG(seed, 1))} }

func (w *world) env() env.Env { return env.Env{Clock: w, Rand: w.rng, Offload: (*offloads)(w)} }

func (w *world) Schedule(run func()) { w.ready = append(w.ready, run) }
func (w *world) Turn() int           { return 1 }
func (w *world) Now() time.Time      { return time.Unix(0, 0).Add(w.now) }
func (w *world) Mono() time.Duration { return w.now }
func (t *worldTimer) Stop() bool     { was := t.stopped; t.stopped = true; return !was }

func (w *world) AfterFunc(d time.Duration, f func()) env.Timer {
	w.ids++
	t := &worldTimer{due: w.now + d, id: w.ids, f: f}
	heap.Push(&w.timers, t)
	return t
}

type offloads world

func (o *offloads) Run(work func()) { (*world)(o).Schedule(work) }

// step runs one ready thing, or the next timer; false if there is neither.
func (w *world) step() bool {
	if n := len(w.ready); n > 0 {
		i := w.rng.IntN(n)
		run := w.ready[i]
		w.ready = append(w.ready[:i], w.ready[i+1:]...)
		run()
		return true
	}
	return w.fire(1 << 62)
}

// fire runs the next timer that is due by the given time.
func (w *world) fire(by time.Duration) bool {
	for len(w.timers) > 0 && w.timers[0].due <= by {
		t := heap.Pop(&w.timers).(*worldTimer)
		if !t.Stop() {
			continue
		}
		w.now = max(w.now, t.due)
		t.f()
		return true
	}
	return false
}

// settle runs until nothing is ready; no time passes.
func (w *world) settle() {
	for len(w.ready) > 0 {
		w.step()
	}
}

// advance lets time pass, and everything that happens meanwhile.
func (w *world) advance(d time.Duration) {
	end := w.now + d
	w.settle()
	for w.fire(end) {
		w.settle()
	}
	w.now = end
}

// stage is a system on a world, with a record of what happened.
type stage struct {
	*System
	*world
	t    *testing.T
	log  []string
	dead []any
	fail []Failure
}

func newStage(t *testing.T, config Config) *stage {
	s := &stage{world: newWorld(1), t: t}
	config.Env, config.Dispatcher = s.world.env(), s.world
	config.Logger = slog.New(slog.DiscardHandler)
	config.OnFailure = func(f Failure) { s.fail = append(s.fail, f) }
	config.OnDeadLetter = func(_ PID, msg any) { s.dead = append(s.dead, msg) }
	s.System = NewSystem(config)
	return s
}

func (s *stage) note(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

// expect compares the log, and forgets it.
func (s *stage) expect(want ...string) {
	s.t.Helper()
	got := s.log
	s.log = nil
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		s.t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// edge is an endpoint that notes what it gets.
func (s *stage) edge(name string) PID {
	return s.Edge(name, func(msg any) { s.note("%s<-%s", name, text(msg)) })
}

// spawn is an actor that notes its messages and then does what f says; f may be nil.
func (s *stage) actor(name string, f func(ctx *Context, msg any)) PID {
	s.t.Helper()
	return mustSpawn(s.t, s.System, s.spec(name, f))
}

func (s *stage) spec(name string, f func(ctx *Context, msg any)) Spec {
	return spec(name, func(ctx *Context, msg any) {
		s.note("%s:%s", name, text(msg))
		if f != nil {
			f(ctx, msg)
		}
	})
}

func text(msg any) string {
	switch m := msg.(type) {
	case Started:
		return "started"
	case Stopping:
		return "stopping"
	case Terminated:
		if m.Cause != nil {
			return fmt.Sprintf("terminated(%s, %v)", m.Who.ID(), m.Cause)
		}
		return fmt.Sprintf("terminated(%s)", m.Who.ID())
	case RequestTimedOut:
		return "timedout(" + m.To.ID() + ")"
	case *command:
		return m.text
	case reply:
		return m.text
	}
	return fmt.Sprint(msg)
}

// command is a Command that is Refusable and Sized.
type command struct {
	text string
	to   PID
	id   uint64
	size int
}

func (c *command) SetHead(to PID, id uint64) { c.to, c.id = to, id }
func (c *command) Size() int                 { return c.size }
func (c *command) Refused(why Refusal) (PID, any) {
	return c.to, reply{c.id, fmt.Sprintf("%s refused %d", c.text, why)}
}

type reply struct {
	id   uint64
	text string
}

func (r reply) CorrelationID() uint64 { return r.id }

// answer replies to a command.
func answer(ctx *Context, msg any) {
	if c, ok := msg.(*command); ok {
		ctx.Send(c.to, reply{c.id, c.text + " done"})
	}
}
