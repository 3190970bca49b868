package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// StorageLog runs one partition/storage.Log, without actors, through several lives that end in crashes at any disk operation, and
// compares what every recovery finds with what was written.
//
// The promise (D-RECOVER): the recovered log is a prefix of what was appended, holds at least everything below FlushedOffset, and
// nothing of what a finished TruncateTo cut off; reads and searches by time agree with the records.
func StorageLog(seed uint64, trace io.Writer) *sim.World {
	return storageLog(seed, trace, func(*sim.Disk) {})
}

func storageLog(seed uint64, trace io.Writer, prepare func(*sim.Disk)) *sim.World {
	w := sim.NewWorld(seed, trace)
	r := &storageRun{w: w, rng: w.Stream("storage"), host: w.NewHost("n0")}
	prepare(r.host.Disk)
	r.host.Disk.Writeback = []float64{0, 0.05, 0.3}[r.rng.IntN(3)]
	r.config = protocol.LogConfig{
		Delete: true, RetentionTime: -1, RetentionBytes: -1, SegmentBytes: r.rng.Between(300, 4000), SegmentTime: time.Hour,
		IndexIntervalBytes: int32(r.rng.Between(0, 600)), MaxMessageBytes: 1 << 20,
	}
	if r.rng.Chance(0.3) {
		r.config.RetentionBytes = r.config.SegmentBytes * 3
	}
	r.truncates = r.rng.Chance(0.4)
	r.os = r.rng.Chance(0.5)
	for life := 0; life < 4 && len(w.Failures()) == 0; life++ {
		r.life(life)
	}
	return w
}

type storageRun struct {
	w      *sim.World
	host   *sim.Host
	rng    *sim.Stream
	config protocol.LogConfig
	// batches is what the log should hold, at most; what is below floor it must hold.
	batches   []record.Batch
	floor     int64
	truncates bool
	os        bool // what is not flushed counts too, as with durability=os: records may be deleted before they are durable

	// What the host of the partition would keep, durable at once.
	checkpoint *storage.Position
	saved      int64 // log start
	clean      bool

	process *sim.Process
	log     *storage.Log
	task    *storage.FlushTask
	value   int64
	epoch   int32
}

const storageDir = "p-0"

func (r *storageRun) life(n int) {
	r.process, r.log = r.host.Boot(), nil
	r.host.Disk.Injected = 0
	files, err := r.process.Env().OpenFS("logs")
	if err != nil {
		r.w.Fail("open file system: %v", err)
		return
	}
	r.drawFaults(n)
	if r.open(files) {
		for i := 0; i < 60 && !r.process.Dead() && len(r.w.Failures()) == 0; i++ {
			r.w.RunFor(time.Second)
			r.step()
		}
	}
	r.host.Disk.Heal()
	r.end()
	r.task = nil
}

// drawFaults draws at which disk operation this life ends, and sometimes an operation that fails.
func (r *storageRun) drawFaults(life int) {
	d := r.host.Disk
	if r.rng.Chance(0.8) {
		effect := sim.CrashBefore
		if r.rng.Chance(0.5) {
			effect = sim.CrashAfter
		}
		d.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Skip: r.rng.IntN(40 + 150*min(1, life)), Times: 1, Effect: effect})
	}
	if r.rng.Chance(0.2) {
		op := []sim.Op{sim.OpWrite, sim.OpSync, sim.OpSyncDir, sim.OpCreate, sim.OpRead, sim.OpAny}[r.rng.IntN(6)]
		effect := []sim.Effect{sim.EIO, sim.ENOSPC, sim.Short}[r.rng.IntN(3)]
		if op == sim.OpRead || op == sim.OpAny {
			effect = sim.EIO
		}
		d.Inject(&sim.Rule{Op: op, Pattern: "*", Skip: r.rng.IntN(100), Times: 1, Effect: effect})
	}
}

