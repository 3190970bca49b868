package api

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// JoinGroup: v0-9. Enters a classic group; answered when the next generation begins.
//
// Behaviour:
//   - Requests that follow on the connection are worked on meanwhile; their answers wait for this one.
//
// Version history:
//   - v1: a rebalance timeout of its own (KIP-62), before that the session timeout; v4: a new member is first told its id and comes back
//     with it (KIP-394); v5: static members (KIP-345); v6: flexible; v7: protocol type in the answer (KIP-559)
//   - v8: a reason (KIP-800); v9: a leader that need not assign (KIP-814)
//
// Source: GroupCoordinatorService.joinGroup, KafkaApis.handleJoinGroupRequest.

const (
	joinGroupSinceKnownMember    = 4
	joinGroupSinceSkipAssignment = 9
)

func handleJoinGroup(c *Call) {
	req := kmsg.NewPtrJoinGroupRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.JoinGroup{
		Member:       c.member(req.Group, req.MemberID, req.InstanceID),
		ProtocolType: req.ProtocolType, SessionTimeout: timeout(req.SessionTimeoutMillis), RebalanceTimeout: timeout(req.RebalanceTimeoutMillis),
		RequireKnownMember: c.Version >= joinGroupSinceKnownMember && req.InstanceID == nil,
		SkipAssignment:     c.Version >= joinGroupSinceSkipAssignment,
		Reason:             text(req.Reason),
	}
	if c.Version == 0 || req.RebalanceTimeoutMillis < 0 {
		cmd.RebalanceTimeout = cmd.SessionTimeout
	}
	cmd.Protocols = make([]protocol.GroupProtocol, len(req.Protocols))
	for i, p := range req.Protocols {
		cmd.Protocols[i] = protocol.GroupProtocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)} // a view of the frame
	}
	if req.Group == "" {
		c.groupJoined(cmd.Failed(protocol.InvalidGroupID).(*protocol.GroupJoined))
		return
	}
	askGroup(c, req.Group, cmd, waitFor(cmd.RebalanceTimeout), c.groupJoined)
}

// waitFor is how long an answer that waits for other members may take.
func waitFor(rebalance time.Duration) time.Duration { return max(rebalance, rebalanceWait) + askGrace }

func (c *Call) groupJoined(m *protocol.GroupJoined) {
	out := kmsg.NewPtrJoinGroupResponse()
	out.ErrorCode, out.Generation, out.MemberID = c.failed(m.Code), m.Generation, m.MemberID
	out.LeaderID, out.SkipAssignment = m.Leader, m.SkipAssignment
	out.ProtocolType, out.Protocol = textOrNull(m.ProtocolType), textOrNull(m.ProtocolName)
	out.Members = make([]kmsg.JoinGroupResponseMember, len(m.Members))
	for i := range m.Members {
		j := &m.Members[i]
		out.Members[i] = kmsg.JoinGroupResponseMember{MemberID: j.MemberID, InstanceID: textOrNull(j.InstanceID), ProtocolMetadata: j.Metadata}
	}
	c.reply(out)
}
