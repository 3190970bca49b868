package client

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// paths are routes that lead to PIDs of nobody.
type paths struct{ coordinator, leader protocol.Code }

var (
	topic             = protocol.TopicID{1}
	shard, partitions = actors.NewPID("n", "shard"), actors.NewPID("n", "partition")
	alice, bob        = actors.NewPID("n", "alice"), actors.NewPID("n", "bob")
)

func (p *paths) Topic(name string) (Topic, bool) {
	return Topic{Name: "t", ID: topic, Partitions: 4}, name == "t"
}

func (p *paths) TopicByID(id protocol.TopicID) (Topic, bool) {
	return Topic{Name: "t", ID: topic, Partitions: 4}, id == topic
}

func (p *paths) Leader(protocol.TopicPartition) (actors.PID, protocol.Code) {
	return partitions, p.leader
}

func (p *paths) Reader(protocol.TopicPartition) (actors.PID, protocol.Code) {
	return partitions, p.leader
}
func (p *paths) Coordinator(string) (actors.PID, protocol.Code) { return shard, p.coordinator }
func (p *paths) ProducerIDs() actors.PID                        { return shard }

func (p *paths) Admit(_ protocol.TopicPartition, b []byte, _ time.Time) ([]byte, protocol.Fault) {
	return b, protocol.Fault{}
}

// stage is a consumer and what it last did.
type stage struct {
	*actortest.Harness
	*paths
	t    *testing.T
	c    *consumer
	last []actortest.Effect
}

func newStage(t *testing.T, s Consumption) *stage {
	st := &stage{t: t, paths: &paths{}}
	s.Routes, s.Group, s.Topics = st.paths, "g", []string{"t"}
	st.c = newConsumer(s)
	st.Harness = actortest.New(t, st.c)
	st.last = st.Start()
	return st
}

func (s *stage) do(msg any) []actortest.Effect {
	s.t.Helper()
	s.last = s.Deliver(msg)
	return s.last
}

func take[M any](s *stage) M {
	s.t.Helper()
	return actortest.Take[M](s.t, s.last)
}

// count is how many messages of a type were sent last.
func count[M any](s *stage) (n int) {
	for _, m := range actortest.Messages(s.last) {
		if _, ok := m.(M); ok {
			n++
		}
	}
	return n
}

// beat answers a heartbeat.
func (s *stage) beat(m *protocol.HeartbeatConsumer, epoch int32, partitions ...int32) {
	s.t.Helper()
	a := &protocol.ConsumerHeartbeat{Answer: protocol.Answer{ID: m.ID}, MemberID: m.MemberID, MemberEpoch: epoch, Interval: time.Second, AssignmentSet: true}
	if len(partitions) > 0 {
		a.Assignment = []protocol.TopicPartitions{{Topic: topic, Partitions: partitions}}
	}
	s.do(a)
}

// owns brings a consumer to where it reads partition 0 from offset 10 on, with its heartbeats answered.
func (s *stage) owns() (*protocol.PartitionAssigned, *protocol.FetchRecords) {
	s.t.Helper()
	s.beat(take[*protocol.HeartbeatConsumer](s), 1, 0)
	find, beat := take[*protocol.FetchOffsets](s), take[*protocol.HeartbeatConsumer](s)
	if len(beat.Owned) != 1 || !beat.OwnedSet {
		s.t.Fatalf("what it took it does not say: %+v", beat)
	}
	s.beat(beat, 1, 0)
	s.do(&protocol.OffsetsFetched{Answer: protocol.Answer{ID: find.ID}, Offsets: []protocol.CommitOffset{{Topic: "t", Offset: 10}}})
	return take[*protocol.PartitionAssigned](s), take[*protocol.FetchRecords](s)
}

// brings answers a fetch with n records.
func (s *stage) brings(m *protocol.FetchRecords, n int) {
	s.t.Helper()
	b := record.NewBuilder(record.Options{})
	for range n {
		b.Append(1, nil, []byte("v"), nil)
	}
	out, err := b.Build()
	if err != nil {
		s.t.Fatal(err)
	}
	out.SetBaseOffset(m.Offset)
	s.do(&protocol.RecordsFetched{Answer: protocol.Answer{ID: m.ID}, Offset: m.Offset, Next: m.Offset + int64(n), Batches: out})
}

