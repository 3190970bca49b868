package storage

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/record"
)

// flushedFixture is a log of several segments of which all but the last append is flushed, and the options to open it.
func flushedFixture(t *testing.T) (*fixture, Options) {
	x := newFixture(t)
	x.mustAppend(900, 900, 900, 900, 300)
	x.flush()
	o := x.options()
	x.mustAppend(200, 300)
	return x, o
}

func (x *fixture) last() *node { return x.fs.node(x.l.active.path(logSuffix)) }

func TestTornTailIsCutAndReported(t *testing.T) {
	for name, c := range map[string]struct {
		tear   func(x *fixture, n *node)
		left   int // batches of the unflushed two that survive
		beyond bool
	}{
		"whole":         {func(*fixture, *node) {}, 2, false},
		"last byte":     {func(_ *fixture, n *node) { n.data = n.data[:len(n.data)-1] }, 1, false},
		"half a header": {func(x *fixture, n *node) { n.data = n.data[:len(n.data)-len(x.model[6])+30] }, 1, false},
		"zeros":         {func(x *fixture, n *node) { clear(n.data[len(n.data)-len(x.model[6]):]) }, 1, false},
		"zeros beyond":  {func(_ *fixture, n *node) { n.data = append(n.data, make([]byte, 5000)...) }, 2, false},
		"first lost":    {func(x *fixture, n *node) { n.data[len(n.data)-len(x.model[6])-5] ^= 1 }, 0, true},
		"noise": {func(_ *fixture, n *node) {
			n.data = append(n.data, "noise noise noise noise noise noise noise noise noise noise noise"...)
		}, 2, false},
		"both lost": {func(x *fixture, n *node) { n.data = n.data[:len(n.data)-len(x.model[6])-len(x.model[5])] }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			x, o := flushedFixture(t)
			n := x.last()
			c.tear(x, n)
			size := len(n.data)
			r := x.reopen(o)
			x.model = x.model[:5+c.left]
			x.check()
			cut := int64(size - len(n.data))
			if r.Batches != c.left || r.TruncatedBytes != cut || (cut > 0) != (r.Reason != "") || cut > 0 && r.TruncatedAt != x.l.EndOffset() || r.IntactBeyond != c.beyond {
				t.Fatalf("%+v, %d bytes are gone", r, cut)
			}
			if x.l.FlushedOffset() != 10 {
				t.Fatalf("flushed %d: what was scanned is not known to be durable", x.l.FlushedOffset())
			}
			x.flush()
			x.mustAppend(100, 2000)
			x.flush()
			x.reopen(x.options())
			x.check()
		})
	}
}

