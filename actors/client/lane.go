package client

import (
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// credit is how much an actor may be given before it acknowledges.
type credit struct{ records, bytes int }

// lane is the flow of one partition from the log to the actor that has it:
//
//	clean <= acked <= ... out ... <= delivered <= ... buffer ... <= position
//
// Offsets below acked are done, out is delivered and not acknowledged, buffer is read and not delivered, position is read next.
type lane struct {
	committed int64 // by this group, as far as is known; -1: nothing
	clean     int64 // what committing would change nothing up to: committed, or where the lane began
	acked     int64
	delivered int64
	position  int64
	out       []unacknowledged
	buffer    []protocol.Record
}

// unacknowledged is a record that was delivered.
type unacknowledged struct {
	offset int64
	bytes  int
}

// begin starts at an offset.
func (l *lane) begin(offset int64) {
	*l = lane{committed: l.committed, clean: offset, acked: offset, delivered: offset, position: offset}
}

// fetched takes what was read; next is where to read on. The buffer must be empty: one read at a time.
func (l *lane) fetched(records []protocol.Record, next int64) {
	invariant.Check(len(l.buffer) == 0, "a read of %d records while %d are not delivered", len(records), len(l.buffer))
	l.buffer, l.position = records, max(l.position, next)
	l.pass()
}

// pass moves over what nobody is shown: the end of the buffer, markers, aborted records.
func (l *lane) pass() {
	if len(l.buffer) > 0 {
		return
	}
	if l.delivered = l.position; len(l.out) == 0 {
		l.acked = l.delivered
	}
}

// deliver takes the next records out of the buffer, as many as c and most allow, and takes them off c. The first goes while c has any
// byte left, whatever its size. next is what to acknowledge for all of them.
func (l *lane) deliver(c *credit, most int) (records []protocol.Record, next int64) {
	n := 0
	for n < min(most, len(l.buffer)) && c.records > 0 && c.bytes > 0 {
		size := l.buffer[n].Size()
		l.out = append(l.out, unacknowledged{l.buffer[n].Offset, size})
		c.records--
		c.bytes -= size
		n++
	}
	if n == 0 {
		return nil, l.delivered
	}
	records, l.buffer = l.buffer[:n:n], l.buffer[n:]
	l.delivered = records[n-1].Offset + 1
	if len(l.buffer) == 0 {
		l.delivered = l.position
	}
	return records, l.delivered
}

// acknowledge takes everything before next as done and gives its credit back. What was not delivered cannot be acknowledged.
func (l *lane) acknowledge(next int64, c *credit) {
	next = min(next, l.delivered)
	if next <= l.acked {
		return
	}
	l.acked = next
	n := 0
	for n < len(l.out) && l.out[n].offset < next {
		c.records++
		c.bytes += l.out[n].bytes
		n++
	}
	if l.out = l.out[n:]; len(l.out) == 0 {
		l.out = nil
		l.acked = l.delivered
	}
}

// drop forgets what is not acknowledged and gives its credit back: it will be read again.
func (l *lane) drop(c *credit) {
	for _, u := range l.out {
		c.records++
		c.bytes += u.bytes
	}
	l.out, l.buffer = nil, nil
	l.delivered, l.position = l.acked, l.acked
}

// dirty reports that something is acknowledged and not committed.
func (l *lane) dirty() bool { return l.acked > l.clean }

// kept says that everything below offset is committed.
func (l *lane) kept(offset int64) {
	l.committed = max(l.committed, offset)
	l.clean = max(l.clean, offset)
}
