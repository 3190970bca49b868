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
	Took time.Duration
	Err  error
}

// flusher is the disk worker of one log directory: few dirty logs by fdatasync beside each other, many by one syncfs a round.
// It blocks nothing: the system calls run through Offload.
type flusher struct {
	dir     string
	fs      env.FS
	clock   env.Clock
	observe func(Flush) // may be nil; called in the actor's turn

	// waiting holds at most one flush for every partition of the directory.
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
		f.waiting = append(f.waiting, m)
	case *syncedLogs:
		f.synced(ctx, m)
		f.tellQuiesced(ctx)
	case *quiesce:
		f.quiescing = append(f.quiescing, m)
		f.tellQuiesced(ctx)
	}
}

func (f *flusher) tellQuiesced(ctx *actors.Context) {
	f.quiescing = slices.DeleteFunc(f.quiescing, func(q *quiesce) bool {
		busy := func(m *flush) bool { return m.from.Equal(q.from) }
		if slices.ContainsFunc(f.waiting, busy) || slices.ContainsFunc(f.running, busy) || slices.ContainsFunc(f.round, busy) {
			return false
		}
		ctx.Send(q.replyTo, &quiesced{p: q.p})
		return true
	})
}

// EndTurn starts what the turn collected.
func (f *flusher) EndTurn(ctx *actors.Context) {
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
	if m.err != nil && !isNoSpace(m.err) {
		ctx.Logger().Error("flush failed, the logs it covered go offline", slog.String("dir", f.dir), slog.Int("logs", len(m.logs)),
			slog.Any("error", m.err))
	}
	for _, l := range m.logs {
		ctx.Send(l.from, &flushed{task: l.task, err: m.err})
	}
}
