package producer

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// Verdict on a batch: append it (the zero value), answer it as the duplicate it is, or refuse it.
type Verdict struct {
	protocol.Fault // refuse with this, if it Failed
	// Duplicate says that the batch was appended before, at BaseOffset with the timestamp Timestamp (milliseconds): answer that.
	Duplicate             bool
	BaseOffset, Timestamp int64
}

// Append reports whether the batch is to be appended.
func (v Verdict) Append() bool { return !v.Duplicate && v.Code == protocol.None }

func refuse(code protocol.Code, format string, args ...any) Verdict {
	return Verdict{Fault: protocol.Fault{Code: code, Reason: fmt.Sprintf(format, args...)}}
}

// Check decides on a batch of data that a client or one of our coordinators wants to append; see the table in the package doc.
// It changes nothing. Source: UnifiedLog.analyzeAndValidateProducerState, ProducerAppendInfo.
func (s *State) Check(h Header) Verdict {
	if h.ProducerID < 0 {
		return Verdict{}
	}
	e := s.entries[h.ProducerID]
	switch {
	case e == nil && len(s.entries) >= s.cfg.MaxProducers:
		return refuse(protocol.ThrottlingQuotaExceeded, "the partition knows %d producers, which is its bound; producer %d may try again later", len(s.entries), h.ProducerID)
	case e == nil:
		return Verdict{}
	}
	if mutation.Is(mutation.NoDuplicateWindow) {
		return Verdict{}
	}
	if b, ok := e.find(h); ok {
		return Verdict{Duplicate: true, BaseOffset: b.lastOffset - int64(b.delta), Timestamp: b.timestamp}
	}
	if h.Epoch < e.epoch {
		return refuse(protocol.InvalidProducerEpoch, "epoch %d of producer %d is older than its epoch %d", h.Epoch, h.ProducerID, e.epoch)
	}
	if v := e.checkSequence(h); !v.Append() {
		return v
	}
	if e.txnFirst != noOffset && !h.Transactional {
		return refuse(protocol.InvalidTxnState, "producer %d has a transaction open since offset %d and sent a batch outside of it", h.ProducerID, e.txnFirst)
	}
	return Verdict{}
}

// find returns the remembered batch that h is a repetition of.
func (e *entry) find(h Header) (b batch, ok bool) {
	if h.Epoch != e.epoch || h.BaseSequence == record.NoSequence {
		return batch{}, false
	}
	for _, b := range e.window() {
		if b.lastSequence == h.LastSequence && b.baseSequence() == h.BaseSequence {
			return b, true
		}
	}
	return batch{}, false
}

// checkSequence checks that h comes next. It is no repetition, and its epoch is not older.
func (e *entry) checkSequence(h Header) Verdict {
	newest, known := e.newest()
	next := int32(0) // in a new epoch, and where a marker began the epoch
	switch {
	case h.Epoch != e.epoch:
	case !known:
		next = e.next
	case newest.lastSequence != record.NoSequence:
		next = record.AddSequence(newest.lastSequence, 1)
	}
	switch {
	case h.BaseSequence == record.NoSequence || h.BaseSequence == next:
		return Verdict{}
	case h.Epoch != e.epoch:
		return refuse(protocol.OutOfOrderSequence, "producer %d begins its epoch %d with sequence %d, not 0", h.ProducerID, h.Epoch, h.BaseSequence)
	case known && e.batches[0].lastSequence != record.NoSequence && before(h.LastSequence, e.batches[0].baseSequence()):
		return refuse(protocol.DuplicateSequence, "sequences %d to %d of producer %d were appended before the last %d batches", h.BaseSequence, h.LastSequence, h.ProducerID, e.count)
	}
	return refuse(protocol.OutOfOrderSequence, "producer %d sent sequence %d where %d comes next", h.ProducerID, h.BaseSequence, next)
}

// before reports whether sequence a is behind b by less than half the range.
func before(a, b int32) bool {
	d := subSequence(b, a)
	return d > 0 && d < 1<<30
}
