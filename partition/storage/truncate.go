package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"

	"github.com/troupe-broker/troupe/actors/record"
)

// TruncateTo removes every batch that ends at or after offset, for a follower whose tail differs from its leader's: EndOffset is
// then offset, or less if offset lies within a batch or a gap. Below the first segment it is Restart. Nothing happens above the end, except
// that epochs beginning there are forgotten (KAFKA-10706). Below the log start, the caller lowers its log-start-offset-checkpoint first.
//
// The truncation is durable on return: what is appended next must never be mixed with what was cut off. At every crash point the
// log is a prefix of the old one that holds everything below offset. Blocks; the actor leaves the log alone meanwhile. A flush task
// may be running.
func (l *Log) TruncateTo(offset int64) error {
	if l.failure != nil {
		return l.failure
	}
	if offset < l.end && (l.segments() == 0 || offset < l.firstBase()) {
		return l.Restart(offset)
	}
	if e := l.epochs.before(offset); e.Last() != l.epochs.Last() {
		l.setEpochs(e)
	}
	if offset >= l.end {
		return nil
	}
	if err := l.installNow(); errors.Is(err, ErrRefused) {
		return err
	} else if err != nil {
		return l.goOffline(fmt.Errorf("truncating to %d: %w", offset, err))
	}
	all := l.all()
	i := sort.Search(len(all), func(i int) bool { return all[i].base > offset }) - 1
	cut, err := l.cutAt(all[i], offset)
	if err == nil && cut.Offset < l.published {
		err = l.syncUpTo(all[:i+1], cut)
	}
	if err == nil && cut.Offset < l.published {
		cut.Start = min(l.start, cut.Offset)
		err = l.lower(cut, false)
	}
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrCorrupt) {
		return err // the log is as before
	}
	if err == nil {
		err = l.truncate(all, i, cut, offset)
	}
	if err != nil {
		return l.goOffline(fmt.Errorf("truncating to %d: %w", offset, err))
	}
	return nil
}

// syncUpTo makes the files durable that the log will consist of, if they are not: what lower writes down recovery takes for durable, and
// what a journal holds of the log counts no longer.
func (l *Log) syncUpTo(left []*segment, cut Position) error {
	if cut.Offset <= l.durable.Offset {
		return nil
	}
	for _, s := range left {
		if s.synced {
			continue
		}
		f, err := s.file.pin()
		if err != nil {
			return err
		}
		err = f.Sync()
		s.file.unpin()
		if err != nil {
			return fmt.Errorf("syncing %q: %w", s.path(logSuffix), err)
		}
	}
	return l.syncDir()
}

// truncate removes the segments of all after the i-th and cuts that one.
func (l *Log) truncate(all []*segment, i int, cut Position, offset int64) error {
	old := all[i]
	l.invalidate()
	// Recovery scans here, so the hole that a crash may leave among these segments only makes the log end earlier.
	for _, s := range all[i+1:] {
		s.file.remove()
		if err := l.removeSegment(s.base); err != nil {
			return err
		}
	}
	if i+1 < len(all) {
		if err := l.syncDir(); err != nil {
			return err
		}
	}
	if err := l.dropSnapshots(cut.Offset); err != nil {
		return err
	}
	if old == l.active {
		if _, err := old.store(l.index, false); err != nil && !Passing(err) {
			return err
		}
	}
	s, index, err := l.shorten(old, cut)
	if err != nil {
		return err
	}
	l.rolled = append([]*segment(nil), all[:i]...)
	l.active, l.index, l.recent = s, index, nil
	l.abortedDirty = slices.DeleteFunc(l.abortedDirty, func(dirty *segment) bool { return dirty.base >= s.base }) // synced or gone
	// The log start may lie within the batch that was removed; the log then ends there and not before.
	l.start = min(l.start, offset)
	l.end = max(cut.Offset, l.start)
	l.flushed, l.flushedAt = min(l.flushed, l.end), nowhere
	l.bytes = s.size
	for _, s := range l.rolled {
		l.bytes += s.size
	}
	if l.durable.Offset > cut.Offset {
		cut.Lowered, cut.Epoch = l.durable.Lowered, l.epochs.before(l.end).Last()
		cut.MaxTimestamp, cut.MaxOffset = s.maxTimestamp, s.maxOffset
		l.durable = cut
	}
	return nil
}