// open creates or recovers the log and compares it with what was written; false if it could not, with an excuse.
func (r *storageRun) open(files env.FS) bool {
	o := storage.Options{
		Dir: storageDir, Config: r.config, FS: files, Files: storage.NewFiles(files, 4), Checkpoint: r.checkpoint, StartOffset: r.saved, Clean: r.clean,
	}
	r.clean = false
	var err error
	var found storage.Recovered
	if _, statErr := files.Stat(storageDir); errors.Is(statErr, fs.ErrNotExist) {
		if r.floor > 0 {
			r.w.Fail("the directory of a log with %d flushed offsets is gone: %v", r.floor, statErr)
			return false
		}
		r.batches, r.checkpoint, r.saved = nil, nil, 0
		o.Checkpoint, o.StartOffset = nil, 0
		r.log, err = storage.Create(o)
	} else {
		r.log, found, err = storage.Open(o)
	}
	if err != nil {
		if r.host.Disk.Injected == 0 && !r.process.Dead() {
			r.w.Fail("open: %v", err)
		}
		return false
	}
	r.w.Trace.Printf("recovered %+v", found)
	return r.compare("recovered")
}

// compare reads the whole log and holds it against the batches; what is there beyond the floor settles what is known from now on.
func (r *storageRun) compare(when string) bool {
	l := r.log
	end, start := l.EndOffset(), l.StartOffset()
	v := l.View()
	offset, i := start, 0
	for i < len(r.batches) && r.batches[i].LastOffset() < start {
		i++
	}
	for ; offset < end; i++ {
		span, err := v.Locate(offset, end, 1)
		if err != nil {
			return r.excuse("%s: locating %d in [%d, %d): %v", when, offset, start, end, err)
		}
		buf := make([]byte, span.Len)
		_, err = v.Read(span, buf)
		span.Release()
		if err != nil {
			return r.excuse("%s: reading %d: %v", when, offset, err)
		}
		if i >= len(r.batches) || !bytes.Equal(buf, r.batches[i]) {
			return r.fail("%s: at offset %d lie other bytes than were written", when, offset)
		}
		offset = span.NextOffset
	}
	if end < r.floor {
		return r.fail("%s: the log ends at %d, %d was flushed", when, end, r.floor)
	}
	if when == "recovered" {
		r.batches = r.batches[:i]
	} else if i != len(r.batches) {
		return r.fail("%s: the log has %d batches, %d were appended", when, i, len(r.batches))
	}
	return r.searchByTime(v, end)
}

func (r *storageRun) searchByTime(v *storage.View, end int64) bool {
	if end == v.StartOffset() {
		return true
	}
	at := r.rng.Between(0, r.value*10+5)
	want := int64(-1)
	for _, b := range r.batches {
		if b.LastOffset() >= v.StartOffset() && b.MaxTimestamp() >= at && want < 0 {
			want = b.BaseOffset() // one record a batch
		}
	}
	got, _, ok, err := v.OffsetForTimestamp(record.Unpacking{}, at, end)
	if err != nil {
		return r.excuse("searching for time %d: %v", at, err)
	}
	if !ok {
		got = -1
	}
	if got != want {
		return r.fail("time %d is at offset %d, found %d", at, want, got)
	}
	return true
}

func (r *storageRun) fail(format string, args ...any) bool {
	r.w.Fail(format, args...)
	return false
}

// excuse fails unless a fault was injected or the process is gone.
func (r *storageRun) excuse(format string, args ...any) bool {
	if r.host.Disk.Injected == 0 && !r.process.Dead() {
		r.w.Fail(format, args...)
	}
	return false
}

// step does one thing to the log.
func (r *storageRun) step() {
	l := r.log
	before := l.EndOffset()
	var err error
	switch n := r.rng.IntN(20); {
	case n < 9:
		err = r.append()
	case n < 14:
		err = r.flush()
	case n == 14:
		p := l.Position()
		r.checkpoint = &p
	case n == 15:
		limit := l.FlushedOffset()
		if r.os {
			limit = l.EndOffset()
		}
		to := r.rng.Between(l.StartOffset(), limit)
		r.saved = max(r.saved, to)
		err = l.AdvanceStart(to)
	case n == 16 && (r.os || l.FlushedOffset() == l.EndOffset()):
		var to int64
		if to, err = l.Expired(r.process.Env().Clock.Now(), l.EndOffset()); err == nil && to > l.StartOffset() {
			r.saved = max(r.saved, to)
			err = l.AdvanceStart(to)
		}
	case n == 17 && r.truncates:
		err = r.truncate()
	case n == 18 && r.rng.Chance(0.3):
		err = l.Roll()
	case n == 19:
		r.compare("running")
	}
	r.w.Trace.Printf("[%d, %d) flushed to %d, floor %d, saved start %d, error %v", l.StartOffset(), l.EndOffset(), l.FlushedOffset(), r.floor, r.saved, err)
	if r.process.Dead() {
		return
	}
	if err != nil {
		r.judge(err, before)
	}
}

