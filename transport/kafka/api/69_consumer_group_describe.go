package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// ConsumerGroupDescribe: v0-1. Groups of the consumer protocol (KIP-848) with their members, all at once, each at its coordinator.
//
// Behaviour:
//   - A group of another protocol, or that does not exist, is GROUP_ID_NOT_FOUND. Topics that were deleted are left out of assignments.
//
// Version history:
//   - v1: whether a member speaks the classic protocol (KIP-1099)
//
// Source: KafkaApis.handleConsumerGroupDescribe, ConsumerGroupMember.asConsumerGroupDescribeMember.

const (
	memberClassic  = 0
	memberConsumer = 1
)

func handleConsumerGroupDescribe(c *Call) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrConsumerGroupDescribeResponse()
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.Groups = make([]kmsg.ConsumerGroupDescribeResponseGroup, len(req.Groups))
	for i, id := range req.Groups {
		all.left++
		done := func(m *protocol.GroupDescribed) {
			out.Groups[i] = c.consumerGroup(id, m, req.IncludeAuthorizedOperations)
			all.one()
		}
		cmd := &protocol.DescribeGroup{GroupID: id}
		if id == "" {
			done(cmd.Failed(protocol.InvalidGroupID).(*protocol.GroupDescribed))
			continue
		}
		askGroup(c, id, cmd, groupWait, done)
	}
	all.one()
}

func (c *Call) consumerGroup(id string, m *protocol.GroupDescribed, operations bool) kmsg.ConsumerGroupDescribeResponseGroup {
	row := kmsg.NewConsumerGroupDescribeResponseGroup()
	row.Group = id
	if m.Failed() {
		row.ErrorCode, row.ErrorMessage = c.failed(m.Code), textOrNull(m.Reason)
		return row
	}
	row.State, row.Epoch, row.AssignmentEpoch, row.AssignorName = m.State, m.Epoch, m.AssignmentEpoch, m.Protocol
	if operations {
		row.AuthorizedOperations = groupOperations
	}
	img := c.Conn.Images.Load()
	for i := range m.Members {
		d := &m.Members[i]
		member := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		member.MemberID, member.InstanceID, member.RackID, member.MemberEpoch = d.MemberID, textOrNull(d.InstanceID), textOrNull(d.Rack), d.MemberEpoch
		member.ClientID, member.ClientHost = d.ClientID, d.ClientHost
		member.SubscribedTopics, member.SubscribedTopicRegex = d.Topics, &d.Regex
		member.Assignment, member.TargetAssignment = assignmentOf(img, d.Assigned), assignmentOf(img, d.Target)
		if member.MemberType = memberConsumer; d.Classic {
			member.MemberType = memberClassic
		}
		row.Members = append(row.Members, member)
	}
	return row
}

// assignmentOf names the topics of an assignment.
func assignmentOf(img *image.Image, parts []protocol.TopicPartitions) (out kmsg.Assignment) {
	for _, p := range parts {
		if t := topicByID(img, p.Topic); t != nil {
			out.TopicPartitions = append(out.TopicPartitions, kmsg.AssignmentTopicPartition{TopicID: t.ID, Topic: t.Name, Partitions: p.Partitions})
		}
	}
	return out
}
