package storage

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

const testDir = "AAAAAAAAAAAAAAAAAAAAAQ-0"

func testConfig() protocol.LogConfig {
	return protocol.LogConfig{
		Delete: true, RetentionTime: -1, RetentionBytes: -1, SegmentBytes: 2000, SegmentTime: 7 * 24 * time.Hour, IndexIntervalBytes: 200,
	}
}

func testOptions(files env.FS) Options {
	return Options{Dir: testDir, Config: testConfig(), FS: files, Files: NewFiles(files, 0)}
}

// batch builds a batch of count records with a payload of about size bytes that is different for every offset and epoch.
func batch(t testing.TB, base int64, count int, epoch int32, timestamp int64, size int) record.Batch {
	t.Helper()
	b := record.NewBuilder(record.Options{})
	r := rand.New(rand.NewPCG(uint64(base), uint64(epoch)))
	for i := range count {
		value := make([]byte, size/count+1)
		for j := range value {
			value[j] = byte(r.Uint32())
		}
		b.Append(timestamp+int64(i), nil, value, nil)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	out.SetBaseOffset(base)
	out.SetLeaderEpoch(epoch)
	return out
}

// fixture is a log with a model of what must be in it.
type fixture struct {
	t     testing.TB
	fs    *memFS
	l     *Log
	model []record.Batch
	epoch int32
	ts    int64
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	files := newMemFS()
	l, err := Create(testOptions(files))
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, fs: files, l: l, ts: 1_600_000_000_000}
}

// append appends one turn of batches of the given payload sizes, two records each.
func (x *fixture) append(sizes ...int) error {
	var turn []record.Batch
	end := x.l.EndOffset()
	for _, size := range sizes {
		x.ts += 10
		b := batch(x.t, end, 2, x.epoch, x.ts, size)
		end = b.NextOffset()
		turn = append(turn, b)
	}
	err := x.l.Append(turn)
	if err == nil {
		x.model = append(x.model, turn...)
	}
	return err
}

func (x *fixture) mustAppend(sizes ...int) {
	x.t.Helper()
	if err := x.append(sizes...); err != nil {
		x.t.Fatal(err)
	}
}

func (x *fixture) flush() {
	x.t.Helper()
	if task := x.l.FlushTask(); task != nil {
		if err := x.l.Flushed(task, task.Run()); err != nil {
			x.t.Fatal(err)
		}
	}
}

// checkpointed are the options to open the log with after the present position was checkpointed.
func (x *fixture) options() Options {
	o := testOptions(x.fs)
	p := x.l.Position()
	o.Checkpoint, o.StartOffset = &p, x.l.StartOffset()
	return o
}

func (x *fixture) reopen(o Options) Recovered {
	x.t.Helper()
	x.l.files.Close()
	l, r, err := Open(o)
	if err != nil {
		x.t.Fatal(err)
	}
	x.l = l
	return r
}

// readLog reads the whole log through a view, batch by batch with the given bound.
func readLog(t testing.TB, v *View, maxBytes int) []record.Batch {
	t.Helper()
	var all []record.Batch
	for offset := v.StartOffset(); offset < v.EndOffset(); {
		span, err := v.Locate(offset, v.EndOffset(), maxBytes)
		if err != nil {
			t.Fatalf("locate %d of [%d, %d): %v", offset, v.StartOffset(), v.EndOffset(), err)
		}
		if span.Len == 0 {
			t.Fatalf("nothing at %d of [%d, %d)", offset, v.StartOffset(), v.EndOffset())
		}
		b := make([]byte, span.Len)
		if n, err := v.Read(span, b); err != nil || n != span.Len {
			t.Fatalf("read %d bytes: %d, %v", span.Len, n, err)
		}
		span.Release()
		for len(b) > 0 {
			size, err := record.Peek(b)
			if err != nil {
				t.Fatalf("span at %d: %v", offset, err)
			}
			one := record.Batch(b[:size])
			if one.CRC() != one.ComputeCRC() {
				t.Fatalf("a batch with a bad CRC was served at %d", one.BaseOffset())
			}
			all = append(all, one)
			offset = one.NextOffset()
			b = b[size:]
		}
		if offset != span.NextOffset {
			t.Fatalf("span says next offset %d, its batches %d", span.NextOffset, offset)
		}
	}
	return all
}

