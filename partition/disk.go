package partition

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// syncAllFrom is the number of dirty logs from which one syncfs replaces their fdatasyncs. Measured: 128 dirty files take
	// 1.5 ms by one syncfs and 5-7 ms by 16 fdatasyncs beside each other; one dirty file takes 0.27 ms by fdatasync.
	syncAllFrom = 24
	// syncsBeside bounds the fdatasyncs that run beside each other; more of them only queue in the kernel.
	syncsBeside = 16
	// A round that takes longer than syncAllSlow flushed mostly what others wrote to the same file system. The flusher then
	// works log by log for syncAllPause before it tries again.
	syncAllSlow  = 100 * time.Millisecond
	syncAllPause = 10 * time.Second
	// journalLogMax is the number of bytes of one log, and journalFrameMax that of all, up to which the journal makes a flush durable.
	// It writes them a second time, which costs less than what the sync of a file costs: measured, 18 logs of 3 KB each take 0.2 ms and
	// 0.3 ms of CPU by the journal, 1.6 ms and 1.6 ms by fdatasync, 0.8 ms and 0.7 ms by syncfs.
	journalLogMax   = 64 << 10
	journalFrameMax = 1 << 20
)

// flush asks the flusher to make what task covers durable. A log has one in flight at a time, so that the next task covers
// everything that was appended meanwhile: this is the group commit, without a timer.
type flush struct {
	control
	task *storage.FlushTask
	from actors.PID
}

// flushed answers flush. After an error the log is offline: what the disk holds is not known and a second fsync proves nothing.
type flushed struct {
	control
	task *storage.FlushTask
	err  error
}

// Flush is one finished flush, for metrics.
type Flush struct {
	Dir  string
	Logs int  // covered
	All  bool // one syncfs for all of them
	// Journal: one write to the journal for all of them.
	Journal bool
	Took    time.Duration
	Err     error
}

// flusher is the disk worker of one log directory: small flushes by the journal, all that wait at once; of the others few by fdatasync
// beside each other, many by one syncfs a round. It blocks nothing: the system calls run through Offload.
type flusher struct {
	dir     string
	fs      env.FS
	clock   env.Clock
	host    actors.PID
	observe func(Flush) // may be nil; called in the actor's turn

	journal  *storage.Journal // nil until it takes frames
	small    []*flush         // wait for the journal
	frame    []*flush         // in the journal, by the write that is under way
	draining bool
	// The drained file is freed when the syncs have ended that were under way when the drain ended (drainAwaits): one that
	// fails may have been told what the drain was not told.
	drainDone   bool
	drainAwaits []*flush
	// drainFrom is when a drain may be tried again that was refused; monotonic.
	drainFrom time.Duration

	// waiting and small hold at most one flush for every partition of the directory.
	waiting   []*flush
	running   []*flush // by fdatasync
	round     []*flush // by syncfs
	quiescing []*quiesce
	pausedTil time.Duration
	perLog    bool // the file system has no syncfs
}

// quiesce asks to be told, by quiesced, when no flush of an actor that has ended is waiting or running any more.
type quiesce struct {
	control
	p             *hosted
	from, replyTo actors.PID
}

type quiesced struct {
	control
	p *hosted
}

// beginJournal lets the flusher use a journal from now on: every log that it has anything of is open, and holds that durably.
type beginJournal struct {
	control
	journal *storage.Journal
}

// keepJournal says that a log went offline: what the journal holds of it may be nowhere else.
type keepJournal struct {
	control
	err error
}

// begunJournal, framed and drained are results of an Offload.
type (
	begunJournal struct {
		journal *storage.Journal
		err     error
	}
	framed struct {
		took time.Duration
		err  error
	}
	drained struct{ err error }
)

// syncedLogs is the result of an Offload.
type syncedLogs struct {
	logs []*flush
	all  bool
	took time.Duration
	err  error
}

