package actors

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

var (
	// ErrUnknownActor is the Cause of a Terminated for a PID that names no living actor.
	ErrUnknownActor = errors.New("no such actor")
	// ErrStopped says the system was shut down.
	ErrStopped = errors.New("actor system stopped")
)

// Failure is a panic of an actor, an edge or offloaded work.
type Failure struct {
	Actor PID
	Panic any // the value
	Stack []byte
}

func (f *Failure) Error() string { return fmt.Sprintf("actor %s failed: %v", f.Actor.ID(), f.Panic) }

// Unwrap is the value if the panic was one of an error.
func (f *Failure) Unwrap() error {
	err, _ := f.Panic.(error)
	return err
}

type (
	watch   struct{ watcher PID }
	unwatch struct{ watcher PID }
)

// control handles one system message.
func (c *cell) control(msg any) {
	switch m := msg.(type) {
	case *watch:
		if !slices.ContainsFunc(c.extras().watchers, m.watcher.Equal) {
			c.more.watchers = append(c.more.watchers, m.watcher)
		}
	case *unwatch:
		if c.more != nil {
			c.more.watchers = slices.DeleteFunc(c.more.watchers, m.watcher.Equal)
		}
	default:
		c.proto.InvokeSystemMessage(msg)
	}
}

// afterEnd answers a system message that came too late.
func (c *cell) afterEnd(msg any) {
	if m, ok := msg.(*watch); ok {
		c.sys.Send(m.watcher, Terminated{Who: c.self, Cause: ErrUnknownActor})
	}
}

// Receive implements actor.Actor: protoactor's lifecycle. It is never called for ordinary messages.
func (c *cell) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		c.begin()
	case *actor.Stopping:
		c.wind()
	case *actor.Stopped:
		c.end()
	case *actor.Terminated:
		c.childEnded(m.Who)
	}
}

// childEnded queues Terminated for the actor. It runs when protoactor has forgotten the child: were it announced by the child itself,
// a parent that spawns the name anew could be faster than protoactor, which would then forget the new child for the old.
func (c *cell) childEnded(child *actor.PID) {
	c.sys.mu.Lock()
	f := c.sys.failures[child]
	delete(c.sys.failures, child)
	c.sys.mu.Unlock()
	c.post(terminated(PID{child}, f), true)
}

func terminated(who PID, f *Failure) Terminated {
	if f == nil {
		return Terminated{Who: who} // a nil *Failure is no nil error
	}
	return Terminated{Who: who, Cause: f}
}

// begin builds the actor and delivers Started.
func (c *cell) begin() {
	defer c.caught()
	build := c.more.build
	c.more = nil
	c.actor = build()
	c.receive(Started{})
}

// wind ends the last turn, tells the actor, closes the mailbox and refuses what is in it.
func (c *cell) wind() {
	if c.halt == running {
		c.halt = stopping
	}
	c.endTurn()
	if c.halt == stopping {
		c.sayStopping()
	}
	if c.halt == failed {
		c.sayFailed()
	}
	c.sys.stats.processed.Add(uint64(c.unended))
	c.unended = 0
	c.cancelAll()
	c.mu.Lock()
	c.closed = true
	current, rest := c.current, c.user
	c.current, c.user, c.count, c.bytes = nil, queue{}, 0, 0
	c.mu.Unlock()
	if current != nil {
		c.refuseAll(current)
	}
	for ch := rest.detach(); ch != nil; ch = rest.detach() {
		c.refuseAll(ch)
	}
}

func (c *cell) sayStopping() {
	if c.actor == nil {
		return // stopped before it was built
	}
	defer c.caught()
	c.receive(Stopping{})
}

func (c *cell) sayFailed() {
	if h, ok := c.actor.(FailureHandler); ok {
		defer c.caught()
		h.Failed(&c.context, c.more.failure)
	}
}

func (c *cell) refuseAll(ch *chunk) {
	for msg := ch.pop(); msg != nil; msg = ch.pop() {
		c.sys.refuse(c.self, msg, RefusedStopped)
	}
	ch.free()
}

// end runs when the children are gone and the name is free: it tells those who wait for it. The parent hears of it from protoactor.
func (c *cell) end() {
	c.mu.Lock()
	c.ended = true
	late := c.ctl
	c.ctl = queue{}
	c.mu.Unlock()
	x := c.extras()
	parent := PID{c.proto.Parent()}
	if x.failure != nil && !parent.IsZero() {
		c.sys.mu.Lock()
		c.sys.failures[c.self.pid] = x.failure
		c.sys.mu.Unlock()
	}
	said := terminated(c.self, x.failure)
	for _, w := range x.watchers {
		if !w.Equal(parent) {
			c.sys.Send(w, said)
		}
	}
	for msg := late.pop(); msg != nil; msg = late.pop() {
		if m, ok := msg.(*watch); ok && !m.watcher.Equal(parent) {
			c.sys.Send(m.watcher, said)
		}
	}
	c.actor, c.more = nil, nil
	c.sys.left(c)
}

// caught is deferred around every call of the actor's code.
func (c *cell) caught() {
	if p := recover(); p != nil {
		c.fail(p, debug.Stack())
	}
}

// fail records a panic and stops the actor. A second panic, while the first is being dealt with, is only reported.
func (c *cell) fail(p any, stack []byte) {
	f := &Failure{Actor: c.self, Panic: p, Stack: stack}
	if o, ok := p.(*Failure); ok {
		f = o // of offloaded work, with its own stack
	}
	if c.extras().failure == nil {
		c.more.failure = f
	}
	c.halt = failed
	c.sys.report(*f)
	c.PostSystemMessage(&actor.Stop{})
}

// report counts, logs and announces a failure.
func (s *System) report(f Failure) {
	s.stats.failures.Add(1)
	s.log.Error("actor failed", "actor", f.Actor.ID(), "panic", fmt.Sprint(f.Panic), "stack", string(f.Stack))
	if s.config.OnFailure != nil {
		s.config.OnFailure(f)
	}
}

func (c *cell) extras() *extras {
	if c.more == nil {
		c.more = new(extras)
	}
	return c.more
}
