package storage

import (
	"encoding/binary"
	"errors"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/record"
)

func timeEntryOf(b []byte) timeEntry {
	return timeEntry{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
}

func (e timeEntry) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, uint64(e.timestamp)), e.rel)
}

// timestampOf is the largest timestamp of the records of a batch. One that compaction emptied has none, though its header still names it for
// the sake of its producer: an index entry would lead to no record.
func timestampOf(h record.Batch) int64 {
	if h.NumRecords() == 0 {
		return noTimestamp
	}
	return h.MaxTimestamp()
}

// OffsetForTimestamp is the first record below upTo whose timestamp (milliseconds) is at least ts, and that timestamp. ok is false if
// there is none. Reads, and unpacks as u says, one batch; errors as of Locate. Source: UnifiedLog.fetchOffsetByTimestamp.
func (v *View) OffsetForTimestamp(u record.Unpacking, ts, upTo int64) (offset, timestamp int64, ok bool, err error) {
	if v.Stale() {
		return -1, -1, false, ErrStale
	}
	upTo = min(upTo, v.end)
	c := v.current()
	for i := 0; i < c.segments(); i++ {
		p := c.piece(i)
		if p.base >= upTo {
			break
		}
		offset, timestamp, ok, err = c.timestampIn(u, p, ts, upTo)
		if c.outdated(err) {
			return c.OffsetForTimestamp(u, ts, upTo)
		}
		if errors.Is(err, errGone) || errors.Is(err, ErrOutOfRange) {
			continue // retention removed the segment meanwhile
		}
		if ok || err != nil {
			return offset, timestamp, ok, c.readError(err)
		}
	}
	return -1, -1, false, nil
}

// timestampIn is OffsetForTimestamp in one segment.
func (v *View) timestampIn(u record.Unpacking, p piece, ts, upTo int64) (offset, timestamp int64, ok bool, err error) {
	f, err := p.file.pin()
	if err != nil {
		return -1, -1, false, err
	}
	defer p.file.unpin()
	largest, _, err := v.largest(p, f)
	if err != nil || largest < ts {
		return -1, -1, false, err
	}
	from, pos, err := v.seekTime(p, f, ts)
	if err != nil {
		return -1, -1, false, err
	}
	w := walkHeaders(f, pos, p.size)
	defer w.close()
	for !w.done() {
		h, size, err := p.header(&w, p.base)
		if err != nil {
			return -1, -1, false, p.corrupt(err, from)
		}
		if h.BaseOffset() >= upTo {
			break
		}
		if h.LastOffset() >= from && h.MaxTimestamp() >= ts {
			offset, timestamp, ok, err := v.recordFrom(u, h.LastOffset(), ts)
			if err != nil || ok {
				return offset, timestamp, ok && offset < upTo, err
			}
		}
		w.pos += size
	}
	return -1, -1, false, nil
}

// seekTime is an offset before which no record of the segment is as young as ts, and a position from which to walk to it.
func (v *View) seekTime(p piece, f env.File, ts int64) (from, pos int64, err error) {
	from = max(v.start, p.base)
	e, found, err := p.findTime(v.mustIndex(p), func(e timeEntry) bool { return e.timestamp <= ts })
	if err != nil {
		return from, 0, v.withoutIndex(p, f, err)
	}
	if !found || p.base+int64(e.rel) <= from {
		pos, _, err = v.seek(p, f, from)
		return from, pos, err
	}
	last := p.base + int64(e.rel)
	if pos, _, err = v.seek(p, f, last); err != nil {
		return 0, 0, err
	}
	// Nothing but the batch it points to guards the entry.
	w := walkHeaders(f, pos, p.size)
	defer w.close()
	for !w.done() {
		h, size, err := p.header(&w, p.base)
		if err != nil {
			return 0, 0, p.corrupt(err, last)
		}
		if h.LastOffset() < last {
			w.pos += size
			continue
		}
		if h.LastOffset() == last && h.MaxTimestamp() == e.timestamp {
			return last, w.pos, nil
		}
		break
	}
	return from, 0, v.withoutIndex(p, f, errIndex)
}

// largest is the largest timestamp of a segment and the last offset of the first batch that has it.
func (v *View) largest(p piece, f env.File) (timestamp, offset int64, err error) {
	if !p.rolled {
		return v.maxTimestamp, v.maxOffset, nil
	}
	x, err := v.indexOf(p, f)
	if err != nil {
		return 0, 0, err
	}
	return x.lastTime.timestamp, p.base + int64(x.lastTime.rel), nil
}

// mustIndex is the index of a segment that largest has just loaded.
func (v *View) mustIndex(p piece) *sparse {
	if !p.rolled {
		return &v.index
	}
	if x := p.segment.index.Load(); x != nil {
		return x
	}
	empty := newSparse() // another reader found it damaged just now: walk from the beginning
	return &empty
}

var errFound = errors.New("found")

