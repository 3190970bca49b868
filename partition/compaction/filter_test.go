package compaction

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/storage"
)

func batchAt(t *testing.T, base int64, o record.Options, pairs ...string) record.Batch {
	t.Helper()
	b := record.NewBuilder(o)
	for i := 0; i < len(pairs); i += 2 {
		value := []byte(pairs[i+1])
		if pairs[i+1] == "-" {
			value = nil
		}
		b.Append(1000+int64(i), []byte(pairs[i]), value, nil)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	out.SetBaseOffset(base)
	return out
}

func transactional(id int64) record.Options {
	return record.Options{Idempotent: true, ProducerID: id, Transactional: true}
}

func marker(base, id int64, commit bool) record.Batch {
	b := record.EndTxnMarker(id, 0, commit, 0, 1000)
	b.SetBaseOffset(base)
	return b
}

// passes plays rounds at the given times over a log, everything of which is mapped, and returns what is left after each.
func passes(t *testing.T, log []record.Batch, aborted []storage.AbortedTxn, producers map[int64]producer.Last, retention int64, times ...int64) (left []string, index [][]storage.AbortedTxn) {
	end := log[len(log)-1].NextOffset()
	for _, now := range times {
		f := filter{keys: NewOffsetMap(0, 0), mapped: end, now: now, deleteRetention: retention, producers: producers, txns: newTransactions()}
		mapping := newTransactions()
		mapping.add(aborted)
		for _, b := range log {
			if b.IsControl() {
				mapping.control(b)
			} else if !mapping.data(b) {
				_ = b.Each(nil, func(r record.Record) error { f.keys.Put(r.Key, r.Offset); return nil })
			}
		}
		f.txns.add(aborted)
		var next []record.Batch
		aborted = nil
		for _, b := range log {
			out, entry, err := f.batch(b, end)
			if err != nil {
				t.Fatal(err)
			}
			if out != nil {
				if err := out.Verify(); err != nil {
					t.Fatal(err)
				}
				next = append(next, out)
			}
			if entry != nil {
				aborted = append(aborted, *entry)
			}
		}
		log = next
		left, index = append(left, describe(log)), append(index, aborted)
	}
	return left, index
}

func describe(log []record.Batch) string {
	var out []string
	for _, b := range log {
		kind := ""
		_ = b.Each(nil, func(r record.Record) error {
			switch {
			case b.IsControl():
				kind += "M"
			case r.Value == nil:
				kind += string(r.Key) + "-"
			default:
				kind += string(r.Key)
			}
			return nil
		})
		if b.HasDeleteHorizon() {
			kind += fmt.Sprintf("<%d", b.BaseTimestamp())
		}
		out = append(out, fmt.Sprintf("%d:%s", b.BaseOffset(), kind))
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("after round %d: %s\n           want: %s", i+1, got[i], want[i])
		}
	}
}

func TestTombstonesStayUntilTheirHorizon(t *testing.T) {
	log := []record.Batch{
		batchAt(t, 0, record.Options{}, "a", "1", "b", "1"),
		batchAt(t, 2, record.Options{Codec: record.Zstd}, "a", "-", "c", "1"),
		batchAt(t, 4, record.Options{}, "z", "1"),
	}
	got, _ := passes(t, log, nil, nil, 500, 10_000, 10_499, 10_500)
	expect(t, got, "0:b 2:a-c<10500 4:z", "0:b 2:a-c<10500 4:z", "0:b 2:c<10500 4:z")
}

