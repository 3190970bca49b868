package api

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// ListGroups: v0-5. The groups that this broker coordinates, of all its shards.
//
// Behaviour:
//   - A shard that still loads is an error of the whole answer, so that no list looks complete and is not. One that has moved away
//     meanwhile is left out: its groups are listed where it is.
//
// Version history:
//   - v3: flexible; v4: states (KIP-518); v5: types (KIP-848)
//
// Source: GroupCoordinatorService.listGroups.

func handleListGroups(c *Call) {
	req := kmsg.NewPtrListGroupsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrListGroupsResponse()
	var groups []protocol.ListedGroup
	code := protocol.None
	all := &join{left: 1}
	all.done = func() {
		if out.ErrorCode = c.failed(code); code == protocol.None {
			out.Groups = listed(groups)
		}
		c.reply(out)
	}
	for _, shard := range c.Conn.Coordinators.GroupShards() {
		all.left++
		askShard(c, shard, &protocol.ListGroups{States: req.StatesFilter, Types: req.TypesFilter}, groupWait, func(m *protocol.GroupsListed) {
			if m.Failed() && m.Code != protocol.NotCoordinator {
				code = m.Code
			}
			groups = append(groups, m.Groups...)
			all.one()
		})
	}
	all.one()
}

// listed are the rows of an answer, by id.
func listed(groups []protocol.ListedGroup) []kmsg.ListGroupsResponseGroup {
	slices.SortFunc(groups, func(a, b protocol.ListedGroup) int { return strings.Compare(a.GroupID, b.GroupID) })
	out := make([]kmsg.ListGroupsResponseGroup, len(groups))
	for i, g := range groups {
		out[i] = kmsg.ListGroupsResponseGroup{Group: g.GroupID, ProtocolType: g.ProtocolType, GroupState: g.State, GroupType: g.Type}
	}
	return out
}
