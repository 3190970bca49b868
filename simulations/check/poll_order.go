package check

// pollOrder: one consumer's next poll of a partition starts more than one record after its previous one ended (anomaly 7, poll-skip)
// or not after it (anomaly 8, nonmonotonic-poll). Never allowed for assigned partitions.
//
// Why it suffices: the log knows every observed offset, so a record between the two polls that anybody saw was skipped; ranks, not
// offsets, are compared, so holes nobody can see (compaction, markers) are no skips. Assign (a seek) starts anew, and so does an era:
// what lay between was perhaps cut away. Of a poll with isolation level read_committed only records count that are certainly committed.
func pollOrder(x *Index, p *Partition) (out []Anomaly) {
	type place struct {
		offset int64
		era    int
		by     *Op
	}
	last := map[int]place{}
	for _, op := range p.Ops {
		if op.Func == Assign {
			delete(last, op.Process)
		}
		if op.Func != Poll || op.Outcome != OK || len(op.Reads) == 0 {
			continue
		}
		log, first := p.At(op), op.Reads[0]
		from, had := last[op.Process]
		if had && from.era == p.era(op) {
			switch delta := log.Rank(first.Offset) - log.Rank(from.offset); {
			case delta > 1 && op.Committed && !p.committedBetween(x, log, from.offset, first.Offset):
			case delta > 1 && p.skippable(x, log, from.offset, first.Offset):
			case delta > 1:
				out = append(out, p.anomaly(PollSkip, "%v starts at %d, %v ended at %d: %d records between", op, first.Offset, from.by, from.offset, delta-1))
			case delta < 1:
				out = append(out, p.anomaly(NonmonotonicPoll, "%v starts at %d, %v had ended at %d", op, first.Offset, from.by, from.offset))
			}
		}
		if !had {
			out = append(out, p.skippedAtStart(x, log, op)...)
		}
		last[op.Process] = place{op.Reads[len(op.Reads)-1].Offset, p.era(op), op}
	}
	return out
}

// skippedAtStart reports records between the position a poll asked for and the first record it got.
func (p *Partition) skippedAtStart(x *Index, log *Log, op *Op) []Anomaly {
	first := op.Reads[0].Offset
	if first < op.Position {
		return []Anomaly{p.anomaly(NonmonotonicPoll, "%v asked from %d and got %d", op, op.Position, first)}
	}
	if n := log.Rank(first) - log.Rank(op.Position); n > 0 && !p.skippable(x, log, op.Position-1, first) && (!op.Committed || p.committedBetween(x, log, op.Position-1, first)) {
		return []Anomaly{p.anomaly(PollSkip, "%v asked from %d and got %d: %d records between", op, op.Position, first, n)}
	}
	return nil
}
