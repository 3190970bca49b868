package replica

import (
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// HighWatermark is the exclusive end of the committed records.
func (l *Leader) HighWatermark() int64 { return l.hw }

// advance moves the high watermark to what every member of the maximal in-sync set has. It is the only place that moves it.
// Source: Partition.maybeIncrementLeaderHW.
func (l *Leader) advance() {
	if len(l.term.ISR) < l.term.MinISR {
		return
	}
	low := l.position(&l.members[0])
	for i := 1; i < len(l.members); i++ {
		low = min(low, l.position(&l.members[i]))
	}
	if low > l.hw {
		l.checkMove(low)
		l.hw = low
	}
}

// position is how far a member counts.
func (l *Leader) position(m *member) int64 {
	if l.term.Durability == protocol.DurabilityDisk && !mutation.Is(mutation.WatermarkBeforeFlush) {
		return m.flushed
	}
	return m.end
}

// checkMove asserts what must hold of a high watermark, from the facts and not from how advance came to it. The arguments of a Check
// are allocated, so what may be called in every turn makes them only to fail.
func (l *Leader) checkMove(hw int64) {
	if l.term.MinISR > len(l.term.ISR) || len(l.members) < len(l.term.ISR) {
		invariant.Check(false, "I-MINISR: high watermark to %d with %d in sync, %d needed", hw, len(l.term.ISR), l.term.MinISR)
	}
	if me := &l.members[l.self]; me.node != l.term.Self || hw > me.end {
		invariant.Check(false, "I-HW: high watermark to %d, the log ends at %d", hw, me.end)
	}
	for i := range l.members {
		m := &l.members[i]
		if hw > m.end {
			invariant.Check(false, "I-HW: high watermark to %d, node %d is at %d", hw, m.node, m.end)
		}
		if l.term.Durability == protocol.DurabilityDisk && hw > m.flushed {
			invariant.Check(false, "I-HWDUR: high watermark to %d, node %d has %d on disk", hw, m.node, m.flushed)
		}
	}
}
