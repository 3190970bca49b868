package group_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// joiner is a member of a classic group.
type joiner struct {
	w      *world
	group  string
	id     string
	joined *protocol.GroupJoined
}

func (w *world) joining(id, member string) *protocol.JoinGroup {
	return &protocol.JoinGroup{
		Member: protocol.Member{GroupID: id, MemberID: member, ClientID: "c", ClientHost: "/127.0.0.1"}, ProtocolType: "consumer",
		Protocols:      []protocol.GroupProtocol{{Name: "range", Metadata: []byte{0, 1, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}}},
		SessionTimeout: 10 * time.Second, RebalanceTimeout: 20 * time.Second,
	}
}

// generation lets members join and sync, and returns them as they then are: the leader first.
func (w *world) generation(id string, members ...string) (out []*joiner) {
	w.t.Helper()
	pid := w.coordinator(id)
	joins := make([]**protocol.GroupJoined, len(members))
	for i, m := range members {
		joins[i] = send[*protocol.GroupJoined](w, pid, w.joining(id, m))
	}
	for _, j := range joins {
		w.until("a member joins", func() bool { return *j != nil })
		if (*j).Failed() {
			w.t.Fatalf("joining: %+v", *j)
		}
		m := &joiner{w, id, (*j).MemberID, *j}
		if len((*j).Members) > 0 {
			out = append([]*joiner{m}, out...)
		} else {
			out = append(out, m)
		}
	}
	syncs := make([]**protocol.GroupSynced, len(out))
	for i, m := range out {
		s := &protocol.SyncGroup{Member: protocol.Member{GroupID: id, MemberID: m.id}, Generation: m.joined.Generation}
		for _, o := range m.joined.Members {
			s.Assignments = append(s.Assignments, protocol.MemberAssignment{MemberID: o.MemberID, Assignment: []byte(o.MemberID)})
		}
		syncs[i] = send[*protocol.GroupSynced](w, pid, s)
	}
	for i, s := range syncs {
		w.until("a member syncs", func() bool { return *s != nil })
		if (*s).Failed() || string((*s).Assignment) != out[i].id {
			w.t.Fatalf("syncing: %+v", *s)
		}
	}
	return out
}

func (j *joiner) heartbeat() protocol.Code {
	j.w.t.Helper()
	return ask[*protocol.GroupHeartbeat](j.w, j.w.coordinator(j.group), &protocol.HeartbeatGroup{
		Member: protocol.Member{GroupID: j.group, MemberID: j.id}, Generation: j.joined.Generation,
	}).Code
}

func (j *joiner) commit(offset int64) protocol.Code {
	j.w.t.Helper()
	m := committing(j.group, at("t", 0, offset))
	m.MemberID, m.Generation = j.id, j.joined.Generation
	return ask[*protocol.OffsetsCommitted](j.w, j.w.coordinator(j.group), m).Codes[0]
}

func (w *world) describe(id string, classic bool) *protocol.GroupDescribed {
	w.t.Helper()
	return ask[*protocol.GroupDescribed](w, w.coordinator(id), &protocol.DescribeGroup{GroupID: id, Classic: classic})
}

func (w *world) list() string {
	w.t.Helper()
	var out []string
	for _, shard := range w.node.Groups().GroupShards() {
		for _, g := range ask[*protocol.GroupsListed](w, shard, &protocol.ListGroups{}).Groups {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", g.GroupID, g.Type, g.State, g.ProtocolType)))
		}
	}
	return strings.Join(out, ", ")
}

