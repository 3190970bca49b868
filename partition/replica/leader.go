package replica

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Term is what the controller decided about one leadership: who leads, in which epoch, with whom.
type Term struct {
	Self  protocol.NodeID
	Epoch protocol.LeaderEpoch
	ISR   []protocol.NodeID // as the controller decided it; contains Self
	// Joining are replicas the leader asked the controller to add and does not know the answer for. A replica it asked to remove
	// is still in ISR.
	Joining    []protocol.NodeID
	MinISR     int // min.insync.replicas, at most the number of replicas
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

// unknown is the position of a follower that was not heard of in this term.
const unknown = -1

// member is what the leader knows of one replica of the maximal in-sync set. Invariant: flushed <= end.
type member struct {
	node         protocol.NodeID
	end, flushed int64 // or unknown
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
	t.ISR, t.Joining = slices.Clone(t.ISR), slices.Clone(t.Joining)
	nodes := append(slices.Clone(t.ISR), t.Joining...)
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	members := make([]member, len(nodes))
	for i, node := range nodes {
		members[i] = member{node, unknown, unknown}
		if was := l.find(node); was >= 0 {
			members[i] = l.members[was]
		}
	}
	l.term, l.members = t, members
	l.self = l.find(t.Self)
	invariant.Check(slices.Contains(t.ISR, t.Self), "leader %d is not in its in-sync set %v", t.Self, t.ISR)
}

func (l *Leader) find(node protocol.NodeID) int {
	for i := range l.members {
		if l.members[i].node == node {
			return i
		}
	}
	return -1
}

// Reconfigure takes a change of the in-sync set, of who joins it, of min.insync.replicas or of the durability within the term.
func (l *Leader) Reconfigure(t Term) {
	invariant.Check(t.Epoch == l.term.Epoch && t.Self == l.term.Self, "reconfiguring epoch %d of node %d as epoch %d of node %d",
		l.term.Epoch, l.term.Self, t.Epoch, t.Self)
	l.setTerm(t)
	l.advance()
}

// Appended says that the leader's own log now ends at end, exclusive.
func (l *Leader) Appended(end int64) {
	me := &l.members[l.self]
	if end < me.end {
		invariant.Check(false, "I-TRUNC2: the leader's log end fell from %d to %d", me.end, end)
	}
	me.end = end
	l.advance()
}

// Flushed says that the leader's own log is on stable storage below end. Lower than before changes nothing.
func (l *Leader) Flushed(end int64) {
	me := &l.members[l.self]
	if end > me.end {
		invariant.Check(false, "flushed to %d beyond the log end %d", end, me.end)
	}
	me.flushed = max(me.flushed, end)
	l.advance()
}

// Followed says where a follower stands, from a fetch of this term, or from word of its flush. The two travel on different lanes and
// may overtake each other, so the higher counts; flushed counts up to end, so both are sent together. Of a node outside the maximal set it changes nothing. The caller has checked leader
// epoch and broker epoch (I-ACKPOS).
func (l *Leader) Followed(node protocol.NodeID, end, flushed int64) {
	if i := l.find(node); i >= 0 && i != l.self {
		m := &l.members[i]
		m.end = max(m.end, end)
		m.flushed = max(m.flushed, min(flushed, m.end))
		l.advance()
	}
}

// Restarted says that the follower is another incarnation than the one heard of so far (a new broker epoch): it may have lost what
// that one had, so it is unknown again. What was committed stays committed.
func (l *Leader) Restarted(node protocol.NodeID) {
	if i := l.find(node); i >= 0 && i != l.self {
		l.members[i].end, l.members[i].flushed = unknown, unknown
	}
}

// Admit tells whether records with these acks may be appended at all: NOT_ENOUGH_REPLICAS before anything is written.
func (l *Leader) Admit(acks int16) protocol.Code {
	if acks == -1 && len(l.term.ISR) < l.term.MinISR {
		return protocol.NotEnoughReplicas
	}
	return protocol.None
}
