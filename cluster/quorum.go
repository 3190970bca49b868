package cluster

import (
	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// describeQuorum answers with raft's own figures, whatever the controller is doing.
func (c *Controller) describeQuorum(m *protocol.DescribeQuorum) {
	if c.member == nil {
		c.refuse(m, actors.RefusedStopped)
		return
	}
	at := c.member.Status()
	out := &protocol.QuorumDescribed{Answer: protocol.Answer{ID: m.ID}, Leader: protocol.NoNode, Epoch: int32(at.Term), HighWatermark: int64(at.Commit) + 1}
	if at.Leader != 0 {
		out.Leader = nodeOf(at.Leader)
	}
	for _, id := range at.Voters {
		v := protocol.QuorumVoter{Node: nodeOf(id), LogEnd: -1}
		if v.Node == c.cfg.Node {
			v.LogEnd = int64(at.LastOwn) + 1
		}
		out.Voters = append(out.Voters, v)
	}
	c.ctx.Send(m.ReplyTo, out)
}

// nodeOf is the node of a raft id; see memberID.
func nodeOf(member uint64) protocol.NodeID { return protocol.NodeID(member - 1) }
