package producer

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// item is one batch or marker of a log.
type item struct {
	Header
	marker           bool
	Marker           Marker
	base, last, time int64
}

func (i item) id() protocol.ProducerID {
	if i.marker {
		return i.Marker.ProducerID
	}
	return i.ProducerID
}

func (i item) epoch() protocol.ProducerEpoch {
	if i.marker {
		return i.Marker.Epoch
	}
	return i.Epoch
}

// model answers every question by reading the whole log from its beginning, one producer at a time.
type model []item

func (m model) of(id protocol.ProducerID) (out []item) {
	for _, i := range m {
		if i.id() == id {
			out = append(out, i)
		}
	}
	return out
}

// epoch is the producer's items since it entered its last epoch.
func (m model) epoch(id protocol.ProducerID) (out []item) {
	for _, i := range m.of(id) {
		if len(out) > 0 && out[len(out)-1].epoch() != i.epoch() {
			out = nil
		}
		out = append(out, i)
	}
	return out
}

func (m model) openSince(id protocol.ProducerID) int64 {
	first := int64(-1)
	for _, i := range m.of(id) {
		if i.marker {
			first = -1
		} else if i.Transactional && first < 0 {
			first = i.base
		}
	}
	return first
}

func (m model) check(h Header) string {
	items := m.epoch(h.ProducerID)
	if len(items) == 0 {
		return "append"
	}
	epoch := items[0].epoch()
	data := slices.DeleteFunc(slices.Clone(items), func(i item) bool { return i.marker })
	if h.Epoch < epoch {
		return "INVALID_PRODUCER_EPOCH"
	}
	next := int32(0)
	if h.Epoch == epoch {
		for k := max(0, len(data)-5); k < len(data); k++ {
			if data[k].BaseSequence == h.BaseSequence && data[k].LastSequence == h.LastSequence {
				return fmt.Sprint("duplicate at ", data[k].base, " of ", data[k].time)
			}
		}
		if len(data) > 0 {
			next = int32((int64(data[len(data)-1].LastSequence) + 1) % (1 << 31))
		}
	}
	if h.BaseSequence != next {
		if h.Epoch == epoch && len(data) > 0 {
			back := (int64(data[max(0, len(data)-5)].BaseSequence) - int64(h.LastSequence) + 1<<31) % (1 << 31)
			if back > 0 && back < 1<<30 {
				return "DUPLICATE_SEQUENCE_NUMBER"
			}
		}
		return "OUT_OF_ORDER_SEQUENCE_NUMBER"
	}
	if m.openSince(h.ProducerID) >= 0 && !h.Transactional {
		return "INVALID_TXN_STATE"
	}
	return "append"
}

// lso looks at every transaction there ever was.
func (m model) lso(hw int64) int64 {
	lso := hw
	seen := map[protocol.ProducerID]int64{}
	for _, i := range m {
		first, open := seen[i.id()]
		switch {
		case i.marker && open:
			if i.base >= hw {
				lso = min(lso, first)
			}
			delete(seen, i.id())
		case !i.marker && i.Transactional && !open:
			seen[i.id()] = i.base
		}
	}
	for _, first := range seen {
		lso = min(lso, first)
	}
	return lso
}

func (i item) apply(s *State) (Completed, bool) {
	if i.marker {
		return s.ApplyMarker(i.Marker, i.base, i.time)
	}
	s.Apply(i.Header, i.base, i.last, i.time)
	return Completed{}, false
}

func verdict(v Verdict) string {
	switch {
	case v.Duplicate:
		return fmt.Sprint("duplicate at ", v.BaseOffset, " of ", v.Timestamp)
	case v.Failed():
		return v.Code.Name()
	}
	return "append"
}

// world is a State and its model side by side.
type world struct {
	s       *State
	log     model
	turn    model // applied, not committed
	end, hw int64
}

func (w *world) all() model { return append(slices.Clone(w.log), w.turn...) }

// header draws something a producer might send: mostly what comes next, sometimes what came before, sometimes nonsense.
func (w *world) header(t *rapid.T) Header {
	id := protocol.ProducerID(rapid.IntRange(0, 2).Draw(t, "producer"))
	h := Header{ProducerID: id, Transactional: rapid.Bool().Draw(t, "transactional")}
	items := w.all().of(id)
	n := int32(rapid.IntRange(1, 4).Draw(t, "records"))
	if len(items) == 0 {
		h.BaseSequence = rapid.SampledFrom([]int32{0, 5, math.MaxInt32 - 1, math.MaxInt32}).Draw(t, "sequence")
		h.LastSequence = record.AddSequence(h.BaseSequence, n-1)
		return h
	}
	last := items[len(items)-1]
	h.Epoch = last.epoch()
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0: // a retry
		i := items[max(0, len(items)-1-rapid.IntRange(0, 7).Draw(t, "back"))]
		if !i.marker {
			return Header{id, i.Epoch, i.BaseSequence, i.LastSequence, i.Transactional}
		}
	case 1:
		h.Epoch += protocol.ProducerEpoch(rapid.IntRange(-1, 1).Draw(t, "epoch"))
	case 2:
		h.BaseSequence = record.AddSequence(last.LastSequence, int32(rapid.IntRange(0, 20).Draw(t, "ahead")))
		h.LastSequence = record.AddSequence(h.BaseSequence, n-1)
		return h
	}
	if !last.marker && h.Epoch == last.Epoch {
		h.BaseSequence = record.AddSequence(last.LastSequence, 1)
	} else if last.marker {
		if items := w.all().epoch(id); len(items) > 0 {
			for _, i := range items {
				if !i.marker {
					h.BaseSequence = record.AddSequence(i.LastSequence, 1)
				}
			}
		}
	}
	h.LastSequence = record.AddSequence(h.BaseSequence, n-1)
	return h
}

