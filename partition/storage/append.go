package storage

import (
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/record"
)

const (
	// vectorsKept bounds the scratch a log keeps between appends.
	vectorsKept = 256
	// recentKept is how many of the newest batches a reader finds without index or file; twice that many fit before the oldest go.
	recentKept = 64
)

// recentBatch is the place of a batch in the active segment.
type recentBatch struct {
	base  int64
	pos   uint32
	delta uint32 // last offset minus base
}

func (r recentBatch) last() int64 { return r.base + int64(r.delta) }

// Append writes batches to the end of the log with one system call per segment touched, usually one. Offsets and epochs are already
// in the headers, and the CRCs were checked. The bytes may be reused when Append returns.
//
// The first base offset is at least EndOffset and later ones follow; gaps are legal, they come from compaction on the leader.
// ErrOutOfOrder otherwise. ErrRefused if the disk is full: the log is as before. Any other failure takes the log offline.
func (l *Log) Append(batches []record.Batch) error {
	if l.failure != nil {
		return l.failure
	}
	if err := l.checkOrder(batches); err != nil || len(batches) == 0 {
		return err
	}
	before := l.mark()
	for len(batches) > 0 {
		if l.mustRoll(batches[0]) {
			if err := l.roll(batches[0]); err != nil {
				return l.refuse(before, err)
			}
		}
		n := l.fitting(batches)
		if err := l.write(batches[:n]); err != nil {
			return l.refuse(before, err)
		}
		batches = batches[n:]
	}
	l.view = nil
	return nil
}

func (l *Log) checkOrder(batches []record.Batch) error {
	next := l.end
	for _, b := range batches {
		if len(b) < record.HeaderSize || b.Length() != len(b) {
			return fmt.Errorf("%w: batch of %d bytes", ErrOutOfOrder, len(b))
		}
		if b.BaseOffset() < next || b.LastOffsetDelta() < 0 || b.BaseOffset() > offsetLimit-int64(b.LastOffsetDelta()) {
			return fmt.Errorf("%w: batch [%d, +%d] at %d", ErrOutOfOrder, b.BaseOffset(), b.LastOffsetDelta(), next)
		}
		if invariant.Enabled {
			invariant.Check(b.ComputeCRC() == b.CRC(), "batch at offset %d is appended with a wrong CRC", b.BaseOffset())
		}
		next = b.NextOffset()
	}
	return nil
}

// mustRoll reports whether b cannot go into the active segment, or there is none. Source: LogSegment.shouldRoll.
func (l *Log) mustRoll(b record.Batch) bool {
	s := l.active
	if s == nil || !s.fits(b.LastOffset()) {
		return true
	}
	if s.size == 0 {
		return false
	}
	return s.size+int64(len(b)) > l.segmentBytes() || l.aged(b.MaxTimestamp())
}

// aged reports whether segment.ms has passed between the first batch of the active segment and timestamp. Batches without
// timestamps do not age a segment. Source: LogConfig.maxSegmentMs.
func (l *Log) aged(timestamp int64) bool {
	limit, jitter := l.config.SegmentTime.Milliseconds(), l.config.SegmentJitter.Milliseconds()
	if lag := l.config.MaxCompactionLag.Milliseconds(); l.config.Compact && lag > 0 {
		limit = min(limit, lag) // what must be compacted by then must be in a closed segment
	}
	first := l.firstTimestamp()
	if limit <= 0 || timestamp < 0 || first < 0 || timestamp-first <= limit-jitter {
		return false
	}
	if jitter > 0 {
		// From the segment's name, not from chance, so that it is the same after a restart and on every replica.
		limit -= int64(xxhash.Sum64String(l.active.path(logSuffix)) % uint64(jitter))
	}
	return timestamp-first > limit
}

