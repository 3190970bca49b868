package producer

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Marker is the end of a transaction in this log, as the transaction coordinator orders it.
type Marker struct {
	ProducerID       protocol.ProducerID
	Epoch            protocol.ProducerEpoch
	Commit           bool
	CoordinatorEpoch int32
}

// Completed is a transaction that a marker ended, from its first offset to the marker, inclusive. An aborted one goes to the
// transaction index together with the last stable offset as it is when the marker is in. Source: CompletedTxn, AbortedTxn.
type Completed struct {
	ProducerID       protocol.ProducerID
	First, Last      int64
	Aborted          bool
	LastStableOffset int64
}

// CheckMarker decides whether the marker may be appended: neither its producer's epoch nor its coordinator's may be older than the
// last seen. A marker without a transaction is taken; it fences. Source: ProducerAppendInfo.appendEndTxnMarker.
func (s *State) CheckMarker(m Marker) protocol.Fault {
	e := s.entries[m.ProducerID]
	switch {
	case e == nil:
		return protocol.Fault{}
	case m.Epoch < e.epoch:
		return refuse(protocol.InvalidProducerEpoch, "marker with epoch %d of producer %d, which is at epoch %d", m.Epoch, m.ProducerID, e.epoch).Fault
	case m.CoordinatorEpoch < e.coordinatorEpoch:
		return refuse(protocol.TxnCoordinatorFenced, "marker for producer %d by coordinator epoch %d, after one by epoch %d", m.ProducerID, m.CoordinatorEpoch, e.coordinatorEpoch).Fault
	}
	return protocol.Fault{}
}

// ApplyMarker records that the marker was given the offset at and the timestamp ts (milliseconds). ok is false if it ended no
// transaction here. Undone by Rollback until Commit.
func (s *State) ApplyMarker(m Marker, at, ts int64) (c Completed, ok bool) {
	e := s.touch(m.ProducerID)
	e.enter(m.Epoch)
	e.coordinatorEpoch, e.timestamp = m.CoordinatorEpoch, ts
	s.markers++
	e.guard = s.markers
	if e.txnFirst == noOffset {
		return Completed{}, false
	}
	u := &s.undo[len(s.undo)-1]
	u.ended, u.open, u.decided = true, slices.Clone(s.open), slices.Clone(s.decided)

	c = Completed{ProducerID: m.ProducerID, First: e.txnFirst, Last: at, Aborted: !m.Commit}
	e.txnFirst = noOffset
	i, found := s.findOpen(c.First)
	invariant.Check(found, "producer %d ends a transaction from %d that is not open", m.ProducerID, c.First)
	s.open = slices.Delete(s.open, i, i+1)
	c.LastStableOffset = at + 1
	if len(s.open) > 0 {
		c.LastStableOffset = s.open[0].first
	}
	s.decide(span{c.First, at})
	return c, true
}

func (s *State) findOpen(first int64) (int, bool) {
	return slices.BinarySearchFunc(s.open, first, func(t txn, first int64) int {
		switch {
		case t.first < first:
			return -1
		case t.first > first:
			return 1
		}
		return 0
	})
}

// decide adds a transaction whose marker is the newest. Those that began after it cannot be the first unstable one any more: they
// become stable before it does.
func (s *State) decide(d span) {
	n := len(s.decided)
	for n > 0 && s.decided[n-1].first >= d.first {
		n--
	}
	s.decided = append(s.decided[:n], d)
}

// LSO is the last stable offset, exclusive: what a read_committed reader may read up to, given the high watermark hw. hw must not
// fall between calls: transactions whose marker is below it are stable for good. Source: UnifiedLog.fetchLastStableOffset,
// ProducerStateManager.onHighWatermarkUpdated.
func (s *State) LSO(hw int64) int64 {
	n := 0
	for n < len(s.decided) && s.decided[n].last < hw {
		n++
	}
	if n > 0 {
		s.decided = slices.Delete(s.decided, 0, n)
	}
	if first, ok := s.FirstUnstable(); ok {
		return min(hw, first)
	}
	return hw
}

// FirstUnstable is the first offset of a transaction that is open or that was not stable at the last LSO.
func (s *State) FirstUnstable() (offset int64, ok bool) {
	switch {
	case len(s.open) == 0 && len(s.decided) == 0:
		return 0, false
	case len(s.open) == 0:
		return s.decided[0].first, true
	case len(s.decided) == 0:
		return s.open[0].first, true
	}
	return min(s.open[0].first, s.decided[0].first), true
}

// Ongoing reports whether the producer has a transaction open in this log. A transactional batch of a producer without one begins
// it, which is when its coordinator must be asked (KIP-890).
func (s *State) Ongoing(id protocol.ProducerID) bool {
	e := s.entries[id]
	return e != nil && e.txnFirst != noOffset
}

// Guard changes with every marker of the producer. Who asks the coordinator whether a transaction is going on (KIP-890) remembers it
// with the question, and begins the transaction here only if it is the same at the answer: else the transaction that was asked
// about may have ended in between, and its late first batch would hang for ever. A counter and not a flag, because the producer may
// have begun, and ended, another one meanwhile. Source: KAFKA-14884, VerificationGuard.
func (s *State) Guard(id protocol.ProducerID) uint64 {
	if e := s.entries[id]; e != nil {
		return e.guard
	}
	return 0
}

// OpenTransactions is the number of transactions without a marker.
func (s *State) OpenTransactions() int { return len(s.open) }

// undo is how one change is taken back.
type undo struct {
	entry   entry // as it was; only its id if created
	created bool
	opened  int // transactions open before
	// By a marker that ended a transaction:
	ended   bool
	open    []txn
	decided []span
}

// Commit says that everything applied so far is in the log.
func (s *State) Commit() {
	clear(s.undo) // lets go of what markers saved
	s.undo = s.undo[:0]
}

// Rollback takes back everything applied since the last Commit: nothing of it is in the log. LSO must not have been called since.
func (s *State) Rollback() {
	for i := len(s.undo) - 1; i >= 0; i-- {
		u := &s.undo[i]
		if u.ended {
			s.open, s.decided = u.open, u.decided
		}
		s.open = s.open[:u.opened]
		if u.created {
			delete(s.entries, u.entry.id)
		} else {
			*s.entries[u.entry.id] = u.entry
		}
	}
	s.Commit()
}
