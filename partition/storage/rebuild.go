package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/troupe-broker/troupe/actors/env"
)

// errIndex says that an index file cannot be what was written; it is rebuilt.
var errIndex = errors.New("index file is damaged")

// storedEntries counts the entries at the beginning of an index file that can be right: as long as keep accepts them, at most all
// of it. A missing file has none. ok is false if there is anything behind them.
func (s *segment) storedEntries(suffix string, width int, keep func(entry []byte) bool) (n int, ok bool, err error) {
	f, err := s.file.files.fs.Open(s.path(suffix), false)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	chunk := bodyChunks.Get().(*[]byte)
	defer bodyChunks.Put(chunk)
	buf := (*chunk)[:len(*chunk)/width*width]
	for {
		read, err := f.ReadAt(buf, int64(n*width))
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, false, err
		}
		for at := 0; at+width <= read; at += width {
			if !keep(buf[at : at+width]) {
				return n, false, nil
			}
			n++
		}
		if read < len(buf) {
			return n, read%width == 0, nil
		}
	}
}

// indexPrefix rebuilds the index state and the largest timestamp of the first size bytes of s, which end before offset next: entries
// in the files that can be right are kept, the batches after them are walked. known is the largest timestamp if the caller knows it
// (else unknownTimestamp), which shortens the walk. stored reports whether the files held nothing else. A *damage if the batches do
// not fill size exactly.
func (s *segment) indexPrefix(f env.File, size, next, interval, known int64) (x sparse, maxTimestamp, maxOffset int64, stored bool, err error) {
	x = newSparse()
	last := offsetEntry{}
	offsets, clean1, err := s.storedEntries(indexSuffix, indexEntrySize, func(b []byte) bool {
		e := offsetEntryOf(b)
		if int64(e.pos) >= size || s.base+int64(e.rel) >= next || x.storedOffsets > 0 && (e.rel <= last.rel || e.pos <= last.pos) {
			return false
		}
		last, x.storedOffsets = e, x.storedOffsets+1
		return true
	})
	if err != nil {
		return x, 0, 0, false, err
	}
	_, clean2, err := s.storedEntries(timeIndexSuffix, timeIndexEntrySize, func(b []byte) bool {
		e := timeEntryOf(b)
		if s.base+int64(e.rel) >= next || e.timestamp <= x.lastTime.timestamp || x.storedTimes > 0 && e.rel <= x.lastTime.rel {
			return false
		}
		x.lastTime, x.storedTimes = e, x.storedTimes+1
		return true
	})
	if err != nil {
		return x, 0, 0, false, err
	}
	if offsets > 0 {
		x.lastPos = int64(last.pos)
	}
	maxTimestamp, maxOffset, err = s.walkIndex(f, &x, size, interval, known)
	var d *damage
	if errors.As(err, &d) && (x.storedOffsets > 0 || x.storedTimes > 0) {
		x = newSparse() // the entries were wrong, unless the log is
		maxTimestamp, maxOffset, err = s.walkIndex(f, &x, size, interval, known)
		return x, maxTimestamp, maxOffset, false, err
	}
	return x, maxTimestamp, maxOffset, clean1 && clean2, err
}

// walkIndex completes x up to size by the headers of the batches after its last entries.
func (s *segment) walkIndex(f env.File, x *sparse, size, interval, known int64) (maxTimestamp, maxOffset int64, err error) {
	maxTimestamp, maxOffset = x.lastTime.timestamp, s.base+int64(x.lastTime.rel)
	// From the batch of the last time entry on, as a larger timestamp may follow it anywhere; from the last offset entry if not.
	from := x.lastTime.rel
	if maxTimestamp == known {
		from = math.MaxInt32
	}
	e, ok, err := s.byOffset(x, from)
	if err != nil {
		return 0, 0, err
	}
	w := walkHeaders(f, 0, size)
	defer w.close()
	if ok {
		w.pos = int64(e.pos)
	}
	for next := s.base; !w.done(); {
		h, length, err := w.header(next)
		if err != nil {
			return 0, 0, err
		}
		next = h.NextOffset()
		if !s.fits(next - 1) {
			return 0, 0, &damage{w.pos, fmt.Sprintf("offset %d is too far from the segment's base", next-1)}
		}
		if ok && s.rel(next-1) != e.rel {
			return 0, 0, &damage{w.pos, "index entry does not match"}
		}
		ok = false
		if ts := timestampOf(h); ts > maxTimestamp {
			maxTimestamp, maxOffset = ts, next-1
		}
		if w.pos > x.lastPos {
			x.note(w.pos, s.rel(next-1), maxTimestamp, s.rel(maxOffset), interval)
		}
		w.pos += length
	}
	return maxTimestamp, maxOffset, nil
}

