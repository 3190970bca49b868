package partition

import (
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

var (
	hostPID    = actors.NewPID("test", "host")
	flusherPID = actors.NewPID("test", "flusher")
	clientPID  = actors.NewPID("test", "client")
)

// stage is one replica actor without a system, on a directory of the test.
type stage struct {
	*actortest.Harness
	t      *testing.T
	actor  *replicaActor
	faults *faults
	expiry time.Duration // of producers
}

func newStage(t *testing.T, config protocol.LogConfig) *stage {
	fsys, err := osenv.New().OpenFS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, faults: &faults{}, expiry: 24 * time.Hour}
	files := faultFS{fsys, s.faults}
	l := leadOf(tp0, config)
	out := openOne(&place{fs: files, files: storage.NewFiles(files, 0), host: hostPID, flusher: flusherPID, node: 1, producerExpiry: func() time.Duration { return s.expiry }}, slog.New(slog.DiscardHandler),
		&opening{tp: tp0, lead: &l, config: &config, create: true})
	if out.err != nil {
		t.Fatal(out.err)
	}
	s.actor = out.actor
	s.Harness = actortest.New(t, s.actor)
	actortest.Expect(t, s.turn(actors.Started{}))
	return s
}

// turn delivers messages and ends the turn.
func (s *stage) turn(msgs ...any) (effects []actortest.Effect) {
	s.t.Helper()
	for _, m := range msgs {
		effects = append(effects, s.Deliver(m)...)
	}
	return append(effects, s.EndTurn()...)
}

// message is a Produce with a deadline in ten seconds, whose buffer is counted.
func (s *stage) message(id uint64, p producing) (*protocol.Produce, *releases) {
	r := &releases{}
	return &protocol.Produce{
		Head: protocol.Head{ReplyTo: clientPID, ID: id}, Partition: tp0, LeaderEpoch: -1, Acks: -1, Deadline: s.Mono() + 10*time.Second,
		Batch: batchOf(p), Release: r,
	}, r
}

// flush runs the flush among effects and delivers its result.
func (s *stage) flush(effects []actortest.Effect) []actortest.Effect {
	s.t.Helper()
	f := actortest.Take[*flush](s.t, effects)
	return s.turn(&flushed{task: f.task, err: f.task.Run()})
}

func answers(effects []actortest.Effect) (out []protocol.Produced) {
	for _, m := range actortest.Messages(effects) {
		if p, ok := m.(*protocol.Produced); ok {
			out = append(out, *p)
		}
	}
	return out
}

// One turn is one write, one flush and one view, and the answers leave when the disk has it all.
func TestTurnIsOneWriteAndOneFlush(t *testing.T) {
	s := newStage(t, diskConfig())
	first, r1 := s.message(1, producing{records: 2})
	second, r2 := s.message(2, producing{pid: 9})
	third, r3 := s.message(3, producing{pid: 9, sequence: 1})
	again, r4 := s.message(4, producing{pid: 9, sequence: 1}) // a duplicate within the turn
	silent, r5 := s.message(0, producing{})
	silent.Acks = 0
	effects := s.turn(first, second, third, again, silent)
	for i, r := range []*releases{r1, r2, r3, r4, r5} {
		if r.n.Load() != 1 {
			t.Errorf("buffer %d was released %d times", i+1, r.n.Load())
		}
	}
	if n := s.faults.writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
	task := actortest.Take[*flush](t, effects)
	timer, _ := effects[1].(actortest.TimerSet)
	actortest.Expect(t, effects,
		actortest.Sent{To: hostPID, Msg: &touched{tp: tp0, from: s.Self()}},
		timer,
		actortest.Sent{To: flusherPID, Msg: &flush{task: task.task, from: s.Self()}})
	if timer.After != 10*time.Second {
		t.Errorf("the timer is set to %v", timer.After)
	}
	got := answers(s.flush(effects))
	want := []int64{0, 2, 3, 3}
	if len(got) != len(want) {
		t.Fatalf("%d answers", len(got))
	}
	for i, base := range want {
		if got[i].BaseOffset != base || got[i].ID != uint64(i+1) || got[i].Code != protocol.None || got[i].LeaderEpoch != 3 {
			t.Errorf("answer %d is %+v", i, got[i])
		}
	}
	if v := s.actor.handle.View(); v.HighWatermark != 5 || v.FlushedOffset != 5 {
		t.Errorf("view %+v", v)
	}
}

