package partition

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
)

func compactConfig() protocol.LogConfig {
	c := diskConfig()
	c.Compact, c.Delete, c.SegmentBytes, c.DeleteRetention, c.MinCleanableRatio = true, false, 4000, time.Hour, 0.3
	return c
}

// keyed is a batch with one record for every pair.
func keyed(t *testing.T, o record.Options, pairs ...string) record.Batch {
	t.Helper()
	b := record.NewBuilder(o)
	for i := 0; i < len(pairs); i += 2 {
		value := []byte(pairs[i+1])
		if pairs[i+1] == "" {
			value = nil
		}
		b.Append(1_700_000_000_000, []byte(pairs[i]), value, nil)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// newest reads the log up to its high watermark: the last value of every key, and the number of records.
func newest(t *testing.T, h *Handle) (values map[string]string, records int) {
	t.Helper()
	v := h.View()
	values = map[string]string{}
	err := v.Log.EachBatch(v.LogStartOffset, v.HighWatermark, nil, func(b record.Batch) error {
		if b.IsControl() {
			return nil
		}
		return b.Each(nil, func(r record.Record) error {
			records++
			values[string(r.Key)] = string(r.Value)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return values, records
}

// TestCompactionOfARunningNode appends to compacted partitions of both durabilities while they are compacted, kills the node in between,
// and finds the newest value of every key, few others, and every producer where it was.
func TestCompactionOfARunningNode(t *testing.T) {
	for name, durability := range durabilities {
		t.Run(name, func(t *testing.T) {
			w := newWorldWithCleaner(t)
			config := compactConfig()
			config.Durability = durability().Durability
			h := w.led(tp0, config)
			want, produced := map[string]string{}, 0
			sequence := int32(0)
			for life := range 3 {
				for i := range 150 {
					var pairs []string
					for k := range 4 {
						key, value := fmt.Sprintf("k%d", (i*7+k)%20), fmt.Sprintf("%d-%d-%d-%s", life, i, k, strings.Repeat("x", 50))
						pairs = append(pairs, key, value)
						want[key] = value
						produced++
					}
					o := record.Options{Codec: record.Codec(i % 5), Idempotent: true, ProducerID: 5, BaseSequence: sequence}
					if a := w.appendTo(h, keyed(t, o, pairs...)); a.Failed() {
						t.Fatalf("batch %d of life %d: %v", i, life, a.Fault)
					}
					sequence += 4
				}
				w.awaitCleaned(tp0, h.View().LogEndOffset-400)
				got, records := newest(t, h)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("read %v, not %v", got, want)
				}
				if records > produced/2 {
					t.Errorf("%d of %d records are left", records, produced)
				}
				if life == 1 {
					if err := w.stop(); err != nil {
						t.Fatal(err)
					}
				} else {
					w.crash()
				}
				w.start()
				h = w.led(tp0, config)
				until(t, "everything is committed again", func() bool { return h.View().HighWatermark == h.View().LogEndOffset })
				if got, _ := newest(t, h); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("read %v after a start, not %v", got, want)
				}
			}
			for _, e := range w.files(tp0) {
				if strings.Contains(e, ".cleaned") || strings.Contains(e, ".swap") {
					t.Errorf("%s is left", e)
				}
			}
		})
	}
}

// TestNothingElseIsCompacted: a topic whose records are only deleted keeps them.
func TestNothingElseIsCompacted(t *testing.T) {
	w := newWorldWithCleaner(t)
	config := compactConfig()
	config.Compact, config.Delete = false, true
	h := w.led(tp0, config)
	for i := range 100 {
		w.appendTo(h, keyed(t, record.Options{}, "k", fmt.Sprint(i, strings.Repeat("x", 100))))
	}
	other := compactConfig()
	h1 := w.led(tp1, other)
	for i := range 100 {
		w.appendTo(h1, keyed(t, record.Options{}, "k", fmt.Sprint(i, strings.Repeat("x", 100))))
	}
	w.awaitCleaned(tp1, h1.View().LogEndOffset-60)
	if _, records := newest(t, h); records != 100 {
		t.Errorf("%d records are left of a topic that is not compacted", records)
	}
}

var tp1 = protocol.TopicPartition{Topic: protocol.TopicID{1, 2, 3, 15: 9}, Partition: 1}

func newWorldWithCleaner(t *testing.T) *world {
	w := newWorld(t)
	w.crash()
	w.config.Cleaner = func() CleanerConfig { return CleanerConfig{Backoff: 2 * time.Millisecond} }
	w.config.OnCleaned = func(c Cleaned) {
		if c.Err != nil {
			t.Errorf("compaction of %v: %v", c.Partition, c.Err)
		}
	}
	w.start()
	return w
}

func (w *world) appendTo(h *Handle, b record.Batch) *protocol.Produced {
	w.t.Helper()
	return ask[*protocol.Produced](w, h.PID, w.message(h, b))
}

// awaitCleaned waits until the checkpoint says that the log is clean up to offset.
func (w *world) awaitCleaned(tp protocol.TopicPartition, offset int64) {
	w.t.Helper()
	fsys, err := w.env.OpenFS(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer fsys.Close()
	until(w.t, fmt.Sprintf("%v is clean up to %d", tp, offset), func() bool {
		entries, err := storage.ReadOffsets(fsys, storage.CleanerOffsetsName)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range entries {
			if e.Partition == tp && e.Offset >= offset {
				return true
			}
		}
		return false
	})
}

func (w *world) files(tp protocol.TopicPartition) (names []string) {
	entries, err := os.ReadDir(w.path + "/" + storage.DirName(tp))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
