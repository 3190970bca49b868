package storage

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

func osFS(t testing.TB) env.FS {
	t.Helper()
	files, err := osenv.New().OpenFS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return files
}

func benchConfig() protocol.LogConfig {
	c := testConfig()
	c.SegmentBytes, c.IndexIntervalBytes = 64<<20, 4096
	return c
}

// benchLog is a log on the real file system that keeps about keep bytes.
func benchLog(b *testing.B, keep int64) *Log {
	files := osFS(b)
	o := testOptions(files)
	o.Config = benchConfig()
	o.Config.RetentionBytes = keep
	l, err := Create(o)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// turn are batches of one turn that are patched for every append, as the partition does.
func turn(b *testing.B, batches, size int) []record.Batch {
	var out []record.Batch
	for i := range batches {
		out = append(out, batch(b, int64(i), 1, 0, 1_600_000_000_000, size-record.HeaderSize-12))
	}
	return out
}

func patch(batches []record.Batch, end int64) {
	for _, one := range batches {
		binary.BigEndian.PutUint64(one[record.BaseOffsetAt:], uint64(end))
		end = one.NextOffset()
	}
}

// BenchmarkAppend compares a turn's Append, with rolling segments that are promptly removed, with the bare writes of the same bytes
// to files that are rolled and removed alike.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ batches, size int }{{8, 256 << 10}, {8, 16 << 10}, {64, 1 << 10}} {
		total := int64(c.batches * c.size)
		b.Run(fmt.Sprintf("%dx%dKiB", c.batches, c.size>>10), func(b *testing.B) {
			l := benchLog(b, 192<<20)
			batches := turn(b, c.batches, c.size)
			b.SetBytes(total)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				patch(batches, l.EndOffset())
				if err := l.Append(batches); err != nil {
					b.Fatal(err)
				}
				l.View()
				if int64(i)*total%(32<<20) == 0 {
					retainNow(b, l)
				}
			}
		})
		b.Run(fmt.Sprintf("bare%dx%dKiB", c.batches, c.size>>10), func(b *testing.B) {
			bareAppend(b, turn(b, c.batches, c.size), total)
		})
	}
}

func retainNow(b *testing.B, l *Log) {
	b.Helper()
	if _, err := l.Retain(time.Time{}, l.EndOffset()); err != nil {
		b.Fatal(err)
	}
	for len(l.doomed) > 0 { // what a flush would do, without the syncs
		s := l.doomed[0]
		if err := l.removeSegment(s.base); err != nil {
			b.Fatal(err)
		}
		l.doomed = l.doomed[1:]
	}
}

func bareAppend(b *testing.B, batches []record.Batch, total int64) {
	files := osFS(b)
	var f env.File
	var err error
	size, n := int64(64<<20), 0
	vectors := make([][]byte, 0, len(batches))
	b.SetBytes(total)
	for b.Loop() {
		if size+total > 64<<20 {
			if f != nil {
				_ = f.Close()
			}
			if n >= 3 {
				_ = files.Remove(fmt.Sprint(n - 3))
			}
			if f, err = files.Create(fmt.Sprint(n)); err != nil {
				b.Fatal(err)
			}
			n, size = n+1, 0
		}
		vectors = vectors[:0]
		for _, one := range batches {
			vectors = append(vectors, one)
		}
		if _, err := f.WritevAt(vectors, size); err != nil {
			b.Fatal(err)
		}
		size += total
	}
	_ = f.Close()
}

// BenchmarkLocate finds the batches at the tail, in the middle of the active segment and in an old one.
func BenchmarkLocate(b *testing.B) {
	l := benchLog(b, -1)
	batches := turn(b, 16, 4<<10)
	for range 2000 {
		patch(batches, l.EndOffset())
		if err := l.Append(batches); err != nil {
			b.Fatal(err)
		}
	}
	task := l.FlushTask()
	if err := l.Flushed(task, task.Run()); err != nil {
		b.Fatal(err)
	}
	v := l.View()
	for name, at := range map[string]int64{"tail": v.EndOffset() - 10, "active": l.active.base + 100, "old": 1000} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := int64(0); b.Loop(); i++ {
				span, err := v.Locate(at+i%7, v.EndOffset(), 1<<20)
				if err != nil || span.Len == 0 {
					b.Fatal(err)
				}
				span.Release()
			}
		})
	}
}

