package check

import "math"

// lostWrites: an acknowledged value lies below something that was read, and nobody ever read it (anomaly 3).
//
// Why it suffices: the final read begins at the log start and consumers read in offset order, so a record below something read that no
// poll ever returned is not there. A batch is atomic: if one value of a send was read, all of them must be committed, whatever the producer was
// told. Values above everything read are the business of the unseen checker. In an era that power loss may have cut, a loss is a tail:
// the excuse holds only if nothing of that era survived above it.
func lostWrites(x *Index, p *Partition) (out []Anomaly) {
	if !p.Finished {
		return nil
	}
	bound := int64(-1)
	survivors := map[int]int64{} // era -> largest offset first seen in it that the final read still saw
	for _, e := range p.Last().Entries {
		if p.Read[e.Value] {
			bound = e.Offset
		}
		if p.FinalRead[e.Value] {
			survivors[e.First] = max(survivors[e.First], e.Offset)
		}
	}
	for _, op := range p.Ops {
		if op.Func != Send || !mustBeCommitted(op, p) {
			continue
		}
		for i, v := range op.Values {
			at := p.Last().Ranks(v)
			if p.Read[v] || len(at) == 0 && !p.batchWasRead(op) {
				continue
			}
			offset := int64(-1)
			if len(at) > 0 {
				offset = p.Last().Entries[at[len(at)-1]].Offset
			}
			if offset > bound || p.compactedAway(x, v, offset) {
				continue
			}
			if x.lossExcused(p, op, offset) && !survivedAbove(survivors, p.era(op), offset, x, p) {
				continue
			}
			out = append(out, p.anomaly(LostWrite, "value %d (record %d of %v) was never read, offset %d was", v, i, op, bound))
		}
	}
	return out
}

// mustBeCommitted reports whether the values of op are in the log for certain.
func mustBeCommitted(op *Op, p *Partition) bool {
	return op.Outcome == OK || op.Outcome != Fail && p.batchWasRead(op)
}

func (p *Partition) batchWasRead(op *Op) bool {
	for _, v := range op.Values {
		if p.Read[v] {
			return true
		}
	}
	return false
}

// survivedAbove reports whether a record acknowledged in the same or an earlier era at a larger offset is still there: then the
// loss at offset is a hole and no power loss excuses it.
func survivedAbove(survivors map[int]int64, era int, offset int64, x *Index, p *Partition) bool {
	if offset < 0 || offset < p.removed || x.mediaDestroyed(p.Key) || x.Deleted[p.Key.Topic] != nil {
		return false
	}
	highest := int64(math.MinInt64)
	for e, o := range survivors {
		if e <= era {
			highest = max(highest, o)
		}
	}
	return highest > offset
}
