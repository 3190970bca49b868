package protocol

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// Produce asks the leader of a partition to append one v2 record batch.
type Produce struct {
	Head
	Partition TopicPartition
	// LeaderEpoch is checked if it is not NoLeaderEpoch.
	LeaderEpoch LeaderEpoch
	Acks        int16 // 0, 1 or -1 (all)
	// Deadline on the monotonic clock after which the ack is given up (REQUEST_TIMED_OUT); the records may still commit.
	Deadline time.Duration
	// TransactionalID as sent; empty means none.
	TransactionalID string
	// Batch is one whole v2 batch whose CRC, lengths and record framing were checked by the sender (record.Validate). The
	// partition patches base offset, leader epoch and (log append time) timestamps in place. Valid until Release.
	Batch []byte
	// Internal marks appends of our own coordinators: control batches allowed, size limit not applied.
	Internal bool
	// Release gives Batch back to its pool. The partition calls it exactly once, when the bytes are in the log file or were
	// refused. Nil means nothing to release.
	Release Releaser
	// TransactionVersion of a transactional batch is 2 if its producer leaves it to the partition to add itself to the transaction
	// (Produce v12+, KIP-890), else the partition only asks whether it was added. Of a marker it is that of the transaction it ends: from
	// 2 on the marker's epoch must be newer than that of the records (KIP-1228).
	TransactionVersion int16
	// Beside are all partitions that the same request writes to in the same transaction of version 2, this one among them: whoever adds
	// this one adds them all, by one record instead of one for each. Shared between the messages of the request; nil for this one alone.
	Beside []NamedPartition
}

// Releaser returns a buffer to its owner. It is an interface, not a func, so that handing one on allocates nothing.
type Releaser interface{ Release() }

// Size is what the message weighs in a mailbox.
func (m *Produce) Size() int { return len(m.Batch) }

// Refused answers for a partition that cannot.
func (m *Produce) Refused(why actors.Refusal) (actors.PID, any) {
	if m.Release != nil {
		m.Release.Release()
	}
	return m.ReplyTo, &Produced{Answer: Answer{m.ID}, Fault: Fault{Code: codeOf(why)}, BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1}
}

// Produced answers Produce. On failure BaseOffset is -1, never zero.
type Produced struct {
	Answer
	Fault
	BaseOffset     int64
	LogAppendTime  int64 // milliseconds; -1 under create time
	LogStartOffset int64
	LeaderEpoch    LeaderEpoch
	// RecordFaults lists refused records inside the batch (Produce v8+), in order.
	RecordFaults []RecordFault
}

// RecordFault is one record's refusal.
type RecordFault struct {
	Index  int32
	Reason string
}

// AwaitRecords asks a partition to tell ReplyTo, once, as soon as there is something to read at or after Offset: the bound of the
// isolation level passed it, or the view changed so that reading must be tried again (truncation, leadership, deletion, failure).
// Also answered at Deadline.
type AwaitRecords struct {
	Head
	Partition TopicPartition
	Offset    int64
	Committed bool // read_committed: bound is LastStableOffset, else HighWatermark
	Deadline  time.Duration
}

// Refused answers for a partition that cannot: look again.
func (m *AwaitRecords) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &RecordsReady{Answer: Answer{m.ID}}
}

// RecordsReady answers AwaitRecords: read the partition's view again.
type RecordsReady struct{ Answer }

// ForgetAwait withdraws AwaitRecords with the same ReplyTo and ID; not answered.
type ForgetAwait struct {
	ReplyTo actors.PID
	ID      uint64
}

// DeleteRecords moves the log start (KIP-107). Before is exclusive; -1 means the high watermark.
type DeleteRecords struct {
	Head
	Partition TopicPartition
	Before    int64
}

// Refused answers for a partition that cannot.
func (m *DeleteRecords) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &RecordsDeleted{Answer: Answer{m.ID}, Fault: Fault{Code: codeOf(why)}, LowWatermark: -1}
}

// RecordsDeleted answers DeleteRecords once the new log start is durable.
type RecordsDeleted struct {
	Answer
	Fault
	LowWatermark int64
}

// DescribeProducers lists the producers with state in a partition (KIP-664).
type DescribeProducers struct {
	Head
	Partition TopicPartition
}

// Refused answers for a partition that cannot.
func (m *DescribeProducers) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &ProducersDescribed{Answer: Answer{m.ID}, Fault: Fault{Code: codeOf(why)}}
}

// ProducersDescribed answers DescribeProducers, ordered by producer id.
type ProducersDescribed struct {
	Answer
	Fault
	Producers []ProducerInfo
}

// ProducerInfo is one producer's state in one partition. -1 where there is none.
type ProducerInfo struct {
	ProducerID       ProducerID
	ProducerEpoch    ProducerEpoch
	LastSequence     int32
	LastTimestamp    int64 // milliseconds
	CoordinatorEpoch int32
	TxnStartOffset   int64
}
