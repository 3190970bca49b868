package storage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/record"
)

// Segment is what a View knows of one segment.
type Segment struct {
	Base, Next int64 // Next is exclusive
	Size       int64 // bytes
	Active     bool
	// Largest is the largest timestamp and First that of the first batch, milliseconds, -1 if there is none; see Segments.
	Largest, First int64
}

// Segments lists the segments, oldest first. With times their timestamps are read, which may touch the disk; without they are -1.
// ErrOutOfRange if retention removes a segment meanwhile.
func (v *View) Segments(times bool) ([]Segment, error) {
	for {
		c := v.current()
		out := make([]Segment, c.segments())
		var err error
		for i := range out {
			p := c.piece(i)
			out[i] = Segment{Base: p.base, Next: p.next, Size: p.size, Active: !p.rolled, Largest: noTimestamp, First: noTimestamp}
			if times && p.size > 0 && err == nil {
				out[i].Largest, out[i].First, err = c.times(p)
			}
		}
		if err == nil || !c.outdated(err) {
			return out, c.readError(err)
		}
	}
}

// times are the largest timestamp of a segment and the one of its first batch.
func (v *View) times(p piece) (largest, first int64, err error) {
	f, err := p.file.pin()
	if err != nil {
		return 0, 0, err
	}
	defer p.file.unpin()
	if largest, _, err = v.largest(p, f); err != nil {
		return 0, 0, err
	}
	w := walkHeaders(f, 0, p.size)
	defer w.close()
	h, _, err := w.header(p.base)
	if err != nil {
		return 0, 0, p.corrupt(err, p.base)
	}
	return largest, h.MaxTimestamp(), nil
}

// rewriteChunk is how much of a new segment is collected before it is written.
const rewriteChunk = 256 << 10

// ErrSegmentFull: a rewritten segment would be larger than a segment can be.
var ErrSegmentFull = errors.New("rewritten segment is too large")

// Rewrite is a new segment that is to replace consecutive closed ones. It is written beside them, into files that no start looks at,
// and comes to life by Log.Replace. Any one goroutine.
type Rewrite struct {
	view *View
	old  []*segment
	s    *segment
	f    env.File
	x    sparse
	buf  []byte
	pos  int64 // bytes written, without buf
}

// Rewrite begins to rewrite the segments from the one at base on that end at or below next. ErrStale if they are not there (any more).
// Blocks.
func (v *View) Rewrite(base, next int64) (*Rewrite, error) {
	c := v.current()
	w := &Rewrite{view: c, x: newSparse()}
	for _, s := range c.rolled {
		if s.base >= base && s.next <= next {
			w.old = append(w.old, s)
		}
	}
	if len(w.old) == 0 || w.old[0].base != base || w.old[len(w.old)-1].next != next {
		return nil, ErrStale
	}
	w.s = newSegment(c.files, c.dir, base)
	name := w.s.path(logSuffix) + cleanedSuffix
	if err := removeIfThere(c.files.fs, name); err != nil {
		return nil, err
	}
	f, err := c.files.fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("creating %q: %w", name, err)
	}
	w.f = f
	return w, nil
}

func removeIfThere(files env.FS, name string) error {
	if err := files.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %q: %w", name, err)
	}
	return nil
}

// Append adds a batch with its final offset, epoch and CRC; offsets ascend. The bytes are copied. ErrSegmentFull.
func (w *Rewrite) Append(b record.Batch) error {
	s := w.s
	if b.BaseOffset() < s.next || !s.fits(b.LastOffset()) || b.NextOffset() > w.old[len(w.old)-1].next {
		return fmt.Errorf("%w: batch [%d, %d] in a segment from %d, which is at %d", ErrOutOfOrder, b.BaseOffset(), b.LastOffset(), s.base, s.next)
	}
	if s.size+int64(len(b)) > segmentSizeMax {
		return ErrSegmentFull
	}
	last := b.LastOffset()
	if ts := timestampOf(b); ts > s.maxTimestamp {
		s.maxTimestamp, s.maxOffset = ts, last
	}
	w.x.note(s.size, s.rel(last), s.maxTimestamp, s.rel(s.maxOffset), w.view.interval)
	w.buf = append(w.buf, b...)
	s.size += int64(len(b))
	s.next = last + 1
	if len(w.buf) >= rewriteChunk {
		return w.write()
	}
	return nil
}

func (w *Rewrite) write() error {
	if _, err := w.f.WriteAt(w.buf, w.pos); err != nil {
		return fmt.Errorf("writing %q: %w", w.s.path(logSuffix)+cleanedSuffix, err)
	}
	w.pos += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

// Size is the bytes of the new segment so far.
func (w *Rewrite) Size() int64 { return w.s.size }

// Finish makes the new segment durable under its provisional name. The last batch must end where the old segments did. aborted are the
// aborted transactions whose markers are in it, in their order. Hand the result to Log.Replace or Discard it. Blocks.
func (w *Rewrite) Finish(aborted []AbortedTxn) (*Replacement, error) {
	s := w.s
	if end := w.old[len(w.old)-1].next; s.next != end {
		return nil, fmt.Errorf("%w: the rewritten segment ends at %d, not at %d", ErrOutOfOrder, s.next, end)
	}
	if err := w.write(); err != nil {
		return nil, err
	}
	if err := w.f.Sync(); err != nil {
		return nil, fmt.Errorf("syncing %q: %w", s.path(logSuffix)+cleanedSuffix, err)
	}
	w.x.noteTime(s.maxTimestamp, s.rel(s.maxOffset))
	r := &Replacement{old: w.old, s: s, aborted: aborted, suffixes: []string{logSuffix, indexSuffix, timeIndexSuffix}}
	var offsets, times, txns []byte
	for _, e := range w.x.offsets {
		offsets = e.appendTo(offsets)
	}
	for _, e := range w.x.times {
		times = e.appendTo(times)
	}
	for _, t := range aborted {
		txns = t.appendTo(txns)
	}
	if len(aborted) > 0 {
		r.suffixes = append(r.suffixes, txnIndexSuffix)
	}
	for i, content := range [][]byte{offsets, times, txns}[:len(r.suffixes)-1] {
		if err := w.writeSide(r.suffixes[i+1], content); err != nil {
			return nil, err
		}
	}
	// Until the files have their names the segment lives off what it has open and in memory.
	s.index.Store(&w.x)
	s.aborted.Store(int32(len(aborted)))
	s.pending.Store(r)
	s.synced = true
	if _, err := s.file.install(w.f); err != nil {
		return nil, err
	}
	w.f = nil
	return r, nil
}

func (w *Rewrite) writeSide(suffix string, content []byte) error {
	name, files := w.s.path(suffix)+cleanedSuffix, w.view.files.fs
	if err := removeIfThere(files, name); err != nil {
		return err
	}
	f, err := files.Create(name)
	if err != nil {
		return fmt.Errorf("creating %q: %w", name, err)
	}
	defer f.Close()
	if _, err := f.WriteAt(content, 0); err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %q: %w", name, err)
	}
	return nil
}

// Discard gives up a rewrite that is not finished. What cannot be removed the next start does. Blocks.
func (w *Rewrite) Discard() {
	if w.f != nil {
		_ = w.f.Close()
		w.f = nil
	}
	discardCleaned(w.view.files.fs, w.s)
}

func discardCleaned(files env.FS, s *segment) {
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		_ = files.Remove(s.path(suffix) + cleanedSuffix)
	}
}
