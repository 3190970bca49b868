package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// FlushTask is the work of making durable what a log held when the task was taken. Run it on any goroutine, beside appends and
// readers, then hand it to Log.Flushed in the actor. One task of a log is in flight at a time; it must not be used after Flushed.
//
// One FS.SyncAll in the place of Run covers the record bytes of many logs at once. What else Run does (indexes and removal of old
// segments, the epoch checkpoint) then stays for a later task: see Housekeeping.
type FlushTask struct {
	log         *shared
	truncations uint64
	end         Position
	endOffset   int64

	// segments to sync, oldest first; the last one is the active one.
	segments []flushSegment
	// dir and parent say which directories have entries that are not durable.
	dir, parent bool
	dirChanges  uint64

	aborted       []*segment // with .txnindex files to sync
	doomed        []*segment
	installs      []*Replacement
	epochs        Epochs
	epochsVersion uint64
	epochsPending bool

	// from and fromOffset are where the durable part ended, in the one segment that is to be synced; -1 if a journal cannot take the task.
	from, fromOffset int64

	ran       bool // Run did everything
	journaled bool // a journal did, for the time being
	removed   int  // of doomed
}

// removedPerTask is how many dropped segments a FlushTask removes, unless more of them are not durable: whoever waits for its records
// waits for the removals, too, and each one takes a sync of the directory. Measured while others used the disk: 1,262 segments at once
// held a produce up for 3 to 5 s, four at a time for 65 to 95 ms; one at a time was no better, as each task syncs the active segment as
// well.
const removedPerTask = 4

// flushSegment is one segment and the indexes to write for it.
type flushSegment struct {
	*segment
	index  sparse
	rolled bool
	store  bool // index has entries to write
	stored bool // done
	trim   bool // holds blocks to give back
}

// FlushTask returns the work to make everything appended so far durable, or nil if there is nothing to do, a task is in flight
// (its end is the time to ask again) or the log is offline.
func (l *Log) FlushTask() *FlushTask { return l.flushTask(false) }

// Housekeeping reports that only Run does all of the task: FS.SyncAll would leave indexes, epochs or removals for the next one.
func (t *FlushTask) Housekeeping() bool {
	if len(t.doomed) > 0 || len(t.installs) > 0 || t.epochsPending {
		return true
	}
	for i := range t.segments {
		if t.segments[i].store {
			return true
		}
	}
	return false
}

// End is the offset up to which the task makes the log durable.
func (t *FlushTask) End() int64 { return t.endOffset }

// TrimTask returns the work to take dropped segments off the disk without making any record durable, or nil if there is nothing to
// take off, a task is in flight or the log is offline. It is for durability=os: segments that retention drops soon after they were
// written need never reach the disk. The names of the segments that remain are durable before any of the dropped ones goes, so a crash
// finds the log beginning where it does now. Run it like any other task, and hand it to Flushed, which then advances nothing.
func (l *Log) TrimTask() *FlushTask {
	if l.failure != nil || l.flight != nil || len(l.doomed) == 0 && len(l.installs) == 0 {
		return nil
	}
	t := l.spare
	if t == nil {
		t = &FlushTask{}
	}
	*t = FlushTask{
		log: l.shared, truncations: l.truncations.Load(), end: l.durable, endOffset: l.flushed,
		segments: t.segments[:0], doomed: append(t.doomed[:0], l.removable()...), installs: append(t.installs[:0], l.installs...), aborted: t.aborted[:0],
		dir: l.dirChanges != l.dirSynced, dirChanges: l.dirChanges, from: -1,
	}
	l.spare, l.flight = nil, t
	return t
}

