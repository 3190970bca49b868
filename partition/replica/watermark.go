package replica

import (
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// HighWatermark is the exclusive end of the committed records.
func (l *Leader) HighWatermark() int64 { return l.hw }

// advance moves the high watermark to what every member of the maximal in-sync set has. It is the only place that moves it.
func (l *Leader) advance() {
	if len(l.members) < l.term.MinISR {
		return
	}
	low := l.position(l.members[0])
	for _, m := range l.members[1:] {
		low = min(low, l.position(m))
	}
	if low <= l.hw {
		return
	}
	me := l.members[l.self]
	invariant.Check(low <= me.end, "the high watermark would pass the log end: %d > %d", low, me.end)
	invariant.Check(l.term.Durability != protocol.DurabilityDisk || low <= me.flushed, "the high watermark would pass what is on disk: %d > %d", low, me.flushed)
	l.hw = low
}

// position is how far a member counts.
func (l *Leader) position(m member) int64 {
	if l.term.Durability == protocol.DurabilityDisk {
		return m.flushed
	}
	return m.end
}
