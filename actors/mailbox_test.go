package actors

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFullMailboxRefusesButNotWhatWasAskedFor(t *testing.T) {
	for _, c := range []struct {
		name            string
		messages, bytes int
		size            int
		fit             int // commands that fit
	}{
		{"by messages", 3, 0, 0, 3},
		{"by bytes", 0, 100, 40, 2},
		{"one heavier than the bound", 0, 100, 1000, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, Config{})
			edge := s.edge("edge")
			sp := s.spec("a", func(ctx *Context, msg any) {
				if msg == "start" {
					ctx.After(time.Second, "timer")
					ctx.Request(edge, &command{}, time.Second)
				}
				if msg == "timer" {
					for range 100 {
						ctx.Send(ctx.Self(), "self")
					}
				}
			})
			sp.Messages, sp.Bytes = c.messages, c.bytes
			a := mustSpawn(t, s.System, sp)
			s.Send(a, "start")
			s.settle()
			for i := range c.fit + 1 {
				s.Send(a, &command{text: fmt.Sprint("c", i), to: edge, size: c.size})
			}
			s.Send(a, reply{0, "reply"})
			s.expect("a:started", "a:start", "edge<-", fmt.Sprintf("edge<-c%d refused 0", c.fit))
			for s.fire(1 << 62) { // the timer and the timeout come before anything is read
			}
			s.settle()
			got := strings.Join(s.log, " ")
			for _, want := range []string{"a:reply", "a:timer", "a:timedout", fmt.Sprintf("a:c%d", c.fit-1)} {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in %s", want, got)
				}
			}
			if n := strings.Count(got, "a:self"); n != 100 {
				t.Errorf("%d of 100 messages to itself", n)
			}
			s.Send(a, &command{text: "again", to: edge, size: c.size})
			s.settle()
			if last := s.log[len(s.log)-1]; last != "a:again" {
				t.Errorf("a mailbox that was read refuses: %s", last)
			}
		})
	}
}

func TestBoundsAreGivenBackOneByOne(t *testing.T) {
	s := newStage(t, Config{})
	edge := s.edge("edge")
	sp := s.spec("a", nil)
	sp.Messages = 2
	a := mustSpawn(t, s.System, sp)
	s.settle()
	for i := range 10 {
		s.Send(a, &command{text: fmt.Sprint(2 * i), to: edge})
		s.Send(a, &command{text: fmt.Sprint(2*i + 1), to: edge})
		s.step()
		s.step()
	}
	if n := s.Stats().Refusals; n != 0 {
		t.Errorf("%d refused", n)
	}
}

func TestSystemLaneGoesFirst(t *testing.T) {
	s := newStage(t, Config{})
	a := s.actor("a", nil)
	for range 100 {
		s.Send(a, "m")
	}
	s.step() // started
	s.step()
	s.step()
	s.Stop(a)
	s.settle()
	s.expect("a:started", "a:m", "a:m", "a:stopping")
	if len(s.dead) != 98 {
		t.Errorf("%d dead letters", len(s.dead))
	}
}

// batcher notes where turns end.
type batcher struct{ s *stage }

func (b *batcher) Receive(ctx *Context, msg any) {
	b.s.note("%s", text(msg))
	if msg == "stop" {
		ctx.StopSelf()
	}
}
func (b *batcher) EndTurn(*Context) { b.s.note("|") }

func TestEveryTurnEnds(t *testing.T) {
	for _, c := range []struct {
		name, messages, want string
	}{
		{"when the mailbox is empty", "a b", "started a b | stopping"},
		{"at the bound", "a b c d e", "started a b | c d e | stopping"},
		{"before stopping", "a stop b", "started a stop | stopping"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, Config{TurnMessages: 3})
			a := mustSpawn(t, s.System, Spec{Name: "a", New: func() Actor { return &batcher{s} }})
			for _, m := range strings.Fields(c.messages) {
				s.Send(a, m)
			}
			s.settle()
			s.Stop(a)
			s.settle()
			if got := strings.Join(s.log, " "); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// turns runs cells with many messages a run, on one thread.
type turns struct{ *world }

func (turns) Turn() int { return 1 << 30 }

func TestProductionTurnsEndLikeStepsDo(t *testing.T) {
	w := newWorld(1)
	s := &stage{world: w, t: t}
	s.System = NewSystem(Config{Env: w.env(), Dispatcher: turns{w}, TurnMessages: 40})
	a := mustSpawn(t, s.System, Spec{Name: "a", New: func() Actor { return &batcher{s} }})
	for range 100 {
		s.Send(a, "m")
	}
	s.settle()
	s.Send(a, "m")
	s.settle()
	s.Stop(a)
	s.settle()
	want := "started" + strings.Repeat(" m", 40) + " |" + strings.Repeat(" m", 40) + " |" + strings.Repeat(" m", 20) + " | m | stopping"
	if got := strings.Join(s.log, " "); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if n := s.Stats().Processed; n != 103 {
		t.Errorf("%d processed", n)
	}
}

func TestQueueKeepsOrderOverManyChunks(t *testing.T) {
	var q queue
	const n = 5*chunkMessages + 3
	for i := range n {
		q.push(i, 1)
	}
	for i := range n {
		if got := q.pop(); got != i {
			t.Fatalf("%v, want %d", got, i)
		}
	}
	if q.pop() != nil || !q.empty() || q.tail != nil {
		t.Error("not empty")
	}
}
