package storage

import (
	"errors"
	"fmt"
	"sort"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/record"
)

// View is what can be read of a log at one moment: immutable, good on any goroutine and for as long as it is held. It costs the
// actor one small allocation per change. Segments that retention removes meanwhile read as ErrOutOfRange; a truncation of the log
// makes every call ErrStale.
type View struct {
	*shared
	truncations uint64
	// replacements is the count of Log.Replace that rolled takes into account.
	replacements uint64
	start, end   int64
	bytes        int64
	interval     int64 // between index entries, bytes
	rolled       []*segment
	active       *segment // nil if the log has no segment; its mutable fields are not read here:
	size         int64    // bytes of active
	next         int64
	index        sparse
	recent       []recentBatch
	// maxTimestamp and maxOffset of active.
	maxTimestamp, maxOffset int64
	epochs                  Epochs
}

// View returns what can be read now. The same value as before if nothing changed.
func (l *Log) View() *View {
	if l.view != nil {
		return l.view
	}
	v := &View{
		shared: l.shared, truncations: l.truncations.Load(), replacements: l.replacements.Load(), start: l.start, end: l.end, bytes: l.bytes, interval: l.indexInterval(),
		rolled: l.rolled[:len(l.rolled):len(l.rolled)], active: l.active, index: l.index, recent: l.recent, epochs: l.epochs,
	}
	if s := l.active; s != nil {
		v.size, v.next, v.maxTimestamp, v.maxOffset = s.size, s.next, s.maxTimestamp, s.maxOffset
	}
	l.view = v
	return v
}

// StartOffset is the first offset that can be read.
func (v *View) StartOffset() int64 { return v.start }

// EndOffset is the offset after the last one.
func (v *View) EndOffset() int64 { return v.end }

// Size is the bytes of all segments.
func (v *View) Size() int64 { return v.bytes }

// Epochs is the leader epoch history.
func (v *View) Epochs() Epochs { return v.epochs }

// EpochEnd is Epochs.End with the end of this view.
func (v *View) EpochEnd(epoch int32) (int32, int64) { return v.epochs.End(epoch, v.end) }

// Stale reports that the log was truncated since. Bytes read through a Span of a stale view may belong to what came after the
// truncation; below the high watermark nothing is ever truncated (short of an unclean election), so readers bounded by it are safe.
func (v *View) Stale() bool { return v.shared.truncations.Load() != v.truncations }

// Span is a run of whole batches in one segment file, which it keeps open. Release it exactly once. The zero Span is empty.
type Span struct {
	Pos int64
	Len int // bytes
	// FirstOffset is the base offset of the first batch, NextOffset the offset after the last one.
	FirstOffset, NextOffset int64
	// Bare says that there is no record in it: one batch that compaction emptied. Only of LocateRecords.
	Bare bool

	file *file
	f    env.File
}

// File is the segment file; it stays readable until Release even if the segment is removed from the log. Nil for an empty Span.
func (s Span) File() env.File { return s.f }

// Release gives the file back.
func (s Span) Release() {
	if s.file != nil {
		s.file.unpin()
	}
}

// Read fills dst with the beginning of the span and returns how much that is: the smaller of the two lengths. ErrStale if the log was
// truncated meanwhile; dst then holds nothing of use.
func (v *View) Read(s Span, dst []byte) (int, error) {
	if s.f == nil {
		return 0, nil
	}
	dst = dst[:min(len(dst), s.Len)]
	n, err := readFull(s.f, dst, s.Pos)
	if v.Stale() {
		return 0, ErrStale
	}
	return n, err
}

// Locate finds the batches from the one that contains offset (or the next one, where compaction removed it) up to upTo, which is
// exclusive: batches with a base offset at or after it are left out. At most maxBytes, but always one whole batch if there is one;
// the span ends with a whole batch and within one segment. An empty Span means that there is nothing between offset and upTo.
//
// Bytes that were on the disk when the log was opened are checked against their CRC the first time they are located, which reads
// them; bytes this process appended were checked before. ErrCorrupt if the first batch fails, and a shorter span if a later one does.
// ErrOutOfRange below the start and above the end; ErrStale after a truncation. May read from the disk; never call it in an actor's turn
// for anything but the newest batches.
func (v *View) Locate(offset, upTo int64, maxBytes int) (Span, error) {
	return v.look(&query{offset: offset, upTo: upTo, maxBytes: maxBytes})
}

