package api

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// offsetsTopic holds committed offsets.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
)

// coordinatorCommand is a command to a coordinator that knows its answer for a failure.
type coordinatorCommand interface {
	actors.Command
	Failed(code protocol.Code) any
}

// askTransaction sends a command to the coordinator of a transactional id, and calls done once: with its answer, or with the command's
// own for why there is none.
func (c *Call) askTransaction(id string, cmd coordinatorCommand, done func(reply any)) {
	to, code := c.Conn.Coordinators.Transaction(id)
	c.askCoordinator(to, code, cmd, done)
}

// askCoordinator is askTransaction with the coordinator known, or why it is not.
func (c *Call) askCoordinator(to actors.PID, code protocol.Code, cmd coordinatorCommand, done func(reply any)) {
	if code != protocol.None {
		done(cmd.Failed(code))
		return
	}
	c.Conn.Host.Ask(to, cmd, timeoutDefault, func(reply any, err error) {
		if err != nil {
			reply = cmd.Failed(protocol.CoordinatorNotAvailable) // clients look for it again
		}
		done(reply)
	})
}

// orEpoch is the code for clients that do not know PRODUCER_FENCED. Source: KIP-588.
func orEpoch(code protocol.Code, known bool) protocol.Code {
	if code == protocol.ProducerFenced && !known {
		return protocol.InvalidProducerEpoch
	}
	return code
}

// millis is a time on the wire as a duration.
func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }
