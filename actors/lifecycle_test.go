package actors

import (
	"errors"
	"strings"
	"testing"
)

func TestChildrenStopBeforeParents(t *testing.T) {
	s := newStage(t, Config{})
	top := s.actor("top", func(ctx *Context, msg any) {
		if msg == (Started{}) {
			ctx.Spawn(s.spec("mid", func(ctx *Context, msg any) {
				if msg == (Started{}) {
					ctx.Spawn(s.spec("leaf", nil))
				}
			}))
		}
	})
	s.settle()
	s.expect("top:started", "mid:started", "leaf:started")
	watcher := s.actor("watcher", func(ctx *Context, msg any) {
		if msg == (Started{}) {
			for _, id := range []string{"top", "top/mid", "top/mid/leaf"} {
				ctx.Watch(NewPID(ctx.Self().Address(), id))
				ctx.Watch(NewPID(ctx.Self().Address(), id)) // once is enough
			}
		}
	})
	s.settle()
	s.expect("watcher:started")
	s.Stop(top)
	s.settle()
	s.expect("top:stopping", "mid:stopping", "leaf:stopping",
		"watcher:terminated(top/mid/leaf)", "watcher:terminated(top/mid)", "watcher:terminated(top)")
	s.Stop(watcher)
	s.settle()
	if n := s.Stats().Actors; n != 0 {
		t.Errorf("%d actors left", n)
	}
}

func TestStopAnswersWhatIsQueued(t *testing.T) {
	s := newStage(t, Config{})
	edge := s.edge("edge")
	a := s.actor("a", answer)
	s.settle()
	s.Send(a, &command{text: "one", to: edge, id: 1})
	s.Send(a, "plain")
	s.Send(a, &command{text: "nobody"}) // no return address: a dead letter
	s.Send(a, &command{text: "two", to: edge, id: 2})
	s.Stop(a)
	s.settle()
	s.Send(a, &command{text: "late", to: edge, id: 3})
	s.expect("a:started", "a:stopping", "edge<-one refused 1", "edge<-two refused 1", "edge<-late refused 2")
	if len(s.dead) != 2 || s.dead[0] != "plain" {
		t.Errorf("dead letters %v", s.dead)
	}
	if st := s.Stats(); st.Refusals != 3 || st.DeadLetters != 2 {
		t.Errorf("%+v", st)
	}
}

func TestStopSelfDeliversNothingMore(t *testing.T) {
	s := newStage(t, Config{})
	edge := s.edge("edge")
	a := s.actor("a", func(ctx *Context, msg any) {
		if msg == "stop" {
			ctx.StopSelf()
		}
	})
	s.Send(a, "stop")
	s.Send(a, &command{text: "one", to: edge})
	s.settle()
	s.expect("a:started", "a:stop", "a:stopping", "edge<-one refused 1")
}

// mourner parks commands and answers them when it fails.
type mourner struct {
	s      *stage
	parked []*command
}

func (m *mourner) Receive(ctx *Context, msg any) {
	m.s.note("mourner:%s", text(msg))
	switch msg := msg.(type) {
	case *command:
		m.parked = append(m.parked, msg)
	case string:
		panic(msg)
	}
}

func (m *mourner) EndTurn(*Context) { m.s.note("mourner:endturn") }

func (m *mourner) Failed(ctx *Context, cause error) {
	for _, c := range m.parked {
		ctx.Send(c.to, reply{c.id, c.text + " failed: " + cause.Error()})
	}
	panic("again")
}

func TestPanicStopsForGoodAndAnswersEverybody(t *testing.T) {
	s := newStage(t, Config{})
	edge := s.edge("edge")
	built := 0
	s.actor("parent", func(ctx *Context, msg any) {
		switch m := msg.(type) {
		case Started:
			ctx.Spawn(Spec{Name: "child", New: func() Actor { built++; return &mourner{s: s} }})
		case Terminated:
			var f *Failure
			if !errors.As(m.Cause, &f) || f.Panic != "boom" || !strings.Contains(string(f.Stack), "mourner") {
				t.Errorf("cause %v", m.Cause)
			}
		}
	})
	s.settle()
	s.expect("parent:started", "mourner:started", "mourner:endturn")
	child := NewPID(s.Address(), "parent/child")
	s.Send(child, &command{text: "parked", to: edge})
	s.settle()
	s.Send(child, "boom")
	s.Send(child, &command{text: "queued", to: edge})
	s.settle()
	s.expect("mourner:parked", "mourner:endturn", "mourner:boom",
		"edge<-parked failed: actor parent/child failed: boom", "edge<-queued refused 1",
		"parent:terminated(parent/child, actor parent/child failed: boom)")
	if built != 1 || len(s.fail) != 2 || s.fail[0].Panic != "boom" || s.fail[1].Panic != "again" || s.fail[0].Actor.ID() != "parent/child" {
		t.Errorf("built %d times, failures %v", built, s.fail)
	}
	if len(s.System.failures) != 0 {
		t.Error("the cause is kept after the parent heard of it")
	}
}

