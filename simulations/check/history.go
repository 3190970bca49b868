package check

import (
	"math"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Instant is a point in the real-time order of a history: every invocation, completion and fault has its own.
type Instant int64

// Never is the completion of an operation that was never completed.
const Never Instant = math.MaxInt64

// Outcome is what the client knows of an operation's effect.
type Outcome uint8

const (
	Open Outcome = iota // not completed: unknown
	OK
	Info // completed, effect unknown
	Fail // definitely did not happen
)

func (o Outcome) String() string { return [...]string{"open", "ok", "info", "fail"}[o] }

// Func is what an operation does.
type Func uint8

const (
	Send Func = iota
	Poll
	Assign
	ListOffsets
	DeleteRecords
	CreateTopic
	DeleteTopic
	EndTxn
)

func (f Func) String() string {
	return [...]string{"send", "poll", "assign", "list-offsets", "delete-records", "create-topic", "delete-topic", "end-txn"}[f]
}

// Special timestamps of ListOffsets.
const (
	AtLatest       int64 = -1
	AtEarliest     int64 = -2
	AtMaxTimestamp int64 = -3
)

// Op is one operation of one client. Offsets are -1 where unknown.
type Op struct {
	Index    int // position in History.Ops
	Process  int
	Func     Func
	Outcome  Outcome
	Invoked  Instant
	Complete Instant
	Key      protocol.TopicPartition // Partition is -1 for topic operations
	// Era counts the power losses before the server incarnation that gave the answer; meaningless without one.
	Era int
	// Life numbers the server incarnation that gave the answer.
	Life int
	Err  string

	// Send: one batch.
	Acks       int16
	Idempotent bool
	Keyed      bool    // to a compacted topic: some values are tombstones
	ByName     bool    // addressed by topic name, so it may meet another incarnation than the client believed
	Values     []int64 // in batch order
	Timestamps []int64 // create times, one a value; nil when the log assigns them
	Offset     int64   // Send: base offset. ListOffsets: the answer. DeleteRecords: the low watermark. Assign: the position.

	// Poll: one partition of one fetch answer.
	Position      int64
	Reads         []Read
	Hidden        []Read  // records in the answer that its list of aborted transactions hides: in the log, and not returned
	Markers       []int64 // offsets at which the answer held transaction markers
	LogStart      int64   // also Send answers
	HighWatermark int64
	LastStable    int64
	Final         bool // part of the final read from the beginning to the end
	Committed     bool // with isolation level read_committed

	// Txn numbers the transaction of a Send, and of the one EndTxn that it may have; 0 is none. An EndTxn with outcome Fail is known to have
	// aborted it, whatever was asked.
	Txn    int
	Commit bool // EndTxn: what was asked

	At        int64 // ListOffsets: the timestamp asked for
	Timestamp int64 // ListOffsets: the timestamp answered
	Before    int64 // DeleteRecords: exclusive
}

// Read is one record a poll returned.
type Read struct {
	Offset, Value, Timestamp int64
	// Sum is a hash of everything a client can see of the record.
	Sum uint64
	// Damage says how the record differs from what was sent; empty when it does not.
	Damage string
}

// FaultKind is what the nemesis broke.
type FaultKind uint8

const (
	// PowerLoss: un-synced pages and directory entries may be gone.
	PowerLoss FaultKind = iota
	// ProcessKill: kill -9; the page cache survives.
	ProcessKill
	// MediaDestroyed: durable bytes of Key were changed or taken away (bit rot, a file removed by hand).
	MediaDestroyed
	// DiskFull: for a while there was no space.
	DiskFull
)

// Fault is one entry of the fault log.
type Fault struct {
	At   Instant
	Kind FaultKind
	Key  protocol.TopicPartition // MediaDestroyed; the zero Topic means every partition
	Note string
}

// Topic is what the harness knows of one incarnation of a topic.
type Topic struct {
	ID         protocol.TopicID
	Name       string
	Durability protocol.Durability
	// Retains is set when retention may delete old records.
	Retains bool
	// Compacted is set when compaction may remove records that newer ones of their keys replace.
	Compacted bool
	// LogAppendTime is set when the broker assigns timestamps.
	LogAppendTime bool
}

// History is everything the checkers see.
type History struct {
	Ops    []*Op
	Faults []Fault
	Topics []Topic
	// Finished lists the partitions whose final read reached the end of the log.
	Finished []protocol.TopicPartition
	// FinishedCommitted are the same with isolation level read_committed: nothing in them is undecided any more.
	FinishedCommitted []protocol.TopicPartition
	// GroupOps are the operations on groups.
	GroupOps []*GroupOp
	// Copies are the records that copiers made, by value; Copied is where a group of copiers is at the end.
	Copies map[int64]Copy
	Copied map[protocol.TopicPartition]int64
	// Balances are the records that tellers wrote, by value.
	Balances map[int64]Balance
	// Retention is offsets.retention.minutes in nanoseconds, 0 if no run is that long; Lives are those of members, if it is not 0.
	Retention int64
	Lives     []Life
}

// Recorder builds a history in real-time order.
type Recorder struct {
	h    History
	tick Instant
	// Clock tells the clients' time in nanoseconds; nil if it does not matter.
	Clock func() int64
}

func (r *Recorder) clock() int64 {
	if r.Clock == nil {
		return 0
	}
	return r.Clock()
}

func (r *Recorder) now() Instant {
	r.tick++
	return r.tick
}

// Invoke adds op as begun now and returns it; the caller fills in the answer and calls Complete.
func (r *Recorder) Invoke(op Op) *Op {
	op.Index, op.Invoked, op.Complete, op.Outcome = len(r.h.Ops), r.now(), Never, Open
	p := &op
	r.h.Ops = append(r.h.Ops, p)
	return p
}

// Now is a fresh instant, for an operation that is added with InvokeAt when it is known what it was.
func (r *Recorder) Now() Instant { return r.now() }

// InvokeAt adds op as begun at an earlier instant.
func (r *Recorder) InvokeAt(at Instant, op Op) *Op {
	p := r.Invoke(op)
	p.Invoked = at
	return p
}

// Complete ends op now.
func (r *Recorder) Complete(op *Op, outcome Outcome) { op.Outcome, op.Complete = outcome, r.now() }

// Fault notes that the nemesis struck.
func (r *Recorder) Fault(f Fault) {
	f.At = r.now()
	r.h.Faults = append(r.h.Faults, f)
}

// Topic adds an incarnation of a topic. Adding it again changes nothing.
func (r *Recorder) Topic(t Topic) {
	for _, old := range r.h.Topics {
		if old.ID == t.ID {
			return
		}
	}
	r.h.Topics = append(r.h.Topics, t)
}

// Finish notes that the final read of key reached the end.
func (r *Recorder) Finish(key protocol.TopicPartition) { r.h.Finished = append(r.h.Finished, key) }

// FinishCommitted notes that the final read of key with isolation level read_committed reached the end.
func (r *Recorder) FinishCommitted(key protocol.TopicPartition) {
	r.h.FinishedCommitted = append(r.h.FinishedCommitted, key)
}

// History returns what was recorded; the recorder goes on owning it.
func (r *Recorder) History() *History { return &r.h }
