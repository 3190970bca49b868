package storage

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/record"
)

func TestFlushCoversWhatWasThereWhenItWasTaken(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100)
	task := x.l.FlushTask()
	x.mustAppend(100, 1900, 100)
	if x.l.FlushTask() != nil {
		t.Fatal("a second task although one is in flight")
	}
	if err := x.l.Flushed(task, task.Run()); err != nil {
		t.Fatal(err)
	}
	if x.l.FlushedOffset() != 2 || x.l.Position().Offset != 2 {
		t.Fatalf("flushed %d, position %+v", x.l.FlushedOffset(), x.l.Position())
	}
	x.flush()
	if x.l.FlushedOffset() != 8 || x.l.FlushTask() != nil {
		t.Fatalf("flushed %d", x.l.FlushedOffset())
	}
}

// A flush that completes after a truncation must not count what was appended in the place of what it synced. Redpanda 36de825482.
func TestFlushAfterTruncationAdvancesNothing(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100)
	x.flush()
	x.mustAppend(100, 100)
	task := x.l.FlushTask()
	err := task.Run()
	if err := x.l.TruncateTo(2); err != nil {
		t.Fatal(err)
	}
	x.model, x.epoch = x.model[:1], 1
	x.mustAppend(100, 100, 100)
	if err := x.l.Flushed(task, err); err != nil {
		t.Fatal(err)
	}
	if x.l.FlushedOffset() != 2 || x.l.Position().Offset != 2 {
		t.Fatalf("flushed %d, position %+v", x.l.FlushedOffset(), x.l.Position())
	}
	x.flush()
	if x.l.FlushedOffset() != 8 {
		t.Fatalf("flushed %d", x.l.FlushedOffset())
	}
	x.check()
}

// A task that was taken before a restart must neither remove nor write files that now belong to the new log.
func TestFlushRunningOverARestartTouchesNothing(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(1500, 1500, 1500)
	x.flush()
	if err := x.l.AdvanceStart(4); err != nil {
		t.Fatal(err)
	}
	x.mustAppend(1500)
	task := x.l.FlushTask()
	if err := x.l.Restart(0); err != nil {
		t.Fatal(err)
	}
	x.model, x.epoch = nil, 3
	x.mustAppend(100, 1900, 100)
	if err := x.l.Flushed(task, task.Run()); err != nil {
		t.Fatal(err)
	}
	if x.l.FlushedOffset() != 0 {
		t.Fatalf("flushed %d", x.l.FlushedOffset())
	}
	x.check()
	x.flush()
	x.reopen(x.options())
	x.check()
	if epochs := x.l.Epochs().All(); !slices.Equal(epochs, []Epoch{{3, 0}}) {
		t.Fatalf("epochs %v", epochs)
	}
}

func TestFlushOfADeletedLogIsNoError(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(1500, 1500)
	task := x.l.FlushTask()
	if err := x.l.Delete(); err != nil {
		t.Fatal(err)
	}
	if err := task.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := x.fs.Stat(testDir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the directory is there: %v", err)
	}
	if entries, err := x.fs.ReadDir("."); err != nil || len(entries) > 0 || x.fs.open > 0 {
		t.Fatalf("left over: %v, %v, %d open files", entries, err, x.fs.open)
	}
}

// One SyncAll in the place of Run makes records durable; the position waits until a Run has written the epochs too.
func TestSyncAllLeavesHousekeepingPending(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(1500, 1500)
	task := x.l.FlushTask()
	if !task.Housekeeping() {
		t.Fatal("a new epoch and a roll are no housekeeping")
	}
	if err := x.l.Flushed(task, x.fs.SyncAll()); err != nil {
		t.Fatal(err)
	}
	if x.l.FlushedOffset() != 4 || x.l.Position().Offset != 0 {
		t.Fatalf("flushed %d, position %+v", x.l.FlushedOffset(), x.l.Position())
	}
	x.flush()
	if x.l.Position().Offset != 4 || x.l.FlushTask() != nil {
		t.Fatalf("position %+v", x.l.Position())
	}
	x.mustAppend(100)
	if task = x.l.FlushTask(); task.Housekeeping() {
		t.Fatal("a plain append is housekeeping")
	}
	if err := x.l.Flushed(task, x.fs.SyncAll()); err != nil || x.l.Position().Offset != 6 {
		t.Fatalf("position %+v, %v", x.l.Position(), err)
	}
}