func TestMarkersStayWithTheirTransactionAndThenUntilTheirHorizon(t *testing.T) {
	log := []record.Batch{
		batchAt(t, 0, transactional(1), "a", "1"), batchAt(t, 1, transactional(2), "b", "1"), marker(2, 1, true), marker(3, 2, false),
		batchAt(t, 4, record.Options{}, "a", "2"), batchAt(t, 5, record.Options{}, "z", "1"),
	}
	aborted := []storage.AbortedTxn{{ProducerID: 2, FirstOffset: 1, LastOffset: 3, LastStableOffset: 4}}
	got, index := passes(t, log, aborted, nil, 500, 10_000, 10_100, 10_599, 10_600)
	expect(t, got, "2:M 3:M 4:a 5:z", "2:M<10600 3:M<10600 4:a 5:z", "2:M<10600 3:M<10600 4:a 5:z", "4:a 5:z")
	if len(index[0]) != 1 || len(index[1]) != 0 {
		t.Errorf("the index holds %v", index)
	}
}

func TestTheLastBatchOfAProducerStaysEmpty(t *testing.T) {
	log := []record.Batch{
		batchAt(t, 0, transactional(1), "a", "1"), marker(1, 1, false), batchAt(t, 2, record.Options{Idempotent: true, ProducerID: 3}, "a", "2"),
		marker(3, 4, true), batchAt(t, 4, record.Options{}, "a", "3"), batchAt(t, 5, record.Options{}, "a", "4"), batchAt(t, 6, record.Options{}, "b", "-"),
	}
	aborted := []storage.AbortedTxn{{ProducerID: 1, FirstOffset: 0, LastOffset: 1, LastStableOffset: 2}}
	known := map[int64]producer.Last{1: {ProducerID: 1, Offset: 0}, 3: {ProducerID: 3, Offset: 2}, 4: {ProducerID: 4, Offset: -1}}
	got, _ := passes(t, log, aborted, known, 0, 10_000, 10_001, 10_002)
	// The empty batch keeps its marker. The last batch of the segment stays when its tombstone goes.
	expect(t, got, "0: 1:M 2: 3:M<10000 5:a 6:b-<10000", "0: 1:M 2: 3: 5:a 6:", "0: 1:M 2: 3: 5:a 6:")
}

func TestOffsetMapFindsTheNewest(t *testing.T) {
	m := NewOffsetMap(24*5000, 0.9)
	r, want := rand.New(rand.NewPCG(1, 2)), map[string]int64{}
	for offset := int64(0); !m.Full(); offset++ {
		key := fmt.Sprint(r.IntN(6000))
		m.Put([]byte(key), offset)
		want[key] = offset
	}
	if m.Len() != 4500 || m.Len() != len(want) || len(m.slots) != 5000 {
		t.Fatalf("%d keys in %d slots, %d were put", m.Len(), len(m.slots), len(want))
	}
	for i := range 1000 { // a batch is noted whole
		key := fmt.Sprint("more", i)
		m.Put([]byte(key), int64(i)+1e9)
		want[key] = int64(i) + 1e9
	}
	for key, offset := range want {
		if got := m.Get([]byte(key)); got != offset {
			t.Fatalf("%q: %d, want %d", key, got, offset)
		}
	}
	if got := m.Get([]byte("none")); got != -1 {
		t.Errorf("an unknown key is at %d", got)
	}
}

func segmentsOf(sizes ...int64) (out []storage.Segment) {
	for i, size := range sizes {
		base := int64(i) * 10
		out = append(out, storage.Segment{Base: base, Next: base + 10, Size: size, Largest: base * 100, First: base*100 + 1, Active: i == len(sizes)-1})
	}
	return out
}

