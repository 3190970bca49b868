package classic

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// lone is a stable group of one member that says metadata.
func lone(t *testing.T, protocolType string, metadata []byte) (*world, string) {
	w := newWorld(testConfig)
	id := ""
	w.answered = func(_ step.Command, msg any) {
		if m, ok := msg.(*protocol.GroupJoined); ok {
			id = m.MemberID
		}
	}
	w.do(&protocol.JoinGroup{Member: protocol.Member{GroupID: testGroup, ClientID: "c"}, ProtocolType: protocolType, SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second,
		Protocols: []protocol.GroupProtocol{{Name: "p", Metadata: metadata}}})
	w.wait(t, 3*time.Second)
	w.do(&protocol.SyncGroup{Member: protocol.Member{GroupID: testGroup, MemberID: id}, Generation: 1})
	if w.g.State() != "Stable" {
		t.Fatal(w.g.State())
	}
	return w, id
}

func TestTopicsOfConsumersAreKnown(t *testing.T) {
	w, _ := lone(t, "consumer", consumerSaid("t", "a"))
	opaque, _ := lone(t, "connect", consumerSaid("t"))
	garbled, _ := lone(t, "consumer", []byte{0, 1, 0, 0, 0, 9})
	for _, c := range []struct {
		name   string
		g      *Group
		topic  string
		want   bool
		delete protocol.Code
	}{
		{"subscribed", w.g, "t", true, protocol.None},
		{"not subscribed", w.g, "u", false, protocol.None},
		{"not a consumer", opaque.g, "t", false, protocol.NonEmptyGroup},
		{"garbled: perhaps", garbled.g, "u", true, protocol.None},
		{"never joined", New("n", testConfig), "t", false, protocol.None},
	} {
		if got := c.g.Subscribed(c.topic); got != c.want {
			t.Errorf("%s: subscribed %v", c.name, got)
		}
		if got := c.g.CheckDeleteOffsets(); got != c.delete {
			t.Errorf("%s: delete %v", c.name, got)
		}
	}
	w.wait(t, time.Minute)
	if w.g.Subscribed("t") || !w.g.Empty() {
		t.Error("an empty group is subscribed")
	}
}

func TestACommitWhileTheGenerationBeginsIsNoHeartbeat(t *testing.T) {
	w, id := lone(t, "consumer", consumerSaid("t"))
	w.do(&protocol.JoinGroup{Member: protocol.Member{GroupID: testGroup, MemberID: id}, ProtocolType: "consumer", SessionTimeout: 10 * time.Second,
		RebalanceTimeout: time.Minute, Protocols: []protocol.GroupProtocol{{Name: "p", Metadata: consumerSaid("u")}}})
	if w.g.State() != "CompletingRebalance" || w.g.Subscribed("t") || !w.g.Subscribed("u") {
		t.Fatalf("%s, subscribed to %v", w.g.State(), w.g.topics)
	}
	w.wait(t, 9*time.Second)
	w.g.Heard(w.now(), id)
	if w.wait(t, time.Second); w.g.State() != "Empty" {
		t.Error(w.g.State())
	}
}

