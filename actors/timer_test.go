package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestTimersFireInOrderAndNeverAfterCancelOrStop(t *testing.T) {
	s := newStage(t, Config{})
	var ids []TimerID
	a := s.actor("a", func(ctx *Context, msg any) {
		switch msg {
		case Started{}:
			ids = append(ids, ctx.After(2*time.Second, "two"), ctx.After(time.Second, "one"), ctx.After(3*time.Second, "three"), ctx.After(time.Hour, "never"))
		case "cancel":
			ctx.Cancel(ids[2])
			ctx.Cancel(ids[2])
			ctx.Cancel(0)
		}
	})
	s.advance(2 * time.Second)
	s.expect("a:started", "a:one", "a:two")
	s.Send(a, "cancel")
	for s.fire(3 * time.Second) { // due, and in the mailbox behind the cancellation
	}
	s.settle()
	s.expect("a:cancel")
	s.Stop(a)
	s.settle()
	for _, timer := range s.timers {
		if !timer.stopped {
			t.Error("a timer survives its actor")
		}
	}
	s.advance(2 * time.Hour)
	s.expect("a:stopping")
	if len(s.dead) != 0 {
		t.Errorf("dead letters %v", s.dead)
	}
}

// TestRequestsShareAnAlarm: each request is due in its time, whatever was sent and answered before it, and an answer rings no alarm.
func TestRequestsShareAnAlarm(t *testing.T) {
	s := newStage(t, Config{})
	ids := map[string]uint64{}
	server := func(name string) PID { return s.Edge(name, func(msg any) { ids[name] = msg.(*command).id }) }
	early, middle, late := [...]PID{server("early1"), server("early2")}, [...]PID{server("middle1"), server("middle2")}, server("late")
	soonest := server("soonest")
	a := s.actor("a", func(ctx *Context, msg any) {
		switch msg {
		case Started{}:
			ctx.Request(middle[0], &command{text: "q"}, 20*time.Second)
			ctx.Request(soonest, &command{text: "q"}, 10*time.Second)
			ctx.Request(late, &command{text: "q"}, 30*time.Second)
			ctx.Request(middle[1], &command{text: "q"}, 20*time.Second)
		case "more":
			ctx.Request(early[1], &command{text: "q"}, 2*time.Second)
			ctx.Request(early[0], &command{text: "q"}, time.Second)
		}
	})
	s.settle()
	s.expect("a:started")
	s.Send(a, reply{ids["soonest"], "answered"})
	s.advance(9 * time.Second)
	s.expect("a:answered")
	s.Send(a, "more")
	s.advance(time.Second)
	s.expect("a:more", "a:timedout(early1#2)")
	s.advance(time.Second)
	s.expect("a:timedout(early2#3)")
	for _, timer := range slices.Clone(s.timers) { // a clock that is early
		if timer.Stop() {
			timer.f()
		}
	}
	s.advance(9*time.Second - time.Millisecond)
	s.expect()
	s.advance(time.Millisecond)
	s.expect("a:timedout(middle1#4)", "a:timedout(middle2#5)")
	s.advance(time.Hour)
	s.expect("a:timedout(late#6)")
	if slices.ContainsFunc(s.timers, func(t *worldTimer) bool { return !t.stopped }) {
		t.Error("an alarm is set for nothing")
	}
}

func TestRequestEndsExactlyOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		server func(s *stage, c *command)
		want   []string
		late   uint64
	}{
		{"answered", func(s *stage, c *command) { s.Send(c.to, reply{c.id, "yes"}) }, []string{"a:yes"}, 0},
		{"answered twice", func(s *stage, c *command) { s.Send(c.to, reply{c.id, "yes"}); s.Send(c.to, reply{c.id, "no"}) }, []string{"a:yes"}, 1},
		{"silence", func(*stage, *command) {}, []string{"a:timedout(server#2)"}, 0},
		{"late", func(s *stage, c *command) {
			s.AfterFunc(time.Minute, func() { s.Send(c.to, reply{c.id, "late"}) })
		}, []string{"a:timedout(server#2)"}, 1},
		{"answered when the time has come", func(s *stage, c *command) {
			s.AfterFunc(time.Second, func() { s.Send(c.to, reply{c.id, "close"}) })
		}, []string{"a:close"}, 0},
		{"wrong id", func(s *stage, c *command) { s.Send(c.to, reply{c.id + 1, "wrong"}) }, []string{"a:timedout(server#2)"}, 1},
		{"id zero", func(s *stage, c *command) { s.Send(c.to, reply{0, "news"}) }, []string{"a:news", "a:timedout(server#2)"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, Config{})
			server := s.Edge("server", func(msg any) { c.server(s, msg.(*command)) })
			s.actor("a", func(ctx *Context, msg any) {
				if msg == (Started{}) {
					ctx.Request(server, &command{text: "q"}, time.Second)
				}
			})
			s.settle()
			for s.fire(time.Second) { // all that is due is queued before any of it is read
			}
			s.advance(time.Hour)
			s.expect(append([]string{"a:started"}, c.want...)...)
			if n := s.Stats().LateReplies; n != c.late {
				t.Errorf("%d late replies, want %d", n, c.late)
			}
			for _, timer := range s.timers {
				if !timer.stopped {
					t.Error("the timer of an answered request runs on")
				}
			}
		})
	}
}