// invalidate voids views and running flush tasks. Nothing a running task removes or writes by name happens after it.
func (l *Log) invalidate() {
	l.mu.Lock()
	l.truncations.Add(1)
	l.mu.Unlock()
	l.view = nil
}

// cutAt is the end of the last batch of s that ends below offset.
func (l *Log) cutAt(s *segment, offset int64) (Position, error) {
	f, err := s.file.pin()
	if err != nil {
		return Position{}, err
	}
	defer s.file.unpin()
	v := l.View()
	p := v.piece(v.segmentOf(offset))
	pos, err := v.seekIndex(p, f, offset-1) // at a batch that stays, if there is one
	if err != nil {
		return Position{}, err
	}
	w := walkHeaders(f, pos, p.size)
	defer w.close()
	end := s.base
	for !w.done() {
		h, size, err := w.header(p.base)
		if err != nil {
			return Position{}, p.corrupt(err, offset)
		}
		if h.LastOffset() >= offset {
			break
		}
		end = h.NextOffset()
		w.pos += size
	}
	aborted, err := s.abortedBefore(end)
	if err != nil {
		return Position{}, err
	}
	return Position{Offset: end, Segment: s.base, Bytes: w.pos, MaxTimestamp: noTimestamp, Epoch: NoEpoch, Aborted: aborted}, nil
}

// shorten cuts the files of old to end at cut and returns the segment they are then.
func (l *Log) shorten(old *segment, cut Position) (*segment, sparse, error) {
	s := newSegment(l.files, l.dir, old.base)
	s.file, s.size, s.next, s.cold = old.file, cut.Bytes, cut.Offset, old.cold.cut(cut.Bytes)
	if s.size > 0 {
		s.firstTimestamp = old.firstTimestamp
	}
	f, err := s.file.pin()
	if err != nil {
		return nil, sparse{}, err
	}
	defer s.file.unpin()
	if err := f.Truncate(s.size); err != nil {
		return nil, sparse{}, err
	}
	if err := f.Sync(); err != nil {
		return nil, sparse{}, err
	}
	index, maxTimestamp, maxOffset, _, err := s.indexPrefix(f, s.size, s.next, l.indexInterval(), unknownTimestamp)
	if err != nil {
		return nil, sparse{}, s.corrupt(err, s.base)
	}
	s.maxTimestamp, s.maxOffset = maxTimestamp, maxOffset
	// Stale entries must not come back behind those of what is appended next, so this is synced, and empty files are written too.
	if index, err = s.store(index, true); Passing(err) {
		err = nil
	}
	if err == nil {
		err = l.cutAborted(s, cut.Aborted)
	}
	return s, index, err
}