// recordFrom is the first record at least as young as ts, and not below the log start, in the batch that contains offset.
func (v *View) recordFrom(u record.Unpacking, offset, ts int64) (found, timestamp int64, ok bool, err error) {
	b, err := v.batchFrom(offset, offset+1)
	if err == nil && b == nil {
		err = ErrOutOfRange
	}
	if err != nil {
		return -1, -1, false, err
	}
	err = b.EachTime(u, func(at, of int64) error {
		if of < ts || at < v.start {
			return nil
		}
		found, timestamp, ok = at, of, true
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return -1, -1, false, v.unreadable(b, err)
	}
	return found, timestamp, ok, nil
}

// batchFrom reads the first batch that ends at or after offset and begins below upTo, checked, into memory of its own; nil if there is none.
func (v *View) batchFrom(offset, upTo int64) (record.Batch, error) {
	span, err := v.Locate(offset, upTo, 0)
	if err != nil || span.Len == 0 {
		return nil, err
	}
	defer span.Release()
	b := make([]byte, span.Len)
	_, err = v.Read(span, b)
	return b, err
}

// MaxTimestamp is the first record, at or above the log start and below upTo, that has the largest timestamp there (KIP-734), and that
// timestamp; ok is false if no record has one. Markers count, as in every other search by time. upTo is the bound of a batch. Reads, and
// unpacks as u says, one batch, batch headers of the segment upTo lies in, and of the one the log start lies in; errors as of Locate (ErrOutOfRange if retention
// removed the segment meanwhile). Kafka looks at whole segments, and so may answer a record below the log start.
// Source: UnifiedLog.fetchOffsetByTimestamp, RecordBatch.offsetOfMaxTimestamp.
func (v *View) MaxTimestamp(u record.Unpacking, upTo int64) (offset, timestamp int64, ok bool, err error) {
	if v.Stale() {
		return -1, -1, false, ErrStale
	}
	upTo = min(upTo, v.end)
	best, at := int64(noTimestamp), int64(-1)
	c := v.current()
	for i := range c.segments() {
		p := c.piece(i)
		if p.base >= upTo {
			break
		}
		if p.next <= v.start {
			continue
		}
		largest, last, err := c.largestWithin(u, p, upTo)
		if c.outdated(err) {
			return c.MaxTimestamp(u, upTo)
		}
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return -1, -1, false, c.readError(err)
		}
		if largest > best {
			best, at = largest, last
		}
	}
	if at < 0 {
		return -1, -1, false, nil
	}
	offset, timestamp, ok, err = v.recordFrom(u, at, best)
	if err == nil && !ok { // a header that promises more than its records have
		offset, timestamp, ok = at, best, true
	}
	return offset, timestamp, ok, err
}

// largestWithin is largest for the records in [start, upTo): of the batch that the log start lies in, only those from there on count.
func (v *View) largestWithin(u record.Unpacking, p piece, upTo int64) (timestamp, offset int64, err error) {
	timestamp, offset, err = v.largestBelow(p, upTo)
	if err != nil || p.base >= v.start || timestamp == noTimestamp {
		return timestamp, offset, err
	}
	first, err := v.batchFrom(v.start, min(upTo, p.next))
	if err != nil || first == nil {
		return noTimestamp, p.base, err
	}
	if offset > first.LastOffset() {
		return timestamp, offset, nil
	}
	timestamp, offset = timestampOf(first), first.LastOffset()
	if first.BaseOffset() < v.start {
		if timestamp, err = v.largestFrom(u, first); err != nil {
			return 0, 0, err
		}
	}
	return v.largestAfter(p, upTo, timestamp, offset)
}

// largestFrom is the largest timestamp of the records of b at or above the log start.
func (v *View) largestFrom(u record.Unpacking, b record.Batch) (timestamp int64, err error) {
	timestamp = noTimestamp
	err = b.EachTime(u, func(at, of int64) error {
		if at >= v.start {
			timestamp = max(timestamp, of)
		}
		return nil
	})
	if err != nil {
		err = v.unreadable(b, err)
	}
	return timestamp, err
}

// unreadable is the error of a batch whose records cannot be read, unless it says nothing about the batch.
func (v *View) unreadable(b record.Batch, err error) error {
	if errors.Is(err, record.ErrStopped) {
		return err
	}
	return errors.Join(&Corruption{File: v.dir, Offset: b.BaseOffset(), Reason: "records cannot be read"}, err)
}

// largestAfter is the larger of the timestamp given, of the batch that ends at offset, and those of the batches after it, by their headers.
func (v *View) largestAfter(p piece, upTo, timestamp, offset int64) (int64, int64, error) {
	f, err := p.file.pin()
	if err != nil {
		return 0, 0, err
	}
	defer p.file.unpin()
	return v.walkLargest(p, f, offset+1, upTo, timestamp, offset)
}

// largestBelow is largest for the batches that begin below upTo.
func (v *View) largestBelow(p piece, upTo int64) (timestamp, offset int64, err error) {
	f, err := p.file.pin()
	if err != nil {
		return 0, 0, err
	}
	defer p.file.unpin()
	timestamp, offset, err = v.largest(p, f)
	if err != nil || offset < upTo {
		return timestamp, offset, err
	}
	// The largest so far, by the index, and then by the headers up to upTo.
	timestamp, offset = noTimestamp, p.base
	e, ok, err := p.findTime(v.mustIndex(p), func(e timeEntry) bool { return p.base+int64(e.rel) < upTo })
	if err != nil {
		ok, err = false, v.withoutIndex(p, f, err)
	}
	if err != nil {
		return 0, 0, err
	}
	if ok {
		timestamp, offset = e.timestamp, p.base+int64(e.rel)
	}
	return v.walkLargest(p, f, p.base, upTo, timestamp, offset)
}

// walkLargest looks for a batch with a larger timestamp than the one given, of the batch that ends at offset, among those after it that
// end at or above from and begin below upTo.
func (v *View) walkLargest(p piece, f env.File, from, upTo, timestamp, offset int64) (int64, int64, error) {
	pos, _, err := v.seek(p, f, offset)
	if err != nil {
		return 0, 0, err
	}
	w := walkHeaders(f, pos, p.size)
	defer w.close()
	for !w.done() {
		h, size, err := p.header(&w, p.base)
		if err != nil {
			return 0, 0, p.corrupt(err, offset)
		}
		if h.BaseOffset() >= upTo {
			break
		}
		if ts := timestampOf(h); ts > timestamp && h.LastOffset() >= from {
			timestamp, offset = ts, h.LastOffset()
		}
		w.pos += size
	}
	return timestamp, offset, nil
}
