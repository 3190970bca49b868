package storage

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/record"
)

// randomLog appends turns of random batches, with offset gaps as compaction leaves them and timestamps that go back and forth.
func randomLog(t testing.TB, r *rand.Rand, turns int) *fixture {
	x := newFixture(t)
	c := testConfig()
	c.IndexIntervalBytes = int32(r.IntN(400))
	c.SegmentBytes = int64(1000 + r.IntN(5000))
	x.l.Reconfigure(c)
	for range turns {
		x.randomTurn(r)
		if r.IntN(4) == 0 {
			x.flush()
		}
	}
	return x
}

func (x *fixture) randomTurn(r *rand.Rand) {
	x.t.Helper()
	var turn []record.Batch
	end := x.l.EndOffset()
	for range 1 + r.IntN(6) {
		if r.IntN(5) == 0 {
			end += int64(r.IntN(10))
		}
		x.ts += int64(r.IntN(40)) - 15
		b := batch(x.t, end, 1+r.IntN(5), x.epoch, x.ts, r.IntN(300))
		end = b.NextOffset()
		turn = append(turn, b)
	}
	if err := x.l.Append(turn); err != nil {
		x.t.Fatal(err)
	}
	x.model = append(x.model, turn...)
}

// expect is Locate on the model. ok is false if nothing is there.
func (x *fixture) expect(offset, upTo int64, maxBytes int) (first, last record.Batch, size int, ok bool) {
	upTo = min(upTo, x.l.EndOffset())
	if offset >= upTo {
		return nil, nil, 0, false
	}
	var bases []int64
	for _, s := range x.l.all() {
		bases = append(bases, s.base)
	}
	segment := func(b record.Batch) int {
		i, found := slices.BinarySearch(bases, b.BaseOffset())
		if found {
			return i
		}
		return i - 1
	}
	i := slices.IndexFunc(x.model, func(b record.Batch) bool { return b.LastOffset() >= offset })
	if x.model[i].BaseOffset() >= upTo {
		return nil, nil, 0, false
	}
	first, last, size = x.model[i], x.model[i], len(x.model[i])
	for _, b := range x.model[i+1:] {
		if b.BaseOffset() >= upTo || size+len(b) > maxBytes || segment(b) != segment(first) {
			break
		}
		last, size = b, size+len(b)
	}
	return first, last, size, true
}

func (x *fixture) checkLocate(r *rand.Rand, n int) {
	x.t.Helper()
	v := x.l.View()
	for range n {
		offset := x.l.StartOffset() + r.Int64N(x.l.EndOffset()-x.l.StartOffset()+1)
		upTo, maxBytes := x.l.EndOffset(), r.IntN(4000)
		if r.IntN(2) == 0 {
			upTo = offset + r.Int64N(30)
		}
		if r.IntN(4) == 0 {
			maxBytes = 1 << 20
		}
		first, last, size, ok := x.expect(offset, upTo, maxBytes)
		span, err := v.Locate(offset, upTo, maxBytes)
		if err != nil {
			x.t.Fatalf("locate %d: %v", offset, err)
		}
		if (span.Len > 0) != ok || ok && (span.Len != size || span.FirstOffset != first.BaseOffset()) {
			x.t.Fatalf("locate(%d, %d, %d) = %+v, want %d bytes from %d", offset, upTo, maxBytes, span, size, first.BaseOffset())
		}
		if ok && (span.NextOffset < last.NextOffset() || span.NextOffset > x.after(last)) {
			x.t.Fatalf("locate(%d, %d, %d) = %+v, the last batch ends at %d", offset, upTo, maxBytes, span, last.NextOffset())
		}
		if ok {
			b := make([]byte, record.HeaderSize)
			if _, err := v.Read(span, b); err != nil || !bytes.Equal(b, first[:record.HeaderSize]) {
				x.t.Fatalf("the span at %d does not begin with its first batch: %v", offset, err)
			}
		}
		span.Release()
	}
}

