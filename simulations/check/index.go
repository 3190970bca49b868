package check

import (
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Index holds what the checkers derive from a history, once.
type Index struct {
	H          *History
	Partitions []*Partition // ordered by key
	// Writer is the send of each value.
	Writer map[int64]*Op
	topics map[protocol.TopicID]*Topic
	// Deleted is the first deletion of each topic that may have happened.
	Deleted map[protocol.TopicID]*Op
	Created map[protocol.TopicID]*Op
	txns    map[int]*txn
}

// Partition is one partition of one incarnation of a topic.
type Partition struct {
	Key   protocol.TopicPartition
	Topic *Topic
	Ops   []*Op // in order of invocation
	// Eras are the observed logs between power losses that may take an un-synced tail away. A partition whose durability is disk
	// has one era: nothing may be taken away.
	Eras []*Log
	// Lost are entries that a later era replaced.
	Lost []Entry
	// Broken are violations met while the eras were put together.
	Broken []Anomaly
	// Read are the values polls returned with outcome OK; FinalRead those of the final read.
	Read, FinalRead map[int64]bool
	Finished        bool
	// FinalCommitted are the values of the final read with isolation level read_committed.
	FinalCommitted    map[int64]bool
	FinishedCommitted bool
	// removed is the offset below which somebody asked to remove records (excuse.go).
	removed int64
	newer   *newer // of a compacted partition
}

// Entry is one observed record.
type Entry struct {
	Offset, Value int64
	Sum           uint64 // 0 when only acknowledged
	By            *Op    // who observed it first
	// First and Latest are the eras of the first and the latest observation.
	First, Latest int
}

// Log is the version order of one era: every offset at which something was observed, by acknowledgement or by poll, ascending.
type Log struct {
	Entries []Entry
	byValue map[int64][]int
}

// Last is the log of the last era.
func (p *Partition) Last() *Log { return p.Eras[len(p.Eras)-1] }

// At is the log as it was in the era of op.
func (p *Partition) At(op *Op) *Log {
	return p.Eras[min(p.era(op), len(p.Eras)-1)]
}

func (p *Partition) era(op *Op) int {
	if p.Topic.Durability == protocol.DurabilityDisk {
		return 0
	}
	return op.Era
}

// Rank is the position of the first entry at or after offset.
func (l *Log) Rank(offset int64) int {
	i, _ := slices.BinarySearchFunc(l.Entries, offset, func(e Entry, o int64) int { return cmp.Compare(e.Offset, o) })
	return i
}

// Ranks are the positions at which value was observed.
func (l *Log) Ranks(value int64) []int { return l.byValue[value] }

// Entry returns the entry at offset.
func (l *Log) Entry(offset int64) (Entry, bool) {
	i := l.Rank(offset)
	if i == len(l.Entries) || l.Entries[i].Offset != offset {
		return Entry{}, false
	}
	return l.Entries[i], true
}

func newLog(entries []Entry) *Log {
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Offset, b.Offset) })
	l := &Log{Entries: entries, byValue: make(map[int64][]int, len(entries))}
	for i, e := range entries {
		l.byValue[e.Value] = append(l.byValue[e.Value], i)
	}
	return l
}

// NewIndex derives everything from h.
func NewIndex(h *History) *Index {
	x := &Index{
		H: h, Writer: map[int64]*Op{}, topics: map[protocol.TopicID]*Topic{},
		Deleted: map[protocol.TopicID]*Op{}, Created: map[protocol.TopicID]*Op{}, txns: map[int]*txn{},
	}
	for i := range h.Topics {
		x.topics[h.Topics[i].ID] = &h.Topics[i]
	}
	byKey := map[protocol.TopicPartition]*Partition{}
	ops := slices.Clone(h.Ops)
	slices.SortStableFunc(ops, func(a, b *Op) int { return cmp.Compare(a.Invoked, b.Invoked) })
	for _, op := range ops {
		x.noteTopic(op)
	}
	for _, op := range ops {
		x.note(op, byKey)
	}
	for _, key := range h.Finished {
		if p := byKey[key]; p != nil {
			p.Finished = true
		}
	}
	for _, key := range h.FinishedCommitted {
		if p := byKey[key]; p != nil {
			p.FinishedCommitted = true
		}
	}
	slices.SortFunc(x.Partitions, func(a, b *Partition) int {
		switch {
		case a.Key.Less(b.Key):
			return -1
		case b.Key.Less(a.Key):
			return 1
		}
		return 0
	})
	for _, p := range x.Partitions {
		p.build(x)
		p.removed = removedBefore(p)
	}
	for _, p := range x.Partitions {
		p.noteKeys(x)
	}
	x.noteVisible()
	return x
}

