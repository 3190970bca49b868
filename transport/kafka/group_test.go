package kafka

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// groupShards are shards that answer as the test says.
type groupShards struct {
	api.Coordinators // what no request here asks for
	w                *world
	shards           []actors.PID
	fakes            []*groupShard
	code             protocol.Code // why there is no shard
	node             protocol.NodeID
	ensure           protocol.Code
	made             []string
	late             func() // ends what EnsureGroup began, if it is to end later
	hold             bool
}

// shards gives the world n shards.
func (w *world) shards(n int) *groupShards {
	f := &groupShards{w: w, node: self}
	for i := range n {
		s := &groupShard{answer: func(any) any { return nil }}
		f.fakes = append(f.fakes, s)
		f.shards = append(f.shards, w.spawn(fmt.Sprint("shard ", i), s))
	}
	w.server.Coordinators = f
	return f
}

func (f *groupShards) Group(id string) (actors.PID, protocol.Code) {
	if f.code != protocol.None {
		return actors.PID{}, f.code
	}
	return f.shards[len(id)%len(f.shards)], protocol.None
}

func (f *groupShards) Transaction(id string) (actors.PID, protocol.Code) { return f.Group(id) }
func (f *groupShards) GroupShards() []actors.PID                         { return f.shards }
func (f *groupShards) TransactionShards() []actors.PID                   { return f.shards }

func (f *groupShards) EnsureGroup(id string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	f.made = append(f.made, "group "+id)
	if end := func() { done(f.node, f.ensure) }; f.hold {
		f.late = end
	} else {
		end()
	}
}

func (f *groupShards) EnsureTransaction(id string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	f.made = append(f.made, "transaction "+id)
	done(f.node, f.ensure)
}

// groupShard remembers what it is asked; answer nil is none, until the test says flush.
type groupShard struct {
	answer func(any) any
	got    []any
	held   []func(*actors.Context)
	hold   bool
}

func (s *groupShard) Receive(ctx *actors.Context, msg any) {
	if _, ok := msg.(flush); ok {
		for _, f := range s.held {
			f(ctx)
		}
		s.held = nil
		return
	}
	if _, ok := msg.(actors.Command); !ok {
		return
	}
	s.got = append(s.got, msg)
	reply := s.answer(msg)
	if reply == nil {
		return
	}
	head := reflect.ValueOf(msg).Elem().FieldByName("Head").Interface().(protocol.Head)
	reply.(interface{ SetCorrelationID(uint64) }).SetCorrelationID(head.ID)
	send := func(ctx *actors.Context) { ctx.Send(head.ReplyTo, reply) }
	if s.hold {
		s.held = append(s.held, send)
	} else {
		send(ctx)
	}
}

// answers makes every shard answer with f.
func (f *groupShards) answers(answer func(any) any) {
	for _, s := range f.fakes {
		s.answer = answer
	}
}

// last is what some shard was asked last, without its head.
func last[M any](t *testing.T, f *groupShards) M {
	t.Helper()
	for _, s := range f.fakes {
		if n := len(s.got); n > 0 {
			m := s.got[n-1]
			s.got = nil
			reflect.ValueOf(m).Elem().FieldByName("Head").SetZero()
			return *m.(*M)
		}
	}
	t.Fatal("no shard was asked")
	panic("unreachable")
}