func TestAClassicGroupKeepsItsMembersOverAKill(t *testing.T) {
	w := newWorld(t)
	members := w.generation("g", "", "")
	for _, m := range members {
		if code := m.heartbeat(); code != protocol.None {
			t.Errorf("heartbeat: %s", code.Name())
		}
	}
	if code := members[0].commit(5); code != protocol.None {
		t.Errorf("commit: %s", code.Name())
	}
	if got := w.list(); got != "g classic Stable consumer" {
		t.Errorf("listed %q", got)
	}
	w.kill()
	for _, m := range members {
		if code := m.heartbeat(); code != protocol.None {
			t.Errorf("heartbeat after a kill: %s", code.Name())
		}
		if code := m.commit(6); code != protocol.None {
			t.Errorf("commit after a kill: %s", code.Name())
		}
	}
	stale := *members[0].joined
	stale.Generation--
	if code := (&joiner{w, "g", members[0].id, &stale}).commit(1); code != protocol.IllegalGeneration {
		t.Errorf("a commit of the generation before: %s", code.Name())
	}
	if code := (&joiner{w, "g", "nobody", members[0].joined}).commit(1); code != protocol.UnknownMemberID {
		t.Errorf("a commit of nobody: %s", code.Name())
	}
	w.expect("g", "t", 0, 6)
	w.sim.RunFor(time.Minute) // their sessions end
	if got := w.list(); got != "g classic Empty consumer" {
		t.Errorf("listed %q", got)
	}
}

func TestWhatNobodyEverJoinedLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	w.commit("real", at("t", 0, 1))
	before := w.node.System().Stats().Actors
	for i := range 50 {
		id := fmt.Sprintf("g%d", i)
		pid := w.coordinator(id)
		if got := w.describe(id, i%2 == 0); got.Code != protocol.GroupIDNotFound {
			t.Errorf("%+v", got)
		}
		member := protocol.Member{GroupID: id, MemberID: "m"}
		if got := ask[*protocol.GroupHeartbeat](w, pid, &protocol.HeartbeatGroup{Member: member, Generation: 1}); got.Code != protocol.UnknownMemberID {
			t.Errorf("%+v", got)
		}
		if got := ask[*protocol.GroupDeleted](w, pid, &protocol.DeleteGroup{GroupID: id}); got.Code != protocol.GroupIDNotFound {
			t.Errorf("%+v", got)
		}
		if got := ask[*protocol.ConsumerHeartbeat](w, pid, &protocol.HeartbeatConsumer{Member: member, MemberEpoch: 3}); got.Code != protocol.GroupIDNotFound {
			t.Errorf("%+v", got)
		}
		m := committing(id, at("t", 0, 1))
		m.MemberID, m.Generation = "m", 3
		want := protocol.GroupIDNotFound
		if m.Old = i%2 == 1; m.Old {
			want = protocol.IllegalGeneration
		}
		if got := ask[*protocol.OffsetsCommitted](w, pid, m); got.Codes[0] != want {
			t.Errorf("%+v", got)
		}
		w.expect(id, "t", 0, -1)
	}
	w.sim.RunFor(time.Second)
	if after := w.node.System().Stats().Actors; after != before {
		t.Errorf("%d actors before, %d after", before, after)
	}
	if got := w.list(); got != "real classic Empty" {
		t.Errorf("listed %q", got)
	}
}

func TestADeletedGroupIsGoneWithItsOffsets(t *testing.T) {
	w := newWorld(t)
	for i := range int32(5000) { // more than one append removes
		if i%500 == 0 {
			offsets := make([]protocol.CommitOffset, 500)
			for j := range offsets {
				offsets[j] = at("t", i+int32(j), 1)
			}
			w.commit("g", offsets...)
		}
	}
	members := w.generation("g", "")
	remove := func() protocol.Code {
		return ask[*protocol.GroupDeleted](w, w.coordinator("g"), &protocol.DeleteGroup{GroupID: "g"}).Code
	}
	if code := remove(); code != protocol.NonEmptyGroup {
		t.Errorf("with a member: %s", code.Name())
	}
	left := ask[*protocol.GroupLeft](w, w.coordinator("g"), &protocol.LeaveGroup{GroupID: "g", Members: []protocol.LeavingMember{{MemberID: members[0].id}}})
	if left.Failed() || left.Members[0].Code != protocol.None {
		t.Fatalf("%+v", left)
	}
	if code := remove(); code != protocol.None {
		t.Errorf("without: %s", code.Name())
	}
	for range 2 {
		if got := w.list(); got != "" {
			t.Errorf("listed %q", got)
		}
		w.expect("g", "t", 4999, -1)
		w.kill()
		w.coordinator("g")
	}
	if code := remove(); code != protocol.GroupIDNotFound {
		t.Errorf("again: %s", code.Name())
	}
}

