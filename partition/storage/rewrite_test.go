package storage

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/record"
)

// replaced is a range of offsets that was rewritten, with what was there before and is there again after a crash until a flush.
type replaced struct {
	base, next int64
	older      []record.Batch
}

// back is a log with the old content of the range.
func (p *replaced) back(s logState) logState {
	var out []record.Batch
	at := -1
	for _, b := range s.batches {
		if b.BaseOffset() >= p.base && b.BaseOffset() < p.next {
			continue
		}
		if at < 0 && b.BaseOffset() >= p.next {
			at = len(out)
		}
		out = append(out, b)
	}
	if at < 0 {
		at = len(out)
	}
	s.batches = slices.Insert(out, at, p.older...)
	return s
}

// compactStep rewrites some closed segments: batches go or are emptied, several segments become one.
func (w *crashWorld) compactStep(r *rand.Rand, flush bool) func() error {
	return func() error {
		v := w.l.View()
		segments, err := v.Segments(false)
		if err != nil {
			return err
		}
		segments = slices.DeleteFunc(segments, func(s Segment) bool { return s.Active || s.Next > w.l.Replaceable() || s.Next <= v.StartOffset() })
		if len(segments) == 0 || w.l.Replacing() {
			return w.flushStep()
		}
		first := r.IntN(len(segments))
		group := segments[first : first+1+r.IntN(min(3, len(segments)-first))]
		p := &replaced{base: group[0].Base, next: group[len(group)-1].Next}
		fresh, aborted, err := w.rewrite(r, v, p)
		if err != nil {
			return err
		}
		err = w.l.Replace(fresh)
		if errors.Is(err, ErrStale) {
			fresh.Discard()
			return w.flushStep()
		}
		if err != nil {
			return err
		}
		w.replaced, w.model = p, replaceRange(w.model, p, aborted)
		if flush {
			return w.flushStep()
		}
		return nil
	}
}

// rewrite copies the range, without some batches, and returns what is there now.
func (w *crashWorld) rewrite(r *rand.Rand, v *View, p *replaced) (*Replacement, []record.Batch, error) {
	fresh, err := v.Rewrite(p.base, p.next)
	if err != nil {
		return nil, nil, err
	}
	var kept []record.Batch
	err = v.EachBatch(max(p.base, v.StartOffset()), p.next, nil, func(b record.Batch) error {
		b = slices.Clone(b)
		p.older = append(p.older, b)
		switch drawn := r.IntN(4); {
		case drawn == 0 && b.NextOffset() < p.next:
			return nil
		case drawn == 1:
			b = b.Emptied()
		}
		kept = append(kept, b)
		return fresh.Append(b)
	})
	if err != nil {
		return nil, nil, err
	}
	aborted, err := v.Aborted(max(p.base, v.StartOffset()), p.next)
	if err != nil {
		return nil, nil, err
	}
	aborted = slices.DeleteFunc(aborted, func(a AbortedTxn) bool { return a.LastOffset < p.base || a.LastOffset >= p.next })
	done, err := fresh.Finish(aborted)
	if err != nil && !errors.Is(err, errStopped) {
		w.t.Logf("rewriting [%d, %d) of a log from %d, %d batches", p.base, p.next, v.StartOffset(), len(p.older))
	}
	return done, kept, err
}

// settleReplaced forgets what cannot come back any more.
func (w *crashWorld) settleReplaced() {
	if !w.l.Replacing() {
		w.replaced = nil
	}
}

func replaceRange(batches []record.Batch, p *replaced, with []record.Batch) []record.Batch {
	now := *p
	now.older = with
	return now.back(logState{batches: batches}).batches
}

