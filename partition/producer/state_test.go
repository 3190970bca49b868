package producer

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// log drives a State as a partition does: every accepted batch takes the next offsets.
type log struct {
	*State
	end int64
}

func newLog() *log { return &log{State: NewState(Config{})} }

// send checks a batch of n records and applies it if it is to be appended.
func (l *log) send(id protocol.ProducerID, epoch protocol.ProducerEpoch, seq, n int32, txn bool) Verdict {
	h := Header{id, epoch, seq, record.AddSequence(seq, n-1), txn}
	v := l.Check(h)
	if v.Append() {
		l.Apply(h, l.end, l.end+int64(n)-1, 1000+l.end)
		l.end += int64(n)
		l.Commit()
	}
	return v
}

func (l *log) finish(m Marker) (Completed, bool, protocol.Fault) { return l.finishAs(m, 1) }

func (l *log) finishAs(m Marker, version int16) (Completed, bool, protocol.Fault) {
	if f := l.CheckMarker(m, version); f.Failed() {
		return Completed{}, false, f
	}
	c, ok := l.ApplyMarker(m, l.end, 1000+l.end)
	l.end++
	l.Commit()
	return c, ok, protocol.Fault{}
}

// Found by the simulator (swarm seed 1591): the first batch of a producer met a full disk, the second fitted, and the first was then taken
// for a duplicate from before the window.
func TestRefusedFirstBatchIsExpected(t *testing.T) {
	l := newLog()
	first := Header{7, 0, 0, 4, false}
	if v := l.Check(first); !v.Append() {
		t.Fatalf("%+v", v)
	}
	l.Expect(first, 1000)
	if v := l.send(7, 0, 5, 5, false); v.Code != protocol.OutOfOrderSequence {
		t.Errorf("the second batch without the first: %+v", v)
	}
	if v := l.send(7, 0, 0, 5, false); !v.Append() {
		t.Errorf("the first batch again: %+v", v)
	}
	if v := l.send(7, 0, 5, 5, false); !v.Append() {
		t.Errorf("the second batch again: %+v", v)
	}
	if s, err := Restore(Config{}, l.Snapshot()); err != nil || !s.Equal(l.State) {
		t.Errorf("snapshot: %v", err)
	}
}