// A log that lost anything below its durable position does not open, and nothing in it is changed.
func TestLossBelowTheCheckpointIsRefused(t *testing.T) {
	for name, damage := range map[string]func(x *fixture){
		"short":           func(x *fixture) { n := x.last(); n.data = n.data[:100] },
		"segment missing": func(x *fixture) { _ = x.fs.Remove(x.l.active.path(logSuffix)) },
		"all missing":     func(x *fixture) { x.fs.node(testDir).names = map[string]*node{} },
		"last two missing": func(x *fixture) {
			_ = x.fs.Remove(x.l.active.path(logSuffix))
			_ = x.fs.Remove(x.l.rolled[1].path(logSuffix))
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, o := flushedFixture(t)
			damage(x)
			x.fs.takeTrace()
			if _, _, err := Open(o); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("opened: %v", err)
			}
			if trace := x.fs.takeTrace(); strings.Contains(trace, ".log") {
				t.Fatalf("changed: %s", trace)
			}
		})
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	x, o := flushedFixture(t)
	put := func(name string, data []byte) {
		f, err := x.fs.Create(testDir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	leftovers := []string{
		offsetName(77, logSuffix+deletedSuffix), offsetName(2, logSuffix+cleanedSuffix), offsetName(2, indexSuffix+cleanedSuffix),
		offsetName(4, logSuffix+swapSuffix), "leader-epoch-checkpoint.tmp", offsetName(900, indexSuffix), offsetName(901, txnIndexSuffix),
		offsetName(1_000_000, snapshotSuffix), offsetName(500, logSuffix), offsetName(600, logSuffix),
	}
	for _, name := range leftovers {
		put(name, []byte("what is this"))
	}
	x.fs.node(testDir + "/" + offsetName(500, logSuffix)).data = nil
	kept := []string{"partition.metadata", offsetName(3, snapshotSuffix), "nonsense", "1.log"}
	for _, name := range kept {
		put(name, []byte("keep"))
	}
	r := x.reopen(o)
	x.check()
	if r.TruncatedSegments != 2 {
		t.Fatalf("%+v", r)
	}
	entries, _ := x.fs.ReadDir(testDir)
	for _, e := range entries {
		if slices.Contains(leftovers, e.Name) {
			t.Errorf("%s is still there", e.Name)
		}
	}
	for _, name := range kept {
		if _, err := x.fs.Stat(testDir + "/" + name); err != nil {
			t.Error(err)
		}
	}
	// And they stay away.
	if entries, _ := x.fs.powerLoss(keepNone, 64).ReadDir(testDir); slices.ContainsFunc(entries, func(e env.Entry) bool { return slices.Contains(leftovers, e.Name) }) {
		t.Errorf("leftovers come back: %v", entries)
	}
}

// A finished compaction whose output was not yet put in place is put in place.
func TestSwapIsFinished(t *testing.T) {
	x, o := flushedFixture(t)
	first := x.l.rolled[0]
	// The output is the first segment without its first batch.
	n := x.fs.node(first.path(logSuffix))
	compacted := &node{data: slices.Clone(n.data[len(x.model[0]):])}
	x.fs.node(testDir).names[offsetName(0, logSuffix+swapSuffix)] = compacted
	r := x.reopen(o)
	if len(r.Notes) == 0 {
		t.Fatal("not reported")
	}
	sameBatches(t, readLog(t, x.l.View(), 100), x.model[1:])
	if _, err := x.fs.Stat(testDir + "/" + offsetName(0, logSuffix+swapSuffix)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the swap is still there: %v", err)
	}
}

func TestSegmentsThatDoNotContinueAreCut(t *testing.T) {
	for name, rename := range map[string]int64{"gap": 20, "overlap": 13} {
		t.Run(name, func(t *testing.T) {
			x := newFixture(t)
			x.mustAppend(900, 900)
			x.flush()
			o := x.options()
			x.mustAppend(900, 900, 900, 900, 900, 100)
			names := x.fs.node(testDir).names
			from := offsetName(x.l.active.base, logSuffix)
			names[offsetName(rename, logSuffix)] = names[from]
			delete(names, from)
			r := x.reopen(o)
			cut := slices.IndexFunc(x.model, func(b record.Batch) bool { return b.BaseOffset() == 12 })
			x.model = x.model[:cut]
			x.check()
			if r.TruncatedSegments == 0 || r.Reason == "" {
				t.Fatalf("%+v", r)
			}
		})
	}
}

// Index entries of the active segment that a crash left although their batches are not there are replaced.
func TestStaleIndexOfTheActiveSegment(t *testing.T) {
	x := newFixture(t)
	c := testConfig()
	c.SegmentBytes, c.IndexIntervalBytes = 1<<20, 100
	x.l.Reconfigure(c)
	for range 2 * indexKeep {
		x.mustAppend(100)
		x.flush()
	}
	index := x.fs.node(x.l.active.path(indexSuffix))
	for at := 0; at < len(index.data); at += indexEntrySize {
		index.data[at+7] ^= 1 // position
	}
	o := x.options()
	o.Config = c
	x.reopen(o)
	x.check()
	x.mustAppend(100)
	if err := x.l.Roll(); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.checkIndexFiles()
	if n := len(index.data); n < 200*indexEntrySize {
		t.Fatalf("%d bytes of index", n)
	}
}

// What was written before a truncation may come back behind what was written after it; its epoch gives it away.
func TestEpochsThatGoBackAreCut(t *testing.T) {
	x := newFixture(t)
	x.epoch = 4
	x.mustAppend(100)
	x.flush()
	o := x.options()
	x.mustAppend(100, 100)
	n := x.last()
	old := record.Batch(n.data[len(n.data)-len(x.model[2]):])
	old.SetLeaderEpoch(3)
	r := x.reopen(o)
	x.model = x.model[:2]
	x.check()
	if !strings.Contains(r.Reason, "epoch 3 after 4") {
		t.Fatalf("%+v", r)
	}
}

func TestCleanStartDoubtsWhatIsNotClean(t *testing.T) {
	for name, damage := range map[string]func(x *fixture){
		"index missing": func(x *fixture) { _ = x.fs.Remove(x.l.active.path(indexSuffix)) },
		"more bytes":    func(x *fixture) { x.last().data = append(x.last().data, "tail"...) },
		"more segments": func(x *fixture) { x.fs.node(testDir).names[offsetName(700, logSuffix)] = &node{} },
		"no epochs":     func(x *fixture) { _ = x.fs.Remove(testDir + "/" + epochsName) },
		"bad epochs":    func(x *fixture) { x.fs.node(testDir + "/" + epochsName).data = []byte("0\n9\n") },
	} {
		t.Run(name, func(t *testing.T) {
			x, _ := flushedFixture(t)
			x.mustAppend(200, 200, 200, 200)
			x.mustAppend(300, 300, 300)
			if err := x.l.Close(true); err != nil {
				t.Fatal(err)
			}
			o := x.options()
			o.Clean = true
			damage(x)
			if r := x.reopen(o); r.Clean || len(r.Notes)+int(r.TruncatedBytes) == 0 {
				t.Fatalf("%+v", r)
			}
			x.check()
			if x.l.LastEpoch() != 0 {
				t.Fatalf("epoch %d", x.l.LastEpoch())
			}
			x.flush()
			x.checkIndexFiles()
		})
	}
}

func TestReplayDeliversWhatProducersNeed(t *testing.T) {
	x, o := flushedFixture(t)
	for _, from := range []int64{0, 1, 4, 11, 14, 20} {
		var got []record.Batch
		o.ReplayFrom = from
		o.Replay = func(b record.Batch) error {
			got = append(got, slices.Clone(b))
			return nil
		}
		x.reopen(o)
		var want []record.Batch
		for _, b := range x.model {
			if b.LastOffset() >= from {
				want = append(want, b)
			}
		}
		sameBatches(t, got, want)
	}
	stop := errors.New("stop")
	o.ReplayFrom, o.Replay = 0, func(record.Batch) error { return stop }
	if _, _, err := Open(o); !errors.Is(err, stop) {
		t.Fatalf("%v", err)
	}
}

func TestStartBeyondTheRecoveredEnd(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100)
	o := testOptions(x.fs)
	o.StartOffset = 50
	x.reopen(o)
	x.model = nil
	if x.l.StartOffset() != 50 || x.l.EndOffset() != 50 {
		t.Fatalf("[%d, %d)", x.l.StartOffset(), x.l.EndOffset())
	}
	x.mustAppend(100)
	x.check()
}

