package storage

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/record"
)

// extentsKept bounds what a segment remembers of its verified ranges. At the bound the smallest is forgotten and verified again
// when somebody reads it.
const extentsKept = 16

// cold tracks which bytes of a segment passed their CRC since the log was opened. Bytes from end on need no check: this process
// appended them, or recovery scanned them. Shared by the readers of the segment, hence the lock; no I/O happens under it.
type cold struct {
	end int64

	mu   sync.Mutex
	good []extent // sorted, disjoint, not touching
}

// extent is the half-open range of bytes [from, to), both batch boundaries.
type extent struct{ from, to int64 }

// covered returns the end of the verified extent that holds pos, or pos if there is none.
func (c *cold) covered(pos int64) int64 {
	if pos >= c.end {
		return pos
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.good {
		if e.from <= pos && pos < e.to {
			return e.to
		}
	}
	return pos
}

func (c *cold) add(e extent) {
	if e.to <= e.from {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var merged []extent
	for _, old := range c.good {
		if old.to < e.from || e.to < old.from {
			merged = append(merged, old)
			continue
		}
		e = extent{min(e.from, old.from), max(e.to, old.to)}
	}
	at, _ := slices.BinarySearchFunc(merged, e, func(a, b extent) int { return int(a.from - b.from) })
	merged = slices.Insert(merged, at, e)
	if len(merged) > extentsKept {
		smallest := 0
		for i, e := range merged {
			if e.to-e.from < merged[smallest].to-merged[smallest].from {
				smallest = i
			}
		}
		merged = slices.Delete(merged, smallest, smallest+1)
	}
	c.good = merged
}

// cut is what is known of the first size bytes.
func (c *cold) cut(size int64) *cold {
	if c == nil || size == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	short := &cold{end: min(c.end, size)}
	for _, e := range c.good {
		if e.from < size {
			short.good = append(short.good, extent{e.from, min(e.to, size)})
		}
	}
	return short
}

// verify makes sure that every batch of the span passed its CRC since Open. The span is cut before the first one that fails; a
// *Corruption if that is its first.
func (p piece) verify(f env.File, span *Span) error {
	if p.cold == nil {
		return nil
	}
	pos, end := span.Pos, min(span.Pos+int64(span.Len), p.cold.end)
	for pos < end {
		if to := p.cold.covered(pos); to > pos {
			pos = to
			continue
		}
		good, err := p.verifyRun(f, pos, end)
		if err == nil {
			pos = good
			continue
		}
		var d *damage
		if !errors.As(err, &d) {
			return err
		}
		if good == span.Pos {
			return p.corrupt(err, span.FirstOffset)
		}
		return p.cutSpan(f, span, good)
	}
	return nil
}

// verifyRun checks batches from pos on until end or a range that is verified already, and returns how far it came. A base offset is
// not covered by the CRC: what guards it is that offsets ascend. Of two batches that overlap either may be the wrong one.
func (p piece) verifyRun(f env.File, pos, end int64) (int64, error) {
	w := walkBodies(f, pos, p.size)
	defer w.close()
	defer func() { p.cold.add(extent{pos, w.pos}) }()
	var header [record.HeaderSize]byte
	before, next := pos, p.base // where the batch before begins, and the offset after it
	for w.pos < end && p.cold.covered(w.pos) == w.pos {
		h, size, err := w.checked(p.base, &header)
		if err != nil {
			return w.pos, err
		}
		if h.BaseOffset() < next {
			w.pos = before
			return before, overlap(before, next, h.BaseOffset())
		}
		before, w.pos, next = w.pos, w.pos+size, h.NextOffset()
	}
	follows, err := p.offsetAt(&w)
	if err != nil {
		return w.pos, err
	}
	if follows < next {
		w.pos = before
		return before, overlap(before, next, follows)
	}
	return w.pos, nil
}

// offsetAt is the base offset of the batch where w is, or the end of the segment; the largest if it cannot be known.
func (p piece) offsetAt(w *walker) (int64, error) {
	if w.done() {
		return p.next, nil
	}
	h, _, err := w.header(0)
	var d *damage
	switch {
	case errors.As(err, &d):
		return math.MaxInt64, nil
	case err != nil:
		return 0, err
	}
	return h.BaseOffset(), nil
}

// overlap is the damage of a batch at pos that ends where the next one, or the next segment, has begun already.
func overlap(pos, next, follows int64) *damage {
	return &damage{pos, fmt.Sprintf("the batch ends at offset %d, what follows begins at %d", next-1, follows)}
}

// cutSpan ends the span at pos, a batch boundary within it.
func (p piece) cutSpan(f env.File, span *Span, pos int64) error {
	w := walkHeaders(f, span.Pos, pos)
	defer w.close()
	for !w.done() {
		h, size, err := w.header(p.base)
		if err != nil {
			return p.corrupt(err, span.FirstOffset)
		}
		span.NextOffset = h.NextOffset()
		w.pos += size
	}
	span.Len = int(pos - span.Pos)
	return nil
}

// Scrubbed is what a Scrub read.
type Scrubbed struct {
	Batches int
	Bytes   int64
	// Gaps counts the places where offsets do not continue. Compaction makes them; without it, batches or a segment are missing.
	Gaps int
}

// Scrub reads the whole log again and checks every batch, whatever was verified before: the only way to find bytes that rotted on
// the disk after this process had them in memory. progress, if set, is called with the bytes read so far and ends the scrub by
// returning false. ErrCorrupt at the first damage; ErrStale after a truncation. Blocks for as long as the disk takes: run it off the
// actor.
func (v *View) Scrub(progress func(bytes int64) bool) (Scrubbed, error) {
	var r Scrubbed
	next := int64(-1)
	v = v.current()
	for i := range v.segments() {
		p := v.piece(i)
		f, err := p.file.pin()
		if v.outdated(err) {
			return v.Scrub(progress)
		}
		if errors.Is(err, errGone) {
			continue // retention was faster
		}
		if err != nil {
			return r, v.readError(err)
		}
		more, err := v.scrubSegment(p, f, &next, &r, progress)
		p.file.unpin()
		if err != nil || !more {
			return r, v.readError(err)
		}
	}
	return r, nil
}

func (v *View) scrubSegment(p piece, f env.File, next *int64, r *Scrubbed, progress func(int64) bool) (more bool, err error) {
	w := walkBodies(f, 0, p.size)
	defer w.close()
	var header [record.HeaderSize]byte
	for !w.done() {
		h, size, err := w.checked(max(p.base, *next), &header)
		if err != nil {
			return false, p.corrupt(err, max(p.base, *next))
		}
		if *next >= 0 && h.BaseOffset() != *next {
			r.Gaps++
		}
		*next = h.NextOffset()
		w.pos += size
		r.Batches++
		r.Bytes += size
		if progress != nil && !progress(r.Bytes) {
			return false, nil
		}
	}
	return true, nil
}