func TestRulesForOneBatch(t *testing.T) {
	type step struct {
		epoch protocol.ProducerEpoch
		seq   int32
		n     int32
		want  protocol.Code // None: appended
		dup   int64         // or the offset of the first time, +1
	}
	const last = math.MaxInt32
	for name, steps := range map[string][]step{
		"unknown producer, any sequence":   {{3, 500, 10, 0, 0}, {3, 510, 1, 0, 0}},
		"a gap":                            {{0, 0, 5, 0, 0}, {0, 6, 1, protocol.OutOfOrderSequence, 0}},
		"an overlap":                       {{0, 0, 5, 0, 0}, {0, 4, 3, protocol.OutOfOrderSequence, 0}},
		"part of a batch again":            {{0, 0, 5, 0, 0}, {0, 0, 4, protocol.OutOfOrderSequence, 0}},
		"the last batch again":             {{0, 0, 5, 0, 0}, {0, 0, 5, 0, 1}},
		"the fifth last again":             {{0, 0, 2, 0, 0}, {0, 2, 2, 0, 0}, {0, 4, 2, 0, 0}, {0, 6, 2, 0, 0}, {0, 8, 2, 0, 0}, {0, 0, 2, 0, 1}, {0, 4, 2, 0, 5}},
		"the sixth last again":             {{0, 0, 2, 0, 0}, {0, 2, 2, 0, 0}, {0, 4, 2, 0, 0}, {0, 6, 2, 0, 0}, {0, 8, 2, 0, 0}, {0, 10, 2, 0, 0}, {0, 0, 2, protocol.DuplicateSequence, 0}},
		"half of the sixth last":           {{0, 0, 2, 0, 0}, {0, 2, 2, 0, 0}, {0, 4, 2, 0, 0}, {0, 6, 2, 0, 0}, {0, 8, 2, 0, 0}, {0, 10, 2, 0, 0}, {0, 1, 2, protocol.OutOfOrderSequence, 0}},
		"older epoch":                      {{5, 0, 1, 0, 0}, {4, 1, 1, protocol.InvalidProducerEpoch, 0}},
		"older epoch, known sequence":      {{5, 0, 1, 0, 0}, {4, 0, 1, protocol.InvalidProducerEpoch, 0}},
		"newer epoch from 0":               {{5, 7, 1, 0, 0}, {6, 0, 1, 0, 0}, {6, 1, 1, 0, 0}, {5, 8, 1, protocol.InvalidProducerEpoch, 0}},
		"newer epoch from elsewhere":       {{5, 7, 1, 0, 0}, {6, 8, 1, protocol.OutOfOrderSequence, 0}, {6, 0, 1, 0, 0}},
		"newer epoch forgets the window":   {{5, 0, 1, 0, 0}, {6, 0, 1, 0, 0}, {6, 0, 1, 0, 2}},
		"wrap between batches":             {{0, last - 1, 2, 0, 0}, {0, 0, 1, 0, 0}, {0, 1, 1, 0, 0}},
		"wrap within a batch":              {{0, last - 1, 4, 0, 0}, {0, 2, 1, 0, 0}, {0, last - 1, 4, 0, 1}},
		"wrap and the window":              {{0, last, 1, 0, 0}, {0, 0, 1, 0, 0}, {0, 1, 1, 0, 0}, {0, 2, 1, 0, 0}, {0, 3, 1, 0, 0}, {0, 4, 1, 0, 0}, {0, last, 1, protocol.DuplicateSequence, 0}, {0, last - 9, 3, protocol.DuplicateSequence, 0}},
		"wrap too far":                     {{0, last, 1, 0, 0}, {0, 1, 1, protocol.OutOfOrderSequence, 0}},
		"far ahead is a gap, not the past": {{0, 0, 1, 0, 0}, {0, 1<<30 - 1, 1, protocol.OutOfOrderSequence, 0}},
		"nobody":                           {{0, 0, 1, 0, 0}, {0, 1, 1, 0, 0}},
		"the largest batch at the wrap":    {{0, last, 1000, 0, 0}, {0, 999, 1, 0, 0}},
		"refusals change nothing":          {{1, 0, 1, 0, 0}, {1, 5, 1, protocol.OutOfOrderSequence, 0}, {3, 5, 1, protocol.OutOfOrderSequence, 0}, {0, 1, 1, protocol.InvalidProducerEpoch, 0}, {1, 1, 1, 0, 0}},
		"duplicates change nothing":        {{1, 0, 1, 0, 0}, {1, 0, 1, 0, 1}, {1, 0, 1, 0, 1}, {1, 1, 1, 0, 0}, {1, 0, 1, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog()
			for i, s := range steps {
				v := l.send(42, s.epoch, s.seq, s.n, false)
				if v.Code != s.want || v.Duplicate != (s.dup > 0) || v.Duplicate && (v.BaseOffset != s.dup-1 || v.Timestamp != 1000+s.dup-1) {
					t.Fatalf("step %d: %+v, want %+v", i, v, s)
				}
				if v.Failed() && v.Reason == "" {
					t.Error("a refusal without a reason")
				}
			}
		})
	}
}

func TestNobodyLeavesNoTrace(t *testing.T) {
	l := newLog()
	for range 3 {
		if v := l.send(protocol.NoProducerID, 0, 0, 1, false); !v.Append() {
			t.Error(v)
		}
	}
	if l.Len() != 0 {
		t.Error("producer -1 is nobody")
	}
}

func TestProducersDoNotShareState(t *testing.T) {
	l := newLog()
	l.send(1, 0, 0, 5, false)
	l.send(2, 0, 0, 3, false)
	if v := l.send(2, 0, 0, 5, false); v.Duplicate {
		t.Error("the batch of another producer is no duplicate")
	}
	if v := l.send(1, 0, 5, 1, false); !v.Append() {
		t.Error(v)
	}
}

