package actors

import (
	"log/slog"
	"time"
)

// Context is what an actor sees of the world while it handles a message. It is valid for the life of the actor, on the actor's own
// turns only: work given to Offload and callbacks must not use it.
type Context struct{ rt Runtime }

// NewContext builds a Context over a Runtime: the real one here, a recording one in actortest.
func NewContext(rt Runtime) *Context { return &Context{rt} }

// Runtime carries out the effects of one actor. The methods are those of Context.
type Runtime interface {
	Self() PID
	System() *System
	Now() time.Time
	Mono() time.Duration
	Rand() uint64
	Logger() *slog.Logger
	Send(to PID, msg any)
	Request(to PID, msg Command, timeout time.Duration) uint64
	Spawn(spec Spec) PID
	Stop(pid PID)
	Watch(pid PID)
	Unwatch(pid PID)
	After(d time.Duration, msg any) TimerID
	Cancel(id TimerID)
	Offload(work func() any)
}

// Self is the actor's own PID.
func (c *Context) Self() PID { return c.rt.Self() }

// System is the system the actor lives in.
func (c *Context) System() *System { return c.rt.System() }

// Now is the wall clock.
func (c *Context) Now() time.Time { return c.rt.Now() }

// Mono is the monotonic clock: the one for deadlines and durations.
func (c *Context) Mono() time.Duration { return c.rt.Mono() }

// Rand is 64 bits of chance.
func (c *Context) Rand() uint64 { return c.rt.Rand() }

// Logger is the system's logger.
func (c *Context) Logger() *slog.Logger { return c.rt.Logger() }

// Send delivers msg to the mailbox of to and returns at once. What cannot be delivered is answered if it is Refusable, and counted.
// Messages of one sender to one receiver arrive in order. Sends to itself bypass the mailbox bound.
func (c *Context) Send(to PID, msg any) { c.rt.Send(to, msg) }

// Request sends msg after filling in its head with Self and a fresh id, which it returns. Exactly one of two things is delivered to
// Receive: the Reply with that id, or RequestTimedOut. A reply that comes later, or to nothing asked, is dropped and counted; a reply
// with id 0 is no reply of the runtime's and always delivered. Ids are unique in the system.
func (c *Context) Request(to PID, msg Command, timeout time.Duration) (id uint64) {
	return c.rt.Request(to, msg, timeout)
}

// Spawn starts a child. The parent gets Terminated when it ends, and ends its children when it stops. A name already taken is a
// failure of the caller.
func (c *Context) Spawn(spec Spec) PID { return c.rt.Spawn(spec) }

// Stop asks an actor to stop: it overtakes the messages in its mailbox, which are refused.
func (c *Context) Stop(pid PID) { c.rt.Stop(pid) }

// StopSelf stops the actor after the current message.
func (c *Context) StopSelf() { c.rt.Stop(c.rt.Self()) }

// Watch asks for Terminated when pid ends, or at once if it does not live. Watching twice is watching once.
func (c *Context) Watch(pid PID) { c.rt.Watch(pid) }

// Unwatch withdraws Watch; a Terminated already on its way still arrives.
func (c *Context) Unwatch(pid PID) { c.rt.Unwatch(pid) }

// After delivers msg to the actor itself d from now, never after it stopped.
func (c *Context) After(d time.Duration, msg any) TimerID { return c.rt.After(d, msg) }

// Cancel withdraws a timer: its message is not delivered even if it was already due. Cancelling what fired is nothing.
func (c *Context) Cancel(id TimerID) { c.rt.Cancel(id) }

// Offload runs blocking work beside the actors and delivers its result to the actor as a message (nil delivers nothing). work must
// not touch the actor's state. A panic in it is a failure of the actor. A result that comes after the actor stopped is refused.
func (c *Context) Offload(work func() any) { c.rt.Offload(work) }
