package partition

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
)

// basin is a flusher with logs to flush.
type basin struct {
	*actortest.Harness
	t       *testing.T
	flusher *flusher
	faults  *faults
	fs      env.FS
	files   *storage.Files
	seen    []Flush
}

func newBasin(t *testing.T) *basin {
	fsys, err := osenv.New().OpenFS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &basin{t: t, faults: &faults{}}
	b.fs = faultFS{fsys, b.faults}
	b.files = storage.NewFiles(b.fs, 0)
	b.flusher = &flusher{dir: "data", fs: b.fs, clock: osenv.New().Clock, observe: func(f Flush) { b.seen = append(b.seen, f) }}
	b.Harness = actortest.New(t, b.flusher)
	return b
}

// dirty makes n logs that have something to flush and nothing to keep house of, and returns their flushes.
func (b *basin) dirty(n int) []any {
	b.t.Helper()
	var out []any
	for i := range n {
		tp := protocol.TopicPartition{Topic: tp0.Topic, Partition: int32(i)}
		log, err := storage.Create(storage.Options{
			Dir: storage.DirName(tp), Config: diskConfig(), FS: b.fs, Files: b.files, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			b.t.Fatal(err)
		}
		for range 2 {
			batch := batchOf(producing{})
			batch.SetBaseOffset(log.EndOffset())
			if err := log.Append([]record.Batch{batch}); err != nil {
				b.t.Fatal(err)
			}
			task := log.FlushTask()
			if len(out) <= i && log.EndOffset() == 2 {
				out = append(out, &flush{task: task, from: actors.NewPID("test", fmt.Sprint(i))})
			} else if err := log.Flushed(task, task.Run()); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.faults.syncs.Store(0)
	return out
}

func (b *basin) deliver(msgs []any) (effects []actortest.Effect) {
	for _, m := range msgs {
		effects = append(effects, b.Deliver(m)...)
	}
	return append(effects, b.EndTurn()...)
}

// run carries out everything offloaded and returns the results, by log.
func (b *basin) run() (results []*flushed) {
	for b.Offloads() > 0 {
		for _, m := range actortest.Messages(append(b.RunOffload(), b.EndTurn()...)) {
			results = append(results, m.(*flushed))
		}
	}
	return results
}

func TestFewDirtyLogsAreFlushedBesideEachOther(t *testing.T) {
	b := newBasin(t)
	flushes := b.dirty(syncAllFrom - 1)
	b.deliver(flushes)
	if b.Offloads() != syncsBeside {
		t.Errorf("%d flushes beside each other, the bound is %d", b.Offloads(), syncsBeside)
	}
	results := b.run()
	if len(results) != len(flushes) || b.faults.syncAlls.Load() != 0 || int(b.faults.syncs.Load()) != len(flushes) {
		t.Errorf("%d results, %d syncfs, %d fdatasync", len(results), b.faults.syncAlls.Load(), b.faults.syncs.Load())
	}
	if len(b.seen) != len(flushes) || b.seen[0].Logs != 1 || b.seen[0].All {
		t.Errorf("observed %+v", b.seen)
	}
}

func TestManyDirtyLogsAreFlushedAtOnce(t *testing.T) {
	b := newBasin(t)
	flushes := b.dirty(syncAllFrom + 6)
	b.deliver(flushes[:syncAllFrom])
	if b.Offloads() != 1 {
		t.Fatalf("%d offloads", b.Offloads())
	}
	// What comes during a round was perhaps written after it began: it waits.
	if effects := b.deliver(flushes[syncAllFrom:]); len(effects) != 0 {
		t.Fatalf("during a round: %#v", effects)
	}
	results := b.run()
	if len(results) != len(flushes) || b.faults.syncAlls.Load() != 1 || b.faults.syncs.Load() != 6 {
		t.Errorf("%d results, %d syncfs, %d fdatasync", len(results), b.faults.syncAlls.Load(), b.faults.syncs.Load())
	}
	if !b.seen[0].All || b.seen[0].Logs != syncAllFrom {
		t.Errorf("observed %+v", b.seen[0])
	}
}

func TestWithoutSyncfsEveryLogIsFlushedByItself(t *testing.T) {
	b := newBasin(t)
	b.faults.fail(&b.faults.syncAll, env.ErrUnsupported)
	flushes := b.dirty(syncAllFrom)
	b.deliver(flushes)
	if results := b.run(); len(results) != len(flushes) || int(b.faults.syncs.Load()) != len(flushes) {
		t.Errorf("%d results, %d fdatasync", len(results), b.faults.syncs.Load())
	}
	b.deliver([]any{})
	if b.faults.syncAlls.Load() != 1 {
		t.Error("what is not supported is tried again and again")
	}
}

// After a syncfs that failed nobody can say which of the files it concerned.
func TestFailedRoundFailsAllItsLogs(t *testing.T) {
	b := newBasin(t)
	b.faults.fail(&b.faults.syncAll, errDiskBroken)
	flushes := b.dirty(syncAllFrom)
	b.deliver(flushes)
	results := b.run()
	if len(results) != syncAllFrom {
		t.Fatalf("%d results", len(results))
	}
	for _, r := range results {
		if r.err == nil {
			t.Error("a log of the failed round is told that all is well")
		}
	}
}

// A round that took long had to write what others left behind; for a while logs are flushed one by one.
func TestSlowRoundIsNotRepeatedAtOnce(t *testing.T) {
	b := newBasin(t)
	b.flusher.synced(b.Context(), &syncedLogs{all: true, took: 2 * syncAllSlow})
	b.deliver(b.dirty(syncAllFrom))
	b.run()
	if b.faults.syncAlls.Load() != 0 {
		t.Error("syncfs right after a slow one")
	}
	b.Advance(syncAllPause + time.Second)
	b.deliver(newBasin(t).dirty(syncAllFrom))
	b.run()
	if b.faults.syncAlls.Load() != 1 {
		t.Error("no syncfs after the pause")
	}
}

func TestQuiescedWhenNoFlushOfTheActorIsLeft(t *testing.T) {
	b := newBasin(t)
	flushes := b.dirty(2)
	b.deliver(flushes)
	p := &hosted{}
	q := &quiesce{p: p, from: flushes[1].(*flush).from, replyTo: hostPID}
	actortest.Expect(t, b.Deliver(q))
	if got := actortest.Messages(b.RunOffload()); len(got) != 1 {
		t.Fatalf("after the other log's flush: %#v", got)
	}
	got := actortest.Messages(b.RunOffload())
	if len(got) != 2 || got[1].(*quiesced).p != p {
		t.Errorf("after its flush: %#v", got)
	}
}

// journaling gives the flusher a journal, and logs whose next flush it can take.
func (b *basin) journaling(n int, size int64) []any {
	b.t.Helper()
	found, err := storage.ReadJournal(b.fs, false)
	if err != nil {
		b.t.Fatal(err)
	}
	b.deliver([]any{&beginJournal{journal: storage.NewJournal(b.fs, size, found)}})
	b.RunOffload()
	if b.flusher.journal == nil {
		b.t.Fatal("no journal")
	}
	return b.dirty(n)
}

func TestSmallFlushesShareAFrame(t *testing.T) {
	b := newBasin(t)
	flushes := b.journaling(10, 0)
	b.deliver(flushes[:1])
	// What comes while a frame is written goes together into the next one.
	b.deliver(flushes[1:])
	if b.Offloads() != 1 {
		t.Fatalf("%d offloads", b.Offloads())
	}
	if results := b.run(); len(results) != len(flushes) || b.faults.syncs.Load() != 2 {
		t.Errorf("%d results, %d syncs", len(results), b.faults.syncs.Load())
	}
	if len(b.seen) != 2 || !b.seen[1].Journal || b.seen[1].Logs != 9 {
		t.Errorf("observed %+v", b.seen)
	}
}

// Without room in the journal, and when it has failed, flushes go to the files of the logs.
func TestFlushesPassAJournalThatCannotTakeThem(t *testing.T) {
	b := newBasin(t)
	flushes := b.journaling(3, 0)
	b.faults.fail(&b.faults.sync, errDiskBroken)
	b.deliver(flushes[:1])
	b.RunOffload()
	b.faults.fail(&b.faults.sync, nil)
	b.EndTurn()
	if results := b.run(); len(results) != 1 || results[0].err != nil {
		t.Fatalf("%+v", results)
	}
	b.deliver(flushes[1:])
	b.run()
	if len(b.seen) != 4 || !b.seen[0].Journal || b.seen[0].Err == nil || b.seen[1].Journal || b.seen[2].Journal {
		t.Fatalf("observed %+v", b.seen)
	}

	b = newBasin(t)
	b.deliver(b.journaling(1, 4<<10)) // what says that a file is empty fills it
	b.deliver(b.dirty(0))
	if results := b.run(); len(results) != 1 {
		t.Fatalf("%d results", len(results))
	}
}

// A drain that fails takes the directory offline: what was acknowledged may be in the journal only.
func TestFailedDrainIsToldToTheHost(t *testing.T) {
	b := newBasin(t)
	b.journaling(1, 8<<10)
	b.flusher.host = hostPID
	b.flusher.draining = true
	lost := actortest.Take[*flusherLost](t, b.Deliver(&drained{errDiskBroken}))
	if lost.err != errDiskBroken || b.flusher.draining {
		t.Errorf("%+v", lost)
	}
	if b.flusher.journal.Fits(1, 10) {
		t.Error("the journal goes on")
	}
}

// A sync of a segment that fails leaves the journal as it is: a drain would sync the same file again, hear of no error, and free what is
// nowhere else. Found by the simulator: groups 94.
func TestFailedSyncKeepsTheJournal(t *testing.T) {
	b := newBasin(t)
	flushes := b.journaling(1, 0)
	b.deliver([]any{&syncedLogs{logs: []*flush{flushes[0].(*flush)}, err: errDiskBroken}})
	if b.flusher.journal.Fits(1, 10) || b.flusher.journal.Drainable() {
		t.Error("the journal goes on")
	}
}

// A sync that began before the end of a drain may hear of a failure that the drain did not hear of: the file is free when it has ended well.
func TestDrainAwaitsSyncsBesideIt(t *testing.T) {
	for _, err := range []error{nil, errDiskBroken} {
		b := newBasin(t)
		flushes := b.journaling(3, 4<<10)
		b.flusher.take(flushes[0].(*flush))
		b.deliver(nil) // no room but in the other file
		b.run()
		b.flusher.draining = true
		beside := flushes[1].(*flush)
		b.flusher.running = []*flush{beside}
		b.Deliver(&drained{})
		if !b.flusher.draining {
			t.Fatal("the drain has ended before the sync beside it")
		}
		b.Deliver(&syncedLogs{logs: []*flush{beside}, err: err})
		if fits := b.flusher.journal.Fits(1, 10); b.flusher.draining || fits != (err == nil) {
			t.Errorf("%v: draining %v, room %v", err, b.flusher.draining, fits)
		}
	}
}