func TestPanicAnywhereInALifeEndsIt(t *testing.T) {
	for _, where := range []string{"new", "started", "message", "endturn", "stopping"} {
		t.Run(where, func(t *testing.T) {
			s := newStage(t, Config{})
			a := mustSpawn(t, s.System, Spec{Name: "a", New: func() Actor {
				if where == "new" {
					panic(where)
				}
				return &fragile{s, where}
			}})
			s.actor("watcher", func(ctx *Context, msg any) {
				if msg == (Started{}) {
					ctx.Watch(a)
				}
			})
			s.settle()
			s.Send(a, "message")
			s.settle()
			s.Stop(a)
			s.Send(a, "more")
			s.settle()
			if len(s.fail) != 1 || s.fail[0].Panic != where {
				t.Errorf("failures %v", s.fail)
			}
			if got := strings.Join(s.log, " "); strings.Count(got, "terminated") != 1 || strings.Contains(got, "a:more") {
				t.Error(got)
			}
			if s.Stats().Actors != 1 {
				t.Error("the actor lives")
			}
			if _, err := s.Spawn(s.spec("a", nil)); err != nil {
				t.Errorf("the name is not free: %v", err)
			}
		})
	}
}

type fragile struct {
	s     *stage
	where string
}

func (f *fragile) Receive(_ *Context, msg any) {
	f.s.note("a:%s", text(msg))
	if text(msg) == f.where {
		panic(f.where)
	}
}

func (f *fragile) EndTurn(*Context) {
	if f.where == "endturn" {
		panic(f.where)
	}
}

func TestRespawnedChildStopsWithItsParent(t *testing.T) {
	s := newStage(t, Config{})
	spawned := 0
	p := s.actor("p", func(ctx *Context, msg any) {
		switch msg.(type) {
		case Started, Terminated:
			spawned++
			if spawned <= 2 {
				ctx.Spawn(s.spec("c", nil))
			}
		}
	})
	s.settle()
	s.Stop(NewPID(s.Address(), "p/c"))
	s.settle()
	s.expect("p:started", "c:started", "c:stopping", "p:terminated(p/c)", "c:started")
	s.Stop(p)
	s.settle()
	s.expect("p:stopping", "c:stopping")
	if n := s.Stats().Actors; n != 0 {
		t.Errorf("%d actors left", n)
	}
}

func TestNamesAreUnique(t *testing.T) {
	s := newStage(t, Config{Address: "node-1"})
	s.actor("a", func(ctx *Context, msg any) {
		if msg == "twins" {
			ctx.Spawn(s.spec("b", nil))
			ctx.Spawn(s.spec("b", nil))
		}
	})
	if _, err := s.Spawn(s.spec("a", nil)); err == nil {
		t.Error("a second actor of the same name")
	}
	s.Send(NewPID("node-1", "a"), "twins")
	s.settle()
	s.expect("a:started", "a:twins", "b:started", "b:stopping")
	if n := s.Stats().Actors; n != 0 || len(s.fail) != 1 {
		t.Errorf("%d actors, failures %v", n, s.fail)
	}
	one, two := s.actor("", nil), s.actor("", nil)
	if one.Equal(two) || one.Address() != "node-1" {
		t.Errorf("generated names %v %v", one, two)
	}
}

func TestWatch(t *testing.T) {
	s := newStage(t, Config{})
	a, edge := s.actor("a", nil), s.edge("edge")
	s.actor("w", func(ctx *Context, msg any) {
		switch msg {
		case Started{}:
			ctx.Watch(PID{})
			ctx.Watch(NewPID(s.Address(), "nobody"))
			ctx.Watch(NewPID("elsewhere", "x"))
			ctx.Watch(a)
			ctx.Watch(edge)
		case "unwatch":
			ctx.Unwatch(a)
			ctx.Unwatch(NewPID(s.Address(), "nobody"))
		}
	})
	s.settle()
	s.log = s.log[2:]
	s.expect("w:terminated(, no such actor)", "w:terminated(nobody, no such actor)", "w:terminated(x, no such actor)")
	s.RemoveEdge(edge)
	s.settle()
	s.expect("w:terminated(" + edge.ID() + ")")
	s.Send(NewPID(s.Address(), "w"), "unwatch")
	s.settle()
	s.Stop(a)
	s.settle()
	s.expect("w:unwatch", "a:stopping")
}

func TestShutdownOfAStageIsOrderly(t *testing.T) {
	s := newStage(t, Config{})
	s.actor("a", nil)
	s.actor("b", nil)
	s.settle()
	s.StopAll()
	if _, err := s.Spawn(s.spec("c", nil)); !errors.Is(err, ErrStopped) {
		t.Errorf("spawned into a stopped system: %v", err)
	}
	s.settle()
	select {
	case <-s.drained:
	default:
		t.Error("not drained")
	}
	if st := s.Stats(); st.Actors != 0 || st.DeadLetters != 0 {
		t.Errorf("%+v", st)
	}
}
