package storage

import (
	"errors"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// journaled is a log with a journal beside it that takes frames.
type journaled struct {
	fixture
	j *Journal
}

func newJournaled(t testing.TB, size int64) *journaled {
	x := &journaled{fixture: *newFixture(t)}
	x.begin(size)
	x.mustAppend(100)
	x.flush()
	return x
}

func (x *journaled) begin(size int64) {
	x.t.Helper()
	found, err := ReadJournal(x.fs, false)
	if err != nil {
		x.t.Fatal(err)
	}
	x.j = NewJournal(x.fs, size, found)
	if err := x.j.Begin(); err != nil {
		x.t.Fatal(err)
	}
}

// write lets the journal flush what was appended.
func (x *journaled) write() {
	x.t.Helper()
	task := x.l.FlushTask()
	if !x.j.Fits(1, task.JournalBytes()) {
		x.t.Fatalf("no room for %d bytes", task.JournalBytes())
	}
	err := x.j.Write([]*FlushTask{task})
	x.j.Written(err)
	if err != nil || !task.Journaled() {
		x.t.Fatalf("journaled %v, %v", task.Journaled(), err)
	}
	if err := x.l.Flushed(task, nil); err != nil {
		x.t.Fatal(err)
	}
}

// crash loses power and opens the log again, with what the journal has of it.
func (x *journaled) crash() Recovered {
	x.t.Helper()
	x.fs = x.fs.powerLoss(keepNone, 64)
	return x.reopen(recoverOptions(x.t, x.fs, 200))
}

func TestJournalBringsBackWhatTheFilesLost(t *testing.T) {
	x := newJournaled(t, 64<<10)
	x.fs.takeTrace()
	for i := range 5 {
		x.mustAppend(100 + i)
		x.write()
	}
	if x.l.FlushedOffset() != x.l.EndOffset() || x.l.Position().Offset != 2 {
		t.Fatalf("flushed %d of %d, durable %d", x.l.FlushedOffset(), x.l.EndOffset(), x.l.Position().Offset)
	}
	for _, op := range strings.Split(x.fs.takeTrace(), "\n") {
		if strings.HasPrefix(op, "sync ") && !strings.Contains(op, "flush-journal") {
			t.Errorf("%s: the file of the log was synced", op)
		}
	}
	if r := x.crash(); r.Journaled != 5 {
		t.Fatalf("%+v", r)
	}
	x.check()
	if r := x.crash(); r.Journaled != 5 { // nothing of it was flushed
		t.Fatalf("%+v", r)
	}
	if err := x.l.FlushNow(); err != nil {
		t.Fatal(err)
	}
	x.begin(64 << 10)
	if r := x.crash(); r.Journaled != 0 {
		t.Fatalf("an empty journal: %+v", r)
	}
	x.check()
}

// What the next flush by Run covers includes what only the journal held.
func TestRunSettlesWhatWasJournaled(t *testing.T) {
	x := newJournaled(t, 64<<10)
	x.mustAppend(100)
	x.write()
	if x.l.Settled() {
		t.Fatal("settled")
	}
	x.mustAppend(50)
	task := x.l.FlushTask()
	if task.JournalBytes() != 0 {
		t.Fatal("a log that is to be settled is offered to the journal")
	}
	if err := x.l.Flushed(task, task.Run()); err != nil {
		t.Fatal(err)
	}
	for i, journaled := range []bool{false, true} { // whoever wanted it may have gone: it is not asked again
		x.mustAppend(60)
		task := x.l.FlushTask()
		if journaled != (task.JournalBytes() > 0) {
			t.Fatalf("task %d after that: %d bytes for the journal", i, task.JournalBytes())
		}
		if err := x.l.Flushed(task, task.Run()); err != nil {
			t.Fatal(err)
		}
	}
	if !x.l.Settled() {
		t.Fatal("not settled")
	}
	x.fs = x.fs.powerLoss(keepNone, 64)
	o := recoverOptions(t, x.fs, 200)
	o.Journal = nil
	x.reopen(o)
	x.check()
}

// A clean stop, and every flush that touches more than the active segment, goes to the files.
func TestOnlyAppendsToTheActiveSegmentAreJournaled(t *testing.T) {
	x := newJournaled(t, 64<<10)
	x.mustAppend(1900)
	x.mustAppend(1900) // rolls
	if n := x.l.FlushTask().JournalBytes(); n != 0 {
		t.Errorf("%d bytes of two segments", n)
	}
	y := newJournaled(t, 64<<10)
	y.epoch++
	y.mustAppend(10)
	if n := y.l.FlushTask().JournalBytes(); n != 0 {
		t.Errorf("%d bytes with a new epoch", n)
	}
}

// The files take turns: a full one takes nothing before the segments are synced.
func TestJournalFilesTakeTurns(t *testing.T) {
	x := newJournaled(t, 4*journalPage)
	frames := 0
	for ; !x.j.Drainable(); frames++ {
		x.mustAppend(20)
		x.write()
	}
	for x.j.Fits(1, 20) {
		x.mustAppend(20)
		x.write()
		frames++
	}
	if frames != 7 { // one page of the first file is the mark that it is empty
		t.Fatalf("%d frames", frames)
	}
	x.drain()
	if !x.j.Fits(1, 20) {
		t.Fatal("a drained file is not free")
	}
	x.crash()
	x.check()
	for range 40 { // round and round, with crashes
		x.begin(4 * journalPage)
		for range 9 {
			x.mustAppend(30)
			if x.j.Drainable() {
				x.drain()
			}
			x.write0()
		}
		x.crash()
		x.check()
		if err := x.l.FlushNow(); err != nil {
			t.Fatal(err)
		}
	}
}

func (x *journaled) drain() {
	x.t.Helper()
	if err := x.j.Drain()(); err != nil {
		x.t.Fatal(err)
	}
	x.j.Drained()
}

// write0 is write, or Run if the journal cannot.
func (x *journaled) write0() {
	x.t.Helper()
	if task := x.l.FlushTask(); task.JournalBytes() == 0 {
		if err := x.l.Flushed(task, task.Run()); err != nil {
			x.t.Fatal(err)
		}
	} else {
		x.l.flight, x.l.spare = nil, task
		x.write()
	}
}

// A truncation voids what the journal holds of the log, but loses nothing below it.
func TestTruncationVoidsTheJournal(t *testing.T) {
	x := newJournaled(t, 64<<10)
	for range 4 {
		x.mustAppend(100)
		x.write()
	}
	if err := x.l.TruncateTo(6); err != nil {
		t.Fatal(err)
	}
	x.model, x.epoch = x.model[:3], 1
	x.crash()
	x.check()
	x.mustAppend(70)
	x.flush()
	x.begin(64 << 10)
	x.mustAppend(80)
	x.write()
	x.crash()
	x.check()
}

func TestJournalThatCannotBeWritten(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		x := newJournaled(t, 64<<10)
		x.mustAppend(100)
		x.fs.fail = func(op, name string) (int, error) {
			if op == "write" && strings.HasPrefix(name, "flush-journal") {
				return 10, errno
			}
			return 0, nil
		}
		task := x.l.FlushTask()
		if !x.j.Fits(1, task.JournalBytes()) {
			t.Fatal("no room")
		}
		err := x.j.Write([]*FlushTask{task})
		x.j.Written(err)
		if !errors.Is(err, errno) || task.Journaled() {
			t.Fatalf("journaled %v, %v", task.Journaled(), err)
		}
		x.fs.fail = nil
		if fits := x.j.Fits(1, 10); fits != (errno == syscall.ENOSPC) {
			t.Errorf("%v: room afterwards: %v", errno, fits)
		}
		if err := x.l.Flushed(task, task.Run()); err != nil {
			t.Fatal(err)
		}
		x.crash()
		x.check()
	}
}