func ack(d *protocol.Delivered) *protocol.Acknowledge {
	return &protocol.Acknowledge{Lease: d.Lease, Next: d.Next}
}

func TestASlowActorGetsNoMoreThanItsCredit(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice}, Credit: 3})
	at, fetch := s.owns()
	if at.Offset != 10 || fetch.Offset != 10 {
		t.Fatalf("%+v, %+v", at, fetch)
	}
	s.brings(fetch, 8)
	d := take[*protocol.Delivered](s)
	if len(d.Records) != 3 || d.Next != 13 || count[*protocol.FetchRecords](s) != 0 {
		t.Fatalf("%+v", s.last)
	}
	s.last = s.Advance(time.Hour)
	if count[*protocol.Delivered](s) != 0 {
		t.Error("time is no credit")
	}
	s.do(&protocol.Acknowledge{Lease: d.Lease, Next: 12})
	if d := take[*protocol.Delivered](s); len(d.Records) != 2 || d.Records[0].Offset != 13 {
		t.Errorf("%+v", d)
	}
	s.do(&protocol.Acknowledge{Lease: d.Lease, Next: 15})
	if d := take[*protocol.Delivered](s); len(d.Records) != 3 || d.Next != 18 {
		t.Errorf("%+v", d)
	}
	if m := take[*protocol.FetchRecords](s); m.Offset != 18 { // one read is held, and it is delivered
		t.Errorf("%+v", m)
	}
}

func TestAPartitionIsGivenUpWhenWhatIsOutIsCommitted(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice}})
	_, fetch := s.owns()
	s.brings(fetch, 4)
	d := take[*protocol.Delivered](s)
	s.last = s.Advance(time.Second)
	s.beat(take[*protocol.HeartbeatConsumer](s), 1) // nothing is ours any more
	if revoke := take[*protocol.RevokePartition](s); revoke.Number != d.Number || count[*protocol.CommitOffsets](s)+count[*protocol.HeartbeatConsumer](s) != 0 {
		t.Fatalf("%+v", s.last)
	}
	s.do(&protocol.Acknowledge{Lease: d.Lease, Next: 12})
	if count[*protocol.CommitOffsets](s)+count[*protocol.Delivered](s) != 0 {
		t.Fatal("two are out still")
	}
	s.do(ack(d))
	commit := take[*protocol.CommitOffsets](s)
	if commit.Offsets[0].Offset != 14 || commit.Generation != 1 || count[*protocol.PartitionRevoked](s) != 0 {
		t.Fatalf("%+v", commit)
	}
	s.do(&protocol.OffsetsCommitted{Answer: protocol.Answer{ID: commit.ID}, Codes: []protocol.Code{protocol.None}})
	if r := take[*protocol.PartitionRevoked](s); r.Lost || r.Committed != 14 {
		t.Errorf("%+v", r)
	}
	if beat := take[*protocol.HeartbeatConsumer](s); !beat.OwnedSet || len(beat.Owned) != 0 || beat.MemberEpoch != 1 {
		t.Errorf("%+v", beat)
	}
	s.do(ack(d)) // too late, and harmless
	if len(s.last) != 0 {
		t.Errorf("%+v", s.last)
	}
}

func TestARevocationDoesNotWaitForEver(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice}, RevokeWait: 3 * time.Second})
	_, fetch := s.owns()
	s.brings(fetch, 4)
	d := take[*protocol.Delivered](s)
	s.do(&protocol.Acknowledge{Lease: d.Lease, Next: 11})
	s.last = s.Advance(100 * time.Millisecond)
	s.last = s.Advance(time.Second)
	s.beat(take[*protocol.HeartbeatConsumer](s), 1)
	take[*protocol.RevokePartition](s)
	// The first commit timed out unanswered; what the actor acknowledged is committed still, the rest is not.
	s.last = s.Advance(20 * time.Second)
	var commit *protocol.CommitOffsets
	for _, m := range actortest.Messages(s.last) {
		if m, ok := m.(*protocol.CommitOffsets); ok {
			commit = m
		}
	}
	if commit == nil || commit.Offsets[0].Offset != 11 {
		t.Fatalf("%+v", commit)
	}
	if r := take[*protocol.PartitionRevoked](s); !r.Lost || r.Committed != 10 {
		t.Errorf("%+v", r)
	}
}

