package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path"
	"sync"
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// Options describe one log.
type Options struct {
	// Dir is the directory of the log within FS; see DirName.
	Dir    string
	Config protocol.LogConfig
	FS     env.FS
	// Files is the cache of open files of the log directory; it must be over FS.
	Files *Files

	// Checkpoint is the last durable position known of this log; nil if none is known, and then everything is scanned.
	Checkpoint *Position
	// StartOffset is the checkpointed log start; 0 if none is known.
	StartOffset int64
	// Clean says that the marker of a clean shutdown was there: Checkpoint is then the end of the log and nothing is scanned.
	Clean bool

	// Replay is called by Open for every batch that ends at or after ReplayFrom, in order: the batches producer state needs beyond
	// its snapshot. The batch is valid during the call. An error ends Open.
	Replay     func(record.Batch) error
	ReplayFrom int64

	// DeferSync lets Create leave the new directory unsynced; see SyncCreated. Flush tasks sync it too if nobody did.
	DeferSync bool

	// Journal is what the journal of the log directory holds of this log (ReadJournal). What the files lack of it Open appends.
	Journal []JournalEntry

	Logger *slog.Logger
}

// Position is a place in the log below which everything is durable: recovery scans from here on.
type Position struct {
	// Offset is the first offset that is not covered.
	Offset int64
	// Start is the log start. What may still be there below it was dropped, and need not be whole.
	Start int64
	// Segment is the base offset of the segment that Offset is in or would be appended to, and Bytes its position in that file.
	Segment int64
	Bytes   int64
	// MaxTimestamp is the largest timestamp in that segment below Bytes (-1: none), and MaxOffset the last offset of the batch.
	MaxTimestamp int64
	MaxOffset    int64
	// Epoch is the newest leader epoch below Offset (-1: none); the epoch checkpoint knows at least this one.
	Epoch int32
	// Indexes and Times count the entries of the segment's two index files; those of a clean shutdown are complete.
	Indexes, Times int32
	// Aborted counts the entries of its .txnindex.
	Aborted int32
	// Lowered counts how often the log was truncated below a position it had given out. A position with a smaller count than the
	// log's own lowered-position file is superseded by that file.
	Lowered uint32
}

// shared is what a Log, its Views and its FlushTask have in common.
type shared struct {
	dir   string
	tp    protocol.TopicPartition // that dir is named after
	files *Files
	log   *slog.Logger

	// truncations counts everything that invalidates positions handed out earlier. Raised before the files change.
	truncations atomic.Uint64
	deleted     atomic.Bool
	// replacements counts the changes of Replace.
	replacements atomic.Uint64
	// mu guards the derived files and the removal of segments between a running FlushTask and the actor, which may truncate the log
	// at the same time: whoever writes or removes checks truncations under it.
	mu sync.Mutex
	// epochsWritten is the version of the epochs in the file. Guarded by mu.
	epochsWritten uint64
}

// Log is the log of one partition replica. It belongs to one actor; only its Views and its FlushTask may be used elsewhere.
//
// Invariant: start <= end, and durable.Offset <= flushed <= end. The log may start beyond what was flushed. What lies between
// durable.Offset and flushed is in the journal of the log directory, or in files that a later task will have to sync again.
type Log struct {
	*shared
	config protocol.LogConfig

	start, end int64
	flushed    int64
	// flushedAt is the place of flushed, if it is known.
	flushedAt place
	durable   Position
	unsettled int8 // of the next tasks that only Run can do; see Settled
	// isPartition says that dir is named after a partition; a journal knows logs by that.
	isPartition bool
	// published is the highest offset of any Position given out: a truncation below it must be written down first.
	published int64

	rolled []*segment // oldest first; Views share it, so it only grows in place and is replaced otherwise
	active *segment   // nil until the first append
	index  sparse     // of the active segment
	recent []recentBatch
	bytes  int64 // of all segments

	epochs        Epochs
	epochsVersion uint64 // raised with every change

	doomed       []*segment     // removed from the log, still to be removed from the disk
	abortedDirty []*segment     // with .txnindex files that are not durable; a segment may be there twice
	installs     []*Replacement // in the log, not yet in place on the disk
	dirChanges   uint64         // files created in dir
	dirSynced    uint64
	parentDirty  bool // the entry of dir itself is not durable
	// anchored says that the file of the oldest segment has a durable name. It gets one before there is a second segment: else a
	// crash could leave only the second, which looks like a log whose beginning retention removed.
	anchored bool

	view    *View
	flight  *FlushTask // running
	spare   *FlushTask // for the next one
	vectors [][]byte   // scratch of Append
	failure error      // first error; set once the log is offline
}