// What arrives while a flush runs is covered by the next one, which starts when the first has ended: group commit without a timer.
func TestFlushesAreNotBesideEachOther(t *testing.T) {
	s := newStage(t, diskConfig())
	m, _ := s.message(1, producing{})
	first := s.turn(m)
	for id := uint64(2); id < 5; id++ {
		m, _ := s.message(id, producing{})
		if effects := s.turn(m); len(effects) != 0 {
			t.Fatalf("beside a running flush: %#v", effects)
		}
	}
	second := s.flush(first)
	if got := answers(second); len(got) != 1 {
		t.Fatalf("%d answers after the first flush", len(got))
	}
	third := s.flush(second)
	if got := answers(third); len(got) != 3 || len(third) != 3 {
		t.Fatalf("after the second flush: %#v", third)
	}
}

func TestIdlePartitionHasNoTimer(t *testing.T) {
	s := newStage(t, diskConfig())
	if s.Waiting() != 0 {
		t.Fatal("a timer before anything happened")
	}
	m, _ := s.message(1, producing{})
	s.flush(s.turn(m))
	if s.Waiting() != 1 {
		t.Fatalf("%d timers", s.Waiting())
	}
	s.Advance(10 * time.Second)
	actortest.Expect(t, s.EndTurn())
	if s.Waiting() != 0 {
		t.Error("a timer although nothing waits")
	}
}

func TestOneTimerServesTheEarliestDeadline(t *testing.T) {
	s := newStage(t, diskConfig())
	m, _ := s.message(1, producing{})
	s.turn(m)
	await := &protocol.AwaitRecords{Head: protocol.Head{ReplyTo: clientPID, ID: 2}, Partition: tp0, Offset: 0, Deadline: s.Mono() + time.Second}
	s.turn(await)
	if s.Waiting() != 1 {
		t.Fatalf("%d timers", s.Waiting())
	}
	effects := append(s.Advance(time.Second), s.EndTurn()...)
	if got := actortest.Take[*protocol.RecordsReady](t, effects); got.ID != 2 {
		t.Errorf("answered %+v", got)
	}
	effects = append(s.Advance(9*time.Second), s.EndTurn()...)
	if got := answers(effects); len(got) != 1 || got[0].Code != protocol.RequestTimedOut || got[0].BaseOffset != -1 {
		t.Errorf("answered %+v", got)
	}
	if s.Waiting() != 0 {
		t.Error("a timer although nothing waits")
	}
}

// A turn that the disk refuses is undone as a whole: its second batch must not be mistaken for a duplicate later, nor leave a gap.
func TestRefusedTurnIsUndone(t *testing.T) {
	s := newStage(t, diskConfig())
	s.faults.fail(&s.faults.write, errDiskFull)
	a, r1 := s.message(1, producing{pid: 9})
	b, r2 := s.message(2, producing{pid: 9, sequence: 1})
	c, r3 := s.message(3, producing{pid: 9, sequence: 1})
	effects := s.turn(a, b, c)
	if got := answers(effects); len(got) != 3 {
		t.Fatalf("answers %+v", got)
	} else {
		for _, p := range got {
			if p.Code != protocol.KafkaStorageError || p.BaseOffset != -1 || p.LogStartOffset != -1 {
				t.Errorf("answered %+v", p)
			}
		}
	}
	if r1.n.Load() != 1 || r2.n.Load() != 1 || r3.n.Load() != 1 {
		t.Error("a buffer was not released exactly once")
	}
	s.faults.fail(&s.faults.write, nil)
	// The next batch was on its way already. Alone it would leave the first one out for ever.
	early, _ := s.message(6, producing{pid: 9, sequence: 2})
	if got := answers(s.turn(early)); len(got) != 1 || got[0].Code != protocol.OutOfOrderSequence {
		t.Errorf("answers %+v", got)
	}
	b, _ = s.message(5, producing{pid: 9, sequence: 1})
	a, _ = s.message(4, producing{pid: 9})
	if got := answers(s.flush(s.turn(a, b))); len(got) != 2 || got[0].BaseOffset != 0 || got[1].BaseOffset != 1 {
		t.Errorf("answers %+v", got)
	}
}

