package producer

import (
	"math"
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
// last seen. A marker without a transaction is taken: it fences, or repeats one whose answer its coordinator did not get. From
// transaction version 2 on, which the log does not say, a marker's epoch is the one after that of the records it ends (KIP-890): if it is
// the same, a late marker of the transaction before would end this one (KIP-1228); but nothing comes after the last epoch. Source: ProducerAppendInfo.appendEndTxnMarker, checkProducerEpoch.
func (s *State) CheckMarker(m Marker, version int16) protocol.Fault {
	e := s.entries[m.ProducerID]
	switch {
	case e == nil:
		return protocol.Fault{}
	case m.Epoch < e.epoch:
		return refuse(protocol.InvalidProducerEpoch, "marker with epoch %d of producer %d, which is at epoch %d", m.Epoch, m.ProducerID, e.epoch).Fault
	case version >= 2 && m.Epoch == e.epoch && e.txnFirst != noOffset && m.Epoch != math.MaxInt16:
		return refuse(protocol.InvalidProducerEpoch, "marker of an earlier transaction: producer %d has written with its epoch %d since offset %d", m.ProducerID, m.Epoch, e.txnFirst).Fault
	case m.CoordinatorEpoch < e.coordinatorEpoch:
		return refuse(protocol.TxnCoordinatorFenced, "marker for producer %d by coordinator epoch %d, after one by epoch %d", m.ProducerID, m.CoordinatorEpoch, e.coordinatorEpoch).Fault
	}
	return protocol.Fault{}
}

// ApplyMarker records that the marker was given the offset at and the timestamp ts (milliseconds). ok is false if it ended no
// transaction here. At Config.MaxProducers one of an unknown producer is not remembered: it ended nothing here, and what it would have
// fenced off is refused by its coordinator, which is asked before a transaction begins. Undone by Rollback until Commit.
func (s *State) ApplyMarker(m Marker, at, ts int64) (c Completed, ok bool) {
	if s.entries[m.ProducerID] == nil && len(s.entries) >= s.cfg.MaxProducers {
		s.markers++
		s.passed = s.markers
		return Completed{}, false
	}
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
	e.txnFirst, e.restored = noOffset, false
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
