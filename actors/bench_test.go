package actors

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
)

// realEnv is a small real world: enough for benchmarks and the tests of the pool.
type realEnv struct{ origin time.Time }

func newRealEnv() env.Env {
	e := realEnv{time.Now()}
	return env.Env{Clock: e, Rand: e, Offload: e}
}

func (e realEnv) Now() time.Time                                { return time.Now() }
func (e realEnv) Mono() time.Duration                           { return time.Since(e.origin) }
func (e realEnv) AfterFunc(d time.Duration, f func()) env.Timer { return time.AfterFunc(d, f) }
func (e realEnv) Uint64() uint64                                { return 0 }
func (e realEnv) Run(work func())                               { go work() }

type receiveFunc func(ctx *Context, msg any)

func (f receiveFunc) Receive(ctx *Context, msg any) { f(ctx, msg) }

func spec(name string, f func(ctx *Context, msg any)) Spec {
	return Spec{Name: name, New: func() Actor { return receiveFunc(f) }}
}

func shutdown(tb testing.TB, s *System) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		tb.Fatal(err)
	}
}

func mustSpawn(tb testing.TB, s *System, sp Spec) PID {
	tb.Helper()
	pid, err := s.Spawn(sp)
	if err != nil {
		tb.Fatal(err)
	}
	return pid
}

type token struct{ left int }

// BenchmarkTell is one producer, one actor.
func BenchmarkTell(b *testing.B) {
	s := NewSystem(Config{Env: newRealEnv()})
	defer shutdown(b, s)
	got, all := 0, make(chan struct{})
	sp := spec("sink", func(_ *Context, msg any) {
		if _, ok := msg.(*token); ok {
			if got++; got == b.N {
				close(all)
			}
		}
	})
	sp.Messages = b.N + 1
	pid := mustSpawn(b, s, sp)
	msg := &token{}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		s.Send(pid, msg)
	}
	<-all
}

// BenchmarkRoundTrip is one message to and fro between two actors.
func BenchmarkRoundTrip(b *testing.B) {
	s := NewSystem(Config{Env: newRealEnv()})
	defer shutdown(b, s)
	done := make(chan struct{})
	var ping, pong PID
	ping = mustSpawn(b, s, spec("ping", func(ctx *Context, msg any) {
		if m, ok := msg.(*token); ok {
			if m.left--; m.left < 0 {
				close(done)
				return
			}
			ctx.Send(pong, m)
		}
	}))
	pong = mustSpawn(b, s, spec("pong", func(ctx *Context, msg any) {
		if m, ok := msg.(*token); ok {
			ctx.Send(ping, m)
		}
	}))
	b.ReportAllocs()
	b.ResetTimer()
	s.Send(ping, &token{b.N})
	<-done
}

// BenchmarkEdgeRoundTrip is a goroutine that asks an actor and is answered through an edge.
func BenchmarkEdgeRoundTrip(b *testing.B) {
	s := NewSystem(Config{Env: newRealEnv()})
	defer shutdown(b, s)
	back := make(chan any, 1)
	edge := s.Edge("conn", func(msg any) { back <- msg })
	pid := mustSpawn(b, s, spec("echo", func(ctx *Context, msg any) {
		if m, ok := msg.(*token); ok {
			ctx.Send(edge, m)
		}
	}))
	m := &token{}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		s.Send(pid, m)
		<-back
	}
}

// BenchmarkIdleActor reports the memory of an actor that has nothing to do, after one message.
func BenchmarkIdleActor(b *testing.B) {
	s := NewSystem(Config{Env: newRealEnv()})
	defer shutdown(b, s)
	before := heapInUse()
	shared := receiveFunc(func(*Context, any) {})
	b.ReportAllocs()
	b.ResetTimer()
	var pid PID
	for range b.N {
		pid = mustSpawn(b, s, Spec{New: func() Actor { return shared }})
		s.Send(pid, &token{})
	}
	for s.Stats().Processed < uint64(2*b.N) {
		runtime.Gosched()
	}
	b.StopTimer()
	b.ReportMetric(float64(heapInUse()-before)/float64(b.N), "B/actor")
}

// BenchmarkSystem reports the memory of a system without actors.
func BenchmarkSystem(b *testing.B) {
	before := heapInUse()
	var all []*System
	for range b.N {
		all = append(all, NewSystem(Config{Env: newRealEnv()}))
	}
	b.ReportMetric(float64(heapInUse()-before)/float64(b.N), "B/system")
	for _, s := range all {
		shutdown(b, s)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
