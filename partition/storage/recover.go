package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/mutation"
)

// Recovered is what Open found and did.
type Recovered struct {
	// Clean says that nothing had to be scanned.
	Clean bool
	// Batches and Bytes were scanned beyond the durable position.
	Batches int
	Bytes   int64
	// Journaled batches came from the journal of the log directory.
	Journaled int
	// TruncatedBytes were cut off, in TruncatedSegments files, from the offset TruncatedAt (the log end) on, for Reason. Zero bytes
	// mean that nothing was.
	TruncatedBytes    int64
	TruncatedSegments int
	TruncatedAt       int64
	Reason            string
	// IntactBeyond says that an intact batch followed what was cut off. Pages reach the disk in any order, so a power failure does
	// that to a tail that was never flushed; but so does a rotten byte in a tail that was flushed after the last checkpoint. The
	// replica must not count as having kept its data.
	IntactBeyond bool
	// AbortedFrom: aborted transactions with markers at or after it are not in the index; replay from there to add them.
	AbortedFrom int64
	// Notes say what else was repaired, for people.
	Notes []string
}

// foundSegment is a .log file as the directory lists it.
type foundSegment struct{ base, size int64 }

// recovery is one run of Open.
type recovery struct {
	*Log
	o        Options
	report   Recovered
	segments []foundSegment
	position *Position        // nil: nothing is known to be durable
	scanAll  bool             // although there is a position
	txns     map[int64]int32  // entries of the .txnindex files there are
	sizes    map[string]int64 // of index files
	removed  bool             // something was removed from the directory
	// indexStored says that the index files of the active segment hold nothing but what index counts as stored.
	indexStored bool

	hasEpochs, hasLowered bool
	loaded                Epochs // what the epoch checkpoint holds
	snapshots             []int64
	swaps                 []foundSegment
}

// Open opens the log in o.Dir and brings it back to what a crash may have left of it: a prefix of what was appended, at least up to
// the checkpoint. fs.ErrNotExist if there is no directory. ErrCorrupt if anything below the checkpoint is missing: the log is left as
// it is. A torn tail beyond the checkpoint is cut off and reported. Blocks; with Clean it reads a directory and little else.
func Open(o Options) (*Log, Recovered, error) {
	r := &recovery{Log: newLog(o), o: o}
	if err := r.run(); err != nil {
		return nil, r.report, fmt.Errorf("opening log %q: %w", o.Dir, err)
	}
	if len(r.report.Notes) > 0 || r.report.TruncatedBytes > 0 {
		r.log.Warn("log recovered", slog.String("dir", o.Dir), slog.Int64("end", r.end), slog.Int64("truncatedBytes", r.report.TruncatedBytes), slog.Int("batchesFromJournal", r.report.Journaled),
			slog.String("reason", r.report.Reason), slog.Any("notes", r.report.Notes))
	}
	return r.Log, r.report, nil
}

func (r *recovery) run() error {
	if err := r.list(); err != nil {
		return err
	}
	done, err := r.findPosition()
	if err != nil || done {
		return err
	}
	if err := r.findEpochs(); err != nil {
		return err
	}
	if r.isClean() {
		err = r.openClean()
	} else {
		err = r.openUnclean()
	}
	if err == nil {
		err = r.appendJournal()
	}
	if err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	if r.o.Replay == nil {
		return nil
	}
	return r.replay(r.o.ReplayFrom, r.o.Replay)
}

func (r *recovery) note(format string, args ...any) {
	r.report.Notes = append(r.report.Notes, fmt.Sprintf(format, args...))
}

