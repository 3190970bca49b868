package consumer

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Member epochs with a meaning of their own. Source: ConsumerGroupHeartbeatRequest.
const (
	joinEpoch        = 0
	leaveEpoch       = -1
	staticLeaveEpoch = -2
)

// memberState is where a member stands on its way to its target; the values are those of the log. Source: MemberState.
type memberState int8

const (
	stable     memberState = 0 // has all of the target of its epoch
	unrevoked  memberState = 1 // must first give up the partitions in revoking
	unreleased memberState = 2 // waits for partitions that others still have
)

// member is one member of the group. What the log says of it is changed by Replay only; steps work on copies.
type member struct {
	id         string
	instanceID string // of a static member, or empty
	rack       string
	clientID   string
	clientHost string
	topics     []string // subscribed by name; in order, each once
	regex      string   // subscribed by expression, or empty
	assignor   string   // asked for, or empty
	// rebalanceTimeout is how long it may take to revoke, in milliseconds as in the log.
	rebalanceTimeout int32
	classic          *classicMember // of a member that speaks the classic protocol; nil otherwise

	epoch         int32 // Invariant: not above the group's assignment epoch, but for the special ones
	previousEpoch int32
	state         memberState
	assigned      holding // what it may have
	revoking      holding // what it has and must give up. Invariant: disjoint from assigned, and empty but when unrevoked

	target []protocol.TopicPartitions // by topic id

	// Soft state.
	sessionEnds time.Duration // 0 is not begun
	revokeEnds  time.Duration // step.Never if it has nothing to revoke; of a classic member, when it must have joined or synced
}

// weight is the size of what the member says, in bytes.
func (m *member) weight() (n int) {
	n = len(m.regex) + len(m.rack)
	for _, name := range m.topics {
		n += len(name)
	}
	if m.classic != nil {
		for i := range m.classic.protocols {
			n += len(m.classic.protocols[i].Name) + len(m.classic.protocols[i].Metadata)
		}
	}
	return n
}

// classicMember is what the log keeps of a member that speaks the classic protocol.
type classicMember struct {
	sessionTimeout int32 // ms
	protocols      []protocol.GroupProtocol
}

// settled reports that the member needs nothing more to be at epoch.
func (m *member) settled(epoch int32) bool { return m.state == stable && m.epoch == epoch }

// moveTo sets the epoch and remembers the one before: a member that did not get the answer comes with that one again.
//
// Kafka also remembers if the epoch stays the same, and then writes a record for nothing else.
func (m *member) moveTo(epoch int32) {
	if m.epoch != epoch {
		m.previousEpoch, m.epoch = m.epoch, epoch
	}
}

// sameSubscription compares all that the member's metadata record holds.
func (m *member) sameMetadata(o *member) bool {
	return m.instanceID == o.instanceID && m.rack == o.rack && m.clientID == o.clientID && m.clientHost == o.clientHost &&
		slices.Equal(m.topics, o.topics) && m.regex == o.regex && m.assignor == o.assignor && m.rebalanceTimeout == o.rebalanceTimeout &&
		m.classic.equal(o.classic)
}

// sameAssignment compares all that the member's current assignment record holds.
func (m *member) sameAssignment(o *member) bool {
	return m.epoch == o.epoch && m.previousEpoch == o.previousEpoch && m.state == o.state && m.assigned.equal(o.assigned) && m.revoking.equal(o.revoking)
}

// Weight is the size of all that the members say, in bytes. What they are assigned is the coordinator's, and bounded by the topics there are.
func (g *Group) Weight() int { return g.weight }

// Said is the size of what one member says, in bytes.
func (g *Group) Said(who protocol.Member) int {
	m := g.members[who.MemberID]
	if m == nil {
		m = g.static[who.InstanceID]
	}
	if m == nil {
		return 0
	}
	return m.weight()
}