func TestTransactions(t *testing.T) {
	l := newLog()
	l.send(9, 0, 0, 10, false) // 0-9, not transactional
	l.send(1, 0, 0, 2, true)   // 10-11
	l.send(2, 3, 0, 2, true)   // 12-13
	l.send(1, 0, 2, 1, true)   // 14
	if got := l.LSO(15); got != 10 || l.Begins(Header{1, 0, 9, 9, true}) || !l.Begins(Header{1, 1, 0, 0, true}) || !l.Begins(Header{9, 0, 0, 0, true}) || l.OpenTransactions() != 2 {
		t.Errorf("LSO %d", got)
	}
	if v := l.send(1, 0, 3, 1, false); v.Code != protocol.InvalidTxnState {
		t.Errorf("a batch outside of its producer's open transaction: %+v", v)
	}
	c, ok, _ := l.finish(Marker{1, 0, false, 4}) // 15: abort
	if want := (Completed{1, 10, 15, true, 12}); !ok || c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if got := l.LSO(15); got != 10 { // the marker is not committed
		t.Errorf("LSO %d", got)
	}
	if got := l.LSO(16); got != 12 {
		t.Errorf("LSO %d", got)
	}
	if v := l.send(1, 0, 3, 1, false); !v.Append() { // 16
		t.Errorf("a marker does not touch sequences: %+v", v)
	}
	c, ok, _ = l.finish(Marker{2, 3, true, 4}) // 17: commit
	if want := (Completed{2, 12, 17, false, 18}); !ok || c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if got := l.LSO(18); got != 18 {
		t.Errorf("LSO %d", got)
	}
	if _, ok, f := l.finish(Marker{2, 3, true, 4}); ok || f.Failed() {
		t.Errorf("a marker again ends nothing: %v %v", ok, f)
	}
}

func TestMarkersFence(t *testing.T) {
	l := newLog()
	l.send(1, 5, 0, 1, true)
	if _, _, f := l.finish(Marker{1, 4, true, 1}); f.Code != protocol.InvalidProducerEpoch {
		t.Error(f)
	}
	if _, ok, f := l.finish(Marker{1, 6, false, 7}); !ok || f.Failed() { // a coordinator that times the transaction out bumps the epoch
		t.Error(f)
	}
	if v := l.send(1, 5, 1, 1, true); v.Code != protocol.InvalidProducerEpoch {
		t.Errorf("the fenced producer goes on: %+v", v)
	}
	if v := l.send(1, 6, 1, 1, true); v.Code != protocol.OutOfOrderSequence {
		t.Errorf("the epoch a marker began starts at sequence 0: %+v", v)
	}
	if v := l.send(1, 6, 0, 1, true); !v.Append() {
		t.Error(v)
	}
	if _, _, f := l.finish(Marker{1, 6, true, 6}); f.Code != protocol.TxnCoordinatorFenced {
		t.Error(f)
	}
	if _, ok, f := l.finish(Marker{1, 6, true, 7}); !ok || f.Failed() {
		t.Error(f)
	}
	if _, ok, f := l.finish(Marker{77, 0, true, 1}); ok || f.Failed() {
		t.Errorf("a marker for an unknown producer is taken: %v", f)
	}
}

// Transactions that become stable in another order than they began.
func TestLSOWithDecidedTransactions(t *testing.T) {
	l := newLog()
	l.send(1, 0, 0, 1, true)        // 0
	l.send(2, 0, 0, 1, true)        // 1
	l.send(3, 0, 0, 1, true)        // 2
	l.finish(Marker{3, 0, true, 0}) // 3: 2-3
	l.finish(Marker{2, 0, true, 0}) // 4: 1-4 hides 2-3
	l.send(4, 0, 0, 1, true)        // 5
	l.finish(Marker{1, 0, true, 0}) // 6: 0-6 hides both
	for hw, want := range []int64{0, 0, 0, 0, 0, 0, 0, 5, 5} {
		if got := l.LSO(int64(hw)); got != want {
			t.Errorf("LSO(%d) = %d, want %d", hw, got, want)
		}
	}
	l.finish(Marker{4, 0, true, 0}) // 7
	if got := l.LSO(7); got != 5 {
		t.Errorf("LSO(7) = %d", got)
	}
	if got := l.LSO(8); got != 8 {
		t.Errorf("LSO(8) = %d", got)
	}
}

func TestCoordinatorBatchesHaveNoSequence(t *testing.T) {
	l := newLog()
	h := Header{5, 1, record.NoSequence, record.NoSequence, true}
	for range 3 {
		if v := l.Check(h); !v.Append() {
			t.Fatal(v)
		}
		l.Apply(h, l.end, l.end, 1)
		l.end++
	}
	l.Commit()
	h.Epoch = 0
	if v := l.Check(h); v.Code != protocol.InvalidProducerEpoch {
		t.Error(v)
	}
	if l.LSO(3) != 0 {
		t.Error("its transaction is open")
	}
}

