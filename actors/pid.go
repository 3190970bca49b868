package actors

import "github.com/asynkron/protoactor-go/actor"

// PID names an actor or an edge: its address (which node) and id (which mailbox). The zero value names nothing.
// A PID caches the mailbox it was resolved to, so one is never handed from one System to another: decoders build fresh ones.
type PID struct{ pid *actor.PID }

// NewPID builds a PID that is resolved when it is first sent to.
func NewPID(address, id string) PID { return PID{actor.NewPID(address, id)} }

// IsZero reports whether the PID names nothing.
func (p PID) IsZero() bool { return p.pid == nil }

// Address is the node the PID lives on.
func (p PID) Address() string {
	if p.pid == nil {
		return ""
	}
	return p.pid.Address
}

// ID is the name of the mailbox on its node.
func (p PID) ID() string {
	if p.pid == nil {
		return ""
	}
	return p.pid.Id
}

// Equal reports whether both name the same mailbox; == compares the cached resolution, not the name.
func (p PID) Equal(q PID) bool { return p.Address() == q.Address() && p.ID() == q.ID() }

func (p PID) String() string { return p.Address() + "/" + p.ID() }