// check reads the log in several ways and compares with the model from the log start on.
func (x *fixture) check() {
	x.t.Helper()
	v := x.l.View()
	var want []record.Batch
	for _, b := range x.model {
		if b.NextOffset() > x.l.StartOffset() {
			want = append(want, b)
		}
	}
	for _, maxBytes := range []int{0, 700, 1 << 20} {
		sameBatches(x.t, readLog(x.t, v, maxBytes), want)
	}
	if len(want) > 0 && want[len(want)-1].NextOffset() != x.l.EndOffset() {
		x.t.Fatalf("log ends at %d, model at %d", x.l.EndOffset(), want[len(want)-1].NextOffset())
	}
	for _, b := range want {
		for offset := b.BaseOffset(); offset <= b.LastOffset(); offset++ {
			if offset < x.l.StartOffset() {
				continue
			}
			span, err := v.Locate(offset, v.EndOffset(), 1)
			if err != nil || span.FirstOffset != b.BaseOffset() || span.Len != len(b) {
				x.t.Fatalf("locate %d: %+v, %v, want the batch at %d of %d bytes", offset, span, err, b.BaseOffset(), len(b))
			}
			span.Release()
		}
	}
}

func sameBatches(t testing.TB, got, want []record.Batch) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("batch %d is [%d, %d] epoch %d, want [%d, %d] epoch %d", i, got[i].BaseOffset(), got[i].LastOffset(), got[i].LeaderEpoch(),
				want[i].BaseOffset(), want[i].LastOffset(), want[i].LeaderEpoch())
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d batches, want %d", len(got), len(want))
	}
}

func TestLogReturnsWhatWasAppended(t *testing.T) {
	x := newFixture(t)
	for i := range 60 {
		x.mustAppend(50+i*7%300, 100, 20)
		if i%7 == 0 {
			x.flush()
		}
		if i%20 == 0 {
			x.check()
		}
	}
	x.flush()
	x.check()
	if x.l.segments() < 5 {
		t.Fatalf("%d segments, the test wants several", x.l.segments())
	}
	if x.l.FlushedOffset() != x.l.EndOffset() {
		t.Fatalf("flushed %d of %d", x.l.FlushedOffset(), x.l.EndOffset())
	}
}

func TestLogSurvivesCleanRestartUnread(t *testing.T) {
	x := newFixture(t)
	for range 30 {
		x.mustAppend(100, 200)
	}
	if err := x.l.Close(true); err != nil {
		t.Fatal(err)
	}
	o := x.options()
	o.Clean = true
	reads := 0
	x.fs.fail = func(op, name string) (int, error) {
		if strings.HasSuffix(name, logSuffix) {
			reads++
		}
		return 0, nil
	}
	r := x.reopen(o)
	if !r.Clean || r.Batches > 0 || reads > 0 || len(r.Notes) > 0 {
		t.Fatalf("a clean start read %d times: %+v", reads, r)
	}
	x.check()
	x.mustAppend(100, 1500, 100)
	x.check()
	x.flush()
	r = x.reopen(x.options())
	if r.Clean || r.TruncatedBytes > 0 {
		t.Fatalf("%+v", r)
	}
	x.check()
}

func TestLogRefusesBatchesOutOfOrder(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100)
	if err := x.l.Append([]record.Batch{batch(t, 1, 2, 0, 0, 10)}); !errors.Is(err, ErrOutOfOrder) {
		t.Fatalf("overlap: %v", err)
	}
	x.mustAppend(100)
	x.check()
}

func TestFullDiskIsACleanRefusal(t *testing.T) {
	for _, during := range []string{"write", "create"} {
		t.Run(during, func(t *testing.T) {
			x := newFixture(t)
			x.mustAppend(300, 300, 300)
			x.flush()
			full := true
			x.fs.fail = func(op, name string) (int, error) {
				if full && op == during && strings.HasSuffix(name, logSuffix) {
					return 500, &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
				}
				return 0, nil
			}
			for range 3 {
				// Larger than a segment, so that the turn rolls in its middle.
				if err := x.append(400, 400, 800, 900); !errors.Is(err, ErrRefused) {
					t.Fatalf("append: %v", err)
				}
				x.check()
			}
			full = false
			x.mustAppend(400, 400, 800, 900)
			x.flush()
			x.check()
			x.reopen(x.options())
			x.check()
		})
	}
}

