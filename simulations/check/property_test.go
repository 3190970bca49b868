package check

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// reference plays clients against a log that is right by construction: a slice.
type reference struct {
	rng   *rand.Rand
	rec   Recorder
	log   []int64
	value int64
	open  []*Op // sends whose batch is appended (or not) and which are not completed
	place map[*Op]int64
	pos   map[int]int64
}

func validHistory(seed uint64, steps int) *History {
	r := &reference{rng: rand.New(rand.NewPCG(seed, 1)), place: map[*Op]int64{}, pos: map[int]int64{}}
	r.rec.Topic(Topic{ID: topicA, Name: "t", Durability: protocol.DurabilityDisk})
	for range steps {
		switch n := r.rng.IntN(10); {
		case n < 4:
			r.send()
		case n < 7:
			r.acknowledge()
		case n < 9:
			r.poll(r.rng.IntN(3), false, 1+r.rng.IntN(8))
		default:
			r.latest()
		}
	}
	for len(r.open) > 0 {
		r.acknowledge()
	}
	r.pos[99] = 0
	for r.pos[99] < int64(len(r.log)) {
		r.poll(99, true, 20)
	}
	r.rec.Finish(keyA)
	return r.rec.History()
}

func (r *reference) send() {
	process := 10 + r.rng.IntN(3)
	for _, o := range r.open {
		if o.Process == process {
			return // one at a time, so that unknown outcomes cannot overtake
		}
	}
	op := Op{Key: keyA, Process: process, Offset: -1, LogStart: -1, Acks: -1}
	for range 1 + r.rng.IntN(3) {
		r.value++
		op.Values = append(op.Values, r.value)
	}
	p := r.rec.Invoke(op)
	r.open = append(r.open, p)
	r.place[p] = -1
	if r.rng.IntN(8) > 0 {
		r.place[p] = int64(len(r.log))
		r.log = append(r.log, p.Values...)
	}
}

func (r *reference) acknowledge() {
	if len(r.open) == 0 {
		return
	}
	i := r.rng.IntN(len(r.open))
	op := r.open[i]
	r.open = slices.Delete(r.open, i, i+1)
	switch at := r.place[op]; {
	case r.rng.IntN(6) == 0:
		r.rec.Complete(op, Info)
	case at < 0:
		r.rec.Complete(op, Fail)
	default:
		op.Offset, op.LogStart = at, 0
		r.rec.Complete(op, OK)
	}
}

func (r *reference) poll(process int, final bool, most int) {
	at := r.pos[process]
	op := r.rec.Invoke(Op{Key: keyA, Process: process, Func: Poll, Position: at, LastStable: -1, Final: final})
	op.HighWatermark = int64(len(r.log))
	for ; at < int64(len(r.log)) && len(op.Reads) < most; at++ {
		op.Reads = append(op.Reads, Read{Offset: at, Value: r.log[at], Sum: uint64(r.log[at])})
	}
	r.pos[process] = at
	r.rec.Complete(op, OK)
}

func (r *reference) latest() {
	op := r.rec.Invoke(Op{Key: keyA, Process: 50, Func: ListOffsets, At: AtLatest})
	op.Offset = int64(len(r.log))
	r.rec.Complete(op, OK)
}

func TestValidHistoriesAreClean(t *testing.T) {
	for seed := range uint64(300) {
		if found := validHistory(seed, 200).Check(); len(found) > 0 {
			t.Fatalf("seed %d: %v", seed, found)
		}
	}
}

