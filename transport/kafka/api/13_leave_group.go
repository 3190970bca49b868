package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// LeaveGroup: v0-5. Takes members out of a group.
//
// Behaviour:
//   - Below v3 one member leaves, and what becomes of it is the answer; since then each has a row of its own.
//
// Version history:
//   - v3: many members, by instance id too (KIP-345); v4: flexible; v5: a reason (KIP-800)
//
// Source: GroupCoordinatorService.leaveGroup, LeaveGroupResponse.

const leaveGroupSinceMembers = 3

func handleLeaveGroup(c *Call) {
	req := kmsg.NewPtrLeaveGroupRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.LeaveGroup{GroupID: req.Group}
	if c.Version < leaveGroupSinceMembers {
		cmd.Members = []protocol.LeavingMember{{MemberID: req.MemberID}}
	}
	for _, m := range req.Members {
		cmd.Members = append(cmd.Members, protocol.LeavingMember{MemberID: m.MemberID, InstanceID: text(m.InstanceID), Reason: text(m.Reason)})
	}
	if req.Group == "" {
		c.groupLeft(cmd.Failed(protocol.InvalidGroupID).(*protocol.GroupLeft))
		return
	}
	askGroup(c, req.Group, cmd, groupWait, c.groupLeft)
}

func (c *Call) groupLeft(m *protocol.GroupLeft) {
	out := kmsg.NewPtrLeaveGroupResponse()
	code := m.Code
	if c.Version < leaveGroupSinceMembers && !m.Failed() && len(m.Members) == 1 {
		code = m.Members[0].Code
	}
	out.ErrorCode = c.failed(code)
	for _, l := range m.Members {
		out.Members = append(out.Members, kmsg.LeaveGroupResponseMember{MemberID: l.MemberID, InstanceID: textOrNull(l.InstanceID), ErrorCode: c.failed(l.Code)})
	}
	c.reply(out)
}
