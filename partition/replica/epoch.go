package replica

import "github.com/troupe-broker/troupe/actors/protocol"

// Epoch of the term.
func (l *Leader) Epoch() protocol.LeaderEpoch { return l.term.Epoch }

// EpochStart is the log end when the term began: the first offset this leader may give. Whoever wants to join the in-sync set must
// have the log up to it, or what the leader before had committed could be missing there (I-HWTRUST).
func (l *Leader) EpochStart() int64 { return l.start }

// Trusted reports whether the high watermark is known to be the true one. A new leader knows it as a follower did, possibly an
// exchange behind; what was committed before lies below EpochStart, so it is right once it gets there. Until then "latest" must not
// be answered, lest it fall. Source: KIP-207; Partition.fetchOffsetForTimestamp.
func (l *Leader) Trusted() bool { return l.hw >= l.start }