func TestFlushReportsTheWrongTask(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100)
	x.l.FlushTask()
	defer func() {
		if recover() == nil {
			t.Fatal("a foreign task was accepted")
		}
	}()
	_ = x.l.Flushed(&FlushTask{}, nil)
}

// A full disk may have no room for indexes and the epoch checkpoint: nothing is acknowledged, nothing breaks, and it heals.
func TestFullDiskDuringFlush(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(1500, 1500)
	full := true
	x.fs.fail = func(op, name string) (int, error) {
		if full && (op == "write" || op == "create") && !strings.HasSuffix(name, logSuffix) {
			return 1, &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
		}
		return 0, nil
	}
	task := x.l.FlushTask()
	if err := x.l.Flushed(task, task.Run()); !errors.Is(err, ErrRefused) || errors.Is(err, ErrOffline) {
		t.Fatalf("flush: %v", err)
	}
	if x.l.FlushedOffset() != 0 || x.l.Err() != nil {
		t.Fatalf("flushed %d, %v", x.l.FlushedOffset(), x.l.Err())
	}
	full = false
	x.flush()
	if x.l.FlushedOffset() != 4 {
		t.Fatalf("flushed %d", x.l.FlushedOffset())
	}
	x.check()
}

func TestUnsyncedIndexEntriesStayBounded(t *testing.T) {
	x := newFixture(t)
	c := testConfig()
	c.SegmentBytes, c.IndexIntervalBytes = 1<<20, 0
	x.l.Reconfigure(c)
	for range 2000 {
		x.mustAppend(20)
		x.flush()
		if n := x.l.index.unstored(); n > 2*indexKeep {
			t.Fatalf("%d entries in memory", n)
		}
	}
	x.check()
	o := x.options()
	o.Config = c
	r := x.reopen(o)
	if r.Batches != 0 {
		t.Fatalf("%+v", r)
	}
	if n := x.l.index.storedOffsets + len(x.l.index.offsets); n != 1999 {
		t.Fatalf("%d index entries after recovery, want one for every batch but the first", n)
	}
	x.check()
	x.mustAppend(20)
	if err := x.l.Roll(); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.checkIndexFiles()
}

func TestTruncateTo(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		for keep := range 13 {
			x := newFixture(t)
			for i := range 12 {
				x.epoch = int32(i / 3)
				x.mustAppend(100 + 250*(i%4))
			}
			if flushed {
				x.flush()
				x.l.Position() // which may be checkpointed from now on
			}
			to := int64(0)
			if keep > 0 {
				to = x.model[keep-1].NextOffset()
			}
			count := x.l.TruncationCount()
			if err := x.l.TruncateTo(to); err != nil {
				t.Fatal(err)
			}
			if keep < 12 && x.l.TruncationCount() == count {
				t.Fatal("the truncation is not counted")
			}
			if x.l.EndOffset() != to || x.l.FlushedOffset() > to || x.l.Position().Offset > to {
				t.Fatalf("end %d, flushed %d, position %+v after a truncation to %d", x.l.EndOffset(), x.l.FlushedOffset(), x.l.Position(), to)
			}
			x.model = x.model[:keep:keep]
			wantEpoch := NoEpoch
			if keep > 0 {
				wantEpoch = x.model[keep-1].LeaderEpoch()
			}
			if x.l.LastEpoch() != wantEpoch {
				t.Fatalf("epoch %d, want %d", x.l.LastEpoch(), wantEpoch)
			}
			x.check()
			x.epoch = 9
			x.mustAppend(50, 800, 800)
			x.check()
			x.flush()
			if err := x.l.Roll(); err != nil {
				t.Fatal(err)
			}
			x.flush()
			x.checkIndexFiles()
			x.reopen(x.options())
			x.check()
		}
	}
}

func TestTruncateWithinABatchRemovesIt(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100, 100, 100)
	if err := x.l.TruncateTo(3); err != nil {
		t.Fatal(err)
	}
	x.model = x.model[:1]
	x.check()
}

// An epoch that begins exactly at the end goes, or the follower would ask for it for ever. KAFKA-10706.
func TestTruncateToTheEndForgetsEmptyEpochs(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100)
	x.l.AssignEpoch(5, 2)
	if err := x.l.TruncateTo(2); err != nil || x.l.LastEpoch() != 0 {
		t.Fatalf("epoch %d, %v", x.l.LastEpoch(), err)
	}
	x.check()
}