func TestOffsetsOfDeletedTopicsAndOldOnesGo(t *testing.T) {
	w := newWorld(t, set("offsets.retention.minutes", "60"), set("offsets.retention.check.interval.ms", "60000"))
	w.topic("gone", 1)
	w.commit("g", at("gone", 0, 1), at("t", 0, 1))
	done := false
	w.node.System().Ask(w.controller(), &protocol.DeleteTopics{Topics: []protocol.TopicRef{{Name: "gone"}}}, time.Minute, func(any, error) { done = true })
	w.until("the topic is deleted", func() bool { return done })
	w.until("its offset is gone", func() bool { return w.committed("g", "gone", 0) == -1 })
	w.expect("g", "t", 0, 1)
	w.sim.RunFor(50 * time.Minute)
	w.expect("g", "t", 0, 1)
	w.commit("h", at("t", 0, 2))
	w.sim.RunFor(15 * time.Minute)
	w.expect("g", "t", 0, -1)
	w.expect("h", "t", 0, 2)
	if got := w.list(); got != "h classic Empty" {
		t.Errorf("listed %q", got)
	}
	w.kill()
	w.expect("g", "t", 0, -1)
	w.expect("h", "t", 0, 2)
}

// beat is a heartbeat of the consumer protocol.
func (w *world) beat(id, member string, epoch int32) *protocol.ConsumerHeartbeat {
	w.t.Helper()
	m := &protocol.HeartbeatConsumer{
		Member: protocol.Member{GroupID: id, MemberID: member, ClientID: "c", ClientHost: "/127.0.0.1"}, MemberEpoch: epoch, RebalanceTimeout: time.Minute,
	}
	if epoch == 0 {
		m.Topics, m.TopicsSet, m.OwnedSet = []string{"t"}, true, true
	}
	return ask[*protocol.ConsumerHeartbeat](w, w.coordinator(id), m)
}

func TestAGroupWithMembersChangesItsProtocolAndBack(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2)
	join := func(member string) *joiner {
		j := ask[*protocol.GroupJoined](w, w.coordinator("g"), w.joining("g", member))
		if j.Failed() {
			t.Fatalf("%+v", j)
		}
		return &joiner{w, "g", j.MemberID, j}
	}
	sync := func(j *joiner) *protocol.GroupSynced {
		return ask[*protocol.GroupSynced](w, w.coordinator("g"), &protocol.SyncGroup{Member: protocol.Member{GroupID: "g", MemberID: j.id}, Generation: j.joined.Generation})
	}
	old := join("")
	if got := sync(old); got.Failed() {
		t.Fatalf("%+v", got)
	}
	if code := old.commit(7); code != protocol.None {
		t.Fatal(code)
	}
	epoch := int32(0)
	if got := w.beat("g", "modern", 0); got.Failed() {
		t.Fatalf("joining by the consumer protocol: %+v", got)
	} else {
		epoch = got.MemberEpoch
	}
	if got := w.list(); !strings.HasPrefix(got, "g consumer") {
		t.Errorf("listed %q", got)
	}
	w.expect("g", "t", 0, 7)
	w.until("the classic member is told to join again", func() bool {
		w.sim.RunFor(time.Second)
		return old.heartbeat() == protocol.RebalanceInProgress
	})
	old = join(old.id)
	if got := sync(old); got.Failed() {
		t.Fatalf("%+v", got)
	}
	if code := old.heartbeat(); code != protocol.None {
		t.Errorf("a classic member in a consumer group: %s", code.Name())
	}
	w.kill()
	if got := w.beat("g", "modern", epoch); got.Failed() {
		t.Fatalf("after a kill: %+v", got)
	}
	if got := w.beat("g", "modern", -1); got.Failed() {
		t.Fatalf("leaving: %+v", got)
	}
	w.until("the group is classic again", func() bool { w.sim.RunFor(time.Millisecond); return strings.HasPrefix(w.list(), "g classic") })
	if code := old.heartbeat(); code != protocol.RebalanceInProgress && code != protocol.IllegalGeneration { // the group's epoch went on
		t.Errorf("the member that is left: %s", code.Name())
	}
	old = join(old.id)
	if got := sync(old); got.Failed() {
		t.Fatalf("%+v", got)
	}
	w.expect("g", "t", 0, 7)
	w.kill()
	if code := old.heartbeat(); code != protocol.None {
		t.Errorf("after a kill: %s", code.Name())
	}
}

