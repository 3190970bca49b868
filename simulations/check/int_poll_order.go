package check

// intPollOrder: inside one poll, adjacent records of a partition leave one out (anomaly 9) or do not ascend (anomaly 10). Never allowed.
//
// Why it suffices: as pollOrder, for the one poll in which the broker chose all the records itself.
func intPollOrder(x *Index, p *Partition) (out []Anomaly) {
	for _, op := range p.Ops {
		log := p.At(op)
		for i := 1; i < len(op.Reads); i++ {
			a, b := op.Reads[i-1], op.Reads[i]
			switch delta := log.Rank(b.Offset) - log.Rank(a.Offset); {
			case b.Offset <= a.Offset:
				out = append(out, p.anomaly(IntNonmonotonicPoll, "%v returned offset %d after %d", op, b.Offset, a.Offset))
			case delta > 1 && op.Committed && !p.committedBetween(x, log, a.Offset, b.Offset):
			case delta > 1 && p.skippable(x, log, a.Offset, b.Offset):
			case delta > 1:
				out = append(out, p.anomaly(IntPollSkip, "%v returned offset %d after %d: %d records between", op, b.Offset, a.Offset, delta-1))
			}
		}
	}
	return out
}
