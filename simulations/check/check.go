package check

import (
	"fmt"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Class is the name of an anomaly.
type Class string

// The anomalies. Numbers in comments are those of Jepsen's list as restated in the checkers' comments.
const (
	InconsistentOffsets Class = "inconsistent-offsets"
	Duplicate           Class = "duplicate"
	LostWrite           Class = "lost-write"
	Unseen              Class = "unseen"
	FailedRead          Class = "failed-read"
	PollSkip            Class = "poll-skip"
	NonmonotonicPoll    Class = "nonmonotonic-poll"
	IntPollSkip         Class = "int-poll-skip"
	IntNonmonotonicPoll Class = "int-nonmonotonic-poll"
	NonmonotonicSend    Class = "nonmonotonic-send"
	IntNonmonotonicSend Class = "int-nonmonotonic-send"
	RealtimeOrder       Class = "realtime-order"
	AckOffsets          Class = "ack-offsets"
	Damaged             Class = "damaged-record"
	UnstableRead        Class = "unstable-read"
	OffsetsListing      Class = "list-offsets"
	ForeignRecord       Class = "foreign-record"
	LogStartMoved       Class = "log-start"
	Bounds              Class = "bounds"
	WatermarkBack       Class = "watermark-back"
	Phantom             Class = "phantom"
	AbortedRead         Class = "aborted-read"
	TornTransaction     Class = "torn-transaction"
	WrongOffset         Class = "wrong-offset"
	LostOffset          Class = "lost-offset"
	OffsetBack          Class = "offset-back"
	OverdueOffset       Class = "overdue-offset"
	StaleCommit         Class = "stale-commit"
	DoubleOwner         Class = "double-owner"
	CopyMissing         Class = "copy-missing"
	CopyTwice           Class = "copy-twice"
	MoneyMade           Class = "money-made"
	Resurrected         Class = "resurrected"
)

// Anomaly is one violation, with the evidence.
type Anomaly struct {
	Class Class
	Key   protocol.TopicPartition
	Text  string
}

func (a Anomaly) String() string { return fmt.Sprintf("%s %v: %s", a.Class, a.Key, a.Text) }

func (p *Partition) anomaly(c Class, format string, args ...any) Anomaly {
	return Anomaly{Class: c, Key: p.Key, Text: fmt.Sprintf(format, args...)}
}

// checkers run on every partition, in this order. Those marked always also run where durable media were destroyed: there records may
// be gone and offsets used again, but nothing may be served that is not whole, or that was never sent, or that contradicts itself.
var checkers = []struct {
	always bool
	check  func(*Index, *Partition) []Anomaly
}{
	{false, inconsistentOffsets},
	{true, damagedRecords},
	{true, phantoms},
	{false, duplicates},
	{false, lostWrites},
	{false, unseen},
	{true, failedReads},
	{false, pollOrder},
	{false, intPollOrder},
	{false, sendOrder},
	{false, realtimeOrder},
	{false, ackOffsets},
	{false, unstableReads},
	{false, listOffsets},
	{true, foreignRecords},
	{false, logStart},
	{true, bounds},
	{false, watermark},
	{true, abortedReads},
	{false, tornTransactions},
	{false, resurrections},
}

// Check runs every checker and returns what they found, at most anomaliesMax of each class and partition.
func (h *History) Check() []Anomaly { return NewIndex(h).Check() }

// anomaliesMax bounds the report: one broken invariant shows up in thousands of records.
const anomaliesMax = 3

// Check runs every checker.
func (x *Index) Check() (out []Anomaly) {
	for _, p := range x.Partitions {
		destroyed := x.mediaDestroyed(p.Key)
		for _, c := range checkers {
			if destroyed && !c.always {
				continue
			}
			found := c.check(x, p)
			out = append(out, found[:min(len(found), anomaliesMax)]...)
		}
	}
	return append(out, x.checkGroups()...)
}

func (o *Op) String() string {
	if o == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#%d p%d %v %v", o.Index, o.Process, o.Func, o.Outcome)
	switch o.Func {
	case Send:
		fmt.Fprintf(&b, " %d..%d@%d acks=%d", o.Values[0], o.Values[len(o.Values)-1], o.Offset, o.Acks)
	case Poll:
		fmt.Fprintf(&b, " from %d, %d records, hw %d, lso %d", o.Position, len(o.Reads), o.HighWatermark, o.LastStable)
	case ListOffsets:
		fmt.Fprintf(&b, " at %d = %d", o.At, o.Offset)
	case DeleteRecords:
		fmt.Fprintf(&b, " before %d = %d", o.Before, o.Offset)
	}
	if o.Txn > 0 {
		fmt.Fprintf(&b, " txn %d", o.Txn)
	}
	if o.Era > 0 {
		fmt.Fprintf(&b, " era %d", o.Era)
	}
	if o.Err != "" {
		fmt.Fprintf(&b, " (%s)", o.Err)
	}
	return b.String()
}