// flushTask with all also writes index entries that would otherwise wait in memory.
func (l *Log) flushTask(all bool) *FlushTask {
	if l.failure != nil || l.flight != nil {
		return nil
	}
	if s := l.active; s != nil && all {
		l.index.noteTime(s.maxTimestamp, s.rel(s.maxOffset))
		l.view = nil
	}
	t := l.spare
	if t == nil {
		t = &FlushTask{}
	}
	doomed := l.removable()
	if all {
		doomed = l.doomed
	}
	l.spare = t
	*t = FlushTask{
		log: l.shared, truncations: l.truncations.Load(), end: l.position(), endOffset: l.end,
		segments: t.segments[:0], doomed: append(t.doomed[:0], doomed...), installs: append(t.installs[:0], l.installs...),
		aborted: append(t.aborted[:0], l.abortedDirty...),
		dir:     l.dirChanges != l.dirSynced, dirChanges: l.dirChanges, parent: l.parentDirty && l.segments() > 0,
		epochs: l.epochs, epochsVersion: l.epochsVersion, epochsPending: l.epochsPending(), from: -1,
	}
	for i := l.firstUnsynced(); i < len(l.rolled); i++ {
		s := l.rolled[i]
		piece := flushSegment{segment: s, rolled: true, trim: s.overReserved()}
		if x := s.index.Load(); x != nil {
			piece.index, piece.store = *x, true
		}
		t.segments = append(t.segments, piece)
	}
	if s := l.active; s != nil {
		store := l.index.unstored() >= indexKeep || all && l.index.unstored() > 0
		if store || l.flushed < l.end || l.durable.Offset < l.end { // what only a journal holds too
			t.segments = append(t.segments, flushSegment{segment: s, index: l.index, store: store})
		}
	}
	if len(t.segments) == 0 && len(t.aborted) == 0 && !t.dir && !t.parent && !t.Housekeeping() {
		return nil
	}
	if !all {
		l.offerToJournal(t)
	}
	l.spare, l.flight = nil, t
	return t
}

// removable are the dropped segments that one task removes, oldest first. All that are not durable are among them: one that was torn would
// end the log at the next start, before what the task makes durable.
func (l *Log) removable() []*segment {
	n := min(removedPerTask, len(l.doomed))
	for i := len(l.doomed); i > n; i-- {
		if !l.doomed[i-1].synced {
			n = i
		}
	}
	return l.doomed[:n]
}

// Removing reports that dropped segments are still on the disk: a task removes only some of them, so that nobody waits long for it.
func (l *Log) Removing() bool { return len(l.doomed) > 0 && l.failure == nil }

// offerToJournal notes what a journal would have to hold to make the task durable, if that is a piece of the active segment and nothing
// else. From then on a truncation below the end must be written down, or the journal would undo it at the next start.
func (l *Log) offerToJournal(t *FlushTask) {
	if len(t.segments) != 1 || len(t.aborted) > 0 || t.dir || t.parent || t.Housekeeping() || !l.isPartition {
		return
	}
	if l.unsettled > 0 {
		l.unsettled--
		return
	}
	if l.config.Durability != protocol.DurabilityDisk {
		return // nobody waits, and Position is to move
	}
	s := t.segments[0].segment
	if s != l.active || l.flushed >= l.end || l.flushedAt.segment != s.base || l.flushedAt.bytes >= s.size {
		return
	}
	t.from, t.fromOffset = l.flushedAt.bytes, l.flushed
	l.published = max(l.published, l.end)
}

// JournalBytes is how many bytes a journal would have to hold to make the task durable; 0 if only Run can do that.
func (t *FlushTask) JournalBytes() int64 {
	if t.from < 0 {
		return 0
	}
	return t.end.Bytes - t.from
}

// Journaled reports that the task is done: a journal holds what it flushes.
func (t *FlushTask) Journaled() bool { return t.journaled }

// position is the end of the log.
func (l *Log) position() Position {
	p := Position{
		Offset: l.end, Segment: l.end, MaxTimestamp: noTimestamp, MaxOffset: l.end,
		Epoch: l.epochs.before(l.end).Last(), Lowered: l.durable.Lowered,
	}
	if s := l.active; s != nil {
		p.Offset, p.Segment, p.Bytes, p.MaxTimestamp, p.MaxOffset = s.next, s.base, s.size, s.maxTimestamp, s.maxOffset
		p.Aborted = s.aborted.Load()
		p.Indexes, p.Times = int32(l.index.storedOffsets+len(l.index.offsets)), int32(l.index.storedTimes+len(l.index.times))
	}
	return p
}

