package compaction

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// life is a log that is appended to, compacted and crashed, with everything that was ever appended beside it.
type life struct {
	t      *testing.T
	w      *sim.World
	rng    *sim.Stream
	host   *sim.Host
	p      *sim.Process
	config protocol.LogConfig

	log        *storage.Log
	producers  *producer.State
	all        []record.Batch // as appended
	floor      int64          // flushed
	checkpoint *storage.Position
	saved      int64 // log start
	cleaned    int64 // the cleaner's checkpoint
	now        int64 // milliseconds

	sequences map[int64]int32 // next one of each producer
	open      map[int64]bool  // transactions
	value     int
	// seenAt is when the first round began after a tombstone was appended, by offset.
	seenAt map[int64]int64
	begun  int // rounds
	rounds int
	gone   int // tombstones
}

const dir = "AAAAAAAAAAAAAAAAAAAAAQ-0"

func newLife(t *testing.T, seed uint64) *life {
	w := sim.NewWorld(seed, nil)
	l := &life{t: t, w: w, rng: w.Stream("compaction"), host: w.NewHost("n0"), now: 1_700_000_000_000, cleaned: -1, seenAt: map[int64]int64{}}
	l.config = protocol.LogConfig{
		Compact: true, Delete: true, RetentionTime: -1, RetentionBytes: -1, SegmentBytes: l.rng.Between(300, 3000), SegmentTime: time.Hour,
		IndexIntervalBytes: int32(l.rng.Between(0, 600)), MaxMessageBytes: 1 << 20, DeleteRetention: time.Duration(l.rng.Between(0, 60)) * time.Second,
	}
	return l
}

// boot opens the log and brings back the producers, as a node does. False if the process died over it.
func (l *life) boot(crashIn int) bool {
	l.p = l.host.Boot()
	if crashIn > 0 {
		l.host.Disk.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Skip: crashIn, Times: 1, Effect: []sim.Effect{sim.CrashBefore, sim.CrashAfter}[l.rng.IntN(2)]})
	}
	files, err := l.p.Env().OpenFS("logs")
	if err != nil {
		return l.excuse(err)
	}
	o := storage.Options{Dir: dir, Config: l.config, FS: files, Files: storage.NewFiles(files, 4), Checkpoint: l.checkpoint, StartOffset: l.saved}
	var found storage.Recovered
	if _, err := files.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if l.floor > 0 {
			l.t.Fatalf("the log is gone: %v", err)
		}
		l.checkpoint, l.saved, o.Checkpoint, o.StartOffset = nil, 0, nil, 0
		l.log, err = storage.Create(o)
		if err != nil {
			return l.excuse(err)
		}
	} else if l.log, found, err = storage.Open(o); err != nil {
		return l.excuse(err)
	}
	end := l.log.EndOffset()
	if end < l.floor {
		l.t.Fatalf("the log ends at %d, %d was flushed: %+v", end, l.floor, found)
	}
	for len(l.all) > 0 && l.all[len(l.all)-1].NextOffset() > end {
		l.all = l.all[:len(l.all)-1]
	}
	if n := len(l.all); n > 0 && l.all[n-1].NextOffset() != end {
		l.t.Fatalf("the log ends at %d, within or behind the batch up to %d", end, l.all[n-1].NextOffset())
	}
	if err := l.restore(found.AbortedFrom); err != nil {
		return l.excuse(err)
	}
	l.sequences, l.open = map[int64]int32{}, map[int64]bool{}
	for _, b := range l.all {
		l.note(b)
	}
	return l.check("after a start")
}

func (l *life) excuse(err error) bool {
	if err != nil && !l.p.Dead() {
		l.t.Fatalf("without a fault: %v", err)
	}
	return err == nil
}

