package replica

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// facts is what happened to a leadership, kept in the plainest way.
type facts struct {
	term         Term
	end, flushed map[protocol.NodeID]int64
	hw           int64
}

func (f *facts) members() []protocol.NodeID {
	return append(slices.Clone(f.term.ISR), f.term.Joining...)
}

// settle is the definition of the high watermark: never back, and forward to what all who count have, if enough are in sync.
func (f *facts) settle() {
	if len(f.term.ISR) < f.term.MinISR {
		return
	}
	low := int64(1 << 62)
	for _, n := range f.members() {
		at := f.end
		if f.term.Durability == protocol.DurabilityDisk {
			at = f.flushed
		}
		position, heard := at[n]
		if !heard {
			position = -1
		}
		low = min(low, position)
	}
	f.hw = max(f.hw, low)
}

func drawTerm(t *rapid.T) Term {
	term := Term{Self: 1, Epoch: 7, ISR: []protocol.NodeID{1}, MinISR: rapid.IntRange(1, 3).Draw(t, "min")}
	for n := protocol.NodeID(2); n <= 4; n++ {
		switch rapid.IntRange(0, 3).Draw(t, "role") {
		case 0, 1:
			term.ISR = append(term.ISR, n)
		case 2:
			term.Joining = append(term.Joining, n)
		}
	}
	if rapid.Bool().Draw(t, "os") {
		term.Durability = protocol.DurabilityOS
	}
	return term
}

// ticket is an acknowledgement the model waits for.
type ticket struct {
	id       uint64
	end      int64
	acks     int16
	deadline time.Duration
}

type leadership struct {
	l       *Leader
	f       facts
	tickets []ticket
	next    uint64
	now     time.Duration
}

// TestAgainstFacts: the high watermark is what its definition says, and every acknowledgement is handed back exactly once, for the
// right reason.
func TestAgainstFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		term := drawTerm(t)
		end := rapid.Int64Range(0, 20).Draw(t, "end")
		log := Log{end, rapid.Int64Range(0, end).Draw(t, "flushed"), rapid.Int64Range(0, end).Draw(t, "hw")}
		w := &leadership{l: NewLeader(term, log)}
		w.f = facts{term, map[protocol.NodeID]int64{1: log.End}, map[protocol.NodeID]int64{1: log.Flushed}, log.HighWatermark}
		w.f.settle()
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				w.f.end[1] += rapid.Int64Range(1, 9).Draw(t, "records")
				w.l.Appended(w.f.end[1])
			},
			"flush": func(t *rapid.T) {
				at := rapid.Int64Range(0, w.f.end[1]).Draw(t, "to")
				w.l.Flushed(at)
				w.f.flushed[1] = max(w.f.flushed[1], at)
			},
			"follow":      w.follow,
			"reconfigure": w.reconfigure,
			"restart": func(t *rapid.T) {
				n := protocol.NodeID(rapid.IntRange(1, 5).Draw(t, "node"))
				w.l.Restarted(n)
				if n != 1 {
					delete(w.f.end, n)
					delete(w.f.flushed, n)
				}
			},
			"park":    w.park,
			"release": w.release,
			"resign": func(t *rapid.T) {
				var got []uint64
				w.l.Resign(protocol.NotLeaderOrFollower, func(a *Ack, _ protocol.Code) { got = append(got, a.Answer.ID) })
				slices.Sort(got)
				if !slices.Equal(got, ids(w.tickets)) {
					t.Fatalf("resigning hands back %v of %v", got, ids(w.tickets))
				}
				w.tickets = nil
			},
			"": func(t *rapid.T) {
				w.f.settle()
				if got := w.l.HighWatermark(); got != w.f.hw {
					t.Fatalf("high watermark %d, by definition %d: %+v", got, w.f.hw, w.f)
				}
			},
		})
	})
}

func (w *leadership) follow(t *rapid.T) {
	n := protocol.NodeID(rapid.IntRange(2, 5).Draw(t, "node"))
	end := rapid.Int64Range(0, w.f.end[1]).Draw(t, "end")
	flushed := rapid.Int64Range(0, end).Draw(t, "flushed")
	w.l.Followed(n, end, flushed)
	if slices.Contains(w.f.members(), n) {
		w.f.end[n], w.f.flushed[n] = max(w.f.end[n], end), max(w.f.flushed[n], flushed)
	}
}

func (w *leadership) reconfigure(t *rapid.T) {
	w.f.term = drawTerm(t)
	w.l.Reconfigure(w.f.term)
	for n := range w.f.end { // who left is forgotten
		if !slices.Contains(w.f.members(), n) {
			delete(w.f.end, n)
			delete(w.f.flushed, n)
		}
	}
}

