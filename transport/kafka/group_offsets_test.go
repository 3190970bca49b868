package kafka

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func commitRequest(topics ...string) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = "group", "member", 5
	for _, name := range topics {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID = name, topicID(name)
		for i := range int32(2) {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = i, 10+int64(i), 3, kmsg.StringPtr("note")
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

func commitCodes(resp *kmsg.OffsetCommitResponse) (codes []int16) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, p.ErrorCode)
		}
	}
	return codes
}

func TestOffsetCommitInEveryVersion(t *testing.T) {
	w := newWorld(t)
	w.topic("one", 1)
	w.topic("two", 2)
	f := w.shards(3)
	f.answers(func(msg any) any {
		return &protocol.OffsetsCommitted{Codes: []protocol.Code{0, 3, protocol.OffsetMetadataTooLarge, protocol.StaleMemberEpoch, 3, 3}}
	})
	c := w.connect()
	for version := int16(2); version <= 10; version++ {
		req := commitRequest("one", "two", "nowhere")
		req.RetentionTimeMillis, req.InstanceID = 1000, kmsg.StringPtr("static")
		resp := ask[*kmsg.OffsetCommitResponse](c, version, req)
		if got := commitCodes(resp); !slices.Equal(got, []int16{0, 3, 12, int16(protocol.StaleMemberEpoch), 3, 3}) {
			t.Errorf("v%d: %v", version, got)
		}
		if version >= 10 && protocol.TopicID(resp.Topics[1].TopicID) != topicID("two") || version < 10 && resp.Topics[1].Topic != "two" {
			t.Errorf("v%d: %+v", version, resp.Topics[1])
		}
		m := last[protocol.CommitOffsets](t, f)
		want := protocol.CommitOffsets{Member: speaker("group", "member"), Generation: 5, ProducerID: -1, ProducerEpoch: -1, Retention: -1, Old: version < 9}
		if version <= 4 {
			want.Retention = time.Second
		}
		if version >= 7 {
			want.InstanceID = "static"
		}
		epoch := protocol.LeaderEpoch(3)
		if version < 6 {
			epoch = -1
		}
		unknown, name := protocol.UnknownTopicOrPartition, "nowhere"
		id := protocol.TopicID{}
		if version >= 10 {
			unknown, name, id = protocol.UnknownTopicID, "", topicID("nowhere")
		}
		for i, code := range []protocol.Code{0, 3, 0, 0, unknown, unknown} {
			topic, id := []string{"one", "two", name}[i/2], []protocol.TopicID{topicID("one"), topicID("two"), id}[i/2]
			want.Offsets = append(want.Offsets, protocol.CommitOffset{Topic: topic, TopicID: id, Partition: int32(i % 2), Offset: int64(10 + i%2),
				LeaderEpoch: epoch, Metadata: "note", Code: code})
		}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("v%d:\n got %+v\nwant %+v", version, m, want)
		}
	}
}

func TestACommitOfNothingThatExistsAsksNobody(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	for version, want := range map[int16]int16{9: 3, 10: 100} {
		if got := commitCodes(ask[*kmsg.OffsetCommitResponse](w.connect(), version, commitRequest("nowhere"))); !slices.Equal(got, []int16{want, want}) {
			t.Errorf("v%d: %v", version, got)
		}
	}
	if n := len(f.fakes[0].got); n > 0 {
		t.Errorf("the shard was asked %d times", n)
	}
}

func TestCommitToACoordinatorThatIsNotHere(t *testing.T) {
	w := newWorld(t)
	w.topic("two", 2)
	c := w.connect()
	req := commitRequest("two")
	req.MemberID, req.Generation = "", -1
	if got := commitCodes(ask[*kmsg.OffsetCommitResponse](c, 9, req)); !slices.Equal(got, []int16{15, 15}) {
		t.Errorf("without coordinators: %v", got)
	}
	f := w.shards(1)
	f.code = protocol.NotCoordinator
	if got := commitCodes(ask[*kmsg.OffsetCommitResponse](c, 9, req)); !slices.Equal(got, []int16{16, 16}) {
		t.Errorf("elsewhere: %v", got)
	}
	f.code = protocol.None // and a shard that does not answer
	c.send(9, req)
	w.advance(time.Minute)
	if got := commitCodes(c.reply().(*kmsg.OffsetCommitResponse)); !slices.Equal(got, []int16{15, 15}) {
		t.Errorf("mute: %v", got)
	}
	req.Group = strings.Repeat("g", 1<<15)
	if got := commitCodes(ask[*kmsg.OffsetCommitResponse](c, 9, req)); !slices.Equal(got, []int16{24, 24}) {
		t.Errorf("a group id too long for the log: %v", got)
	}
}

