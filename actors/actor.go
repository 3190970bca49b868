package actors

// Actor is one unit of state with one thread of control: its messages are delivered one at a time, never beside each other.
type Actor interface {
	// Receive handles one message. It must not block: it sends, remembers, and goes on at the answer. A panic is a failure: the
	// actor is stopped and never restarted by the runtime.
	Receive(ctx *Context, msg any)
}

// TurnEnder is implemented by an actor that batches its effects. EndTurn is called once after the messages of one turn: when the
// mailbox ran empty or the turn's bound was reached, and before Stopping. It is not called after a failure.
type TurnEnder interface {
	EndTurn(ctx *Context)
}

// FailureHandler is implemented by an actor that holds parked requests. Failed is called once, after a panic of the actor and
// instead of Stopping, so that what is parked ends answered. The actor's state may be half changed: Failed may send and nothing
// else. A panic in it is counted and otherwise ignored.
type FailureHandler interface {
	Failed(ctx *Context, cause error)
}

// Lifecycle messages, delivered to Receive.
type (
	// Started is an actor's first message.
	Started struct{}
	// Stopping is the last message of an actor that was stopped; a failed actor does not get it. Its children still run.
	Stopping struct{}
	// Terminated tells a parent and the watchers that an actor has stopped for good and its name is free. It arrives after every
	// message that actor sent. Cause is nil for an ordinary stop, a *Failure after a panic, ErrUnknownActor if there was no such
	// actor to watch.
	Terminated struct {
		Who   PID
		Cause error
	}
	// RequestTimedOut is delivered in place of the reply to the request ID.
	RequestTimedOut struct {
		ID uint64
		To PID
	}
)

// Spec says how to make an actor.
type Spec struct {
	// Name is unique among the children of one parent; a child's id is parent/name. Empty means a generated one.
	Name string
	// New is called on the actor's own first turn: what it builds belongs to the actor, and its panic is the actor's failure.
	New func() Actor
	// Messages and Bytes bound the mailbox; 0 means MailboxMessages and MailboxBytes. At the bound a message is refused, except
	// replies, timers and what an actor sends to itself: these are bounded by what the actor asked for.
	Messages int
	Bytes    int
}

const (
	// MailboxMessages is the default bound of a mailbox.
	MailboxMessages = 16 << 10
	// MailboxBytes is the default bound of the weight (Sized) of the messages in a mailbox. One message heavier than the bound is
	// taken by an empty mailbox.
	MailboxBytes = 64 << 20
	// TurnMessages is the default number of messages of one turn.
	TurnMessages = 256
)
