package storage

import (
	"errors"
	"fmt"
	"math"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/record"
)

// openUnclean scans from the durable position on, and everything if there is none. Nothing in the log is changed before it is
// certain that the durable part is all there.
func (r *recovery) openUnclean() error {
	r.dirChanges, r.parentDirty = 1, true // what is there may be there only in memory
	if len(r.segments) == 0 {
		return r.openEmpty()
	}
	k, pos, next, err := r.scanStart()
	if err != nil {
		return err
	}
	for i := range k + 1 {
		r.adopt(i)
	}
	if err := r.enter(pos, next); err != nil {
		return err
	}
	after, bad, err := r.scan(k, pos)
	if err != nil {
		return err
	}
	if p := r.position; p != nil && r.end < p.Offset {
		return &Corruption{
			File: r.active.path(logSuffix), Pos: r.active.size, Offset: r.end,
			Reason: fmt.Sprintf("ends at offset %d, below the durable offset %d", r.end, p.Offset),
		}
	}
	if bad != nil {
		if err := r.cutTail(after, bad); err != nil {
			return err
		}
	}
	r.settleDurable(k, next)
	return r.scanAborted(k, next)
}

// openEmpty opens a directory without segments. It is an empty log only if nothing durable was in it.
func (r *recovery) openEmpty() error {
	if p := r.position; p != nil && p.Offset > r.o.StartOffset {
		return &Corruption{File: r.dir, Offset: r.o.StartOffset, Reason: fmt.Sprintf("no segment, with durable offset %d", p.Offset)}
	}
	r.startAt(r.o.StartOffset)
	r.report.AbortedFrom = r.end
	return nil
}

// scanStart is where scanning begins: the segment, the position in it and the offset that must follow there.
func (r *recovery) scanStart() (k int, pos, next int64, err error) {
	p := r.position
	if p == nil || r.scanAll || p.Segment < r.segments[0].base {
		return 0, 0, r.segments[0].base, nil
	}
	for i, s := range r.segments {
		switch {
		case s.base == p.Segment && s.size < p.Bytes:
			return 0, 0, 0, &Corruption{
				File: r.dir + "/" + offsetName(s.base, logSuffix), Pos: s.size, Offset: s.base,
				Reason: fmt.Sprintf("%d bytes of %d durable ones are left", s.size, p.Bytes),
			}
		case s.base == p.Segment:
			return i, p.Bytes, p.Offset, nil
		case s.base < p.Segment:
			k = i
		}
	}
	// The segment is missing. The one before it may still hold everything, if the missing one was empty.
	return k, 0, r.segments[k].base, nil
}

// enter prepares the active segment, of which the first pos bytes are trusted, for scanning from there.
func (r *recovery) enter(pos, next int64) error {
	s := r.active
	r.bytes -= s.size - pos
	s.size, s.next, r.end = pos, next, next
	s.cold = s.cold.cut(pos)
	r.epochs = r.epochs.before(next)
	known := int64(unknownTimestamp)
	if p := r.position; p != nil && pos > 0 {
		known = p.MaxTimestamp
	}
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	x, maxTimestamp, maxOffset, stored, err := s.indexPrefix(f, pos, next, r.indexInterval(), known)
	if err != nil {
		return s.corrupt(err, s.base)
	}
	s.maxTimestamp, s.maxOffset, r.index, r.indexStored = maxTimestamp, maxOffset, x, stored
	return nil
}

// scan checks all batches from pos in the active segment, the k-th found, to the end. If there is damage, after is the first
// segment found that is not part of the log any more.
func (r *recovery) scan(k int, pos int64) (after int, bad *damage, err error) {
	for i := k; ; {
		bad, err := r.scanSegment(pos, r.segments[i].size)
		if err != nil || bad != nil {
			return i + 1, bad, err
		}
		if i++; i == len(r.segments) {
			return i, nil, r.storeScanned()
		}
		// A hole between segments is a tail that was lost while a later segment was not; compaction leaves none (see doc.go).
		if base := r.segments[i].base; base != r.end && base-r.end <= math.MaxInt32 {
			return i, &damage{0, fmt.Sprintf("a segment at %d follows the end at %d", base, r.end)}, nil
		}
		if err := r.nextSegment(i); err != nil {
			return 0, nil, err
		}
		pos = 0
	}
}

// nextSegment goes on to the i-th segment found.
func (r *recovery) nextSegment(i int) error {
	old := r.active
	r.index.noteTime(old.maxTimestamp, old.rel(old.maxOffset))
	if err := r.storeScanned(); err != nil {
		return err
	}
	index := r.index
	old.index.Store(&index)
	s := r.adopt(i)
	old.next, old.synced = r.end, false
	r.bytes -= s.size
	s.size, s.cold, r.index, r.indexStored, r.end = 0, nil, newSparse(), false, s.base
	return nil
}

// storeScanned writes the indexes of the active segment if the files are not as they must be or much is missing from them. They
// are written before it is certain that the log is whole, as they say nothing that the log does not.
func (r *recovery) storeScanned() error {
	if r.indexStored && r.index.unstored() < indexKeep {
		return nil
	}
	x, err := r.active.store(r.index, false)
	if Passing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.index = x
	return nil
}

// scanSegment extends the active segment by the intact batches between pos and size. bad says why it did not reach size.
func (r *recovery) scanSegment(pos, size int64) (bad *damage, err error) {
	s := r.active
	f, err := s.file.pin()
	if err != nil {
		return nil, err
	}
	defer s.file.unpin()
	w := walkBodies(f, pos, size)
	defer w.close()
	var header [record.HeaderSize]byte
	for !w.done() {
		h, n, err := w.checked(r.end, &header)
		if err == nil {
			err = r.checkScanned(s, h, w.pos)
		}
		if errors.As(err, &bad) {
			return bad, nil
		}
		if err != nil {
			return nil, err
		}
		r.scanned(s, h, n)
		w.pos += n
	}
	return nil, nil
}

