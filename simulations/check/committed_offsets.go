package check

import (
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// committedOffsets: the committed offset of a partition in a group is a register, and it is linearizable (2.4-j3, j4; I-TOC): what was
// acknowledged is what is fetched later, across every restart; it does not go back by itself; what was refused, or belongs to a
// transaction that was aborted or has not ended, is never seen.
//
// Why it suffices: every commit has its own number, so a fetch names the commit it saw, and a register whose writes are all different
// can be decided without a search (Gibbons and Korach, Testing shared memories, 1997). For each commit take the first completion and
// the last invocation among it and the fetches that saw it. If the completion comes first the commit must be the register's value all
// the time between them: a forward zone. Otherwise some instant between them will do: a backward zone. The history is linearizable
// exactly if no two forward zones overlap and no backward zone lies within a forward one. A commit with an unknown end may take effect
// at any time later, or never. A commit of a transaction takes effect while the transaction ends, so EndTxn is its operation; that
// needs fetches that wait for pending offsets, and where there are transactions the workload uses no others. Deletions have no number,
// so they are held to two rules of their own: nothing that was committed before an acknowledged deletion is seen after it, and where
// there is no offset there was no commit, or a deletion that may have come after it, or the offset may have expired (expiry.go).
func committedOffsets(x *Index) (out []Anomaly) {
	order, ops := x.H.registers()
	ends := map[int]*Op{}
	for _, op := range x.H.Ops {
		if op.Func == EndTxn {
			ends[op.Txn] = op
		}
	}
	for _, r := range order {
		out = append(out, checkRegister(x, r.key, ops[r], ends)...)
	}
	return out
}

// zone is a commit with everything that saw it.
type zone struct {
	write           *GroupOp
	invoked         Instant // of the write
	complete        Instant
	finish, start   Instant // the first completion, the last invocation
	finisher, later *GroupOp
}

func (z *zone) forward() bool { return z.finish < z.start }

func (z *zone) low() Instant { return min(z.finish, z.start) }

func (z *zone) high() Instant { return max(z.finish, z.start) }

func checkRegister(x *Index, key protocol.TopicPartition, ops []*GroupOp, ends map[int]*Op) (out []Anomaly) {
	zones, order, deletes := map[int64]*zone{}, []*zone(nil), []*GroupOp(nil)
	for _, op := range ops {
		switch {
		case op.Func == DeleteOffset && op.Outcome != Fail:
			deletes = append(deletes, op)
		case op.Func == CommitOffset:
			if z := writeOf(op, ends[op.Txn]); z != nil {
				zones[op.Number] = z
				order = append(order, z)
			}
		}
	}
	for _, op := range ops {
		if op.Func != FetchOffset || op.Outcome != OK {
			continue
		}
		z := zones[op.Number]
		switch {
		case op.Number == 0:
			out = append(out, missingOffset(x, key, op, order, deletes)...)
			continue
		case z == nil && x.meantForFormer(op):
			continue
		case z == nil:
			out = append(out, anomalyOf(WrongOffset, key, "%v, which nobody committed, or which was refused or aborted: %v", op, commitOf(ops, op.Number)))
			continue
		case op.Offset != z.write.Offset:
			out = append(out, anomalyOf(WrongOffset, key, "%v, but %v", op, z.write))
		case op.Complete < z.invoked:
			out = append(out, anomalyOf(WrongOffset, key, "%v before it was committed: %v", op, z.write))
		}
		if x.overdue(key, z, op) {
			out = append(out, anomalyOf(OverdueOffset, key, "%v saw %v, which nobody has kept for %d s", op, z.write, x.H.Retention/1e9))
		}
		out = append(out, deletedOffset(key, op, z, deletes)...)
		if op.Complete < z.finish {
			z.finish, z.finisher = op.Complete, op
		}
		if op.Invoked > z.start {
			z.start, z.later = op.Invoked, op
		}
	}
	return append(out, overlaps(key, order)...)
}

// meantForFormer reports whether what a fetch saw was committed by name for another topic of that name: its request arrived when that one
// was gone.
func (x *Index) meantForFormer(fetch *GroupOp) bool {
	t := x.topics[fetch.Key.Topic]
	return t != nil && slices.ContainsFunc(x.H.GroupOps, func(c *GroupOp) bool {
		former := x.topics[c.Key.Topic]
		return c.Func == CommitOffset && c.Number == fetch.Number && c.Group == fetch.Group && c.ByName && c.Key.Partition == fetch.Key.Partition &&
			former != nil && former.Name == t.Name && x.Deleted[former.ID] != nil && x.Deleted[former.ID].Invoked < c.Complete
	})
}

func commitOf(ops []*GroupOp, number int64) *GroupOp {
	for _, op := range ops {
		if op.Func == CommitOffset && op.Number == number {
			return op
		}
	}
	return nil
}

// writeOf is the zone of a commit alone; nil if it certainly never takes effect.
func writeOf(op *GroupOp, end *Op) *zone {
	if op.Outcome == Fail {
		return nil
	}
	z := &zone{write: op, invoked: op.Invoked, complete: op.Complete, finisher: op, later: op}
	if op.Txn > 0 {
		if end == nil || !end.Commit || end.Outcome == Fail {
			return nil
		}
		z.invoked, z.complete = end.Invoked, end.Complete
		if end.Outcome != OK {
			z.complete = Never
		}
	}
	if op.Outcome != OK {
		z.complete = Never
	}
	z.finish, z.start = z.complete, z.invoked
	return z
}

// missingOffset holds a fetch that found no offset to the commits before it.
func missingOffset(x *Index, key protocol.TopicPartition, op *GroupOp, order []*zone, deletes []*GroupOp) []Anomaly {
	for _, z := range order {
		if z.finish < op.Invoked && !slices.ContainsFunc(deletes, func(d *GroupOp) bool { return ended(d) > z.invoked && d.Invoked < op.Complete }) && !x.mayHaveExpired(key, z, op) {
			return []Anomaly{anomalyOf(LostOffset, key, "%v found no offset after %v", op, z.write)}
		}
	}
	return nil
}

// ended is the completion of an operation whose effect is known, else Never.
func ended(op *GroupOp) Instant {
	if op.Outcome != OK {
		return Never
	}
	return op.Complete
}

func deletedOffset(key protocol.TopicPartition, op *GroupOp, z *zone, deletes []*GroupOp) []Anomaly {
	for _, d := range deletes {
		if z.complete < d.Invoked && ended(d) < op.Invoked {
			return []Anomaly{anomalyOf(WrongOffset, key, "%v though it was deleted by %v", op, d)}
		}
	}
	return nil
}

// overlaps finds two forward zones that overlap, and backward ones within forward ones.
func overlaps(key protocol.TopicPartition, order []*zone) (out []Anomaly) {
	var forward []*zone
	for _, z := range order {
		if z.forward() {
			forward = append(forward, z)
		}
	}
	slices.SortStableFunc(forward, func(a, b *zone) int { return cmp.Compare(a.low(), b.low()) })
	for i := 1; i < len(forward); i++ {
		if a, b := forward[i-1], forward[i]; a.high() > b.low() {
			out = append(out, anomalyOf(OffsetBack, key, "commit %d (%v) is there from %v to %v, and commit %d (%v) from %v to %v",
				a.write.Number, a.write, a.finisher, a.later, b.write.Number, b.write, b.finisher, b.later))
		}
	}
	for _, z := range order {
		if z.forward() {
			continue
		}
		for _, f := range forward {
			if f.low() < z.low() && z.high() < f.high() {
				out = append(out, anomalyOf(LostOffset, key, "%v is missing while %v is seen: from %v to %v", z.write, f.write, f.finisher, f.later))
			}
		}
	}
	return out
}
