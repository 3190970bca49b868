package actors

// Command is a message that wants one answer: the runtime fills in where it goes and the correlation id it must carry.
type Command interface{ SetHead(replyTo PID, id uint64) }

// Reply is a message that answers a Command.
type Reply interface{ CorrelationID() uint64 }

// Refusable is a message that must be answered even by a mailbox that cannot take it. Refused builds that answer.
type Refusable interface {
	Refused(why Refusal) (to PID, answer any)
}

// Refusal says why a mailbox did not take a message.
type Refusal uint8

const (
	// RefusedOverload: the mailbox is at its bound.
	RefusedOverload Refusal = iota
	// RefusedStopped: the actor stopped before it came to the message.
	RefusedStopped
	// RefusedUnknown: there is no such actor.
	RefusedUnknown
)

// Sized is a message whose weight counts against the byte bound of a mailbox.
type Sized interface {
	Size() int // bytes
}
