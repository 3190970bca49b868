package actors

import "testing"

func TestRemovedEdgeIsADeadEnd(t *testing.T) {
	s := newStage(t, Config{})
	back := s.edge("back")
	edge := s.edge("edge")
	again := s.edge("edge")
	if edge.Equal(again) {
		t.Error("two edges of one id")
	}
	s.Send(edge, "one")
	s.RemoveEdge(edge)
	s.Send(edge, &command{text: "two", to: back}) // through a PID that remembers the edge
	s.Send(NewPID(s.Address(), edge.ID()), "three")
	s.RemoveEdge(edge)
	s.Send(again, "four")
	s.expect("edge<-one", "back<-two refused 2", "edge<-four")
	if len(s.dead) != 1 {
		t.Errorf("dead letters %v", s.dead)
	}
}

func TestPanicOfAnEdgeIsNotTheSenders(t *testing.T) {
	s := newStage(t, Config{})
	edge := s.Edge("edge", func(any) { panic("edge") })
	s.actor("a", func(ctx *Context, msg any) {
		if msg == (Started{}) {
			ctx.Send(edge, "x")
			ctx.Send(ctx.Self(), "goes on")
		}
	})
	s.settle()
	s.expect("a:started", "a:goes on")
	if len(s.fail) != 1 || !s.fail[0].Actor.Equal(edge) {
		t.Errorf("failures %v", s.fail)
	}
}

func TestRefusalThatCouldBeRefusedIsABug(t *testing.T) {
	s := newStage(t, Config{})
	defer func() {
		if recover() == nil {
			t.Error("accepted")
		}
	}()
	s.Send(PID{}, endless{s.edge("edge")})
}

type endless struct{ to PID }

func (e endless) Refused(Refusal) (PID, any) { return e.to, e }
