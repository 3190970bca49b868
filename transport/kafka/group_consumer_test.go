package kafka

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func heartbeatRequest() *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis = "group", "m1", 60000
	req.SubscribedTopicNames, req.Topics = []string{"two"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return req
}

func TestConsumerGroupHeartbeat(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	id := topicID("two")
	f.answers(func(any) any {
		return &protocol.ConsumerHeartbeat{MemberID: "m1", MemberEpoch: 3, Interval: 5 * time.Second, AssignmentSet: true,
			Assignment: []protocol.TopicPartitions{{Topic: id, Partitions: []int32{0, 1}}}}
	})
	c := w.connect()
	for version := int16(0); version <= 1; version++ {
		req := heartbeatRequest()
		req.SubscribedTopicRegex, req.ServerAssignor, req.RackID = kmsg.StringPtr("t.*"), kmsg.StringPtr("uniform"), kmsg.StringPtr("rack")
		resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, version, req)
		if resp.ErrorCode != 0 || *resp.MemberID != "m1" || resp.MemberEpoch != 3 || resp.HeartbeatIntervalMillis != 5000 || resp.ErrorMessage != nil ||
			len(resp.Assignment.Topics) != 1 || resp.Assignment.Topics[0].TopicID != id || len(resp.Assignment.Topics[0].Partitions) != 2 {
			t.Errorf("v%d: %+v", version, resp)
		}
		want := protocol.HeartbeatConsumer{Member: speaker("group", "m1"), Rack: "rack", RebalanceTimeout: time.Minute, Topics: []string{"two"}, TopicsSet: true,
			Assignor: "uniform", OwnedSet: true}
		if version >= 1 {
			want.Regex, want.RegexSet = "t.*", true
		}
		if m := last[protocol.HeartbeatConsumer](t, f); !reflect.DeepEqual(m, want) {
			t.Errorf("v%d:\n got %+v\nwant %+v", version, m, want)
		}
	}
	// What is unchanged is not sent.
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = "group", "m1", 3, -1
	f.answers(func(any) any { return &protocol.ConsumerHeartbeat{MemberID: "m1", MemberEpoch: 3} })
	if resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 1, req); resp.Assignment != nil || resp.ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	if m := last[protocol.HeartbeatConsumer](t, f); m.TopicsSet || m.RegexSet || m.OwnedSet || m.RebalanceTimeout != -1 || m.MemberEpoch != 3 {
		t.Errorf("%+v", m)
	}
	f.answers(func(msg any) any {
		m := msg.(*protocol.HeartbeatConsumer).Failed(protocol.FencedMemberEpoch).(*protocol.ConsumerHeartbeat)
		m.Reason = "because"
		return m
	})
	if resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 1, req); resp.ErrorCode != 110 || *resp.ErrorMessage != "because" {
		t.Errorf("%+v", resp)
	}
}

func TestConsumerGroupHeartbeatsThatAreInvalid(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	f.answers(func(any) any { return &protocol.ConsumerHeartbeat{MemberID: "m1"} })
	c := w.connect()
	for name, change := range map[string]func(*kmsg.ConsumerGroupHeartbeatRequest){
		"MemberId can't be empty.":   func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "" },
		"GroupId can't be empty.":    func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = " " },
		"InstanceId can't be empty.": func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("") },
		"RackId can't be empty.":     func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = kmsg.StringPtr(" \t\n") },
		"InstanceId can't be null.":  func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -2 },
		"MemberEpoch is invalid.":    func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -3 },
	} {
		req := heartbeatRequest()
		change(req)
		if resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 1, req); resp.ErrorCode != 42 || *resp.ErrorMessage != name || resp.MemberID != nil {
			t.Errorf("%s: %d %v", name, resp.ErrorCode, resp.ErrorMessage)
		}
	}
	if len(f.fakes[0].got) > 0 {
		t.Error("an invalid request reached the coordinator")
	}
	// v0: the coordinator gives a new member its id.
	req := heartbeatRequest()
	req.MemberID = ""
	if resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 0, req); resp.ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	req.MemberEpoch = -1
	if resp := ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 0, req); resp.ErrorCode != 42 {
		t.Errorf("%+v", resp)
	}
}

func TestConsumerGroupDescribe(t *testing.T) {
	w := newWorld(t)
	w.topic("two", 2)
	f := w.shards(2)
	f.fakes[0].answer = func(msg any) any { return msg.(*protocol.DescribeGroup).Failed(protocol.GroupIDNotFound) }
	f.fakes[1].answer = func(any) any {
		parts := []protocol.TopicPartitions{{Topic: topicID("two"), Partitions: []int32{1}}, {Topic: topicID("gone"), Partitions: []int32{0}}}
		return &protocol.GroupDescribed{State: "Reconciling", Epoch: 7, AssignmentEpoch: 6, Protocol: "uniform", Members: []protocol.DescribedMember{
			{Member: speaker("group", "m1"), Rack: "rack", MemberEpoch: 5, Topics: []string{"two"}, Assigned: parts, Target: parts[:1]},
			{Member: speaker("group", "m2"), Classic: true, Regex: "t.*"}}}
	}
	c := w.connect()
	for version := int16(0); version <= 1; version++ {
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups, req.IncludeAuthorizedOperations = []string{"none", "group", ""}, true
		resp := ask[*kmsg.ConsumerGroupDescribeResponse](c, version, req)
		if g := resp.Groups[0]; g.ErrorCode != 69 || g.Group != "none" {
			t.Errorf("v%d: %+v", version, g)
		}
		if g := resp.Groups[2]; g.ErrorCode != 24 {
			t.Errorf("v%d: %+v", version, g)
		}
		g := resp.Groups[1]
		if g.ErrorCode != 0 || g.State != "Reconciling" || g.Epoch != 7 || g.AssignmentEpoch != 6 || g.AssignorName != "uniform" || len(g.Members) != 2 || g.AuthorizedOperations != 0x0d48 {
			t.Fatalf("v%d: %+v", version, g)
		}
		m := g.Members[0]
		if *m.RackID != "rack" || m.MemberEpoch != 5 || m.ClientHost != "/127.0.0.1" || len(m.Assignment.TopicPartitions) != 1 || m.Assignment.TopicPartitions[0].Topic != "two" ||
			len(m.TargetAssignment.TopicPartitions) != 1 || *m.SubscribedTopicRegex != "" {
			t.Errorf("v%d: %+v", version, m)
		}
		types := [2]int8{g.Members[0].MemberType, g.Members[1].MemberType}
		if want := map[int16][2]int8{0: {-1, -1}, 1: {1, 0}}[version]; types != want {
			t.Errorf("v%d: types %v", version, types)
		}
	}
}