// A panic between writing and answering forgets nobody, and no buffer is released twice.
func TestPanicForgetsNobody(t *testing.T) {
	s := newStage(t, diskConfig())
	parked, _ := s.message(1, producing{})
	s.turn(parked)
	collected, r := s.message(2, producing{})
	s.Deliver(collected)
	await := &protocol.AwaitRecords{Head: protocol.Head{ReplyTo: clientPID, ID: 3}, Partition: tp0, Offset: 0}
	s.Deliver(await)
	s.actor.Failed(s.Context(), errAny)
	effects := s.Effects()
	if got := answers(effects); len(got) != 2 || got[0].ID != 2 || got[1].ID != 1 || got[0].Code != protocol.KafkaStorageError || got[1].Code != protocol.KafkaStorageError {
		t.Errorf("answers %+v", got)
	}
	actortest.Take[*protocol.RecordsReady](t, effects)
	if r.n.Load() != 1 {
		t.Errorf("the buffer was released %d times", r.n.Load())
	}
}

// Under durability=os nothing waits for the disk, and the disk is not bothered before flushBytesOS or the housekeep.
func TestOSDurabilityDoesNotWaitForTheDisk(t *testing.T) {
	config := osConfig()
	config.SegmentBytes = 1000
	s := newStage(t, config)
	m, _ := s.message(1, producing{})
	effects := s.turn(m)
	if got := answers(effects); len(got) != 1 || got[0].Code != protocol.None {
		t.Fatalf("answers %+v", got)
	}
	for _, e := range effects {
		if sent, ok := e.(actortest.Sent); ok && sent.To.Equal(flusherPID) {
			t.Error("a flush after one batch")
		}
	}
	s.actor.unflushed = flushBytesOS - 1
	m, _ = s.message(1, producing{value: "some more bytes"})
	actortest.Take[*flush](t, s.turn(m))
}

// Under durability=os retention.bytes is applied as soon as a whole segment is too much, and what it drops goes without a flush of
// what stays.
func TestOSDurabilityTrimsWithoutFlushing(t *testing.T) {
	config := osConfig()
	config.Delete, config.SegmentBytes, config.RetentionBytes = true, 1000, 2000
	s := newStage(t, config)
	for range 200 {
		m, _ := s.message(1, producing{value: "some more bytes"})
		effects := s.turn(m)
		for len(effects) > 0 {
			sent, _ := effects[0].(actortest.Sent)
			effects = effects[1:]
			switch msg := sent.Msg.(type) {
			case *flush:
				effects = append(effects, s.turn(&flushed{task: msg.task, err: msg.task.Run()})...)
			case *saveStart:
				effects = append(effects, s.turn(&startSaved{start: msg.start})...)
			}
		}
	}
	if s.actor.log.FlushedOffset() > s.actor.log.StartOffset() {
		t.Errorf("flushed to %d, the log starts at %d", s.actor.log.FlushedOffset(), s.actor.log.StartOffset())
	}
	if size := s.actor.log.Size(); size > 4000 {
		t.Errorf("%d bytes are kept of retention.bytes=2000", size)
	}
	if s.actor.log.StartOffset() == 0 || s.actor.log.EndOffset() != 201 && s.actor.log.EndOffset() != 200 {
		t.Errorf("the log goes from %d to %d", s.actor.log.StartOffset(), s.actor.log.EndOffset())
	}
}

