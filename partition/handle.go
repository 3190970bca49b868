package partition

import (
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Handle is one incarnation of a partition replica on this node: where to send to and what to read. Look it up in the Table for
// every request; when the actor fails and the log is opened again the Table gets a new Handle.
type Handle struct {
	Partition protocol.TopicPartition
	// TopicName is for messages to people and metrics.
	TopicName string
	// Dir is the name of the log directory it lives in (Dir.Name).
	Dir string
	// PID of the actor; zero if the log could not be opened, and then View().Err says why. Fixed for the life of the Handle.
	PID actors.PID

	view atomic.Pointer[View]
}

// NewHandle builds a handle that serves v. The partition host builds the real ones; others build them for tests.
func NewHandle(tp protocol.TopicPartition, topicName string, pid actors.PID, v *View) *Handle {
	h := &Handle{Partition: tp, TopicName: topicName, PID: pid}
	h.view.Store(v)
	return h
}

// View is what can be read now: immutable, never nil, good on any goroutine for as long as it is held.
func (h *Handle) View() *View { return h.view.Load() }

// Publish replaces the view. Only the partition's actor calls it (and, once that has stopped, the host).
func (h *Handle) Publish(v *View) { h.view.Store(v) }
