package sim

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
)

// toy is an actor that uses everything a World simulates: messages, timers, chance, work outside its turn, files.
type toy struct {
	fs    env.FS
	file  env.File
	peers []actors.PID
	done  int
	ends  int
	at    int64
}

type (
	ping  struct{ hops int }
	tick  struct{}
	wrote struct {
		n   int
		err error
	}
)

func (a *toy) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case actors.Started:
		ctx.After(time.Millisecond, tick{})
	case tick:
		ctx.After(time.Duration(ctx.Rand()%5)*time.Millisecond, tick{})
		ctx.Send(a.peers[ctx.Rand()%uint64(len(a.peers))], ping{10})
	case ping:
		a.done++
		if m.hops > 0 {
			ctx.Send(a.peers[ctx.Rand()%uint64(len(a.peers))], ping{m.hops - 1})
			return
		}
		text := fmt.Appendf(nil, "%d at %v\n", a.done, ctx.Now())
		at := a.at
		a.at += int64(len(text))
		ctx.Offload(func() any {
			n, err := a.file.WriteAt(text, at)
			if err == nil {
				err = a.file.Sync()
			}
			return wrote{n, err}
		})
	case wrote:
		a.done += m.n
	}
}

func (a *toy) EndTurn(*actors.Context) { a.ends++ }

// playToys runs toys for a virtual second and crashes in the middle.
func playToys(t *testing.T, seed uint64, trace *bytes.Buffer) *World {
	t.Helper()
	w := NewWorld(seed, nil)
	if trace != nil {
		w = NewWorld(seed, trace)
	}
	h := w.NewHost("n0")
	h.Timing.Stall, h.Timing.StallMean = 0.01, 10*time.Millisecond
	for range 2 {
		p := h.Boot()
		startToys(t, p)
		w.RunFor(time.Second)
		p.PowerLoss(DrawCrash(w.Stream("crash")))
		w.RunFor(time.Millisecond)
	}
	return w
}

func startToys(t *testing.T, p *Process) []*toy {
	t.Helper()
	f := root(t, p)
	sys := actors.NewSystem(actors.Config{Env: p.Env(), Dispatcher: p.Dispatcher(), OnFailure: p.OnFailure, Trace: p.OnDeliver})
	var toys []*toy
	var pids []actors.PID
	for i := range 5 {
		name := fmt.Sprint("toy", i, "-", p.Life)
		file, err := f.Create(name)
		must(t, err)
		a := &toy{fs: f, file: file}
		pid, err := sys.Spawn(actors.Spec{Name: name, New: func() actors.Actor { return a }})
		must(t, err)
		toys, pids = append(toys, a), append(pids, pid)
	}
	for _, a := range toys {
		a.peers = pids
	}
	return toys
}

func TestSameSeedSameHash(t *testing.T) {
	hashes := map[uint64]uint64{}
	for seed := range uint64(20) {
		a, b := playToys(t, seed, nil), playToys(t, seed, nil)
		if a.Trace.Hash() != b.Trace.Hash() || a.Steps() != b.Steps() {
			t.Errorf("%v and %v differ, %d and %d steps", a, b, a.Steps(), b.Steps())
		}
		if len(a.Failures()) > 0 {
			t.Error(a.Failures())
		}
		if other, seen := hashes[a.Trace.Hash()]; seen {
			t.Errorf("seeds %d and %d have one hash", seed, other)
		}
		hashes[a.Trace.Hash()] = seed
	}
}

func TestLookingChangesNothing(t *testing.T) {
	var text bytes.Buffer
	if a, b := playToys(t, 3, nil), playToys(t, 3, &text); a.Trace.Hash() != b.Trace.Hash() {
		t.Errorf("%v and %v differ", a, b)
	}
	if text.Len() == 0 {
		t.Error("no trace")
	}
}

func TestPanicOfAnActorIsAViolation(t *testing.T) {
	w := NewWorld(1, nil)
	p := w.NewHost("n0").Boot()
	toys := startToys(t, p)
	toys[2].peers = nil
	w.RunFor(100 * time.Millisecond)
	if len(w.Failures()) == 0 {
		t.Error("a panic went unnoticed")
	}
}

func TestPausedProcessCatchesUpInOrder(t *testing.T) {
	w := NewWorld(1, nil)
	p := w.NewHost("n0").Boot()
	var got []int
	for i := range 5 {
		p.After(time.Duration(i)*time.Millisecond, func() { got = append(got, i) })
	}
	p.Pause()
	w.RunFor(time.Second)
	if len(got) > 0 {
		t.Fatalf("a paused process ran %v", got)
	}
	p.Resume()
	w.RunFor(time.Second)
	if !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
		t.Errorf("got %v", got)
	}
}

func TestClocks(t *testing.T) {
	w := NewWorld(1, nil)
	h := w.NewHost("n0")
	h.SetDrift(0.01)
	c := h.Boot().Env().Clock
	mono, wall := c.Mono(), c.Now()
	fired := false
	timer := c.AfterFunc(time.Second, func() { fired = true })
	stopped := c.AfterFunc(time.Second, func() { t.Error("a stopped timer fired") })
	if !stopped.Stop() || stopped.Stop() {
		t.Error("Stop does not tell the truth")
	}
	w.RunFor(2 * time.Second)
	h.Skew = -time.Hour
	before := c.Mono()
	h.SetDrift(-0.01)
	if c.Mono() < before {
		t.Error("a new drift moved the clock back")
	}
	if !fired || timer.Stop() {
		t.Error("the timer did not fire")
	}
	if d := c.Mono() - mono; d < 2010*time.Millisecond || d > 2030*time.Millisecond {
		t.Errorf("mono moved by %v", d)
	}
	if d := c.Now().Sub(wall); d > -50*time.Minute {
		t.Errorf("the wall clock did not jump: %v", d)
	}
}

// echo is a server that answers every frame with itself.
type echo struct {
	conn   *Conn
	closed bool
}

func (e *echo) Received(frame []byte) { e.conn.Reply(frame) }
func (e *echo) Closed()               { e.closed = true }

type caller struct {
	got    []byte
	closed bool
}

func (c *caller) Received(frame []byte) { c.got = append(c.got, frame...) }
func (c *caller) Closed()               { c.closed = true }

func TestConnectionKeepsOrderOrBreaks(t *testing.T) {
	broken := 0
	for seed := range uint64(100) {
		w := NewWorld(seed, nil)
		h := w.NewHost("n0")
		h.Boot()
		n := w.NewNetwork()
		n.Reset = 0.01
		client := &caller{}
		var server *echo
		c := n.Dial(h, client, func(c *Conn) Server { server = &echo{conn: c}; return server })
		for i := range 50 {
			c.Send([]byte{byte(i)})
		}
		w.RunFor(time.Minute)
		for i, b := range client.got {
			if int(b) != i {
				t.Fatalf("seed %d: got %v", seed, client.got)
			}
		}
		if client.closed {
			broken++
			if !server.closed {
				t.Errorf("seed %d: only the client knows", seed)
			}
		} else if len(client.got) != 50 {
			t.Errorf("seed %d: %d frames came back on a whole connection", seed, len(client.got))
		}
	}
	if broken == 0 || broken == 100 {
		t.Errorf("%d of 100 connections broke", broken)
	}
}

func TestDeathOfTheProcessIsHeardByItsClients(t *testing.T) {
	w := NewWorld(1, nil)
	h := w.NewHost("n0")
	p := h.Boot()
	n := w.NewNetwork()
	client := &caller{}
	c := n.Dial(h, client, func(c *Conn) Server { return &echo{conn: c} })
	c.Send([]byte("lost"))
	p.Kill()
	w.RunFor(time.Second)
	if !client.closed || len(client.got) > 0 {
		t.Errorf("closed %v, got %q", client.closed, client.got)
	}
	if n.Dial(h, client, nil) != nil {
		t.Error("a dead process accepts connections")
	}
}

func BenchmarkSteps(b *testing.B) {
	t := &testing.T{}
	for b.Loop() {
		w := playToys(t, 1, nil)
		b.ReportMetric(float64(w.Steps()), "steps/op")
	}
}