// firstUnsynced is the index in rolled of the first segment that is not durable.
func (l *Log) firstUnsynced() int {
	i := len(l.rolled)
	for i > 0 && !l.rolled[i-1].synced {
		i--
	}
	return i
}

// Run does the work. An error other than ErrRefused means that what the disk holds is unknown.
func (t *FlushTask) Run() error {
	err := t.run()
	if Passing(err) && !errors.Is(err, ErrRefused) {
		err = fmt.Errorf("%w: %w", ErrRefused, err) // the next task does it all again
	}
	if err != nil && t.log.deleted.Load() {
		return nil // nothing depends on it any more
	}
	t.ran = err == nil
	return err
}

func (t *FlushTask) run() error {
	for i := range t.segments {
		if err := t.storeIndex(&t.segments[i]); err != nil {
			return err
		}
		if err := t.trim(&t.segments[i]); err != nil {
			return err
		}
		if err := t.segments[i].sync(); err != nil {
			return err
		}
	}
	for _, s := range t.aborted {
		if err := s.syncAborted(); err != nil {
			return err
		}
	}
	// Replacing the epoch checkpoint syncs the directory, with all files created before. A disk too full for it must not keep what is to be
	// removed: the segments that remain are durable, and recovery finds their epochs in them.
	written, refused := false, error(nil)
	if t.epochsPending {
		var err error
		if written, err = t.log.writeEpochs(t.epochs, t.epochsVersion); errors.Is(err, ErrRefused) {
			refused = err
		} else if err != nil {
			return err
		}
	}
	if t.dir && !written && !mutation.Is(mutation.SkipDirSync) {
		if err := t.log.syncDir(); err != nil {
			return err
		}
	}
	if t.parent {
		if err := t.log.files.fs.SyncDir(path.Dir(t.log.dir)); err != nil {
			return fmt.Errorf("syncing %q: %w", path.Dir(t.log.dir), err)
		}
	}
	for _, r := range t.installs {
		if err := t.install(r); err != nil {
			return err
		}
	}
	// Segments go only now, when the segment that continues the log is durable: a crash never finds an empty directory where
	// there was a log. Source: NATS #6778.
	for _, s := range t.doomed {
		if err := t.log.removeFiles(s, t.truncations); err != nil {
			return err
		}
		t.removed++
	}
	return refused
}

// Removed is how many dropped segments the task took off the disk, also if it then failed.
func (t *FlushTask) Removed() int { return t.removed }

// install puts a replacement in place, unless a truncation did so already.
func (t *FlushTask) install(r *Replacement) error {
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	if t.truncations != t.log.truncations.Load() {
		return nil
	}
	return t.log.install(r)
}

// storeIndex writes index entries to the files of s. Those of a rolled segment become durable, as retention trusts its last time
// entry; those of the active one need not, as recovery checks them against the log. A full disk leaves them in memory.
func (t *FlushTask) storeIndex(s *flushSegment) error {
	if !s.store {
		return nil
	}
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	if t.truncations != t.log.truncations.Load() || s.file.isGone() {
		return nil
	}
	index, err := s.segment.store(s.index, s.rolled)
	if Passing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	s.index, s.stored = index, true
	return nil
}

// sync makes the records of s durable, also if retention dropped s since the task was taken: until its file is removed a crash may
// bring it back, and a hole where it was torn would end the log there.
func (s *flushSegment) sync() error {
	f, err := s.file.pin()
	if errors.Is(err, errGone) {
		return s.syncAside()
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", s.path(logSuffix), err)
	}
	defer s.file.unpin()
	// Before the sync: what is written while it runs stays dirty.
	s.file.setDirty(false)
	if err := f.Sync(); err != nil && !mutation.Is(mutation.SwallowSyncError) {
		return fmt.Errorf("syncing %q: %w", s.path(logSuffix), err)
	}
	return nil
}

func (sh *shared) syncDir() error {
	if err := sh.files.fs.SyncDir(sh.dir); err != nil {
		return fmt.Errorf("syncing %q: %w", sh.dir, err)
	}
	return nil
}