// list reads the directory, removes what is left over from unfinished work and finishes what was decided.
func (r *recovery) list() error {
	entries, err := r.o.FS.ReadDir(r.o.Dir)
	if err != nil {
		return err
	}
	leastCleaned := int64(-1)
	for _, e := range entries {
		if offset, suffix, ok := parseOffsetName(e.Name); ok && strings.HasSuffix(suffix, cleanedSuffix) && (leastCleaned < 0 || offset < leastCleaned) {
			leastCleaned = offset
		}
	}
	if entries, err = r.discardUnfinished(entries, leastCleaned); err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.listOne(e); err != nil {
			return err
		}
	}
	if err := r.finishSwaps(); err != nil {
		return err
	}
	slices.SortFunc(r.segments, func(a, b foundSegment) int { return int(min(max(a.base-b.base, -1), 1)) })
	return r.removeOrphans()
}

// discardUnfinished removes the .swap files that belong to unfinished output, from leastCleaned on (KAFKA-6264), and returns the other
// entries. They go before the .cleaned ones, durably: left alone they would look finished.
func (r *recovery) discardUnfinished(entries []env.Entry, leastCleaned int64) (left []env.Entry, err error) {
	for _, e := range entries {
		offset, suffix, ok := parseOffsetName(e.Name)
		if !ok || !strings.HasSuffix(suffix, swapSuffix) || leastCleaned < 0 || offset < leastCleaned {
			left = append(left, e)
		} else if err := r.discard(e.Name); err != nil {
			return nil, err
		}
	}
	if len(left) == len(entries) {
		return left, nil
	}
	return left, r.syncDir()
}

// listOne sorts one directory entry. Source: LogLoader.removeTempFilesAndCollectSwapFiles.
func (r *recovery) listOne(e env.Entry) error {
	offset, suffix, ok := parseOffsetName(e.Name)
	switch {
	case e.IsDir:
	case strings.HasSuffix(e.Name, tempSuffix):
		return r.discard(e.Name)
	case e.Name == epochsName:
		r.hasEpochs = true
	case e.Name == loweredName:
		r.hasLowered = true
	case !ok:
	case strings.HasSuffix(suffix, deletedSuffix), strings.HasSuffix(suffix, cleanedSuffix):
		return r.discard(e.Name)
	case strings.HasSuffix(suffix, swapSuffix):
		r.swaps = append(r.swaps, foundSegment{offset, e.Size})
		r.addSize(e)
	case suffix == logSuffix:
		r.segments = append(r.segments, foundSegment{offset, e.Size})
	case suffix == snapshotSuffix:
		r.snapshots = append(r.snapshots, offset)
	case suffix == indexSuffix, suffix == timeIndexSuffix, suffix == txnIndexSuffix:
		r.addSize(e)
	}
	return nil
}

func (r *recovery) addSize(e env.Entry) {
	if r.sizes == nil {
		r.sizes = map[string]int64{}
	}
	r.sizes[e.Name] = e.Size
}

// discard removes a file that nothing depends on.
func (r *recovery) discard(name string) error {
	r.note("removed %s", name)
	r.removed = true
	return r.remove(name)
}

