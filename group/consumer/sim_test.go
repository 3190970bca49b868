package consumer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// client is a member that follows the protocol: one request at a time, all fields after a failure, partitions given up before it says so.
type client struct {
	id, instance string
	topics       []string
	regex        string
	epoch        int32
	dead         bool

	owned    map[protocol.TopicPartition]bool
	assigned []protocol.TopicPartitions // told last
	full     bool                       // say everything next
	tell     bool                       // owned changed since it was said
	slow     time.Duration              // how long it takes to give up partitions

	at       time.Duration // of its next event
	inbox    any
	waiting  bool          // for an answer
	revokeAt time.Duration // when it will have given up; 0 is nothing to
	interval time.Duration

	classic bool  // speaks the classic protocol, cooperatively
	phase   phase // of which this is the next request
}

type phase int

const (
	joining phase = iota
	syncing
	beating
)

func rowsOf(set map[protocol.TopicPartition]bool) (out []protocol.TopicPartitions) {
	var all []protocol.TopicPartition
	for tp := range set {
		all = append(all, tp)
	}
	slices.SortFunc(all, func(a, b protocol.TopicPartition) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
	for _, tp := range all {
		if n := len(out); n == 0 || out[n-1].Topic != tp.Topic {
			out = append(out, protocol.TopicPartitions{Topic: tp.Topic})
		}
		row := &out[len(out)-1]
		row.Partitions = append(row.Partitions, tp.Partition)
	}
	return out
}

func setOf(rows []protocol.TopicPartitions) map[protocol.TopicPartition]bool {
	out := map[protocol.TopicPartition]bool{}
	for _, row := range rows {
		for _, p := range row.Partitions {
			out[protocol.TopicPartition{Topic: row.Topic, Partition: p}] = true
		}
	}
	return out
}

func (c *client) request(s *sim) step.Command {
	if c.classic {
		return c.classicRequest(s)
	}
	return c.heartbeat()
}

// classicRequest is the next one of a classic member.
func (c *client) classicRequest(s *sim) step.Command {
	who := protocol.Member{GroupID: "g", MemberID: c.id, ClientID: "c", ClientHost: "/127.0.0.1"}
	switch c.phase {
	case syncing:
		return &protocol.SyncGroup{Member: who, Generation: c.epoch, ProtocolType: "consumer", ProtocolName: "sticky"}
	case beating:
		return &protocol.HeartbeatGroup{Member: who, Generation: c.epoch}
	}
	says := kmsg.NewConsumerMemberMetadata()
	says.Version, says.Topics = 1, c.topics
	c.assigned = rowsOf(c.owned)
	for _, row := range c.assigned {
		if t, ok := s.img.TopicByID(row.Topic); ok {
			says.OwnedPartitions = append(says.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: t.Name, Partitions: row.Partitions})
		}
	}
	return &protocol.JoinGroup{
		Member: who, ProtocolType: "consumer", Protocols: []protocol.GroupProtocol{{Name: "sticky", Metadata: says.AppendTo(nil)}},
		SessionTimeout: 6 * time.Second, RebalanceTimeout: 5 * time.Second,
	}
}

// receiveClassic handles an answer of the classic protocol, or its absence.
func (c *client) receiveClassic(s *sim, answer any) {
	c.at = s.mono + time.Millisecond
	code, rejoin := protocol.None, false
	switch a := answer.(type) {
	case nil:
		c.at, rejoin = s.mono+50*time.Millisecond, true
	case *protocol.GroupJoined:
		if code = a.Code; code == protocol.None {
			c.epoch, c.phase = a.Generation, syncing
		}
	case *protocol.GroupSynced:
		if code = a.Code; code == protocol.None {
			c.phase, c.at = beating, s.mono+300*time.Millisecond
			rejoin = c.take(s, a.Assignment)
		}
	case *protocol.GroupHeartbeat:
		if code = a.Code; code == protocol.None {
			c.at = s.mono + 300*time.Millisecond
		}
	}
	switch code {
	case protocol.None:
	case protocol.RebalanceInProgress:
		rejoin = true
	case protocol.CoordinatorNotAvailable:
		c.at, rejoin = s.mono+50*time.Millisecond, true
	default:
		c.owned, c.assigned, c.epoch, rejoin = map[protocol.TopicPartition]bool{}, nil, 0, true
	}
	if rejoin {
		c.phase, c.at = joining, min(c.at, s.mono+50*time.Millisecond)
	}
}

