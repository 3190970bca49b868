package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// cell is one actor: its mailbox, its protoactor side and its Runtime in one allocation. An idle cell holds no queue.
//
// protoactor-go sees a cell twice. As actor.Mailbox it takes what protoactor posts and decides when to run. As actor.Actor it gets
// the lifecycle messages, which pass through protoactor's context because that keeps the tree (children stop before parents, the
// name is freed before the watchers hear of it). Ordinary messages go straight to Actor.Receive: protoactor's own invocation gives
// special meanings to message types nobody here sends.
//
// Two lanes: system messages (start, stop, watch) are handled before any ordinary message. scheduled is true from the moment the cell
// is given to the dispatcher until a run found nothing left, so a cell is never run by two workers.
type cell struct {
	mu        sync.Mutex
	scheduled bool // guarded by mu: given to the dispatcher, or running
	started   bool // guarded by mu: protoactor finished building its side
	closed    bool // guarded by mu: takes no ordinary messages any more
	ended     bool // guarded by mu: takes no system messages any more
	count     int  // guarded by mu: messages not yet delivered, up to one chunk more
	bytes     int  // guarded by mu: their weight, and that of the chunk being read
	user, ctl queue
	next      *cell // in the pool's ready list

	// Below: touched only by the cell's own turn, or before it started.
	sys     *System
	proto   protoContext
	self    PID // written under mu when started is set
	limits  *limits
	actor   Actor
	context Context
	current *chunk // being read
	unended int    // messages delivered since EndTurn
	halt    halt
	more    *extras
}

// halt says why a cell delivers no further messages.
type halt uint8

const (
	running  halt = iota
	stopping      // asked to stop, or stopping
	failed        // a panic
)

// extras are what most actors do not have.
type extras struct {
	waits
	build    func() Actor // until started
	watchers []PID
	failure  *Failure
}

// limits bound a mailbox; actors with default bounds share one.
type limits struct{ messages, bytes int }

// protoContext is protoactor's *actorContext, as far as it is used.
type protoContext interface {
	actor.MessageInvoker
	actor.SpawnerContext
}

func weight(msg any) int {
	if s, ok := msg.(Sized); ok {
		return s.Size()
	}
	return 0
}

// exempt reports whether no bound refuses msg: replies are bounded by the requests, Terminated by the watches.
func exempt(msg any) bool {
	switch msg.(type) {
	case Reply, Terminated:
		return true
	}
	return false
}

// PostUserMessage implements actor.Mailbox.
func (c *cell) PostUserMessage(msg any) { c.post(msg, false) }

// post puts msg into the ordinary lane, or refuses it. A forced message bypasses the bounds.
func (c *cell) post(msg any, forced bool) {
	size := weight(msg)
	c.mu.Lock()
	full := c.count >= c.limits.messages || c.count > 0 && c.bytes+size > c.limits.bytes
	if c.closed || full && !forced && !exempt(msg) {
		self, why := c.self, RefusedOverload
		if c.closed {
			why = RefusedStopped
		}
		c.mu.Unlock()
		c.sys.refuse(self, msg, why)
		return
	}
	c.user.push(msg, size)
	c.count++
	c.bytes += size
	c.wakeAndUnlock()
}

// PostSystemMessage implements actor.Mailbox.
func (c *cell) PostSystemMessage(msg any) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		c.afterEnd(msg)
		return
	}
	c.ctl.push(msg, 0)
	c.wakeAndUnlock()
}

// RegisterHandlers implements actor.Mailbox. The dispatcher is the system's, not protoactor's.
func (c *cell) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	c.proto = invoker.(protoContext)
}

// Start implements actor.Mailbox. It is too early to run: protoactor has not returned the PID yet. See System.spawn.
func (c *cell) Start() {}

// UserMessageCount implements actor.Mailbox.
func (c *cell) UserMessageCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// wakeAndUnlock schedules the cell unless it is scheduled already. Called with mu held.
func (c *cell) wakeAndUnlock() {
	wake := c.started && !c.scheduled
	if wake {
		c.scheduled = true
	}
	c.mu.Unlock()
	if wake {
		c.sys.schedule(c)
	}
}