// replayed is the state after the log from the newest snapshot at or below upTo, and the transactions aborted at or after from.
func (l *life) replayed(upTo, from int64) (*producer.State, []storage.AbortedTxn, error) {
	s, at := producer.NewState(producer.Config{}), int64(-1)
	offsets, err := l.log.Snapshots()
	if err != nil {
		return nil, nil, err
	}
	for _, offset := range slices.Backward(offsets) {
		if offset <= upTo {
			data, err := l.log.ReadSnapshot(offset)
			if err == nil {
				s, err = producer.Restore(producer.Config{}, data)
			}
			if err != nil {
				return nil, nil, err
			}
			at = offset
			break
		}
	}
	var aborted []storage.AbortedTxn
	err = l.log.View().EachBatch(max(at, l.log.StartOffset()), l.log.EndOffset(), nil, func(b record.Batch) error {
		if c, ok := s.Replay(b); ok && c.Aborted && c.Last >= from {
			aborted = append(aborted, storage.AbortedTxn{ProducerID: int64(c.ProducerID), FirstOffset: c.First, LastOffset: c.Last, LastStableOffset: c.LastStableOffset})
		}
		s.Commit()
		return nil
	})
	return s, aborted, err
}

func (l *life) restore(abortedFrom int64) (err error) {
	if l.producers, _, err = l.replayed(math.MaxInt64, math.MaxInt64); err != nil {
		return err
	}
	if abortedFrom < l.log.EndOffset() {
		_, aborted, err := l.replayed(abortedFrom, abortedFrom)
		if err != nil {
			return err
		}
		return l.log.RebuildAborted(abortedFrom, aborted)
	}
	return nil
}

func (l *life) note(b record.Batch) {
	switch id := b.ProducerID(); {
	case id < 0:
	case b.IsControl():
		l.open[id] = false
	default:
		l.sequences[id] = record.AddSequence(b.LastSequence(), 1)
		l.open[id] = l.open[id] || b.IsTransactional()
	}
}

// append adds one batch of one of the kinds there are: plain, idempotent (producers 1-2), transactional (3-6), markers.
func (l *life) append() error {
	id := int64(l.rng.IntN(7))
	if id >= 3 && l.open[id] && l.rng.Chance(0.35) {
		return l.write(record.EndTxnMarker(id, 0, l.rng.Chance(0.5), 1, l.now))
	}
	o := record.Options{Codec: record.Codec(l.rng.IntN(5)), BaseTimestamp: l.now}
	if id > 0 {
		o.Idempotent, o.ProducerID, o.BaseSequence, o.Transactional = true, id, l.sequences[id], id >= 3
	}
	b := record.NewBuilder(o)
	for range 1 + l.rng.IntN(5) {
		l.value++
		value := fmt.Appendf(nil, "%d-%0*d", l.value, l.rng.IntN(100), 0)
		if l.rng.Chance(0.2) {
			value = nil
		}
		headers := []record.Header{{Key: "h", Value: []byte("x")}}[:l.rng.IntN(2)]
		b.Append(l.now+int64(l.rng.IntN(50)), fmt.Appendf(nil, "k%d", l.rng.IntN(9)), value, headers)
	}
	batch, err := b.Build()
	if err != nil {
		return err
	}
	if l.rng.Chance(0.1) {
		batch.SetLogAppendTime(l.now)
	}
	return l.write(batch)
}

func (l *life) write(b record.Batch) error {
	b.SetBaseOffset(l.log.EndOffset())
	b.SetLeaderEpoch(0)
	kept := slices.Clone(b)
	l.all = append(l.all, kept) // if the append fails: perhaps
	if err := l.log.Append([]record.Batch{b}); err != nil {
		return err
	}
	l.note(kept)
	c, ok := l.producers.Replay(kept)
	l.producers.Commit()
	if ok && c.Aborted {
		return l.log.AppendAborted(storage.AbortedTxn{ProducerID: int64(c.ProducerID), FirstOffset: c.First, LastOffset: c.Last, LastStableOffset: c.LastStableOffset})
	}
	return nil
}

func (l *life) flush() error {
	task := l.log.FlushTask()
	if task == nil {
		return nil
	}
	if err := l.log.Flushed(task, task.Run()); err != nil {
		return err
	}
	l.floor = l.log.FlushedOffset()
	return nil
}

// snapshot writes down the producers, which compaction waits for.
func (l *life) snapshot() error {
	if err := l.flush(); err != nil {
		return err
	}
	return l.log.WriteSnapshot(l.log.EndOffset(), l.producers.Snapshot())
}