func TestAFencedConsumerBeginsAnew(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice}})
	_, fetch := s.owns()
	s.brings(fetch, 4)
	d := take[*protocol.Delivered](s)
	s.last = s.Advance(time.Second)
	s.do(&protocol.ConsumerHeartbeat{Answer: protocol.Answer{ID: take[*protocol.HeartbeatConsumer](s).ID}, Fault: protocol.Fault{Code: protocol.FencedMemberEpoch}})
	if r := take[*protocol.PartitionRevoked](s); !r.Lost || r.Number != d.Number {
		t.Errorf("%+v", r)
	}
	beat := take[*protocol.HeartbeatConsumer](s)
	if beat.MemberEpoch != 0 || !beat.TopicsSet || !beat.OwnedSet || len(beat.Owned) != 0 {
		t.Errorf("%+v", beat)
	}
	s.do(ack(d))
	s.last = s.Advance(time.Second)
	if count[*protocol.CommitOffsets](s) != 0 {
		t.Error("committed for a lease that is over")
	}
}

func TestAnswersFromBeforeAFenceMeanNothing(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice, alice}})
	if len(s.c.crew) != 1 {
		t.Error("one actor, twice in the crew")
	}
	_, fetch := s.owns()
	s.brings(fetch, 4)
	s.do(ack(take[*protocol.Delivered](s)))
	s.last = s.Advance(200 * time.Millisecond)
	commit := take[*protocol.CommitOffsets](s)
	s.last = s.Advance(time.Second)
	s.do(take[*protocol.HeartbeatConsumer](s).Failed(protocol.UnknownMemberID))
	again := take[*protocol.HeartbeatConsumer](s)
	s.do(commit.Failed(protocol.UnknownMemberID))
	if len(s.last) != 0 {
		t.Errorf("fenced twice: %+v", s.last)
	}
	s.beat(again, 2, 0)
	if s.c.epoch != 2 || len(s.c.owned) != 1 {
		t.Errorf("epoch %d, %d partitions", s.c.epoch, len(s.c.owned))
	}
}

func TestPartitionsOfAnActorThatEndedGoToTheOthers(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice, bob}})
	at, fetch := s.owns()
	s.brings(fetch, 4)
	d := take[*protocol.Delivered](s)
	s.do(&protocol.Acknowledge{Lease: d.Lease, Next: 12})
	s.do(actors.Terminated{Who: alice})
	again := take[*protocol.PartitionAssigned](s)
	if again.Number == at.Number || again.Offset != 12 || take[*protocol.FetchRecords](s).Offset != 12 {
		t.Fatalf("%+v", again)
	}
	s.do(&protocol.Acknowledge{Lease: d.Lease, Next: 14}) // from beyond
	if s.c.owned[0].acked != 12 {
		t.Error("acknowledged under a lease that is over")
	}
	s.do(actors.Terminated{Who: bob})
	commit := take[*protocol.CommitOffsets](s) // before the last partition is given up
	s.do(&protocol.OffsetsCommitted{Answer: protocol.Answer{ID: commit.ID}, Codes: []protocol.Code{protocol.None}})
	s.last = append(s.last, s.Advance(time.Second)...)
	bye := false
	for _, m := range actortest.Messages(s.last) {
		if m, ok := m.(*protocol.HeartbeatConsumer); ok && m.MemberEpoch == leavingEpoch {
			bye = true
			s.do(&protocol.ConsumerHeartbeat{Answer: protocol.Answer{ID: m.ID}, MemberEpoch: leavingEpoch})
			break
		}
	}
	if !bye || !s.c.over {
		t.Errorf("nobody is left, and the consumer has not left: %+v", s.last)
	}
}

// The actor ends with a delivery on its way: what it acknowledged before is committed although its lease ended with the refusal.
func TestWhatAnActorAcknowledgedBeforeItsEndIsCommitted(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice}})
	_, fetch := s.owns()
	s.brings(fetch, 4)
	d := take[*protocol.Delivered](s)
	s.do(&protocol.Acknowledge{Lease: d.Lease, Next: 12})
	_, refused := d.Refused(actors.RefusedStopped)
	s.do(refused)
	s.do(actors.Terminated{Who: alice})
	if commit := take[*protocol.CommitOffsets](s); commit.Offsets[0].Offset != 12 {
		t.Errorf("committed %+v", commit.Offsets)
	}
}