func (w *world) take(i item, records int64) (Completed, bool) {
	i.base, i.last = w.end, w.end+records-1
	w.end += records
	w.turn = append(w.turn, i)
	return i.apply(w.s)
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{s: NewState(Config{})}
		t.Repeat(map[string]func(*rapid.T){
			"batches": func(t *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(t, "batches") {
					w.batch(t)
				}
			},
			"marker": func(t *rapid.T) {
				m := Marker{ProducerID: protocol.ProducerID(rapid.IntRange(0, 3).Draw(t, "producer")), Commit: rapid.Bool().Draw(t, "commit")}
				m.CoordinatorEpoch = int32(rapid.IntRange(0, 2).Draw(t, "coordinator"))
				m.Epoch = protocol.ProducerEpoch(rapid.IntRange(0, 3).Draw(t, "epoch"))
				all := w.all()
				want := protocol.None
				for _, i := range all.of(m.ProducerID) {
					if i.marker && i.Marker.CoordinatorEpoch > m.CoordinatorEpoch {
						want = protocol.TxnCoordinatorFenced
					}
				}
				if items := all.epoch(m.ProducerID); len(items) > 0 && m.Epoch < items[0].epoch() {
					want = protocol.InvalidProducerEpoch
				}
				if got := w.s.CheckMarker(m, 1); got.Code != want {
					t.Fatalf("%+v: %v, the model says %v", m, got, want)
				}
				if want != protocol.None {
					return
				}
				first := all.openSince(m.ProducerID)
				c, ok := w.take(item{marker: true, Marker: m, time: rapid.Int64Range(0, 99).Draw(t, "time")}, 1)
				if ok != (first >= 0) || ok && (c.First != first || c.Last != w.end-1 || c.Aborted == m.Commit || c.LastStableOffset != w.all().lso(w.end)) {
					t.Fatalf("%+v: completed %+v %v, open since %d", m, c, ok, first)
				}
			},
			"commit": func(*rapid.T) {
				w.s.Commit()
				w.log, w.turn = w.all(), nil
			},
			"rollback": func(*rapid.T) {
				w.s.Rollback()
				for _, i := range w.turn {
					w.end -= i.last - i.base + 1
				}
				w.turn = nil
			},
			"watermark": func(t *rapid.T) {
				if len(w.turn) > 0 {
					return // within a turn nobody asks
				}
				w.hw = rapid.Int64Range(w.hw, w.end).Draw(t, "hw")
				if got, want := w.s.LSO(w.hw), w.log.lso(w.hw); got != want {
					t.Fatalf("LSO(%d) = %d, the model says %d", w.hw, got, want)
				}
			},
			"restart": func(t *rapid.T) { w.restart(t) },
			"":        func(t *rapid.T) { w.invariants(t) },
		})
	})
}

func (w *world) batch(t *rapid.T) {
	h := w.header(t)
	want := w.all().check(h)
	if got := verdict(w.s.Check(h)); got != want {
		t.Fatalf("%+v: %s, the model says %s", h, got, want)
	}
	if want == "append" {
		records := (int64(h.LastSequence)-int64(h.BaseSequence)+1<<31)%(1<<31) + 1
		w.take(item{Header: h, time: rapid.Int64Range(0, 99).Draw(t, "time")}, records)
	}
}

// restart proves I-PSTATE: a snapshot of any prefix and the replay of the rest is the state, and so is the replay of everything.
func (w *world) restart(t *rapid.T) {
	if len(w.turn) > 0 {
		return
	}
	at := rapid.IntRange(0, len(w.log)).Draw(t, "snapshot")
	s := NewState(Config{})
	for i, it := range w.log {
		if i == at {
			s.Commit()
			var err error
			if s, err = Restore(Config{}, s.Snapshot()); err != nil {
				t.Fatal(err)
			}
		}
		it.apply(s)
	}
	s.Commit()
	s.LSO(w.hw)
	w.s.LSO(w.hw)
	if !s.Equal(w.s) {
		t.Fatalf("snapshot after %d of %d items and replay:\n%+v\nnot\n%+v", at, len(w.log), s.Describe(), w.s.Describe())
	}
	w.s = s
}

func (w *world) invariants(t *rapid.T) {
	for i := 1; i < len(w.s.open); i++ {
		if w.s.open[i-1].first >= w.s.open[i].first {
			t.Fatalf("open: %v", w.s.open)
		}
	}
	for i := 1; i < len(w.s.decided); i++ {
		if a, b := w.s.decided[i-1], w.s.decided[i]; a.first >= b.first || a.last >= b.last {
			t.Fatalf("decided: %v", w.s.decided)
		}
	}
	for _, p := range w.s.Describe() {
		if p.TxnStartOffset != w.all().openSince(p.ProducerID) || w.s.Begins(Header{ProducerID: p.ProducerID, Epoch: p.ProducerEpoch, Transactional: true}) != (p.TxnStartOffset < 0) {
			t.Fatalf("%+v", p)
		}
	}
}
