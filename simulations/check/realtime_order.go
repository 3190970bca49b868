package check

// realtimeOrder: a batch whose send was invoked after another's acknowledgement lies before it.
//
// Why it suffices: sweeping completions and invocations in real time, the highest offset acknowledged so far is a lower bound for
// every batch invoked later; if each obeys the maximum it obeys all. Batches first seen in different eras are not compared: what lay
// between may have been taken by a power loss.
func realtimeOrder(_ *Index, p *Partition) (out []Anomaly) {
	var marks []mark
	log := p.Last()
	for _, op := range p.Ops {
		if op.Func != Send || op.Outcome == Fail {
			continue
		}
		at := log.Ranks(op.Values[0])
		if len(at) == 0 {
			continue
		}
		e := log.Entries[at[0]]
		marks = append(marks, mark{at: op.Invoked, era: e.First, value: e.Offset, op: op})
		if op.Outcome == OK && op.Offset == e.Offset {
			marks = append(marks, mark{at: op.Complete, told: true, era: e.First, value: e.Offset + 1, op: op})
		}
	}
	regressions(marks, func(late, told mark) {
		out = append(out, p.anomaly(RealtimeOrder, "%v lies at %d, though it began after %v was acknowledged", late.op, late.value, told.op))
	})
	return out
}
