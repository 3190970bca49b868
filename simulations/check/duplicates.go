package check

import "github.com/troupe-broker/troupe/actors/protocol"

// duplicates: one value lies at two offsets (anomaly 2). Never allowed here: idempotent producers are promised it, and the others of
// the workload never send a batch again.
//
// Why it suffices: the log of an era holds every observed offset of every value; a duplicate that was never observed hurt nobody, and
// the final read observes all of them. A value that a power loss took away and whose producer sent it again is counted once, since
// the lost entry is cut from the log of the later era. What a power loss takes with durability=os may include all that was known of a
// producer whose records had been removed before: then, and only then, a batch sent again is appended again.
func duplicates(_ *Index, p *Partition) (out []Anomaly) {
	for _, log := range p.Eras {
		for _, e := range log.Entries {
			at := log.Ranks(e.Value)
			if len(at) > 1 && log.Entries[at[0]].Offset == e.Offset && !p.producerForgotten(e, log.Entries[at[1]]) {
				out = append(out, p.anomaly(Duplicate, "value %d at offset %d (%v) and %d (%v)",
					e.Value, e.Offset, e.By, log.Entries[at[1]].Offset, log.Entries[at[1]].By))
			}
		}
	}
	return out
}

// producerForgotten reports whether a power loss between two appends of a value may have taken the memory of the first: the records of
// its producer were removed, so only a snapshot knew it, and a snapshot of more than the log that is left is worth nothing.
func (p *Partition) producerForgotten(first, again Entry) bool {
	return p.Topic.Durability == protocol.DurabilityOS && first.Latest < again.First && first.Offset < p.removed
}
