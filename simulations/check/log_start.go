package check

import (
	"cmp"
	"slices"
)

// logStart: the log start went back, or moved beyond everything that was asked for (2.4-l).
//
// Why it suffices: answers that carry a log start are compared in real time; the maximum of those completed before an answer was asked
// for is a lower bound for it, and the maximum of all DeleteRecords invoked before it completed is an upper bound where retention is
// off.
func logStart(x *Index, p *Partition) (out []Anomaly) {
	var marks []mark
	for _, op := range p.Ops {
		if start, ok := shownStart(op); ok {
			answer, told := p.heldTo(op, start), p.tells(op, start)
			answer.era, told.era = 0, 0 // a log start is durable before it is shown, power loss or not
			marks = append(marks, answer, told)
		}
	}
	if !p.Topic.Retains || !x.diskWasFull() { // else retention may have had to free space without being able to write it down
		regressions(marks, func(a, told mark) {
			out = append(out, p.anomaly(LogStartMoved, "log start is %d (%v), after %v showed %d", a.value, a.op, told.op, told.value))
		})
	}
	if p.Topic.Retains || x.mediaDestroyed(p.Key) {
		return out
	}
	return append(out, p.startNobodyAsked()...)
}

func (p *Partition) startNobodyAsked() (out []Anomaly) {
	var marks []mark
	for _, op := range p.Ops {
		if op.Func == DeleteRecords && op.Outcome != Fail {
			marks = append(marks, mark{at: op.Invoked, told: true, value: deletedBefore(op), op: op})
		}
		if start, ok := shownStart(op); ok && !p.headMayBeGone(op) {
			marks = append(marks, mark{at: op.Complete, value: start, op: op})
		}
	}
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	asked := int64(0)
	for _, m := range marks {
		if m.told {
			asked = max(asked, m.value)
		} else if m.value > asked {
			out = append(out, p.anomaly(LogStartMoved, "log start is %d (%v), nobody asked for more than %d", m.value, m.op, asked))
		}
	}
	return out
}

// shownStart is the log start an answer carried.
func shownStart(op *Op) (int64, bool) {
	switch {
	case op.Outcome != OK:
		return 0, false
	case op.Func == Poll || op.Func == Send:
		return op.LogStart, op.LogStart >= 0
	case op.Func == ListOffsets && op.At == AtEarliest, op.Func == DeleteRecords:
		return op.Offset, op.Offset >= 0
	}
	return 0, false
}
