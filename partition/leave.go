package partition

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// CloseLogs asks the host for a clean stop: every log is flushed and closed, checkpoints and producer snapshots are written, and last
// the marker that lets the next start trust all that. Answered by LogsClosed; the system is shut down after that. Without it the
// next start recovers as after a crash.
type CloseLogs struct {
	protocol.Head
	// BrokerEpoch of the node, for the marker (KIP-966).
	BrokerEpoch protocol.BrokerEpoch
}

// Refused answers for a host that is gone.
func (m *CloseLogs) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &LogsClosed{Answer: protocol.Answer{ID: m.ID}, Err: errors.New("the partition host has stopped")}
}

// LogsClosed answers CloseLogs. With Err at least one log directory has no marker; nothing acknowledged is lost by that.
type LogsClosed struct {
	protocol.Answer
	Err error
}

// closeWindow is how many logs close beside each other.
const closeWindow = 256

// leaving is a clean stop that goes on.
type leaving struct {
	by        *CloseLogs
	running   int                     // actors that are closing
	from      protocol.TopicPartition // next to be asked
	finishing bool                    // the directories are written
	dirs      int                     // still written
	errs      []error
	answered  bool
}

func (h *Host) closeLogs(ctx *actors.Context, m *CloseLogs) {
	if h.leaving != nil {
		ctx.Send(m.ReplyTo, &LogsClosed{Answer: protocol.Answer{ID: m.ID}, Err: errors.New("a clean stop is going on already")})
		return
	}
	h.leaving = &leaving{by: m}
	if !h.begun { // the directories are as the last stop left them, and so is the marker
		h.leaving.finishing, h.leaving.answered = true, true
		ctx.Send(m.ReplyTo, &LogsClosed{Answer: protocol.Answer{ID: m.ID}})
		return
	}
	if !h.cleaner.IsZero() {
		ctx.Send(h.cleaner, closeCleaner{})
	}
	for _, d := range h.dirs {
		for _, p := range d.queue {
			h.allReady(ctx, p, stopping)
		}
		d.queue = nil // what was not opened is as the last stop left it
	}
}

// leave goes on with a clean stop as far as it can.
func (h *Host) leave(ctx *actors.Context) {
	l := h.leaving
	if l == nil || l.finishing || h.scanning > 0 || h.drops > 0 {
		return // the directory of a deleted topic goes first: the stop would not be clean with it
	}
	for _, d := range h.dirs {
		if d.opening > 0 || d.deleting > 0 || len(d.doomed) > 0 {
			return
		}
	}
	h.partitions.Ascend(&hosted{tp: l.from}, func(p *hosted) bool {
		if l.running >= closeWindow {
			return false
		}
		l.from = p.tp
		if p.state == serves {
			p.state = leaves
			l.running++
			ctx.Send(p.handle.PID, closeLog{})
		}
		return true
	})
	if l.running > 0 || !h.cleaner.IsZero() {
		return
	}
	for _, d := range h.dirs {
		if d.writing {
			return
		}
	}
	l.finishing = true
	for _, d := range h.dirs {
		h.finish(ctx, d)
	}
}

// logClosed takes the last word of a partition.
func (h *Host) logClosed(ctx *actors.Context, m *logClosed) {
	p := h.find(m.tp, m.from)
	if p == nil {
		return
	}
	p.moveTo(&m.positioned)
	if p.state == leaves {
		h.left(ctx, p, m.err)
	}
}

// left counts a partition that has closed, clean or not.
func (h *Host) left(ctx *actors.Context, p *hosted, err error) {
	h.leaving.running--
	p.state, p.unclean = gone, err != nil
	if err != nil {
		ctx.Logger().Error("log was not closed clean", slog.String("partition", p.tp.String()), slog.Any("error", err))
	}
}

// dirClosed is the result of finishing one log directory.
type dirClosed struct {
	dir *logDir
	err error
}

// finish writes the checkpoints of a directory and, if every log in it is closed clean, the marker.
func (h *Host) finish(ctx *actors.Context, d *logDir) {
	h.leaving.dirs++
	starts, positions := h.logStarts(d, nil), h.positions(d)
	unclean, fsys, unread := h.unclean(d), d.fs, d.err
	marker := storage.CleanShutdown{BrokerEpoch: int64(h.leaving.by.BrokerEpoch), DirectoryID: d.id}
	ctx.Offload(func() any {
		err := unread // then the checkpoints stay as they are: what they hold may be all there is
		if err == nil {
			err = finishDir(fsys, starts, positions)
		}
		switch {
		case err != nil:
		case unclean > 0:
			err = fmt.Errorf("%d logs could not be closed clean", unclean)
		default:
			err = storage.WriteCleanShutdown(fsys, marker)
		}
		return &dirClosed{d, err}
	})
}

// unclean counts the logs that the next start must recover.
func (h *Host) unclean(d *logDir) int {
	n := 0
	if d.err != nil {
		n++
	}
	h.partitions.Scan(func(p *hosted) bool {
		if p.dir == d && !(p.state == gone && !p.unclean) && !(p.state == opens && p.incarnation == 0 && (d.clean || p.create)) {
			n++
		}
		return true
	})
	return n
}

func finishDir(fsys env.FS, starts []storage.PartitionOffset, positions []storage.PartitionPosition) error {
	recovery := make([]storage.PartitionOffset, len(positions))
	for i, p := range positions {
		recovery[i] = storage.PartitionOffset{Partition: p.Partition, Offset: p.Position.Offset}
	}
	if err := storage.WriteOffsets(fsys, storage.LogStartsName, starts); err != nil {
		return err
	}
	if err := storage.WriteOffsets(fsys, storage.RecoveryPointsName, recovery); err != nil {
		return err
	}
	if err := storage.WritePositions(fsys, positions); err != nil {
		return err
	}
	return fsys.SyncAll() // index files are trusted after a clean stop
}

func (h *Host) dirClosed(ctx *actors.Context, m *dirClosed) {
	l := h.leaving
	if m.err != nil {
		l.errs = append(l.errs, fmt.Errorf("log directory %q: %w", m.dir.name, m.err))
	}
	if l.dirs--; l.dirs == 0 {
		l.answered = true
		ctx.Send(l.by.ReplyTo, &LogsClosed{Answer: protocol.Answer{ID: l.by.ID}, Err: errors.Join(l.errs...)})
	}
}