func TestCreateRefusesAnExistingDirectory(t *testing.T) {
	x := newFixture(t)
	if _, err := Create(testOptions(x.fs)); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("%v", err)
	}
	o := testOptions(x.fs)
	o.Dir = "elsewhere"
	if _, _, err := Open(o); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%v", err)
	}
	o.StartOffset, o.DeferSync = 100, true
	l, err := Create(o)
	if err != nil || l.StartOffset() != 100 || l.EndOffset() != 100 {
		t.Fatalf("%v", err)
	}
	if err := SyncCreated(x.fs, l); err != nil {
		t.Fatal(err)
	}
	p := l.Position()
	o.FS = x.fs.powerLoss(keepNone, 64)
	o.Files, o.Checkpoint, o.StartOffset = NewFiles(o.FS, 0), &p, 0
	if l, _, err = Open(o); err != nil || l.EndOffset() != 100 {
		t.Fatalf("%v", err)
	}
}

// FuzzSegmentRecover opens arbitrary bytes: nothing panics, what is recovered is a valid log, and opening it again changes nothing.
func FuzzSegmentRecover(f *testing.F) {
	x := &fixture{t: f, fs: newMemFS(), ts: 1000}
	l, err := Create(testOptions(x.fs))
	if err != nil {
		f.Fatal(err)
	}
	x.l = l
	x.mustAppend(600, 600, 600, 600, 600)
	x.flush()
	log := x.fs.node(l.rolled[0].path(logSuffix)).data
	index, times := x.fs.node(l.rolled[0].path(indexSuffix)).data, x.fs.node(l.rolled[0].path(timeIndexSuffix)).data
	epochs := x.fs.node(testDir + "/" + epochsName).data
	f.Add(log, index, times, []byte{}, epochs, []byte{}, int64(0), int64(0), true)
	f.Add(log, index, times, AbortedTxn{1, 2, 3, 4}.appendTo(nil), epochs, encodeLowered(Position{Lowered: 1, Offset: 2, Bytes: 377}, false), int64(2), int64(377), false)
	f.Add(log[:len(log)-9], []byte("garbage!"), []byte("garbage, too"), []byte{}, []byte("0\n1\n0 0\n"), encodeLowered(Position{Lowered: 1, Offset: 9, Segment: 9}, true), int64(8), int64(len(log)), true)
	f.Fuzz(func(t *testing.T, log, index, times, txns, epochs, lowered []byte, offset, bytes int64, seal bool) {
		if seal {
			sealAll(log)
		}
		files := newMemFS()
		dir := newDir()
		files.root.names[testDir] = dir
		for name, data := range map[string][]byte{
			offsetName(0, logSuffix): log, offsetName(0, indexSuffix): index, offsetName(0, timeIndexSuffix): times,
			offsetName(0, txnIndexSuffix): txns, epochsName: epochs, loweredName: lowered, offsetName(3, snapshotSuffix): lowered,
		} {
			if len(data) > 0 {
				dir.names[name] = &node{data: slices.Clone(data)}
			}
		}
		o := testOptions(files)
		if offset > 0 && bytes > 0 {
			o.Checkpoint = &Position{Offset: offset, Bytes: bytes, MaxTimestamp: noTimestamp, Epoch: NoEpoch}
		}
		l, _, err := Open(o)
		if err != nil {
			return
		}
		v := l.View()
		if _, err := v.Scrub(nil); o.Checkpoint == nil && lowered == nil && err != nil {
			t.Fatalf("recovered without a checkpoint: %v", err)
		}
		_, _, _, _ = v.OffsetForTimestamp(record.Unpacking{}, 1020, v.EndOffset())
		_, _, _, _ = v.MaxTimestamp(record.Unpacking{}, v.EndOffset())
		_, _ = v.Aborted(v.StartOffset(), v.EndOffset())
		for at := v.StartOffset(); at < v.EndOffset(); at += 1 + (v.EndOffset()-v.StartOffset())/20 {
			span, err := v.Locate(at, v.EndOffset(), 500)
			if err == nil {
				readSpan(t, v, span)
				span.Release()
			}
		}
		x := &fixture{t: t, fs: files, l: l}
		if v.EndOffset() > 1<<40 {
			return
		}
		x.epoch = max(l.LastEpoch(), 0)
		if x.epoch < 1<<30 {
			x.mustAppend(100)
		}
		x.flush()
		start, end := l.StartOffset(), l.EndOffset()
		o = x.options()
		again, r, err := Open(o)
		if err != nil || r.TruncatedBytes > 0 || again.StartOffset() != start || again.EndOffset() != end {
			t.Fatalf("opened again: [%d, %d) instead of [%d, %d), %+v, %v", again.StartOffset(), again.EndOffset(), start, end, r, err)
		}
	})
}

// sealAll gives every batch a right CRC, so that fuzzing reaches what comes after that check.
func sealAll(b []byte) {
	for {
		size, err := record.Peek(b)
		if err != nil {
			return
		}
		record.Batch(b[:size]).SealCRC()
		b = b[size:]
	}
}

// readSpan checks that a span holds whole, intact batches.
func readSpan(t *testing.T, v *View, span Span) {
	b := make([]byte, span.Len)
	if _, err := v.Read(span, b); err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		size, err := record.Peek(b)
		if err != nil || record.Batch(b[:size]).ComputeCRC() != record.Batch(b).CRC() {
			t.Fatalf("a broken batch was served: %v", err)
		}
		b = b[size:]
	}
}
