package check

// unseen: an acknowledged value that the final read did not return (anomaly 4).
//
// Why it suffices: the final read runs after all faults are healed, from the beginning to the end of the log that the broker itself
// reports and at least to the highest acknowledged offset; what it did not return is gone. What may be gone is the excuse rule's.
func unseen(x *Index, p *Partition) (out []Anomaly) {
	if !p.Finished {
		return nil
	}
	for _, op := range p.Ops {
		if op.Func != Send || !mustBeCommitted(op, p) {
			continue
		}
		for i, v := range op.Values {
			offset := op.Offset
			if offset >= 0 {
				offset += int64(i)
			} else if at := p.Last().Ranks(v); len(at) > 0 {
				offset = p.Last().Entries[at[0]].Offset
			}
			if !p.FinalRead[v] && !x.lossExcused(p, op, offset) && !p.compactedAway(x, v, offset) {
				out = append(out, p.anomaly(Unseen, "value %d at offset %d (%v) is not in the final read", v, offset, op))
			}
		}
	}
	return out
}