func (w *leadership) park(t *rapid.T) {
	w.next++
	k := ticket{w.next, rapid.Int64Range(1, max(1, w.f.end[1])).Draw(t, "end"), rapid.SampledFrom([]int16{1, -1}).Draw(t, "acks"), w.now + time.Duration(rapid.IntRange(0, 20).Draw(t, "wait"))}
	if !w.l.Park(Ack{End: k.end, Acks: k.acks, Deadline: k.deadline, Answer: &protocol.Produced{Answer: protocol.Answer{ID: k.id}}}) {
		t.Fatal("refused far below the bound")
	}
	w.tickets = append(w.tickets, k)
	if at, ok := w.l.NextDeadline(); !ok || at > k.deadline {
		t.Fatalf("next deadline %v %v, parked %v", at, ok, k.deadline)
	}
}

func (w *leadership) release(t *rapid.T) {
	w.now += time.Duration(rapid.IntRange(0, 10).Draw(t, "later"))
	own := w.f.flushed[1]
	if w.f.term.Durability == protocol.DurabilityOS {
		own = w.f.end[1]
	}
	w.f.settle()
	last := map[int16]uint64{}
	w.l.Release(w.now, func(a *Ack, code protocol.Code) {
		i := slices.IndexFunc(w.tickets, func(k ticket) bool { return k.id == a.Answer.ID })
		if i < 0 {
			t.Fatalf("ack %d is handed back again", a.Answer.ID)
		}
		k := w.tickets[i]
		bound := w.f.hw
		if k.acks == 1 {
			bound = own
		}
		switch {
		case code == protocol.None && k.end > bound:
			t.Fatalf("ack %d up to %d is satisfied at %d", k.id, k.end, bound)
		case code == protocol.RequestTimedOut && k.deadline > w.now:
			t.Fatalf("ack %d expires at %v, due %v", k.id, w.now, k.deadline)
		case code == protocol.None && last[k.acks] > k.id:
			t.Fatalf("ack %d is satisfied out of order", k.id)
		case code != protocol.None && code != protocol.RequestTimedOut:
			t.Fatalf("ack %d: %v", k.id, code)
		}
		if code == protocol.None {
			last[k.acks] = k.id
		}
		w.tickets = slices.Delete(w.tickets, i, i+1)
	})
	first := map[int16]bool{1: true, -1: true}
	for _, k := range w.tickets {
		bound := w.f.hw
		if k.acks == 1 {
			bound = own
		}
		if k.deadline <= w.now || first[k.acks] && k.end <= bound {
			t.Fatalf("ack %+v is forgotten: bound %d, now %v", k, bound, w.now)
		}
		first[k.acks] = false
	}
	if at, ok := w.l.NextDeadline(); ok != (len(w.tickets) > 0) || ok && at <= w.now {
		t.Fatalf("next deadline %v at %v with %d parked", at, w.now, len(w.tickets))
	}
}

func ids(tickets []ticket) (out []uint64) {
	for _, k := range tickets {
		out = append(out, k.id)
	}
	return out
}

// TestAwaitsAgainstList: readers are handed over exactly when a list that is walked every time says so.
func TestAwaitsAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Awaits
		var list []Await
		var now time.Duration
		var hw, lso int64
		next := uint64(0)
		reader := actors.NewPID("node", "reader")
		t.Repeat(map[string]func(*rapid.T){
			"park": func(t *rapid.T) {
				next++
				a := Await{reader, next, rapid.Int64Range(0, 30).Draw(t, "offset"), rapid.Bool().Draw(t, "committed"), now + time.Duration(rapid.IntRange(0, 20).Draw(t, "wait"))}
				w.Park(a)
				list = append(list, a)
			},
			"forget": func(t *rapid.T) {
				id := rapid.Uint64Range(0, next).Draw(t, "id")
				w.Forget(actors.NewPID("node", "reader"), id)
				w.Forget(actors.NewPID("node", "other"), id+1)
				list = slices.DeleteFunc(list, func(a Await) bool { return a.ID == id })
			},
			"wake": func(t *rapid.T) {
				now += time.Duration(rapid.IntRange(0, 5).Draw(t, "later"))
				hw += rapid.Int64Range(0, 3).Draw(t, "committed")
				lso = rapid.Int64Range(lso, hw).Draw(t, "stable")
				var got, want []Await
				w.Wake(hw, lso, now, func(a Await) { got = append(got, a) })
				list = slices.DeleteFunc(list, func(a Await) bool {
					due := a.Deadline <= now || a.Committed && a.Offset < lso || !a.Committed && a.Offset < hw
					if due {
						want = append(want, a)
					}
					return due
				})
				if !slices.Equal(got, want) {
					t.Fatalf("woken %v, due %v", got, want)
				}
				if at, ok := w.NextDeadline(); ok && at <= now {
					t.Fatalf("next deadline %v at %v", at, now)
				}
			},
			"wake all": func(t *rapid.T) {
				var got []Await
				w.WakeAll(func(a Await) { got = append(got, a) })
				if !slices.Equal(got, list) {
					t.Fatalf("woken %v of %v", got, list)
				}
				list = nil
			},
			"": func(t *rapid.T) {
				at, ok := w.NextDeadline()
				if w.Len() != len(list) || ok != (len(list) > 0) {
					t.Fatalf("%d of %d", w.Len(), len(list))
				}
				for _, a := range list {
					if a.Deadline < at {
						t.Fatalf("next deadline %v, but one is due at %v", at, a.Deadline)
					}
				}
			},
		})
	})
}