// BenchmarkFlush is one small append and its fdatasync.
func BenchmarkFlush(b *testing.B) {
	l := benchLog(b, -1)
	batches := turn(b, 1, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		patch(batches, l.EndOffset())
		if err := l.Append(batches); err != nil {
			b.Fatal(err)
		}
		task := l.FlushTask()
		if err := l.Flushed(task, task.Run()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecover scans a log without a checkpoint.
func BenchmarkRecover(b *testing.B) {
	l := benchLog(b, -1)
	batches := turn(b, 16, 16<<10)
	for range 512 {
		patch(batches, l.EndOffset())
		if err := l.Append(batches); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(l.Size())
	for b.Loop() {
		o := testOptions(l.files.fs)
		o.Config = benchConfig()
		again, _, err := Open(o)
		if err != nil {
			b.Fatal(err)
		}
		again.files.Close()
	}
}

// TestTenThousandPartitions holds the cost of many idle partitions: memory of each, and the time to open them all.
func TestTenThousandPartitions(t *testing.T) {
	if testing.Short() {
		t.Skip("creates 10,000 directories")
	}
	const n = 10000
	files := osFS(t)
	cache := NewFiles(files, 0)
	options := make([]Options, n)
	for i := range options {
		tp := protocol.TopicPartition{Partition: int32(i)}
		options[i] = Options{Dir: DirName(tp), Config: benchConfig(), FS: files, Files: cache, DeferSync: true}
	}
	logs := make([]*Log, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	for i := range logs {
		var err error
		if logs[i], err = Create(options[i]); err != nil {
			t.Fatal(err)
		}
		logs[i].View()
	}
	if err := SyncCreated(files, logs...); err != nil {
		t.Fatal(err)
	}
	created := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / n
	runtime.KeepAlive(logs)
	positions := make([]PartitionPosition, n)
	for i, l := range logs {
		positions[i] = PartitionPosition{protocol.TopicPartition{Partition: int32(i)}, l.Position()}
	}
	began = time.Now()
	if err := WritePositions(files, positions); err != nil {
		t.Fatal(err)
	}
	written := time.Since(began)
	began = time.Now()
	read, err := ReadPositions(files)
	if err != nil || len(read) != n {
		t.Fatal(err)
	}
	for i := range options {
		options[i].Checkpoint = &read[i].Position
		if _, _, err := Open(options[i]); err != nil {
			t.Fatal(err)
		}
	}
	opened := time.Since(began)
	t.Logf("created in %v, %d bytes each, positions written in %v, opened in %v", created, each, written, opened)
	if each > 1100 {
		t.Errorf("%d bytes for an empty log and its view", each)
	}
	if cache.Open() != 0 {
		t.Errorf("%d files are open", cache.Open())
	}
}

// TestRealFileSystem runs the life of a log on the operating system's files.
func TestRealFileSystem(t *testing.T) {
	files := osFS(t)
	l, err := Create(testOptions(files))
	if err != nil {
		t.Fatal(err)
	}
	x := &fixture{t: t, l: l, ts: 1_600_000_000_000}
	options := func() Options {
		o := testOptions(files)
		p := x.l.Position()
		o.Checkpoint, o.StartOffset = &p, x.l.StartOffset()
		return o
	}
	for i := range 20 {
		x.mustAppend(100+i*40, 500)
		x.flush()
	}
	x.check()
	x.reopen(options())
	x.check()
	if err := x.l.TruncateTo(30); err != nil {
		t.Fatal(err)
	}
	x.model, x.epoch = x.model[:15], 1
	x.mustAppend(1500, 600)
	x.flush()
	x.check()
	if err := x.l.AdvanceStart(11); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.check()
	if err := x.l.Close(true); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Clean = true
	if r := x.reopen(o); !r.Clean {
		t.Fatalf("%+v", r)
	}
	x.check()
	if err := x.l.Delete(); err != nil {
		t.Fatal(err)
	}
	if entries, err := files.ReadDir("."); err != nil || len(entries) > 0 {
		t.Fatalf("%v, %v", entries, err)
	}
}

// TestWriteSample leaves a log in $TROUPE_SAMPLE_LOG, for Kafka's DumpLogSegments to audit.
func TestWriteSample(t *testing.T) {
	dir := os.Getenv("TROUPE_SAMPLE_LOG")
	if dir == "" {
		t.Skip("TROUPE_SAMPLE_LOG is not set")
	}
	files, err := osenv.New().OpenFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	o := testOptions(files)
	o.Dir = "sample-0"
	o.Config.SegmentBytes, o.Config.IndexIntervalBytes = 200_000, 4096
	l, err := Create(o)
	if err != nil {
		t.Fatal(err)
	}
	x := &fixture{t: t, l: l, ts: 1_600_000_000_000}
	for i := range 400 {
		x.epoch = int32(i / 100)
		x.mustAppend(100+i*7%2000, 300)
		x.ts += int64(i%5) - 12
		if i%10 == 0 {
			x.flush()
		}
	}
	last := l.EndOffset() - 1
	if err := l.AppendAborted(AbortedTxn{ProducerID: 5, FirstOffset: last - 4, LastOffset: last, LastStableOffset: last + 1}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(true); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(os.Stdout, "written to "+dir+"\n")
}
