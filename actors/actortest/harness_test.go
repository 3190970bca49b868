package actortest

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
)

type question struct {
	to actors.PID
	id uint64
}

func (q *question) SetHead(to actors.PID, id uint64) { q.to, q.id = to, id }

type answer uint64

func (a answer) CorrelationID() uint64 { return uint64(a) }

// subject does one thing of every kind.
type subject struct {
	timer actors.TimerID
	got   []any
}

var peer = actors.NewPID("test", "peer")

func (s *subject) Receive(ctx *actors.Context, msg any) {
	s.got = append(s.got, msg)
	switch msg {
	case "ask":
		ctx.Request(peer, &question{}, time.Second)
	case "tick":
		s.timer = ctx.After(time.Minute, "tock")
	case "cancel":
		ctx.Cancel(s.timer)
	case "family":
		ctx.Watch(ctx.Spawn(actors.Spec{Name: "child"}))
		ctx.Stop(peer)
	case "work":
		ctx.Offload(func() any { return "worked" })
	case "worked":
		ctx.Send(peer, ctx.Now())
	}
}

func (s *subject) EndTurn(ctx *actors.Context) { ctx.Send(peer, len(s.got)) }

func TestEffectsAreRecordedInOrder(t *testing.T) {
	s := &subject{}
	h := New(t, s)
	child := actors.NewPID("test", "self/child")
	Expect(t, h.Start())
	Expect(t, h.Deliver("family"), Spawned{child}, Watched{child}, Stopped{peer})
	if h.Specs[child.String()].Name != "child" {
		t.Error("the child's Spec is not kept")
	}
	Expect(t, h.Deliver("work"), Offloaded{})
	Expect(t, h.RunOffload(), Sent{peer, h.Now()})
	Expect(t, h.EndTurn(), Sent{peer, len(s.got)})
}

func TestRepliesMatchRequests(t *testing.T) {
	s := &subject{}
	h := New(t, s)
	q := Take[*question](t, h.Deliver("ask"))
	if !q.to.Equal(h.Self()) || q.id != 1 {
		t.Errorf("head %v %d", q.to, q.id)
	}
	h.Deliver(answer(7)) // to nothing asked
	h.Deliver(answer(1))
	h.Deliver(answer(1)) // a second time
	h.Deliver(answer(0)) // no reply of the runtime's
	Expect(t, effectsOf(s.got), "ask", answer(1), answer(0))
	if h.Waiting() != 0 {
		t.Error("an answered request still waits")
	}
}

func TestClockMovesOnlyByHand(t *testing.T) {
	s := &subject{}
	h := New(t, s)
	start := h.Mono()
	h.Deliver("ask")  // times out after a second
	h.Deliver("tick") // tock after a minute
	h.Advance(time.Second)
	h.Deliver("cancel")
	h.Advance(time.Hour)
	Expect(t, effectsOf(s.got), "ask", "tick", actors.RequestTimedOut{ID: 1, To: peer}, "cancel")
	h.Deliver("tick")
	Expect(t, h.Advance(time.Minute))
	Expect(t, effectsOf(s.got[4:]), "tick", "tock")
	if h.Mono() != start+time.Hour+time.Minute+time.Second {
		t.Errorf("clock stands at %v", h.Mono()-start)
	}
}

func effectsOf(msgs []any) []Effect {
	var out []Effect
	for _, m := range msgs {
		out = append(out, m)
	}
	return out
}
