package classic

import (
	"github.com/troupe-broker/troupe/group/step"
)

// Members are the members with all that they said, the oldest first. What is in them is the group's: do not change it.
func (g *Group) Members() []Member {
	out := make([]Member, len(g.members))
	for i, m := range g.members {
		out[i] = m.all()
	}
	return out
}

// Leader is the member id of the leader; empty without members.
func (g *Group) Leader() string { return g.leader }

// Protocol is the protocol chosen for this generation; empty without members.
func (g *Group) Protocol() string {
	if g.protocol == nil {
		return ""
	}
	return *g.protocol
}

// FromMembers is a group that goes on with members of a group of the consumer protocol (KIP-848, downgrade). The generation is its
// epoch. The record must be appended together with the tombstones of the other group; then, as with any record, Replay and instead of
// Appended Loaded. It names no leader, so that whoever loads it begins a rebalance, also after a crash: what the member had that is gone
// belongs to nobody (in Kafka, which only begins one here, until something else does). Members that share no protocol, or have none, make
// no group: then ok is false. Source: ClassicGroup.fromConsumerGroup, GroupMetadataManager.convertToClassicGroup.
func FromMembers(groupID string, cfg Config, now step.Now, generation int32, members []Member) (g *Group, record step.Record, ok bool) {
	g = New(groupID, cfg)
	g.generation, g.protocolType, g.since = generation, consumerType, now.Wall.UnixMilli()
	for _, said := range members {
		if g.byID[said.MemberID] != nil || said.InstanceID != "" && g.byStatic[said.InstanceID] != nil {
			return nil, step.Record{}, false
		}
		g.add(&member{id: said.MemberID, instance: said.InstanceID, clientID: said.ClientID, clientHost: said.ClientHost,
			rebalanceTimeout: said.RebalanceTimeout, sessionTimeout: said.SessionTimeout, protocols: intake(said.Protocols),
			assignment: said.Assignment, expires: step.Never})
	}
	for _, m := range g.members {
		if len(m.protocols) == 0 {
			return nil, step.Record{}, false
		}
	}
	chosen := g.vote()
	if len(g.members) == 0 || g.votes[chosen] != len(g.members) {
		return nil, step.Record{}, false
	}
	g.protocol, g.state = &chosen, stable
	g.readTopics()
	g.unled = true
	return g, Record(groupID, g.metadata()), true
}