// compact plays a round, between whose steps other things happen, or part of one.
func (l *life) compact() error {
	v := l.log.View()
	segments, err := v.Segments(true)
	if err != nil {
		return err
	}
	hw := l.log.EndOffset()
	plan := PlanOf(segments, Bounds{
		Start: v.StartOffset(), End: v.EndOffset(), Checkpoint: l.cleaned, LastStable: l.producers.LSO(hw), HighWatermark: hw, Replaceable: l.log.Replaceable(),
	}, &l.config, l.now)
	if plan.DirtyBytes == 0 {
		return nil
	}
	r, err := NewRound(Options{View: v, Plan: plan, Config: &l.config, Now: l.now, Producers: l.producers.Lasts(), MapBytes: 1 << 20})
	if err != nil {
		return err
	}
	if l.rng.Chance(0.3) {
		r.keys.max, r.keys.factor = 4, 0.9
	}
	l.begun++
	began := map[int64]int64{}
	for _, b := range l.all {
		_ = b.Each(nil, func(x record.Record) error {
			if x.Value == nil {
				began[x.Offset] = l.now
			}
			return nil
		})
	}
	for offset, at := range began {
		if _, ok := l.seenAt[offset]; !ok {
			l.seenAt[offset] = at
		}
	}
	for {
		replacement, done, err := r.Step(int(l.rng.Between(1, 2000)))
		if err == nil && replacement != nil {
			if err = l.snapshot(); err == nil {
				err = l.log.Replace(replacement)
			}
			if errors.Is(err, storage.ErrStale) {
				replacement.Discard()
			}
		}
		if err == nil && l.rng.Chance(0.3) {
			err = l.append()
		}
		if err == nil && l.rng.Chance(0.2) {
			err = l.flush()
		}
		if errors.Is(err, storage.ErrStale) || errors.Is(err, storage.ErrOutOfRange) || err == nil && !done && l.rng.Chance(0.02) {
			r.Discard()
			return nil
		}
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	if r.End() <= plan.FirstDirty || r.End() > plan.Upper {
		l.t.Fatalf("a round over [%d, %d) ends at %d", plan.FirstDirty, plan.Upper, r.End())
	}
	l.rounds++
	if err := l.flush(); err != nil {
		return err
	}
	l.cleaned = r.End()
	return nil
}

func (l *life) step() error {
	l.now += int64(l.rng.IntN(4000))
	switch n := l.rng.IntN(24); {
	case n < 14:
		return l.append()
	case n < 17:
		return l.flush()
	case n == 17:
		p := l.log.Position()
		l.checkpoint = &p
	case n == 18:
		return l.snapshot()
	case n == 19 && l.rng.Chance(0.2):
		if err := l.snapshot(); err != nil { // as the partition does before it moves the log start
			return err
		}
		l.saved = max(l.saved, l.rng.Between(l.log.StartOffset(), min(l.log.FlushedOffset(), l.log.StartOffset()+20)))
		return l.log.AdvanceStart(l.saved)
	case n >= 20:
		if err := l.compact(); err != nil {
			return err
		}
		l.check("after a compaction")
	}
	return nil
}

// visible is what a read_committed reader is shown of the batches, below the first open transaction.
func visible(t *testing.T, batches []record.Batch, start int64, aborted []storage.AbortedTxn) (out []record.Record) {
	slices.SortFunc(aborted, func(a, b storage.AbortedTxn) int { return int(a.FirstOffset - b.FirstOffset) })
	skipping := map[int64]bool{}
	for _, b := range batches {
		for len(aborted) > 0 && aborted[0].FirstOffset <= b.LastOffset() {
			skipping[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		if b.IsControl() {
			delete(skipping, b.ProducerID())
			continue
		}
		if b.IsTransactional() && skipping[b.ProducerID()] {
			continue
		}
		err := b.Each(nil, func(r record.Record) error {
			if r.Offset >= start {
				r.Key, r.Value, r.Headers = slices.Clone(r.Key), slices.Clone(r.Value), nil
				out = append(out, r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// abortedOf are the aborted transactions of whole batches.
func abortedOf(batches []record.Batch) (out []storage.AbortedTxn) {
	s := producer.NewState(producer.Config{})
	for _, b := range batches {
		if c, ok := s.Replay(b); ok && c.Aborted {
			out = append(out, storage.AbortedTxn{ProducerID: int64(c.ProducerID), FirstOffset: c.First, LastOffset: c.Last})
		}
		s.Commit()
	}
	return out
}

// check compares the log with everything that was ever appended.
func (l *life) check(when string) bool {
	v, start := l.log.View(), l.log.StartOffset()
	var got []record.Batch
	err := v.EachBatch(start, v.EndOffset(), nil, func(b record.Batch) error {
		got = append(got, slices.Clone(b))
		return nil
	})
	if err != nil {
		return l.excuse(err)
	}
	lso := l.producers.LSO(l.log.EndOffset())
	aborted, err := v.Aborted(start, v.EndOffset())
	if err != nil {
		return l.excuse(err)
	}
	l.checkBatches(when, got)
	stable := func(b record.Batch) bool { return b.BaseOffset() >= lso }
	seen := visible(l.t, slices.DeleteFunc(slices.Clone(got), stable), start, aborted)
	truth := visible(l.t, slices.DeleteFunc(slices.Clone(l.all), stable), start, abortedOf(l.all))
	l.checkRecords(when, seen, truth)
	l.checkProducers(when)
	if scrubbed, err := v.Scrub(nil); err != nil && !l.p.Dead() || err == nil && scrubbed.Batches < len(got) {
		l.t.Fatalf("%s: %+v %v", when, scrubbed, err)
	}
	return !l.p.Dead()
}

// checkBatches holds every batch against the one it was made of.
func (l *life) checkBatches(when string, got []record.Batch) {
	i := 0
	for _, b := range got {
		for i < len(l.all) && l.all[i].BaseOffset() < b.BaseOffset() {
			i++
		}
		if i == len(l.all) || l.all[i].BaseOffset() != b.BaseOffset() || l.all[i].LastOffset() != b.LastOffset() {
			l.t.Fatalf("%s: a batch [%d, %d] was never appended", when, b.BaseOffset(), b.LastOffset())
		}
		o := l.all[i]
		if err := b.Verify(); err != nil {
			l.t.Fatalf("%s: the batch at %d: %v", when, b.BaseOffset(), err)
		}
		if b.ProducerID() != o.ProducerID() || b.ProducerEpoch() != o.ProducerEpoch() || b.BaseSequence() != o.BaseSequence() || b.LeaderEpoch() != o.LeaderEpoch() ||
			b.IsControl() != o.IsControl() || b.IsTransactional() != o.IsTransactional() || b.IsLogAppendTime() != o.IsLogAppendTime() || b.NumRecords() > 0 && b.Codec() != o.Codec() {
			l.t.Fatalf("%s: the header of the batch at %d changed", when, b.BaseOffset())
		}
		var was []string
		_ = o.Each(nil, func(r record.Record) error { was = append(was, fmt.Sprintf("%+v", r)); return nil })
		last := int64(-1)
		err := b.Each(nil, func(r record.Record) error {
			if r.Offset <= last || !slices.Contains(was, fmt.Sprintf("%+v", r)) {
				l.t.Fatalf("%s: record %+v is not one of %v", when, r, was)
			}
			last = r.Offset
			return nil
		})
		if err != nil {
			l.t.Fatalf("%s: the batch at %d: %v", when, b.BaseOffset(), err)
		}
	}
	if n := len(got); n > 0 && got[n-1].NextOffset() != l.log.EndOffset() {
		l.t.Fatalf("%s: the last batch ends at %d, the log at %d", when, got[n-1].NextOffset(), l.log.EndOffset())
	}
}

// checkRecords: what is shown was committed; the newest value of every key is shown; a tombstone that is the newest of its key is shown
// until its time, and no older value after it; above what was compacted nothing is missing.
func (l *life) checkRecords(when string, seen, truth []record.Record) {
	newest := func(records []record.Record) map[string]record.Record {
		m := map[string]record.Record{}
		for _, r := range records {
			m[string(r.Key)] = r
		}
		return m
	}
	was := map[int64]string{}
	for _, r := range truth {
		was[r.Offset] = fmt.Sprintf("%q=%q at %d", r.Key, r.Value, r.Timestamp)
	}
	shown := map[int64]bool{}
	for _, r := range seen {
		shown[r.Offset] = true
		if was[r.Offset] != fmt.Sprintf("%q=%q at %d", r.Key, r.Value, r.Timestamp) {
			l.t.Fatalf("%s: %d %q=%q is shown, committed was %q", when, r.Offset, r.Key, r.Value, was[r.Offset])
		}
	}
	now := newest(seen)
	want := newest(truth)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		r := want[key]
		got, ok := now[key]
		switch {
		case ok && got.Offset == r.Offset:
		case r.Value != nil:
			l.t.Fatalf("%s: the newest of %q is at %d, shown is %d %v", when, key, r.Offset, got.Offset, ok)
		case ok && got.Value != nil:
			l.t.Fatalf("%s: %q was deleted at %d, shown is its value at %d", when, key, r.Offset, got.Offset)
		default:
			since, cleaned := l.seenAt[r.Offset]
			if !cleaned || l.now < since+l.config.DeleteRetention.Milliseconds() {
				l.t.Fatalf("%s: the tombstone of %q at %d is gone too early", when, key, r.Offset)
			}
			l.gone++
		}
	}
	if l.begun == 0 && len(seen) != len(truth) {
		l.t.Fatalf("%s: %d records of %d without a compaction", when, len(seen), len(truth))
	}
}

// checkProducers: the state comes back whole, and without any snapshot at least what every producer must send next.
func (l *life) checkProducers(when string) {
	want := producer.NewState(producer.Config{})
	for _, b := range l.all {
		want.Replay(b)
		want.Commit()
	}
	want.LSO(l.log.EndOffset())
	l.producers.LSO(l.log.EndOffset())
	again, _, err := l.replayed(math.MaxInt64, math.MaxInt64)
	if err != nil {
		l.excuse(err)
		return
	}
	again.LSO(l.log.EndOffset())
	if !again.Equal(want) || !l.producers.Equal(want) {
		l.t.Fatalf("%s: a start finds the producers %+v, not %+v", when, again.Describe(), want.Describe())
	}
	if l.log.StartOffset() > 0 {
		return
	}
	bare, _, err := l.replayed(-1, math.MaxInt64)
	if err != nil {
		l.excuse(err)
		return
	}
	known := map[protocol.ProducerID]protocol.ProducerInfo{}
	for _, p := range bare.Describe() {
		known[p.ProducerID] = p
	}
	for _, p := range want.Describe() {
		if k := known[p.ProducerID]; p.LastSequence >= 0 && (k.LastSequence != p.LastSequence || k.ProducerEpoch != p.ProducerEpoch || k.TxnStartOffset != p.TxnStartOffset) {
			l.t.Fatalf("%s: the log alone says %+v, not %+v", when, k, p)
		}
	}
}

// TestCompactionKeepsWhatItMust plays lives that end at any disk operation, by power loss or kill -9, with compactions all along.
func TestCompactionKeepsWhatItMust(t *testing.T) {
	rounds, gone := 0, 0
	for seed := range uint64(30) {
		l := newLife(t, seed)
		defer func() {
			if t.Failed() && l != nil {
				t.Logf("seed %d", seed)
			}
		}()
		for n := range 4 {
			crashIn := 0
			if l.rng.Chance(0.8) {
				crashIn = l.rng.IntN(60 + 500*min(n, 1))
			}
			l.host.Disk.Heal()
			if l.boot(crashIn) {
				for i := 0; i < 120 && !l.p.Dead(); i++ {
					if err := l.step(); err != nil && !l.p.Dead() {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
			}
			if l.rng.Chance(0.6) {
				l.p.PowerLoss(sim.DrawCrash(l.rng))
			} else {
				l.p.Kill()
			}
		}
		rounds, gone = rounds+l.rounds, gone+l.gone
		l = nil
	}
	t.Logf("%d rounds, %d tombstones gone", rounds, gone)
	if rounds < 60 || gone == 0 {
		t.Errorf("%d rounds, %d tombstones gone: the test does not test", rounds, gone)
	}
}