func TestPlan(t *testing.T) {
	segments := segmentsOf(100, 100, 100, 100, 100)
	none := int64(math.MaxInt64)
	for _, row := range []struct {
		what        string
		bounds      Bounds
		minLag, lag time.Duration
		now         int64
		want        Plan
	}{
		{"new", Bounds{End: 50, Checkpoint: -1, LastStable: 50, HighWatermark: 50, Replaceable: none}, 0, 0, 0, Plan{Upper: 40, DirtyBytes: 400}},
		{"later", Bounds{End: 50, Checkpoint: 30, LastStable: 50, HighWatermark: 50, Replaceable: none}, 0, 0, 0, Plan{FirstDirty: 30, Upper: 40, CleanBytes: 300, DirtyBytes: 100}},
		{"in the middle", Bounds{End: 50, Checkpoint: 25, LastStable: 50, HighWatermark: 50, Replaceable: none}, 0, 0, 0, Plan{FirstDirty: 25, Upper: 40, CleanBytes: 300, DirtyBytes: 200}},
		{"nothing new", Bounds{End: 50, Checkpoint: 40, LastStable: 50, HighWatermark: 50, Replaceable: none}, 0, 0, 0, Plan{FirstDirty: 40, Upper: 40, CleanBytes: 400}},
		{"checkpoint beyond", Bounds{Start: 10, End: 50, Checkpoint: 51, LastStable: 50, HighWatermark: 50, Replaceable: none}, 0, 0, 0, Plan{FirstDirty: 10, Upper: 40, CleanBytes: 100, DirtyBytes: 300}},
		{"open transaction", Bounds{End: 50, Checkpoint: -1, LastStable: 29, HighWatermark: 50, Replaceable: none}, 0, 0, 0, Plan{Upper: 20, DirtyBytes: 200}},
		{"high watermark", Bounds{End: 50, Checkpoint: -1, LastStable: 50, HighWatermark: 30, Replaceable: none}, 0, 0, 0, Plan{Upper: 30, DirtyBytes: 300}},
		{"not durable", Bounds{End: 50, Checkpoint: -1, LastStable: 50, HighWatermark: 50, Replaceable: 10}, 0, 0, 0, Plan{Upper: 10, DirtyBytes: 100}},
		{"too young", Bounds{End: 50, Checkpoint: -1, LastStable: 50, HighWatermark: 50, Replaceable: none}, 1500 * time.Millisecond, 0, 3000, Plan{Upper: 20, DirtyBytes: 200}},
		{"due", Bounds{End: 50, Checkpoint: 30, LastStable: 50, HighWatermark: 50, Replaceable: none}, 0, time.Second, 4002, Plan{FirstDirty: 30, Upper: 40, CleanBytes: 300, DirtyBytes: 100, Due: true}},
		{"not yet due", Bounds{End: 50, Checkpoint: 30, LastStable: 50, HighWatermark: 50, Replaceable: none}, 0, time.Second, 4001, Plan{FirstDirty: 30, Upper: 40, CleanBytes: 300, DirtyBytes: 100}},
	} {
		c := &protocol.LogConfig{MinCompactionLag: row.minLag, MaxCompactionLag: row.lag, MinCleanableRatio: 0.5}
		if row.lag == 0 {
			c.MaxCompactionLag = math.MaxInt64
		}
		got := PlanOf(segments, row.bounds, c, row.now)
		if got != row.want {
			t.Errorf("%s: %+v, want %+v", row.what, got, row.want)
		}
		if wanted := got.DirtyBytes > 0 && (got.Due || float64(got.DirtyBytes) > float64(got.CleanBytes)); got.Wanted(c) != wanted {
			t.Errorf("%s: wanted %v", row.what, !wanted)
		}
	}
}

func TestGroups(t *testing.T) {
	if got := fmt.Sprint(GroupsOf(segmentsOf(100, 50, 60, 300, 10, 10), 0, 45, 160)); got != "[{0 20} {20 30} {30 40} {40 50}]" {
		t.Error(got)
	}
	if got := fmt.Sprint(GroupsOf(segmentsOf(10, 10, 10, 10), 15, 20, 1000)); got != "[{10 20}]" {
		t.Error(got)
	}
	far := []storage.Segment{{Base: 0, Next: 10, Size: 1}, {Base: 10, Next: math.MaxInt32, Size: 1}, {Base: math.MaxInt32, Next: math.MaxInt32 + 9, Size: 1}}
	if got := fmt.Sprint(GroupsOf(far, 0, math.MaxInt64, 100)); got != "[{0 2147483647} {2147483647 2147483656}]" {
		t.Error(got)
	}
}
