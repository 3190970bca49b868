package consumer

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Listed is the group as ListGroups shows it.
func (g *Group) Listed() protocol.ListedGroup {
	return protocol.ListedGroup{GroupID: g.id, ProtocolType: "consumer", State: g.State(), Type: "consumer"}
}

func (g *Group) describe(c *protocol.DescribeGroup) *protocol.GroupDescribed {
	out := &protocol.GroupDescribed{Answer: protocol.Answer{ID: c.ID}, GroupID: g.id, State: "Dead"}
	switch {
	case !g.exists:
		out.Fault = fault(protocol.GroupIDNotFound, "group %q does not exist", g.id)
		return out
	case c.Classic:
		out.Fault = fault(protocol.GroupIDNotFound, "group %q is not a classic group", g.id)
		return out
	}
	out.State, out.Epoch, out.AssignmentEpoch, out.Protocol = g.State(), g.epoch, g.targetEpoch, g.assignorAfter(nil)
	out.Members = make([]protocol.DescribedMember, len(g.order))
	for i, m := range g.order {
		out.Members[i] = protocol.DescribedMember{
			Member: protocol.Member{GroupID: g.id, MemberID: m.id, InstanceID: m.instanceID, ClientID: m.clientID, ClientHost: m.clientHost},
			Rack:   m.rack, MemberEpoch: m.epoch, Classic: m.classic != nil, Topics: m.topics, Regex: m.regex,
			Assigned: m.assigned.union(m.revoking).rows(), Target: m.target,
		}
	}
	return out
}

// String is for tests and logs: one line.
func (g *Group) String() string {
	return fmt.Sprintf("group %q: %s, epoch %d, target %d, %d members, not settled %v", g.id, g.State(), g.epoch, g.targetEpoch, len(g.order), g.unsettled())
}