// mutations damage a valid history as one bug of a broker would; each names the class that must be among those found.
var mutations = []struct {
	name   string
	want   Class
	damage func(*rand.Rand, *History) bool // false: nothing to damage here
}{
	{"an acknowledged batch disappears", Unseen, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Send && o.Outcome == OK })
		return op != nil && forget(h, op.Values)
	}},
	{"an acknowledged record disappears", LostWrite, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Send && o.Outcome == OK && !isLast(h, o) })
		return op != nil && forget(h, op.Values[:1])
	}},
	{"two neighbours of different producers swap for one reader", InconsistentOffsets, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Poll && len(o.Reads) > 2 && o.Final })
		if op == nil {
			return false
		}
		a, b := &op.Reads[0], &op.Reads[1]
		a.Value, b.Value, a.Sum, b.Sum = b.Value, a.Value, b.Sum, a.Sum
		return observedTwice(h, a.Offset)
	}},
	{"a record is served twice", IntNonmonotonicPoll, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Poll && len(o.Reads) > 0 })
		if op == nil {
			return false
		}
		op.Reads = append(op.Reads, op.Reads[len(op.Reads)-1])
		return true
	}},
	{"a record appears again at the end", Duplicate, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Poll && o.Final && len(o.Reads) > 0 })
		if op == nil {
			return false
		}
		last := h.Ops[len(h.Ops)-1]
		last.Reads = append(last.Reads, Read{Offset: last.HighWatermark, Value: op.Reads[0].Value, Sum: op.Reads[0].Sum})
		last.HighWatermark++
		return true
	}},
	{"an acknowledgement is off by one", AckOffsets, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool {
			return o.Func == Send && o.Outcome == OK && ackedNext(h, o.Offset+int64(len(o.Values)))
		})
		if op == nil {
			return false
		}
		op.Offset++
		return true
	}},
	{"an error was a success", FailedRead, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Send && o.Outcome == OK })
		if op == nil {
			return false
		}
		op.Outcome = Fail
		return true
	}},
	{"a bit flips", InconsistentOffsets, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Poll && !o.Final && len(o.Reads) > 0 })
		if op == nil {
			return false
		}
		op.Reads[0].Sum ^= 1 << 20
		return true
	}},
	{"latest lags behind", OffsetsListing, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool {
			return o.Func == ListOffsets && o.Offset > 0 && ackedBefore(h, o)
		})
		if op == nil {
			return false
		}
		op.Offset = 0
		return true
	}},
	{"the watermark lags behind", WatermarkBack, func(rng *rand.Rand, h *History) bool {
		op := pick(rng, h, func(o *Op) bool { return o.Func == Poll && len(o.Reads) == 0 && ackedBefore(h, o) })
		if op == nil {
			return false
		}
		op.HighWatermark = 0
		return true
	}},
}

func TestDamageIsFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			applied := 0
			for seed := range uint64(60) {
				h := validHistory(seed, 200)
				if !m.damage(rand.New(rand.NewPCG(seed, 2)), h) {
					continue
				}
				applied++
				if got := classes(h.Check()); !slices.Contains(got, m.want) {
					t.Fatalf("seed %d: want %s among %v", seed, m.want, got)
				}
			}
			if applied < 10 {
				t.Errorf("applied in only %d histories", applied)
			}
		})
	}
}

func pick(rng *rand.Rand, h *History, ok func(*Op) bool) *Op {
	var fit []*Op
	for _, op := range h.Ops {
		if ok(op) {
			fit = append(fit, op)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[rng.IntN(len(fit))]
}

// forget removes the values from every poll.
func forget(h *History, values []int64) bool {
	for _, op := range h.Ops {
		op.Reads = slices.DeleteFunc(op.Reads, func(r Read) bool { return slices.Contains(values, r.Value) })
	}
	return true
}

func isLast(h *History, op *Op) bool {
	for _, o := range h.Ops {
		if o.Func == Send && o.Outcome == OK && o.Offset > op.Offset {
			return false
		}
	}
	return true
}

func observedTwice(h *History, offset int64) bool {
	n := 0
	for _, op := range h.Ops {
		if op.Func == Send && op.Outcome == OK && op.Offset <= offset && offset < op.Offset+int64(len(op.Values)) {
			n++
		}
		for _, r := range op.Reads {
			if r.Offset == offset {
				n++
			}
		}
	}
	return n > 1
}

func ackedNext(h *History, offset int64) bool {
	return slices.ContainsFunc(h.Ops, func(o *Op) bool { return o.Func == Send && o.Outcome == OK && o.Offset == offset })
}

func ackedBefore(h *History, op *Op) bool {
	return slices.ContainsFunc(h.Ops, func(o *Op) bool { return o.Func == Send && o.Outcome == OK && o.Complete < op.Invoked })
}