func (f *flusher) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *flush:
		f.take(m)
	case *syncedLogs:
		f.synced(ctx, m)
		f.tellQuiesced(ctx)
	case *framed:
		f.framed(ctx, m)
		f.tellQuiesced(ctx)
	case *drained:
		f.drained(ctx, m)
	case *beginJournal:
		f.beginJournal(ctx, m.journal)
	case keepJournal:
		if f.journal != nil {
			f.journal.Keep(m.err)
		}
	case *begunJournal:
		f.begunJournal(ctx, m)
	case actors.Stopping:
		if f.journal != nil && len(f.frame) == 0 {
			f.journal.Close()
		}
	case *quiesce:
		f.quiescing = append(f.quiescing, m)
		f.tellQuiesced(ctx)
	}
}

func (f *flusher) tellQuiesced(ctx *actors.Context) {
	f.quiescing = slices.DeleteFunc(f.quiescing, func(q *quiesce) bool {
		busy := func(m *flush) bool { return m.from.Equal(q.from) }
		for _, flushes := range [][]*flush{f.waiting, f.small, f.running, f.round, f.frame} {
			if slices.ContainsFunc(flushes, busy) {
				return false
			}
		}
		ctx.Send(q.replyTo, &quiesced{p: q.p})
		return true
	})
}

// take queues a flush where it belongs.
func (f *flusher) take(m *flush) {
	if n := m.task.JournalBytes(); f.journal != nil && n > 0 && n <= journalLogMax {
		f.small = append(f.small, m)
	} else {
		f.waiting = append(f.waiting, m)
	}
}

// EndTurn starts what the turn collected.
func (f *flusher) EndTurn(ctx *actors.Context) {
	f.startFrame(ctx)
	f.startDrain(ctx)
	// What was appended after a syncfs began may not be covered by it, so everything waits for the next round.
	if len(f.waiting) == 0 || len(f.round) > 0 {
		return
	}
	if len(f.running)+len(f.waiting) >= syncAllFrom && !f.perLog && ctx.Mono() >= f.pausedTil {
		// A syncfs leaves indexes, epochs and old segments for later; a bounded number of logs gets that done now, so all do in turn.
		f.startSome(ctx, (*storage.FlushTask).Housekeeping)
		f.startRound(ctx)
		return
	}
	f.startSome(ctx, func(*storage.FlushTask) bool { return true })
}

// startSome takes up to syncsBeside of the waiting logs that are picked and flushes each by itself.
func (f *flusher) startSome(ctx *actors.Context, pick func(*storage.FlushTask) bool) {
	left := f.waiting[:0]
	for _, m := range f.waiting {
		if len(f.running) < syncsBeside && pick(m.task) {
			f.startOne(ctx, m)
		} else {
			left = append(left, m)
		}
	}
	clear(f.waiting[len(left):])
	f.waiting = left
}

func (f *flusher) startOne(ctx *actors.Context, m *flush) {
	f.running = append(f.running, m)
	clock := f.clock
	ctx.Offload(func() any {
		began := clock.Mono()
		err := m.task.Run()
		return &syncedLogs{logs: []*flush{m}, took: clock.Mono() - began, err: err}
	})
}

func (f *flusher) startRound(ctx *actors.Context) {
	if len(f.waiting) == 0 {
		return
	}
	logs, clock, fs := f.waiting, f.clock, f.fs
	f.round, f.waiting = logs, nil
	ctx.Offload(func() any {
		began := clock.Mono()
		err := fs.SyncAll()
		return &syncedLogs{logs: logs, all: true, took: clock.Mono() - began, err: err}
	})
}

// beginJournal empties the journal and begins to use it.
func (f *flusher) beginJournal(ctx *actors.Context, j *storage.Journal) {
	ctx.Offload(func() any { return &begunJournal{j, j.Begin()} })
}

func (f *flusher) begunJournal(ctx *actors.Context, m *begunJournal) {
	if m.err == nil {
		f.journal = m.journal
	} else {
		ctx.Logger().Warn("there is no flush journal until the next start; flushes take longer", slog.String("dir", f.dir), slog.Any("error", m.err))
	}
}