// take makes an assignment what the member owns. Who gave up something joins again to say so.
func (c *client) take(s *sim, raw []byte) (gaveUp bool) {
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(raw); err != nil {
		s.t.Fatal(err)
	}
	had := c.owned
	c.owned = map[protocol.TopicPartition]bool{}
	for _, row := range a.Topics {
		if t, ok := s.img.Topic(row.Topic); ok {
			for _, p := range row.Partitions {
				c.owned[protocol.TopicPartition{Topic: t.ID, Partition: p}] = true
			}
		}
	}
	c.assigned = rowsOf(c.owned)
	for tp := range had {
		gaveUp = gaveUp || !c.owned[tp]
	}
	return gaveUp
}

func (c *client) heartbeat() *protocol.HeartbeatConsumer {
	m := &protocol.HeartbeatConsumer{MemberEpoch: c.epoch, RebalanceTimeout: -1, Member: protocol.Member{GroupID: "g", MemberID: c.id, InstanceID: c.instance, ClientID: "c", ClientHost: "/127.0.0.1"}}
	if c.full || c.epoch == 0 {
		m.RebalanceTimeout = 30 * time.Second
		m.Topics, m.TopicsSet = c.topics, true
		m.Regex, m.RegexSet = c.regex, true
	}
	if c.full || c.tell || c.epoch == 0 {
		// From saying what it owns until the answer it takes nothing new, or the coordinator could be wrong about it.
		m.Owned, m.OwnedSet = rowsOf(c.owned), true
		c.assigned, c.revokeAt = m.Owned, 0
	}
	return m
}

// receive handles an answer, or its absence.
func (c *client) receive(now time.Duration, a *protocol.ConsumerHeartbeat) {
	if a == nil || a.Code == protocol.CoordinatorNotAvailable {
		c.full, c.at = true, now+50*time.Millisecond
		return
	}
	switch a.Code {
	case protocol.None:
		c.full, c.tell = false, false
		c.epoch, c.interval = a.MemberEpoch, a.Interval
		c.at = now + c.interval
		if a.AssignmentSet {
			c.assigned = a.Assignment
			c.revokeAt = now + c.slow
			c.at = min(c.at, c.revokeAt)
		}
	case protocol.UnreleasedInstanceID:
		c.at = now + time.Second
	default: // fenced, unknown: begin anew with nothing
		c.owned, c.assigned, c.epoch, c.revokeAt, c.full = map[protocol.TopicPartition]bool{}, nil, 0, 0, true
		c.at = now + 10*time.Millisecond
	}
}

// reconcile gives up what it must and takes what it may, when its time has come.
func (c *client) reconcile(now time.Duration) {
	if c.revokeAt == 0 || now < c.revokeAt {
		return
	}
	c.revokeAt = 0
	c.tell = true // an assignment is confirmed even if it changed nothing: what was taken back may never have been taken
	want := setOf(c.assigned)
	for tp := range c.owned {
		if !want[tp] {
			delete(c.owned, tp)
		}
	}
	for tp := range want {
		c.owned[tp] = true
	}
}

// sim is a world with clients.
type sim struct {
	*world
	t        *testing.T
	seed     uint64
	clients  []*client
	created  int
	faults   bool
	busy     time.Duration // the group's log is
	cost     time.Duration // of an append
	takeover int
}

func newSim(t *testing.T, seed uint64) *sim {
	return &sim{world: newWorld(seed), t: t, seed: seed, cost: 2 * time.Millisecond}
}

func (s *sim) join(topics []string, regex, instance string) *client {
	s.created++
	c := &client{id: fmt.Sprintf("member%03d", s.created), instance: instance, topics: topics, regex: regex, owned: map[protocol.TopicPartition]bool{}, at: s.mono}
	s.clients = append(s.clients, c)
	return c
}

// next does the event that comes first.
func (s *sim) next() {
	var c *client
	for _, o := range s.clients {
		if c == nil || o.at < c.at {
			c = o
		}
	}
	if c == nil {
		return
	}
	if c.waiting {
		s.tick(c.at)
		if c.waiting = false; c.classic {
			c.receiveClassic(s, c.inbox)
		} else {
			beat, _ := c.inbox.(*protocol.ConsumerHeartbeat)
			c.receive(s.mono, beat)
		}
		c.inbox = nil
		return
	}
	s.tick(max(c.at, s.busy))
	c.reconcile(s.mono)
	c.waiting = true
	if s.faults && s.rand.IntN(12) == 0 { // the request is lost
		c.at = s.mono + 300*time.Millisecond
		return
	}
	appends := s.appends
	c.inbox = s.step(c.request(s))[0]
	c.at = s.mono + time.Millisecond + time.Duration(s.rand.IntN(3))*time.Millisecond
	if s.appends > appends {
		s.busy = s.mono + s.cost
		c.at += s.cost
	}
	if s.faults && s.rand.IntN(12) == 0 { // its answer is
		c.inbox, c.at = nil, s.mono+300*time.Millisecond
	}
}

