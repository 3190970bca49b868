package partition

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// deleteChunk is how many logs one offloaded job deletes.
	deleteChunk = 64
	// checkpointDelay lets what changes together be written together.
	checkpointDelay = time.Second
	// straysNamed bounds the directories that one line of the log names.
	straysNamed = 10
)

// logDir is one log directory as its host sees it.
type logDir struct {
	name  string
	id    string
	fs    env.FS
	place *place
	clean bool // the last stop was a clean one
	err   error
	count int // partitions placed here

	// journal is what the last run left in the journal, nil once the flusher has it. It waits until the logs that it has anything of have
	// taken that: unreplayed of them have not.
	journal    *storage.JournalContent
	unreplayed int

	// found are the partitions that the scan found in the directory or in its checkpoints, until they are hosted.
	found map[protocol.TopicPartition]*foundLog

	queue     []*hosted // to be opened
	opening   int       // jobs running
	doomed    []*hosted // to be condemned
	condemns  bool      // a job that does so runs
	condemned []*hosted // to be deleted
	deleting  int       // jobs that do so running
	changed   bool      // the checkpoints are out of date
	due       bool      // and it is time to write them
	scheduled bool      // a checkpointTick is on its way
	writing   bool
	saves     []*saveStart // wait for the next write
}

// foundLog is what a start finds of one partition.
type foundLog struct {
	tp       protocol.TopicPartition
	dir      bool              // there is a directory
	position *storage.Position // checkpointed; nil if unknown
	start    int64             // checkpointed log start
	journal  []storage.JournalEntry
}

// scanned is what a log directory holds.
type scanned struct {
	dir   *logDir
	found map[protocol.TopicPartition]*foundLog
	clean bool
	// journal has no entries any more: the partitions in found have them.
	journal *storage.JournalContent
	err     error
}

// scan reads a log directory once, at start, outside the pool. The marker of a clean stop is taken away before anything else: a crash
// from here on must not be mistaken for a clean stop (KAFKA-10471).
func scan(d *logDir, logger *slog.Logger) *scanned {
	s := &scanned{dir: d, found: map[protocol.TopicPartition]*foundLog{}}
	if _, s.clean, s.err = storage.TakeCleanShutdown(d.fs); s.err == nil {
		s.err = s.read(d.fs, logger)
	}
	if s.err == nil {
		s.err = s.readJournal(d.fs, logger)
	}
	if s.err != nil {
		clear(s.found) // nothing of it is to be opened
		logger.Error("log directory cannot be read", slog.String("dir", d.name), slog.Any("error", s.err))
	}
	return s
}

func (s *scanned) read(fsys env.FS, logger *slog.Logger) error {
	positions, err := storage.ReadPositions(fsys)
	if errors.Is(err, storage.ErrCorrupt) {
		logger.Error("positions checkpoint is damaged: every log is scanned from its beginning", slog.Any("error", err))
		s.clean = false
	} else if err != nil {
		return err
	}
	for i := range positions {
		s.at(positions[i].Partition).position = &positions[i].Position
	}
	starts, err := storage.ReadOffsets(fsys, storage.LogStartsName)
	if errors.Is(err, storage.ErrCorrupt) {
		logger.Error("log start checkpoint is damaged: deleted records may be readable again", slog.Any("error", err))
	} else if err != nil {
		return err
	}
	for _, e := range starts {
		s.at(e.Partition).start = e.Offset
	}
	entries, err := fsys.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir {
			continue
		}
		if storage.IsDeletedDir(e.Name) {
			if err := fsys.RemoveAll(e.Name); err != nil {
				return fmt.Errorf("removing %q, left over from an unfinished deletion: %w", e.Name, err)
			}
		} else if tp, ok := storage.ParseDirName(e.Name); ok {
			s.at(tp).dir = true
		}
	}
	return nil
}

// readJournal reads what the segment files may lack. A journal that cannot be read is the failure of the directory: what it holds was
// acknowledged.
func (s *scanned) readJournal(fsys env.FS, logger *slog.Logger) error {
	content, err := storage.ReadJournal(fsys, s.clean)
	if err != nil {
		return fmt.Errorf("reading the flush journal: %w", err)
	}
	if content.Damaged {
		logger.Error("the flush journal is damaged in the middle: records that were acknowledged last may be missing", slog.String("dir", s.dir.name))
	}
	for tp, entries := range content.Entries {
		if f := s.found[tp]; f != nil && f.dir {
			f.journal = entries
		}
	}
	content.Entries = nil
	s.journal = content
	return nil
}

