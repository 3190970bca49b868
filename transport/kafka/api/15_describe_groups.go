package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DescribeGroups: v0-6. Classic groups with their members, all at once, each at its coordinator.
//
// Behaviour:
//   - A group that does not exist, or is none of the classic protocol, is "Dead" and no error; from v6 on GROUP_ID_NOT_FOUND.
//
// Version history:
//   - v3: authorized operations (KIP-430); v4: static members (KIP-345); v5: flexible; v6: a message with the error (KIP-1043)
//
// Source: GroupMetadataManager.describeGroups, KafkaApis.handleDescribeGroupsRequest.

const (
	describeGroupsSinceNotFound = 6

	stateDead = "Dead"
)

func handleDescribeGroups(c *Call) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDescribeGroupsResponse()
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(req.Groups))
	for i, id := range req.Groups {
		all.left++
		askGroup(c, id, &protocol.DescribeGroup{GroupID: id, Classic: true}, groupWait, func(m *protocol.GroupDescribed) {
			out.Groups[i] = c.classicGroup(id, m, req.IncludeAuthorizedOperations)
			all.one()
		})
	}
	all.one()
}

func (c *Call) classicGroup(id string, m *protocol.GroupDescribed, operations bool) kmsg.DescribeGroupsResponseGroup {
	row := kmsg.NewDescribeGroupsResponseGroup()
	row.Group, row.State = id, m.State
	switch {
	case m.Code == protocol.GroupIDNotFound:
		row.State = stateDead
		if c.Version >= describeGroupsSinceNotFound {
			row.ErrorCode, row.ErrorMessage = c.failed(m.Code), messageOf(m.Fault)
			return row
		}
	case m.Failed():
		row.State = ""
		row.ErrorCode, row.ErrorMessage = c.failed(m.Code), messageOf(m.Fault)
		return row
	default:
		row.ProtocolType, row.Protocol = m.ProtocolType, m.Protocol
		for i := range m.Members {
			d := &m.Members[i]
			row.Members = append(row.Members, kmsg.DescribeGroupsResponseGroupMember{
				MemberID: d.MemberID, InstanceID: textOrNull(d.InstanceID), ClientID: d.ClientID, ClientHost: d.ClientHost,
				ProtocolMetadata: d.Metadata, MemberAssignment: d.Assignment,
			})
		}
	}
	if operations {
		row.AuthorizedOperations = groupOperations
	}
	return row
}