// removeFiles takes one segment off the disk. The .log goes first and durably, so that of several removed segments the oldest are
// gone whenever the power fails: no hole in the middle of a log.
func (sh *shared) removeFiles(s *segment, truncations uint64) error {
	sh.mu.Lock()
	// After a truncation the name may be that of a new segment; the truncation took care of the file.
	if truncations != sh.truncations.Load() {
		sh.mu.Unlock()
		return nil
	}
	name := s.path(logSuffix)
	err := sh.files.fs.Rename(name, name+deletedSuffix)
	sh.mu.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("renaming %q: %w", name, err)
	}
	if err := sh.syncDir(); err != nil {
		return err
	}
	for _, name := range []string{
		name + deletedSuffix, s.path(indexSuffix), s.path(timeIndexSuffix), s.path(txnIndexSuffix),
	} {
		if err := sh.files.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %q: %w", name, err)
		}
	}
	return nil
}

// Flushed takes the outcome of a task back into the log: err is what Run, or the FS.SyncAll in its place, returned. FlushedOffset
// advances unless the log was truncated meanwhile: what the task synced may then be bytes that are no longer in the log
// (redpanda 36de825482). After an error other than ErrRefused the log is offline: a second sync would prove nothing.
func (l *Log) Flushed(t *FlushTask, err error) error {
	invariant.Check(t != nil && t == l.flight, "a flush task is reported that is not in flight: %s", l.dir)
	l.flight = nil
	defer l.recycle(t)
	l.takeInstalled()
	if l.failure != nil {
		return l.failure
	}
	l.forgetDoomed(t)
	if err != nil {
		if errors.Is(err, ErrRefused) {
			return err
		}
		return l.goOffline(err)
	}
	if t.truncations != l.truncations.Load() {
		return nil
	}
	if t.endOffset > l.flushed {
		l.flushed, l.flushedAt = t.endOffset, place{t.end.Segment, t.end.Bytes}
	}
	if t.journaled {
		return nil // the files come later
	}
	l.takeIndexes(t)
	l.abortedDirty = append(l.abortedDirty[:0], l.abortedDirty[len(t.aborted):]...)
	if t.dir {
		l.anchored, l.dirSynced = true, t.dirChanges
	}
	if t.parent {
		l.parentDirty = false
	}
	// Recovery trusts epochs and indexes below the durable position, so it waits for them.
	if t.ran || !t.Housekeeping() {
		lowered := l.durable.Lowered
		l.durable = t.end
		l.durable.Lowered = lowered
	}
	return nil
}

// takeIndexes notes what the task did for single segments.
func (l *Log) takeIndexes(t *FlushTask) {
	for i := range t.segments {
		s := &t.segments[i]
		switch {
		case s.rolled && s.stored:
			index := s.index
			s.segment.index.Store(&index)
			s.synced = true
		case s.rolled && t.ran:
			s.synced = true // the disk is too full for its indexes, which a reader will rebuild
		case s.stored && s.segment == l.active:
			l.takeIndex(s)
		}
	}
}

// takeIndex drops the entries that are now in the files from those in memory; appends may have added more since.
func (l *Log) takeIndex(s *flushSegment) {
	offsets := s.index.storedOffsets - l.index.storedOffsets
	times := s.index.storedTimes - l.index.storedTimes
	l.index.offsets = append([]offsetEntry(nil), l.index.offsets[offsets:]...)
	l.index.times = append([]timeEntry(nil), l.index.times[times:]...)
	l.index.storedOffsets, l.index.storedTimes = s.index.storedOffsets, s.index.storedTimes
	l.view = nil
}

func (l *Log) forgetDoomed(t *FlushTask) {
	if t.truncations == l.truncations.Load() {
		l.doomed = append(l.doomed[:0], l.doomed[t.removed:]...)
	}
}

// recycle keeps the memory of a finished task for the next one.
func (l *Log) recycle(t *FlushTask) {
	clear(t.segments)
	clear(t.doomed)
	clear(t.installs)
	clear(t.aborted)
	t.epochs = Epochs{}
	l.spare = t
}
