package txn

import (
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// initialize decides InitTransactions. Like its siblings it returns a code to refuse with, None if it answered, and false if the
// command has to wait. Source: TransactionCoordinator.handleInitProducerId, prepareInitProducerIdTransit.
func (t *Transaction) initialize(now step.Now, c *protocol.InitTransactions, out *step.Out) (protocol.Code, bool) {
	if c.Timeout <= 0 || c.Timeout > t.cfg.MaxTimeout || c.Timeout.Milliseconds() > math.MaxInt32 {
		return protocol.InvalidTransactionTimeout, true
	}
	cur := t.current()
	expected := c.ProducerID != protocol.NoProducerID
	switch {
	case !cur.known:
		return t.rotate(now, c, noEpoch, out)
	case expected && cur.preparing() && c.ProducerID == cur.next:
		return protocol.None, false // the answer to its end named this one already
	case expected && c.ProducerID != cur.producer && (c.ProducerID != cur.previous || c.ProducerEpoch < maxEpoch-1):
		return protocol.ProducerFenced, true
	case expected && c.ProducerEpoch == maxEpoch:
		return protocol.ProducerFenced, true
	case cur.preparing():
		return protocol.None, false
	case cur.status == Ongoing && expected && c.ProducerEpoch != cur.epoch:
		return protocol.ProducerFenced, true // Kafka aborts the transaction of the newer one first
	case cur.status == Ongoing:
		// The epoch that this takes is nobody's. What follows takes another one.
		if code, decided := t.fence(now, out); code != protocol.None || !decided {
			return code, decided
		}
		if t.current().preparing() {
			return protocol.None, false
		}
		return t.initialize(now, c, out)
	case cur.exhausted() && (!expected || c.ProducerEpoch == cur.epoch):
		last := noEpoch
		if expected {
			last = cur.epoch
		}
		return t.rotate(now, c, last, out)
	}
	return t.bump(now, c, out)
}

// bump gives the next epoch. Source: TransactionMetadata.prepareIncrementProducerEpoch.
func (t *Transaction) bump(now step.Now, c *protocol.InitTransactions, out *step.Out) (protocol.Code, bool) {
	cur, last := t.current(), t.last()
	next := *cur
	switch {
	case c.ProducerID == protocol.NoProducerID:
		next.epoch, last = cur.epoch+1, noEpoch
	case c.ProducerEpoch == cur.epoch:
		next.epoch, last = cur.epoch+1, cur.epoch
	case last != noEpoch && c.ProducerEpoch == last: // repeated: a producer that came between would have made it noEpoch
		if cur.status == Empty && cur.timeout == millis(c.Timeout) {
			answer(c, cur.initialized(c), out)
			return protocol.None, true
		}
	default:
		return protocol.ProducerFenced, true
	}
	if mutation.Is(mutation.EpochAgain) {
		next.epoch = cur.epoch
	}
	t.begin(now, next, last, c, out)
	return protocol.None, true
}

// rotate gives a new producer id. Source: TransactionMetadata.prepareProducerIdRotation.
func (t *Transaction) rotate(now step.Now, c *protocol.InitTransactions, last protocol.ProducerEpoch, out *step.Out) (protocol.Code, bool) {
	id, code, decided := t.freshID()
	if code != protocol.None || !decided {
		return code, decided
	}
	next := *t.current()
	next.producer, next.epoch = id, 0
	t.begin(now, next, last, c, out)
	return protocol.None, true
}

func (t *Transaction) begin(now step.Now, next hard, last protocol.ProducerEpoch, c *protocol.InitTransactions, out *step.Out) {
	next.status, next.next, next.partitions, next.start = Empty, protocol.NoProducerID, nil, noTime
	next.timeout = millis(c.Timeout)
	t.write(now, next, last, out)
	answer(c, next.initialized(c), out)
}

func millis(d time.Duration) int32 { return int32(max(d, time.Millisecond).Milliseconds()) }

func (h *hard) initialized(c *protocol.InitTransactions) *protocol.TransactionsInitialized {
	return &protocol.TransactionsInitialized{Answer: protocol.Answer{ID: c.ID}, ProducerID: h.producer, ProducerEpoch: h.epoch}
}

// addPartitions decides AddPartitions. Source: TransactionCoordinator.handleAddPartitionsToTransaction,
// handleVerifyPartitionsInTransaction.
func (t *Transaction) addPartitions(now step.Now, c *protocol.AddPartitions, out *step.Out) (protocol.Code, bool) {
	cur := t.current()
	code, wait := cur.admits(c.ProducerID, c.ProducerEpoch)
	switch {
	case c.VerifyOnly:
		if code == protocol.None && wait {
			code = protocol.ConcurrentTransactions // a late batch: the transaction it was for is over
		}
		answer(c, cur.verify(c, code), out)
		return protocol.None, true
	case code != protocol.None || wait:
		return code, !wait
	}
	partitions, grown := union(cur.partitions, c.Partitions)
	if cur.status != Ongoing || grown {
		next := *cur
		if cur.status != Ongoing {
			next.start = now.Wall.UnixMilli()
		}
		next.status, next.partitions, next.version = Ongoing, partitions, 0
		if c.ByLeader {
			next.version = tv2
		}
		if size(&next) > MaxRecordBytes {
			return protocol.TransactionAbortable, true
		}
		t.write(now, next, t.last(), out)
	}
	answer(c, &protocol.PartitionsAdded{Answer: protocol.Answer{ID: c.ID}}, out)
	return protocol.None, true
}

// admits checks that a producer is the current one; wait, that its next transaction begins when this one has completed.
func (h *hard) admits(id protocol.ProducerID, epoch protocol.ProducerEpoch) (code protocol.Code, wait bool) {
	switch {
	case !h.known:
		return protocol.InvalidProducerIDMapping, false
	case h.preparing() && h.next != protocol.NoProducerID && id == h.next && epoch == 0:
		return protocol.None, true
	case id != h.producer:
		return protocol.InvalidProducerIDMapping, false
	case epoch < h.epoch && mutation.Is(mutation.ZombieAdmitted):
		return protocol.None, h.preparing()
	case epoch != h.epoch || epoch == maxEpoch:
		return protocol.ProducerFenced, false
	}
	return protocol.None, h.preparing()
}

func (h *hard) verify(c *protocol.AddPartitions, code protocol.Code) *protocol.PartitionsAdded {
	m := &protocol.PartitionsAdded{Answer: protocol.Answer{ID: c.ID}, Fault: protocol.Fault{Code: code}, Codes: make([]protocol.Code, len(c.Partitions))}
	for i, p := range c.Partitions {
		if m.Codes[i] = code; code == protocol.None && !contains(h.partitions, p) {
			m.Codes[i] = protocol.TransactionAbortable
		}
	}
	return m
}

// size is about the size of the record's value.
func size(h *hard) int {
	n := 64
	for i, p := range h.partitions {
		if n += 4; i == 0 || h.partitions[i-1].Topic != p.Topic {
			n += len(p.Topic) + 8
		}
	}
	return n
}

// describe answers DescribeTransaction. Source: TransactionCoordinator.handleDescribeTransactions.
func (t *Transaction) describe(c *protocol.DescribeTransaction) any {
	h := t.current()
	switch {
	case t.id == "":
		return c.Failed(protocol.InvalidRequest)
	case !h.known:
		return c.Failed(protocol.TransactionalIDNotFound)
	}
	return &protocol.TransactionDescribed{
		Answer: protocol.Answer{ID: c.ID}, TransactionalID: t.id, State: h.status.String(), ProducerID: h.producer, ProducerEpoch: h.epoch,
		Timeout: time.Duration(h.timeout) * time.Millisecond, Start: h.began(), Partitions: h.partitions,
	}
}

// began is when the transaction began, or the last one that has ended, in milliseconds; noTime if there was none since the producer began.
func (h *hard) began() int64 {
	if !h.known || h.status == Empty {
		return noTime
	}
	return h.start
}

// Listed is the id's row in a list, and when its last transaction began (milliseconds, -1 if there was none). ok is false if the log has
// nothing of it. Source: TransactionStateManager.listTransactionStates.
func (t *Transaction) Listed() (row protocol.ListedTransaction, start int64, ok bool) {
	h := &t.hard
	return protocol.ListedTransaction{TransactionalID: t.id, State: h.status.String(), ProducerID: h.producer}, h.start, h.known
}
