package check

// sendOrder: one producer's later batch is ordered before its earlier one (anomaly 11), or records inside one batch are (anomaly 12).
// Never allowed: producers are idempotent with at most five batches in flight, or retire after the first unknown outcome.
//
// Why it suffices: the order in the log is witnessed by offsets, of acknowledgements or of reads; comparing each batch with the last
// one before it that has a place is enough, since order is transitive.
func sendOrder(_ *Index, p *Partition) (out []Anomaly) {
	log := p.Last()
	last := map[int]*Op{}
	for _, op := range p.Ops {
		if op.Func != Send || op.Outcome == Fail {
			continue
		}
		first, end, ok := span(log, op)
		if !ok {
			continue
		}
		if end-first != len(op.Values)-1 {
			out = append(out, p.anomaly(IntNonmonotonicSend, "the records of %v lie at ranks %d..%d", op, first, end))
		}
		if before := last[op.Process]; before != nil {
			// What was last seen before a power loss, and not since, may be gone: then nothing lies behind it.
			_, prev, _ := span(log, before)
			if first <= prev && log.Entries[prev].Latest >= log.Entries[first].First {
				out = append(out, p.anomaly(NonmonotonicSend, "%v lies before the earlier %v", op, before))
			}
		}
		last[op.Process] = op
	}
	return out
}

// span is the ranks of the first and last record of op that are in the log; ok is false if any of them is not.
func span(log *Log, op *Op) (first, last int, ok bool) {
	n := len(op.Values)
	a, b := log.Ranks(op.Values[0]), log.Ranks(op.Values[n-1])
	if len(a) == 0 || len(b) == 0 {
		return 0, 0, false
	}
	for i, v := range op.Values {
		if at := log.Ranks(v); len(at) == 0 || at[0] != a[0]+i {
			return a[0], b[0], len(at) > 0 && b[0]-a[0] != n-1
		}
	}
	return a[0], b[0], true
}