// A truncation below a position that may be in the checkpoint must not look like damage after the next start, whichever position
// the checkpoint then holds.
func TestTruncationBelowTheCheckpoint(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100, 100, 1500, 100, 1500)
	x.flush()
	before := x.options()
	if err := x.l.TruncateTo(2); err != nil {
		t.Fatal(err)
	}
	x.model, x.epoch = x.model[:1], 1
	r := x.reopen(before)
	if r.TruncatedBytes != 0 {
		t.Fatalf("%+v", r)
	}
	x.check()
	x.mustAppend(100)
	x.flush()
	after := x.options()
	x.reopen(before)
	x.check()
	x.reopen(after)
	x.check()
	if _, err := x.fs.Stat(testDir + "/" + loweredName); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the file is superseded and there: %v", err)
	}
}

func TestRestart(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100, 1500, 1500)
	x.flush()
	before := x.options()
	for _, at := range []int64{500, 3, 0} {
		if err := x.l.Restart(at); err != nil {
			t.Fatal(err)
		}
		if x.l.StartOffset() != at || x.l.EndOffset() != at || x.l.FlushedOffset() != at || x.l.LastEpoch() != NoEpoch || x.l.Size() != 0 {
			t.Fatalf("[%d, %d) flushed %d epoch %d size %d", x.l.StartOffset(), x.l.EndOffset(), x.l.FlushedOffset(), x.l.LastEpoch(), x.l.Size())
		}
		x.model = nil
		x.mustAppend(100, 1900)
		x.flush()
		x.check()
		x.reopen(before)
		x.check()
	}
}

func TestAdvanceStart(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(900, 900, 900, 900, 900)
	if err := x.l.AdvanceStart(11); !errors.Is(err, ErrOutOfRange) {
		t.Fatalf("beyond the end: %v", err)
	}
	for _, to := range []int64{1, 0, 5, 9, 10} {
		if err := x.l.AdvanceStart(to); err != nil {
			t.Fatal(err)
		}
		if to > 0 && x.l.StartOffset() != to {
			t.Fatalf("start %d, want %d", x.l.StartOffset(), to)
		}
		if _, err := x.l.View().Locate(x.l.StartOffset()-1, 10, 10); !errors.Is(err, ErrOutOfRange) {
			t.Fatalf("below the start: %v", err)
		}
		if epochs := x.l.Epochs().All(); epochs[0].StartOffset != x.l.StartOffset() {
			t.Fatalf("epochs %v, start %d", epochs, x.l.StartOffset())
		}
		if to < 10 {
			x.check()
		}
		x.flush()
	}
	if x.l.segments() != 1 {
		t.Fatalf("%d segments", x.l.segments())
	}
	x.mustAppend(100)
	x.check()
	x.reopen(x.options())
	x.check()
}

func TestRetention(t *testing.T) {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, c := range []struct {
		name           string
		time           time.Duration
		bytes          int64
		bound          int64
		dropped, start int64
	}{
		{"nothing is old", ms(1000), -1, 20, 0, 0},
		{"some are old", ms(45), -1, 20, 2, 8},
		{"the high watermark holds the rest", ms(0), -1, 9, 2, 8},
		{"all are old, the active one is rolled", ms(0), -1, 20, 5, 20},
		{"too many bytes", -1, 5500, 20, 2, 8},
		{"exactly enough bytes", -1, 9770, 20, 0, 0},
		{"no limit", -1, -1, 20, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newFixture(t)
			for range 5 {
				x.mustAppend(850, 850) // one segment, 20 ms
			}
			x.flush()
			config := testConfig()
			config.RetentionTime, config.RetentionBytes = c.time, c.bytes
			x.l.Reconfigure(config)
			n, err := x.l.Retain(time.UnixMilli(x.ts+2), c.bound)
			if err != nil || int64(n) != c.dropped || x.l.StartOffset() != c.start {
				t.Fatalf("dropped %d, start %d of %d bytes, %v; want %d, %d", n, x.l.StartOffset(), x.l.Size(), err, c.dropped, c.start)
			}
			x.flush()
			for x.l.Removing() {
				x.flush()
			}
			if logs := x.logFiles(); logs != x.l.segments() {
				t.Fatalf("%d files for %d segments", logs, x.l.segments())
			}
			x.mustAppend(100)
			x.check()
			x.flush()
			x.reopen(x.options())
			x.check()
		})
	}
}

