package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// crashWorld drives a log and its directory's checkpoints through a scripted life, and knows at every moment what a crash may leave.
type crashWorld struct {
	fixture
	files *Files
	tp    protocol.TopicPartition
	// pending is the log as the operation under way would leave it; nil between operations and if it is an append.
	pending *logState
	// durableStart is the checkpointed log start.
	durableStart, maxStart int64
	flushed                int64
	// snapshot is the newest one that belongs to the log; aborted are the transactions that do.
	snapshot int64
	aborted  []AbortedTxn
	// replaced is the rewritten range that a crash may take back; nil if there is none.
	replaced *replaced
	journal  *Journal
}

// logState is the content of a log from some start on.
type logState struct {
	start, end int64
	batches    []record.Batch
}

func (w *crashWorld) state() logState {
	return logState{w.l.StartOffset(), w.l.EndOffset(), w.model}
}

// do runs one operation that turns the state into after.
func (w *crashWorld) do(after logState, op func() error) error {
	w.pending = &after
	if err := op(); err != nil {
		return err
	}
	w.pending = nil
	w.model = after.batches
	w.snapshot = min(w.snapshot, after.end)
	w.aborted = slices.DeleteFunc(w.aborted, func(a AbortedTxn) bool { return a.LastOffset >= after.end })
	w.flushed = min(w.flushed, w.l.FlushedOffset())
	return nil
}