// check holds that no two clients in good standing hold a partition, by what they were told and what they have not given up.
func (s *sim) check() {
	s.t.Helper()
	owner := map[protocol.TopicPartition]string{}
	for _, c := range s.clients {
		m := s.g.members[c.id]
		if m == nil || m.epoch == staticLeaveEpoch || c.epoch == 0 {
			continue
		}
		holds := setOf(c.assigned)
		for tp := range c.owned {
			holds[tp] = true
		}
		for tp := range holds {
			if other := owner[tp]; other != "" {
				s.t.Fatalf("seed %d at %v: %v is of %s and %s\n%v", s.seed, s.mono, tp, other, c.id, dump(s.g))
			}
			owner[tp] = c.id
		}
	}
	for _, m := range s.g.order {
		if m.epoch > s.g.epoch || s.g.targetEpoch > s.g.epoch {
			s.t.Fatalf("seed %d: epochs of %s\n%v", s.seed, m.id, dump(s.g))
		}
	}
}

// checkLog holds that the log, whole or compacted, gives the same hard state.
func (s *sim) checkLog() {
	s.t.Helper()
	want := dump(s.g)
	logs := [][]step.Record{s.log}
	if n := len(s.log); n > 0 {
		logs = append(logs, compact(s.log, n, true), compact(s.log, n, false), compact(s.log, s.rand.IntN(n), true))
	}
	for i, log := range logs {
		g := New("g", s.cfg)
		for _, r := range log {
			if err := g.Replay(r.Key, r.Value); err != nil {
				s.t.Fatal(err)
			}
		}
		if got := dump(g); got != want {
			s.t.Fatalf("seed %d: log %d gives\n%s\nnot\n%s", s.seed, i, got, want)
		}
	}
}

// settled reports that every client that lives knows its partitions, and that these are all there are.
func (s *sim) settled() bool {
	if s.g.State() != "Stable" && s.g.State() != "Empty" && s.g.State() != "Dead" {
		return false
	}
	owner := map[protocol.TopicPartition]bool{}
	wanted := map[protocol.TopicPartition]bool{}
	for _, c := range s.clients {
		m := s.g.members[c.id]
		if m == nil || m.epoch != c.epoch || c.waiting || c.revokeAt != 0 || c.classic && c.phase != beating || len(c.owned) != len(setOf(m.assigned.rows())) {
			return false
		}
		for tp := range setOf(m.assigned.rows()) {
			if !c.owned[tp] || owner[tp] {
				return false
			}
			owner[tp] = true
		}
		for _, id := range s.g.topicIDs(m, nil) {
			t, ok := s.img.TopicByID(id)
			if !ok {
				return false
			}
			for p := range t.NumPartitions() {
				wanted[protocol.TopicPartition{Topic: id, Partition: p}] = true
			}
		}
	}
	return len(owner) == len(wanted) && s.g.topology.names == s.img.TopologyOffset && (len(s.g.regexes) == 0 || s.g.topology.regexes == s.img.TopologyOffset)
}

// disturb lets something happen.
func (s *sim) disturb() {
	topics := func() (out []string) {
		for n := range 5 {
			if s.rand.IntN(2) == 0 {
				out = append(out, topicName(n))
			}
		}
		return out
	}
	pick := func() *client {
		if len(s.clients) == 0 {
			return nil
		}
		return s.clients[s.rand.IntN(len(s.clients))]
	}
	remove := func(c *client) {
		c.dead = true
		s.clients = slices.DeleteFunc(s.clients, func(o *client) bool { return o == c })
	}
	switch kind, c := s.rand.IntN(12), pick(); {
	case kind <= 2 || c == nil:
		if len(s.clients) < 8 {
			regex := ""
			if s.rand.IntN(3) == 0 {
				regex = "topic[" + string(rune('0'+s.rand.IntN(3))) + "-4]"
			}
			instance := ""
			if s.rand.IntN(3) == 0 {
				instance = fmt.Sprintf("i%d", s.created)
			}
			joins := s.join(topics(), regex, instance)
			joins.slow = time.Duration(s.rand.IntN(400)) * time.Millisecond
			if s.rand.IntN(4) == 0 {
				joins.classic, joins.instance, joins.regex = true, "", ""
			}
		}
	case kind == 3: // vanishes
		remove(c)
	case kind == 4 && c.classic:
		s.step(&protocol.LeaveGroup{GroupID: "g", Members: []protocol.LeavingMember{{MemberID: c.id}}})
		remove(c)
	case kind == 4: // leaves
		s.beat(&protocol.HeartbeatConsumer{MemberEpoch: leaveEpoch, RebalanceTimeout: -1, Member: protocol.Member{MemberID: c.id, InstanceID: c.instance}})
		remove(c)
	case kind == 5 && c.instance != "": // restarts, with or without a word
		if s.rand.IntN(2) == 0 {
			s.beat(&protocol.HeartbeatConsumer{MemberEpoch: staticLeaveEpoch, RebalanceTimeout: -1, Member: protocol.Member{MemberID: c.id, InstanceID: c.instance}})
			s.takeover++
		}
		remove(c)
		s.join(c.topics, c.regex, c.instance)
	case kind == 6: // changes its mind
		c.topics, c.full, c.phase = topics(), true, joining
		c.at = s.mono
		c.waiting, c.inbox = false, nil
	case kind == 7:
		s.topic(s.rand.IntN(5), 1+s.rand.IntN(9))
	case kind == 8:
		s.deleteTopic(s.rand.IntN(5))
	case kind == 9:
		var out step.Out
		s.g.MetadataChanged(s.now(), &out)
		s.finish(&out)
	case kind == 10: // the coordinator moves
		s.restart(compact(s.log, s.rand.IntN(len(s.log)+1), true))
	case kind == 11: // and forgets nobody, but is long about it
		s.tick(s.mono + time.Duration(s.rand.IntN(5))*time.Second)
	}
}

