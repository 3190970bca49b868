package actors

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
)

// ErrTimeout ends an Ask whose answer did not come in time.
var ErrTimeout = errors.New("no answer in time")

// asks are the questions from outside the actors. All share one edge: the correlation id tells them apart.
type asks struct {
	mu     sync.Mutex
	open   map[uint64]*ask // guarded by mu
	closed bool            // guarded by mu
	self   PID
}

type ask struct {
	done  func(reply any, err error)
	timer env.Timer // guarded by asks.mu
}

// Ask sends msg from outside any actor and calls done exactly once: with the reply, ErrTimeout or ErrStopped. done runs on any thread
// and must not block. A timeout <= 0 waits for ever.
func (s *System) Ask(to PID, msg Command, timeout time.Duration, done func(reply any, err error)) {
	s.ask(to, msg, timeout, done)
}

func (s *System) ask(to PID, msg Command, timeout time.Duration, done func(reply any, err error)) (id uint64) {
	id = s.nextID()
	msg.SetHead(s.asks.self, id)
	a := &ask{done: done}
	s.asks.mu.Lock()
	if s.asks.closed {
		s.asks.mu.Unlock()
		done(nil, ErrStopped)
		return id
	}
	s.asks.open[id] = a
	if timeout > 0 {
		a.timer = s.clock.AfterFunc(timeout, func() { s.asks.finish(id, nil, ErrTimeout) })
	}
	s.asks.mu.Unlock()
	s.Send(to, msg)
	return id
}

// AskWait is Ask for tests and command lines: it blocks until the answer or the end of ctx. Never call it from an actor.
func (s *System) AskWait(ctx context.Context, to PID, msg Command) (any, error) {
	type answer struct {
		reply any
		err   error
	}
	ch := make(chan answer, 1)
	id := s.ask(to, msg, 0, func(reply any, err error) { ch <- answer{reply, err} })
	select {
	case a := <-ch:
		return a.reply, a.err
	case <-ctx.Done():
		s.asks.finish(id, nil, context.Cause(ctx))
		a := <-ch
		return a.reply, a.err
	}
}

// deliver is the edge of all asks.
func (a *asks) deliver(s *System, msg any) {
	reply, ok := msg.(Reply)
	if !ok || !a.finish(reply.CorrelationID(), msg, nil) {
		s.stats.lateReplies.Add(1)
	}
}

// finish ends the ask id, if it is still open.
func (a *asks) finish(id uint64, reply any, err error) bool {
	a.mu.Lock()
	q, ok := a.open[id]
	delete(a.open, id)
	var timer env.Timer
	if ok {
		timer = q.timer
	}
	a.mu.Unlock()
	if !ok {
		return false
	}
	if timer != nil {
		timer.Stop()
	}
	q.done(reply, err)
	return true
}

// close ends every ask, in the order they were asked.
func (a *asks) close() {
	a.mu.Lock()
	a.closed = true
	ids := slices.Sorted(maps.Keys(a.open))
	a.mu.Unlock()
	for _, id := range ids {
		a.finish(id, nil, ErrStopped)
	}
}