// after is the base of the batch after b, or the end of the log.
func (x *fixture) after(b record.Batch) int64 {
	for _, next := range x.model {
		if next.BaseOffset() >= b.NextOffset() {
			return next.BaseOffset()
		}
	}
	return x.l.EndOffset()
}

func TestLocateAgreesWithTheModel(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		x := randomLog(t, r, 40)
		x.checkLocate(r, 300)
		x.flush()
		x.reopen(x.options())
		x.checkLocate(r, 300)
		for range 10 {
			x.randomTurn(r)
		}
		x.checkLocate(r, 300)
		x.checkTimestamps(r, 60)
		if open := x.fs.open; open > x.l.files.Open() {
			t.Fatalf("%d files are open, the cache knows of %d", open, x.l.files.Open())
		}
	}
}

// checkTimestamps compares the searches by timestamp with a walk over all records.
func (x *fixture) checkTimestamps(r *rand.Rand, n int) {
	x.t.Helper()
	v := x.l.View()
	type point struct{ offset, ts int64 }
	var all []point
	for _, b := range x.model {
		_ = b.Each(nil, func(rec record.Record) error { all = append(all, point{rec.Offset, rec.Timestamp}); return nil })
	}
	for range n {
		at := all[r.IntN(len(all))]
		ts, upTo := at.ts+int64(r.IntN(5))-2, x.l.StartOffset()+r.Int64N(x.l.EndOffset()-x.l.StartOffset()+1)
		want, best := point{-1, -1}, point{-1, -1}
		for _, p := range all {
			if p.offset < upTo && p.offset >= x.l.StartOffset() {
				if p.ts >= ts && want.offset < 0 {
					want = p
				}
				if p.ts > best.ts {
					best = p
				}
			}
		}
		offset, timestamp, ok, err := v.OffsetForTimestamp(record.Unpacking{}, ts, upTo)
		if err != nil || ok != (want.offset >= 0) || ok && (point{offset, timestamp}) != want {
			x.t.Fatalf("OffsetForTimestamp(%d, %d) = %d, %d, %v, %v, want %v", ts, upTo, offset, timestamp, ok, err, want)
		}
		b := slices.IndexFunc(x.model, func(b record.Batch) bool { return b.NextOffset() > upTo })
		if b >= 0 && x.model[b].BaseOffset() < upTo {
			continue // a bound within a batch: MaxTimestamp looks at whole batches
		}
		offset, timestamp, ok, err = v.MaxTimestamp(record.Unpacking{}, upTo)
		if err != nil || ok != (best.offset >= 0) || ok && (point{offset, timestamp}) != best {
			x.t.Fatalf("MaxTimestamp(%d) = %d, %d, %v, %v, want %v", upTo, offset, timestamp, ok, err, best)
		}
	}
}

func TestLocateRefusesWhatIsOutside(t *testing.T) {
	x := newFixture(t)
	v := x.l.View()
	if span, err := v.Locate(0, 100, 100); err != nil || span.Len != 0 {
		t.Fatalf("an empty log: %+v, %v", span, err)
	}
	x.mustAppend(100)
	v = x.l.View()
	for _, offset := range []int64{-1, 3} {
		if _, err := v.Locate(offset, 100, 100); !errors.Is(err, ErrOutOfRange) {
			t.Fatalf("offset %d: %v", offset, err)
		}
	}
	if span, err := v.Locate(2, 100, 100); err != nil || span.Len != 0 {
		t.Fatalf("the end: %+v, %v", span, err)
	}
	if x.l.View() != v {
		t.Fatal("a new view although nothing changed")
	}
}