// After a clean stop only the number of the newest filling matters.
func TestJournalEpochsNeverComeAgain(t *testing.T) {
	x := newJournaled(t, 64<<10)
	var epochs []uint64
	for i := range 4 {
		found, err := ReadJournal(x.fs, i%2 == 0)
		if err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, found.epoch)
		if i%2 == 0 && len(found.Entries) > 0 {
			t.Fatal("entries after a clean stop")
		}
		x.j = NewJournal(x.fs, 64<<10, found)
		if err := x.j.Begin(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.IsSorted(epochs) || len(slices.Compact(epochs)) != 4 {
		t.Fatalf("epochs %v", epochs)
	}
}

// A frame that rots in the middle is noticed, and those after it still count.
func TestRottenFrame(t *testing.T) {
	x := newJournaled(t, 64<<10)
	for range 4 {
		x.mustAppend(100)
		x.write()
	}
	n := x.fs.node("flush-journal-0")
	n.data = slices.Clone(n.data)
	n.data[2*journalPage+50] ^= 1
	found, err := ReadJournal(x.fs, false)
	if err != nil || !found.Damaged || len(found.Entries[x.l.tp]) != 3 {
		t.Fatalf("%d entries, damaged %v, %v", len(found.Entries[x.l.tp]), found.Damaged, err)
	}
}

func FuzzJournal(f *testing.F) {
	x := newJournaled(f, 64<<10)
	x.mustAppend(100)
	x.write()
	f.Add(x.fs.node("flush-journal-0").data[:2*journalPage])
	f.Add([]byte("trj1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		files := newMemFS()
		w, err := files.Create(journalNames[0])
		if err == nil {
			_, err = w.WriteAt(b, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		var sealed []byte
		if len(b) > frameHeaderSize { // also with a right CRC
			sealed = sealFrame(append(appendFrameHeader(nil, 7, 0), b[frameHeaderSize:]...), int(b[0]))
			if _, err := w.WriteAt(sealed, alignPage(int64(len(b)))); err != nil {
				t.Fatal(err)
			}
		}
		found, err := ReadJournal(files, false)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		for _, entries := range found.Entries {
			for _, e := range entries {
				batches, err := journalBatches(e.Bytes, math.MinInt64)
				size := 0
				for _, b := range batches {
					size += len(b)
				}
				if err == nil && size != len(e.Bytes) {
					t.Fatalf("%d of %d bytes are in batches", size, len(e.Bytes))
				}
			}
		}
	})
}
