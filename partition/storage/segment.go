package storage

import (
	"math"
	"sync/atomic"
)

// segmentSizeMax bounds a segment: positions in an index are 31 bits in Kafka.
const segmentSizeMax = math.MaxInt32

// segment is one segment of the log. While it is the active one its mutable fields belong to the actor, and readers use the copy in
// their View (tail); once rolled they are final and anyone may read them.
type segment struct {
	file *file
	base int64

	size int64 // bytes
	next int64 // offset after the last one; for a rolled segment found on disk the base of the following one
	// maxTimestamp is the largest timestamp and maxOffset the last offset of the first batch that has it; active segment only.
	maxTimestamp, maxOffset int64
	// firstTimestamp is the largest timestamp of the first batch, from which segment.ms counts; unknownTimestamp until it is read.
	firstTimestamp int64

	// reserved is where the blocks end that were reserved for the file, and looked the size when Unreserve last saw it; of use only to
	// the actor.
	reserved, looked int64

	// synced says that the file and its indexes are durable. Rolled segments only; belongs to the actor.
	synced bool

	// index is the state of the indexes once the segment is rolled; nil until somebody needs those of a segment found at Open.
	index atomic.Pointer[sparse]
	// cold tracks which of the bytes found at Open passed their CRC; nil if all of them did.
	cold *cold
	// aborted is the number of entries in the .txnindex file.
	aborted atomic.Int32
	// lastAborted is at least the offset of the last marker in that file, so that whoever reads behind it need not look; 0 while nobody
	// knows. A reader sets it only if it is 0: the actor's own is never older than what a reader finds.
	lastAborted atomic.Int64
	// pending is the replacement that this segment is, while its files are not in place: its index and aborted transactions are then
	// in memory and its file is pinned. replacement is the segment that took the place of this one.
	pending     atomic.Pointer[Replacement]
	replacement atomic.Pointer[segment]
	// hints remember where recent reads ended, so that whoever reads on needs no index.
	hints hints
}

const unknownTimestamp = math.MinInt64

func newSegment(files *Files, dir string, base int64) *segment {
	return &segment{
		file: &file{files: files, dir: dir, base: base},
		base: base, next: base,
		maxTimestamp: noTimestamp, maxOffset: base, firstTimestamp: unknownTimestamp,
	}
}

// path is the name of one of the segment's files.
func (s *segment) path(suffix string) string { return s.file.dir + "/" + offsetName(s.base, suffix) }

// fits reports whether offset can be written as 31 bits relative to the base.
func (s *segment) fits(offset int64) bool {
	return offset >= s.base && offset-s.base <= math.MaxInt32
}

// rel is offset relative to the base. The caller made sure that it fits.
func (s *segment) rel(offset int64) uint32 { return uint32(offset - s.base) }

// relUpTo is rel clamped to what fits, for searching.
func (s *segment) relUpTo(offset int64) uint32 {
	return uint32(min(max(offset-s.base, 0), math.MaxInt32))
}

// hint says that the first batch with an offset of at least offset begins at pos.
type hint struct{ offset, pos int64 }

// hints is a tiny lossy cache shared by the readers of a segment.
type hints struct {
	turn  atomic.Uint32
	slots [4]atomic.Pointer[hint]
}

func (h *hints) find(offset int64) (pos int64, ok bool) {
	for i := range h.slots {
		if e := h.slots[i].Load(); e != nil && e.offset == offset {
			return e.pos, true
		}
	}
	return 0, false
}

func (h *hints) add(offset, pos int64) {
	h.slots[h.turn.Add(1)%uint32(len(h.slots))].Store(&hint{offset, pos})
}
