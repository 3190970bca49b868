package storage

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/record"
)

// stamped is a batch of count records with timestamps of few values, so that many are the same, of any codec and both types.
func stamped(t testing.TB, r *rand.Rand, base int64, count int) record.Batch {
	t.Helper()
	o := record.Options{Codec: record.Codec(r.IntN(5))}
	b := record.NewBuilder(o)
	for range count {
		b.Append(1000+int64(r.IntN(12)), []byte("k"), []byte("value"), nil)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	out.SetBaseOffset(base)
	if r.IntN(6) == 0 {
		out.SetLogAppendTime(1000 + int64(r.IntN(14)))
	}
	return out
}

// marked is the marker of a transaction, which has a timestamp too.
func marked(r *rand.Rand, base int64) record.Batch {
	b := record.EndTxnMarker(7, 0, r.IntN(2) == 0, 0, 1000+int64(r.IntN(14)))
	b.SetBaseOffset(base)
	return b
}

// stampedLog is a log of such batches.
func stampedLog(t testing.TB, r *rand.Rand) *fixture {
	x := newFixture(t)
	for range 20 + r.IntN(30) {
		var turn []record.Batch
		for end := x.l.EndOffset(); len(turn) < 1+r.IntN(3); end = turn[len(turn)-1].NextOffset() {
			if r.IntN(8) == 0 {
				turn = append(turn, marked(r, end))
			} else {
				turn = append(turn, stamped(t, r, end, 1+r.IntN(8)))
			}
		}
		if err := x.l.Append(turn); err != nil {
			t.Fatal(err)
		}
		x.model = append(x.model, turn...)
	}
	x.flush()
	return x
}

// compactSome rewrites some closed segments: records and batches go, batches are emptied.
func (x *fixture) compactSome(r *rand.Rand) {
	x.t.Helper()
	v := x.l.View()
	segments, err := v.Segments(false)
	if err != nil {
		x.t.Fatal(err)
	}
	segments = slices.DeleteFunc(segments, func(s Segment) bool { return s.Active || s.Next > x.l.Replaceable() })
	if len(segments) == 0 {
		return
	}
	first := r.IntN(len(segments))
	base, next := segments[first].Base, segments[min(len(segments)-1, first+r.IntN(3))].Next
	w, err := v.Rewrite(base, next)
	if err != nil {
		x.t.Fatal(err)
	}
	var model []record.Batch
	var d record.Decoder
	for _, b := range x.model {
		if b.BaseOffset() >= base && b.NextOffset() <= next {
			if b = thinned(x.t, r, &d, b, b.NextOffset() == next); b == nil {
				continue
			}
			if err := w.Append(b); err != nil {
				x.t.Fatal(err)
			}
		}
		model = append(model, b)
	}
	done, err := w.Finish(nil)
	if err == nil {
		err = x.l.Replace(done)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	x.model = model
	x.flush()
}

// thinned is what compaction may leave of b: nil for nothing, if it need not stay.
func thinned(t testing.TB, r *rand.Rand, d *record.Decoder, b record.Batch, stays bool) record.Batch {
	switch drawn := r.IntN(4); {
	case drawn == 0:
		return b
	case drawn == 1 && !stays:
		return nil
	case drawn < 3:
		return b.Emptied()
	}
	kept, err := b.Filter(d, func(int64, []byte, bool) bool { return r.IntN(2) == 0 })
	if err != nil {
		t.Fatal(err)
	}
	if kept.Kept == 0 {
		return b.Emptied()
	}
	horizon := int64(record.NoTimestamp)
	if r.IntN(2) == 0 {
		horizon = 5000
	}
	out, err := b.Rebuild(d, kept, horizon)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTimestampsAgreeWithTheModel: every search by time against a walk over all records from the log start on, in logs whose start moves
// into batches and whose segments are compacted.
func TestTimestampsAgreeWithTheModel(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 7))
		x := stampedLog(t, r)
		x.checkTimestamps(r, 40)
		for range 6 {
			if r.IntN(2) == 0 {
				x.compactSome(r)
			}
			if to := x.l.StartOffset() + r.Int64N(20); r.IntN(2) == 0 && to <= x.l.EndOffset() {
				if err := x.l.AdvanceStart(to); err != nil {
					t.Fatal(err)
				}
			}
			if r.IntN(4) == 0 {
				x.flush()
				x.reopen(x.options())
			}
			x.checkTimestamps(r, 40)
		}
	}
}

// TestMaxTimestampOfAStartWithinABatch: the largest timestamp lies below the log start, in the batch that it cut and in one that is younger
// than all after it.
func TestMaxTimestampOfAStartWithinABatch(t *testing.T) {
	x := newFixture(t)
	build := func(base int64, times ...int64) record.Batch {
		b := record.NewBuilder(record.Options{})
		for _, ts := range times {
			b.Append(ts, nil, []byte("v"), nil)
		}
		out, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		out.SetBaseOffset(base)
		return out
	}
	if err := x.l.Append([]record.Batch{build(0, 500, 900, 700, 800, 600), build(5, 100), build(6, 101), build(7, 102)}); err != nil {
		t.Fatal(err)
	}
	for start, want := range map[int64][2]int64{0: {1, 900}, 2: {3, 800}, 4: {4, 600}, 5: {7, 102}, 8: {-1, -1}} {
		y := *x.l.View()
		y.start = start
		offset, timestamp, ok, err := y.MaxTimestamp(record.Unpacking{}, 8)
		if err != nil || ok != (want[0] >= 0) || offset != want[0] || timestamp != want[1] {
			t.Errorf("from %d: %d, %d, %v, %v, want %v", start, offset, timestamp, ok, err, want)
		}
	}
}
