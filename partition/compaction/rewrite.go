package compaction

import (
	"errors"
	"fmt"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/storage"
)

// Options describe one round.
type Options struct {
	View   *storage.View
	Plan   Plan
	Config *protocol.LogConfig
	// Now is the wall time of the whole round, milliseconds.
	Now int64
	// Producers are those the log knew when the round began, or later.
	Producers []producer.Last
	// MapBytes and MapFactor bound the OffsetMap.
	MapBytes  int64
	MapFactor float64
}

// Round is one compaction of one log, in steps. Any one goroutine at a time; every step blocks for the disk.
type Round struct {
	o     Options
	state state
	// segments are those of the view; segment is the one that is read, up to at.
	segments []storage.Segment
	segment  int
	at       int64
	buf      []byte

	keys  *OffsetMap
	txns  *transactions
	end   int64 // where keys reach; the log is clean up to here when the round has ended
	begun bool  // the first segment is read

	filter  filter
	groups  []Group
	output  *storage.Rewrite // of groups[0]
	aborted []storage.AbortedTxn
	changed bool // output differs from what it was made of

	stats Stats
}

type state uint8

const (
	mapping state = iota
	rewriting
	ended
)

// Stats count what a round did.
type Stats struct {
	Read, Written int64 // bytes
	Removed       int64 // bytes by which the log became smaller
}

// NewRound begins a round.
func NewRound(o Options) (*Round, error) {
	segments, err := o.View.Segments(false)
	if err != nil {
		return nil, err
	}
	r := &Round{o: o, segments: segments, keys: NewOffsetMap(o.MapBytes, o.MapFactor), txns: newTransactions(), end: o.Plan.FirstDirty}
	for r.segment < len(segments) && segments[r.segment].Next <= o.Plan.FirstDirty {
		r.segment++
	}
	return r, nil
}

// End is the offset below which the log is clean once Step said that it is done.
func (r *Round) End() int64 { return r.end }

// Stats are the counts so far.
func (r *Round) Stats() Stats { return r.stats }

// errPause ends the reading of one step.
var errPause = errors.New("enough for one step")

// Step goes on by about budget bytes read. A replacement must be put into the log before the next step; the round owns it no longer. done
// says that the round has ended: there is nothing to discard. After an error, ErrStale and ErrOutOfRange among them, which say that the
// log has changed, the round is to be discarded.
func (r *Round) Step(budget int) (replacement *storage.Replacement, done bool, err error) {
	switch r.state {
	case mapping:
		err = r.note(budget)
	case rewriting:
		replacement, err = r.rewrite(budget)
	}
	return replacement, r.state == ended, err
}

// Discard gives up what is unfinished.
func (r *Round) Discard() {
	if r.output != nil {
		r.output.Discard()
		r.output = nil
	}
	r.state, r.keys = ended, nil
}

// each calls f for batches from r.at on within the segment that is read, until budget is used up. more is false when that segment is
// read to its end.
func (r *Round) each(budget int, f func(record.Batch) error) (more bool, err error) {
	s := r.segments[r.segment]
	from := max(s.Base, r.at, r.o.View.StartOffset())
	if from >= s.Next {
		return false, nil
	}
	if r.buf == nil {
		r.buf = make([]byte, 256<<10)
	}
	left := budget
	err = r.o.View.EachBatch(from, s.Next, r.buf, func(b record.Batch) error {
		if left <= 0 {
			return errPause
		}
		if b.NextOffset() <= r.at {
			return nil
		}
		if err := f(b); err != nil {
			return err
		}
		left -= len(b)
		r.stats.Read += int64(len(b))
		r.at = b.NextOffset()
		return nil
	})
	if errors.Is(err, errPause) {
		return true, nil
	}
	return false, err
}

// enter tells of the aborted transactions of the segment that is read next.
func (r *Round) enter(from int64) error {
	s := r.segments[r.segment]
	from = max(from, s.Base, r.o.View.StartOffset())
	if from >= s.Next {
		return nil
	}
	aborted, err := r.o.View.Aborted(from, s.Next)
	r.txns.add(aborted)
	return err
}

// errFull ends the mapping.
var errFull = errors.New("the offset map is full")