func speaker(group, member string) protocol.Member {
	return protocol.Member{GroupID: group, MemberID: member, ClientID: "tester", ClientHost: "/127.0.0.1"}
}

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
		stale := int16(protocol.StaleMemberEpoch)
		if version < 9 {
			stale = int16(protocol.UnsupportedVersion)
		}
		if got := commitCodes(resp); !slices.Equal(got, []int16{0, 3, 12, stale, 3, 3}) {
			t.Errorf("v%d: %v", version, got)
		}
		if version >= 10 && protocol.TopicID(resp.Topics[1].TopicID) != topicID("two") || version < 10 && resp.Topics[1].Topic != "two" {
			t.Errorf("v%d: %+v", version, resp.Topics[1])
		}
		m := last[protocol.CommitOffsets](t, f)
		want := protocol.CommitOffsets{Member: speaker("group", "member"), Generation: 5, ProducerID: -1, ProducerEpoch: -1, Retention: -1}
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
	f.answers(func(msg any) any { return msg.(*protocol.CommitOffsets).Failed(protocol.GroupIDNotFound) })
	for version, want := range map[int16]int16{8: 22, 9: 69} {
		if got := commitCodes(ask[*kmsg.OffsetCommitResponse](c, version, req)); !slices.Equal(got, []int16{want, want}) {
			t.Errorf("v%d, unknown group: %v", version, got)
		}
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
		want := []string{"gone-0 9  0", "two-0 9  0", "two-1 9  0"}
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

func TestFindCoordinatorInEveryVersion(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	c := w.connect()
	for version := int16(0); version <= 6; version++ {
		for kind, name := range []string{"group", "transaction"} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey, req.CoordinatorKeys, req.CoordinatorType = "key", []string{"key", "other"}, int8(kind)
			resp := ask[*kmsg.FindCoordinatorResponse](c, version, req)
			want := []string{name + " key"}
			if version == 0 {
				want = []string{"group key"}
			}
			if version >= 4 {
				want = append(want, name+" other")
				resp.NodeID, resp.Host, resp.Port = resp.Coordinators[1].NodeID, resp.Coordinators[1].Host, resp.Coordinators[1].Port
				if len(resp.Coordinators) != 2 || resp.Coordinators[0].Key != "key" || resp.Coordinators[1].Key != "other" || resp.Coordinators[1].ErrorCode != 0 {
					t.Errorf("v%d: %+v", version, resp.Coordinators)
				}
			}
			if resp.NodeID != int32(self) || resp.Host != "127.0.0.1" || resp.Port != 19092 || resp.ErrorCode != 0 || !slices.Equal(f.made, want) {
				t.Errorf("v%d %s: %+v, made %v", version, name, resp, f.made)
			}
			f.made = nil
		}
	}
	f.node = 2
	req := kmsg.NewPtrFindCoordinatorRequest()
	if resp := ask[*kmsg.FindCoordinatorResponse](c, 3, req); resp.NodeID != 2 || resp.Host != "other.example" || resp.Port != 9093 {
		t.Errorf("another node: %+v", resp)
	}
}

func TestFindCoordinatorFailures(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	find := func(version int16, kind int8, key string) (out kmsg.FindCoordinatorResponseCoordinator) {
		t.Helper()
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey, req.CoordinatorKeys, req.CoordinatorType = key, []string{key}, kind
		resp := ask[*kmsg.FindCoordinatorResponse](c, version, req)
		if version >= 4 {
			return resp.Coordinators[0]
		}
		return kmsg.FindCoordinatorResponseCoordinator{NodeID: resp.NodeID, Host: resp.Host, Port: resp.Port, ErrorCode: resp.ErrorCode}
	}
	nobody := func(got kmsg.FindCoordinatorResponseCoordinator, code int16) {
		t.Helper()
		if got.ErrorCode != code || got.NodeID != -1 || got.Port != -1 || got.Host != "" {
			t.Errorf("%+v, want code %d", got, code)
		}
	}
	nobody(find(3, 0, "g"), 15)
	f := w.shards(1)
	f.ensure = protocol.CoordinatorLoadInProgress
	nobody(find(2, 0, "g"), 14)
	nobody(find(6, 1, "g"), 14)
	f.ensure, f.node = protocol.None, 77
	nobody(find(6, 0, "g"), 15)
	nobody(find(5, 2, "g:AAAAAAAAAAAAAAAAAAAAAA:0"), 42)
	nobody(find(6, 2, "g:AAAAAAAAAAAAAAAAAAAAAA:0"), 15)
	nobody(find(6, 3, "g"), 42)
	nobody(find(6, 0, strings.Repeat("g", 1<<15)), 42)
}

// The answer may come on any thread, after the connection has gone on, or when it is closed.
func TestFindCoordinatorWaits(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	f.hold = true
	c := w.connect()
	c.send(3, kmsg.NewPtrFindCoordinatorRequest())
	if c.reply() != nil {
		t.Fatal("answered before the coordinator was there")
	}
	f.late()
	if resp := c.reply().(*kmsg.FindCoordinatorResponse); resp.NodeID != int32(self) {
		t.Errorf("%+v", resp)
	}
	c.send(3, kmsg.NewPtrFindCoordinatorRequest())
	c.session.Close()
	f.late()
	w.run()
}