// finishSwaps puts finished compaction output in the place of its input: every segment that begins within the swapped range goes,
// then the files get their names. Source: LogLoader.load.
func (r *recovery) finishSwaps() error {
	if len(r.swaps) == 0 {
		return nil
	}
	least, most := int64(-1), int64(-1)
	var names []string
	for name := range r.sizes {
		if strings.HasSuffix(name, swapSuffix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, s := range r.swaps {
		name := offsetName(s.base, logSuffix+swapSuffix)
		if !slices.Contains(names, name) {
			continue // an index; it follows its log
		}
		next, err := r.endOf(name, s.base, r.sizes[name])
		if err != nil {
			return err
		}
		if least < 0 || s.base < least {
			least = s.base
		}
		most = max(most, next)
	}
	kept := r.segments[:0]
	for _, s := range r.segments {
		if s.base < least || s.base >= most {
			kept = append(kept, s)
			continue
		}
		for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix} {
			if err := r.discard(offsetName(s.base, suffix)); err != nil {
				return err
			}
			delete(r.sizes, offsetName(s.base, suffix))
		}
	}
	r.segments = kept
	if err := r.syncDir(); err != nil {
		return err
	}
	// The .log first, durably: as long as there is one to swap the next start removes what has the final names.
	for _, name := range names {
		if err := r.finishSwap(name, true); err != nil {
			return err
		}
	}
	if err := r.syncDir(); err != nil {
		return err
	}
	for _, name := range names {
		if err := r.finishSwap(name, false); err != nil {
			return err
		}
	}
	r.removed = true
	return nil
}

// finishSwap gives a file its name if it is a .log, or if it is none.
func (r *recovery) finishSwap(name string, log bool) error {
	final := strings.TrimSuffix(name, swapSuffix)
	offset, suffix, _ := parseOffsetName(final)
	if (suffix == logSuffix) != log {
		return nil
	}
	if err := r.o.FS.Rename(r.o.Dir+"/"+name, r.o.Dir+"/"+final); err != nil {
		return err
	}
	size := r.sizes[name]
	delete(r.sizes, name)
	if log {
		r.segments = append(r.segments, foundSegment{offset, size})
	} else {
		r.sizes[final] = size
	}
	r.note("finished the swap of %s", final)
	return nil
}

// endOf is the offset after the last batch of a whole segment file.
func (r *recovery) endOf(name string, base, size int64) (int64, error) {
	f, err := r.o.FS.Open(r.o.Dir+"/"+name, false)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := walkHeaders(f, 0, size)
	defer w.close()
	next := base
	for !w.done() {
		h, n, err := w.header(next)
		if err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrCorrupt, name, err)
		}
		next = h.NextOffset()
		w.pos += n
	}
	return next, nil
}

// removeOrphans removes index files without a segment. They are left by a removal the crash interrupted, and their name could
// become that of a new segment.
func (r *recovery) removeOrphans() error {
	for name := range r.sizes {
		offset, suffix, _ := parseOffsetName(name)
		if !slices.ContainsFunc(r.segments, func(s foundSegment) bool { return s.base == offset }) {
			r.removed = true
			if err := r.remove(name); err != nil {
				return err
			}
			delete(r.sizes, name)
		} else if suffix == txnIndexSuffix {
			if r.txns == nil {
				r.txns = map[int64]int32{}
			}
			r.txns[offset] = int32(r.sizes[name] / abortedSize)
		}
	}
	return nil
}

// findPosition settles where the durable part ends. done says that the log was emptied, by finishing an interrupted Restart.
func (r *recovery) findPosition() (done bool, err error) {
	if p := r.o.Checkpoint; p != nil {
		position := *p
		r.position, r.published, r.durable.Lowered = &position, p.Offset, p.Lowered
	}
	if !r.hasLowered {
		return false, nil
	}
	b, err := ReadFile(r.o.FS, r.o.Dir+"/"+loweredName)
	if err != nil {
		return false, err
	}
	lowered, reset, err := parseLowered(b)
	if err != nil {
		r.note("%s is damaged (%v): scanning everything", loweredName, err)
		r.position = nil
		return false, nil
	}
	if r.position != nil && r.position.Lowered >= lowered.Lowered {
		r.removed = true
		return false, r.remove(loweredName)
	}
	r.durable.Lowered = lowered.Lowered
	if !reset {
		r.position = &lowered
		return false, nil
	}
	r.note("finished a restart at offset %d", lowered.Offset)
	return true, r.finishRestart(lowered)
}

func (r *recovery) finishRestart(p Position) error {
	for _, s := range r.segments {
		if err := r.removeSegment(s.base); err != nil {
			return err
		}
	}
	for _, offset := range r.snapshots {
		if err := r.RemoveSnapshot(offset); err != nil {
			return err
		}
	}
	if err := r.syncDir(); err != nil {
		return err
	}
	r.report.AbortedFrom = p.Offset
	return r.beginAt(p.Offset)
}