func TestSpanOutlivesItsSegment(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(900, 900, 900, 900, 900)
	x.flush()
	old := x.l.View()
	span, err := old.Locate(0, old.EndOffset(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.l.AdvanceStart(8); err != nil {
		t.Fatal(err)
	}
	x.flush()
	got := make([]byte, span.Len)
	if _, err := old.Read(span, got); err != nil || !bytes.Equal(got, x.model[0]) {
		t.Fatalf("the span changed: %v", err)
	}
	span.Release()
	if _, err := old.Locate(0, old.EndOffset(), 100); !errors.Is(err, ErrOutOfRange) {
		t.Fatalf("a removed segment: %v", err)
	}
	if x.fs.open > x.l.files.Open() {
		t.Fatalf("%d files open, the cache knows of %d", x.fs.open, x.l.files.Open())
	}
	x.check()
}

func TestTruncationMakesViewsStale(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100, 100, 100)
	old := x.l.View()
	span, err := old.Locate(4, 6, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer span.Release()
	if err := x.l.TruncateTo(4); err != nil {
		t.Fatal(err)
	}
	x.model = x.model[:2]
	if _, err := old.Locate(0, 6, 1000); !errors.Is(err, ErrStale) {
		t.Fatalf("locate: %v", err)
	}
	if _, err := old.Read(span, make([]byte, 1000)); !errors.Is(err, ErrStale) {
		t.Fatalf("read: %v", err)
	}
	if _, _, _, err := old.OffsetForTimestamp(record.Unpacking{}, 0, 6); !errors.Is(err, ErrStale) {
		t.Fatalf("timestamp: %v", err)
	}
	x.check()
}

// flip changes a byte on the disk.
func (x *fixture) flip(b record.Batch, at int) {
	for _, s := range x.l.all() {
		n, err := x.fs.find(s.path(logSuffix))
		if err != nil {
			x.t.Fatal(err)
		}
		if i := bytes.Index(n.data, b); i >= 0 {
			n.data[i+at] ^= 0x10
			return
		}
	}
	x.t.Fatal("the batch is not on the disk")
}

func TestRottenBytesFoundOnDiskAreNeverServed(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(300, 300, 300)
	x.mustAppend(300, 300, 300, 300)
	x.flush()
	x.flip(x.model[1], 100)
	x.reopen(x.options())
	v := x.l.View()
	span, err := v.Locate(0, v.EndOffset(), 1<<20)
	if err != nil || span.Len != len(x.model[0]) || span.NextOffset != 2 {
		t.Fatalf("before the damage: %+v, %v", span, err)
	}
	span.Release()
	var where *Corruption
	if _, err := v.Locate(2, v.EndOffset(), 1<<20); !errors.Is(err, ErrCorrupt) || !errors.As(err, &where) || where.Offset != 2 {
		t.Fatalf("at the damage: %v", err)
	}
	span, err = v.Locate(4, v.EndOffset(), 1<<20)
	if err != nil || span.FirstOffset != 4 {
		t.Fatalf("after the damage: %+v, %v", span, err)
	}
	span.Release()
	if _, _, _, err := v.OffsetForTimestamp(record.Unpacking{}, x.model[1].MaxTimestamp(), v.EndOffset()); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("by timestamp: %v", err)
	}
}

// No CRC covers a base offset. With offsets that do not leave gaps, any wrong bit in one makes two batches overlap, and then none of what
// a reader is given may be wrong or left out.
func TestRottenBaseOffsetIsNeverServed(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		x := newFixture(t)
		c := testConfig()
		c.IndexIntervalBytes, c.SegmentBytes = int32(r.IntN(1000)), int64(1000+r.IntN(5000))
		x.l.Reconfigure(c)
		for range 30 {
			x.mustAppend(r.IntN(300), r.IntN(300))
		}
		x.flush()
		x.rotBaseOffset(x.model[r.IntN(len(x.model))], r)
		x.l.files.Close()
		l, _, err := Open(x.options())
		if errors.Is(err, ErrCorrupt) {
			continue // below the position, so refused as a whole
		}
		if err != nil {
			t.Fatal(err)
		}
		x.l = l
		x.checkServed(r, 200)
		x.readOn(r)
	}
}

func (x *fixture) rotBaseOffset(b record.Batch, r *rand.Rand) {
	for _, s := range x.l.all() {
		n, err := x.fs.find(s.path(logSuffix))
		if err != nil {
			x.t.Fatal(err)
		}
		if i := bytes.Index(n.data, b); i >= 0 {
			n.data[i+7-r.IntN(3)] ^= 1 << r.IntN(8)
		}
	}
}