func TestJoinGroupInEveryVersion(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	f.answers(func(any) any {
		return &protocol.GroupJoined{Generation: 4, ProtocolType: "consumer", ProtocolName: "range", Leader: "m1", SkipAssignment: true, MemberID: "m1",
			Members: []protocol.JoinedMember{{MemberID: "m1", InstanceID: "static", Metadata: []byte("meta")}, {MemberID: "m2", Metadata: []byte{}}}}
	})
	c := w.connect()
	for version := int16(0); version <= 9; version++ {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = "group", "m1", "consumer", 6000, 60000
		req.InstanceID, req.Reason = kmsg.StringPtr("static"), kmsg.StringPtr("why")
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{1}}, {Name: "mine", Metadata: []byte{2, 3}}}
		resp := ask[*kmsg.JoinGroupResponse](c, version, req)
		if resp.ErrorCode != 0 || resp.Generation != 4 || *resp.Protocol != "range" || resp.LeaderID != "m1" || resp.MemberID != "m1" ||
			resp.SkipAssignment != (version >= 9) || len(resp.Members) != 2 || string(resp.Members[0].ProtocolMetadata) != "meta" {
			t.Errorf("v%d: %+v", version, resp)
		}
		if version >= 7 && *resp.ProtocolType != "consumer" || version >= 5 && (*resp.Members[0].InstanceID != "static" || resp.Members[1].InstanceID != nil) {
			t.Errorf("v%d: %+v", version, resp)
		}
		want := protocol.JoinGroup{Member: speaker("group", "m1"), ProtocolType: "consumer", SessionTimeout: 6 * time.Second, RebalanceTimeout: time.Minute,
			Protocols: []protocol.GroupProtocol{{Name: "range", Metadata: []byte{1}}, {Name: "mine", Metadata: []byte{2, 3}}}, SkipAssignment: version >= 9}
		if version == 0 {
			want.RebalanceTimeout = want.SessionTimeout
		}
		if version >= 5 {
			want.InstanceID = "static"
		}
		if version == 4 {
			want.RequireKnownMember = true
		}
		if version >= 8 {
			want.Reason = "why"
		}
		if m := last[protocol.JoinGroup](t, f); !reflect.DeepEqual(m, want) {
			t.Errorf("v%d:\n got %+v\nwant %+v", version, m, want)
		}
		req.InstanceID = nil
		ask[*kmsg.JoinGroupResponse](c, version, req)
		if m := last[protocol.JoinGroup](t, f); m.RequireKnownMember != (version >= 4) {
			t.Errorf("v%d, a dynamic member: known %v", version, m.RequireKnownMember)
		}
		req.Group = ""
		if resp := ask[*kmsg.JoinGroupResponse](c, version, req); resp.ErrorCode != 24 || resp.Generation != -1 || resp.MemberID != "m1" || (resp.Protocol == nil) != (version >= 7) {
			t.Errorf("v%d, no group: %+v", version, resp)
		}
	}
}

// A member waits as long as the group takes; what it sends meanwhile is worked on, and answered after it.
func TestAJoinThatWaitsDoesNotHoldBackWork(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	f.fakes[0].hold = true
	f.answers(func(msg any) any {
		switch msg.(type) {
		case *protocol.JoinGroup:
			return &protocol.GroupJoined{Generation: 1}
		}
		return &protocol.GroupHeartbeat{}
	})
	c := w.connect()
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.RebalanceTimeoutMillis = "group", 1000
	c.send(9, join)
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group = "group"
	c.send(4, beat)
	w.advance(9 * time.Second)
	if got := len(f.fakes[0].got); got != 2 || c.reply() != nil {
		t.Fatalf("%d requests arrived", got)
	}
	w.system.Send(f.shards[0], flush{})
	if resp := c.reply().(*kmsg.JoinGroupResponse); resp.Generation != 1 {
		t.Errorf("%+v", resp)
	}
	if resp := c.reply().(*kmsg.HeartbeatResponse); resp.ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	f.answers(func(any) any { return nil })
	c.send(9, join)
	w.advance(time.Minute)
	if c.reply() != nil {
		t.Error("given up after a minute")
	}
	w.advance(time.Hour)
	if resp := c.reply().(*kmsg.JoinGroupResponse); resp.ErrorCode != 15 {
		t.Errorf("%+v", resp)
	}
}