// findEpochs reads the epoch checkpoint. If it does not know what the position says it must, everything is scanned.
func (r *recovery) findEpochs() error {
	if r.hasEpochs {
		e, err := readEpochs(r.Log)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
		if err != nil {
			r.note("scanning everything: %v", err)
			r.scanAll = true
			return nil
		}
		r.epochs, r.loaded = e, e
	}
	if p := r.position; p != nil && r.epochs.before(p.Offset).Last() < p.Epoch {
		r.note("%s lacks epoch %d: scanning everything", epochsName, p.Epoch)
		r.scanAll, r.epochs = true, Epochs{}
	}
	return nil
}

// isClean reports whether the files are exactly what a clean shutdown left. If they are not although it was one, the log is
// recovered as after a crash.
func (r *recovery) isClean() bool {
	p := r.position
	if !r.o.Clean || r.scanAll || p == nil || r.o.Checkpoint == nil || p.Lowered != r.o.Checkpoint.Lowered {
		return false
	}
	if len(r.segments) == 0 {
		return p.Bytes == 0 && p.Offset <= r.o.StartOffset
	}
	if mutation.Is(mutation.CleanMarkerStays) {
		return true
	}
	last := r.segments[len(r.segments)-1]
	clean := last == foundSegment{p.Segment, p.Bytes} && r.txns[last.base] == p.Aborted &&
		r.sizes[offsetName(last.base, indexSuffix)] == int64(p.Indexes)*indexEntrySize &&
		r.sizes[offsetName(last.base, timeIndexSuffix)] == int64(p.Times)*timeIndexEntrySize
	if !clean {
		r.note("files differ from those of the clean shutdown")
	}
	return clean
}

func (r *recovery) openClean() error {
	p := *r.position
	r.report.Clean, r.report.AbortedFrom = true, p.Offset
	if len(r.segments) == 0 {
		r.startAt(max(p.Offset, r.o.StartOffset))
		return nil
	}
	for i := range r.segments {
		r.adopt(i)
	}
	s := r.active
	s.next, s.maxTimestamp, s.maxOffset = p.Offset, p.MaxTimestamp, p.MaxOffset
	// Where the last entry points is not read; the next batch gets one.
	r.index.storedOffsets, r.index.storedTimes = int(p.Indexes), int(p.Times)
	if p.MaxTimestamp >= 0 && s.fits(p.MaxOffset) {
		r.index.lastTime = timeEntry{p.MaxTimestamp, s.rel(p.MaxOffset)}
	}
	r.end, r.flushed, r.durable, r.anchored = p.Offset, p.Offset, p, true
	return nil
}

// adopt makes the i-th segment found the active one, and the one before it a rolled one. All of it is taken for durable and not yet
// verified.
func (r *recovery) adopt(i int) *segment {
	found := r.segments[i]
	if old := r.active; old != nil {
		old.next, old.synced = found.base, true
		r.rolled = append(r.rolled, old)
	}
	s := newSegment(r.files, r.dir, found.base)
	s.size = found.size
	if found.size > 0 {
		s.cold = &cold{end: found.size}
	}
	s.aborted.Store(r.txns[found.base])
	r.active = s
	r.bytes += found.size
	return s
}

// finish settles the log start and makes what was removed stay removed.
func (r *recovery) finish() error {
	first := r.firstBase()
	r.start = max(first, r.o.StartOffset)
	if r.position != nil {
		r.start = max(r.start, r.position.Start)
	}
	if r.start > r.end {
		r.note("log start %d lies beyond the end %d: starting there", r.start, r.end)
		return r.Restart(r.start)
	}
	drop := 0
	for drop < len(r.rolled) && r.nextBase(drop) <= r.start {
		drop++
	}
	r.drop(drop)
	if err := r.findLostEpochs(); err != nil {
		return err
	}
	if r.epochs = r.epochs.before(r.end).from(r.start); !slices.Equal(r.epochs.list, r.loaded.list) {
		r.epochsVersion++
	}
	for _, offset := range r.snapshots {
		if offset > r.end {
			r.removed = true
			if err := r.RemoveSnapshot(offset); err != nil {
				return err
			}
		}
	}
	if r.removed {
		return r.syncDir()
	}
	return nil
}
