package client

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// sequence numbers the batches of one partition for an idempotent producer.
type sequence struct {
	id   protocol.ProducerID
	next int32
	// uncertain says that the batch under way was sent at least once without an answer: it may be in the log.
	uncertain bool
}

// use begins anew at 0 under another id; under the same one it goes on.
func (s *sequence) use(id protocol.ProducerID) {
	if s.id != id {
		*s = sequence{id: id}
	}
}

// appended moves on behind a batch of n records.
func (s *sequence) appended(n int) {
	s.next, s.uncertain = record.AddSequence(s.next, int32(n)), false
}

// verdict is what to do after a batch failed.
type verdict uint8

const (
	again   verdict = iota // the same batch, the same sequence
	refused                // it is not in the log, and its sequence is free for the next one
	lost                   // nobody knows whether it is in the log: only another producer id can go on
)

// failed judges a batch. late says that there is no time left to try again. Source: TransactionManager.canRetry, handleFailedBatch.
func (s *sequence) failed(code protocol.Code, late bool) verdict {
	switch code {
	case protocol.OutOfOrderSequence, protocol.UnknownProducerID, protocol.InvalidProducerEpoch, protocol.InvalidProducerIDMapping, protocol.DuplicateSequence:
		return lost // the log and this producer do not agree about what was appended
	}
	s.uncertain = s.uncertain || !neverAppended(code)
	switch {
	case code.Retriable() && code != protocol.CorruptMessage && !late:
		return again
	case s.uncertain:
		return lost
	}
	return refused
}

// neverAppended reports codes that are given only for a batch that is not in the log.
func neverAppended(code protocol.Code) bool {
	switch code {
	case protocol.MessageTooLarge, protocol.InvalidRecord, protocol.InvalidTimestamp, protocol.CorruptMessage, protocol.UnsupportedForMessage,
		protocol.UnsupportedCompressionType, protocol.NotEnoughReplicas, protocol.ThrottlingQuotaExceeded, protocol.InvalidTopic,
		protocol.UnknownTopicOrPartition, protocol.UnknownTopicID, protocol.LeaderNotAvailable:
		return true
	}
	return false
}