// note is a step of mapping. Source: Cleaner.buildOffsetMap.
func (r *Round) note(budget int) error {
	if r.segment == len(r.segments) || r.segments[r.segment].Base >= r.o.Plan.Upper {
		r.end = r.o.Plan.Upper
		return r.plan()
	}
	if !r.begun {
		r.at, r.begun = max(r.segments[r.segment].Base, r.o.Plan.FirstDirty), true
		if err := r.enter(r.at); err != nil {
			return err
		}
	}
	more, err := r.each(budget, r.noteBatch)
	if errors.Is(err, errFull) {
		return r.plan()
	}
	if err == nil && !more {
		r.end = r.segments[r.segment].Next
		r.segment++
		if r.segment < len(r.segments) && r.segments[r.segment].Base < r.o.Plan.Upper {
			r.at = r.segments[r.segment].Base
			err = r.enter(r.at)
		}
	}
	return err
}

func (r *Round) noteBatch(b record.Batch) error {
	if r.keys.Full() {
		return errFull
	}
	if b.IsControl() {
		r.txns.control(b)
	} else if !r.txns.data(b) {
		_, err := b.Filter(&r.filter.decoder, func(offset int64, key []byte, _ bool) bool {
			if key != nil && offset >= r.o.Plan.FirstDirty {
				r.keys.Put(key, offset)
			}
			return false
		})
		if err != nil {
			return unreadable(b, err)
		}
	}
	r.end = b.NextOffset()
	return nil
}

func unreadable(b record.Batch, err error) error {
	return fmt.Errorf("%w: the records of the batch at offset %d: %w", storage.ErrCorrupt, b.BaseOffset(), err)
}

// plan goes over to rewriting.
func (r *Round) plan() error {
	r.groups = GroupsOf(r.segments, r.o.View.StartOffset(), r.end, r.o.Config.SegmentBytes)
	r.txns = newTransactions()
	r.filter.keys, r.filter.mapped, r.filter.txns = r.keys, r.end, r.txns
	r.filter.now, r.filter.deleteRetention = r.o.Now, r.o.Config.DeleteRetention.Milliseconds()
	r.filter.producers = make(map[int64]producer.Last, len(r.o.Producers))
	for _, p := range r.o.Producers {
		r.filter.producers[int64(p.ProducerID)] = p
	}
	r.segment, r.at, r.state = 0, 0, rewriting
	for len(r.groups) > 0 && r.segments[r.segment].Base < r.groups[0].Base {
		r.segment++
	}
	if len(r.groups) == 0 {
		r.state = ended
	}
	return nil
}

// rewrite is a step of rewriting. Source: Cleaner.cleanSegments.
func (r *Round) rewrite(budget int) (*storage.Replacement, error) {
	g := r.groups[0]
	if r.output == nil {
		output, err := r.o.View.Rewrite(g.Base, g.Next)
		if err != nil {
			return nil, err
		}
		r.output, r.aborted, r.changed = output, nil, false
		if err := r.enter(g.Base); err != nil {
			return nil, err
		}
	}
	more, err := r.each(budget, func(b record.Batch) error { return r.keep(b, g.Next) })
	if err != nil || more {
		return nil, err
	}
	r.segment++
	if r.segment < len(r.segments) && r.segments[r.segment].Base < g.Next {
		r.changed = true // several become one
		return nil, r.enter(0)
	}
	return r.finish()
}

func (r *Round) keep(b record.Batch, next int64) error {
	out, entry, err := r.filter.batch(b, next)
	if err != nil {
		return unreadable(b, err)
	}
	if entry != nil {
		r.aborted = append(r.aborted, *entry)
	}
	if out == nil {
		r.changed = true
		r.stats.Removed += int64(len(b))
		return nil
	}
	if out.BaseOffset() != b.BaseOffset() || out.LastOffset() != b.LastOffset() {
		invariant.Check(false, "compaction moves the batch [%d, %d] to [%d, %d]", b.BaseOffset(), b.LastOffset(), out.BaseOffset(), out.LastOffset())
	}
	r.changed = r.changed || &out[0] != &b[0]
	r.stats.Removed += int64(len(b) - len(out))
	r.stats.Written += int64(len(out))
	return r.output.Append(out)
}

// finish ends a group. A segment of which everything stays is left alone, and so is one of which nothing can be read any more.
func (r *Round) finish() (replacement *storage.Replacement, err error) {
	output := r.output
	if r.changed && output.Size() > 0 {
		if replacement, err = output.Finish(r.aborted); err != nil {
			return nil, err
		}
	} else {
		output.Discard()
	}
	r.output = nil
	if r.groups = r.groups[1:]; len(r.groups) == 0 {
		r.state, r.keys, r.filter = ended, nil, filter{}
	}
	return replacement, nil
}
