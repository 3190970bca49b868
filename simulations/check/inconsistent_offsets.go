package check

// inconsistentOffsets: two different records were observed at one offset (anomaly 1). Never allowed.
//
// Why it suffices: every place where a client learns what lies at an offset (the acknowledgement of a batch, each record of each poll,
// successful or not, since a broker must never emit what is not committed) is an observation, and all observations of an offset are
// compared with the first. If the log ever changed at an offset that two clients saw, two observations differ. Between eras of a
// partition whose durability is "os" a power loss may cut the tail, so there the rule is: equal below one cut, gone above it.
func inconsistentOffsets(_ *Index, p *Partition) []Anomaly { return p.Broken }
