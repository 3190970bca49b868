package txn

import (
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// end decides EndTransaction. Source: TransactionCoordinator.endTransaction, endTransactionWithTV1.
//
// In TV2 the epoch tells which transaction is meant: the current one its end, the one before it the end of the transaction before.
//
//	                 abort          abort        commit         commit
//	                 epoch before   now          epoch before   now
//	Empty            fenced         takes epoch  fenced         INVALID_TXN_STATE
//	Ongoing          fenced         decides      fenced         decides
//	PrepareAbort     the same       waits        INVALID        waits
//	PrepareCommit    INVALID        waits        the same       waits
//	CompleteAbort    the same       takes epoch  INVALID        INVALID
//	CompleteCommit   INVALID        takes epoch  the same       INVALID
//
// An abort that takes an epoch is of a transaction in which the client began to write without that anything was added.
func (t *Transaction) end(now step.Now, c *protocol.EndTransaction, out *step.Out) (protocol.Code, bool) {
	cur := t.current()
	if !c.Bump {
		return t.endTV1(now, c, out)
	}
	repeated := cur.follows(c.ProducerID, c.ProducerEpoch)
	if !repeated {
		if code, wait := cur.admits(c.ProducerID, c.ProducerEpoch); code != protocol.None || wait {
			return code, !wait
		}
	}
	switch {
	case !repeated && cur.status == Ongoing, !repeated && !c.Commit:
		return t.decideEnd(now, c, out)
	case !repeated:
		return protocol.InvalidTxnState, true
	case cur.status == Ongoing && mutation.Is(mutation.EndOfNext):
		return t.decideEnd(now, c, out)
	case cur.status == Empty || cur.status == Ongoing:
		return protocol.ProducerFenced, true
	case cur.committed() != c.Commit:
		return protocol.InvalidTxnState, true
	}
	t.answerEnd(c, out)
	return protocol.None, true
}

// follows reports whether the producer is the one before a TV2 end, which it may ask for again.
func (h *hard) follows(id protocol.ProducerID, epoch protocol.ProducerEpoch) bool {
	overflowed := h.epoch == 0 && h.previous != h.producer && id == h.previous && epoch == maxEpoch-1
	return h.known && h.version >= tv2 && (overflowed || id == h.producer && epoch >= 0 && epoch == h.epoch-1)
}

func (t *Transaction) endTV1(now step.Now, c *protocol.EndTransaction, out *step.Out) (protocol.Code, bool) {
	cur := t.current()
	if code, wait := cur.admits(c.ProducerID, c.ProducerEpoch); code != protocol.None || wait && c.ProducerID != cur.producer {
		return code, !wait
	}
	switch {
	case cur.status == Ongoing:
		return t.decideEnd(now, c, out)
	case cur.status == Empty || cur.committed() != c.Commit:
		return protocol.InvalidTxnState, true
	}
	t.answerEnd(c, out)
	return protocol.None, true
}

// committed reports whether the last end was, or is to be, a commit.
func (h *hard) committed() bool { return h.status == PrepareCommit || h.status == CompleteCommit }

func (t *Transaction) decideEnd(now step.Now, c *protocol.EndTransaction, out *step.Out) (protocol.Code, bool) {
	version := int16(0)
	if c.Bump {
		version = tv2
	}
	if code, decided := t.prepare(now, c.Commit, version, out); code != protocol.None || !decided {
		return code, decided
	}
	t.answerEnd(c, out)
	return protocol.None, true
}

// answerEnd says what the producer goes on with, which is what it will be when the transaction has completed.
func (t *Transaction) answerEnd(c *protocol.EndTransaction, out *step.Out) {
	m := &protocol.TransactionEnded{Answer: protocol.Answer{ID: c.ID}, ProducerID: protocol.NoProducerID, ProducerEpoch: noEpoch}
	if c.Bump {
		m.ProducerID, m.ProducerEpoch = t.current().successor()
	}
	answer(c, m, out)
}

// successor is the producer after the completion. Source: TransactionMetadata.prepareComplete.
func (h *hard) successor() (protocol.ProducerID, protocol.ProducerEpoch) {
	if h.preparing() && h.version >= tv2 && h.next != protocol.NoProducerID {
		return h.next, 0
	}
	return h.producer, h.epoch
}

// prepare decides how the transaction ends. Source: TransactionMetadata.prepareAbortOrCommit.
func (t *Transaction) prepare(now step.Now, commit bool, version int16, out *step.Out) (protocol.Code, bool) {
	next, last := *t.current(), t.last()
	next.version, next.next = version, protocol.NoProducerID
	if version >= tv2 {
		if next.exhausted() {
			id, code, decided := t.freshID()
			if code != protocol.None || !decided {
				return code, decided
			}
			next.next = id
		}
		last = next.epoch
		if next.epoch < maxEpoch {
			next.epoch++
		}
	}
	t.writeEnd(now, next, commit, last, out)
	return protocol.None, true
}

// fence aborts the open transaction and takes its producer's epoch away. Source: TransactionMetadata.prepareFenceProducerEpoch; since
// KAFKA-19367 one epoch is taken, not two.
func (t *Transaction) fence(now step.Now, out *step.Out) (protocol.Code, bool) {
	version := now.Image.Feature("transaction.version")
	if version >= tv2 && !mutation.Is(mutation.EpochStays) {
		return t.prepare(now, false, version, out)
	}
	next := *t.current()
	next.version, next.next = 0, protocol.NoProducerID
	if next.epoch < maxEpoch && !mutation.Is(mutation.EpochStays) {
		next.epoch++
	}
	t.writeEnd(now, next, false, noEpoch, out)
	return protocol.None, true
}

// writeEnd writes the decision, and right behind it the completion if there is no partition to tell.
func (t *Transaction) writeEnd(now step.Now, next hard, commit bool, last protocol.ProducerEpoch, out *step.Out) {
	if next.status != Ongoing {
		next.start, next.partitions = now.Wall.UnixMilli(), nil
	}
	if next.status = PrepareAbort; commit {
		next.status = PrepareCommit
	}
	t.write(now, next, last, out)
	if len(next.partitions) == 0 {
		t.complete(now, out)
	}
}

// complete ends the completion. Source: TransactionMetadata.prepareComplete.
func (t *Transaction) complete(now step.Now, out *step.Out) {
	cur := t.current()
	next := *cur
	next.producer, next.epoch = cur.successor()
	if next.status = CompleteAbort; cur.status == PrepareCommit {
		next.status = CompleteCommit
	}
	next.next, next.partitions = protocol.NoProducerID, nil
	t.write(now, next, t.last(), out)
}
