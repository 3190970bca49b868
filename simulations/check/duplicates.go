package check

// duplicates: one value lies at two offsets (anomaly 2). Never allowed here: idempotent producers are promised it, and the others of
// the workload never send a batch again.
//
// Why it suffices: the log of an era holds every observed offset of every value; a duplicate that was never observed hurt nobody, and
// the final read observes all of them. A value that a power loss took away and whose producer sent it again is counted once, since
// the lost entry is cut from the log of the later era.
func duplicates(_ *Index, p *Partition) (out []Anomaly) {
	for _, log := range p.Eras {
		for _, e := range log.Entries {
			at := log.Ranks(e.Value)
			if len(at) > 1 && log.Entries[at[0]].Offset == e.Offset {
				out = append(out, p.anomaly(Duplicate, "value %d at offset %d (%v) and %d (%v)",
					e.Value, e.Offset, e.By, log.Entries[at[1]].Offset, log.Entries[at[1]].By))
			}
		}
	}
	return out
}
