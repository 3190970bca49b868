// Cases from Kafka's LeaderEpochFileCacheTest.

package storage

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

func epochsOf(pairs ...int64) Epochs {
	var e Epochs
	for i := 0; i < len(pairs); i += 2 {
		e, _ = e.assign(int32(pairs[i]), pairs[i+1])
	}
	return e
}

func TestEpochEnd(t *testing.T) {
	for _, c := range []struct {
		name      string
		epochs    Epochs
		asked     int32
		epoch     int32
		endOffset int64
	}{
		{"nothing known", Epochs{}, 0, NoEpoch, NoOffset},
		{"undefined asked", epochsOf(2, 5), NoEpoch, NoEpoch, NoOffset},
		{"the latest ends at the log end", epochsOf(2, 5, 3, 8), 3, 3, 100},
		{"an earlier one ends where the next begins", epochsOf(1, 11, 2, 12, 3, 13), 2, 2, 13},
		{"a gap in epochs: the one before", epochsOf(1, 11, 2, 12, 4, 13), 3, 2, 13},
		{"before the first: where it begins", epochsOf(5, 11, 6, 12, 7, 13), 4, 4, 11},
		{"beyond the latest", epochsOf(5, 11, 6, 12), 7, NoEpoch, NoOffset},
		{"bumped without data", epochsOf(0, 0, 1, 3, 2, 3), 0, 0, 3},
	} {
		if epoch, end := c.epochs.End(c.asked, 100); epoch != c.epoch || end != c.endOffset {
			t.Errorf("%s: %d, %d, want %d, %d", c.name, epoch, end, c.epoch, c.endOffset)
		}
	}
}

func TestEpochAssign(t *testing.T) {
	for _, c := range []struct {
		name     string
		got      Epochs
		expected []Epoch
	}{
		{"the same epoch again changes nothing", epochsOf(2, 6, 2, 7), []Epoch{{2, 6}}},
		{"the same epoch earlier moves it", epochsOf(2, 6, 2, 5), []Epoch{{2, 5}}},
		{"an epoch at the same offset replaces the empty one", epochsOf(2, 6, 3, 6), []Epoch{{3, 6}}},
		{"an epoch at a lower offset replaces what lies beyond", epochsOf(2, 6, 3, 8, 4, 7), []Epoch{{2, 6}, {4, 7}}},
		{"an older epoch replaces newer ones", epochsOf(2, 6, 5, 8, 3, 9), []Epoch{{2, 6}, {3, 9}}},
		{"negative ones are nothing", epochsOf(-1, 3, 2, -1), nil},
	} {
		if !slices.Equal(c.got.All(), c.expected) {
			t.Errorf("%s: %v, want %v", c.name, c.got.All(), c.expected)
		}
	}
}

func TestEpochTruncation(t *testing.T) {
	e := epochsOf(2, 6, 3, 8, 4, 11)
	for _, c := range []struct {
		name     string
		got      Epochs
		expected []Epoch
	}{
		{"end within", e.before(9), []Epoch{{2, 6}, {3, 8}}},
		{"end on a boundary", e.before(8), []Epoch{{2, 6}}},
		{"end before all", e.before(6), nil},
		{"end after all", e.before(12), e.All()},
		{"start within the first", e.from(7), []Epoch{{2, 7}, {3, 8}, {4, 11}}},
		{"start on a boundary", e.from(8), []Epoch{{3, 8}, {4, 11}}},
		{"start within the second", e.from(9), []Epoch{{3, 9}, {4, 11}}},
		{"start before all", e.from(1), e.All()},
		{"start after all", e.from(1000), []Epoch{{4, 1000}}},
		{"start of nothing", Epochs{}.from(5), nil},
	} {
		if !slices.Equal(c.got.All(), c.expected) {
			t.Errorf("%s: %v, want %v", c.name, c.got.All(), c.expected)
		}
	}
	if !slices.Equal(e.All(), []Epoch{{2, 6}, {3, 8}, {4, 11}}) {
		t.Fatalf("changed: %v", e)
	}
}