func TestFullDiskUndoesATurnThatRolled(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(300)
	x.flush()
	writes := 0
	x.fs.fail = func(op, name string) (int, error) {
		if op == "write" && strings.HasSuffix(name, logSuffix) {
			if writes++; writes == 3 {
				return 70, &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
			}
		}
		return 0, nil
	}
	if err := x.append(1500, 1500, 1500, 1500); !errors.Is(err, ErrRefused) {
		t.Fatalf("append: %v", err)
	}
	x.check()
	if x.l.segments() != 1 {
		t.Fatalf("%d segments are left", x.l.segments())
	}
	x.mustAppend(1500, 1500, 1500)
	x.check()
	x.flush()
	if r := x.reopen(x.options()); r.TruncatedBytes != 0 {
		t.Fatalf("%+v", r)
	}
	x.check()
}

func TestErrorsTakeTheLogOffline(t *testing.T) {
	eio := &fs.PathError{Op: "x", Path: "y", Err: syscall.EIO}
	for _, at := range []string{"write", "sync", "syncdir", "truncate after ENOSPC"} {
		t.Run(at, func(t *testing.T) {
			x := newFixture(t)
			x.mustAppend(100)
			x.fs.fail = func(op, name string) (int, error) {
				if at == "truncate after ENOSPC" {
					switch op {
					case "write":
						return 10, syscall.ENOSPC
					case "truncate":
						return 0, eio
					}
				}
				if op == at {
					return 20, eio
				}
				return 0, nil
			}
			var err error
			if at == "sync" || at == "syncdir" {
				task := x.l.FlushTask()
				err = x.l.Flushed(task, task.Run())
			} else {
				err = x.append(100)
			}
			if !errors.Is(err, ErrOffline) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("first failure: %v", err)
			}
			x.fs.fail = nil
			if err := x.append(100); !errors.Is(err, ErrOffline) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("after the failure: %v", err)
			}
			if task := x.l.FlushTask(); task != nil {
				t.Fatal("an offline log wants a flush")
			}
			if x.l.FlushedOffset() != 0 {
				t.Fatalf("flushed %d", x.l.FlushedOffset())
			}
		})
	}
}

func TestGoldenTrace(t *testing.T) {
	x := newFixture(t)
	step := func(name, want string) {
		t.Helper()
		got := strings.ReplaceAll(x.fs.takeTrace(), testDir, "D")
		if want = strings.ReplaceAll(strings.TrimSpace(want), "\t", ""); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
	step("create", `mkdir D
		syncdir .`)
	x.mustAppend(100, 200)
	step("first append", `create D/00000000000000000000.log
		write D/00000000000000000000.log 0+458`)
	x.flush()
	step("first flush", `sync D/00000000000000000000.log
		create D/leader-epoch-checkpoint.tmp
		write D/leader-epoch-checkpoint.tmp 0+8
		sync D/leader-epoch-checkpoint.tmp
		rename D/leader-epoch-checkpoint.tmp leader-epoch-checkpoint
		syncdir D`)
	x.mustAppend(100)
	x.flush()
	step("flush", `write D/00000000000000000000.log 458+177
		sync D/00000000000000000000.log`)
	x.mustAppend(1000, 1000, 100)
	step("roll", `write D/00000000000000000000.log 635+1081
		create D/00000000000000000008.log
		write D/00000000000000000008.log 0+1258`)
	x.flush()
	step("flush after a roll", `create D/00000000000000000000.index
		write D/00000000000000000000.index 0+8
		sync D/00000000000000000000.index
		create D/00000000000000000000.timeindex
		write D/00000000000000000000.timeindex 0+24
		sync D/00000000000000000000.timeindex
		sync D/00000000000000000000.log
		sync D/00000000000000000008.log
		syncdir D`)
	if err := x.l.AdvanceStart(9); err != nil {
		t.Fatal(err)
	}
	step("delete records", ``)
	x.flush()
	step("flush after delete records", `create D/leader-epoch-checkpoint.tmp
		write D/leader-epoch-checkpoint.tmp 0+8
		sync D/leader-epoch-checkpoint.tmp
		rename D/leader-epoch-checkpoint.tmp leader-epoch-checkpoint
		syncdir D
		rename D/00000000000000000000.log 00000000000000000000.log.deleted
		syncdir D
		remove D/00000000000000000000.log.deleted
		remove D/00000000000000000000.index
		remove D/00000000000000000000.timeindex`)
	if err := x.l.Delete(); err != nil {
		t.Fatal(err)
	}
	step("delete", `rename D D-delete
		syncdir .
		removeall D-delete`)
}