func (s *scanned) at(tp protocol.TopicPartition) *foundLog {
	f := s.found[tp]
	if f == nil {
		f = &foundLog{tp: tp}
		s.found[tp] = f
	}
	return f
}

// rescan reads a directory that could not be read because the system refused something.
type rescan struct{ dir *logDir }

// scanned takes what a scan found. With the last directory hosting begins.
func (h *Host) scanned(ctx *actors.Context, m *scanned) {
	d := m.dir
	if storage.Passing(m.err) { // its marker of a clean stop may be gone: then the next scan trusts less
		ctx.After(openRetry, rescan{d})
		return
	}
	d.found, d.clean, d.err, d.journal = m.found, m.clean, m.err, m.journal
	if h.scanning--; h.scanning > 0 {
		return
	}
	queued := h.queued
	h.queued = nil
	for _, q := range queued {
		h.hostPartitions(ctx, q)
	}
}

// sorted are the found partitions in order.
func (d *logDir) sorted() []*foundLog {
	out := make([]*foundLog, 0, len(d.found))
	for _, f := range d.found {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *foundLog) int {
		if a.tp.Less(b.tp) {
			return -1
		}
		return 1
	})
	return out
}

// reportStrays says once, when metadata is known, which directories it does not know. They are left alone: an operator decides.
func (h *Host) reportStrays(ctx *actors.Context) {
	if h.strays {
		return
	}
	h.strays = true
	for _, d := range h.dirs {
		var names []string
		n := 0
		for _, f := range d.sorted() {
			if !f.dir {
				continue
			}
			if n++; n <= straysNamed {
				names = append(names, storage.DirName(f.tp))
			}
		}
		if n > 0 {
			ctx.Logger().Warn("directories of partitions that metadata does not know are left alone", slog.String("dir", d.name),
				slog.Int("directories", n), slog.Any("first", names))
		}
	}
}

// adopt places a partition here and queues it for opening; f is what the scan found of it, nil for a new one.
func (d *logDir) adopt(p *hosted, f *foundLog) {
	d.take(p)
	if f != nil {
		p.known, p.start, p.journal = f.position, f.start, f.journal
		if p.journal != nil {
			d.unreplayed++
		}
		delete(d.found, p.tp)
	}
	d.queue = append(d.queue, p)
}

// tookJournal notes that a log holds what the journal has of it, or is not wanted any more.
func (d *logDir) tookJournal(p *hosted) {
	if p.journal != nil {
		p.journal = nil
		d.unreplayed--
	}
}

// startJournal hands the journal to the flusher when metadata is known and no log needs what it holds any more. If one cannot be opened
// the journal stays as it is, and the flusher does without until the next start.
func (h *Host) startJournal(ctx *actors.Context, d *logDir) {
	if d.journal == nil || !h.strays || d.unreplayed > 0 || d.opening > 0 || len(d.queue) > 0 || h.leaving != nil || d.err != nil {
		return
	}
	ctx.Send(d.place.flusher, &beginJournal{journal: storage.NewJournal(d.fs, h.config.JournalSize, d.journal)})
	d.journal = nil
	for _, f := range d.found {
		f.journal = nil // metadata does not know them
	}
}

func (d *logDir) take(p *hosted) {
	p.dir = d
	d.count++
}

// openedLogs is the result of one job of opening.
type openedLogs struct {
	dir  *logDir
	logs []opened
}

// startOpening keeps the directory's recovery threads busy.
func (h *Host) startOpening(ctx *actors.Context, d *logDir) {
	for d.opening < h.config.RecoveryThreads && len(d.queue) > 0 {
		free, chunk := h.config.RecoveryThreads-d.opening, openChunk
		if d.queue[0].create {
			chunk = createChunk
		}
		n := min(chunk, (len(d.queue)+free-1)/free)
		jobs := make([]opening, 0, n)
		for _, p := range d.queue[:n] {
			if p.state == dropping {
				d.tookJournal(p)
				d.doomed = append(d.doomed, p)
				continue
			}
			jobs = append(jobs, opening{
				tp: p.tp, lead: p.lead, config: p.config, create: p.create,
				clean: d.clean && p.incarnation == 0, checkpoint: p.known, start: p.start, journal: p.journal,
			})
		}
		if d.queue = d.queue[n:]; len(d.queue) == 0 {
			d.queue = nil
		}
		if len(jobs) == 0 {
			continue
		}
		d.opening++
		logger := ctx.Logger()
		ctx.Offload(func() any { return &openedLogs{d, openAll(d.place, logger, jobs)} })
	}
}