// TestReplacedSegmentsSurviveCrashes stops lives with compactions at every operation.
func TestReplacedSegmentsSurviveCrashes(t *testing.T) {
	for seed := range uint64(4) {
		script := func(w *crashWorld) error {
			r := rand.New(rand.NewPCG(seed, 5))
			steps := []func() error{
				w.appendStep(700, 700, 700), w.appendStep(900, 30), w.abortStep, w.appendStep(800, 800), w.flushStep, w.checkpointStep,
				w.appendStep(800, 900, 900), w.epochStep, w.appendStep(900), w.flushStep, w.compactStep(r, true), w.appendStep(800, 900), w.checkpointStep,
				w.compactStep(r, false), w.appendStep(300), w.flushStep, w.snapshotStep, w.compactStep(r, false), w.startStep(r.IntN(8)),
				w.flushStep, w.compactStep(r, false), w.truncateStep(1 + r.IntN(6)), w.appendStep(100, 1900, 100), w.flushStep, w.compactStep(r, true),
				w.checkpointStep, w.appendStep(500), w.compactStep(r, false), w.closeStep,
			}
			for _, step := range steps {
				if err := step(); err != nil {
					return err
				}
				w.settleReplaced()
			}
			return nil
		}
		whole, err := runScript(t, 0, 200, script)
		if err != nil {
			t.Fatal(err)
		}
		for stop := 1 + int(seed)%2; stop <= whole.fs.ops+1; stop += 2 * stride {
			w, err := runScript(t, stop, 200, script)
			if err != nil && !errors.Is(err, errStopped) {
				t.Fatalf("seed %d stopped at %d: %v", seed, stop, err)
			}
			if w.l == nil {
				continue
			}
			for variant := range 7 {
				checkCrash(t, w, stop, variant, 200)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// TestReadersFollowReplacements holds a view and a span from before: the span goes on reading the old bytes, the view finds the new ones.
func TestReadersFollowReplacements(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(900, 900, 900, 900)
	x.flush()
	early := x.l.View()
	x.mustAppend(900, 900, 900)
	x.flush()
	segments, err := early.Segments(true)
	if err != nil || len(segments) < 2 || segments[0].Active || !segments[len(segments)-1].Active || segments[0].First < 0 || segments[0].Largest <= segments[0].First {
		t.Fatalf("segments %+v %v", segments, err)
	}
	span, err := early.Locate(0, early.EndOffset(), 1)
	if err != nil {
		t.Fatal(err)
	}
	old := slices.Clone(x.model[0])
	// Everything below the active segment becomes one, with the first batch gone and the third emptied: also the early view's active one.
	upTo := x.l.Replaceable()
	w, err := early.Rewrite(0, upTo)
	if !errors.Is(err, ErrStale) {
		t.Fatalf("a view rewrites what was active in it: %v", err)
	}
	if w, err = x.l.View().Rewrite(0, upTo); err != nil {
		t.Fatal(err)
	}
	var model []record.Batch
	for i, b := range x.model {
		if b.BaseOffset() >= upTo {
			model = append(model, b)
			continue
		}
		if i == 0 {
			continue
		}
		if i == 2 {
			b = b.Emptied()
		}
		model = append(model, b)
		if err := w.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.l.Replace(r); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, span.Len)
	if _, err := early.Read(span, buf); err != nil || string(buf) != string(old) {
		t.Fatalf("a pinned span reads something else: %v", err)
	}
	span.Release()
	for _, installed := range []bool{false, true} {
		if installed {
			x.flush()
		}
		got := readLog(t, early, 700)
		sameBatches(t, got, model[:len(got)])
		if len(got) < 2 || got[len(got)-1].NextOffset() < early.EndOffset() {
			t.Fatalf("%d batches", len(got))
		}
		offset, ts, ok, err := early.OffsetForTimestamp(record.Unpacking{}, model[0].MaxTimestamp(), early.EndOffset())
		if err != nil || !ok || ts != model[0].MaxTimestamp() || offset != model[0].LastOffset() {
			t.Fatalf("%d %d %v %v", offset, ts, ok, err)
		}
		if _, err := early.Aborted(0, early.EndOffset()); err != nil {
			t.Fatal(err)
		}
		if _, err := early.Scrub(nil); err != nil {
			t.Fatal(err)
		}
		x.model = model
		x.check()
	}
	if n := x.l.files.Open(); n > 2 {
		t.Errorf("%d files are open", n)
	}
	x.reopen(x.options())
	x.check()
}

// TestStaleReplacementsAreRefused drops, and rewrites, the segments of a rewrite that is under way.
func TestStaleReplacementsAreRefused(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(900, 900, 900, 900, 900, 900)
	x.flush()
	segments, _ := x.l.View().Segments(false)
	make := func(s Segment) *Replacement {
		w, err := x.l.View().Rewrite(s.Base, s.Next)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range x.model {
			if b.BaseOffset() >= s.Base && b.NextOffset() <= s.Next {
				if err := w.Append(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		r, err := w.Finish(nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	dropped, twice := make(segments[0]), make(segments[1])
	if err := x.l.AdvanceStart(segments[0].Next); err != nil {
		t.Fatal(err)
	}
	if err := x.l.Replace(dropped); !errors.Is(err, ErrStale) {
		t.Fatalf("a dropped segment is replaced: %v", err)
	}
	dropped.Discard()
	if err := x.l.Replace(twice); err != nil {
		t.Fatal(err)
	}
	if err := x.l.Replace(twice); !errors.Is(err, ErrStale) {
		t.Fatalf("a segment is replaced twice: %v", err)
	}
	// The new segment is dropped before its files are in place.
	if err := x.l.AdvanceStart(segments[1].Next); err != nil {
		t.Fatal(err)
	}
	x.flush()
	x.flush()
	entries, _ := x.fs.ReadDir(testDir)
	for _, e := range entries {
		if base, _, ok := parseOffsetName(e.Name); ok && base < segments[2].Base {
			t.Errorf("%s is left", e.Name)
		}
	}
	x.check()
}