// firstTimestamp is the largest timestamp of the first batch in the active segment. Read once from the file after Open; a failure
// to read it only delays the roll, and the next reader finds the damage.
func (l *Log) firstTimestamp() int64 {
	s := l.active
	if s.firstTimestamp != unknownTimestamp {
		return s.firstTimestamp
	}
	s.firstTimestamp = noTimestamp
	f, err := s.file.pin()
	if err != nil {
		return noTimestamp
	}
	defer s.file.unpin()
	w := walkHeaders(f, 0, s.size)
	defer w.close()
	if h, _, err := w.header(s.base); err == nil {
		s.firstTimestamp = h.MaxTimestamp()
	}
	return s.firstTimestamp
}

// fitting is the number of leading batches that go into the active segment by one write; at least 1.
func (l *Log) fitting(batches []record.Batch) int {
	s, size, limit := l.active, l.active.size, l.segmentBytes()
	for i, b := range batches {
		if i > 0 && (size+int64(len(b)) > limit || !s.fits(b.LastOffset())) {
			return i
		}
		size += int64(len(b))
	}
	return len(batches)
}

// write appends batches to the active segment and then, only if that succeeded, to everything in memory that describes it.
func (l *Log) write(batches []record.Batch) error {
	s := l.active
	f, err := s.file.pin()
	if err != nil {
		return fmt.Errorf("opening %q: %w", s.path(logSuffix), err)
	}
	defer s.file.unpin()
	vectors, total := slices.Grow(l.vectors[:0], len(batches)), int64(0)
	for _, b := range batches {
		vectors = append(vectors, b)
		total += int64(len(b))
	}
	l.reserve(total)
	n, err := f.WritevAt(vectors, s.size)
	if mutation.Is(mutation.ShortWriteAccepted) && n > 0 {
		n, err = total, nil
	}
	clear(vectors) // the bytes are not ours any more
	if l.vectors = nil; cap(vectors) <= vectorsKept {
		l.vectors = vectors[:0]
	}
	if err == nil && n != total {
		err = fmt.Errorf("%d of %d bytes written", n, total)
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", s.path(logSuffix), err)
	}
	s.file.setDirty(true)
	for _, b := range batches {
		l.appended(s, b)
	}
	return nil
}

// appended accounts for one batch that is in the file.
func (l *Log) appended(s *segment, b record.Batch) {
	last, timestamp := b.LastOffset(), timestampOf(b)
	if s.size == 0 {
		s.firstTimestamp = timestamp
	}
	if timestamp > s.maxTimestamp {
		s.maxTimestamp, s.maxOffset = timestamp, last
	}
	l.index.note(s.size, s.rel(last), s.maxTimestamp, s.rel(s.maxOffset), l.indexInterval())
	l.remember(recentBatch{b.BaseOffset(), uint32(s.size), uint32(b.LastOffsetDelta())})
	if epoch := b.LeaderEpoch(); epoch > l.epochs.Last() {
		l.assignEpoch(epoch, b.BaseOffset())
	}
	s.size += int64(len(b))
	l.bytes += int64(len(b))
	s.next, l.end = last+1, last+1
}

// remember adds to recent. Views hold prefixes of the slice, so it is never changed in place, only continued or replaced.
func (l *Log) remember(r recentBatch) {
	if len(l.recent) == cap(l.recent) {
		kept := l.recent[len(l.recent)-min(len(l.recent), recentKept):]
		size := min(2*recentKept, max(8, 2*len(kept)))
		l.recent = append(make([]recentBatch, 0, size), kept...)
	}
	l.recent = append(l.recent, r)
}

// roll makes a new, empty active segment at base. The old one, if any, is complete; its indexes are written by the next flush.
//
// A segment begins where the one before it ended, even if its first batch comes later because of a compaction gap: recovery takes a
// gap between segments for a lost tail. Only an offset that does not fit begins a segment of its own.
func (l *Log) roll(first record.Batch) error {
	base := l.end
	if l.active != nil {
		base = l.active.next
	}
	if first != nil && first.LastOffset()-base > math.MaxInt32 {
		base = first.BaseOffset()
	}
	fresh := newSegment(l.files, l.dir, base)
	if l.active != nil && l.active.base == base {
		return nil // empty already
	}
	if l.active != nil && !l.anchored {
		if err := l.anchor(); err != nil {
			return err
		}
	}
	_, err := fresh.file.create()
	if err != nil {
		return fmt.Errorf("creating segment %q: %w", fresh.path(logSuffix), err)
	}
	fresh.file.unpin()
	l.dirChanges++
	if old := l.active; old != nil {
		l.index.noteTime(old.maxTimestamp, old.rel(old.maxOffset))
		index := l.index
		old.index.Store(&index)
		if old.size > 0 {
			l.rolled = append(l.rolled, old)
		} else {
			l.doom(old)
		}
	}
	l.active, l.index, l.recent = fresh, newSparse(), nil
	l.view = nil
	return nil
}