func TestRequestToNobodyIsAnswered(t *testing.T) {
	s := newStage(t, Config{})
	s.actor("a", func(ctx *Context, msg any) {
		if msg == (Started{}) {
			ctx.Request(NewPID("elsewhere", "x"), &command{text: "far"}, time.Second)
			ctx.Request(PID{}, &command{text: "zero"}, time.Second)
		}
	})
	s.settle()
	s.expect("a:started", "a:far refused 2", "a:zero refused 2")
}

func TestOffloadedResults(t *testing.T) {
	s := newStage(t, Config{})
	edge := s.edge("edge")
	a := s.actor("a", func(ctx *Context, msg any) {
		switch msg {
		case "work":
			ctx.Offload(func() any { return "worked" })
			ctx.Offload(func() any { return nil })
		case "late":
			ctx.Offload(func() any { return &command{text: "result", to: edge} })
			ctx.StopSelf()
		case "panic":
			ctx.Offload(func() any { panic("broken disk") })
		}
	})
	b := s.actor("b", func(ctx *Context, msg any) {
		if msg == "panic" {
			ctx.Offload(func() any { panic("broken disk") })
		}
	})
	s.Send(a, "work")
	s.settle()
	s.log = nil
	s.Send(b, "panic")
	s.settle()
	s.expect("b:panic")
	if len(s.fail) != 1 || s.fail[0].Panic != "broken disk" || !s.fail[0].Actor.Equal(b) {
		t.Errorf("failures %v", s.fail)
	}
	work := s.ready
	s.Send(a, "late")
	for len(s.ready) > len(work) && s.Stats().Actors > 0 {
		s.step()
	}
	s.settle()
	s.expect("a:late", "a:stopping", "edge<-result refused 1")
}

func TestAskCallsBackOnce(t *testing.T) {
	s := newStage(t, Config{})
	echo := s.actor("echo", func(ctx *Context, msg any) {
		answer(ctx, msg)
		answer(ctx, msg) // the second is late
	})
	deaf := s.actor("deaf", nil)
	s.settle()
	var outcomes []string
	ask := func(name string, to PID) {
		s.Ask(to, &command{text: name}, time.Second, func(r any, err error) {
			if err == nil {
				r = text(r)
			}
			outcomes = append(outcomes, fmt.Sprint(name, ": ", r, " ", err))
		})
	}
	ask("echo", echo)
	ask("deaf", deaf)
	ask("nobody", PID{})
	s.advance(time.Minute)
	ask("stopped", deaf)
	s.StopAll()
	ask("after", echo)
	s.advance(time.Minute)
	want := []string{
		"nobody: nobody refused 2 <nil>", "echo: echo done <nil>", "deaf: <nil> no answer in time",
		"stopped: <nil> actor system stopped", "after: <nil> actor system stopped",
	}
	if !slices.Equal(outcomes, want) {
		t.Errorf("\n got %q\nwant %q", outcomes, want)
	}
	if late := s.Stats().LateReplies; late != 2 { // the second echo, and the refusal of "stopped"
		t.Errorf("%d late replies", late)
	}
	if len(s.asks.open) != 0 {
		t.Errorf("%d asks open", len(s.asks.open))
	}
}

func TestAskWaitEndsWithItsContext(t *testing.T) {
	s := NewSystem(Config{Env: newRealEnv()})
	defer shutdown(t, s)
	echo := mustSpawn(t, s, spec("echo", answer))
	got, err := s.AskWait(context.Background(), echo, &command{text: "q"})
	if r, ok := got.(reply); !ok || r.text != "q done" || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	if _, err := s.AskWait(ctx, mustSpawn(t, s, spec("deaf", func(*Context, any) {})), &command{}); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}