func (x *Index) noteTopic(op *Op) {
	switch {
	case op.Func == CreateTopic:
		x.Created[op.Key.Topic] = op
	case op.Func == DeleteTopic && op.Outcome != Fail && x.Deleted[op.Key.Topic] == nil:
		x.Deleted[op.Key.Topic] = op
	}
}

func (x *Index) note(op *Op, byKey map[protocol.TopicPartition]*Partition) {
	x.noteTxn(op)
	if op.Func == CreateTopic || op.Func == DeleteTopic || op.Func == EndTxn {
		return
	}
	if op.Func == Send && op.ByName && op.Outcome == OK && x.nameWasAmbiguous(op) {
		// The acknowledgement may come from another incarnation, so it says nothing certain about this one.
		unsure := *op
		unsure.Outcome, unsure.Offset = Info, -1
		op = &unsure
	}
	p := byKey[op.Key]
	if p == nil {
		p = &Partition{Key: op.Key, Topic: x.topics[op.Key.Topic], Read: map[int64]bool{}, FinalRead: map[int64]bool{}, FinalCommitted: map[int64]bool{}}
		if p.Topic == nil {
			p.Topic = &Topic{ID: op.Key.Topic}
		}
		byKey[op.Key] = p
		x.Partitions = append(x.Partitions, p)
	}
	p.Ops = append(p.Ops, op)
	if op.Func == Send {
		for _, v := range op.Values {
			x.Writer[v] = op
		}
	}
}

// build puts the eras together.
func (p *Partition) build(x *Index) {
	var eras [][]Entry
	var marks []map[int64]*Op // by era and offset: who saw a marker there
	grow := func(op *Op) {
		for len(eras) <= p.era(op) {
			eras, marks = append(eras, nil), append(marks, map[int64]*Op{})
		}
	}
	add := func(op *Op, e Entry) {
		grow(op)
		e.First, e.Latest = p.era(op), p.era(op)
		eras[e.First] = append(eras[e.First], e)
	}
	for _, op := range p.Ops {
		if op.Func == Send && op.Outcome == OK && op.Offset >= 0 {
			for i, v := range op.Values {
				add(op, Entry{Offset: op.Offset + int64(i), Value: v, By: op})
			}
		}
		if op.Func != Poll {
			continue
		}
		for _, offset := range op.Markers {
			grow(op)
			marks[p.era(op)][offset] = op
		}
		for _, r := range op.Hidden {
			add(op, Entry{Offset: r.Offset, Value: r.Value, Sum: r.Sum, By: op})
		}
		for _, r := range op.Reads {
			add(op, Entry{Offset: r.Offset, Value: r.Value, Sum: r.Sum, By: op})
			if op.Outcome == OK {
				p.Read[r.Value] = true
				if op.Final && op.Committed {
					p.FinalCommitted[r.Value] = true
				} else if op.Final {
					p.FinalRead[r.Value] = true
				}
			}
		}
	}
	if len(eras) == 0 {
		eras, marks = append(eras, nil), append(marks, nil)
	}
	p.chain(x, eras, marks)
}