// removeSegment takes the files of the segment at base off the disk; durable with the next sync of the directory.
func (sh *shared) removeSegment(base int64) error {
	for _, suffix := range [...]string{logSuffix, logSuffix + deletedSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		if err := sh.remove(offsetName(base, suffix)); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a file of the log if it is there.
func (sh *shared) remove(name string) error {
	if err := sh.files.fs.Remove(sh.dir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %q: %w", sh.dir+"/"+name, err)
	}
	return nil
}

// Restart empties the log and lets it start at offset: for a follower whose leader begins beyond its end (Kafka's
// truncateFullyAndStartAt). Durable on return; a crash in between finishes it at Open. If offset is below the checkpointed log start
// the caller lowers that checkpoint first: recovery would hide what is appended below it. Blocks.
func (l *Log) Restart(offset int64) error {
	if l.failure != nil {
		return l.failure
	}
	if err := l.installNow(); errors.Is(err, ErrRefused) {
		return err
	} else if err != nil {
		return l.goOffline(fmt.Errorf("restarting at %d: %w", offset, err))
	}
	err := l.lower(Position{Offset: offset, Start: offset, Segment: offset, MaxTimestamp: noTimestamp, Epoch: NoEpoch}, true)
	if errors.Is(err, ErrRefused) {
		return err // the log is as before
	}
	if err == nil {
		err = l.restart(offset)
	}
	if err != nil {
		return l.goOffline(fmt.Errorf("restarting at %d: %w", offset, err))
	}
	return nil
}

// restart does what lower has announced.
func (l *Log) restart(offset int64) error {
	l.invalidate()
	for _, s := range append(l.all(), l.doomed...) {
		s.file.remove()
		if err := l.removeSegment(s.base); err != nil {
			return err
		}
	}
	if err := l.dropSnapshots(-1); err != nil {
		return err
	}
	return l.beginAt(offset)
}

// dropSnapshots removes the producer snapshots beyond end: they describe records that will not be there.
func (l *Log) dropSnapshots(end int64) error {
	offsets, err := l.Snapshots()
	if err != nil {
		return err
	}
	removed := false
	for _, offset := range offsets {
		if offset > end {
			if err := l.RemoveSnapshot(offset); err != nil {
				return err
			}
			removed = true
		}
	}
	if removed {
		return l.syncDir()
	}
	return nil
}

// beginAt makes an empty log at offset, durably, in a directory without segments, and notes that the reset is done.
func (l *Log) beginAt(offset int64) error {
	l.startAt(offset)
	l.anchored = false
	l.rolled, l.active, l.doomed, l.abortedDirty, l.recent, l.bytes, l.view = nil, nil, nil, nil, nil, 0, nil
	l.index = newSparse()
	l.setEpochs(Epochs{})
	if err := l.forgetEpochs(); err != nil {
		return err
	}
	if err := l.roll(nil); err != nil {
		return err
	}
	if err := l.anchor(); err != nil {
		return err
	}
	return l.lower(l.Position(), false)
}

// lower writes down that the log is about to be cut to p, below a position that may be in the recovery checkpoint: recovery would
// else take the shorter log for a damaged one. With reset recovery removes all segments and begins anew at p.
func (l *Log) lower(p Position, reset bool) error {
	p.Lowered = l.durable.Lowered + 1
	if err := ReplaceFile(l.files.fs, l.dir, loweredName, encodeLowered(p, reset)); err != nil {
		return err
	}
	l.durable.Lowered, l.published = p.Lowered, p.Offset
	return nil
}

// AdvanceStart moves the log start up to offset, which may lie within a batch (KIP-107), and drops the segments below; their files
// go with the next flush. What is below the newest segment's beginning is forgotten by the files themselves, the rest only by the
// caller's log-start-offset-checkpoint: write offset there before the call, or a crash brings records back. ErrOutOfRange above the
// end; nothing happens below the start.
func (l *Log) AdvanceStart(offset int64) error {
	if l.failure != nil {
		return l.failure
	}
	if offset > l.end {
		return fmt.Errorf("%w: log start %d beyond the end %d", ErrOutOfRange, offset, l.end)
	}
	if offset <= l.start {
		return nil
	}
	drop := 0
	for drop < len(l.rolled) && l.nextBase(drop) <= offset {
		drop++
	}
	l.drop(drop)
	l.setStart(offset)
	return nil
}

// nextBase is the base of the segment after rolled[i].
func (l *Log) nextBase(i int) int64 {
	if i+1 < len(l.rolled) {
		return l.rolled[i+1].base
	}
	return l.active.base
}

// drop removes the n oldest segments from the log.
func (l *Log) drop(n int) {
	for _, s := range l.rolled[:n] {
		l.doom(s)
	}
	l.rolled = l.rolled[n:]
	if len(l.rolled) == 0 {
		l.rolled = nil
	}
	l.view = nil
}

func (l *Log) setStart(offset int64) {
	l.start = offset
	l.view = nil
	if e := l.epochs.from(offset); len(e.list) != len(l.epochs.list) || len(e.list) > 0 && e.list[0] != l.epochs.list[0] {
		l.setEpochs(e)
	}
}

// replay calls f for the batches that end at or after from, in order.
func (l *Log) replay(from int64, f func(record.Batch) error) error {
	return l.View().EachBatch(max(from, l.start), l.end, nil, f)
}