// LocateRecords is Locate for those who read records: batches that compaction emptied are stepped over, also across segments, until there
// is one with a record. If there is none up to upTo the Span is Bare: the last of the emptied batches, by which a reader can tell how far
// there is nothing. Many clients, given emptied batches alone, ask for the same ones again at once, and for ever.
func (v *View) LocateRecords(offset, upTo int64, maxBytes int) (Span, error) {
	q := query{offset: offset, upTo: upTo, maxBytes: maxBytes, records: true, bare: -1}
	span, err := v.look(&q)
	if err != nil || span.Len > 0 || q.bare < 0 {
		return span, err
	}
	span, err = v.look(&query{offset: max(q.bare, offset), upTo: upTo})
	span.Bare = span.Len > 0
	return span, err
}

// query is what Locate is asked.
type query struct {
	offset, upTo int64
	maxBytes     int
	records      bool  // step over batches without any
	bare         int64 // base offset of the last one that was stepped over
}

// steps reports whether h, a batch of size bytes, is one to step over, and notes it. One that only claims to be empty is not: whoever is
// served it must see that it is damaged.
func (q *query) steps(h record.Batch, size int64) bool {
	empty := q.records && h.NumRecords() == 0 && size == record.HeaderSize && h.ComputeCRC() == h.CRC()
	if empty {
		q.bare = h.BaseOffset()
	}
	return empty
}

func (v *View) look(q *query) (Span, error) {
	if v.Stale() {
		return Span{}, ErrStale
	}
	if q.offset < v.start || q.offset > v.end {
		return Span{}, fmt.Errorf("%w: %d is not in [%d, %d]", ErrOutOfRange, q.offset, v.start, v.end)
	}
	q.upTo, q.maxBytes = min(q.upTo, v.end), max(q.maxBytes, 0)
	if q.offset >= q.upTo {
		return Span{}, nil
	}
	for {
		c := v.current()
		span, err := c.locate(q)
		if !c.outdated(err) {
			return span, c.readError(err)
		}
	}
}

func (v *View) locate(q *query) (Span, error) {
	if span, ok, err := v.locateRecent(q.offset, q.upTo, q.maxBytes); ok || err != nil {
		return span, err
	}
	for i := v.segmentOf(q.offset); i < v.segments(); i++ {
		p := v.piece(i)
		if p.base >= q.upTo {
			break
		}
		span, err := v.locateIn(p, q)
		if err != nil || span.Len > 0 {
			return span, err
		}
	}
	return Span{}, nil
}

// readError turns what concurrent removal and truncation look like from here into their names.
func (v *View) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case v.Stale():
		return ErrStale
	case errors.Is(err, errGone):
		return fmt.Errorf("%w: retention removed the segment", ErrOutOfRange)
	}
	return err
}

// locateRecent answers from memory for the newest batches of the active segment; ok is false if they do not reach back to offset. They all
// have records: only compaction makes batches without, and not in what was appended just now.
func (v *View) locateRecent(offset, upTo int64, maxBytes int) (_ Span, ok bool, err error) {
	r := v.recent
	if len(r) == 0 || offset < r[0].base {
		return Span{}, false, nil
	}
	first := sort.Search(len(r), func(i int) bool { return r[i].last() >= offset })
	if first == len(r) || r[first].base >= upTo {
		return Span{}, true, nil
	}
	// after is the first batch beyond the bounds; its position is the end.
	start := int64(r[first].pos)
	rest := r[first+1:]
	after := first + 1 + sort.Search(len(rest), func(i int) bool {
		end := v.size
		if i+1 < len(rest) {
			end = int64(rest[i+1].pos)
		}
		return rest[i].base >= upTo || end-start > int64(maxBytes)
	})
	end := v.size
	if after < len(r) {
		end = int64(r[after].pos)
	}
	f, err := v.active.file.pin()
	if err != nil {
		return Span{}, true, err
	}
	return Span{
		Pos: start, Len: int(end - start), FirstOffset: r[first].base, NextOffset: r[after-1].last() + 1,
		file: v.active.file, f: f,
	}, true, nil
}

// piece is one segment as a View sees it.
type piece struct {
	*segment
	size, next int64
	index      *sparse // nil if not loaded
	rolled     bool
}

func (v *View) segments() int {
	if v.active == nil {
		return 0
	}
	return len(v.rolled) + 1
}

func (v *View) piece(i int) piece {
	if i < len(v.rolled) {
		s := v.rolled[i]
		return piece{segment: s, size: s.size, next: s.next, index: s.index.Load(), rolled: true}
	}
	return piece{segment: v.active, size: v.size, next: v.next, index: &v.index}
}

