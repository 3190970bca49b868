package classic

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// sync decides a SyncGroup. In a stable group it is a sign of life, as with Kafka's former coordinator (GroupCoordinator.doSyncGroup): a
// member that joined again in the same generation has sent no heartbeat yet, and would otherwise be removed a session after its last one.
// Source: GroupMetadataManager.classicGroupSyncToClassicGroup, validateSyncGroup.
func (g *Group) sync(now step.Now, in *protocol.SyncGroup, out *step.Out) {
	m, code := g.validate(in.MemberID, in.InstanceID)
	switch {
	case in.GroupID == "":
		code = protocol.InvalidGroupID
	case code != protocol.None:
	case in.Generation != g.generation:
		code = protocol.IllegalGeneration
	case in.ProtocolType != "" && in.ProtocolType != g.protocolType,
		in.ProtocolName != "" && g.protocol != nil && in.ProtocolName != *g.protocol:
		code = protocol.InconsistentGroupProtocol
	case g.state == preparing:
		code = protocol.RebalanceInProgress
	}
	switch {
	case code != protocol.None:
		reply(out, in, in.ReplyTo, in.Failed(code))
	case g.state == stable:
		g.paid(m)
		g.live(now, m, m.sessionTimeout)
		reply(out, in, in.ReplyTo, g.synced(m, in))
	default:
		g.parkSync(m, in, out)
		g.paid(m)
		if m.id == g.leader {
			g.writing = assigned
			out.Records = append(out.Records, g.recordOfAssigned(in.Assignments))
		}
	}
}

// synced answers a SyncGroup of a stable group.
func (g *Group) synced(m *member, in *protocol.SyncGroup) *protocol.GroupSynced {
	return &protocol.GroupSynced{Answer: protocol.Answer{ID: in.ID}, ProtocolType: g.protocolType, ProtocolName: *g.protocol, Assignment: m.assignment}
}

// handOut answers all who wait for their assignment; a session that was not looked at meanwhile begins anew.
// Source: GroupMetadataManager.propagateAssignment.
func (g *Group) handOut(now step.Now, out *step.Out) {
	for _, m := range g.members {
		if m.sync != nil {
			g.answerSync(m, g.synced(m, m.sync), out)
			g.live(now, m, m.sessionTimeout)
		}
	}
}