func TestHeartbeatAndSyncInEveryVersion(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	c := w.connect()
	for version := int16(0); version <= 5; version++ {
		if version <= 4 {
			f.answers(func(any) any {
				return &protocol.GroupHeartbeat{Fault: protocol.Fault{Code: protocol.RebalanceInProgress}}
			})
			beat := kmsg.NewPtrHeartbeatRequest()
			beat.Group, beat.MemberID, beat.Generation, beat.InstanceID = "group", "m1", 4, kmsg.StringPtr("static")
			if resp := ask[*kmsg.HeartbeatResponse](c, version, beat); resp.ErrorCode != 27 {
				t.Errorf("v%d: %+v", version, resp)
			}
			want := protocol.HeartbeatGroup{Member: speaker("group", "m1"), Generation: 4}
			if version >= 3 {
				want.InstanceID = "static"
			}
			if m := last[protocol.HeartbeatGroup](t, f); m != want {
				t.Errorf("v%d: %+v", version, m)
			}
			beat.Group = ""
			if resp := ask[*kmsg.HeartbeatResponse](c, version, beat); resp.ErrorCode != 24 {
				t.Errorf("v%d: %+v", version, resp)
			}
		}
		f.answers(func(any) any {
			return &protocol.GroupSynced{ProtocolType: "consumer", ProtocolName: "range", Assignment: []byte("mine")}
		})
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Group, sync.MemberID, sync.Generation, sync.ProtocolType, sync.Protocol = "group", "m1", 4, kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
		sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: "m1", MemberAssignment: []byte("mine")}}
		resp := ask[*kmsg.SyncGroupResponse](c, version, sync)
		if resp.ErrorCode != 0 || string(resp.MemberAssignment) != "mine" || version >= 5 && (*resp.ProtocolType != "consumer" || *resp.Protocol != "range") {
			t.Errorf("v%d: %+v", version, resp)
		}
		want := protocol.SyncGroup{Member: speaker("group", "m1"), Generation: 4, Assignments: []protocol.MemberAssignment{{MemberID: "m1", Assignment: []byte("mine")}}}
		if version >= 5 {
			want.ProtocolType, want.ProtocolName = "consumer", "range"
		}
		if m := last[protocol.SyncGroup](t, f); !reflect.DeepEqual(m, want) {
			t.Errorf("v%d: %+v", version, m)
		}
		sync.Protocol = nil
		if resp := ask[*kmsg.SyncGroupResponse](c, version, sync); (resp.ErrorCode == 23) != (version >= 5) {
			t.Errorf("v%d, without protocol: %+v", version, resp)
		}
	}
}

func TestLeaveGroupInEveryVersion(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	f.answers(func(msg any) any {
		out := &protocol.GroupLeft{}
		for i, m := range msg.(*protocol.LeaveGroup).Members {
			out.Members = append(out.Members, protocol.LeftMember{MemberID: m.MemberID, InstanceID: m.InstanceID, Code: []protocol.Code{protocol.UnknownMemberID, 0}[i]})
		}
		return out
	})
	c := w.connect()
	for version := int16(0); version <= 5; version++ {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group, req.MemberID = "group", "m1"
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: "m1", Reason: kmsg.StringPtr("why")}, {InstanceID: kmsg.StringPtr("static")}}
		resp := ask[*kmsg.LeaveGroupResponse](c, version, req)
		m := last[protocol.LeaveGroup](t, f)
		if version < 3 {
			if resp.ErrorCode != 25 || len(m.Members) != 1 || m.Members[0].MemberID != "m1" {
				t.Errorf("v%d: %+v for %+v", version, resp, m)
			}
			continue
		}
		if resp.ErrorCode != 0 || len(resp.Members) != 2 || resp.Members[0].ErrorCode != 25 || *resp.Members[1].InstanceID != "static" || resp.Members[1].ErrorCode != 0 {
			t.Errorf("v%d: %+v", version, resp)
		}
		if len(m.Members) != 2 || m.Members[1].InstanceID != "static" || (m.Members[0].Reason == "why") != (version >= 5) {
			t.Errorf("v%d: %+v", version, m)
		}
	}
	f.answers(func(msg any) any { return msg.(*protocol.LeaveGroup).Failed(protocol.NotCoordinator) })
	for version := int16(0); version <= 5; version++ {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group = "group"
		if resp := ask[*kmsg.LeaveGroupResponse](c, version, req); resp.ErrorCode != 16 {
			t.Errorf("v%d: %+v", version, resp)
		}
	}
}