// place is a position in a segment file.
type place struct{ segment, bytes int64 }

var nowhere = place{-1, 0}

// Create makes the directory of a new, empty log that starts at StartOffset. fs.ErrExist if there is one already. No file is
// created before the first append, unless StartOffset is not 0.
func Create(o Options) (*Log, error) {
	if err := o.FS.Mkdir(o.Dir); err != nil {
		return nil, fmt.Errorf("creating log directory %q: %w", o.Dir, err)
	}
	l := newLog(o)
	l.parentDirty = true
	l.startAt(o.StartOffset)
	if !o.DeferSync {
		if err := SyncCreated(o.FS, l); err != nil {
			return nil, err
		}
	}
	if o.StartOffset > 0 {
		// An empty directory is an empty log at 0, so a later beginning needs its file.
		if err := l.roll(nil); err != nil {
			return nil, err
		}
		if err := l.anchor(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// SyncCreated makes the directories of newly created logs durable, with one sync per parent directory.
func SyncCreated(files env.FS, logs ...*Log) error {
	done := ""
	for _, l := range logs {
		if parent := path.Dir(l.dir); parent != done {
			if err := files.SyncDir(parent); err != nil {
				return fmt.Errorf("syncing %q: %w", parent, err)
			}
			done = parent
		}
	}
	for _, l := range logs {
		l.parentDirty = false
	}
	return nil
}

func newLog(o Options) *Log {
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{shared: &shared{dir: o.Dir, files: o.Files, log: logger}, config: o.Config, index: newSparse(), flushedAt: nowhere}
	l.tp, l.isPartition = ParseDirName(path.Base(o.Dir))
	return l
}

// startAt makes the log empty at offset.
func (l *Log) startAt(offset int64) {
	l.start, l.end, l.flushed, l.flushedAt = offset, offset, offset, nowhere
	l.durable = Position{Offset: offset, Segment: offset, MaxTimestamp: noTimestamp, MaxOffset: offset, Epoch: NoEpoch, Lowered: l.durable.Lowered}
}

// StartOffset is the first offset that can be read.
func (l *Log) StartOffset() int64 { return l.start }

// EndOffset is the offset the next record gets.
func (l *Log) EndOffset() int64 { return l.end }

// FlushedOffset is the offset below which everything that is in the log is durable; at least StartOffset.
func (l *Log) FlushedOffset() int64 { return max(l.flushed, l.start) }

// Size is the bytes of all segments.
func (l *Log) Size() int64 { return l.bytes }

// Segments is the number of segment files.
func (l *Log) Segments() int { return l.segments() }

// Dir is the directory of the log.
func (l *Log) Dir() string { return l.dir }

// TruncationCount rises whenever the log was truncated: positions and views from before are void.
func (l *Log) TruncationCount() uint64 { return l.truncations.Load() }

// Err is ErrOffline with the first failure, or nil while the log is online.
func (l *Log) Err() error { return l.failure }

// Config is the configuration in force.
func (l *Log) Config() protocol.LogConfig { return l.config }

// Reconfigure changes the configuration, from the next append and retention run on.
func (l *Log) Reconfigure(c protocol.LogConfig) { l.config = c }

// Position is the durable position, for the recovery checkpoint. Whatever is given out here a later truncation takes into account,
// so it may be written to the checkpoint at any time.
func (l *Log) Position() Position {
	l.published = max(l.published, l.durable.Offset)
	p := l.durable
	if mutation.Is(mutation.CheckpointEarly) {
		p = l.position()
	}
	p.Start = l.start
	return p
}

// goOffline records the first failure and returns it. Nothing succeeds any more.
func (l *Log) goOffline(err error) error {
	if l.failure == nil {
		l.failure = fmt.Errorf("%w: %w", ErrOffline, err)
		l.log.Error("log goes offline", slog.String("dir", l.dir), slog.Any("error", err))
	}
	return l.failure
}

func (l *Log) segmentBytes() int64 {
	if n := l.config.SegmentBytes; n > 0 {
		return min(n, segmentSizeMax)
	}
	return 1 << 30
}

func (l *Log) indexInterval() int64 { return int64(l.config.IndexIntervalBytes) }

// segments is the number of segments.
func (l *Log) segments() int {
	if l.active == nil {
		return 0
	}
	return len(l.rolled) + 1
}

// all lists the segments, oldest first, in a slice of its own.
func (l *Log) all() []*segment {
	all := append([]*segment(nil), l.rolled...)
	if l.active != nil {
		all = append(all, l.active)
	}
	return all
}

// firstBase is the base offset of the oldest segment, or the end of an empty log.
func (l *Log) firstBase() int64 {
	switch {
	case len(l.rolled) > 0:
		return l.rolled[0].base
	case l.active != nil:
		return l.active.base
	}
	return l.end
}

// Close ends the log. With clean it first makes everything durable and writes the indexes, so that Position is then the end of the
// log and the next Open with Clean scans nothing; the caller syncs the log directory as a whole (FS.SyncAll) before it writes the
// marker of the clean shutdown. No flush task may be running. Blocks.
func (l *Log) Close(clean bool) error {
	var err error
	if clean {
		err = l.settle()
	}
	for _, r := range l.installs {
		r.s.file.unpin() // a start finds the old segments, or finishes it
	}
	l.installs = nil
	for _, s := range l.all() {
		s.file.forget()
	}
	if l.failure == nil {
		l.failure = fmt.Errorf("%w: closed", ErrOffline)
	}
	return err
}

// settle makes everything durable, including what can be rebuilt.
func (l *Log) settle() error {
	invariant.Check(l.flight == nil, "log %s is closed while a flush task runs", l.dir)
	if l.failure != nil {
		return l.failure
	}
	if t := l.flushTask(true); t != nil {
		if err := l.Flushed(t, t.Run()); err != nil {
			return err
		}
	}
	if s := l.active; s != nil && s.overReserved() {
		return s.giveBack()
	}
	return nil
}

// Condemn gives the directory of a log that is to be deleted the name from which a start knows that, in case that Delete does not come to it:
// a crash leaves no log behind that nobody wants. Durable with the next sync of the log directory. Nothing uses the log any more. Blocks.
func (l *Log) Condemn() error {
	if l.failure == nil {
		l.failure = fmt.Errorf("%w: deleted", ErrOffline)
	}
	l.mu.Lock()
	l.truncations.Add(1)
	l.deleted.Store(true)
	l.mu.Unlock()
	for _, r := range l.installs {
		r.s.file.unpin()
	}
	l.installs = nil
	for _, s := range l.all() {
		s.file.remove()
	}
	return CondemnDir(l.files.fs, l.dir)
}

// CondemnDir is Condemn for a log that was never opened.
func CondemnDir(fsys env.FS, dir string) error {
	doomed := dir + deletedDirSuffix
	err := fsys.Rename(dir, doomed)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := fsys.RemoveAll(doomed); err != nil { // left over from a partition of the same name
		return fmt.Errorf("removing %q: %w", doomed, err)
	}
	if err := fsys.Rename(dir, doomed); err != nil {
		return fmt.Errorf("renaming %q: %w", dir, err)
	}
	return nil
}

// Delete removes the log from the disk for good: the directory is renamed, so that it is gone at once, and then removed. Whatever
// still holds a Span keeps reading it. Blocks.
func (l *Log) Delete() error {
	if err := l.Condemn(); err != nil {
		return err
	}
	fsys, doomed := l.files.fs, l.dir+deletedDirSuffix
	if err := fsys.SyncDir(path.Dir(l.dir)); err != nil {
		return fmt.Errorf("syncing %q: %w", path.Dir(l.dir), err)
	}
	if err := fsys.RemoveAll(doomed); err != nil {
		return fmt.Errorf("removing %q: %w", doomed, err)
	}
	return nil
}

// offsetLimit is the largest offset a batch may end with; the offset after it must still be one.
const offsetLimit = math.MaxInt64 - 1
