package check

// watermark: the high watermark went back within one life of the broker (I-HWMONO), or an acknowledged record was not below it.
//
// Why it suffices: swept in real time, the largest watermark shown (or implied by an acknowledgement) so far bounds every answer asked
// for later. A restarted broker may show less for a while, until it knows again what is durable: that is unavailability, and what it
// shows below is compared record by record; "latest" must not be answered meanwhile, which is the list-offsets check (KIP-207).
func watermark(_ *Index, p *Partition) (out []Anomaly) {
	var marks, stable []mark
	add := func(m mark) {
		m.era = m.op.Life
		marks = append(marks, m)
	}
	for _, op := range p.Ops {
		switch {
		case op.Outcome != OK:
		case op.Func == Poll:
			add(p.heldTo(op, op.HighWatermark))
			add(p.tells(op, op.HighWatermark))
			if op.LastStable >= 0 {
				held, told := p.heldTo(op, op.LastStable), p.tells(op, op.LastStable)
				held.era, told.era = op.Life, op.Life
				stable = append(stable, held, told)
			}
		case op.Func == Send && op.Offset >= 0 && op.Acks != 0:
			add(p.tells(op, op.Offset+int64(len(op.Values))))
		}
	}
	regressions(marks, func(a, told mark) {
		out = append(out, p.anomaly(WatermarkBack, "high watermark %d (%v) after %d (%v)", a.value, a.op, told.value, told.op))
	})
	regressions(stable, func(a, told mark) {
		out = append(out, p.anomaly(WatermarkBack, "last stable offset %d (%v) after %d (%v)", a.value, a.op, told.value, told.op))
	})
	return out
}