func TestDescribeGroupsInEveryVersion(t *testing.T) {
	w := newWorld(t)
	f := w.shards(2)
	f.fakes[0].answer = func(msg any) any { return msg.(*protocol.DescribeGroup).Failed(protocol.GroupIDNotFound) }
	f.fakes[1].answer = func(msg any) any {
		return &protocol.GroupDescribed{GroupID: msg.(*protocol.DescribeGroup).GroupID, State: "Stable", ProtocolType: "consumer", Protocol: "range",
			Members: []protocol.DescribedMember{{Member: protocol.Member{MemberID: "m1", InstanceID: "static", ClientID: "c", ClientHost: "/h"}, Metadata: []byte("meta"), Assignment: []byte("all")}}}
	}
	c := w.connect()
	for version := int16(0); version <= 6; version++ {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups, req.IncludeAuthorizedOperations = []string{"none", "group"}, true
		resp := ask[*kmsg.DescribeGroupsResponse](c, version, req)
		none, group := resp.Groups[0], resp.Groups[1]
		if none.Group != "none" || none.State != "Dead" || (none.ErrorCode == 69) != (version >= 6) || (none.ErrorMessage != nil) != (version >= 6) {
			t.Errorf("v%d: %+v", version, none)
		}
		if group.State != "Stable" || group.ProtocolType != "consumer" || group.Protocol != "range" || group.ErrorCode != 0 || group.ErrorMessage != nil || len(group.Members) != 1 {
			t.Fatalf("v%d: %+v", version, group)
		}
		if m := group.Members[0]; m.MemberID != "m1" || version >= 4 && *m.InstanceID != "static" || m.ClientHost != "/h" || string(m.ProtocolMetadata) != "meta" || string(m.MemberAssignment) != "all" {
			t.Errorf("v%d: %+v", version, m)
		}
		if want := int32(0x0d48); version >= 3 && group.AuthorizedOperations != want || version < 3 && group.AuthorizedOperations != -1<<31 {
			t.Errorf("v%d: operations %x", version, group.AuthorizedOperations)
		}
		if m := last[protocol.DescribeGroup](t, f); !m.Classic {
			t.Errorf("v%d: %+v", version, m)
		}
	}
	f.code = protocol.CoordinatorLoadInProgress
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{"group"}
	if resp := ask[*kmsg.DescribeGroupsResponse](c, 5, req); resp.Groups[0].ErrorCode != 14 || resp.Groups[0].State != "" || resp.Groups[0].Group != "group" {
		t.Errorf("%+v", resp.Groups)
	}
}

func TestListGroupsInEveryVersion(t *testing.T) {
	w := newWorld(t)
	f := w.shards(3)
	for i, id := range []string{"c", "b", "a"} {
		f.fakes[i].answer = func(any) any {
			return &protocol.GroupsListed{Groups: []protocol.ListedGroup{{GroupID: id, ProtocolType: "consumer", State: "Stable", Type: "Classic"}}}
		}
	}
	c := w.connect()
	for version := int16(0); version <= 5; version++ {
		req := kmsg.NewPtrListGroupsRequest()
		req.StatesFilter, req.TypesFilter = []string{"Stable"}, []string{"classic"}
		resp := ask[*kmsg.ListGroupsResponse](c, version, req)
		if len(resp.Groups) != 3 || resp.ErrorCode != 0 || resp.Groups[0].Group != "a" || resp.Groups[2].Group != "c" || resp.Groups[1].ProtocolType != "consumer" {
			t.Fatalf("v%d: %+v", version, resp)
		}
		if g := resp.Groups[0]; version >= 4 && g.GroupState != "Stable" || version >= 5 && g.GroupType != "Classic" {
			t.Errorf("v%d: %+v", version, g)
		}
		if m := last[protocol.ListGroups](t, f); (len(m.States) == 1) != (version >= 4) || (len(m.Types) == 1) != (version >= 5) {
			t.Errorf("v%d: %+v", version, m)
		}
	}
	f.fakes[1].answer = func(msg any) any { return msg.(*protocol.ListGroups).Failed(protocol.NotCoordinator) }
	if resp := ask[*kmsg.ListGroupsResponse](c, 5, kmsg.NewPtrListGroupsRequest()); resp.ErrorCode != 0 || len(resp.Groups) != 2 {
		t.Errorf("a shard that moved: %+v", resp)
	}
	f.fakes[1].answer = func(msg any) any { return msg.(*protocol.ListGroups).Failed(protocol.CoordinatorLoadInProgress) }
	if resp := ask[*kmsg.ListGroupsResponse](c, 5, kmsg.NewPtrListGroupsRequest()); resp.ErrorCode != 14 || len(resp.Groups) != 0 {
		t.Errorf("a shard that loads: %+v", resp)
	}
	w.shards(0)
	if resp := ask[*kmsg.ListGroupsResponse](c, 5, kmsg.NewPtrListGroupsRequest()); resp.ErrorCode != 0 || len(resp.Groups) != 0 {
		t.Errorf("no shard: %+v", resp)
	}
}