// checkScanned refuses batches that are whole but cannot be here: an epoch that goes back is what was written before a truncation.
func (r *recovery) checkScanned(s *segment, h record.Batch, pos int64) error {
	if !s.fits(h.LastOffset()) {
		return &damage{pos, fmt.Sprintf("offset %d is too far from the segment's base", h.LastOffset())}
	}
	if epoch := h.LeaderEpoch(); epoch >= 0 && epoch < r.epochs.Last() {
		return &damage{pos, fmt.Sprintf("leader epoch %d after %d", epoch, r.epochs.Last())}
	}
	return nil
}

// scanned accounts for one intact batch, as Log.appended does.
func (r *recovery) scanned(s *segment, h record.Batch, size int64) {
	last := h.LastOffset()
	if ts := timestampOf(h); ts > s.maxTimestamp {
		s.maxTimestamp, s.maxOffset = ts, last
	}
	r.index.note(s.size, s.rel(last), s.maxTimestamp, s.rel(s.maxOffset), r.indexInterval())
	if e, ok := r.epochs.assign(h.LeaderEpoch(), h.BaseOffset()); ok {
		r.epochs = e
	}
	s.size += size
	s.next, r.end = last+1, last+1
	r.bytes += size
	r.report.Batches++
	r.report.Bytes += size
}

// cutTail makes the log end where the scan found damage: in the active segment, whose file is cut, with the segments found from
// after on gone. Durable on return: what is appended next must not meet what was cut.
func (r *recovery) cutTail(after int, bad *damage) error {
	s := r.active
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	report := &r.report
	report.TruncatedAt, report.Reason = r.end, bad.reason
	report.IntactBeyond = r.intactBeyond(f, after)
	if mutation.Is(mutation.KeepTornTail) {
		return r.storeScanned()
	}
	size := r.foundSize(s.base)
	if cut := size - s.size; cut > 0 {
		report.TruncatedBytes += cut
		report.TruncatedSegments++
	}
	for i := len(r.segments) - 1; i >= after; i-- {
		report.TruncatedBytes += r.segments[i].size
		report.TruncatedSegments++
		if err := r.removeSegment(r.segments[i].base); err != nil {
			return err
		}
	}
	if after < len(r.segments) {
		if err := r.syncDir(); err != nil {
			return err
		}
	}
	if err := f.Truncate(s.size); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return r.storeScanned()
}

func (r *recovery) foundSize(base int64) int64 {
	for _, s := range r.segments {
		if s.base == base {
			return s.size
		}
	}
	return 0
}

// intactBeyond reports whether an intact batch follows the damage at the end of the active segment: right after the damaged one, if
// its length can be believed, or at the beginning of a later segment.
func (r *recovery) intactBeyond(f env.File, after int) bool {
	var header [record.HeaderSize]byte
	w := walkBodies(f, r.active.size, r.foundSize(r.active.base))
	defer w.close()
	if _, size, err := w.header(0); err == nil {
		w.pos += size
		if _, _, err := w.checked(r.end, &header); err == nil {
			return true
		}
	}
	for _, found := range r.segments[after:] {
		if r.intactStart(found) {
			return true
		}
	}
	return false
}

func (r *recovery) intactStart(found foundSegment) bool {
	f, err := r.o.FS.Open(r.dir+"/"+offsetName(found.base, logSuffix), false)
	if err != nil {
		return false
	}
	defer f.Close()
	w := walkBodies(f, 0, found.size)
	defer w.close()
	var header [record.HeaderSize]byte
	_, _, err = w.checked(found.base, &header)
	return err == nil
}

// settleDurable notes how much of the log is known to be durable after scanning from offset next in the k-th segment.
func (r *recovery) settleDurable(k int, next int64) {
	base := r.segments[k].base
	lowered := r.durable.Lowered
	r.durable = Position{Offset: base, Segment: base, MaxTimestamp: noTimestamp, MaxOffset: base, Epoch: NoEpoch}
	r.flushed = max(next, r.firstBase())
	if p := r.position; p != nil {
		r.flushed = max(r.flushed, p.Offset)
		if p.Segment == base && p.Offset == next {
			r.durable = *p
		}
	}
	r.durable.Lowered = lowered
}

// scanAborted keeps the aborted transactions that were durable: all of the segments before the k-th, in that one as many as the
// position says, none after it. What else there is may be torn, and replay adds it again; AbortedFrom tells from where.
func (r *recovery) scanAborted(k int, next int64) error {
	scanned := r.segments[k].base
	r.report.AbortedFrom = next
	for _, s := range r.all() {
		keep := s.aborted.Load()
		if s.base == scanned {
			keep = min(keep, r.durable.Aborted)
			if r.durable.Aborted > keep || r.durable.Offset != next {
				r.report.AbortedFrom = min(r.report.AbortedFrom, s.base)
			}
		} else if s.base > scanned {
			keep = 0
		}
		found := s.aborted.Swap(keep)
		good, err := s.abortedBefore(s.next)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
		if err != nil || good < keep {
			r.note("aborted transactions are replayed from %d: %v", s.base, err)
			r.report.AbortedFrom = min(r.report.AbortedFrom, s.base)
		}
		if good < found || r.txns[s.base] > 0 && keep == 0 {
			if err := r.cutAborted(s, good); err != nil {
				return err
			}
		}
	}
	return nil
}