// logFiles counts the .log files on the disk, under whatever name.
func (x *fixture) logFiles() (n int) {
	entries, _ := x.fs.ReadDir(testDir)
	for _, e := range entries {
		if strings.Contains(e.Name, logSuffix) {
			n++
		}
	}
	return n
}

// Whoever waits for a flush does not wait until a thousand dropped segments are off the disk.
func TestAFlushRemovesAFewDroppedSegments(t *testing.T) {
	x := newFixture(t)
	const dropped = 4*removedPerTask + 2
	for range dropped + 1 {
		x.mustAppend(850, 850)
	}
	x.flush()
	if err := x.l.AdvanceStart(x.l.active.base); err != nil {
		t.Fatal(err)
	}
	for left := dropped; left > 0; {
		x.mustAppend(10)
		x.flush()
		left = max(0, left-removedPerTask)
		if got := x.logFiles() - x.l.segments(); got != left {
			t.Fatalf("%d of %d dropped segments are on the disk, want %d", got, dropped, left)
		}
		if x.l.Removing() != (left > 0) {
			t.Fatalf("removing %v with %d left", x.l.Removing(), left)
		}
		o := testOptions(x.fs.powerLoss(keepNone, 512)) // a crash finds the rest of them, and the log all the same
		p := x.l.Position()
		o.Checkpoint, o.StartOffset = &p, x.l.StartOffset()
		l, _, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if l.StartOffset() != x.l.StartOffset() || l.EndOffset() != x.l.EndOffset() {
			t.Fatalf("[%d, %d) after a crash, want [%d, %d)", l.StartOffset(), l.EndOffset(), x.l.StartOffset(), x.l.EndOffset())
		}
	}
	x.check()
	x.reopen(x.options())
	x.check()
}

// One that is not durable may come back torn, and would end the log before what the flush made durable: none of them stays.
func TestAFlushRemovesAllDroppedSegmentsThatAreNotDurable(t *testing.T) {
	x := newFixture(t)
	for range 8 * removedPerTask {
		x.mustAppend(850, 850)
	}
	if err := x.l.AdvanceStart(x.l.active.base); err != nil {
		t.Fatal(err)
	}
	x.flush()
	if got := x.logFiles(); got != x.l.segments() || x.l.Removing() {
		t.Errorf("%d files for %d segments", got, x.l.segments())
	}
	x.reopen(x.options())
	x.check()
}

// After a restart the largest timestamp comes from the time index, and without timestamps from the file.
func TestRetentionAfterARestart(t *testing.T) {
	x := newFixture(t)
	for range 5 {
		x.mustAppend(850, 850)
	}
	x.flush()
	x.reopen(x.options())
	c := testConfig()
	c.RetentionTime = 45 * time.Millisecond
	x.l.Reconfigure(c)
	if n, err := x.l.Retain(time.UnixMilli(x.ts+2), 20); n != 2 || err != nil {
		t.Fatalf("dropped %d, %v", n, err)
	}
	x.check()

	x = newFixture(t)
	x.ts = -1000
	x.mustAppend(850, 850, 850)
	x.flush()
	x.l.Reconfigure(c)
	if n, err := x.l.Retain(x.fs.now.Add(40*time.Millisecond), 6); n != 0 || err != nil {
		t.Fatalf("dropped %d, %v", n, err)
	}
	if n, err := x.l.Retain(x.fs.now.Add(50*time.Millisecond), 6); n != 2 || err != nil {
		t.Fatalf("dropped %d, %v", n, err)
	}
}

