package producer

import (
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Begins reports whether the batch would begin a transaction in this log, which is when its coordinator must be asked (KIP-890): it is
// transactional, and its producer has no transaction of the same epoch open here. One of an older epoch may be over without its marker
// having come yet, and so may one that Distrust concerns. Source: UnifiedLog.hasOngoingTransaction.
func (s *State) Begins(h Header) bool {
	if h.ProducerID < 0 || !h.Transactional {
		return false
	}
	e := s.entries[h.ProducerID]
	return e == nil || e.txnFirst == noOffset || e.epoch != h.Epoch || e.restored
}

// Distrust says that the log may have lost its newest markers, as a power loss does to it under durability=os: what is open may be over, and
// its producer fenced, so that the next batch of each is one to ask about. (Kafka takes it without asking.)
func (s *State) Distrust() {
	for _, t := range s.open {
		s.entries[t.producer].restored = true
	}
}

// Guard changes with every marker of the producer. Who asks the coordinator whether a transaction is going on (KIP-890) remembers it
// with the question, and begins the transaction here only if it is the same at the answer: else the transaction that was asked
// about may have ended in between, and its late first batch would hang for ever. A counter and not a flag, because the producer may
// have begun, and ended, another one meanwhile. The producer counts as used, so that its entry is there at the answer too. Source:
// KAFKA-14884, VerificationGuard.
func (s *State) Guard(id protocol.ProducerID) uint64 {
	if e := s.entries[id]; e != nil {
		e.used = true
		return e.guard
	}
	return s.passed
}

// CheckFirst is Check for the first batch of a transaction whose coordinator was asked. With bump its producer has an epoch of its own
// for every transaction (TV2): then the batch must have sequence 0, also if nobody here knows the producer. Source:
// ProducerAppendInfo.checkSequence.
func (s *State) CheckFirst(h Header, bump bool) Verdict {
	if bump && h.BaseSequence > 0 && s.entries[h.ProducerID] == nil {
		return refuse(protocol.OutOfOrderSequence, "producer %d begins its epoch %d with sequence %d, not 0", h.ProducerID, h.Epoch, h.BaseSequence)
	}
	return s.Check(h)
}

// Expect says that the batch, which Check let pass, was refused after all, at now (milliseconds). Of a producer that nobody knows any
// sequence is taken, since what it sent before may have been deleted; but from now on it must go on with this batch. Else the batches
// already on their way behind it would be appended without it, and it could never follow (KAFKA-14359, and
// VerificationStateEntry.lowestSequence). At the bound of producers nothing is noted.
func (s *State) Expect(h Header, now int64) {
	if h.ProducerID >= 0 && h.BaseSequence >= 0 && s.entries[h.ProducerID] == nil && len(s.entries) < s.cfg.MaxProducers {
		s.entries[h.ProducerID] = &entry{
			id: h.ProducerID, epoch: h.Epoch, coordinatorEpoch: noCoordinatorEpoch, timestamp: now, txnFirst: noOffset, used: true,
			next: h.BaseSequence,
		}
	}
}