func TestDeleteGroupsInEveryVersion(t *testing.T) {
	w := newWorld(t)
	f := w.shards(2)
	f.fakes[0].answer = func(any) any { return &protocol.GroupDeleted{} }
	f.fakes[1].answer = func(msg any) any { return msg.(*protocol.DeleteGroup).Failed(protocol.NonEmptyGroup) }
	c := w.connect()
	for version := int16(0); version <= 2; version++ {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = []string{"odd", "even", "odd", ""}
		resp := ask[*kmsg.DeleteGroupsResponse](c, version, req)
		var got []string
		for _, g := range resp.Groups {
			got = append(got, fmt.Sprint(g.Group, " ", g.ErrorCode))
		}
		if !slices.Equal(got, []string{"odd 68", "even 0", " 0"}) {
			t.Errorf("v%d: %q", version, got)
		}
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
		"MemberId can't be empty.":                              func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "" },
		"GroupId can't be empty.":                               func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "" },
		"InstanceId can't be empty.":                            func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("") },
		"RackId can't be empty.":                                func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = kmsg.StringPtr("") },
		"RebalanceTimeoutMs must be provided in first request.": func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 },
		"TopicPartitions must be empty when (re-)joining.":      func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil },
		"Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.": func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil },
		"InstanceId can't be null.": func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -2 },
		"MemberEpoch is invalid.":   func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -3 },
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
		if g := resp.Groups[0]; g.ErrorCode != 69 || g.Group != "none" || g.ErrorMessage == nil {
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
			len(m.TargetAssignment.TopicPartitions) != 1 || m.SubscribedTopicRegex != nil {
			t.Errorf("v%d: %+v", version, m)
		}
		types := [2]int8{g.Members[0].MemberType, g.Members[1].MemberType}
		if want := map[int16][2]int8{0: {-1, -1}, 1: {1, 0}}[version]; types != want {
			t.Errorf("v%d: types %v", version, types)
		}
	}
}

// Kafka shows a client's host as Java writes an address.
func TestClientHostsAreShownAsJavaShowsThem(t *testing.T) {
	w := newWorld(t)
	f := w.shards(1)
	f.answers(func(any) any { return &protocol.GroupHeartbeat{} })
	for addr, want := range map[string]string{"10.0.0.7": "/10.0.0.7", "::ffff:10.0.0.7": "/10.0.0.7", "::1": "/0:0:0:0:0:0:0:1", "fe80::a%eth0": "/fe80:0:0:0:0:0:0:a"} {
		c := w.connect()
		c.session = NewSession(w.server, api.Peer{Listener: "PLAINTEXT", Remote: netip.AddrPortFrom(netip.MustParseAddr(addr), 1)}, func() { c.woken = true })
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Group = "group"
		ask[*kmsg.HeartbeatResponse](c, 4, beat)
		if m := last[protocol.HeartbeatGroup](t, f); m.ClientHost != want {
			t.Errorf("%s: %s", addr, m.ClientHost)
		}
		c.session.Close()
	}
}
