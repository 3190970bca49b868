package check

import (
	"math"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// listOffsets: ListOffsets answers something that the log cannot explain.
//
//   - latest: not below an offset acknowledged, nor below another latest answered, before it was asked; not above the end of the log.
//   - earliest: as log start (log_start.go).
//   - by timestamp: the record at the answered offset has at least that timestamp, and no record before it that was acknowledged
//     before the question has; -1 only if no record acknowledged before has.
//
// Why it suffices: acknowledged records are committed on a single node before the acknowledgement leaves, so they bind every later
// question; records acknowledged afterwards may or may not be seen and bind nothing.
func listOffsets(x *Index, p *Partition) (out []Anomaly) {
	var marks []mark
	for _, op := range p.Ops {
		if op.Outcome != OK {
			continue
		}
		switch {
		case op.Func == Send && op.Offset >= 0 && op.Acks != 0:
			marks = append(marks, p.tells(op, op.Offset+int64(len(op.Values))))
		case op.Func == ListOffsets && op.At == AtLatest:
			marks = append(marks, p.heldTo(op, op.Offset), p.tells(op, op.Offset))
			out = append(out, p.beyondTheEnd(x, op)...)
		case op.Func == ListOffsets && op.At >= 0 && !p.Topic.LogAppendTime && !p.Topic.Retains && !p.Topic.Compacted:
			out = append(out, p.checkByTime(x, op)...)
		}
	}
	regressions(marks, func(a, told mark) {
		out = append(out, p.anomaly(OffsetsListing, "latest is %d (%v) after %v", a.value, a.op, told.op))
	})
	return out
}

// beyondTheEnd reports a latest offset that the log never reached, unless a power loss may have cut it afterwards.
func (p *Partition) beyondTheEnd(x *Index, op *Op) []Anomaly {
	cut := p.Topic.Durability == protocol.DurabilityOS && x.powerLossAfter(op.Era)
	if !p.Finished || cut || op.Offset <= p.end() {
		return nil
	}
	return []Anomaly{p.anomaly(OffsetsListing, "latest was %d (%v), the log ended at %d", op.Offset, op, p.end())}
}

// end is the largest end of the log that any answer showed or implied.
func (p *Partition) end() (end int64) {
	for _, o := range p.Ops {
		if o.Outcome == OK && o.Func == Poll {
			end = max(end, o.HighWatermark)
		}
		if o.Outcome == OK && o.Func == Send && o.Offset >= 0 {
			end = max(end, o.Offset+int64(len(o.Values)))
		}
	}
	return end
}

func (p *Partition) checkByTime(x *Index, op *Op) []Anomaly {
	limit := op.Offset
	if limit < 0 {
		limit = math.MaxInt64
	}
	removed := p.removed
	for _, e := range p.At(op).Entries {
		w := x.Writer[e.Value]
		if w == nil || w.Timestamps == nil {
			continue
		}
		ts := w.Timestamps[e.Value-w.Values[0]]
		if e.Offset == op.Offset && e.Latest == p.era(op) && ts < op.At {
			return []Anomaly{p.anomaly(OffsetsListing, "offset %d answered for time %d holds time %d", op.Offset, op.At, ts)}
		}
		acked := w.Outcome == OK && w.Complete < op.Invoked && p.era(w) == p.era(op) && w.Offset >= 0
		if e.Offset < limit && e.Offset >= removed && acked && ts >= op.At {
			return []Anomaly{p.anomaly(OffsetsListing, "offset %d holds time %d, but %d was answered for time %d", e.Offset, ts, op.Offset, op.At)}
		}
	}
	return nil
}
