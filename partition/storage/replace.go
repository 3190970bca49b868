package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Replacement is a rewritten segment with the ones it stands for. It is in the log from Log.Replace on; on the disk a FlushTask puts it
// in their place:
//
//	.cleaned   written and synced; a start removes it
//	           lowered-position says that no older position may be trusted, which may lie in a segment that goes; with it the
//	           directory is synced, so that none of the files is missing among those that are renamed
//	.swap      renamed, and the directory synced: from here on a start finishes what follows, before it the old segments are the log
//	           the old files are removed, and the directory synced
//	.log       renamed, and the directory synced: a start that still finds a .log.swap removes the files with the final names
//	.index     and the others renamed, and the directory synced
//
// So a crash leaves the old segments or the new one, never both and never neither. Source: UnifiedLog.replaceSegments, LogLoader.
type Replacement struct {
	old      []*segment
	s        *segment
	aborted  []AbortedTxn
	suffixes []string // of its files, .log first
	lowered  Position

	// Guarded by shared.mu:
	swapped bool // the files are .swap, durably
	renamed bool // the .log has its name, durably
	done    bool
}

// Discard gives up a replacement that Replace did not take. Blocks.
func (r *Replacement) Discard() {
	r.s.file.remove()
	r.s.file.unpin()
	discardCleaned(r.s.file.files.fs, r.s)
}

// Replaceable is the offset below which closed segments may be rewritten: they are durable, and recovery begins after them.
func (l *Log) Replaceable() int64 { return l.durable.Segment }

// Replacing reports that a replacement waits for a FlushTask to put its files in place.
func (l *Log) Replacing() bool { return len(l.installs) > 0 }

// Settled reports whether the files hold everything that was flushed, which Replace needs: it raises Position.Lowered, and with that voids
// what a journal holds. If not, the next two FlushTasks are such that only Run can do: the first one settles the log, and the second may be
// under way already when the caller asks again.
func (l *Log) Settled() bool {
	if l.durable.Offset < l.flushed || l.flight != nil && l.flight.from >= 0 {
		l.unsettled = 2
		return false
	}
	l.unsettled = 0
	return true
}

// Replace lets a rewritten segment take the place of the ones it was made of: for readers now, on the disk by the next FlushTask. A
// crash before that brings the old ones back. ErrStale if one of them is not in the log any more or not durable, or the log is not Settled:
// the caller discards the replacement.
func (l *Log) Replace(r *Replacement) error {
	if l.failure != nil {
		return l.failure
	}
	first, n := slices.Index(l.rolled, r.old[0]), len(r.old)
	if first < 0 || first+n > len(l.rolled) || !slices.Equal(l.rolled[first:first+n], r.old) || r.s.next > l.durable.Segment || !l.Settled() {
		return ErrStale
	}
	for _, s := range r.old {
		if !s.synced || s.pending.Load() != nil || slices.Contains(l.abortedDirty, s) {
			return ErrStale
		}
	}
	r.lowered = l.durable
	r.lowered.Start = min(l.start, r.lowered.Offset)
	r.lowered.Lowered++
	l.durable.Lowered, l.published = r.lowered.Lowered, max(l.published, r.lowered.Offset)
	l.rolled = slices.Concat(l.rolled[:first], []*segment{r.s}, l.rolled[first+n:])
	l.bytes += r.s.size
	for _, s := range r.old {
		l.bytes -= s.size
		s.replacement.Store(r.s)
	}
	l.replacements.Add(1) // before the files go: whoever finds one gone finds out why
	for _, s := range r.old {
		s.file.remove()
	}
	l.installs = append(l.installs, r)
	l.view = nil
	return nil
}

// install puts the files of a replacement in place, from where an earlier attempt was refused for want of space. Any goroutine; the
// caller holds mu.
func (sh *shared) install(r *Replacement) error {
	if r.done {
		return nil
	}
	if !r.swapped {
		if err := ReplaceFile(sh.files.fs, sh.dir, loweredName, encodeLowered(r.lowered, false)); err != nil {
			return err
		}
		if err := sh.renameAll(r, r.suffixes, cleanedSuffix, swapSuffix); err != nil {
			return err
		}
		r.swapped = true
	}
	if !r.renamed {
		if err := sh.removeReplaced(r); err != nil {
			return err
		}
		if err := sh.renameAll(r, r.suffixes[:1], swapSuffix, ""); err != nil {
			return err
		}
		r.renamed = true
	}
	if err := sh.renameAll(r, r.suffixes[1:], swapSuffix, ""); err != nil {
		return err
	}
	r.done = true
	return nil
}

