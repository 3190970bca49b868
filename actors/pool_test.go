package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// numbered is a message that tells its place in the order of its sender.
type numbered struct{ sender, n int }

// TestEveryMessageIsDeliveredOnceAndInOrder: many threads to many actors on the pool; each pair keeps its order, an actor is never on
// two threads.
func TestEveryMessageIsDeliveredOnceAndInOrder(t *testing.T) {
	const actorCount, senders, each = 16, 8, 2000
	s := NewSystem(Config{Env: newRealEnv(), Workers: 4, TurnMessages: 16})
	defer shutdown(t, s)
	var done sync.WaitGroup
	done.Add(actorCount)
	var pids []PID
	for range actorCount {
		var next [senders]int
		var inside atomic.Int32
		left := senders * each
		pids = append(pids, mustSpawn(t, s, Spec{Messages: senders*each + 1, New: func() Actor {
			return receiveFunc(func(_ *Context, msg any) {
				m, ok := msg.(numbered)
				if !ok {
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two messages at once")
				}
				if next[m.sender] != m.n {
					t.Errorf("message %d of sender %d came as %d", m.n, m.sender, next[m.sender])
				}
				next[m.sender]++
				if left--; left == 0 {
					done.Done()
				}
				inside.Add(-1)
			})
		}}))
	}
	for sender := range senders {
		go func() {
			for n := range each {
				for _, pid := range pids {
					s.Send(pid, numbered{sender, n})
				}
			}
		}()
	}
	done.Wait()
	if st := s.Stats(); st.Refusals+st.DeadLetters+st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}

// TestNoCommandIsForgotten: actors are stopped and fail while commands rain on them; every command is answered, by the actor or by the
// runtime.
func TestNoCommandIsForgotten(t *testing.T) {
	const rounds, senders, each = 30, 4, 50
	s := NewSystem(Config{Env: newRealEnv(), Workers: 3})
	defer shutdown(t, s)
	for round := range rounds {
		var answered sync.WaitGroup
		answered.Add(senders * each)
		edge := s.Edge("edge", func(any) { answered.Done() })
		sp := spec(fmt.Sprint("a", round), func(ctx *Context, msg any) {
			if msg == "panic" {
				panic("on demand")
			}
			answer(ctx, msg)
		})
		sp.Messages = 10
		pid := mustSpawn(t, s, sp)
		for range senders {
			go func() {
				for range each {
					s.Send(pid, &command{to: edge})
				}
			}()
		}
		if round%2 == 0 {
			s.Stop(pid)
		} else {
			s.Send(pid, "panic")
		}
		answered.Wait()
		s.RemoveEdge(edge)
	}
}

// TestRespawnedChildIsNotLost guards against protoactor's bookkeeping of the old child striking out a new one of the same name: were
// Terminated sent by the child itself, a parent on another thread could spawn the name again before protoactor forgets the old one.
// The edge holds the child's thread at that very point.
func TestRespawnedChildIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSystem(Config{Env: newRealEnv(), Workers: 2})
		again := make(chan struct{})
		parent := mustSpawn(t, s, spec("parent", func(ctx *Context, msg any) {
			ctx.Spawn(spec("child", func(*Context, any) {}))
			if _, ok := msg.(Terminated); ok {
				close(again)
			}
		}))
		synctest.Wait()
		child := NewPID(s.Address(), "parent/child")
		slow := s.Edge("slow", func(any) {
			select {
			case <-again:
			case <-time.After(time.Second):
			}
		})
		process, _ := s.proto.ProcessRegistry.Get(child.pid)
		process.SendSystemMessage(child.pid, &watch{slow})
		s.Stop(child)
		<-again
		synctest.Wait()
		s.Stop(parent)
		synctest.Wait()
		if n := s.Stats().Actors; n != 0 {
			t.Errorf("%d actors outlive their parent", n)
		}
		shutdown(t, s)
	})
}

func TestShutdownLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	s := NewSystem(Config{Env: newRealEnv()})
	var stopped atomic.Int32
	for range 50 {
		mustSpawn(t, s, Spec{New: func() Actor {
			return receiveFunc(func(ctx *Context, msg any) {
				switch msg.(type) {
				case Started:
					ctx.After(time.Hour, "never")
					ctx.Spawn(spec("child", func(*Context, any) {}))
				case Stopping:
					stopped.Add(1)
				}
			})
		}})
	}
	s.Ask(s.Edge("deaf", func(any) {}), &command{}, time.Hour, func(any, error) { stopped.Add(1) })
	shutdown(t, s)
	shutdown(t, s) // again is nothing
	if n := stopped.Load(); n != 51 {
		t.Errorf("%d ended, want 51", n)
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

func TestShutdownSaysWhoIsLeft(t *testing.T) {
	s := NewSystem(Config{Env: newRealEnv()})
	block := make(chan struct{})
	mustSpawn(t, s, spec("stuck", func(*Context, any) { <-block }))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := s.Shutdown(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 actors") {
		t.Errorf("%v", err)
	}
	close(block)
	shutdown(t, s)
}

// TestIdlePoolDoesNothing: synctest.Wait returns only when every goroutine is blocked, and fails the test if one never blocks.
func TestIdlePoolDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSystem(Config{Env: newRealEnv(), Workers: 3})
		var ticks []time.Duration
		start := time.Now()
		mustSpawn(t, s, spec("ticker", func(ctx *Context, msg any) {
			if msg == "tick" {
				ticks = append(ticks, time.Since(start))
			}
			if len(ticks) < 3 {
				ctx.After(time.Second, "tick")
			}
		}))
		synctest.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(ticks) != 3 || ticks[2] != 3*time.Second {
			t.Errorf("ticks at %v", ticks)
		}
		if s.pool.idle != 3 {
			t.Errorf("%d of 3 workers idle", s.pool.idle)
		}
		shutdown(t, s)
	}) // fails if a goroutine is left
}

func TestIdleActorsAreSmall(t *testing.T) {
	const n = 4000
	s := NewSystem(Config{Env: newRealEnv()})
	defer shutdown(t, s)
	shared := receiveFunc(func(*Context, any) {})
	before := heapInUse()
	host := mustSpawn(t, s, spec("host", func(ctx *Context, msg any) {
		if msg == (Started{}) {
			for i := range n {
				ctx.Send(ctx.Spawn(Spec{Name: fmt.Sprint("p", i), New: func() Actor { return shared }}), "hello")
			}
		}
	}))
	for s.Stats().Processed < 2*n+1 {
		runtime.Gosched()
	}
	each := (heapInUse() - before) / n
	t.Logf("%d bytes an idle child", each)
	if each > 1536 {
		t.Errorf("%d bytes an idle child", each)
	}
	runtime.KeepAlive(host)
}

func TestSystemsAreSmall(t *testing.T) {
	const n = 8
	before := heapInUse()
	var all []*System
	for range n {
		all = append(all, NewSystem(Config{Env: newRealEnv()}))
	}
	each := (heapInUse() - before) / n
	t.Logf("%d bytes a system", each)
	if each > 256<<10 {
		t.Errorf("%d bytes a system", each)
	}
	for _, s := range all {
		shutdown(t, s)
	}
}

func TestTellAllocatesNothing(t *testing.T) {
	s := NewSystem(Config{Env: newRealEnv()})
	defer shutdown(t, s)
	back := make(chan any, 1)
	edge := s.Edge("edge", func(msg any) { back <- msg })
	pid := mustSpawn(t, s, spec("echo", func(ctx *Context, msg any) {
		if m, ok := msg.(*token); ok {
			ctx.Send(edge, m)
		}
	}))
	m := &token{}
	if n := testing.AllocsPerRun(1000, func() { s.Send(pid, m); <-back }); n > 0.1 {
		t.Errorf("%v allocations a round trip", n)
	}
}