// run is one scheduled run: a turn of many messages in production, one step of a turn if the dispatcher wants single steps.
func (c *cell) run() {
	if c.sys.turn == 1 {
		c.step()
	} else {
		c.runTurn()
	}
	c.mu.Lock()
	c.account()
	again := !c.ctl.empty() || c.halt == running && (!c.user.empty() || c.current != nil || c.unended > 0)
	c.scheduled = again
	c.mu.Unlock()
	if again {
		c.sys.schedule(c)
	}
}

// runTurn handles up to System.turn messages and ends the turn.
func (c *cell) runTurn() {
	for left := c.sys.turn; ; {
		control := c.take()
		if control != nil {
			c.control(control)
			continue
		}
		if c.halt != running || c.current == nil || left <= 0 {
			break
		}
		left -= c.deliverUpTo(left)
	}
	c.endTurn()
}

// step does the next one thing: a system message, the end of a turn, or an ordinary message.
func (c *cell) step() {
	control := c.take()
	switch {
	case control != nil:
		c.control(control)
	case c.halt != running:
	case c.unended > 0 && (c.current == nil || c.unended >= c.sys.turnMessages):
		c.endTurn()
	case c.current != nil:
		c.deliverUpTo(1)
		if _, ok := c.actor.(TurnEnder); !ok {
			c.endTurn()
		}
	}
}

// take settles accounts, and returns the next system message or, if there is none, makes current the next chunk.
func (c *cell) take() (control any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.account()
	if msg := c.ctl.pop(); msg != nil {
		return msg
	}
	if c.current == nil && c.halt == running {
		c.current = c.user.detach()
	}
	return nil
}

// account takes the messages that were read off the count, and gives back a chunk that is read to its end. Their weight counts until
// then. Called with mu held.
func (c *cell) account() {
	ch := c.current
	if ch == nil {
		return
	}
	c.count -= int(ch.r - ch.settled)
	if ch.settled = ch.r; ch.r == ch.w {
		c.bytes -= ch.bytes
		ch.free()
		c.current = nil
	}
}

// deliverUpTo delivers up to n messages of the current chunk and returns how many.
func (c *cell) deliverUpTo(n int) (done int) {
	defer c.caught()
	for c.halt == running && done < n {
		msg := c.current.pop()
		if msg == nil {
			break
		}
		done++
		c.deliver(msg)
	}
	return done
}

// deliver hands one ordinary message to the actor, after the runtime's own bookkeeping for timers, requests and offloaded work.
func (c *cell) deliver(msg any) {
	switch m := msg.(type) {
	case *pending:
		if !c.expire(m) {
			return
		}
		msg = m.msg
	case alarm:
		c.ring()
		return
	case requestDue:
		to, ok := c.answered(m.id)
		if !ok {
			return
		}
		msg = RequestTimedOut{ID: m.id, To: to}
	case *offloaded:
		if m.panicked != nil {
			panic(m.panicked)
		}
		msg = m.result
	case Reply:
		if id := m.CorrelationID(); id != 0 {
			if _, ok := c.answered(id); !ok {
				c.sys.stats.lateReplies.Add(1)
				return
			}
		}
	}
	c.receive(msg)
}

func (c *cell) receive(msg any) {
	c.unended++
	if c.sys.config.Trace != nil {
		c.sys.config.Trace(c.self, msg)
	}
	c.actor.Receive(&c.context, msg)
}

// endTurn closes a turn in which something was delivered.
func (c *cell) endTurn() {
	if c.unended == 0 {
		return
	}
	c.sys.stats.processed.Add(uint64(c.unended))
	c.unended = 0
	if e, ok := c.actor.(TurnEnder); ok && c.halt != failed {
		defer c.caught()
		e.EndTurn(&c.context)
	}
}