// removeReplaced removes the files of the old segments, durably, but for the .log whose name the new one takes.
func (sh *shared) removeReplaced(r *Replacement) error {
	for _, s := range r.old {
		for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix} {
			if s.base == r.s.base && suffix == logSuffix {
				continue
			}
			if err := removeIfThere(sh.files.fs, s.path(suffix)); err != nil {
				return err
			}
		}
	}
	return sh.syncDir()
}

// renameAll changes the suffix of files of a replacement, durably.
func (sh *shared) renameAll(r *Replacement, suffixes []string, from, to string) error {
	for _, suffix := range suffixes {
		name := r.s.path(suffix)
		if err := sh.files.fs.Rename(name+from, name+to); errors.Is(err, fs.ErrNotExist) {
			if _, err := sh.files.fs.Stat(name + to); err != nil {
				return fmt.Errorf("renaming %q: %w", name+from, err)
			}
		} else if err != nil {
			return fmt.Errorf("renaming %q: %w", name+from, err)
		}
	}
	return sh.syncDir()
}

// installNow puts in place what no FlushTask did yet: before anything that works by the names of files, and changes lowered-position. As a
// FlushTask does it first makes durable what only a journal holds, which the new lowered-position voids. ErrRefused if it is to be tried
// again.
func (l *Log) installNow() error {
	if len(l.installs) == 0 {
		return nil
	}
	if err := l.syncUpTo(l.all(), l.position()); err != nil {
		return err
	}
	l.mu.Lock()
	for _, r := range l.installs {
		if err := l.install(r); err != nil {
			l.mu.Unlock()
			return err
		}
	}
	l.mu.Unlock()
	l.takeInstalled()
	return nil
}

// takeInstalled lets segments whose files are in place use them.
func (l *Log) takeInstalled() {
	if len(l.installs) == 0 {
		return
	}
	l.mu.Lock()
	n := 0
	for n < len(l.installs) && l.installs[n].done {
		n++
	}
	l.mu.Unlock()
	for _, r := range l.installs[:n] {
		s, x := r.s, *r.s.index.Load()
		if len(x.offsets) > 0 || len(x.times) > 0 {
			x.storedOffsets, x.storedTimes = x.storedOffsets+len(x.offsets), x.storedTimes+len(x.times)
			x.offsets, x.times = nil, nil
			s.index.Store(&x)
		}
		s.pending.Store(nil)
		s.file.unpin()
	}
	l.installs = slices.Delete(l.installs, 0, n)
}

// current is the view with replaced segments exchanged for what stands for them now. What a replacement left out is a gap to it.
func (v *View) current() *View {
	n := v.shared.replacements.Load()
	if n == v.replacements {
		return v
	}
	c := *v
	c.replacements = n
	c.rolled = make([]*segment, 0, len(v.rolled))
	for _, s := range v.rolled {
		if s = s.newest(); len(c.rolled) == 0 || c.rolled[len(c.rolled)-1] != s {
			c.rolled = append(c.rolled, s)
		}
	}
	if s := v.active; s != nil && s.newest() != s { // it was rolled since, and then replaced
		s = s.newest()
		if n := len(c.rolled); n > 0 && c.rolled[n-1] == s {
			c.rolled = c.rolled[:n-1]
		}
		c.active, c.size, c.next, c.index, c.recent = s, s.size, s.next, *s.index.Load(), nil
		c.maxTimestamp, c.maxOffset = s.maxTimestamp, s.maxOffset
	}
	return &c
}

func (s *segment) newest() *segment {
	for next := s.replacement.Load(); next != nil; next = s.replacement.Load() {
		s = next
	}
	return s
}

// outdated reports that err is due to a replacement since the view was made: the call is to be repeated with the current one.
func (v *View) outdated(err error) bool {
	return errors.Is(err, errGone) && v.replacements != v.shared.replacements.Load()
}