// fetched flattens an answer.
func fetched(resp *kmsg.OffsetFetchResponse) (rows []string, codes []int16) {
	if resp.Version < 8 {
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				rows = append(rows, fmt.Sprintf("%s-%d %d %s %d", t.Topic, p.Partition, p.Offset, *p.Metadata, p.ErrorCode))
			}
		}
		return rows, []int16{resp.ErrorCode}
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			name := t.Topic
			if resp.Version >= 10 {
				name = strings.Trim(string(t.TopicID[:]), "-")
			}
			for _, p := range t.Partitions {
				rows = append(rows, fmt.Sprintf("%s-%d %d %s %d", name, p.Partition, p.Offset, *p.Metadata, p.ErrorCode))
			}
		}
		codes = append(codes, g.ErrorCode)
	}
	return rows, codes
}

func fetchOffsetsRequest(all bool, topics ...string) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	req.Group, g.Group, g.MemberID, g.MemberEpoch, req.RequireStable = "group", "group", kmsg.StringPtr("member"), 7, true
	if !all {
		req.Topics, g.Topics = []kmsg.OffsetFetchRequestTopic{}, []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, name := range topics {
		req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: name, Partitions: []int32{0, 1}})
		g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: name, TopicID: topicID(name), Partitions: []int32{0, 1}})
	}
	req.Groups = append(req.Groups, g)
	return req
}

func TestOffsetFetchInEveryVersion(t *testing.T) {
	w := newWorld(t)
	w.topic("two", 2)
	f := w.shards(1)
	f.answers(func(msg any) any {
		out := &protocol.OffsetsFetched{}
		for i, wanted := range msg.(*protocol.FetchOffsets).Wanted {
			out.Offsets = append(out.Offsets, protocol.CommitOffset{Topic: wanted.Topic, Partition: wanted.Partition, Offset: int64(40 + i), LeaderEpoch: 2, Metadata: "note"})
		}
		out.Offsets[1].Offset, out.Offsets[1].Code = -1, protocol.UnstableOffsetCommit
		return out
	})
	c := w.connect()
	for version := int16(1); version <= 10; version++ {
		resp := ask[*kmsg.OffsetFetchResponse](c, version, fetchOffsetsRequest(false, "nowhere", "two"))
		rows, codes := fetched(resp)
		want := []string{"nowhere-0 40 note 0", "nowhere-1 -1 note 88", "two-0 42 note 0", "two-1 43 note 0"}
		if version >= 10 {
			want = []string{"nowhere-0 -1  100", "nowhere-1 -1  100", "two-0 40 note 0", "two-1 -1 note 88"}
		}
		if !slices.Equal(rows, want) || !slices.Equal(codes, []int16{0}) {
			t.Errorf("v%d: %q %v", version, rows, codes)
		}
		m := last[protocol.FetchOffsets](t, f)
		for _, w := range m.Wanted {
			if known := w.Topic == "two"; known && w.TopicID != topicID("two") || !known && !w.TopicID.IsZero() {
				t.Errorf("v%d: %+v", version, w)
			}
		}
		if m.All || m.RequireStable != (version >= 7) || m.GroupID != "group" {
			t.Errorf("v%d: %+v", version, m)
		}
		if version >= 9 && (m.MemberID != "member" || m.Generation != 7) || version < 9 && (m.MemberID != "" || m.Generation != -1) {
			t.Errorf("v%d: %+v", version, m)
		}
	}
}

