package protocol

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// These go to the transaction coordinator's shard of the transactional id (Kafka's partition of __transaction_state).
// Source: TransactionCoordinator.scala.

// InitTransactions gives a transactional id its producer id and a new epoch, and ends what its predecessor left open.
type InitTransactions struct {
	Head
	TransactionalID string
	Timeout         time.Duration // of its transactions
	// ProducerID and ProducerEpoch the client has (KIP-360); NoProducerID and -1 if none.
	ProducerID    ProducerID
	ProducerEpoch ProducerEpoch
}

// Failed is the answer with code.
func (m *InitTransactions) Failed(code Code) any {
	return &TransactionsInitialized{Answer: Answer{m.ID}, Fault: Fault{Code: code}, ProducerID: NoProducerID, ProducerEpoch: -1}
}

// Refused answers for a coordinator that cannot.
func (m *InitTransactions) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// TransactionsInitialized answers InitTransactions.
type TransactionsInitialized struct {
	Answer
	Fault
	ProducerID    ProducerID
	ProducerEpoch ProducerEpoch
}

// AddPartitions adds partitions to the open transaction, beginning it if needed; with VerifyOnly it only says whether they are in it.
// Sent for clients (TV1), and by partition leaders before the first batch of a transaction (KIP-890).
type AddPartitions struct {
	Head
	TransactionalID string
	ProducerID      ProducerID
	ProducerEpoch   ProducerEpoch
	VerifyOnly      bool
	// ByLeader: a partition leader adds on behalf of its producer (TV2).
	ByLeader   bool
	Partitions []NamedPartition
}

// NamedPartition names a partition by its topic's name, as transaction logs do.
type NamedPartition struct {
	Topic     string
	Partition int32
}

// Failed is the answer with code.
func (m *AddPartitions) Failed(code Code) any {
	return &PartitionsAdded{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *AddPartitions) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// PartitionsAdded answers AddPartitions once that is durable. With VerifyOnly, Codes has a row for each partition in the order asked;
// else the Fault is that of all.
type PartitionsAdded struct {
	Answer
	Fault
	Codes []Code
}

// EndTransaction commits or aborts. Answered when the decision is durable.
type EndTransaction struct {
	Head
	TransactionalID string
	ProducerID      ProducerID
	ProducerEpoch   ProducerEpoch
	Commit          bool
	// Bump: the client speaks TV2, in which every transaction has its own epoch (EndTxn v5+, KIP-890).
	Bump bool
}

// Failed is the answer with code.
func (m *EndTransaction) Failed(code Code) any {
	return &TransactionEnded{Answer: Answer{m.ID}, Fault: Fault{Code: code}, ProducerID: NoProducerID, ProducerEpoch: -1}
}

// Refused answers for a coordinator that cannot.
func (m *EndTransaction) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// TransactionEnded answers EndTransaction with what the producer uses from now on.
type TransactionEnded struct {
	Answer
	Fault
	ProducerID    ProducerID
	ProducerEpoch ProducerEpoch
}

// DescribeTransaction asks for one transactional id (KIP-664).
type DescribeTransaction struct {
	Head
	TransactionalID string
}

// Failed is the answer with code.
func (m *DescribeTransaction) Failed(code Code) any {
	return &TransactionDescribed{Answer: Answer{m.ID}, Fault: Fault{Code: code}, TransactionalID: m.TransactionalID, ProducerID: NoProducerID, ProducerEpoch: -1, Start: -1}
}

// Refused answers for a coordinator that cannot.
func (m *DescribeTransaction) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// TransactionDescribed answers DescribeTransaction.
type TransactionDescribed struct {
	Answer
	Fault
	TransactionalID string
	State           string // Kafka's: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, PrepareEpochFence, Dead
	ProducerID      ProducerID
	ProducerEpoch   ProducerEpoch
	Timeout         time.Duration
	Start           int64 // milliseconds; -1 if none is open
	Partitions      []NamedPartition
}

// ListTransactions asks a shard for its transactional ids. Empty filters let everything pass.
type ListTransactions struct {
	Head
	States      []string
	ProducerIDs []ProducerID
	LongerThan  time.Duration // since the last transaction began; -1 is any
	Pattern     string        // RE2, of the transactional id (KIP-1152)
}

// Failed is the answer with code.
func (m *ListTransactions) Failed(code Code) any {
	return &TransactionsListed{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *ListTransactions) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// TransactionsListed answers ListTransactions, ordered by id.
type TransactionsListed struct {
	Answer
	Fault
	Transactions  []ListedTransaction
	UnknownStates []string
}

// ListedTransaction is one.
type ListedTransaction struct {
	TransactionalID, State string
	ProducerID             ProducerID
}

// EndOffsets tells the shard of __consumer_offsets that a transaction with offsets in it has ended: it appends the marker to its log,
// and the offsets count, or are dropped. Sent by the transaction coordinator, which sends markers to every other partition as a Produce.
type EndOffsets struct {
	Head
	Partition        int32 // of __consumer_offsets
	ProducerID       ProducerID
	ProducerEpoch    ProducerEpoch
	CoordinatorEpoch int32
	Commit           bool
	// TransactionVersion of the end: from 2 on ProducerEpoch is newer than that of the offsets (KIP-1228).
	TransactionVersion int16
}

// Failed is the answer with code.
func (m *EndOffsets) Failed(code Code) any {
	return &OffsetsEnded{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *EndOffsets) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// OffsetsEnded answers EndOffsets once the marker is durable.
type OffsetsEnded struct {
	Answer
	Fault
}
