package check

// damagedRecords: a record came back with other bytes than were sent: key, value, headers, timestamp, or a batch whose CRC, producer
// id or sequence is wrong.
//
// Why it suffices: everything in a record is a function of its value and partition, so the reader compares all of it without asking
// the writer; a record that cannot be attributed to any value is damage too.
func damagedRecords(_ *Index, p *Partition) (out []Anomaly) {
	for _, op := range p.Ops {
		for _, r := range op.Reads {
			if r.Damage != "" {
				out = append(out, p.anomaly(Damaged, "offset %d value %d: %s (%v)", r.Offset, r.Value, r.Damage, op))
			}
		}
	}
	return out
}