func TestAGroupLearnsOfTopicsWithoutAHeartbeat(t *testing.T) {
	w := newWorld(t)
	if got := w.beat("g", "m", 0); got.Failed() {
		t.Fatalf("%+v", got)
	}
	before := w.describe("g", false)
	w.topic("other", 1)
	w.sim.RunFor(time.Second)
	if got := w.describe("g", false); got.Epoch != before.Epoch {
		t.Errorf("a topic nobody asked for: epoch %d became %d", before.Epoch, got.Epoch)
	}
	w.topic("t", 3)
	w.until("its partitions are in the target", func() bool {
		w.sim.RunFor(100 * time.Millisecond)
		m := w.describe("g", false).Members[0]
		return len(m.Target) == 1 && len(m.Target[0].Partitions) == 3
	})
}

func TestSettingsOfAGroupReachItsMembers(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1)
	alter := func(ops ...protocol.AlterOp) {
		t.Helper()
		got := ask[*protocol.ConfigsAltered](w, w.controller(), &protocol.AlterConfigs{Resources: []protocol.AlterResource{{Type: protocol.ResourceGroup, Name: "g", Ops: ops}}})
		if got.Resources[0].Failed() {
			t.Fatalf("%+v", got)
		}
	}
	first, other := w.beat("g", "m", 0), w.beat("h", "m", 0)
	key := protocol.ConfigEntry{Key: "consumer.heartbeat.interval.ms", Value: "9000"}
	alter(protocol.AlterOp{Op: protocol.ConfigSet, ConfigEntry: key}, protocol.AlterOp{Op: protocol.ConfigSet, ConfigEntry: protocol.ConfigEntry{Key: "consumer.session.timeout.ms", Value: "60000"}})
	intervals := func() (out [2]time.Duration) {
		for range 80 { // the longer nothing changed, the longer the interval
			w.sim.RunFor(4 * time.Second)
			out = [2]time.Duration{w.beat("g", "m", first.MemberEpoch).Interval, w.beat("h", "m", other.MemberEpoch).Interval}
		}
		return out
	}
	want := [2]time.Duration{9 * time.Second, 5 * time.Second}
	if got := intervals(); got != want {
		t.Errorf("intervals %v, want %v", got, want)
	}
	w.sim.RunFor(50 * time.Second) // longer than the session of others
	if got := w.list(); !strings.Contains(got, "g consumer Stable") || strings.Contains(got, "h consumer Stable") {
		t.Errorf("listed %q", got)
	}
	w.kill()
	if got := w.beat("g", "m", first.MemberEpoch); got.Failed() {
		t.Fatalf("%+v", got)
	}
	other = w.beat("h", "m", 0)
	if got := intervals(); got != want {
		t.Errorf("after a restart: %v, want %v", got, want)
	}
	alter(protocol.AlterOp{Op: protocol.ConfigDelete, ConfigEntry: protocol.ConfigEntry{Key: key.Key, Null: true}})
	if got := intervals(); got[0] != got[1] {
		t.Errorf("taken back: %v", got)
	}
}

