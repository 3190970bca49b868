package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// GroupFunc is what an operation on a group does.
type GroupFunc uint8

const (
	// CommitOffset commits one offset of one partition; each has its own number, in the metadata of the offset.
	CommitOffset GroupFunc = iota
	// FetchOffset asks for the committed offset of one partition.
	FetchOffset
	// DeleteOffset removes the offset of one partition, by OffsetDelete or with the group.
	DeleteOffset
	// AssignPartitions is an answer that tells a member its partitions: SyncGroup, or a heartbeat of KIP-848.
	AssignPartitions
	// FoundGroup is an answer from which it is seen that the group had ended, and begins anew: its epochs count from the beginning.
	FoundGroup
)

func (f GroupFunc) String() string {
	return [...]string{"commit-offset", "fetch-offset", "delete-offset", "assign-partitions", "found-group"}[f]
}

// GroupOp is one operation of one client on one group.
type GroupOp struct {
	Index    int
	Client   string
	Func     GroupFunc
	Outcome  Outcome
	Invoked  Instant
	Complete Instant
	Group    string
	Key      protocol.TopicPartition
	// Number names a commit; a FetchOffset has the number it was answered, 0 if there is no offset.
	Number, Offset int64
	// Member, Instance and Generation are who the client says it is. Generation is the member epoch in a group of KIP-848; -1 for
	// a client that belongs to no group.
	Member, Instance string
	Generation       int32
	Partitions       []protocol.TopicPartition // AssignPartitions
	// Incremental: the group is one of KIP-848, where members go from one epoch to the next one by one.
	Incremental bool
	// ByName: the request named the topic, so that the one that came after it under the name may have been meant.
	ByName bool
	// Txn numbers the transaction of a commit; 0 is none. It takes effect with the EndTxn of that number, if at all.
	Txn int
	// From and To are the clients' times of invocation and completion, in nanoseconds, if the recorder has a clock.
	From, To int64
	// Last: a FetchOffset in the end, when nothing is broken any more.
	Last bool
	Err  string
}

func (o *GroupOp) String() string {
	if o == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "g%d %s %v %v", o.Index, o.Client, o.Func, o.Outcome)
	if o.Func == AssignPartitions {
		fmt.Fprintf(&b, " %d partitions", len(o.Partitions))
	} else {
		fmt.Fprintf(&b, " number %d at %d", o.Number, o.Offset)
	}
	if o.Member != "" {
		fmt.Fprintf(&b, " member %.12s generation %d", o.Member, o.Generation)
	}
	if o.Txn > 0 {
		fmt.Fprintf(&b, " txn %d", o.Txn)
	}
	if o.Err != "" {
		fmt.Fprintf(&b, " (%s)", o.Err)
	}
	return b.String()
}

// InvokeGroup adds op as begun now.
func (r *Recorder) InvokeGroup(op GroupOp) *GroupOp {
	op.Index, op.Invoked, op.Complete, op.Outcome = len(r.h.GroupOps), r.now(), Never, Open
	op.From = r.clock()
	p := &op
	r.h.GroupOps = append(r.h.GroupOps, p)
	return p
}

// InvokeGroupAt adds op as begun at an earlier instant.
func (r *Recorder) InvokeGroupAt(at Instant, op GroupOp) *GroupOp {
	p := r.InvokeGroup(op)
	p.Invoked = at
	return p
}

// CompleteGroup ends op now.
func (r *Recorder) CompleteGroup(op *GroupOp, outcome Outcome) {
	op.Complete, op.To = r.now(), r.clock()
	op.Outcome = outcome
}

// register is the committed offset of one partition in one group.
type register struct {
	group string
	key   protocol.TopicPartition
}

// registers sorts the operations on offsets by what they are about; in order of invocation.
func (h *History) registers() (order []register, ops map[register][]*GroupOp) {
	ops = map[register][]*GroupOp{}
	for _, op := range h.byInvocation() {
		if op.Func == AssignPartitions || op.Func == FoundGroup {
			continue
		}
		r := register{op.Group, op.Key}
		if ops[r] == nil {
			order = append(order, r)
		}
		ops[r] = append(ops[r], op)
	}
	return order, ops
}

func (h *History) byInvocation() []*GroupOp {
	ops := slices.Clone(h.GroupOps)
	slices.SortStableFunc(ops, func(a, b *GroupOp) int { return cmp.Compare(a.Invoked, b.Invoked) })
	return ops
}

// groupCheckers run over the operations on groups, where no durable medium was destroyed.
var groupCheckers = []func(*Index) []Anomaly{committedOffsets, staleCommits, doubleOwners, copiedOnce, moneyKept}

func (x *Index) checkGroups() (out []Anomaly) {
	if slices.ContainsFunc(x.H.Faults, func(f Fault) bool { return f.Kind == MediaDestroyed }) {
		return nil
	}
	for _, c := range groupCheckers {
		found := c(x)
		out = append(out, found[:min(len(found), anomaliesMax)]...)
	}
	return out
}

func anomalyOf(c Class, key protocol.TopicPartition, format string, args ...any) Anomaly {
	return Anomaly{Class: c, Key: key, Text: fmt.Sprintf(format, args...)}
}