// segmentOf is the index of the last segment that begins at or below offset, or the first one.
func (v *View) segmentOf(offset int64) int {
	n := sort.Search(v.segments(), func(i int) bool { return v.piece(i).base > offset })
	return max(n-1, 0)
}

// locateIn answers q within one segment; an empty Span if it has nothing.
func (v *View) locateIn(p piece, q *query) (Span, error) {
	f, err := p.file.pin()
	if err != nil {
		return Span{}, err
	}
	span, err := v.find(p, f, q)
	if err == nil && span.Len > 0 {
		err = p.verify(f, &span)
	}
	if err != nil || span.Len == 0 {
		p.file.unpin()
		return Span{}, err
	}
	p.hints.add(span.NextOffset, span.Pos+int64(span.Len))
	span.file, span.f = p.file, f
	return span, nil
}

// find finds the bytes; nothing of them is checked but the headers it comes across, and that their offsets ascend: no CRC covers a base
// offset, and one that had become smaller would be passed over.
func (v *View) find(p piece, f env.File, q *query) (Span, error) {
	pos, least, err := v.seek(p, f, q.offset)
	if err != nil {
		return Span{}, err
	}
	w := walkHeaders(f, pos, p.size)
	defer w.close()
	var span Span
	for !w.done() {
		h, size, err := p.header(&w, least)
		if err != nil {
			return Span{}, p.corrupt(err, q.offset)
		}
		if h.LastOffset() >= q.offset && h.BaseOffset() >= q.upTo {
			return Span{}, nil
		}
		if h.LastOffset() >= q.offset && !q.steps(h, size) {
			span = Span{Pos: w.pos, Len: int(size), FirstOffset: h.BaseOffset(), NextOffset: h.NextOffset()}
			break
		}
		w.pos, least = w.pos+size, h.NextOffset()
	}
	if span.Len == 0 || span.Len >= q.maxBytes {
		return span, nil
	}
	return v.extend(p, &w, span, q.upTo, q.maxBytes)
}

// header is that of w, which walks p: a *damage also if its offsets are not in the segment, as no CRC covers a base offset.
func (p piece) header(w *walker, least int64) (h record.Batch, size int64, err error) {
	h, size, err = w.header(least)
	if err == nil && h.NextOffset() > p.next {
		return nil, 0, overlap(w.pos, h.NextOffset(), p.next)
	}
	return h, size, err
}

// seek is a position at or before the first batch that ends at or after offset, from which walking is short, and the least base offset
// of the batch there.
func (v *View) seek(p piece, f env.File, offset int64) (pos, least int64, err error) {
	if pos, ok := p.hints.find(offset); ok && pos < p.size {
		return pos, offset, nil
	}
	pos, err = v.seekIndex(p, f, offset)
	return pos, p.base, err
}

// seekIndex is the position of a batch that ends at or before offset, or that of the first batch.
func (v *View) seekIndex(p piece, f env.File, offset int64) (int64, error) {
	index, err := v.indexOf(p, f)
	if err != nil {
		return 0, err
	}
	e, ok, err := p.byOffset(index, p.relUpTo(offset))
	if err != nil {
		return 0, v.withoutIndex(p, f, err)
	}
	if !ok {
		return 0, nil
	}
	return v.confirm(p, f, e)
}

// confirm checks an index entry against the batch it points to, as nothing else guards index files. If they disagree the segment is
// walked from its beginning, and the index of a rolled one is rebuilt first.
func (v *View) confirm(p piece, f env.File, e offsetEntry) (int64, error) {
	if int64(e.pos) < p.size {
		w := walkHeaders(f, int64(e.pos), p.size)
		h, _, err := w.header(p.base)
		match := err == nil && p.fits(h.LastOffset()) && p.rel(h.LastOffset()) == e.rel
		w.close()
		if match {
			return int64(e.pos), nil
		}
		var d *damage
		if err != nil && !errors.As(err, &d) {
			return 0, err
		}
	}
	return 0, v.withoutIndex(p, f, errIndex)
}

// withoutIndex is called when the index files of a segment turn out to be unusable. Nil means: walk from the beginning. Those of a
// rolled segment are rebuilt for the next reader; those of the active one belong to the actor and are rebuilt at the next Open.
func (v *View) withoutIndex(p piece, f env.File, cause error) error {
	if p.file.isGone() {
		return errGone
	}
	v.log.Warn("index does not match its log", "log", p.path(logSuffix), "rebuilt", p.rolled, "cause", cause)
	if !p.rolled {
		return nil
	}
	_, err := v.rebuild(p, f)
	return err
}