func TestSegmentsRollByTimeAndOffset(t *testing.T) {
	x := newFixture(t)
	c := testConfig()
	c.SegmentTime = 25 * time.Millisecond
	x.l.Reconfigure(c)
	for range 10 {
		x.mustAppend(20) // 10 ms each
	}
	if x.l.segments() != 4 {
		t.Fatalf("%d segments in 100 ms", x.l.segments())
	}
	x.flush()
	o := x.options()
	o.Config = c
	x.reopen(o)
	x.mustAppend(20)
	x.mustAppend(20)
	if x.l.segments() != 4 {
		t.Fatalf("%d segments: the age of the active one is lost", x.l.segments())
	}
	x.mustAppend(20)
	x.mustAppend(20)
	if x.l.segments() != 5 {
		t.Fatalf("%d segments", x.l.segments())
	}
	x.check()
	far := batch(t, x.l.EndOffset()+1<<31, 2, 0, x.ts, 10)
	if err := x.l.Append([]record.Batch{far}); err != nil {
		t.Fatal(err)
	}
	x.model = append(x.model, far)
	if x.l.segments() != 6 || x.l.active.base != far.BaseOffset() {
		t.Fatalf("%d segments, the last at %d", x.l.segments(), x.l.active.base)
	}
	x.check()
	x.flush()
	x.reopen(testOptions(x.fs))
	x.check()
}

// A flush that was taken before retention dropped segments still makes them durable: a crash may bring them back.
func TestFlushCoversWhatRetentionDroppedMeanwhile(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(850, 850, 850, 850, 850)
	task := x.l.FlushTask()
	c := testConfig()
	c.RetentionTime = 0
	x.l.Reconfigure(c)
	if n, err := x.l.Retain(time.UnixMilli(x.ts+1000), 8); n != 2 || err != nil {
		t.Fatalf("dropped %d, %v", n, err)
	}
	if err := x.l.Flushed(task, task.Run()); err != nil {
		t.Fatal(err)
	}
	if x.l.FlushedOffset() != 10 {
		t.Fatalf("flushed %d", x.l.FlushedOffset())
	}
	o := testOptions(x.fs.powerLoss(keepNone, 64))
	x.fs = o.FS.(*memFS)
	if r := x.reopen(o); r.TruncatedBytes > 0 || x.l.StartOffset() != 0 || x.l.EndOffset() != 10 {
		t.Fatalf("[%d, %d) %+v", x.l.StartOffset(), x.l.EndOffset(), r)
	}
	x.check()
}

func TestTrimTaskSyncsNamesOnly(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(850, 850, 850)
	c := testConfig()
	c.RetentionBytes = 900
	x.l.Reconfigure(c)
	if n, err := x.l.Retain(time.UnixMilli(x.ts), 6); n != 1 || err != nil {
		t.Fatalf("dropped %d, %v", n, err)
	}
	x.fs.takeTrace()
	task := x.l.TrimTask()
	if x.l.FlushTask() != nil || x.l.TrimTask() != nil {
		t.Fatal("two tasks in flight")
	}
	if err := x.l.Flushed(task, task.Run()); err != nil {
		t.Fatal(err)
	}
	want := `syncdir D
rename D/00000000000000000000.log 00000000000000000000.log.deleted
syncdir D
remove D/00000000000000000000.log.deleted`
	if got := strings.ReplaceAll(x.fs.takeTrace(), testDir, "D"); got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
	if x.l.FlushedOffset() != 4 || x.l.TrimTask() != nil {
		t.Fatalf("flushed %d", x.l.FlushedOffset())
	}
	x.check()
}

// A log start within a batch that is cut off stays the log's end, in the next segment too.
func TestTruncateTheBatchTheLogStartsIn(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(600, 600)
	x.flush()
	if err := x.l.AdvanceStart(3); err != nil {
		t.Fatal(err)
	}
	if err := x.l.TruncateTo(3); err != nil {
		t.Fatal(err)
	}
	if x.l.StartOffset() != 3 || x.l.EndOffset() != 3 {
		t.Fatalf("[%d, %d)", x.l.StartOffset(), x.l.EndOffset())
	}
	x.model, x.epoch = x.model[:1], 1
	x.mustAppend(1800)
	x.mustAppend(1800)
	x.flush()
	o := testOptions(x.fs)
	o.StartOffset = 3
	if r := x.reopen(o); r.TruncatedBytes != 0 {
		t.Fatalf("%+v", r)
	}
	x.check()
	if err := x.l.Restart(3); err != nil || x.l.LastEpoch() != NoEpoch {
		t.Fatalf("%v, epoch %d", err, x.l.LastEpoch())
	}
	x.fs = x.fs.powerLoss(keepNone, 64)
	o = testOptions(x.fs)
	if x.reopen(o); len(x.l.Epochs().All()) > 0 {
		t.Fatalf("epochs %v", x.l.Epochs())
	}
}