func crashScript(w *crashWorld) error {
	steps := []func() error{
		w.appendStep(100, 200), w.flushStep, w.checkpointStep, w.appendStep(50), w.journalStep, w.appendStep(60), w.journalStep,
		w.appendStep(300), w.appendStep(500, 600, 700, 800), w.flushStep, w.appendStep(80), w.journalStep, w.truncateStep(1),
		w.appendStep(50, 60), w.checkpointStep, w.appendStep(1900), w.appendStep(400),
		w.truncateStep(7), w.appendStep(100, 100), w.flushStep, w.checkpointStep, w.appendStep(100), w.journalStep, w.drainStep, w.appendStep(40), w.journalStep,
		w.appendStep(900, 900, 900), w.flushStep, w.checkpointStep, w.appendStep(100, 900, 900, 900),
		w.truncateStep(12), w.appendStep(120, 130), w.flushStep,
		w.appendStep(1500), w.appendStep(1500), w.syncAllStep, w.checkpointStep,
		w.startStep(8), w.flushStep, w.appendStep(700, 700, 700), w.retainStep, w.flushStep, w.appendStep(100),
		w.checkpointStep, w.appendStep(800, 800, 20), w.abortStep, w.flushStep, w.snapshotStep, w.appendStep(30), w.checkpointStep,
		w.refuseStep(100, 200), w.appendStep(100, 200, 300, 400), w.flushStep, w.checkpointStep, w.truncateStep(6),
		w.appendStep(800, 40, 50), w.appendStep(90), w.flushStep, w.refuseStep(900, 900, 900, 900), w.appendStep(900),
		w.epochStep, w.appendStep(90), w.syncAllStep, w.checkpointStep, w.appendStep(20), w.flushStep, w.restartStep(1000), w.appendStep(60, 70), w.flushStep, w.checkpointStep,
		w.appendStep(1500, 1600), w.flushStep, w.closeStep,
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func (w *crashWorld) appendStep(sizes ...int) func() error {
	return func() error { return w.appendTurn(sizes...) }
}

// appendTurn keeps the batches in the model even if the append fails: any prefix of them may be in the log.
func (w *crashWorld) appendTurn(sizes ...int) error {
	end := w.l.EndOffset()
	for _, size := range sizes {
		w.ts += 10
		b := batch(w.t, end, 2, w.epoch, w.ts, size)
		end = b.NextOffset()
		w.model = append(w.model, b)
	}
	return w.l.Append(w.model[len(w.model)-len(sizes):])
}

// refuseStep appends while the disk is full but for some bytes.
func (w *crashWorld) refuseStep(sizes ...int) func() error {
	return func() error {
		before, writes := len(w.model), 0
		w.fs.fail = func(op, name string) (int, error) {
			if op != "write" {
				return 0, nil
			}
			if writes++; writes < len(sizes)/2 {
				return 0, nil
			}
			return 350, syscall.ENOSPC
		}
		err := w.appendTurn(sizes...)
		w.fs.fail = nil
		if errors.Is(err, ErrRefused) {
			w.model, err = w.model[:before:before], nil
		} else if err == nil {
			w.t.Fatal("the append was not refused")
		}
		return err
	}
}

func (w *crashWorld) epochStep() error {
	w.epoch++
	w.l.AssignEpoch(w.epoch, w.l.EndOffset())
	return nil
}

func (w *crashWorld) flushStep() error {
	task := w.l.FlushTask()
	if task == nil {
		return nil
	}
	if err := w.l.Flushed(task, task.Run()); err != nil {
		return err
	}
	w.flushed = w.l.FlushedOffset()
	return nil
}

// carryOut runs a task, or lets the journal do it if that is what journaled asks and it can.
func (w *crashWorld) carryOut(task *FlushTask, journaled bool) error {
	if n := task.JournalBytes(); journaled && n > 0 && w.journal.Fits(1, n) {
		w.journal.Written(w.journal.Write([]*FlushTask{task}))
		if task.Journaled() {
			return nil
		}
	}
	return task.Run()
}

// journalStep flushes by the journal, if it can.
func (w *crashWorld) journalStep() error {
	task := w.l.FlushTask()
	if task == nil {
		return nil
	}
	if err := w.l.Flushed(task, w.carryOut(task, true)); err != nil {
		return err
	}
	w.flushed = w.l.FlushedOffset()
	return nil
}

func (w *crashWorld) drainStep() error {
	if !w.journal.Drainable() {
		return nil
	}
	if err := w.journal.Drain()(); err != nil {
		w.journal.Keep(err)
		return w.l.goOffline(err) // as the flusher does with all logs
	}
	w.journal.Drained()
	return nil
}

func (w *crashWorld) syncAllStep() error {
	task := w.l.FlushTask()
	if err := w.l.Flushed(task, w.fs.SyncAll()); err != nil {
		return err
	}
	w.flushed = w.l.FlushedOffset()
	return nil
}

func (w *crashWorld) checkpointStep() error {
	return WritePositions(w.fs, []PartitionPosition{{w.tp, w.l.Position()}})
}

// truncateStep removes the last n batches and goes on in a new epoch.
func (w *crashWorld) truncateStep(n int) func() error {
	return func() error {
		keep := max(len(w.model)-n, 0)
		to := w.l.StartOffset()
		if keep > 0 {
			to = max(to, w.model[keep-1].NextOffset())
		}
		for keep < len(w.model) && w.model[keep].NextOffset() <= to { // dropped, but perhaps still on the disk
			keep++
		}
		w.epoch++
		w.flushed = min(w.flushed, to)
		return w.do(logState{min(w.l.StartOffset(), to), to, slices.Clone(w.model[:keep])}, func() error { return w.l.TruncateTo(to) })
	}
}

func (w *crashWorld) startStep(n int) func() error {
	return func() error {
		to := w.l.StartOffset() + int64(n)
		w.maxStart = max(w.maxStart, to)
		if err := WriteOffsets(w.fs, LogStartsName, []PartitionOffset{{w.tp, to}}); err != nil {
			return err
		}
		w.durableStart = to
		return w.l.AdvanceStart(to)
	}
}

func (w *crashWorld) retainStep() error {
	c := w.l.Config()
	c.RetentionTime = 15 * time.Millisecond
	w.l.Reconfigure(c)
	n, err := w.l.Retain(time.UnixMilli(w.ts), w.l.EndOffset())
	if err == nil && n == 0 {
		w.t.Fatal("nothing expired")
	}
	w.maxStart = w.l.StartOffset()
	return err
}

func (w *crashWorld) abortStep() error {
	if err := w.appendTurn(30); err != nil { // the marker
		return err
	}
	last := w.l.EndOffset() - 1
	a := AbortedTxn{ProducerID: 7, FirstOffset: last - 3, LastOffset: last, LastStableOffset: last + 1}
	w.aborted = append(slices.Clip(w.aborted), a)
	return w.l.AppendAborted(a)
}

func (w *crashWorld) snapshotStep() error {
	w.snapshot = w.l.EndOffset()
	return w.l.WriteSnapshot(w.snapshot, []byte("state"))
}

func (w *crashWorld) restartStep(offset int64) func() error {
	return func() error {
		w.flushed = 0
		if offset < w.durableStart {
			w.durableStart, w.maxStart = offset, max(w.maxStart, offset)
			if err := WriteOffsets(w.fs, LogStartsName, []PartitionOffset{{w.tp, offset}}); err != nil {
				return err
			}
		}
		if err := w.do(logState{start: offset, end: offset}, func() error { return w.l.Restart(offset) }); err != nil {
			return err
		}
		w.flushed, w.durableStart, w.maxStart = offset, offset, offset
		return nil
	}
}

func (w *crashWorld) closeStep() error {
	if err := w.l.Close(true); err != nil {
		return err
	}
	w.flushed = w.l.EndOffset()
	return w.checkpointStep()
}

// overlapStep appends while a flush is under way.
func (w *crashWorld) overlapStep(before, during, after int) func() error {
	return func() error {
		if err := w.appendTurn(before, before); err != nil {
			return err
		}
		task := w.l.FlushTask()
		if err := w.appendTurn(during); err != nil {
			return err
		}
		err := w.carryOut(task, during%2 == 0)
		if err == nil {
			err = w.appendTurn(after)
		}
		if err == nil {
			err = w.l.Flushed(task, nil)
		}
		if err == nil {
			w.flushed = w.l.FlushedOffset()
		}
		return err
	}
}

// truncateAroundStep truncates while a flush is under way.
func (w *crashWorld) truncateAroundStep(n int, first bool) func() error {
	return func() error {
		task := w.l.FlushTask()
		var err error
		if task != nil && first {
			err = w.carryOut(task, n%2 == 0)
		}
		if err == nil {
			err = w.truncateStep(n)()
		}
		if err == nil && task != nil && !first {
			err = w.carryOut(task, n%2 == 0)
		}
		if err == nil {
			err = w.appendTurn(300, 50)
		}
		if err == nil && task != nil {
			err = w.l.Flushed(task, nil)
		}
		w.flushed = min(w.flushed, w.l.FlushedOffset())
		return err
	}
}

// dropStep lets retention drop what is older than the newest n batches, between the taking of a flush and its end, and then takes the
// files off without a flush if trim is set.
func (w *crashWorld) dropStep(n int, trim bool) func() error {
	return func() error {
		task := w.l.FlushTask()
		c := w.l.Config()
		c.RetentionTime = time.Duration(n) * 10 * time.Millisecond
		w.l.Reconfigure(c)
		if _, err := w.l.Retain(time.UnixMilli(w.ts+2), w.l.EndOffset()); err != nil {
			return err
		}
		w.maxStart = max(w.maxStart, w.l.StartOffset())
		if task != nil {
			if err := w.l.Flushed(task, task.Run()); err != nil {
				return err
			}
		}
		if task = w.l.TrimTask(); trim && task != nil {
			return w.l.Flushed(task, task.Run())
		}
		if task != nil {
			w.l.flight, w.l.spare = nil, task
		}
		return nil
	}
}

// truncateInsideStep moves the log start into the last batch and cuts that batch off.
func (w *crashWorld) truncateInsideStep() error {
	if len(w.model) == 0 || w.model[len(w.model)-1].BaseOffset() < w.l.StartOffset() {
		return nil
	}
	start := w.model[len(w.model)-1].BaseOffset() + 1
	if err := w.startStep(int(start - w.l.StartOffset()))(); err != nil {
		return err
	}
	w.epoch++
	w.flushed = min(w.flushed, start-1)
	keep := len(w.model) - 1
	return w.do(logState{start, start, slices.Clone(w.model[:keep])}, func() error { return w.l.TruncateTo(start) })
}

// randomScript is a script of steps in any order.
func randomScript(seed uint64) func(w *crashWorld) error {
	return func(w *crashWorld) error {
		r := rand.New(rand.NewPCG(seed, 99))
		for i := range 40 {
			if err := w.randomStep(r)(); err != nil {
				return fmt.Errorf("step %d: %w", i, err)
			}
			w.settleReplaced()
		}
		return w.closeStep()
	}
}

func (w *crashWorld) randomStep(r *rand.Rand) func() error {
	size := func() int { return 20 + r.IntN(900) }
	switch r.IntN(40) {
	case 32, 33, 34, 35, 36, 37, 38:
		return w.journalStep
	case 39:
		return w.drainStep
	case 20, 21, 22:
		return w.compactStep(r, r.IntN(2) == 0)
	case 0, 1:
		return w.truncateStep(1 + r.IntN(8))
	case 2:
		return w.truncateAroundStep(1+r.IntN(4), r.IntN(2) == 0)
	case 3:
		return w.startStep(r.IntN(int(w.l.EndOffset()-w.l.StartOffset())/2 + 1))
	case 4:
		return w.restartStep(w.l.EndOffset() + int64(r.IntN(3))*17)
	case 5:
		return w.epochStep
	case 6, 7, 8:
		return w.checkpointStep
	case 9, 10:
		return w.overlapStep(size(), size(), size())
	case 11:
		if w.l.FlushTask() == nil {
			return w.flushStep
		}
		w.l.flight, w.l.spare = nil, w.l.flight
		return w.syncAllStep
	case 12, 13, 14:
		return w.flushStep
	case 15:
		if w.l.EndOffset()-w.l.StartOffset() < 4 {
			return w.flushStep
		}
		return w.abortStep
	case 16:
		return w.snapshotStep
	case 17:
		return w.dropStep(r.IntN(3), false)
	case 18:
		return w.dropStep(r.IntN(3), true)
	case 19:
		return w.truncateInsideStep
	}
	sizes := make([]int, 1+r.IntN(4))
	for i := range sizes {
		sizes[i] = size()
	}
	return w.appendStep(sizes...)
}

// run plays the script until the operation stopAt.
func runCrashScript(t testing.TB, stopAt int, interval int32) (*crashWorld, error) {
	return runScript(t, stopAt, interval, crashScript)
}

func runScript(t testing.TB, stopAt int, interval int32, script func(*crashWorld) error) (*crashWorld, error) {
	tp, _ := ParseDirName(testDir)
	w := &crashWorld{fixture: fixture{t: t, fs: newMemFS(), ts: 1_600_000_000_000}, tp: tp}
	w.fs.stopAt = stopAt
	o := testOptions(w.fs)
	o.Config.IndexIntervalBytes = interval
	var err error
	w.journal = NewJournal(w.fs, 12<<10, &JournalContent{})
	if err := w.journal.Begin(); err != nil {
		return w, err
	}
	if w.l, err = Create(o); err != nil {
		return w, err
	}
	return w, script(w)
}

// recoverOptions reads the checkpoints as a starting node does.
func recoverOptions(t testing.TB, files *memFS, interval int32) Options {
	t.Helper()
	o := testOptions(files)
	o.Config.IndexIntervalBytes = interval
	positions, err := ReadPositions(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(positions) > 0 {
		o.Checkpoint = &positions[0].Position
	}
	starts, err := ReadOffsets(files, LogStartsName)
	if err != nil {
		t.Fatal(err)
	}
	if len(starts) > 0 {
		o.StartOffset = starts[0].Offset
	}
	journal, err := ReadJournal(files, false)
	if err != nil {
		t.Fatal(err)
	}
	tp, _ := ParseDirName(testDir)
	o.Journal = journal.Entries[tp]
	return o
}

// TestRecoveryAfterEveryCrashPoint stops the script before every single operation on the file system, loses power in several ways,
// opens the log and checks D-RECOVER: the log is a prefix of what was appended, holds everything that was reported flushed, has no bad
// CRC, and its derived files are right. Some of the recoveries are crashed in turn.
func TestRecoveryAfterEveryCrashPoint(t *testing.T) {
	for _, interval := range []int32{200, 0} {
		whole, err := runCrashScript(t, 0, interval)
		if err != nil {
			t.Fatal(err)
		}
		total := whole.fs.ops
		if total < 200 {
			t.Fatalf("only %d operations", total)
		}
		for stop := 1; stop <= total+1; stop += stride {
			w, err := runCrashScript(t, stop, interval)
			if (err == nil) != (stop > total) || err != nil && !errors.Is(err, errStopped) {
				t.Fatalf("stopped at %d of %d: %v", stop, total, err)
			}
			if w.l == nil {
				continue
			}
			for variant := range 7 {
				checkCrash(t, w, stop, variant, interval)
			}
		}
	}
}

// TestRandomLivesSurviveCrashes does the same with scripts of random steps, stopped at random.
func TestRandomLivesSurviveCrashes(t *testing.T) {
	for seed := range uint64(60 / stride) {
		script := randomScript(seed)
		interval := int32(seed % 3 * 150)
		whole, err := runScript(t, 0, interval, script)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		r := rand.New(rand.NewPCG(seed, 7))
		for range 10 {
			stop := 1 + r.IntN(whole.fs.ops+2)
			w, err := runScript(t, stop, interval, script)
			if err != nil && !errors.Is(err, errStopped) {
				t.Fatalf("seed %d stopped at %d: %v", seed, stop, err)
			}
			if w.l == nil {
				continue
			}
			for variant := range 7 {
				checkCrash(t, w, stop, variant, interval)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func checkCrash(t *testing.T, w *crashWorld, stop, variant int, interval int32) {
	keep, page := keepSome(uint64(stop*10+variant)), 64
	switch variant {
	case 0:
		keep = keepNone
	case 1:
		keep = keepAll
	case 2:
		page = 512
	}
	files := w.fs.powerLoss(keep, page)
	defer func() {
		if t.Failed() {
			t.Logf("crashed before operation %d, variant %d; the last ones were %q", stop, variant, w.fs.trace[max(0, len(w.fs.trace)-6):])
		}
	}()
	if variant >= 5 {
		// Recovery is crashed too, somewhere, and once more.
		r := rand.New(rand.NewPCG(uint64(stop), uint64(variant)))
		for range 2 {
			if _, _, err := openIfThere(t, files, interval, 1+r.IntN(12)); err != nil && !errors.Is(err, errStopped) {
				t.Fatalf("opening: %v", err)
			}
			files = files.powerLoss(keep, page)
		}
	}
	l, r, err := openIfThere(t, files, interval, 0)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	if l == nil {
		if w.flushed > 0 {
			t.Fatalf("the directory is gone with %d flushed", w.flushed)
		}
		return
	}
	checkRecovered(t, w, l, r)
	goOn(t, files, w, l, keep, interval)
}

// openIfThere opens the log unless its directory did not survive, and dies at the operation stopAt of that.
func openIfThere(t *testing.T, files *memFS, interval int32, stopAt int) (*Log, Recovered, error) {
	if _, err := files.Stat(testDir); err != nil {
		return nil, Recovered{}, nil
	}
	o := recoverOptions(t, files, interval)
	files.stopAt = stopAt
	return Open(o)
}

func checkRecovered(t *testing.T, w *crashWorld, l *Log, r Recovered) {
	t.Helper()
	got := readLog(t, l.View(), 1<<20)
	var why []string
	for _, allowed := range w.allowed() {
		reason := allowed.explains(l, got, w)
		if reason == "" {
			checkDerived(t, w, l, got, r)
			return
		}
		why = append(why, reason)
	}
	t.Fatalf("log [%d, %d) flushed %d is not a prefix: %q", l.StartOffset(), l.EndOffset(), w.flushed, why)
}

// allowed are the states of which the log may be a prefix: the one before and the one after the operation that was interrupted.
func (w *crashWorld) allowed() []logState {
	states := []logState{{w.l.StartOffset(), w.l.EndOffset(), w.model}}
	if w.replaced != nil {
		states = append(states, w.replaced.back(states[0]))
	}
	if w.pending != nil {
		states = append(states, *w.pending)
	}
	return states
}

// explains returns why the log cannot have become what was read from l, or "".
func (s logState) explains(l *Log, got []record.Batch, w *crashWorld) string {
	if l.EndOffset() < w.flushed {
		return fmt.Sprintf("it ends at %d, below %d that were flushed", l.EndOffset(), w.flushed)
	}
	if l.StartOffset() < w.durableStart {
		return fmt.Sprintf("it starts at %d, below the checkpointed start %d", l.StartOffset(), w.durableStart)
	}
	if w.pending == nil && l.StartOffset() > w.maxStart {
		return fmt.Sprintf("it starts at %d, after %d", l.StartOffset(), w.maxStart)
	}
	var want []record.Batch
	for _, b := range s.batches {
		if b.NextOffset() > l.StartOffset() && b.NextOffset() <= l.EndOffset() {
			want = append(want, b)
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("it has %d batches where %d are expected", len(got), len(want))
	}
	for i := range got {
		if string(got[i]) != string(want[i]) {
			return fmt.Sprintf("batch %d at offset %d differs", i, got[i].BaseOffset())
		}
	}
	if len(got) > 0 && got[len(got)-1].NextOffset() != l.EndOffset() {
		return "its last batch does not end it"
	}
	if len(got) == 0 && l.EndOffset() != l.StartOffset() {
		return "it is empty but has a range"
	}
	return ""
}

// checkDerived compares everything derived with the batches.
func checkDerived(t *testing.T, w *crashWorld, l *Log, got []record.Batch, r Recovered) {
	t.Helper()
	v := l.View()
	for _, b := range got {
		if epoch := l.Epochs().At(max(b.BaseOffset(), l.StartOffset())); epoch != b.LeaderEpoch() {
			t.Fatalf("epoch at %d is %d, the batch says %d: %v", b.BaseOffset(), epoch, b.LeaderEpoch(), l.Epochs())
		}
		if b.BaseOffset() < l.StartOffset() {
			continue
		}
		span, err := v.Locate(b.LastOffset(), v.EndOffset(), 0)
		if err != nil || span.FirstOffset != b.BaseOffset() {
			t.Fatalf("locate %d: %+v %v", b.LastOffset(), span, err)
		}
		span.Release()
		if b.NumRecords() == 0 {
			continue
		}
		offset, ts, ok, err := v.OffsetForTimestamp(record.Unpacking{}, b.MaxTimestamp(), v.EndOffset())
		if err != nil || !ok || ts != b.MaxTimestamp() || offset != b.LastOffset() {
			t.Fatalf("timestamp %d of offset %d: %d %d %v %v", b.MaxTimestamp(), b.LastOffset(), offset, ts, ok, err)
		}
	}
	for _, e := range l.Epochs().All() {
		if e.StartOffset >= l.EndOffset() && l.EndOffset() > l.StartOffset() {
			t.Fatalf("epoch %v begins beyond the end %d", e, l.EndOffset())
		}
	}
	snapshots, err := l.Snapshots()
	if err != nil || len(snapshots) > 0 && (snapshots[len(snapshots)-1] > l.EndOffset() || w.pending == nil && snapshots[len(snapshots)-1] > w.snapshot) {
		t.Fatalf("snapshots %v, newest true one %d, end %d, %v", snapshots, w.snapshot, l.EndOffset(), err)
	}
	aborted, err := v.Aborted(l.StartOffset(), l.EndOffset())
	if err != nil || len(aborted) > 0 && aborted[len(aborted)-1].LastOffset >= l.EndOffset() {
		t.Fatalf("aborted %v, end %d, %v", aborted, l.EndOffset(), err)
	}
	for _, a := range w.aborted {
		if w.pending == nil && a.LastOffset >= l.StartOffset() && a.LastOffset < min(r.AbortedFrom, l.EndOffset()) && !slices.Contains(aborted, a) {
			t.Fatalf("aborted %v is not among %v, which is complete up to %d", a, aborted, r.AbortedFrom)
		}
	}
	for _, a := range aborted {
		if w.pending == nil && !slices.Contains(w.aborted, a) {
			t.Fatalf("aborted %v is not among %v", a, w.aborted)
		}
	}
}

// goOn checks that the recovered log works: it takes appends, flushes, and survives another power failure. What it appends first
// has the sizes of what was lost, so that old pages between new ones would go unnoticed but for the order of syncs.
func goOn(t *testing.T, files *memFS, w *crashWorld, l *Log, keep func() bool, interval int32) {
	t.Helper()
	x := &fixture{t: t, fs: files, l: l, model: readLog(t, l.View(), 0), epoch: w.epoch, ts: w.ts}
	for _, lost := range w.model {
		if lost.BaseOffset() != l.EndOffset() {
			continue
		}
		again := record.Batch(slices.Clone(lost))
		again[len(again)-1]++
		again.SealCRC()
		if err := l.Append([]record.Batch{again}); err != nil {
			t.Fatal(err)
		}
		x.model = append(x.model, again)
		if keep() && keep() {
			break
		}
	}
	for _, page := range []int{64, 1 << 20} { // also whole files
		y := *x
		y.fs = files.powerLoss(keep, page)
		y.goOnFlushed(interval)
	}
}

func (x *fixture) goOnFlushed(interval int32) {
	t, end := x.t, x.l.FlushedOffset()
	t.Helper()
	x.reopen(recoverOptions(t, x.fs, interval))
	if x.l.EndOffset() < end {
		t.Fatalf("ends at %d, flushed were %d", x.l.EndOffset(), end)
	}
	got := readLog(t, x.l.View(), 0)
	skip := slices.IndexFunc(x.model, func(b record.Batch) bool { return b.NextOffset() > x.l.StartOffset() })
	if len(got) > 0 {
		sameBatches(t, got, x.model[skip:][:len(got)])
	}
	x.model, x.epoch = got, x.epoch+1
	x.mustAppend(100, 900, 900, 900)
	x.flush()
	o := recoverOptions(t, x.fs.powerLoss(keepNone, 512), interval)
	x.fs, o.StartOffset = o.FS.(*memFS), x.l.StartOffset()
	if r := x.reopen(o); r.TruncatedBytes > 0 {
		t.Fatalf("flushed bytes were cut off: %+v", r)
	}
	x.check()
}
