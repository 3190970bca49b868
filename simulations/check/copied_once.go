package check

import "github.com/troupe-broker/troupe/actors/protocol"

// Copy is a record that a copier made of another one.
type Copy struct {
	From   protocol.TopicPartition
	Offset int64
	Source int64 // the value at Offset
}

// CopyOf says that the record with a value is a copy.
func (r *Recorder) CopyOf(value int64, c Copy) {
	if r.h.Copies == nil {
		r.h.Copies = map[int64]Copy{}
	}
	r.h.Copies[value] = c
}

// copiedOnce: an exactly-once copy left a record out, made it twice, or changed the order (2.4-c).
//
// Why it suffices: each copy carries a value of its own, and the history knows what it is a copy of. The final read with isolation level
// read_committed shows every copy that counts. In the output of one input partition, which goes to one output partition, they must be
// the records a reader of the input sees, in its order, from the first to the one before the group's committed offset: so they are
// compared with the final read of the input, one by one.
func copiedOnce(x *Index) (out []Anomaly) {
	if len(x.H.Copies) == 0 {
		return nil
	}
	input := map[protocol.TopicPartition][]Read{}
	made := map[protocol.TopicPartition][]Copy{}
	for _, p := range x.Partitions {
		if !p.FinishedCommitted || p.Topic.Durability == protocol.DurabilityOS {
			continue
		}
		input[p.Key] = p.finalReads()
		for _, r := range input[p.Key] {
			if c, ok := x.H.Copies[r.Value]; ok {
				made[c.From] = append(made[c.From], c)
			}
		}
	}
	for _, p := range x.Partitions {
		final, ok := x.H.Copied[p.Key]
		if !ok || !p.FinishedCommitted || p.Topic.Durability == protocol.DurabilityOS {
			continue
		}
		out = append(out, compareCopies(p.Key, input[p.Key], made[p.Key], final)...)
	}
	return out
}

func compareCopies(key protocol.TopicPartition, input []Read, copies []Copy, committed int64) (out []Anomaly) {
	for i, r := range input {
		if r.Offset >= committed {
			input = input[:i]
			break
		}
	}
	for i := range max(len(input), len(copies)) {
		switch {
		case i >= len(copies):
			return append(out, anomalyOf(CopyMissing, key, "offset %d was not copied, %d are, the group is at %d", input[i].Offset, len(copies), committed))
		case i >= len(input) || copies[i].Offset < input[i].Offset:
			return append(out, anomalyOf(CopyTwice, key, "copy %d is of offset %d, again or too early; the group is at %d", i, copies[i].Offset, committed))
		case copies[i].Offset > input[i].Offset:
			return append(out, anomalyOf(CopyMissing, key, "copy %d is of offset %d, offset %d comes before", i, copies[i].Offset, input[i].Offset))
		case copies[i].Source != input[i].Value:
			return append(out, anomalyOf(CopyTwice, key, "the copy of offset %d is of value %d, which has value %d", input[i].Offset, copies[i].Source, input[i].Value))
		}
	}
	return out
}

// finalReads are the records of the final read with isolation level read_committed, in order.
func (p *Partition) finalReads() (out []Read) {
	for _, op := range p.Ops {
		if op.Func == Poll && op.Final && op.Committed {
			out = append(out, op.Reads...)
		}
	}
	return out
}
