package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DeleteGroups: v0-2. Removes groups without members, with their offsets; all at once, each at its coordinator.
//
// Behaviour:
//   - A group that is named twice is deleted once and has one row. The empty group id may be deleted, as it may have offsets.
//
// Version history:
//   - v2: flexible
//
// Source: GroupCoordinatorService.deleteGroups, KafkaApis.handleDeleteGroupsRequest.

func handleDeleteGroups(c *Call) {
	req := kmsg.NewPtrDeleteGroupsRequest()
	if !c.read(req) {
		return
	}
	ids := unique(req.Groups)
	out := kmsg.NewPtrDeleteGroupsResponse()
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(ids))
	for i, id := range ids {
		all.left++
		askGroup(c, id, &protocol.DeleteGroup{GroupID: id}, groupWait, func(m *protocol.GroupDeleted) {
			out.Groups[i] = kmsg.DeleteGroupsResponseGroup{Group: id, ErrorCode: c.failed(m.Code)}
			all.one()
		})
	}
	all.one()
}
