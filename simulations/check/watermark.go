package check

// watermark: the high watermark went back (I-HWMONO), or an acknowledged record was not below it.
//
// Why it suffices: swept in real time, the largest watermark shown (or implied by an acknowledgement) so far bounds every answer asked
// for later. With durability "os" a power loss may cut the log, so the bound starts anew with each era.
func watermark(_ *Index, p *Partition) (out []Anomaly) {
	var marks []mark
	for _, op := range p.Ops {
		switch {
		case op.Outcome != OK:
		case op.Func == Poll:
			marks = append(marks, p.heldTo(op, op.HighWatermark), p.tells(op, op.HighWatermark))
		case op.Func == Send && op.Offset >= 0 && op.Acks != 0:
			marks = append(marks, p.tells(op, op.Offset+int64(len(op.Values))))
		}
	}
	regressions(marks, func(a, told mark) {
		out = append(out, p.anomaly(WatermarkBack, "high watermark %d (%v) after %d (%v)", a.value, a.op, told.value, told.op))
	})
	return out
}
