package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"

	"github.com/troupe-broker/troupe/actors/env"
)

const (
	indexEntrySize     = 8
	timeIndexEntrySize = 12

	// indexKeep is how many entries stay in memory before a flush writes them to the files: 3 KiB for both indexes. What a crash
	// loses of them is rebuilt by reading as many batch headers.
	indexKeep = 128
)

// offsetEntry says that the batch at pos ends with the offset base+rel.
type offsetEntry struct{ rel, pos uint32 }

// timeEntry says that no record up to base+rel is younger than timestamp, which is that of the batch ending there.
type timeEntry struct {
	timestamp int64 // milliseconds; noTimestamp in the zero position of an empty index
	rel       uint32
}

const noTimestamp = -1

// sparse is the state of both indexes of one segment. It is copied by value into every View: the slices only ever grow beyond the
// length a copy has, so a copy stays true while the log appends.
type sparse struct {
	offsets []offsetEntry // in memory, following the stored ones
	times   []timeEntry
	// storedOffsets and storedTimes count the entries at the beginning of the files.
	storedOffsets, storedTimes int
	lastPos                    int64     // position of the newest offset entry, 0 if there is none
	lastTime                   timeEntry // newest time entry; timestamp is noTimestamp if there is none
}

func newSparse() sparse { return sparse{lastTime: timeEntry{timestamp: noTimestamp}} }

// note adds the batch at pos to the indexes if more than interval bytes passed since the last entry. maxTimestamp and maxRel are
// those of the segment including this batch. Source: LogSegment.append.
func (x *sparse) note(pos int64, lastRel uint32, maxTimestamp int64, maxRel uint32, interval int64) {
	if pos-x.lastPos <= interval {
		return
	}
	x.offsets = append(x.offsets, offsetEntry{lastRel, uint32(pos)})
	x.lastPos = pos
	x.noteTime(maxTimestamp, maxRel)
}

// noteTime adds a time entry unless it says nothing new. Source: TimeIndex.maybeAppend.
func (x *sparse) noteTime(maxTimestamp int64, maxRel uint32) {
	if maxTimestamp > x.lastTime.timestamp {
		x.lastTime = timeEntry{maxTimestamp, maxRel}
		x.times = append(x.times, x.lastTime)
	}
}

func (x *sparse) unstored() int { return len(x.offsets) + len(x.times) }

// byOffset is the position of the last entry whose offset is at most base+rel, with that entry's rel; (0, 0, false) if there is none.
func (s *segment) byOffset(x *sparse, rel uint32) (e offsetEntry, ok bool, err error) {
	return s.findOffset(x, func(e offsetEntry) bool { return e.rel <= rel })
}

// findOffset is the last entry for which before holds; before must hold for a prefix of the entries.
func (s *segment) findOffset(x *sparse, before func(offsetEntry) bool) (e offsetEntry, ok bool, err error) {
	if len(x.offsets) > 0 && before(x.offsets[0]) {
		n := sort.Search(len(x.offsets), func(i int) bool { return !before(x.offsets[i]) })
		return x.offsets[n-1], true, nil
	}
	raw, ok, err := s.searchStored(indexSuffix, x.storedOffsets, indexEntrySize, func(b []byte) bool { return before(offsetEntryOf(b)) })
	if !ok || err != nil {
		return offsetEntry{}, false, err
	}
	return offsetEntryOf(raw[:]), true, nil
}

// findTime is the last entry for which before holds; before must hold for a prefix of the entries.
func (s *segment) findTime(x *sparse, before func(timeEntry) bool) (e timeEntry, ok bool, err error) {
	if len(x.times) > 0 && before(x.times[0]) {
		n := sort.Search(len(x.times), func(i int) bool { return !before(x.times[i]) })
		return x.times[n-1], true, nil
	}
	raw, ok, err := s.searchStored(timeIndexSuffix, x.storedTimes, timeIndexEntrySize, func(b []byte) bool { return before(timeEntryOf(b)) })
	if !ok || err != nil {
		return timeEntry{}, false, err
	}
	return timeEntryOf(raw[:]), true, nil
}

func offsetEntryOf(b []byte) offsetEntry {
	return offsetEntry{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

func (e offsetEntry) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, e.rel), e.pos)
}

// searchStored is the last of the first n entries of an index file for which before holds. It reads the file without keeping it
// open or in memory: about 18 reads of one entry for the largest index, all from the page cache.
func (s *segment) searchStored(suffix string, n, width int, before func([]byte) bool) (found [timeIndexEntrySize]byte, ok bool, err error) {
	if n == 0 {
		return found, false, nil
	}
	f, err := s.file.files.fs.Open(s.path(suffix), false)
	if err != nil {
		return found, false, err
	}
	defer f.Close()
	var buf [timeIndexEntrySize]byte
	entry := buf[:width]
	sort.Search(n, func(i int) bool {
		if err != nil {
			return true
		}
		if _, err = readFull(f, entry, int64(i*width)); err != nil || !before(entry) {
			return true
		}
		found, ok = buf, true // the search visits ever later entries for which before holds
		return false
	})
	return found, ok && err == nil, err
}

// readFull reads len(b) bytes at off; io.ErrUnexpectedEOF if the file ends before.
func readFull(f io.ReaderAt, b []byte, off int64) (int, error) {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// store writes the entries that are only in memory to the index files and returns the state in which they are stored. With sync
// the files are durable on return. The caller makes sure that nobody else writes them.
func (s *segment) store(x sparse, sync bool) (sparse, error) {
	out := make([]byte, 0, max(len(x.offsets)*indexEntrySize, len(x.times)*timeIndexEntrySize))
	for _, e := range x.offsets {
		out = e.appendTo(out)
	}
	if err := s.writeIndex(indexSuffix, out, int64(x.storedOffsets*indexEntrySize), sync); err != nil {
		return x, err
	}
	out = out[:0]
	for _, e := range x.times {
		out = e.appendTo(out)
	}
	if err := s.writeIndex(timeIndexSuffix, out, int64(x.storedTimes*timeIndexEntrySize), sync); err != nil {
		return x, err
	}
	x.storedOffsets += len(x.offsets)
	x.storedTimes += len(x.times)
	x.offsets, x.times = nil, nil
	return x, nil
}

// writeIndex makes the file end with out at off, creating it if need be. Entries beyond, left by an earlier segment of that name or
// by preallocation, are cut off, so that the size of the file tells the number of its entries.
func (s *segment) writeIndex(suffix string, out []byte, off int64, sync bool) error {
	name := s.path(suffix)
	f, err := openOrCreate(s.file.files.fs, name)
	if err != nil {
		return fmt.Errorf("opening index %q: %w", name, err)
	}
	defer f.Close()
	if _, err := f.WriteAt(out, off); err != nil {
		return fmt.Errorf("writing index %q: %w", name, err)
	}
	size, err := f.Size()
	if err == nil && size != off+int64(len(out)) {
		err = f.Truncate(off + int64(len(out)))
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing index %q: %w", name, err)
	}
	return nil
}

func openOrCreate(files env.FS, name string) (env.File, error) {
	f, err := files.Open(name, true)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = files.Create(name)
	}
	return f, err
}
