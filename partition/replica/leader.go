package replica

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Term is what the controller decided about one leadership: who leads, in which epoch, with whom.
type Term struct {
	Self       protocol.NodeID
	Epoch      protocol.LeaderEpoch
	ISR        []protocol.NodeID // contains Self
	MinISR     int               // min.insync.replicas, at most the number of replicas
	Durability protocol.Durability
}

// Log is where the leader's own log stands. Offsets are exclusive ends.
// Invariant: HighWatermark <= End and Flushed <= End.
type Log struct {
	End, Flushed, HighWatermark int64
}

// Leader is the state of one leadership. Not safe for concurrent use: it belongs to the partition's actor.
type Leader struct {
	term    Term
	members []member // the maximal in-sync set, by node; self is one of them
	self    int      // index in members
	start   int64    // log end when the term began
	hw      int64
	parked  parked
}

// member is what the leader knows of one replica of the maximal in-sync set.
type member struct {
	node         protocol.NodeID
	end, flushed int64 // -1 until it was heard of in this term
}

// NewLeader begins a term. Followers are unknown until Followed; the high watermark is what the log knew.
func NewLeader(t Term, log Log) *Leader {
	invariant.Check(log.Flushed <= log.End && log.HighWatermark <= log.End, "beginning epoch %d with end %d, flushed %d, high watermark %d",
		t.Epoch, log.End, log.Flushed, log.HighWatermark)
	l := &Leader{start: log.End, hw: log.HighWatermark}
	l.setTerm(t)
	l.members[l.self].end, l.members[l.self].flushed = log.End, log.Flushed
	l.advance()
	return l
}

// setTerm takes over a decision of the controller, keeping what is known of members that stay.
func (l *Leader) setTerm(t Term) {
	isr := slices.Clone(t.ISR)
	slices.Sort(isr)
	members := make([]member, len(isr))
	for i, node := range isr {
		members[i] = member{node: node, end: -1, flushed: -1}
		if was := l.find(node); was >= 0 {
			members[i] = l.members[was]
		}
	}
	l.term, l.members = t, members
	l.self = l.find(t.Self)
	invariant.Check(l.self >= 0, "leader %d is not in its in-sync set %v", t.Self, t.ISR)
}

func (l *Leader) find(node protocol.NodeID) int {
	return slices.IndexFunc(l.members, func(m member) bool { return m.node == node })
}

// Reconfigure takes a change of the in-sync set, of min.insync.replicas or of the durability within the term.
func (l *Leader) Reconfigure(t Term) {
	invariant.Check(t.Epoch == l.term.Epoch && t.Self == l.term.Self, "reconfiguring epoch %d of node %d as epoch %d of node %d",
		l.term.Epoch, l.term.Self, t.Epoch, t.Self)
	l.setTerm(t)
	l.advance()
}

// Epoch of the term.
func (l *Leader) Epoch() protocol.LeaderEpoch { return l.term.Epoch }

// EpochStart is the log end when the term began. While the high watermark is below it, it may be behind the true one (KIP-207).
func (l *Leader) EpochStart() int64 { return l.start }

// Appended says that the leader's own log now ends at end, exclusive.
func (l *Leader) Appended(end int64) {
	me := &l.members[l.self]
	invariant.Check(end >= me.end, "the leader's log end fell from %d to %d", me.end, end)
	me.end = end
	l.advance()
}

// Flushed says that the leader's own log is on stable storage below end.
func (l *Leader) Flushed(end int64) {
	me := &l.members[l.self]
	invariant.Check(end <= me.end, "flushed to %d beyond the log end %d", end, me.end)
	me.flushed = max(me.flushed, end)
	l.advance()
}

// Followed says where a follower stands, from a fetch of this term. Of a node outside the in-sync set it changes nothing.
// Source: reliability rule I-ACKPOS; the caller has checked leader epoch and broker epoch.
func (l *Leader) Followed(node protocol.NodeID, end, flushed int64) {
	if i := l.find(node); i >= 0 && i != l.self {
		m := &l.members[i]
		m.end, m.flushed = max(m.end, end), max(m.flushed, min(flushed, end))
		l.advance()
	}
}

// Admit tells whether records with these acks may be appended at all: NOT_ENOUGH_REPLICAS before anything is written.
func (l *Leader) Admit(acks int16) protocol.Code {
	if acks == -1 && len(l.members) < l.term.MinISR {
		return protocol.NotEnoughReplicas
	}
	return protocol.None
}
