package check

// failedReads: a value was read whose send definitely failed (anomaly 5 without transactions; I-FAILDEF).
//
// Why it suffices: Fail is only recorded for answers that promise "nothing was appended"; the final read sees every record that is in
// the log, so a wrong promise shows. This is the check that finds wrong error codes.
func failedReads(x *Index, p *Partition) (out []Anomaly) {
	for _, op := range p.Ops {
		for _, r := range op.Reads {
			if w := x.Writer[r.Value]; w != nil && w.Outcome == Fail {
				out = append(out, p.anomaly(FailedRead, "value %d at offset %d was read by %v though %v failed", r.Value, r.Offset, op, w))
			}
		}
	}
	return out
}
