package classic

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// heartbeat says that a member lives. Source: GroupMetadataManager.classicGroupHeartbeatToClassicGroup.
func (g *Group) heartbeat(now step.Now, in *protocol.HeartbeatGroup) protocol.Code {
	if in.GroupID == "" {
		return protocol.InvalidGroupID
	}
	m, code := g.validate(in.MemberID, in.InstanceID)
	if code != protocol.None {
		return code
	}
	if in.Generation != g.generation {
		return protocol.IllegalGeneration
	}
	g.live(now, m, m.sessionTimeout)
	if g.state == preparing {
		return protocol.RebalanceInProgress
	}
	return protocol.None
}

// leave takes members out, each with its own code. Source: GroupMetadataManager.classicGroupLeaveToClassicGroup; unlike there an id
// that was given out and never used may go without a rebalance.
func (g *Group) leave(now step.Now, in *protocol.LeaveGroup, out *step.Out) {
	if in.GroupID == "" {
		reply(out, in, in.ReplyTo, in.Failed(protocol.InvalidGroupID))
		return
	}
	ans := &protocol.GroupLeft{Answer: protocol.Answer{ID: in.ID}, Members: make([]protocol.LeftMember, len(in.Members))}
	gone := false
	for i, who := range in.Members {
		code := protocol.None
		if _, expected := g.pending[who.MemberID]; expected {
			delete(g.pending, who.MemberID)
		} else if m, bad := g.leaver(who); bad != protocol.None {
			code = bad
		} else {
			g.because("member " + m.id + " left" + said(who.Reason))
			g.remove(m, protocol.UnknownMemberID, out)
			gone = true
		}
		ans.Members[i] = protocol.LeftMember{MemberID: who.MemberID, InstanceID: who.InstanceID, Code: code}
	}
	reply(out, in, in.ReplyTo, ans)
	if gone && (g.state == stable || g.state == completing) {
		g.prepare(now, out)
	} else {
		g.maybeCompleteJoin(now, out)
	}
}

// leaver finds who is to leave. An administrator knows static members by their instance id alone (KIP-571).
func (g *Group) leaver(who protocol.LeavingMember) (*member, protocol.Code) {
	if who.MemberID != "" {
		return g.validate(who.MemberID, who.InstanceID)
	}
	if m := g.byStatic[who.InstanceID]; who.InstanceID != "" && m != nil {
		return m, protocol.None
	}
	return nil, protocol.UnknownMemberID
}
