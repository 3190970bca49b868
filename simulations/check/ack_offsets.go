package check

import (
	"cmp"
	"slices"
)

// ackOffsets: the offsets acknowledged to two batches of one era overlap, or an acknowledgement names an impossible offset.
//
// Why it suffices: sorted by base offset, overlapping ranges are neighbours. That the batch acknowledged at an offset is what readers
// find there is the inconsistent-offsets check, for which an acknowledgement is an observation.
func ackOffsets(_ *Index, p *Partition) (out []Anomaly) {
	byEra := make([][]*Op, len(p.Eras))
	for _, op := range p.Ops {
		if op.Func != Send || op.Outcome != OK || op.Acks == 0 {
			continue
		}
		if op.Offset < -1 {
			out = append(out, p.anomaly(AckOffsets, "%v was acknowledged at offset %d", op, op.Offset))
		}
		if op.Offset >= 0 {
			era := min(p.era(op), len(p.Eras)-1)
			byEra[era] = append(byEra[era], op)
		}
	}
	for _, ops := range byEra {
		slices.SortStableFunc(ops, func(a, b *Op) int { return cmp.Compare(a.Offset, b.Offset) })
		for i := 1; i < len(ops); i++ {
			a, b := ops[i-1], ops[i]
			if b.Offset < a.Offset+int64(len(a.Values)) {
				out = append(out, p.anomaly(AckOffsets, "%v and %v overlap", a, b))
			}
		}
	}
	return out
}