// extend lets the span grow over following batches within the bounds, up to one that is damaged. Near the ends it walks headers; what
// lies between, it skips by the index.
func (v *View) extend(p piece, w *walker, span Span, upTo int64, maxBytes int) (Span, error) {
	limit := min(p.size, span.Pos+int64(maxBytes))
	if upTo >= p.next && limit == p.size {
		span.Len, span.NextOffset = int(p.size-span.Pos), p.next
		return span, nil
	}
	w.pos = span.Pos + int64(span.Len)
	stale := false // NextOffset is of an earlier batch
	if pos, err := v.skip(p, w.f, w.pos, limit, upTo, span.Len); err != nil {
		return Span{}, err
	} else if pos > w.pos {
		w.pos, span.Len, stale = pos, int(pos-span.Pos), true
	}
	for !w.done() {
		h, size, err := p.header(w, max(p.base, span.NextOffset))
		var d *damage
		if errors.As(err, &d) && !stale {
			return span, nil
		}
		if err != nil {
			return Span{}, p.corrupt(err, span.NextOffset)
		}
		if stale {
			span.NextOffset, stale = h.BaseOffset(), false // confirmed by the index; claims at most the gap before h
		}
		if h.BaseOffset() >= upTo || w.pos+size > limit {
			return span, nil
		}
		w.pos += size
		span.Len, span.NextOffset = int(w.pos-span.Pos), h.NextOffset()
	}
	return span, nil
}

// walkRather is the number of reads by which walking headers is cheaper than a search in an index file.
const walkRather = 32

// skip is the position of a batch at or after pos that certainly begins below limit and has a base offset below upTo; pos if the
// index knows none, or walking batches of about the given size is cheaper.
func (v *View) skip(p piece, f env.File, pos, limit, upTo int64, batch int) (int64, error) {
	if (limit-pos)/max(int64(batch), headerChunk) < walkRather {
		return pos, nil
	}
	index, err := v.indexOf(p, f)
	if err != nil {
		return 0, err
	}
	e, ok, err := p.findOffset(index, func(e offsetEntry) bool {
		return int64(e.pos) <= limit && p.base+int64(e.rel) < upTo
	})
	if err != nil {
		return pos, v.withoutIndex(p, f, err)
	}
	if !ok || int64(e.pos) <= pos {
		return pos, nil
	}
	if confirmed, err := v.confirm(p, f, e); err != nil || confirmed == 0 {
		return pos, err
	}
	return int64(e.pos), nil
}

// indexOf is the index of a segment, loaded from its files if need be.
func (v *View) indexOf(p piece, f env.File) (*sparse, error) {
	if p.index != nil {
		return p.index, nil
	}
	if x := p.segment.index.Load(); x != nil {
		return x, nil
	}
	x, err := p.load(f, v.interval)
	if err == nil {
		p.segment.index.CompareAndSwap(nil, x)
		return x, nil
	}
	v.log.Warn("index is rebuilt from its log", "index", p.path(indexSuffix), "cause", err)
	return v.rebuild(p, f)
}

// corrupt names the place of damage found in a segment.
func (s *segment) corrupt(err error, offset int64) error {
	var d *damage
	if !errors.As(err, &d) {
		return err
	}
	return &Corruption{File: s.path(logSuffix), Pos: d.pos, Offset: offset, Reason: d.reason}
}

// EachBatch calls f for every batch from the one containing from up to upTo (exclusive), in order, read through buf, which grows if
// a batch is larger. The batch is valid during the call. An error of f ends it and is returned.
func (v *View) EachBatch(from, upTo int64, buf []byte, f func(record.Batch) error) error {
	upTo = min(upTo, v.end)
	for from < upTo {
		span, err := v.Locate(from, upTo, max(len(buf), bodyChunk))
		if err != nil || span.Len == 0 {
			return err
		}
		if len(buf) < span.Len {
			buf = make([]byte, span.Len)
		}
		n, err := v.Read(span, buf)
		span.Release()
		if err != nil {
			return err
		}
		for b := buf[:n]; len(b) > 0; {
			size, err := record.Peek(b)
			if err != nil {
				return fmt.Errorf("%w: batch after offset %d: %w", ErrCorrupt, from, err)
			}
			batch := record.Batch(b[:size])
			if err := f(batch); err != nil {
				return err
			}
			from, b = batch.NextOffset(), b[size:]
		}
	}
	return nil
}
