package api

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// SyncGroup: v0-5. A member of a classic group gets its assignment, once the leader has sent those of all.
//
// Version history:
//   - v3: static members (KIP-345); v4: flexible; v5: the protocol is checked (KIP-559), and must be named
//
// Source: GroupCoordinatorService.syncGroup, SyncGroupRequest.areMandatoryProtocolTypeAndNamePresent.

const syncGroupSinceProtocol = 5

func handleSyncGroup(c *Call) {
	req := kmsg.NewPtrSyncGroupRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.SyncGroup{
		Member: c.member(req.Group, req.MemberID, req.InstanceID), Generation: req.Generation,
		ProtocolType: text(req.ProtocolType), ProtocolName: text(req.Protocol),
	}
	cmd.Assignments = make([]protocol.MemberAssignment, len(req.GroupAssignment))
	for i, a := range req.GroupAssignment {
		cmd.Assignments[i] = protocol.MemberAssignment{MemberID: a.MemberID, Assignment: bytes.Clone(a.MemberAssignment)} // a view of the frame
	}
	done := func(m *protocol.GroupSynced) {
		out := kmsg.NewPtrSyncGroupResponse()
		out.ErrorCode, out.MemberAssignment = c.failed(m.Code), m.Assignment
		out.ProtocolType, out.Protocol = textOrNull(m.ProtocolType), textOrNull(m.ProtocolName)
		c.reply(out)
	}
	code := protocol.None
	switch {
	case c.Version >= syncGroupSinceProtocol && (req.ProtocolType == nil || req.Protocol == nil):
		code = protocol.InconsistentGroupProtocol
	case req.Group == "":
		code = protocol.InvalidGroupID
	}
	if code != protocol.None {
		done(cmd.Failed(code).(*protocol.GroupSynced))
		return
	}
	askGroup(c, req.Group, cmd, waitFor(0), done)
}