// chain merges each era into what the era before left standing: a power loss may have cut the log at one offset, so everything from
// the first difference on is lost, and everything before it must be the same. A marker where there was a record is a difference, too.
func (p *Partition) chain(x *Index, eras [][]Entry, marks []map[int64]*Op) {
	var cur []Entry
	for era, raw := range eras {
		seen := p.unify(raw)
		for _, e := range seen {
			if by := marks[era][e.Offset]; by != nil {
				p.Broken = append(p.Broken, p.anomaly(InconsistentOffsets, "offset %d holds value %d (%v) and a marker (%v)", e.Offset, e.Value, e.By, by))
			}
		}
		cut, found := firstDifference(cur, seen)
		for _, e := range cur {
			if marks[era][e.Offset] != nil && (!found || e.Offset < cut) {
				cut, found = e.Offset, true
				break
			}
		}
		if found {
			i, _ := slices.BinarySearchFunc(cur, cut, func(e Entry, o int64) int { return cmp.Compare(e.Offset, o) })
			p.tailMustBeGone(x, cur[i:], seen)
			p.Lost = append(p.Lost, cur[i:]...)
			cur = cur[:i:i]
		}
		cur = merge(cur, seen)
		p.Eras = append(p.Eras, newLog(slices.Clone(cur)))
	}
}

// unify sorts the observations of one era and folds equal ones; two different values at one offset are an anomaly, the first stays.
func (p *Partition) unify(raw []Entry) (out []Entry) {
	slices.SortStableFunc(raw, func(a, b Entry) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, e := range raw {
		n := len(out)
		if n == 0 || out[n-1].Offset != e.Offset {
			out = append(out, e)
			continue
		}
		old := &out[n-1]
		if !same(*old, e) {
			p.Broken = append(p.Broken, p.anomaly(InconsistentOffsets, "offset %d holds value %d (%v) and value %d (%v)",
				e.Offset, old.Value, old.By, e.Value, e.By))
			continue
		}
		old.Sum = max(old.Sum, e.Sum)
	}
	return out
}

// same reports whether two observations can be of one record.
func same(a, b Entry) bool {
	return a.Value == b.Value && (a.Sum == 0 || b.Sum == 0 || a.Sum == b.Sum)
}

// firstDifference is the smallest offset both know and disagree on.
func firstDifference(a, b []Entry) (int64, bool) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i].Offset < b[j].Offset:
			i++
		case a[i].Offset > b[j].Offset:
			j++
		case !same(a[i], b[j]):
			return a[i].Offset, true
		default:
			i, j = i+1, j+1
		}
	}
	return 0, false
}

// tailMustBeGone reports entries that survived behind a lost one: power loss takes a tail, it leaves no holes. Only those count that
// are known to have been there together with the lost one; others may have been written after it was gone, which nobody saw happen.
// And its producer must have been told of it by then: one that was not sends the batch again, by chance to the same offset. What survived
// keeps the era in which it was first seen.
func (p *Partition) tailMustBeGone(x *Index, tail, seen []Entry) {
	for i, j := 0, 0; i < len(tail) && j < len(seen); {
		switch {
		case tail[i].Offset < seen[j].Offset:
			i++
		case tail[i].Offset > seen[j].Offset:
			j++
		default:
			if same(tail[i], seen[j]) {
				seen[j].First = tail[i].First
				w, last := x.Writer[tail[i].Value], tail[0].Latest
				if tail[i].First <= last && w != nil && w.Outcome == OK && p.era(w) <= last {
					p.Broken = append(p.Broken, p.anomaly(InconsistentOffsets, "value %d at offset %d survived a power loss that took offset %d (%v)",
						tail[i].Value, tail[i].Offset, tail[0].Offset, tail[0].By))
				}
			}
			i, j = i+1, j+1
		}
	}
}

func merge(a, b []Entry) []Entry {
	out := make([]Entry, 0, len(a)+len(b))
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i].Offset < b[j].Offset:
			out, i = append(out, a[i]), i+1
		case i == len(a) || a[i].Offset > b[j].Offset:
			out, j = append(out, b[j]), j+1
		default:
			e := a[i]
			e.Sum, e.Latest = max(e.Sum, b[j].Sum), b[j].Latest
			out, i, j = append(out, e), i+1, j+1
		}
	}
	return out
}
