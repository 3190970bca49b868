package check

// bounds: one answer contradicts itself: not logStart <= lastStable <= highWatermark, or records outside of them (I-BOUNDS, I-VISIBLE).
//
// Why it suffices: the broker builds an answer from one view of the partition, so the numbers in it must agree with each other
// whatever happens meanwhile; no other answer is needed to judge it.
func bounds(_ *Index, p *Partition) (out []Anomaly) {
	for _, op := range p.Ops {
		if op.Func != Poll || op.Outcome != OK {
			continue
		}
		if op.LogStart > op.HighWatermark || op.LastStable > op.HighWatermark || op.LastStable >= 0 && op.LastStable < op.LogStart {
			out = append(out, p.anomaly(Bounds, "log start %d, last stable %d, high watermark %d (%v)", op.LogStart, op.LastStable, op.HighWatermark, op))
		}
		for _, r := range op.Reads {
			if r.Offset >= op.HighWatermark || op.Committed && r.Offset >= op.LastStable {
				out = append(out, p.anomaly(Bounds, "%v returned offset %d", op, r.Offset))
				break
			}
		}
	}
	return out
}