// checkServed locates at random and compares every byte that can be read.
func (x *fixture) checkServed(r *rand.Rand, n int) {
	v := x.l.View()
	for range n {
		x.served(v, r.Int64N(x.l.EndOffset()), r.IntN(4000))
	}
}

// readOn reads like a consumer does, one span after the other.
func (x *fixture) readOn(r *rand.Rand) {
	v := x.l.View()
	for offset := int64(0); offset < x.l.EndOffset(); {
		next := x.served(v, offset, r.IntN(1000))
		if next == offset {
			next = offset + 1 + r.Int64N(5) // refused; what comes later may be readable
		}
		offset = next
	}
}

// served checks one read and returns the offset after it; offset if it was refused.
func (x *fixture) served(v *View, offset int64, maxBytes int) int64 {
	x.t.Helper()
	span, err := v.Locate(offset, v.EndOffset(), maxBytes)
	if errors.Is(err, ErrCorrupt) {
		return offset
	}
	if err != nil {
		x.t.Fatal(err)
	}
	defer span.Release()
	got := make([]byte, span.Len)
	if _, err := v.Read(span, got); err != nil {
		x.t.Fatal(err)
	}
	i := slices.IndexFunc(x.model, func(b record.Batch) bool { return b.LastOffset() >= offset })
	var want []byte
	for ; len(want) < len(got); i++ {
		want = append(want, x.model[i]...)
	}
	if !bytes.Equal(got, want) || span.NextOffset != x.model[i-1].NextOffset() {
		x.t.Fatalf("locate(%d, %d) = %+v: not what was written", offset, maxBytes, span)
	}
	return span.NextOffset
}