func TestOffsetFetchOfAllThereIs(t *testing.T) {
	w := newWorld(t)
	w.topic("two", 2)
	f := w.shards(1)
	f.answers(func(msg any) any {
		if !msg.(*protocol.FetchOffsets).All {
			return &protocol.OffsetsFetched{}
		}
		row := func(topic string, id protocol.TopicID, partition int32) protocol.CommitOffset {
			return protocol.CommitOffset{Topic: topic, TopicID: id, Partition: partition, Offset: 9}
		}
		return &protocol.OffsetsFetched{Offsets: []protocol.CommitOffset{row("gone", protocol.TopicID{}, 0), row("two", protocol.TopicID{}, 0), row("two", protocol.TopicID{9}, 1)}}
	})
	c := w.connect()
	for version := int16(1); version <= 10; version++ {
		req := fetchOffsetsRequest(true)
		if version == 1 {
			req = fetchOffsetsRequest(false)
		}
		rows, codes := fetched(ask[*kmsg.OffsetFetchResponse](c, version, req))
		want := []string{"gone-0 9  0", "two-0 9  0"} // the other of "two" is of another incarnation
		switch {
		case version == 1: // knows no null
			want = nil
		case version >= 10: // the ids of topics that are
			want = []string{"two-0 9  0"}
		}
		if !slices.Equal(rows, want) || !slices.Equal(codes, []int16{0}) {
			t.Errorf("v%d: %q %v", version, rows, codes)
		}
	}
}

func TestOffsetFetchFailures(t *testing.T) {
	w := newWorld(t)
	f := w.shards(2)
	f.answers(func(msg any) any { return msg.(*protocol.FetchOffsets).Failed(protocol.CoordinatorLoadInProgress) })
	c := w.connect()
	for version := int16(1); version <= 9; version++ {
		rows, codes := fetched(ask[*kmsg.OffsetFetchResponse](c, version, fetchOffsetsRequest(false, "two")))
		if version == 1 {
			if !slices.Equal(rows, []string{"two-0 -1  14", "two-1 -1  14"}) {
				t.Errorf("v1: %q", rows)
			}
		} else if len(rows) != 0 || !slices.Equal(codes, []int16{14}) {
			t.Errorf("v%d: %q %v", version, rows, codes)
		}
	}
	// Of many groups each has its own answer, at its own place, whatever comes first.
	f.fakes[0].hold, f.fakes[0].answer = true, func(any) any { return &protocol.OffsetsFetched{} }
	req := fetchOffsetsRequest(true)
	for _, id := range []string{"even", "odd"} {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = id
		req.Groups = append(req.Groups, g)
	}
	c.send(8, req)
	if c.reply() != nil {
		t.Error("answered before all groups were")
	}
	w.system.Send(f.shards[0], flush{})
	resp := c.reply().(*kmsg.OffsetFetchResponse)
	if _, codes := fetched(resp); !slices.Equal(codes, []int16{14, 0, 14}) || resp.Groups[1].Group != "even" {
		t.Errorf("%+v", resp.Groups)
	}
}

func TestOffsetDelete(t *testing.T) {
	w := newWorld(t)
	w.topic("one", 1)
	w.topic("two", 2)
	f := w.shards(1)
	f.answers(func(any) any {
		return &protocol.OffsetsDeleted{Codes: []protocol.Code{0, protocol.GroupSubscribedToTopic, 0}}
	})
	c := w.connect()
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = "group"
	for _, name := range []string{"one", "nowhere", "two"} {
		req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: name, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 1}}})
	}
	resp := ask[*kmsg.OffsetDeleteResponse](c, 0, req)
	var got []int16
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			got = append(got, p.ErrorCode)
		}
	}
	if !slices.Equal(got, []int16{0, 3, 3, 3, 86, 0}) || resp.ErrorCode != 0 {
		t.Errorf("%v %+v", got, resp)
	}
	if m := last[protocol.DeleteOffsets](t, f); !reflect.DeepEqual(m.Offsets, []protocol.WantedOffset{{Topic: "one"}, {Topic: "two"}, {Topic: "two", Partition: 1}}) {
		t.Errorf("%+v", m)
	}
	f.answers(func(msg any) any { return msg.(*protocol.DeleteOffsets).Failed(protocol.GroupIDNotFound) })
	if resp := ask[*kmsg.OffsetDeleteResponse](c, 0, req); resp.ErrorCode != 69 || len(resp.Topics) != 0 {
		t.Errorf("%+v", resp)
	}
	req.Group = ""
	if resp := ask[*kmsg.OffsetDeleteResponse](c, 0, req); resp.ErrorCode != 24 {
		t.Errorf("%+v", resp)
	}
}