// startFrame gives the journal as many of the small flushes as one frame takes. If it has no room, or they are very many, they go the other
// way.
func (f *flusher) startFrame(ctx *actors.Context) {
	if len(f.small) == 0 || len(f.frame) > 0 {
		return
	}
	n, bytes := 0, int64(0)
	for n < len(f.small) && bytes+f.small[n].task.JournalBytes() <= journalFrameMax {
		bytes += f.small[n].task.JournalBytes()
		n++
	}
	// So many bytes cost less when they are written once.
	many := n < len(f.small) && len(f.small) >= syncAllFrom && !f.perLog
	if many || !f.journal.Fits(n, bytes) {
		f.waiting = append(f.waiting, f.small...)
		clear(f.small)
		f.small = f.small[:0]
		return
	}
	f.frame = append(f.frame[:0], f.small[:n]...)
	f.small = slices.Delete(f.small, 0, n)
	tasks := make([]*storage.FlushTask, n)
	for i, m := range f.frame {
		tasks[i] = m.task
	}
	journal, clock := f.journal, f.clock
	ctx.Offload(func() any {
		began := clock.Mono()
		err := journal.Write(tasks)
		return &framed{took: clock.Mono() - began, err: err}
	})
}

// framed tells whoever was in the frame. What the journal could not take goes the other way.
func (f *flusher) framed(ctx *actors.Context, m *framed) {
	f.journal.Written(m.err)
	if m.err != nil && !storage.Passing(m.err) {
		ctx.Logger().Warn("the flush journal could not be written; flushes take longer", slog.String("dir", f.dir), slog.Any("error", m.err))
	}
	if f.observe != nil {
		f.observe(Flush{Dir: f.dir, Logs: len(f.frame), Journal: true, Took: m.took, Err: m.err})
	}
	for _, l := range f.frame {
		if l.task.Journaled() {
			ctx.Send(l.from, &flushed{task: l.task})
		} else {
			f.waiting = append(f.waiting, l)
		}
	}
	clear(f.frame)
	f.frame = f.frame[:0]
}

// startDrain frees the full file of the journal.
func (f *flusher) startDrain(ctx *actors.Context) {
	if f.journal == nil || f.draining || !f.journal.Drainable() || ctx.Mono() < f.drainFrom {
		return
	}
	f.draining = true
	work := f.journal.Drain()
	ctx.Offload(func() any { return &drained{work()} })
}

// drained goes on with the journal. If the segment files could not be synced nobody can say what of the logs is in them.
func (f *flusher) drained(ctx *actors.Context, m *drained) {
	switch {
	case storage.Passing(m.err):
		f.draining, f.drainFrom = false, ctx.Mono()+flushRetry
	case m.err != nil:
		f.draining = false
		f.journal.Keep(m.err)
		ctx.Send(f.host, &flusherLost{flusher: ctx.Self(), err: m.err})
	default:
		f.drainDone, f.drainAwaits = true, slices.Concat(f.running, f.round)
		f.endDrain(nil)
	}
}

// endDrain frees the drained file if no sync is awaited any more; ended are some that have.
func (f *flusher) endDrain(ended []*flush) {
	if !f.drainDone {
		return
	}
	f.drainAwaits = slices.DeleteFunc(f.drainAwaits, func(m *flush) bool { return slices.Contains(ended, m) })
	if len(f.drainAwaits) == 0 {
		f.draining, f.drainDone = false, false
		f.journal.Drained()
	}
}

func (f *flusher) synced(ctx *actors.Context, m *syncedLogs) {
	if !m.all {
		f.running = slices.DeleteFunc(f.running, func(r *flush) bool { return r == m.logs[0] })
	} else {
		f.round = nil
		if errors.Is(m.err, env.ErrUnsupported) {
			f.perLog = true
			f.waiting = append(m.logs, f.waiting...)
			return
		}
		if m.took > syncAllSlow {
			f.pausedTil = ctx.Mono() + syncAllPause
		}
	}
	if f.observe != nil {
		f.observe(Flush{Dir: f.dir, Logs: len(m.logs), All: m.all, Took: m.took, Err: m.err})
	}
	if m.err != nil && !isRefusal(m.err) {
		if f.journal != nil {
			f.journal.Keep(m.err)
		}
		ctx.Logger().Error("flush failed, the logs it covered go offline", slog.String("dir", f.dir), slog.Int("logs", len(m.logs)),
			slog.Any("error", m.err))
	}
	f.endDrain(m.logs)
	for _, l := range m.logs {
		ctx.Send(l.from, &flushed{task: l.task, err: m.err})
	}
}
