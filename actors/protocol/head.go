package protocol

import "github.com/troupe-broker/troupe/actors"

// Head is the first field of every command: the return address and the sender's correlation id, which the answer carries back.
type Head struct {
	ReplyTo actors.PID
	ID      uint64
}

// SetHead is called by the requester's runtime (actors.Context.Request, actors.System.Ask).
func (h *Head) SetHead(replyTo actors.PID, id uint64) { h.ReplyTo, h.ID = replyTo, id }

// Answer is the first field of every reply.
type Answer struct {
	ID uint64 // of the Head this answers
}

// CorrelationID makes a reply match its request.
func (a Answer) CorrelationID() uint64 { return a.ID }

// SetCorrelationID is used by generic refusals.
func (a *Answer) SetCorrelationID(id uint64) { a.ID = id }

// codeOf maps why a command could not be delivered to what Kafka's clients understand.
func codeOf(why actors.Refusal) Code {
	if why == actors.RefusedOverload {
		return ThrottlingQuotaExceeded
	}
	return NotLeaderOrFollower
}