// anchor makes the names of all segments durable. Needed in a turn only if a log rolls before its first flush since Open.
func (l *Log) anchor() error {
	if err := l.syncDir(); err != nil {
		return err
	}
	l.anchored, l.dirSynced = true, l.dirChanges
	return nil
}

// doom takes a segment that is no longer in the log off the disk with the next flush.
func (l *Log) doom(s *segment) {
	s.file.remove()
	l.bytes -= s.size
	l.doomed = append(l.doomed, s)
}

// mark is the state of the log before an append, to return to when the disk is full.
type mark struct {
	end, bytes     int64
	active         *segment
	size, next     int64 // of active
	maxTimestamp   int64
	maxOffset      int64
	firstTimestamp int64
	index          sparse
	recent         []recentBatch
	rolled, doomed int
	epochs         Epochs
}

func (l *Log) mark() mark {
	m := mark{
		end: l.end, bytes: l.bytes, active: l.active, index: l.index, recent: l.recent,
		rolled: len(l.rolled), doomed: len(l.doomed), epochs: l.epochs,
	}
	if s := l.active; s != nil {
		m.size, m.next, m.maxTimestamp, m.maxOffset, m.firstTimestamp = s.size, s.next, s.maxTimestamp, s.maxOffset, s.firstTimestamp
	}
	return m
}

// refuse ends an append that failed: what passes undoes it, anything else takes the log offline. What a write that was cut short left
// behind must be gone, durably, before anything goes on: it would be a hole in a longer file (KAFKA-10778), or come back after a
// crash although it was refused. This blocks for the disk, on a disk that is full.
func (l *Log) refuse(m mark, cause error) error {
	if !Passing(cause) {
		return l.goOffline(cause)
	}
	l.view = nil
	if err := l.removeSince(m); err != nil {
		return l.goOffline(fmt.Errorf("undoing what was refused (%v): %w", cause, err))
	}
	l.end, l.bytes, l.active, l.index, l.recent = m.end, m.bytes, m.active, m.index, m.recent
	l.rolled, l.doomed = l.rolled[:m.rolled], l.doomed[:m.doomed]
	if l.epochs.Last() != m.epochs.Last() {
		l.setEpochs(m.epochs)
	}
	if s := m.active; s != nil {
		s.size, s.next, s.maxTimestamp, s.maxOffset, s.firstTimestamp = m.size, m.next, m.maxTimestamp, m.maxOffset, m.firstTimestamp
		s.file.revive() // it may have been empty and replaced
		if err := l.cutFile(s); err != nil {
			return l.goOffline(fmt.Errorf("undoing what was refused (%v): %w", cause, err))
		}
	}
	return fmt.Errorf("%w: %w", ErrRefused, cause)
}

// removeSince removes the segments that were begun since m.
func (l *Log) removeSince(m mark) error {
	removed := false
	for _, s := range append(l.rolled[m.rolled:len(l.rolled):len(l.rolled)], l.active) {
		if s == nil || s == m.active {
			continue
		}
		s.file.remove()
		if err := l.files.fs.Remove(s.path(logSuffix)); err != nil {
			return err
		}
		removed = true
	}
	if removed {
		return l.syncDir()
	}
	return nil
}

// cutFile makes the file of s as long as the segment, durably.
func (l *Log) cutFile(s *segment) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	if err := f.Truncate(s.size); err != nil {
		return err
	}
	return f.Sync()
}