func TestBounds(t *testing.T) {
	l := NewLeader(Term{Self: 1, ISR: []protocol.NodeID{1}, MinISR: 1}, Log{})
	l.Appended(10)
	for i := range AcksMax {
		if !l.Park(Ack{End: 10, Acks: int16(1 - 2*(i%2))}) {
			t.Fatalf("refused after %d", i)
		}
	}
	if l.Park(Ack{End: 10, Acks: 1}) || l.Park(Ack{End: 10, Acks: -1}) {
		t.Error("more than AcksMax")
	}
	l.Flushed(10)
	n := 0
	l.Release(0, func(*Ack, protocol.Code) { n++ })
	if n != AcksMax || !l.Park(Ack{End: 10, Acks: 1}) {
		t.Errorf("%d of %d handed back", n, AcksMax)
	}
	var w Awaits
	for range AwaitsMax {
		if !w.Park(Await{}) {
			t.Fatal("refused too early")
		}
	}
	if w.Park(Await{}) {
		t.Error("more than AwaitsMax")
	}
}

// A line that never runs empty must not grow: what was handed back makes room.
func TestBusyLineStaysSmall(t *testing.T) {
	l := NewLeader(Term{Self: 1, ISR: []protocol.NodeID{1}, MinISR: 1, Durability: protocol.DurabilityOS}, Log{})
	end := int64(0)
	for range 10_000 {
		for range 10 {
			end++
			l.Park(Ack{End: end, Acks: -1, Deadline: time.Duration(end)})
		}
		l.Appended(end - 5) // half of the turn is satisfied by the next one
		l.Release(0, func(*Ack, protocol.Code) {})
	}
	if got := cap(l.parked.all.acks); got > 256 {
		t.Errorf("5 acks wait in room for %d", got)
	}
}

func TestBrokenPromisesPanic(t *testing.T) {
	alone := Term{Self: 1, Epoch: 3, ISR: []protocol.NodeID{1}, MinISR: 1}
	for name, f := range map[string]func(*Leader){
		"the log end falls":      func(l *Leader) { l.Appended(9) },
		"flushed beyond the end": func(l *Leader) { l.Flushed(11) },
		"another epoch":          func(l *Leader) { l.Reconfigure(Term{Self: 1, Epoch: 4, ISR: []protocol.NodeID{1}}) },
		"another node":           func(l *Leader) { l.Reconfigure(Term{Self: 2, Epoch: 3, ISR: []protocol.NodeID{2}}) },
		"leader not in sync":     func(l *Leader) { l.Reconfigure(Term{Self: 1, Epoch: 3, ISR: []protocol.NodeID{2}}) },
		"leader only joining": func(l *Leader) {
			l.Reconfigure(Term{Self: 1, Epoch: 3, ISR: []protocol.NodeID{2}, Joining: []protocol.NodeID{1}})
		},
		"watermark past the end":  func(l *Leader) { l.checkMove(11) },
		"watermark past the disk": func(l *Leader) { l.checkMove(10) },
		"watermark with too few":  func(l *Leader) { l.term.MinISR = 2; l.checkMove(5) },
		"flushed beyond the log":  func(*Leader) { NewLeader(alone, Log{End: 1, Flushed: 2}) },
		"high watermark beyond":   func(*Leader) { NewLeader(alone, Log{End: 1, HighWatermark: 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLeader(alone, Log{End: 10, Flushed: 8, HighWatermark: 5})
			defer func() {
				if recover() == nil {
					t.Error("went on")
				}
			}()
			f(l)
		})
	}
}