func TestFlushTimeAndMessages(t *testing.T) {
	config := osConfig()
	config.FlushTime, config.FlushMessages = time.Second, 3
	s := newStage(t, config)
	m, _ := s.message(1, producing{})
	s.turn(m)
	effects := append(s.Advance(time.Second), s.EndTurn()...)
	s.flush(effects)
	if s.actor.log.FlushedOffset() != 1 {
		t.Error("flush.ms did not flush")
	}
	m, _ = s.message(2, producing{records: 3})
	s.flush(s.turn(m))
	if s.actor.log.FlushedOffset() != 4 {
		t.Error("flush.messages did not flush")
	}
}

// Producer state is written down only when the log that it describes is on the disk.
func TestSnapshotWaitsForTheFlush(t *testing.T) {
	s := newStage(t, diskConfig())
	s.actor.snapshotBytes = snapshotEvery
	m, _ := s.message(1, producing{pid: 4})
	effects := s.turn(m)
	s.turn(housekeep{})
	if s.Offloads() != 1 {
		t.Fatal("the snapshot is written before the log is durable")
	}
	s.RunOffload() // partition.metadata
	effects = s.flush(effects)
	report := actortest.Take[*positioned](t, effects)
	if report.position.Offset != 0 && report.position.Offset != 1 {
		t.Errorf("reported %+v", report)
	}
	if s.Offloads() != 1 {
		t.Fatalf("%d offloads", s.Offloads())
	}
	s.RunOffload()
	s.EndTurn()
	if got, err := s.actor.log.Snapshots(); err != nil || len(got) != 1 || got[0] != 1 {
		t.Errorf("snapshots %v, %v", got, err)
	}
	for _, e := range s.turn(housekeep{retain: true}) {
		t.Errorf("a walk for retention with nothing to drop led to %+v", e)
	}
}

// How long an idle producer is remembered can be changed while the broker runs.
func TestIdleProducersAreForgottenByTheSettingInForce(t *testing.T) {
	s := newStage(t, diskConfig())
	m, _ := s.message(1, producing{pid: 4})
	s.flush(s.turn(m))
	s.expiry = math.MaxInt64                                 // its batch is of 1970
	s.turn(housekeep{retain: true}, housekeep{retain: true}) // the first only sees that it was in use
	if s.actor.producers.Len() != 1 {
		t.Fatal("forgotten too early")
	}
	s.expiry = time.Hour
	s.turn(housekeep{retain: true})
	if s.actor.producers.Len() != 0 {
		t.Error("still known")
	}
}

// The producers of records that are about to go are in a snapshot before the log start moves: a start could not find them in the log
// any more, and would append a batch sent again a second time. Found by the simulator (swarm seeds 2 and 99).
func TestDeletedRecordsLeaveTheirProducerBehind(t *testing.T) {
	s := newStage(t, diskConfig())
	m, _ := s.message(1, producing{pid: 4})
	s.flush(s.turn(m))
	effects := s.turn(&protocol.DeleteRecords{Head: protocol.Head{ReplyTo: clientPID, ID: 9}, Partition: s.actor.handle.Partition, Before: 1})
	for _, e := range effects {
		if sent, ok := e.(actortest.Sent); ok {
			if _, early := sent.Msg.(*saveStart); early {
				t.Error("the log start is saved before the producers are")
			}
		}
	}
	s.RunOffload()
	save := actortest.Take[*saveStart](t, s.EndTurn())
	if got, err := s.actor.log.Snapshots(); err != nil || len(got) != 1 || got[0] != 1 {
		t.Errorf("snapshots %v, %v", got, err)
	}
	out := actortest.Take[*protocol.RecordsDeleted](t, s.turn(&startSaved{start: save.start}))
	if out.Code != protocol.None || out.LowWatermark != 1 {
		t.Errorf("answered %+v", out)
	}
}

