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

	view    atomic.Pointer[View]
	traffic *Traffic
}

// NewHandle builds a handle that serves v. The partition host builds the real ones; others build them for tests.
func NewHandle(tp protocol.TopicPartition, topicName string, pid actors.PID, v *View) *Handle {
	h := &Handle{Partition: tp, TopicName: topicName, PID: pid, traffic: &Traffic{}}
	h.view.Store(v)
	return h
}

// View is what can be read now: immutable, never nil, good on any goroutine for as long as it is held.
func (h *Handle) View() *View { return h.view.Load() }

// Publish replaces the view. Only the partition's actor calls it (and, once that has stopped, the host).
func (h *Handle) Publish(v *View) { h.view.Store(v) }

// Traffic is what went into a replica here and out of it since the node started; it passes to the next Handle of the partition. Records
// are counted as offsets: what compaction or an abort takes from a reader counts too. The two halves are written by different threads and
// lie apart, so that they do not share a line of the cache.
type Traffic struct {
	RecordsIn, BatchesIn, BytesIn atomic.Int64 // by the actor alone: what it appended, markers of transactions included
	_                             [128]byte
	RecordsOut, BytesOut          atomic.Int64 // by whoever read for a consumer
}

// Traffic of the partition; never nil.
func (h *Handle) Traffic() *Traffic { return h.traffic }

// Fetched counts what was given to a consumer.
func (t *Traffic) Fetched(records, bytes int64) {
	t.RecordsOut.Add(records)
	t.BytesOut.Add(bytes)
}