// load reads the state of the indexes of a rolled segment from the ends of their files. errIndex if they cannot be complete.
func (p piece) load(f env.File, interval int64) (*sparse, error) {
	x := newSparse()
	var last, lastTime [timeIndexEntrySize]byte
	var err error
	if x.storedOffsets, err = p.lastStored(indexSuffix, last[:indexEntrySize]); err != nil {
		return nil, err
	}
	if x.storedTimes, err = p.lastStored(timeIndexSuffix, lastTime[:]); err != nil {
		return nil, err
	}
	entry := offsetEntry{}
	if x.storedOffsets > 0 {
		entry = offsetEntryOf(last[:])
		x.lastPos = int64(entry.pos)
	}
	if x.storedTimes > 0 {
		x.lastTime = timeEntryOf(lastTime[:])
	}
	if x.lastPos >= p.size && p.size > 0 || !p.relInside(entry.rel) || !p.relInside(x.lastTime.rel) {
		return nil, fmt.Errorf("%w: last entries are outside the segment", errIndex)
	}
	w := walkHeaders(f, x.lastPos, p.size)
	defer w.close()
	for first := true; !w.done(); first = false {
		h, size, err := w.header(p.base)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errIndex, err)
		}
		switch {
		case w.pos-x.lastPos > interval:
			return nil, fmt.Errorf("%w: ends at byte %d of %d", errIndex, x.lastPos, p.size)
		case first && x.storedOffsets > 0 && h.LastOffset() != p.base+int64(entry.rel):
			return nil, fmt.Errorf("%w: last entry does not match", errIndex)
		case timestampOf(h) > x.lastTime.timestamp:
			return nil, fmt.Errorf("%w: timestamp %d is missing", errIndex, timestampOf(h))
		}
		w.pos += size
	}
	return &x, nil
}

func (p piece) relInside(rel uint32) bool { return p.base+int64(rel) < max(p.next, p.base+1) }

// lastStored reads the last entry of an index file and returns the number of entries.
func (s *segment) lastStored(suffix string, entry []byte) (n int, err error) {
	f, err := s.file.files.fs.Open(s.path(suffix), false)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errIndex, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	width := int64(len(entry))
	if size%width != 0 {
		return 0, fmt.Errorf("%w: %d bytes", errIndex, size)
	}
	if size == 0 {
		return 0, nil
	}
	_, err = readFull(f, entry, size-width)
	return int(size / width), err
}

// rebuild makes the indexes of a rolled segment from its batch headers and writes the files, unless the disk refuses: then they stay
// in memory.
func (v *View) rebuild(p piece, f env.File) (*sparse, error) {
	x := newSparse()
	maxTimestamp, maxOffset, err := p.walkIndex(f, &x, p.size, v.interval, unknownTimestamp)
	if err != nil {
		return nil, p.corrupt(err, p.base)
	}
	x.noteTime(maxTimestamp, p.rel(maxOffset))
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.Stale() && !p.file.isGone() && p.segment.pending.Load() == nil {
		if x, err = p.store(x, false); err != nil {
			v.log.Warn("rebuilt index stays in memory", "index", p.path(indexSuffix), "error", err)
		}
	}
	p.segment.index.Store(&x)
	return &x, nil
}