// judge holds an error against what may fail: only injected faults do; a full disk leaves the log as it was, anything else takes it
// offline for good.
func (r *storageRun) judge(err error, end int64) {
	switch {
	case r.host.Disk.Injected == 0:
		r.w.Fail("without a fault: %v", err)
	case errors.Is(err, storage.ErrRefused):
		if r.log.EndOffset() != end || r.log.Err() != nil {
			r.w.Fail("after %v the log ends at %d instead of %d (%v)", err, r.log.EndOffset(), end, r.log.Err())
		}
	case r.log.Err() != nil:
		if again := r.append(); again == nil {
			r.w.Fail("a log that went offline takes appends again, after %v", err)
		}
		r.process.Kill()
	}
}

func (r *storageRun) append() error {
	var batches []record.Batch
	next := r.log.EndOffset()
	for range 1 + r.rng.IntN(4) {
		r.value++
		if r.rng.Chance(0.02) {
			r.epoch++
		}
		b := record.NewBuilder(record.Options{})
		b.Append(r.value*10, nil, bytes.Repeat([]byte{byte(r.value)}, int(r.rng.Between(0, 300))), nil)
		batch, err := b.Build()
		if err != nil {
			return fmt.Errorf("build: %w", err)
		}
		batch.SetBaseOffset(next)
		batch.SetLeaderEpoch(r.epoch)
		next = batch.NextOffset()
		batches = append(batches, batch)
	}
	kept := make([]record.Batch, len(batches))
	for i, b := range batches {
		kept[i] = bytes.Clone(b)
	}
	err := r.log.Append(batches)
	if err == nil || r.process.Dead() || r.log.Err() != nil {
		r.batches = append(r.batches, kept...) // after a failure: perhaps
	}
	for _, b := range batches {
		clear(b) // the bytes are not the log's any more
	}
	return err
}

// flush takes, runs or finishes a flush task, so that other things happen in between.
func (r *storageRun) flush() error {
	if r.task == nil {
		if r.task = r.log.FlushTask(); r.task == nil {
			return nil
		}
		if r.rng.Chance(0.3) {
			return nil
		}
	}
	task := r.task
	r.task = nil
	err := task.Run()
	if r.process.Dead() {
		return nil
	}
	if err := r.log.Flushed(task, err); err != nil {
		return err
	}
	if r.log.FlushedOffset() > r.log.EndOffset() {
		r.w.Fail("flushed to %d, the log ends at %d", r.log.FlushedOffset(), r.log.EndOffset())
	}
	r.floor = max(r.floor, r.log.FlushedOffset())
	return nil
}

func (r *storageRun) truncate() error {
	l := r.log
	to := r.rng.Between(max(l.StartOffset(), l.EndOffset()-6), l.EndOffset())
	r.floor = min(r.floor, to)
	if err := l.TruncateTo(to); err != nil {
		return err
	}
	if r.process.Dead() {
		return nil
	}
	for len(r.batches) > 0 && r.batches[len(r.batches)-1].BaseOffset() >= l.EndOffset() {
		r.batches = r.batches[:len(r.batches)-1]
	}
	if l.EndOffset() > to {
		r.w.Fail("truncated to %d, the log ends at %d", to, l.EndOffset())
	}
	return nil
}

// end ends a life: cleanly, by kill -9 or by power loss.
func (r *storageRun) end() {
	if r.process.Dead() {
		if r.rng.Chance(0.7) {
			r.process.PowerLoss(sim.DrawCrash(r.rng))
		} else {
			r.process.Kill()
		}
		return
	}
	switch n := r.rng.IntN(3); {
	case n == 0 && r.log != nil && r.log.Err() == nil && r.task == nil:
		r.closeClean()
	case n == 1:
		r.process.Kill()
	default:
		r.process.PowerLoss(sim.DrawCrash(r.rng))
	}
}

func (r *storageRun) closeClean() {
	if err := r.log.Close(true); err != nil {
		r.w.Fail("clean close: %v", err)
		return
	}
	p := r.log.Position()
	if err := r.host.Disk.Inspect("logs").SyncAll(); err != nil {
		r.w.Fail("sync: %v", err)
	}
	r.checkpoint, r.clean, r.floor = &p, true, r.log.EndOffset()
	r.saved = max(r.saved, r.log.StartOffset())
	r.process.PowerLoss(sim.DrawCrash(r.rng))
}
