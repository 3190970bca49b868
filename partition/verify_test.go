package partition

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

var coordinatorPID = actors.NewPID("test", "coordinator")

// newVerifyingStage is a partition that asks a coordinator, which the test plays.
func newVerifyingStage(t *testing.T) *stage {
	s := newStage(t, osConfig())
	s.actor.verifier = verifier{
		coordinator: func(id string) (actors.PID, protocol.Code) {
			if id == "lost" {
				return actors.PID{}, protocol.CoordinatorNotAvailable
			}
			return coordinatorPID, protocol.None
		},
		backoff: 20 * time.Millisecond, backoffMax: 100 * time.Millisecond,
	}
	return s
}

// transactional is a message of a producer with a transactional id.
func (s *stage) transactional(id uint64, version int16, p producing) (*protocol.Produce, *releases) {
	p.txn = true
	m, r := s.message(id, p)
	m.TransactionalID, m.TransactionVersion = "tx", version
	return m, r
}

// question is the request among effects.
func asked(t *testing.T, effects []actortest.Effect) (actortest.Requested, *protocol.AddPartitions) {
	t.Helper()
	var found []actortest.Requested
	for _, e := range effects {
		if r, ok := e.(actortest.Requested); ok {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d questions in %#v", len(found), effects)
	}
	return found[0], found[0].Msg.(*protocol.AddPartitions)
}

// answer delivers the coordinator's answer to a question.
func (s *stage) answer(q actortest.Requested, codes ...protocol.Code) []actortest.Effect {
	return s.turn(&protocol.PartitionsAdded{Answer: protocol.Answer{ID: q.ID}, Codes: codes})
}

func (s *stage) fault(q actortest.Requested, code protocol.Code) []actortest.Effect {
	return s.turn(&protocol.PartitionsAdded{Answer: protocol.Answer{ID: q.ID}, Fault: protocol.Fault{Code: code}})
}

func (s *stage) marker(id uint64, pid int64, epoch int16, commit bool) *protocol.Produce {
	return &protocol.Produce{
		Head: protocol.Head{ReplyTo: clientPID, ID: id}, Partition: tp0, LeaderEpoch: -1, Acks: -1, Deadline: s.Mono() + 10*time.Second,
		Batch: record.EndTxnMarker(pid, epoch, commit, 1, 2000), Internal: true,
	}
}

type answered struct {
	id   uint64
	code protocol.Code
	base int64
}

func (s *stage) expectAnswers(effects []actortest.Effect, want ...answered) {
	s.t.Helper()
	got := answers(effects)
	if len(got) != len(want) {
		s.t.Fatalf("answers %+v, want %+v", got, want)
	}
	for i, w := range want {
		if got[i].ID != w.id || got[i].Code != w.code || got[i].BaseOffset != w.base {
			s.t.Errorf("answer %d is %+v, want %+v", i, got[i], w)
		}
	}
}

func (s *stage) expectNothingHeld() {
	s.t.Helper()
	if q := s.actor.questions; len(q.of)+len(q.asked)+q.batches+q.bytes != 0 {
		s.t.Errorf("held: %+v", q)
	}
}

// A transaction begins in a log only when its coordinator said so; its batches and those behind them stay in order and keep their
// buffers until then, and the next ones need no question.
func TestFirstBatchWaitsForItsCoordinator(t *testing.T) {
	for version, want := range map[int16]protocol.AddPartitions{
		1: {TransactionalID: "tx", ProducerID: 7, ProducerEpoch: 2, VerifyOnly: true, Partitions: []protocol.NamedPartition{{Topic: "t"}}},
		2: {TransactionalID: "tx", ProducerID: 7, ProducerEpoch: 2, ByLeader: true, Partitions: []protocol.NamedPartition{{Topic: "t"}}},
	} {
		s := newVerifyingStage(t)
		first, r1 := s.transactional(1, version, producing{pid: 7, epoch: 2, records: 2})
		second, r2 := s.transactional(2, version, producing{pid: 7, epoch: 2, sequence: 2})
		again, r3 := s.transactional(3, version, producing{pid: 7, epoch: 2, records: 2}) // a retry of the first while it is held
		other, _ := s.message(4, producing{pid: 8})
		effects := s.turn(first, second, again, other)
		q, m := asked(t, effects)
		if want.Head = m.Head; q.To != coordinatorPID || !equalQuestion(*m, want) || q.Timeout != 10*time.Second {
			t.Errorf("version %d: asked %+v of %v within %v", version, m, q.To, q.Timeout)
		}
		s.expectAnswers(effects, answered{4, 0, 0}) // nobody else waits
		if r1.n.Load()+r2.n.Load()+r3.n.Load() != 0 {
			t.Error("a held buffer was given back")
		}
		s.expectAnswers(s.answer(q), answered{3, 0, 1}, answered{1, 0, 1}, answered{2, 0, 3})
		if r1.n.Load() != 1 || r2.n.Load() != 1 || r3.n.Load() != 1 {
			t.Error("a buffer was not given back once")
		}
		s.expectNothingHeld()
		third, _ := s.transactional(5, version, producing{pid: 7, epoch: 2, sequence: 3})
		s.expectAnswers(s.turn(third), answered{5, 0, 4})
		if got := s.actor.handle.View().LastStableOffset; got != 1 {
			t.Errorf("LSO %d", got)
		}
	}
}

func equalQuestion(a, b protocol.AddPartitions) bool {
	return a.Head == b.Head && a.TransactionalID == b.TransactionalID && a.ProducerID == b.ProducerID && a.ProducerEpoch == b.ProducerEpoch &&
		a.VerifyOnly == b.VerifyOnly && a.ByLeader == b.ByLeader && len(a.Partitions) == 1 && a.Partitions[0] == b.Partitions[0]
}

// The coordinator's refusal is the producer's answer. What may come again comes again together; after a final refusal the next batch is
// asked about for itself.
func TestCoordinatorRefuses(t *testing.T) {
	s := newVerifyingStage(t)
	first, r1 := s.transactional(1, 1, producing{pid: 7})
	second, r2 := s.transactional(2, 1, producing{pid: 7, sequence: 1})
	q, _ := asked(t, s.turn(first, second))
	s.expectAnswers(s.answer(q, protocol.ConcurrentTransactions), answered{1, protocol.ConcurrentTransactions, -1}, answered{2, protocol.ConcurrentTransactions, -1})
	s.expectNothingHeld()
	if r1.n.Load() != 1 || r2.n.Load() != 1 {
		t.Error("a buffer was not given back once")
	}

	// The second alone would be a hole that the first could not fill any more.
	second, _ = s.transactional(3, 1, producing{pid: 7, sequence: 1})
	effects := s.turn(second)
	s.expectAnswers(effects, answered{3, protocol.OutOfOrderSequence, -1})

	first, _ = s.transactional(4, 1, producing{pid: 7})
	second, _ = s.transactional(5, 1, producing{pid: 7, sequence: 1})
	q, _ = asked(t, s.turn(first, second))
	effects = s.fault(q, protocol.InvalidTxnState)
	s.expectAnswers(effects, answered{4, protocol.InvalidTxnState, -1}, answered{5, protocol.OutOfOrderSequence, -1})
	s.expectNothingHeld()
	if v := s.actor.handle.View(); v.LogEndOffset != 0 {
		t.Errorf("%d records were appended", v.LogEndOffset)
	}
}

// KAFKA-14884: the transaction that was asked about ends between the question and the answer. Its late batch must not begin another one.
func TestMarkerBetweenQuestionAndAnswer(t *testing.T) {
	for _, epoch := range []int16{0, 1} {
		s := newVerifyingStage(t)
		late, r := s.transactional(1, 1, producing{pid: 7})
		q, _ := asked(t, s.turn(late))
		s.expectAnswers(s.turn(s.marker(2, 7, epoch, false)), answered{2, 0, 0})
		effects := s.answer(q)
		want := protocol.InvalidProducerEpoch // the coordinator fenced the producer
		if epoch == 0 {
			q, _ = asked(t, effects) // again, as the answer is outdated
			want, effects = protocol.InvalidTxnState, s.answer(q, protocol.InvalidTxnState)
		}
		s.expectAnswers(effects, answered{1, want, -1})
		s.expectNothingHeld()
		if v := s.actor.handle.View(); r.n.Load() != 1 || v.LastStableOffset != 1 || v.LogEndOffset != 1 {
			t.Errorf("released %d times, view %+v", r.n.Load(), v)
		}
	}
}

// The marker that came between question and answer may be that of the transaction before: TV2 producers begin the next one, with a new
// epoch, as soon as the end of the last is decided.
func TestMarkerOfTheTransactionBefore(t *testing.T) {
	s := newVerifyingStage(t)
	last, _ := s.transactional(1, 2, producing{pid: 7, epoch: 3})
	q, _ := asked(t, s.turn(last))
	s.expectAnswers(s.answer(q), answered{1, 0, 0})
	next, _ := s.transactional(2, 2, producing{pid: 7, epoch: 4})
	q, _ = asked(t, s.turn(next))
	s.expectAnswers(s.turn(s.marker(3, 7, 4, true)), answered{3, 0, 1})
	q, _ = asked(t, s.answer(q))
	s.expectAnswers(s.answer(q), answered{2, 0, 2})
	s.expectNothingHeld()
}

// With a new epoch comes a new question, in its turn.
func TestHeldBatchesOfTwoEpochs(t *testing.T) {
	s := newVerifyingStage(t)
	first, _ := s.transactional(1, 2, producing{pid: 7, epoch: 3})
	next, _ := s.transactional(2, 2, producing{pid: 7, epoch: 4})
	plain, _ := s.message(3, producing{pid: 7, epoch: 4, sequence: 1})
	q, _ := asked(t, s.turn(first, next, plain))
	effects := s.answer(q)
	q, m := asked(t, effects)
	if m.ProducerEpoch != 4 {
		t.Errorf("asked about epoch %d", m.ProducerEpoch)
	}
	s.expectAnswers(effects, answered{1, 0, 0})
	s.expectAnswers(s.fault(q, protocol.ProducerFenced), answered{2, protocol.ProducerFenced, -1}, answered{3, protocol.OutOfOrderSequence, -1})
	s.expectNothingHeld()
}

// The leader that adds its partition asks again while the transaction before is ending, but not for long.
func TestLeaderAsksAgainWhileATransactionEnds(t *testing.T) {
	s := newVerifyingStage(t)
	m, _ := s.transactional(1, 2, producing{pid: 7})
	q, _ := asked(t, s.turn(m))
	for range 5 {
		if effects := s.fault(q, protocol.ConcurrentTransactions); len(answers(effects)) != 0 {
			t.Fatalf("%#v", effects)
		}
		msgs := s.Advance(20 * time.Millisecond)
		q, _ = asked(t, append(msgs, s.EndTurn()...))
	}
	s.expectAnswers(s.fault(q, protocol.ConcurrentTransactions), answered{1, protocol.ConcurrentTransactions, -1})
	s.expectNothingHeld()

	m, _ = s.transactional(2, 2, producing{pid: 7})
	q, _ = asked(t, s.turn(m))
	s.fault(q, protocol.ConcurrentTransactions)
	q, _ = asked(t, s.Advance(20*time.Millisecond))
	s.expectAnswers(s.answer(q), answered{2, 0, 0})
}

// Nobody answers: the producer is told so, and nothing stays behind.
func TestCoordinatorKeepsSilent(t *testing.T) {
	s := newVerifyingStage(t)
	m, r := s.transactional(1, 1, producing{pid: 7})
	q, _ := asked(t, s.turn(m))
	s.expectAnswers(s.Advance(10*time.Second), answered{1, protocol.NetworkException, -1})
	s.expectNothingHeld()
	s.answer(q) // too late
	lost, _ := s.transactional(2, 1, producing{pid: 7})
	lost.TransactionalID = "lost"
	s.expectAnswers(s.turn(lost), answered{2, protocol.CoordinatorNotAvailable, -1})
	nameless, _ := s.transactional(3, 1, producing{pid: 7})
	nameless.TransactionalID = ""
	s.expectAnswers(s.turn(nameless), answered{3, protocol.InvalidTxnState, -1})
	s.expectNothingHeld()
	if r.n.Load() != 1 {
		t.Error("the buffer was not given back once")
	}
}

// Whatever ends the leadership ends the waiting.
func TestHeldBatchesEndWithTheLeadership(t *testing.T) {
	newer := leadOf(tp0, osConfig())
	newer.LeaderEpoch++
	config := osConfig()
	for _, c := range []struct {
		end  any
		code protocol.Code
	}{
		{&lead{LeadPartition: newer, config: &config}, protocol.NotLeaderOrFollower},
		{closeLog{}, protocol.NotLeaderOrFollower},
		{dropLog{}, protocol.UnknownTopicOrPartition},
		{failLog{err: errAny}, protocol.KafkaStorageError},
		{actors.Stopping{}, protocol.NotLeaderOrFollower},
	} {
		s := newVerifyingStage(t)
		m, r := s.transactional(1, 1, producing{pid: 7})
		silent, r0 := s.transactional(0, 1, producing{pid: 7, sequence: 1})
		silent.Acks = 0
		s.turn(m, silent)
		s.expectAnswers(s.Deliver(c.end), answered{1, c.code, -1})
		s.expectNothingHeld()
		if r.n.Load() != 1 || r0.n.Load() != 1 {
			t.Errorf("%T: released %d and %d times", c.end, r.n.Load(), r0.n.Load())
		}
	}
}

// Verification can be switched off, but not the adding: nobody else would do it. Coordinators do not ask themselves.
func TestWhatIsNotAskedAbout(t *testing.T) {
	s := newVerifyingStage(t)
	s.actor.verifier.enabled = func() bool { return false }
	m, _ := s.transactional(1, 1, producing{pid: 7})
	s.expectAnswers(s.turn(m), answered{1, 0, 0})
	m, _ = s.transactional(2, 2, producing{pid: 8})
	asked(t, s.turn(m))

	s = newVerifyingStage(t)
	m, _ = s.transactional(1, 0, producing{pid: 7})
	m.Internal = true
	s.expectAnswers(s.turn(m), answered{1, 0, 0})
	m, _ = s.message(2, producing{pid: 9})
	s.expectAnswers(s.turn(m), answered{2, 0, 1})
}

// What is held is bounded.
func TestHeldBatchesAreBounded(t *testing.T) {
	s := newVerifyingStage(t)
	m, _ := s.transactional(1, 1, producing{pid: 7})
	s.turn(m)
	s.actor.questions.batches = heldMax
	m, r := s.transactional(2, 1, producing{pid: 7, sequence: 1})
	s.expectAnswers(s.turn(m), answered{2, protocol.ThrottlingQuotaExceeded, -1})
	s.actor.questions.batches, s.actor.questions.bytes = 1, heldBytesMax-1
	m, _ = s.transactional(3, 1, producing{pid: 8})
	s.expectAnswers(s.turn(m), answered{3, protocol.ThrottlingQuotaExceeded, -1})
	if r.n.Load() != 1 {
		t.Error("the buffer was not given back once")
	}
}
