package api

import (
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// ConsumerGroupHeartbeat: v0-1. The one request of the consumer protocol (KIP-848): a member joins, lives, changes and leaves by it.
//
// Behaviour:
//   - What the request itself shows to be wrong is refused here; null and empty mean different things in it. Everything else, such as an
//     assignor that is not offered, is for the coordinator to refuse.
//
// Version history:
//   - v1: members choose their id (KIP-1082); regular expressions
//
// Source: GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid.

const (
	joiningEpoch = 0
	leavingEpoch = -1
	pausingEpoch = -2 // a static member that leaves for a while

	heartbeatSinceMemberID = 1
)

func handleConsumerGroupHeartbeat(c *Call) {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.HeartbeatConsumer{
		Member: c.member(req.Group, req.MemberID, req.InstanceID), MemberEpoch: req.MemberEpoch, Rack: text(req.RackID), RebalanceTimeout: -1,
		Topics: req.SubscribedTopicNames, TopicsSet: req.SubscribedTopicNames != nil,
		Regex: text(req.SubscribedTopicRegex), RegexSet: req.SubscribedTopicRegex != nil,
		Assignor: text(req.ServerAssignor), OwnedSet: req.Topics != nil,
	}
	if req.RebalanceTimeoutMillis >= 0 {
		cmd.RebalanceTimeout = time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond
	}
	for i := range req.Topics {
		cmd.Owned = append(cmd.Owned, protocol.TopicPartitions{Topic: req.Topics[i].TopicID, Partitions: req.Topics[i].Partitions})
	}
	if reason := c.wrongHeartbeat(req); reason != "" {
		m := cmd.Failed(protocol.InvalidRequest).(*protocol.ConsumerHeartbeat)
		m.Reason = reason
		c.consumerHeartbeat(m)
		return
	}
	askGroup(c, req.Group, cmd, groupWait, c.consumerHeartbeat)
}

// wrongHeartbeat says why a request is invalid whoever sends it; empty if it is not. What a join must say the group decides.
func (c *Call) wrongHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest) string {
	empty := func(s *string) bool { return s != nil && blank(*s) }
	switch {
	case blank(req.MemberID) && (c.Version >= heartbeatSinceMemberID || req.MemberEpoch > joiningEpoch || req.MemberEpoch == leavingEpoch):
		return "MemberId can't be empty."
	case blank(req.Group):
		return "GroupId can't be empty."
	case empty(req.InstanceID):
		return "InstanceId can't be empty."
	case empty(req.RackID):
		return "RackId can't be empty."
	case req.MemberEpoch == pausingEpoch && req.InstanceID == nil:
		return "InstanceId can't be null."
	case req.MemberEpoch < pausingEpoch:
		return "MemberEpoch is invalid."
	}
	return ""
}

// blank reports whether nothing is left of s without what Java trims.
func blank(s string) bool {
	return strings.TrimLeftFunc(s, func(r rune) bool { return r <= ' ' }) == ""
}

func (c *Call) consumerHeartbeat(m *protocol.ConsumerHeartbeat) {
	out := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	if out.ErrorCode = c.failed(m.Code); m.Failed() {
		out.ErrorMessage = messageOf(m.Fault)
		c.reply(out)
		return
	}
	out.MemberID, out.MemberEpoch, out.HeartbeatIntervalMillis = textOrNull(m.MemberID), m.MemberEpoch, int32(m.Interval.Milliseconds())
	if m.AssignmentSet {
		out.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{Topics: make([]kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic, len(m.Assignment))}
		for i, t := range m.Assignment {
			out.Assignment.Topics[i] = kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{TopicID: t.Topic, Partitions: slices.Clone(t.Partitions)}
		}
	}
	c.reply(out)
}
