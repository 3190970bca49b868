package check

// unstableReads: a record that some poll returned is not in the final read, though nothing may have removed it (read stability).
//
// Why it suffices: what a poll returned was committed, so it must stay whatever its producer was told; the final read sees all that
// stayed, and another record in its place is the inconsistent-offsets check.
func unstableReads(x *Index, p *Partition) (out []Anomaly) {
	if !p.Finished {
		return nil
	}
	for _, op := range p.Ops {
		if op.Func != Poll || op.Final {
			continue
		}
		for _, r := range op.Reads {
			if p.FinalRead[r.Value] || r.Damage != "" || x.readLossExcused(p, op, r) || p.compactedAway(x, r.Value, r.Offset) {
				continue
			}
			out = append(out, p.anomaly(UnstableRead, "value %d at offset %d was read by %v and is not in the final read", r.Value, r.Offset, op))
		}
	}
	return out
}

// readLossExcused applies the allowed-loss rule to a read: with acks=0 the producer was promised nothing, the reader still is.
func (x *Index) readLossExcused(p *Partition, op *Op, r Read) bool {
	as := Op{Acks: 1, Era: op.Era}
	return x.lossExcused(p, &as, r.Offset)
}
