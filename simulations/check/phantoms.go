package check

// phantoms: a record was read that nobody sent, or before its send was invoked.
//
// Why it suffices: values are unique and every send is in the history, so a read without a writer was made up by the broker (or taken
// from another log), and a read that completed before the send began cannot have come from it.
func phantoms(x *Index, p *Partition) (out []Anomaly) {
	for _, op := range p.Ops {
		for _, r := range op.Reads {
			w := x.Writer[r.Value]
			switch {
			case r.Damage != "":
			case w == nil:
				out = append(out, p.anomaly(Phantom, "value %d at offset %d was never sent (%v)", r.Value, r.Offset, op))
			case op.Complete < w.Invoked:
				out = append(out, p.anomaly(Phantom, "value %d was read by %v before %v sent it", r.Value, op, w))
			}
		}
	}
	return out
}
