package protocol

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// Messages between the actors of an application and the native client (actors/client), and between the client and the readers of
// partitions. An application sees Delivered, PartitionAssigned, RevokePartition, PartitionRevoked and ConsumerEnded, and sends Acknowledge
// and StopConsuming; it sends ProduceRecords and is answered by RecordsProduced.

// Record is one record by itself. Key and Value are nil if null.
type Record struct {
	Offset     int64
	Timestamp  int64 // milliseconds; of a record to produce, 0 is now
	Key, Value []byte
	Headers    []RecordHeader
}

// RecordHeader is one header of a record. Keys need not be unique.
type RecordHeader struct {
	Key   string
	Value []byte
}

// Size is what the record weighs, in bytes.
func (r *Record) Size() int {
	n := recordWeight + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// recordWeight is what a record costs beside its bytes.
const recordWeight = 64

// Lease is one actor's turn with one partition: from PartitionAssigned to PartitionRevoked. What is said under a lease that is over
// means nothing any more.
type Lease struct {
	Consumer  actors.PID // where acknowledgements go
	Number    uint64     // one of the consumer's, never used again
	Topic     string
	Partition TopicPartition
}

// PartitionAssigned tells an actor that it is the one who reads a partition from now on, beginning at Offset.
type PartitionAssigned struct {
	Lease
	MemberEpoch int32
	Offset      int64
}

// Delivered brings records of one partition, in order, to the actor that has the lease. They count against its credit until they are
// acknowledged. An actor that does not take them (mailbox full) loses the lease: the records that follow could otherwise overtake them.
type Delivered struct {
	Lease
	MemberEpoch int32
	Records     []Record
	// Next is what to acknowledge when all of Records are done: the offset behind them, and behind whatever a reader does not see.
	Next int64
}

// Size is what the message weighs in a mailbox.
func (m *Delivered) Size() (n int) {
	for i := range m.Records {
		n += m.Records[i].Size()
	}
	return n
}

// Refused tells the consumer that the actor did not take the records.
func (m *Delivered) Refused(actors.Refusal) (actors.PID, any) {
	return m.Consumer, &DeliveryRefused{Lease: m.Lease}
}

// DeliveryRefused says that Delivered did not arrive.
type DeliveryRefused struct{ Lease }

// Acknowledge says that an actor is done with every record of the partition before Next: they will be committed, and are credit again.
// With Release, which only counts after RevokePartition, it also gives back what it is not done with: the lease ends.
type Acknowledge struct {
	Lease
	Next    int64
	Release bool
}

// RevokePartition tells an actor that nothing more is delivered and the partition goes to another member of the group: it has until
// Deadline (monotonic clock) to acknowledge what it has. It is answered by acknowledging everything, or by Release.
type RevokePartition struct {
	Lease
	Deadline time.Duration
}

// PartitionRevoked ends a lease. What was acknowledged is committed unless Lost is set; everything else is delivered again, to whoever
// reads the partition next.
type PartitionRevoked struct {
	Lease
	Committed int64 // offset of the first record that is delivered again; -1 if nothing was ever committed
	Lost      bool  // taken away without asking: the member was fenced, or did not take its records
}

// StopConsuming asks a consumer to give everything back in good order, to leave its group and to end. Answered by ConsumerEnded.
type StopConsuming struct{ Head }

// Refused answers for a consumer that is gone.
func (m *StopConsuming) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &ConsumerEnded{Answer: Answer{m.ID}}
}

// ConsumerEnded tells the actors of a consumer that it is over, and answers StopConsuming. Code is None if it was asked to.
type ConsumerEnded struct {
	Answer
	Fault
	Consumer actors.PID
	GroupID  string
}

// Offsets that FetchRecords begins at without knowing them. Source: ListOffsetsRequest.
const (
	OffsetLatest   int64 = -1
	OffsetEarliest int64 = -2
)

// FetchRecords reads a partition from Offset on. Answered as soon as there is something to read or to say, at the latest at Deadline;
// with OffsetLatest or OffsetEarliest at once.
type FetchRecords struct {
	Head
	Partition TopicPartition
	Offset    int64
	MaxBytes  int32 // of batches; the first is answered whatever its size (KIP-74)
	Committed bool  // read_committed
	Deadline  time.Duration
}

// Failed is the answer with code.
func (m *FetchRecords) Failed(code Code) *RecordsFetched {
	return &RecordsFetched{Answer: Answer{m.ID}, Fault: Fault{Code: code}, Offset: m.Offset, Next: m.Offset}
}

// Refused answers for a reader that cannot.
func (m *FetchRecords) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(codeOf(why))
}

// RecordsFetched answers FetchRecords with whole batches, of which the first may begin before Offset.
type RecordsFetched struct {
	Answer
	Fault
	Offset  int64 // asked for, or what OffsetLatest or OffsetEarliest stood for
	Next    int64 // to go on at
	Batches []byte
	// Aborted transactions with records in Batches, ordered by FirstOffset; of a read_committed fetch only.
	Aborted []AbortedTransaction
}

// Size is what the message weighs in a mailbox.
func (m *RecordsFetched) Size() int { return len(m.Batches) }

// AbortedTransaction is one producer's transaction whose records count for nothing.
type AbortedTransaction struct {
	ProducerID  ProducerID
	FirstOffset int64
}

// AnyPartition leaves the choice to the producer: by the hash of the key, as Kafka's clients do.
const AnyPartition int32 = -1

// ProduceRecords asks a native producer to append records. Those of one partition are appended in the order in which they were sent.
type ProduceRecords struct {
	Head
	Topic     string
	Partition int32 // of all records, or AnyPartition
	Records   []Record
}

// Size is what the message weighs in a mailbox.
func (m *ProduceRecords) Size() (n int) {
	for i := range m.Records {
		n += m.Records[i].Size()
	}
	return n
}

// Failed is the answer with the fault on every record.
func (m *ProduceRecords) Failed(f Fault) *RecordsProduced {
	out := &RecordsProduced{Answer: Answer{m.ID}, Fault: f, Records: make([]ProducedRecord, len(m.Records))}
	for i := range out.Records {
		out.Records[i] = ProducedRecord{Partition: m.Partition, Offset: -1, Code: f.Code}
	}
	return out
}

// Refused answers for a producer that cannot.
func (m *ProduceRecords) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(Fault{Code: codeOf(why)})
}

// RecordsProduced answers ProduceRecords when the fate of every record is known: one row a record, in the order asked. The Fault is that
// of the first record that failed.
type RecordsProduced struct {
	Answer
	Fault
	Records []ProducedRecord
}

// ProducedRecord is what became of one record. Offset is -1 if it failed.
type ProducedRecord struct {
	Partition int32
	Offset    int64
	Code      Code
}

// TakeProducerID asks a node for a producer id that nobody had before. Answered by ProducerIDTaken.
type TakeProducerID struct{ Head }

// Refused answers for an allocator that cannot.
func (m *TakeProducerID) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &ProducerIDTaken{Answer: Answer{m.ID}, Fault: Fault{Code: CoordinatorNotAvailable}}
}

// ProducerIDTaken answers TakeProducerID.
type ProducerIDTaken struct {
	Answer
	Fault
	ProducerID ProducerID
}