func TestClientsWithFaultsNeverShareAPartitionAndSettle(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 20
	}
	takeovers := 0
	for seed := range uint64(seeds) {
		s := newSim(t, seed)
		s.cfg.SessionTimeout = 6 * time.Second
		s.restart(nil)
		s.faults = true
		s.fails = func() bool { return s.faults && s.rand.IntN(15) == 0 }
		for n := range 3 {
			s.topic(n, 1+s.rand.IntN(8))
		}
		for range 400 {
			if s.rand.IntN(12) == 0 {
				s.disturb()
			} else {
				s.next()
			}
			s.check()
			if s.rand.IntN(40) == 0 {
				s.checkLog()
			}
		}
		s.faults = false
		end := s.mono + 60*time.Second
		for !s.settled() && s.mono < end && len(s.clients) > 0 {
			s.next()
			s.check()
		}
		if len(s.clients) > 0 && !s.settled() {
			for _, c := range s.clients {
				if m := s.g.members[c.id]; m != nil {
					t.Logf("%s: session %v revoke %v client %+v", c.id, m.sessionEnds, m.revokeEnds, c)
				}
			}
			t.Fatalf("seed %d did not settle at %v of %v: %v, deadline %v\n%s", seed, s.mono, end, s.g, s.g.Deadline(), dump(s.g))
		}
		s.checkLog()
		takeovers += s.takeover
	}
	if takeovers == 0 {
		t.Fatal("no static member ever came back")
	}
}

// TestHundredMembersSettleSoon counts virtual time: appends take 2 ms, one after the other, and clients 5 ms to give up partitions.
func TestHundredMembersSettleSoon(t *testing.T) {
	s := newSim(t, 1)
	s.topic(0, 300)
	for i := range 100 {
		c := s.join([]string{topicName(0)}, "", "")
		c.at += time.Duration(i) * 3 * time.Millisecond
		c.slow = 5 * time.Millisecond
	}
	run := func(what string, limit time.Duration) {
		start := s.mono
		for !s.settled() {
			s.next()
			if s.mono > start+30*time.Second {
				t.Fatalf("%s: %v", what, s.g)
			}
		}
		s.check()
		t.Logf("%s: %v, %d steps, %d appends", what, s.mono-start, s.steps, s.appends)
		if s.mono-start > limit {
			t.Errorf("%s took %v, more than %v", what, s.mono-start, limit)
		}
		s.steps, s.appends = 0, 0
	}
	run("100 members join", 2*time.Second)
	for end := s.mono + 3*time.Second; s.mono < end; {
		s.next()
	}
	for range 10 {
		c := s.clients[0]
		s.clients = s.clients[1:]
		s.beat(&protocol.HeartbeatConsumer{MemberEpoch: leaveEpoch, RebalanceTimeout: -1, Member: protocol.Member{MemberID: c.id}})
	}
	run("ten leave", time.Second)
	for end := s.mono + 5*time.Minute; s.mono < end; {
		s.next()
	}
	for _, c := range s.clients {
		if c.interval != testConfig.HeartbeatInterval {
			t.Fatalf("after five quiet minutes the interval is %v", c.interval)
		}
	}
	s.steps = 0
	for end := s.mono + time.Minute; s.mono < end; {
		s.next()
	}
	if s.appends > 0 || s.steps > 90*13 {
		t.Fatalf("%d steps and %d appends in a quiet minute of 90 members", s.steps, s.appends)
	}
}