func TestEpochsAreImmutable(t *testing.T) {
	e := epochsOf(1, 0, 2, 10)
	short := e.before(10)
	a, _ := short.assign(5, 20)
	b, _ := short.assign(6, 30)
	if !slices.Equal(e.All(), []Epoch{{1, 0}, {2, 10}}) || a.Last() != 5 || b.Last() != 6 {
		t.Fatalf("%v %v %v", e, a, b)
	}
}

func TestEpochCheckpointFormat(t *testing.T) {
	e := epochsOf(0, 0, 3, 17, 4, 1<<40)
	if text := string(e.encode()); text != "0\n3\n0 0\n3 17\n4 1099511627776\n" {
		t.Fatalf("%q", text)
	}
	if got, err := parseEpochs(e.encode()); err != nil || !slices.Equal(got.All(), e.All()) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "0", "1\n0\n", "0\n1\n", "0\n1\n0\n", "0\n1\na 1\n", "0\n1\n1 b\n", "0\n1\n-1 0\n", "0\n2\n1 5\n1 6\n", "0\n2\n1 5\n2 5\n", "0\n0\n1 1\n"} {
		if got, err := parseEpochs([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzEpochCheckpoint(f *testing.F) {
	f.Add([]byte("0\n3\n0 0\n3 17\n4 1099511627776\n"))
	f.Add([]byte("0\n0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEpochs(b)
		if err != nil {
			return
		}
		again, err := parseEpochs(e.encode())
		if err != nil || !slices.Equal(again.All(), e.All()) {
			t.Fatalf("%v became %v, %v", e, again, err)
		}
		for i, entry := range e.All() {
			if i > 0 && (entry.Epoch <= e.list[i-1].Epoch || entry.StartOffset <= e.list[i-1].StartOffset) {
				t.Fatalf("not increasing: %v", e)
			}
		}
	})
}

func TestEpochsSurviveRestarts(t *testing.T) {
	x := newFixture(t)
	for i := range 8 {
		x.epoch = int32(2 * i)
		x.l.AssignEpoch(x.epoch, x.l.EndOffset())
		x.mustAppend(600, 300)
		if i == 4 {
			x.flush()
		}
	}
	want := slices.Clone(x.l.Epochs().All())
	x.reopen(x.options())
	if !slices.Equal(x.l.Epochs().All(), want) {
		t.Fatalf("%v, want %v", x.l.Epochs(), want)
	}
	if epoch, end := x.l.EpochEnd(5); epoch != 4 || end != want[3].StartOffset {
		t.Fatalf("epoch 5 ends as %d, %d", epoch, end)
	}
	if err := x.l.SyncEpochs(); err != nil {
		t.Fatal(err)
	}
	if e, err := parseEpochs(x.fs.powerLoss(keepNone, 64).node(testDir + "/" + epochsName).data); err != nil || !slices.Equal(e.All(), want) {
		t.Fatalf("%v, %v", e, err)
	}
	x.l.AssignEpoch(99, x.l.EndOffset())
	x.fs.fail = func(string, string) (int, error) { return 0, errors.New("broken") }
	if err := x.l.SyncEpochs(); !errors.Is(err, ErrOffline) {
		t.Fatalf("%v", err)
	}
}

// An index of many entries is searched, not read; a reader behind its last entry does not open it.
func TestLongTransactionIndexIsSearched(t *testing.T) {
	x := newFixture(t)
	var want []AbortedTxn
	const n = 3*abortedChunk + 7
	for i := range int64(n) {
		x.mustAppend(1)
		x.mustAppend(1)
		last := x.l.EndOffset() - 1
		want = append(want, AbortedTxn{ProducerID: i, FirstOffset: last - 1, LastOffset: last, LastStableOffset: min(last+1, 5)})
	}
	long := AbortedTxn{ProducerID: n, FirstOffset: 5, LastOffset: x.l.EndOffset(), LastStableOffset: x.l.EndOffset() + 1}
	x.mustAppend(1)
	want = append(want, long)
	if err := x.l.AppendAborted(want...); err != nil {
		t.Fatal(err)
	}
	for _, s := range x.l.all() {
		s.lastAborted.Store(0) // as after a start
	}
	end := x.l.EndOffset()
	for _, r := range [][2]int64{{0, end}, {0, 1}, {end - 3, end}, {end - 1, end}, {701, 750}, {2 * abortedChunk, 2*abortedChunk + 1}} {
		var expected []AbortedTxn
		for _, a := range want {
			if a.LastOffset >= r[0] && a.FirstOffset < r[1] {
				expected = append(expected, a)
			}
		}
		if got, err := x.l.View().Aborted(r[0], r[1]); err != nil || !slices.Equal(got, expected) {
			t.Errorf("[%d, %d): %d transactions, want %d, %v", r[0], r[1], len(got), len(expected), err)
		}
	}
	x.mustAppend(1)
	v := x.l.View()
	if err := x.fs.Remove(x.l.segmentAt(end - 1).path(txnIndexSuffix)); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Aborted(end, end+1); err != nil || len(got) != 0 {
		t.Errorf("behind the last entry: %v, %v", got, err)
	}
	if _, err := v.Aborted(long.LastOffset, end); err == nil {
		t.Error("the index is gone, and nobody noticed")
	}
}

func TestAbortedTransactions(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	x := newFixture(t)
	var want []AbortedTxn
	for i := range 60 {
		x.mustAppend(200 + r.IntN(300))
		if i%3 == 2 {
			last := x.l.EndOffset() - 1
			a := AbortedTxn{ProducerID: int64(i), FirstOffset: last - 1 - r.Int64N(4), LastOffset: last, LastStableOffset: last + 1}
			want = append(want, a)
			if err := x.l.AppendAborted(a); err != nil {
				t.Fatal(err)
			}
		}
		if i%10 == 0 {
			x.flush()
		}
	}
	check := func() {
		t.Helper()
		v := x.l.View()
		for range 100 {
			from := r.Int64N(x.l.EndOffset())
			upTo := from + r.Int64N(x.l.EndOffset()-from+1)
			var expected []AbortedTxn
			for _, a := range want {
				if a.LastOffset >= from && a.FirstOffset < upTo {
					expected = append(expected, a)
				}
			}
			got, err := v.Aborted(from, upTo)
			if err != nil || !slices.Equal(got, expected) {
				t.Fatalf("[%d, %d): %v, want %v, %v", from, upTo, got, expected, err)
			}
		}
	}
	check()
	if err := x.l.AppendAborted(want...); err != nil { // as replay would
		t.Fatal(err)
	}
	check()
	x.flush()
	o := x.options()
	x.mustAppend(100)
	last := x.l.EndOffset() - 1
	lost := AbortedTxn{ProducerID: 1, FirstOffset: last - 1, LastOffset: last, LastStableOffset: last}
	if err := x.l.AppendAborted(lost); err != nil {
		t.Fatal(err)
	}
	rec := x.reopen(o)
	if rec.AbortedFrom != last-1 {
		t.Fatalf("%+v, want aborted from %d", rec, last-1)
	}
	check()
	// A damaged index is rebuilt by whoever can replay.
	damaged := x.l.rolled[3]
	x.fs.node(damaged.path(txnIndexSuffix)).data[1] = 9
	rec = x.reopen(o)
	if rec.AbortedFrom != damaged.base {
		t.Fatalf("%+v, want aborted from %d", rec, damaged.base)
	}
	if err := x.l.RebuildAborted(rec.AbortedFrom, slices.DeleteFunc(slices.Clone(want), func(a AbortedTxn) bool { return a.LastOffset < rec.AbortedFrom })); err != nil {
		t.Fatal(err)
	}
	check()
}
