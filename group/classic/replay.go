package classic

import (
	"fmt"
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// Replay applies one record of the log. Members that stay keep their soft state: parked commands, session, and the protocols that were
// not chosen. Source: GroupMetadataManager.replay(GroupMetadataKey, GroupMetadataValue).
func (g *Group) Replay(key, value []byte) error {
	id, ok, err := GroupOfKey(key)
	if err != nil {
		return fmt.Errorf("key of classic group %q: %w", g.id, err)
	}
	if !ok || id != g.id {
		return fmt.Errorf("key %q is not of classic group %q", key, g.id)
	}
	if value == nil {
		g.clear()
		return nil
	}
	in, err := readMetadata(value)
	if err != nil {
		return fmt.Errorf("metadata of classic group %q: %w", g.id, err)
	}
	g.apply(in)
	return nil
}

// apply makes the group what the record says.
func (g *Group) apply(in Metadata) {
	old := g.byID
	if g.writing == replaced {
		old[g.incoming.id] = g.incoming
	}
	g.generation, g.protocolType, g.protocol, g.leader, g.since, g.logged = in.Generation, in.ProtocolType, in.Protocol, in.Leader, in.Since, true
	g.members, g.byID, g.byStatic, g.votes, g.joining, g.owing = nil, nil, nil, nil, 0, 0
	for _, said := range in.Members {
		m := old[said.MemberID]
		if m == nil {
			m = &member{id: said.MemberID, expires: step.Never}
		}
		delete(old, said.MemberID)
		g.restore(m, said)
	}
	for _, m := range old {
		invariant.Check(m.join == nil && m.sync == nil, "member %q of group %q left with a parked command", m.id, g.id)
	}
	g.unled = in.Leader == "" && len(g.members) > 0
	if len(g.members) > 0 && g.byID[g.leader] == nil {
		g.leader = g.members[0].id
	}
	if g.owing == 0 {
		g.syncBy = step.Never
	}
	g.previous, g.state = g.state, empty
	if len(g.members) > 0 {
		g.state = stable
	}
	g.readTopics()
}

// restore takes in a member as a record has it.
func (g *Group) restore(m *member, said Member) {
	m.instance, m.clientID, m.clientHost, m.assignment = said.InstanceID, said.ClientID, said.ClientHost, said.Assignment
	m.rebalanceTimeout, m.sessionTimeout = said.RebalanceTimeout, said.SessionTimeout
	chosen := said.Protocols[0]
	if now, known := m.metadata(chosen.Name); !known || !slices.Equal(now, chosen.Metadata) {
		m.protocols = said.Protocols
	}
	g.add(m)
	if m.join != nil {
		g.joining++
	}
	if m.owes {
		g.owing++
	}
}

// Loaded begins the sessions of the members found in the log. A group over group.max.size rebalances, and then gets smaller; one whose
// record names no leader rebalances, too (FromMembers).
// Source: GroupMetadataManager.onLoaded.
func (g *Group) Loaded(now step.Now, out *step.Out) {
	for _, m := range g.members {
		g.live(now, m, m.sessionTimeout)
	}
	if g.unled || g.cfg.MaxSize > 0 && len(g.members) > g.cfg.MaxSize {
		g.because("the group was loaded without a leader, or over group.max.size")
		g.prepare(now, out)
	}
}

// Appended goes on after the records of the last step are in the log.
func (g *Group) Appended(now step.Now, out *step.Out) {
	was, incoming := g.writing, g.incoming
	g.writing, g.incoming, g.outgoing = nothing, nil, nil
	switch was {
	case assigned:
		g.handOut(now, out)
	case replaced:
		g.live(now, incoming, incoming.sessionTimeout)
	}
}

// NotAppended goes on after they are not. What was to be written is undone as far as it can be: an assignment is dropped and made
// anew, a static member keeps its old id. Members that left are gone all the same, and that nobody is left is
// written again later. Source: the appendFutures in GroupMetadataManager.
func (g *Group) NotAppended(now step.Now, code protocol.Code, out *step.Out) {
	was := g.writing
	g.writing, g.incoming, g.outgoing = nothing, nil, nil
	switch was {
	case assigned:
		g.because("the assignment was not written: " + code.Name())
		g.cancelAssignment(now, appendCode(code), out)
		g.prepare(now, out)
	case emptied:
		g.joinWithin(now, retryAfter)
	}
}

// appendCode is what a failed append looks like to members. Source: GroupMetadataManager.appendGroupMetadataErrorToResponseError.
func appendCode(code protocol.Code) protocol.Code {
	switch code {
	case protocol.UnknownTopicOrPartition, protocol.NotEnoughReplicas, protocol.NotEnoughReplicasAfter, protocol.RequestTimedOut:
		return protocol.CoordinatorNotAvailable
	case protocol.NotLeaderOrFollower, protocol.KafkaStorageError:
		return protocol.NotCoordinator
	case protocol.MessageTooLarge, protocol.InvalidFetchSize:
		return protocol.UnknownServerError
	}
	return code
}
