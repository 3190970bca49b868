package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Heartbeat: v0-4. A member of a classic group lives.
//
// Version history:
//   - v3: static members (KIP-345); v4: flexible
//
// Source: GroupCoordinatorService.heartbeat.

func handleHeartbeat(c *Call) {
	req := kmsg.NewPtrHeartbeatRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.HeartbeatGroup{Member: c.member(req.Group, req.MemberID, req.InstanceID), Generation: req.Generation}
	done := func(m *protocol.GroupHeartbeat) {
		out := kmsg.NewPtrHeartbeatResponse()
		out.ErrorCode = c.failed(m.Code)
		c.reply(out)
	}
	if req.Group == "" {
		done(cmd.Failed(protocol.InvalidGroupID).(*protocol.GroupHeartbeat))
		return
	}
	askGroup(c, req.Group, cmd, groupWait, done)
}