func TestOffsetsAreRetainedWhileInUse(t *testing.T) {
	w, _ := lone(t, "consumer", consumerSaid("t"))
	garbled, _ := lone(t, "consumer", []byte{0})
	opaque, _ := lone(t, "connect", nil)
	for _, c := range []struct {
		name    string
		g       *Group
		topic   string
		expires bool
	}{
		{"subscribed", w.g, "t", false},
		{"not subscribed", w.g, "u", true},
		{"garbled", garbled.g, "u", false},
		{"not a consumer", opaque.g, "u", false},
		{"never joined", New("n", testConfig), "t", true},
	} {
		since, subscribed, ok := c.g.Expiry()
		if expires := ok && (subscribed == nil || !subscribed(c.topic)); expires != c.expires || !since.IsZero() {
			t.Errorf("%s: expires %v, since %v", c.name, expires, since)
		}
	}
	w.wait(t, time.Minute)
	if since, subscribed, ok := w.g.Expiry(); !ok || subscribed != nil || !since.Equal(time.UnixMilli(1_700_000_013_000)) || !since.Equal(w.g.EmptySince()) {
		t.Errorf("empty: since %v, %v", since, ok)
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	w := newWorld(testConfig)
	var got protocol.Code
	w.answered = func(_ step.Command, msg any) { got = msg.(*protocol.GroupJoined).Code }
	long := strings.Repeat("x", stringMax+1)
	for name, m := range map[string]protocol.JoinGroup{
		"group":    {Member: protocol.Member{GroupID: long}},
		"client":   {Member: protocol.Member{GroupID: testGroup, ClientID: long[:stringMax-uuidLength]}},
		"instance": {Member: protocol.Member{GroupID: testGroup, InstanceID: long[:stringMax-uuidLength]}},
		"type":     {Member: protocol.Member{GroupID: testGroup}, ProtocolType: long},
		"protocol": {Member: protocol.Member{GroupID: testGroup}, Protocols: []protocol.GroupProtocol{{Name: long}}},
	} {
		m.SessionTimeout = 10 * time.Second
		if w.do(&m); got != protocol.InvalidRequest {
			t.Errorf("%s: %v", name, got)
		}
	}
	if w.do(&protocol.JoinGroup{SessionTimeout: 10 * time.Second}); got != protocol.InvalidGroupID {
		t.Errorf("no group: %v", got)
	}
}

func TestPendingIDsAreBounded(t *testing.T) {
	w := newWorld(testConfig)
	var ids []string
	w.answered = func(_ step.Command, msg any) { ids = append(ids, msg.(*protocol.GroupJoined).MemberID) }
	join := protocol.JoinGroup{Member: protocol.Member{GroupID: testGroup, ClientID: "c"}, ProtocolType: "x", SessionTimeout: 10 * time.Second,
		RequireKnownMember: true, Protocols: []protocol.GroupProtocol{{Name: "p"}}}
	for range pendingMax + 2 {
		m := join
		w.do(&m)
	}
	_, second := w.g.pending[ids[1]]
	_, third := w.g.pending[ids[2]]
	if len(w.g.pending) != pendingMax || second || !third {
		t.Errorf("%d ids wait, the second %v, the third %v", len(w.g.pending), second, third)
	}
	if w.g.Idle() || w.g.Logged() {
		t.Error("the group is idle or logged")
	}
	if w.wait(t, 10*time.Second); !w.g.Idle() || len(w.log) > 0 {
		t.Errorf("%d ids wait, %d records", len(w.g.pending), len(w.log))
	}
}

func TestCommandsOfOthersAreRefused(t *testing.T) {
	w := newWorld(testConfig)
	var got any
	w.answered = func(_ step.Command, msg any) { got = msg }
	w.do(&protocol.HeartbeatConsumer{})
	if m := got.(*protocol.ConsumerHeartbeat); m.Code != protocol.GroupIDNotFound {
		t.Error(m.Code)
	}
	w.do(&protocol.FetchOffsets{Head: protocol.Head{ReplyTo: client}})
	if m := got.(*protocol.OffsetsFetched); m.Code != protocol.InvalidRequest {
		t.Error(m.Code)
	}
}

func TestAGroupGoesOnWithMembersOfTheOtherProtocol(t *testing.T) {
	members := []Member{
		{MemberID: "a", SessionTimeout: 10 * time.Second, RebalanceTimeout: 20 * time.Second, Assignment: []byte("x"),
			Protocols: []protocol.GroupProtocol{{Name: "q", Metadata: consumerSaid("t")}, {Name: "p", Metadata: consumerSaid("t")}}},
		{MemberID: "b", InstanceID: "i", SessionTimeout: 10 * time.Second, RebalanceTimeout: 20 * time.Second, Assignment: []byte("y"),
			Protocols: []protocol.GroupProtocol{{Name: "p", Metadata: consumerSaid("u")}}},
	}
	w := newWorld(testConfig)
	g, record, ok := FromMembers(testGroup, testConfig, w.now(), 9, members)
	if !ok {
		t.Fatal("no group")
	}
	w.g, w.log = g, []step.Record{record}
	if err := g.Replay(record.Key, record.Value); err != nil {
		t.Fatal(err)
	}
	var out step.Out
	fresh := w.reload(t)
	for _, loaded := range []*Group{g, fresh} { // a crash does not make it forget that a rebalance is due
		if loaded.Loaded(w.now(), &out); loaded.State() != "PreparingRebalance" {
			t.Error(loaded.State())
		}
	}
	if hard(fresh) != hard(g) || g.Generation() != 9 || g.Protocol() != "p" || g.Leader() != "a" {
		t.Errorf("%s\nand from the log\n%s", hard(g), hard(fresh))
	}
	if !g.Subscribed("t") || !g.Subscribed("u") || len(g.Members()[0].Protocols) != 2 {
		t.Errorf("topics %v, members %v", g.topics, g.Members())
	}
	if err := consistent(g); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string][]Member{
		"none":       nil,
		"no name":    {{MemberID: "a"}},
		"no common":  {members[1], {MemberID: "c", Protocols: []protocol.GroupProtocol{{Name: "q"}}}},
		"same id":    {members[0], members[0]},
		"same place": {members[1], {MemberID: "c", InstanceID: "i", Protocols: members[1].Protocols}},
	} {
		if _, _, ok := FromMembers(testGroup, testConfig, w.now(), 9, bad); ok {
			t.Errorf("%s makes a group", name)
		}
	}
}