func TestColdBytesAreVerifiedOnce(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(300, 300, 300)
	x.flush()
	x.reopen(x.options())
	v := x.l.View()
	var reads int
	x.fs.fail = func(op, _ string) (int, error) {
		if op == "read" {
			reads++
		}
		return 0, nil
	}
	locate := func(offset int64) int {
		reads = 0
		span, err := v.Locate(offset, v.EndOffset(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		span.Release()
		return reads
	}
	if first, second := locate(0), locate(0); second >= first {
		t.Fatalf("%d reads the first time, %d the second", first, second)
	}
	// What was verified has rotted since: Locate does not know, Scrub does.
	x.flip(x.model[1], 200)
	locate(0)
	if _, err := v.Scrub(nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("scrub: %v", err)
	}
}

func TestScrubReadsEverything(t *testing.T) {
	x := newFixture(t)
	for range 10 {
		x.mustAppend(500, 300)
	}
	r, err := x.l.View().Scrub(nil)
	if err != nil || r.Batches != 20 || r.Bytes != x.l.Size() || r.Gaps != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err = x.l.View().Scrub(func(n int64) bool { return n < 1000 })
	if err != nil || r.Batches > 4 {
		t.Fatalf("stopped: %+v, %v", r, err)
	}
	gap := batch(t, x.l.EndOffset()+5, 2, 0, x.ts, 10)
	if err := x.l.Append([]record.Batch{gap}); err != nil {
		t.Fatal(err)
	}
	if r, err = x.l.View().Scrub(nil); err != nil || r.Gaps != 1 {
		t.Fatalf("with a gap: %+v, %v", r, err)
	}
}

func TestExtentsMergeAndAreBounded(t *testing.T) {
	c := &cold{end: 1 << 20}
	for i := range int64(extentsKept + 4) {
		c.add(extent{i * 100, i*100 + 10 + i})
	}
	if len(c.good) != extentsKept || c.good[0].from != 400 {
		t.Fatalf("%v", c.good)
	}
	c.add(extent{410, 1000})
	c.add(extent{390, 400})
	if c.covered(395) != 1020 || c.covered(389) != 389 {
		t.Fatalf("%v", c.good)
	}
	if s := c.cut(1010); s.covered(395) != 1010 || s.end != 1010 {
		t.Fatalf("%v", s.good)
	}
}

// TestIndexFilesAreRebuilt damages the index files of rolled segments in every way and reads through them.
func TestIndexFilesAreRebuilt(t *testing.T) {
	damages := map[string]func(x *fixture, name string){
		"missing":   func(x *fixture, name string) { _ = x.fs.Remove(name) },
		"empty":     func(x *fixture, name string) { x.fs.node(name).data = nil },
		"short":     func(x *fixture, name string) { n := x.fs.node(name); n.data = n.data[:len(n.data)/24/2*24] },
		"torn":      func(x *fixture, name string) { n := x.fs.node(name); n.data = n.data[:len(n.data)-3] },
		"zeros":     func(x *fixture, name string) { clear(x.fs.node(name).data) },
		"noise":     func(x *fixture, name string) { n := x.fs.node(name); rand.NewChaCha8([32]byte{}).Read(n.data) },
		"off":       func(x *fixture, name string) { n := x.fs.node(name); n.data[len(n.data)/2/24*24+7]++ },
		"allocated": func(x *fixture, name string) { n := x.fs.node(name); n.data = append(n.data, make([]byte, 4096)...) },
	}
	for name, damage := range damages {
		for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
			t.Run(name+suffix, func(t *testing.T) {
				x := newFixture(t)
				c := testConfig()
				c.SegmentBytes, c.IndexIntervalBytes = 8000, 100
				x.l.Reconfigure(c)
				for range 100 {
					x.mustAppend(150)
				}
				x.flush()
				for _, s := range x.l.rolled {
					damage(x, s.path(suffix))
				}
				o := x.options()
				o.Config = c
				x.reopen(o)
				x.check()
				x.checkTimestamps(rand.New(rand.NewPCG(1, 1)), 50)
				if name != "off" { // which shows only when that entry is used
					x.checkIndexFiles()
				}
			})
		}
	}
}

func (m *memFS) node(name string) *node {
	n, err := m.find(name)
	if err != nil {
		panic(err)
	}
	return n
}

// checkIndexFiles compares every entry of the index files with the batches, as DumpLogSegments does.
func (x *fixture) checkIndexFiles() {
	x.t.Helper()
	for _, s := range x.l.rolled {
		data := x.fs.node(s.path(logSuffix)).data
		at := map[int64]record.Batch{}
		ending := map[int64]record.Batch{}
		for pos := 0; pos < len(data); {
			size, err := record.Peek(data[pos:])
			if err != nil {
				x.t.Fatal(err)
			}
			b := record.Batch(data[pos : pos+size])
			at[int64(pos)], ending[b.LastOffset()] = b, b
			pos += size
		}
		index := x.fs.node(s.path(indexSuffix)).data
		if len(index)%indexEntrySize != 0 || len(data) > 2000 && len(index) == 0 {
			x.t.Fatalf("%d bytes of index for %d", len(index), len(data))
		}
		for last := (offsetEntry{}); len(index) > 0; index = index[indexEntrySize:] {
			e := offsetEntryOf(index)
			if b := at[int64(e.pos)]; b == nil || b.LastOffset() != s.base+int64(e.rel) || e.pos <= last.pos || e.rel <= last.rel {
				x.t.Fatalf("index entry %+v after %+v", e, last)
			}
			last = e
		}
		times, largest := x.fs.node(s.path(timeIndexSuffix)).data, int64(-1)
		for _, b := range ending {
			largest = max(largest, b.MaxTimestamp())
		}
		last := timeEntry{timestamp: -1}
		for ; len(times) > 0; times = times[timeIndexEntrySize:] {
			e := timeEntryOf(times)
			if b := ending[s.base+int64(e.rel)]; b == nil || b.MaxTimestamp() != e.timestamp || e.timestamp <= last.timestamp {
				x.t.Fatalf("time index entry %+v after %+v", e, last)
			}
			last = e
		}
		if last.timestamp != largest {
			x.t.Fatalf("last time index entry %+v, largest timestamp %d", last, largest)
		}
	}
}

func TestFilesStayWithinTheirBound(t *testing.T) {
	files := newMemFS()
	cache := NewFiles(files, 4)
	var logs []*fixture
	for i := range 12 {
		o := testOptions(files)
		o.Files, o.Dir = cache, strings.Repeat("A", 20)+string(rune('a'+i))+"Q-0"
		l, err := Create(o)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, &fixture{t: t, fs: files, l: l, ts: 1})
	}
	for range 5 {
		for i, x := range logs {
			x.mustAppend(100, 1500, 1500)
			if i%2 == 0 {
				x.flush()
			}
			if cache.Open() > 4 || files.open > 4 {
				t.Fatalf("%d files open", files.open)
			}
		}
	}
	for _, x := range logs {
		x.check()
	}
	span, err := logs[0].l.View().Locate(0, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	cache.Close()
	if files.open != 1 {
		t.Fatalf("%d files open, one is pinned", files.open)
	}
	span.Release()
	if files.open != 0 {
		t.Fatalf("%d files open after everything was closed", files.open)
	}
}

// TestReadersRunBesideTheActor reads from several goroutines while the log is appended to, flushed, rolled, retained and truncated.
func TestReadersRunBesideTheActor(t *testing.T) {
	x := newFixture(t)
	c := testConfig()
	c.RetentionTime = 400 * time.Millisecond
	x.l.Reconfigure(c)
	var published atomic.Pointer[View]
	x.mustAppend(100)
	published.Store(x.l.View())
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 5))
			for {
				select {
				case <-stop:
					return
				default:
					readSome(t, published.Load(), r)
				}
			}
		})
	}
	tasks, done := make(chan *FlushTask), make(chan error)
	go func() {
		for task := range tasks {
			done <- task.Run()
		}
	}()
	var flying *FlushTask
	for i := range 1500 {
		x.mustAppend(100+i%900, 50)
		if flying == nil {
			if flying = x.l.FlushTask(); flying != nil {
				tasks <- flying
			}
		} else if i%3 == 0 {
			if err := x.l.Flushed(flying, <-done); err != nil {
				t.Fatal(err)
			}
			flying = nil
		}
		if i%50 == 0 {
			if _, err := x.l.Retain(time.UnixMilli(x.ts), x.l.EndOffset()); err != nil {
				t.Fatal(err)
			}
		}
		if i%400 == 399 {
			if err := x.l.TruncateTo(x.model[len(x.model)-5].NextOffset()); err != nil {
				t.Fatal(err)
			}
			x.model, x.epoch = x.model[:len(x.model)-4], x.epoch+1
		}
		published.Store(x.l.View())
	}
	if flying != nil {
		if err := x.l.Flushed(flying, <-done); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	close(tasks)
	readers.Wait()
	x.check()
}

func readSome(t *testing.T, v *View, r *rand.Rand) {
	offset := v.StartOffset() + r.Int64N(v.EndOffset()-v.StartOffset())
	span, err := v.Locate(offset, v.EndOffset(), r.IntN(3000))
	if errors.Is(err, ErrStale) || errors.Is(err, ErrOutOfRange) {
		return
	}
	if err != nil {
		t.Errorf("locate %d: %v", offset, err)
		return
	}
	defer span.Release()
	b := make([]byte, span.Len)
	if _, err := v.Read(span, b); err != nil {
		if !errors.Is(err, ErrStale) {
			t.Errorf("read: %v", err)
		}
		return
	}
	for len(b) > 0 {
		size, err := record.Peek(b)
		if err != nil || record.Batch(b[:size]).ComputeCRC() != record.Batch(b).CRC() {
			t.Errorf("served a broken batch: %v", err)
			return
		}
		b = b[size:]
	}
	if _, _, _, err := v.OffsetForTimestamp(record.Unpacking{}, 1_600_000_000_000+r.Int64N(10_000), v.EndOffset()); err != nil && !errors.Is(err, ErrStale) {
		t.Errorf("timestamp: %v", err)
	}
}