func TestAFullMailboxEndsTheLease(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice}})
	_, fetch := s.owns()
	s.brings(fetch, 4)
	d := take[*protocol.Delivered](s)
	_, refused := d.Refused(actors.RefusedOverload)
	s.do(refused)
	if r := take[*protocol.PartitionRevoked](s); !r.Lost || count[*protocol.PartitionAssigned](s) != 0 {
		t.Errorf("%+v", r)
	}
	s.last = s.Advance(retryWait)
	if a := take[*protocol.PartitionAssigned](s); a.Number == d.Number || a.Offset != 10 || take[*protocol.FetchRecords](s).Offset != 10 {
		t.Errorf("%+v", a)
	}
}

func TestWithoutAnOffsetItBeginsWhereItWasTold(t *testing.T) {
	for _, latest := range []bool{false, true} {
		s := newStage(t, Consumption{Members: []actors.PID{alice}, Latest: latest})
		s.beat(take[*protocol.HeartbeatConsumer](s), 1, 0)
		find := take[*protocol.FetchOffsets](s)
		s.do(&protocol.OffsetsFetched{Answer: protocol.Answer{ID: find.ID}, Offsets: []protocol.CommitOffset{{Topic: "t", Offset: -1}}})
		fetch := take[*protocol.FetchRecords](s)
		if want := map[bool]int64{true: protocol.OffsetLatest, false: protocol.OffsetEarliest}[latest]; fetch.Offset != want {
			t.Errorf("%d", fetch.Offset)
		}
		s.do(&protocol.RecordsFetched{Answer: protocol.Answer{ID: fetch.ID}, Offset: 77, Next: 77})
		if a := take[*protocol.PartitionAssigned](s); a.Offset != 77 || take[*protocol.FetchRecords](s).Offset != 77 {
			t.Errorf("%+v", a)
		}
	}
}

func TestOutOfRangeBeginsAgainUnderALeaseThatFits(t *testing.T) {
	s := newStage(t, Consumption{Members: []actors.PID{alice}})
	at, fetch := s.owns()
	s.do(fetch.Failed(protocol.OffsetOutOfRange))
	fetch = take[*protocol.FetchRecords](s)
	s.do(&protocol.RecordsFetched{Answer: protocol.Answer{ID: fetch.ID}, Offset: 20, Next: 20}) // retention
	fetch = take[*protocol.FetchRecords](s)
	if fetch.Offset != 20 || count[*protocol.PartitionRevoked](s) != 0 {
		t.Fatalf("%+v", s.last)
	}
	s.do(fetch.Failed(protocol.OffsetOutOfRange))
	fetch = take[*protocol.FetchRecords](s)
	s.do(&protocol.RecordsFetched{Answer: protocol.Answer{ID: fetch.ID}, Offset: 5, Next: 5}) // the log is another
	if a := take[*protocol.PartitionAssigned](s); a.Offset != 5 || a.Number == at.Number || !take[*protocol.PartitionRevoked](s).Lost {
		t.Errorf("%+v", s.last)
	}
}

func TestACoordinatorThatIsNotThereIsWaitedFor(t *testing.T) {
	st := &paths{coordinator: protocol.CoordinatorNotAvailable}
	c := newConsumer(Consumption{Routes: st, Group: "g", Topics: []string{"t"}, Members: []actors.PID{alice}})
	h := actortest.New(t, c)
	if got := actortest.Messages(h.Start()); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	st.coordinator = protocol.None
	beat := actortest.Take[*protocol.HeartbeatConsumer](t, h.Advance(retryWait))
	if got := h.Deliver(beat.Failed(protocol.CoordinatorLoadInProgress)); len(actortest.Messages(got)) != 0 {
		t.Fatalf("%+v", got)
	}
	beat = actortest.Take[*protocol.HeartbeatConsumer](t, h.Advance(retryWait))
	end := actortest.Take[*protocol.ConsumerEnded](t, h.Deliver(beat.Failed(protocol.GroupMaxSizeReached)))
	if end.Code != protocol.GroupMaxSizeReached || end.GroupID != "g" {
		t.Errorf("%+v", end)
	}
}