func TestWhoWaitsWhileTheProtocolChangesJoinsAgainAsItself(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2)
	pid := w.coordinator("g")
	first := ask[*protocol.GroupJoined](w, pid, w.joining("g", ""))
	if got := ask[*protocol.GroupSynced](w, pid, &protocol.SyncGroup{Member: protocol.Member{GroupID: "g", MemberID: first.MemberID}, Generation: first.Generation}); got.Failed() {
		t.Fatalf("%+v", got)
	}
	waits := send[*protocol.GroupJoined](w, pid, w.joining("g", "")) // until the first has joined again
	w.sim.RunFor(time.Second)
	if *waits != nil {
		t.Fatalf("%+v", *waits)
	}
	if got := w.beat("g", "modern", 0); got.Failed() {
		t.Fatalf("%+v", got)
	}
	w.until("the one that waits is answered", func() bool { return *waits != nil })
	members := w.describe("g", false).Members
	known := slices.ContainsFunc(members, func(m protocol.DescribedMember) bool { return m.MemberID == (*waits).MemberID })
	if (*waits).Code != protocol.RebalanceInProgress || len(members) != 3 || !known {
		t.Errorf("%+v; members %+v", *waits, members)
	}
}

// TestAGroupChangesItsProtocolInItsFirstGeneration: the log knows nothing of the classic group, and nothing of it may be left either.
func TestAGroupChangesItsProtocolInItsFirstGeneration(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2)
	pid := w.coordinator("g")
	if first := ask[*protocol.GroupJoined](w, pid, w.joining("g", "")); first.Failed() {
		t.Fatalf("%+v", first)
	}
	waits := send[*protocol.GroupJoined](w, pid, w.joining("g", "")) // until the first has joined again
	w.sim.RunFor(time.Second)
	got := w.beat("g", "modern", 0)
	if got.Failed() {
		t.Fatalf("%+v", got)
	}
	w.until("the one that waits is answered", func() bool { return *waits != nil })
	if left := ask[*protocol.GroupLeft](w, pid, &protocol.LeaveGroup{GroupID: "g", Members: []protocol.LeavingMember{{MemberID: (*waits).MemberID}}}); left.Failed() {
		t.Fatalf("%+v", left)
	}
	if got := w.beat("g", "modern", -1); got.Failed() {
		t.Fatalf("leaving: %+v", got)
	}
	w.until("the group is classic again", func() bool { w.sim.RunFor(time.Millisecond); return strings.HasPrefix(w.list(), "g classic") })
	if members := w.describe("g", true).Members; len(members) != 1 {
		t.Errorf("%+v", members)
	}
}

func TestAnEmptyGroupChangesItsProtocol(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 2)
	classic := w.generation("g", "")[0]
	if code := classic.commit(5); code != protocol.None {
		t.Fatal(code)
	}
	beat := func(epoch int32) *protocol.ConsumerHeartbeat { return w.beat("g", "m", epoch) }
	ask[*protocol.GroupLeft](w, w.coordinator("g"), &protocol.LeaveGroup{GroupID: "g", Members: []protocol.LeavingMember{{MemberID: classic.id}}})
	got := beat(0)
	if got.Failed() || len(got.Assignment) != 1 || len(got.Assignment[0].Partitions) != 2 {
		t.Fatalf("%+v", got)
	}
	w.expect("g", "t", 0, 5)
	if list := w.list(); list != "g consumer Stable consumer" {
		t.Errorf("listed %q", list)
	}
	w.kill()
	if got := beat(got.MemberEpoch); got.Failed() {
		t.Fatalf("after a kill: %+v", got)
	}
	if got := w.describe("g", true); got.Code != protocol.GroupIDNotFound {
		t.Errorf("%+v", got)
	}
	for old, want := range []protocol.Code{protocol.None, protocol.UnsupportedVersion} {
		m := committing("g", at("t", 0, 5))
		m.MemberID, m.Generation, m.Old = "m", got.MemberEpoch, old == 1
		if got := ask[*protocol.OffsetsCommitted](w, w.coordinator("g"), m); got.Codes[0] != want {
			t.Errorf("%+v: %+v", m, got)
		}
	}
	if got := w.describe("g", false); got.Failed() || len(got.Members) != 1 {
		t.Errorf("%+v", got)
	}
	if got := beat(-1); got.Failed() {
		t.Fatalf("leaving: %+v", got)
	}
	w.generation("g", "")
	w.expect("g", "t", 0, 5)
	if list := w.list(); list != "g classic Stable consumer" {
		t.Errorf("listed %q", list)
	}
}
