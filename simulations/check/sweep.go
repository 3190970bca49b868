package check

import (
	"cmp"
	"slices"
)

// mark is something an operation tells or is held to at one instant.
type mark struct {
	at    Instant
	told  bool // from here on, answers are bound by value; otherwise this is an answer to be held to what was told before
	era   int
	value int64
	op    *Op
}

// tells says that from the completion of op on, answers are bound by value.
func (p *Partition) tells(op *Op, value int64) mark {
	return mark{op.Complete, true, p.era(op), value, op}
}

// heldTo says that op, having asked at its invocation, answered value.
func (p *Partition) heldTo(op *Op, value int64) mark {
	return mark{op.Invoked, false, p.era(op), value, op}
}

// regressions sweeps the marks in real time and calls f for each answer that is below what had been told, in the same era, before it
// was asked for. Since the largest value told so far binds, comparing with it alone is enough.
func regressions(marks []mark, f func(answer, told mark)) {
	slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	highest := map[int]mark{}
	for _, m := range marks {
		h, ok := highest[m.era]
		switch {
		case m.told && (!ok || m.value > h.value):
			highest[m.era] = m
		case !m.told && ok && m.value < h.value:
			f(m, h)
		}
	}
}
