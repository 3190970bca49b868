package storage

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/record"
)

// TestAnswersCarryARecordIfThereIsOne asks compacted logs from every offset up to every bound: what is found begins with the first batch
// that has a record, whatever run of emptied ones lies before it, in whichever segments. If there is none it is the last emptied one.
func TestAnswersCarryARecordIfThereIsOne(t *testing.T) {
	bare, crossed := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 8))
		x := stampedLog(t, r)
		for range 5 {
			x.compactSome(r)
			if to := x.l.StartOffset() + r.Int64N(12); r.IntN(3) == 0 {
				if err := x.l.AdvanceStart(min(to, x.l.EndOffset())); err != nil {
					t.Fatal(err)
				}
			}
		}
		if r.IntN(2) == 0 {
			x.flush()
			x.reopen(x.options())
		}
		for range 300 {
			offset := x.l.StartOffset() + r.Int64N(x.l.EndOffset()-x.l.StartOffset()+1)
			b, c := x.checkRecords(offset, offset+r.Int64N(80), r.IntN(2000))
			bare, crossed = bare+b, crossed+c
		}
	}
	if bare == 0 || crossed == 0 {
		t.Errorf("%d answers without a record, %d that lie in a later segment: the test does not try what it is for", bare, crossed)
	}
}

// checkRecords compares one answer with a walk over the model; bare and crossed are 1 if it had no record, and if it lay in a later segment
// than what was asked for.
func (x *fixture) checkRecords(offset, upTo int64, maxBytes int) (bare, crossed int) {
	x.t.Helper()
	v := x.l.View()
	var want, emptied record.Batch
	for _, b := range x.model {
		switch {
		case b.LastOffset() < offset || b.BaseOffset() >= min(upTo, v.EndOffset()) || offset >= min(upTo, v.EndOffset()) || want != nil:
		case b.NumRecords() == 0:
			emptied = b
		default:
			want = b
		}
	}
	span, err := v.LocateRecords(offset, upTo, maxBytes)
	if err != nil {
		x.t.Fatal(err)
	}
	defer span.Release()
	if want == nil {
		want = emptied
	}
	if span.Len == 0 && want == nil {
		return 0, 0
	}
	got := make([]byte, span.Len)
	if n, err := v.Read(span, got); err != nil || n != span.Len {
		x.t.Fatal(n, err)
	}
	if want == nil || span.FirstOffset != want.BaseOffset() || !slices.Equal(got[:min(len(got), len(want))], want) {
		x.t.Fatalf("[%d, %d): %+v, want the batch of %v", offset, upTo, span, want)
	}
	if span.Bare != (want.NumRecords() == 0) || span.Bare && (span.Len != record.HeaderSize || span.NextOffset != want.NextOffset()) {
		x.t.Fatalf("[%d, %d): %+v", offset, upTo, span)
	}
	if span.Bare {
		bare = 1
	}
	if v.segmentOf(offset) != v.segmentOf(span.FirstOffset) {
		crossed = 1
	}
	return bare, crossed
}

// TestADamagedEmptiedBatchIsNotSteppedOver: nobody knows what it was.
func TestADamagedEmptiedBatchIsNotSteppedOver(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	x := stampedLog(t, r)
	emptied := -1
	for emptied < 0 {
		x.compactSome(r)
		emptied = slices.IndexFunc(x.model, func(b record.Batch) bool { return b.NumRecords() == 0 })
	}
	b := x.model[emptied]
	x.flip(b, record.ProducerIDAt)
	x.reopen(x.options())
	if span, err := x.l.View().LocateRecords(b.BaseOffset(), x.l.EndOffset(), 1000); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%+v, %v", span, err)
	}
}