// The log start moves when it is durable and not before. One that could not be written down stays where it was for a DeleteRecords,
// which is refused; retention goes on, for it may be what makes space on the full disk.
func TestLogStartMovesWhenItIsDurable(t *testing.T) {
	full := fmt.Errorf("checkpoint: %w", storage.ErrRefused)
	fill := func(config protocol.LogConfig) (*stage, []actortest.Effect) {
		s := newStage(t, config)
		var effects []actortest.Effect
		for range 4 {
			m, _ := s.message(1, producing{})
			now := s.turn(m)
			effects = append(append(effects, now...), s.flush(now)...)
		}
		return s, effects
	}

	s, _ := fill(diskConfig())
	effects := s.turn(&protocol.DeleteRecords{Head: protocol.Head{ReplyTo: clientPID, ID: 9}, Partition: tp0, Before: 1})
	save := actortest.Take[*saveStart](t, effects)
	out := actortest.Take[*protocol.RecordsDeleted](t, s.turn(&startSaved{start: save.start, err: full}))
	if save.start != 1 || out.Code != protocol.KafkaStorageError || s.actor.log.StartOffset() != 0 {
		t.Errorf("refused with %+v, the log starts at %d", out, s.actor.log.StartOffset())
	}

	config := diskConfig()
	config.Delete, config.SegmentBytes, config.RetentionBytes = true, 100, 100
	s, effects = fill(config)
	save = actortest.Take[*saveStart](t, effects)
	if s.actor.log.StartOffset() != 0 {
		t.Errorf("the log starts at %d", s.actor.log.StartOffset())
	}
	s.turn(&startSaved{start: save.start, err: full})
	if s.actor.log.StartOffset() != save.start {
		t.Errorf("the log starts at %d, retention wanted %d", s.actor.log.StartOffset(), save.start)
	}
}

func TestFullDiskAtFlushIsTriedAgain(t *testing.T) {
	s := newStage(t, diskConfig())
	m, _ := s.message(1, producing{})
	f := actortest.Take[*flush](t, s.turn(m))
	effects := s.turn(&flushed{task: f.task, err: storage.ErrRefused})
	if got := answers(effects); len(got) != 0 {
		t.Fatalf("answered %+v", got)
	}
	effects = append(s.Advance(flushRetry), s.EndTurn()...)
	if got := answers(s.flush(effects)); len(got) != 1 || got[0].Code != protocol.None {
		t.Errorf("answered %+v", got)
	}
}

func TestFlushErrorStopsTheActor(t *testing.T) {
	s := newStage(t, diskConfig())
	m, _ := s.message(1, producing{})
	f := actortest.Take[*flush](t, s.turn(m))
	late, r := s.message(2, producing{})
	s.Deliver(late)
	effects := s.turn(&flushed{task: f.task, err: errDiskBroken})
	if got := answers(effects); len(got) != 2 || got[0].Code != protocol.KafkaStorageError || got[1].Code != protocol.KafkaStorageError {
		t.Errorf("answers %+v", got)
	}
	if r.n.Load() != 1 {
		t.Errorf("the buffer was released %d times", r.n.Load())
	}
	if last := effects[len(effects)-1]; last != (actortest.Stopped{PID: s.Self()}) {
		t.Errorf("last effect %#v", last)
	}
	m, r = s.message(3, producing{})
	if got := answers(s.turn(m)); len(got) != 1 || got[0].Code != protocol.KafkaStorageError || r.n.Load() != 1 {
		t.Errorf("afterwards %+v", got)
	}
}

// Many batches of one turn are one write as long as they are few enough bytes.
func TestLargeTurnIsWrittenInParts(t *testing.T) {
	config := diskConfig()
	config.SegmentBytes = 1 << 30
	s := newStage(t, config)
	value := string(make([]byte, 1<<19))
	var msgs []any
	for id := uint64(1); id <= 20; id++ {
		m, _ := s.message(id, producing{value: value})
		msgs = append(msgs, m)
	}
	effects := s.turn(msgs...)
	if n := s.faults.writes.Load(); n != 2 {
		t.Errorf("%d writes for 10 MiB", n)
	}
	if got := answers(s.flush(effects)); len(got) != 20 {
		t.Errorf("%d answers", len(got))
	}
}