// drop deletes a partition. Its actor, if it has one, answers everybody first.
func (h *Host) drop(ctx *actors.Context, tp protocol.TopicPartition, r *request) {
	p, ok := h.partitions.Get(&hosted{tp: tp})
	if !ok {
		p = h.foundOnDisk(tp)
	}
	if p == nil {
		return
	}
	p.wait(r)
	switch p.state {
	case serves:
		h.drops++
		ctx.Send(p.handle.PID, dropLog{})
	case offline:
		p.dir.doomed = append(p.dir.doomed, p)
	}
	p.state = dropping // one that is being opened is deleted when that is done
}

// foundOnDisk makes a directory that was never hosted known, so that it can be deleted.
func (h *Host) foundOnDisk(tp protocol.TopicPartition) *hosted {
	for _, d := range h.dirs {
		if f := d.found[tp]; f != nil && f.dir {
			delete(d.found, tp)
			d.count++
			p := &hosted{tp: tp, dir: d, state: offline}
			h.partitions.Set(p)
			return p
		}
	}
	return nil
}

// deletedLogs is the result of one job of deleting.
type deletedLogs struct {
	dir  *logDir
	logs []*hosted
	errs []error
}

// condemnedLogs is the result of one job of condemning.
type condemnedLogs struct {
	dir  *logDir
	logs []*hosted
}

// startCondemning marks all logs that are to be deleted before any of them is, as that takes long: a crash in between leaves nothing behind.
// What fails is tried again when it is deleted.
func (h *Host) startCondemning(ctx *actors.Context, d *logDir) {
	if d.condemns || len(d.doomed) == 0 {
		return
	}
	out := &condemnedLogs{dir: d, logs: d.doomed}
	d.doomed, d.condemns = nil, true
	logs := logsOf(out.logs)
	ctx.Offload(func() any {
		for i, p := range out.logs {
			if logs[i] != nil {
				_ = logs[i].Condemn()
			} else {
				_ = storage.CondemnDir(d.fs, storage.DirName(p.tp))
			}
		}
		_ = d.fs.SyncDir(".")
		return out
	})
}

func logsOf(hosts []*hosted) []*storage.Log {
	logs := make([]*storage.Log, len(hosts))
	for i, p := range hosts {
		logs[i] = p.log
	}
	return logs
}

func (h *Host) condemned(m *condemnedLogs) {
	m.dir.condemns = false
	m.dir.condemned = append(m.dir.condemned, m.logs...)
}

func (h *Host) startDeleting(ctx *actors.Context, d *logDir) {
	h.startCondemning(ctx, d)
	for d.deleting < h.config.RecoveryThreads && len(d.condemned) > 0 {
		n := min(deleteChunk, len(d.condemned))
		out := &deletedLogs{dir: d, logs: d.condemned[:n:n], errs: make([]error, n)}
		if d.condemned = d.condemned[n:]; len(d.condemned) == 0 {
			d.condemned = nil
		}
		logs := logsOf(out.logs)
		d.deleting++
		ctx.Offload(func() any {
			for i, p := range out.logs {
				out.errs[i] = deleteLog(d.fs, logs[i], storage.DirName(p.tp))
			}
			return out
		})
	}
}

// deleteLog removes a log, or the directory of one that was never opened. Outside the actor; the log is nobody else's.
func deleteLog(fsys env.FS, log *storage.Log, name string) error {
	if log != nil {
		return log.Delete()
	}
	if err := storage.CondemnDir(fsys, name); err != nil {
		return err
	}
	if err := fsys.SyncDir("."); err != nil {
		return err
	}
	return fsys.RemoveAll(name + "-delete") // see storage.IsDeletedDir
}

func (h *Host) deleted(ctx *actors.Context, m *deletedLogs) {
	m.dir.deleting--
	h.change(ctx, m.dir)
	gone := make([]protocol.TopicPartition, len(m.logs))
	for i, p := range m.logs {
		gone[i] = p.tp
		h.partitions.Delete(p)
		m.dir.count--
	}
	h.config.Table.Remove(gone...)
	for i, p := range m.logs {
		fault := protocol.Fault{}
		if err := m.errs[i]; err != nil {
			fault = protocol.Fault{Code: protocol.KafkaStorageError, Reason: err.Error()}
			ctx.Logger().Error("deleted partition leaves its directory behind", slog.String("partition", p.tp.String()), slog.Any("error", err))
		}
		h.allReady(ctx, p, fault)
	}
}