// A batch of transaction version 2 is the first of its epoch; an unknown producer may otherwise begin anywhere.
func TestFirstBatchOfABumpedEpoch(t *testing.T) {
	l := newLog()
	late := Header{1, 3, 5, 9, true}
	if v := l.CheckFirst(late, false); !v.Append() {
		t.Errorf("its state may have expired: %+v", v)
	}
	if v := l.CheckFirst(late, true); v.Code != protocol.OutOfOrderSequence {
		t.Errorf("a new epoch begins at 0: %+v", v)
	}
	if v := l.CheckFirst(Header{1, 3, 0, 4, true}, true); !v.Append() {
		t.Errorf("%+v", v)
	}
}

// What was refused must come first, whatever its sequence, and is forgotten with the snapshot, which has no room for it.
func TestRefusedBatchOfAnExpiredProducerIsExpected(t *testing.T) {
	l := newLog()
	first := Header{7, 0, 40, 44, true}
	l.Expect(first, 1000)
	if v := l.Check(Header{7, 0, 45, 49, true}); v.Code != protocol.OutOfOrderSequence {
		t.Errorf("the next batch without the first: %+v", v)
	}
	restored, err := Restore(Config{}, l.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if v := restored.Check(first); !v.Append() {
		t.Errorf("the first batch after a restart: %+v", v)
	}
	if v := l.Check(first); !v.Append() {
		t.Errorf("the first batch again: %+v", v)
	}
	if v := l.Check(Header{7, 1, 0, 0, true}); !v.Append() {
		t.Errorf("another epoch begins at 0: %+v", v)
	}
}

// KIP-1228: the marker of a transaction of version 2 has the next epoch. A late one of the transaction before has the epoch of the
// records it must not end; one that comes twice ends nothing.
func TestMarkerOfABumpedEpoch(t *testing.T) {
	l := newLog()
	l.send(1, 4, 0, 1, true)
	if f := l.CheckMarker(Marker{1, 4, true, 0}, 2); f.Code != protocol.InvalidProducerEpoch {
		t.Errorf("the epoch of the records: %+v", f)
	}
	if f := l.CheckMarker(Marker{1, 4, true, 0}, 1); f.Failed() {
		t.Errorf("version 1: %+v", f)
	}
	end := Marker{1, 5, true, 0}
	if _, ended, f := l.finishAs(end, 2); !ended || f.Failed() {
		t.Errorf("%+v", f)
	}
	if _, ended, f := l.finishAs(end, 2); ended || f.Failed() {
		t.Errorf("the same marker again: %+v", f)
	}
	l.send(1, 5, 0, 1, true)
	if f := l.CheckMarker(end, 2); f.Code != protocol.InvalidProducerEpoch {
		t.Errorf("and once more, in the next transaction: %+v", f)
	}
	l.send(2, 32767, 0, 1, true)
	if f := l.CheckMarker(Marker{2, 32767, false, 0}, 2); f.Failed() {
		t.Errorf("there is no epoch after the last: %+v", f)
	}
}

func TestMarkersOfUnknownProducersAreBounded(t *testing.T) {
	l := &log{State: NewState(Config{MaxProducers: 4})}
	l.send(1, 0, 0, 1, true)
	for id := range protocol.ProducerID(1000) {
		g := l.Guard(100 + id)
		if _, ended, f := l.finish(Marker{100 + id, 3, false, 0}); ended || f.Failed() {
			t.Fatalf("%+v", f)
		}
		if l.Guard(100+id) == g {
			t.Fatalf("producer %d: the marker is not seen by who asks meanwhile", 100+id)
		}
	}
	if l.Len() != 4 {
		t.Errorf("%d producers", l.Len())
	}
	if c, ended, f := l.finish(Marker{1, 0, true, 0}); !ended || f.Failed() || c.First != 0 {
		t.Errorf("one that is known: %+v, %+v", c, f)
	}
}

func TestGuardChangesWithMarkers(t *testing.T) {
	l := newLog()
	g := l.Guard(1)
	l.send(2, 0, 0, 1, true)
	l.finish(Marker{2, 0, true, 0})
	if l.Guard(1) != g {
		t.Error("another producer's marker")
	}
	l.send(1, 0, 0, 1, true)
	if l.Guard(1) != g {
		t.Error("data is no marker")
	}
	l.finish(Marker{1, 0, true, 0})
	again := l.Guard(1)
	l.finish(Marker{1, 0, true, 0})
	if again == g || l.Guard(1) == again {
		t.Error("every marker changes the guard")
	}
}

func TestExpiry(t *testing.T) {
	s := NewState(Config{})
	hour := time.Hour.Milliseconds()
	s.Apply(Header{1, 0, 0, 0, false}, 0, 0, 0)
	s.Apply(Header{2, 0, 0, 0, true}, 1, 1, 0)
	s.Apply(Header{3, 0, 0, 0, false}, 2, 2, hour)
	s.Commit()
	if n := s.Expire(10*hour, time.Hour); n != 0 || s.Len() != 3 {
		t.Errorf("%d expired though they were used since the last time", n)
	}
	if n := s.Expire(hour-1, time.Hour); n != 0 {
		t.Errorf("%d expired too early", n)
	}
	if n := s.Expire(hour, time.Hour); n != 1 || s.Len() != 2 {
		t.Errorf("%d expired; 1 is due", n)
	}
	if v := s.Check(Header{1, 0, 7, 7, false}); !v.Append() {
		t.Errorf("an expired producer is unknown: %+v", v)
	}
	if n := s.Expire(100*hour, time.Hour); n != 1 || s.Len() != 1 || s.Begins(Header{2, 0, 1, 1, true}) {
		t.Errorf("%d expired; 3 is due and 2 has a transaction open", n)
	}
	s.ApplyMarker(Marker{2, 0, true, 0}, 3, 100*hour)
	s.Commit()
	s.Expire(100*hour, time.Hour)
	if n := s.Expire(101*hour-1, time.Hour); n != 0 {
		t.Error("a marker is a sign of life") // KAFKA-9144
	}
	if n := s.Expire(101*hour, time.Hour); n != 1 || s.Len() != 0 {
		t.Error("but no more than that")
	}
}

func TestBoundOnProducers(t *testing.T) {
	s := NewState(Config{MaxProducers: 8})
	for id := range protocol.ProducerID(8) {
		h := Header{id, 0, 0, 0, false}
		if v := s.Check(h); !v.Append() {
			t.Fatal(v)
		}
		s.Apply(h, int64(id), int64(id), 0)
	}
	s.Commit()
	if v := s.Check(Header{8, 0, 0, 0, false}); v.Code != protocol.ThrottlingQuotaExceeded || !v.Code.Retriable() {
		t.Error(v)
	}
	if v := s.Check(Header{7, 0, 1, 1, false}); !v.Append() {
		t.Errorf("who is known goes on: %+v", v)
	}
	s.Expire(0, 24*time.Hour)
	if n := s.Expire(PressureExpireAfter.Milliseconds(), 24*time.Hour); n != 8 {
		t.Errorf("under pressure expiry is less patient: %d", n)
	}
}

func TestRollback(t *testing.T) {
	l := newLog()
	l.send(1, 0, 0, 2, true)
	l.send(2, 0, 0, 2, true)
	l.send(3, 0, 0, 1, true)
	l.finish(Marker{3, 0, true, 0})
	before := l.Snapshot()
	l.Apply(Header{1, 0, 2, 4, true}, 6, 8, 50)
	if v := l.Check(Header{1, 0, 5, 5, true}); !v.Append() {
		t.Errorf("the second batch of a turn follows the first: %+v", v)
	}
	l.Apply(Header{1, 0, 5, 5, true}, 9, 9, 50)
	l.Apply(Header{4, 0, 0, 0, true}, 10, 10, 50)
	l.ApplyMarker(Marker{1, 0, false, 3}, 11, 50)
	l.Apply(Header{1, 0, 6, 6, true}, 12, 12, 50)
	l.ApplyMarker(Marker{2, 1, true, 3}, 13, 50)
	l.ApplyMarker(Marker{5, 1, true, 3}, 14, 50)
	l.Rollback()
	if string(l.Snapshot()) != string(before) || l.Len() != 3 {
		t.Error("something was left behind")
	}
	if v := l.send(1, 0, 2, 1, true); !v.Append() {
		t.Error(v)
	}
}

func TestHeaderOf(t *testing.T) {
	b := record.NewBuilder(record.Options{ProducerID: 6, Epoch: 2, BaseSequence: math.MaxInt32, Transactional: true})
	b.Append(1, nil, nil, nil)
	b.Append(1, nil, nil, nil)
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := HeaderOf(batch), (Header{6, 2, math.MaxInt32, 0, true}); got != want {
		t.Errorf("%+v", got)
	}
}

func TestReplayReadsBatches(t *testing.T) {
	live, replayed := newLog(), NewState(Config{})
	var batches []record.Batch
	for i := range int32(3) {
		b := record.NewBuilder(record.Options{ProducerID: 6, Epoch: 2, BaseSequence: i * 2, Transactional: true})
		b.Append(1000+live.end, nil, nil, nil)
		b.Append(1000+live.end, nil, nil, nil)
		batch, _ := b.Build()
		batch.SetBaseOffset(live.end)
		live.send(6, 2, i*2, 2, true)
		batches = append(batches, batch)
	}
	marker := record.EndTxnMarker(6, 2, false, 9, 1000+live.end)
	marker.SetBaseOffset(live.end)
	want, _, _ := live.finish(Marker{6, 2, false, 9})
	for _, b := range batches {
		if _, ok := replayed.Replay(b); ok {
			t.Error("data completes nothing")
		}
	}
	if got, ok := replayed.Replay(marker); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	replayed.Commit()
	if !replayed.Equal(live.State) {
		t.Errorf("%+v, want %+v", replayed.Describe(), live.Describe())
	}
}

func TestDescribe(t *testing.T) {
	l := newLog()
	l.send(7, 1, 3, 4, false)
	l.send(5, 0, 0, 1, true)
	l.finish(Marker{6, 2, true, 9})
	want := []protocol.ProducerInfo{
		{ProducerID: 5, LastSequence: 0, LastTimestamp: 1004, CoordinatorEpoch: -1, TxnStartOffset: 4},
		{ProducerID: 6, ProducerEpoch: 2, LastSequence: -1, LastTimestamp: 1005, CoordinatorEpoch: 9, TxnStartOffset: -1},
		{ProducerID: 7, ProducerEpoch: 1, LastSequence: 6, LastTimestamp: 1000, CoordinatorEpoch: -1, TxnStartOffset: -1},
	}
	if got := l.Describe(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func BenchmarkCheckAndApply(b *testing.B) {
	s := NewState(Config{})
	const producers = 1000
	var at [producers]int32
	b.ReportAllocs()
	offset := int64(0)
	for i := 0; b.Loop(); i++ {
		id := i % producers
		h := Header{protocol.ProducerID(id), 0, at[id], record.AddSequence(at[id], 9), false}
		if v := s.Check(h); !v.Append() {
			b.Fatal(v)
		}
		s.Apply(h, offset, offset+9, offset)
		at[id] = record.AddSequence(at[id], 10)
		offset += 10
		if i%64 == 63 {
			s.Commit()
		}
	}
}

// After a power loss under durability=os an open transaction may be over: the next batch is asked about, further ones are not.
func TestDistrustedTransactionIsAskedAboutOnce(t *testing.T) {
	l := newLog()
	h := Header{1, 3, 0, 0, true}
	l.Apply(h, 0, 0, 1)
	next := Header{1, 3, 1, 1, true}
	if l.Begins(next) {
		t.Fatal("an open transaction is asked about")
	}
	l.Distrust()
	if !l.Begins(next) || l.Begins(Header{1, 3, 1, 1, false}) {
		t.Fatal("a distrusted one is not, or a batch of none is")
	}
	l.Apply(next, 1, 1, 1)
	if l.Begins(Header{1, 3, 2, 2, true}) {
		t.Error("asked about twice")
	}
	l.Distrust()
	l.ApplyMarker(Marker{1, 3, true, 1}, 2, 1)
	l.Apply(Header{1, 3, 2, 2, true}, 3, 3, 1)
	if l.Begins(Header{1, 3, 3, 3, true}) {
		t.Error("the transaction after it is distrusted")
	}
}
