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
			return &protocol.GroupsListed{Groups: []protocol.ListedGroup{{GroupID: id, ProtocolType: "consumer", State: "Stable", Type: "classic"}}}
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
		if g := resp.Groups[0]; version >= 4 && g.GroupState != "Stable" || version >= 5 && g.GroupType != "classic" {
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
