package check

// foreignRecords: a topic shows a record that was sent to another topic, or to an incarnation of its name that was deleted before
// (topic incarnation, 2.4-k).
//
// Why it suffices: every value names the partition it was sent to. A send by name may honestly land in the next incarnation of that
// name, but only if it was still running when that incarnation was created, or ended unknown (then the request may yet be on its way);
// everything else crossed logs.
func foreignRecords(x *Index, p *Partition) (out []Anomaly) {
	for _, op := range p.Ops {
		for _, r := range op.Reads {
			w := x.Writer[r.Value]
			if w == nil || w.Key == p.Key {
				continue
			}
			born := x.Created[p.Key.Topic]
			source := x.topics[w.Key.Topic]
			honest := w.ByName && w.Key.Partition == p.Key.Partition && source != nil && source.Name == p.Topic.Name &&
				born != nil && (w.Complete > born.Invoked || w.Outcome == Info)
			if !honest {
				out = append(out, p.anomaly(ForeignRecord, "value %d at offset %d was sent to %v by %v", r.Value, r.Offset, w.Key, w))
			}
		}
	}
	return out
}
