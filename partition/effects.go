package partition

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// forever is the deadline of a request that has none.
	forever = time.Duration(math.MaxInt64)
	// flushRetry is how long a flush waits that found the disk full.
	flushRetry = time.Second
	// snapshotEvery is what a log appends, in bytes, before its producers are written down again: what a start may have to replay.
	snapshotEvery = 1 << 20
	// snapshotAtClose is the same at a clean stop: to write a snapshot costs more than to replay less than this at the next start.
	snapshotAtClose = 16 << 10
	// snapshotsKept are the newest producer snapshots of a log. More than one, because the recovery of the transaction index may
	// have to begin at the one before the last.
	snapshotsKept = 3
	// flushBytesOS is what durability=os appends, in bytes, before it flushes in the background: what a start may have to scan. A log
	// with larger segments flushes a segment at a time, as Kafka does.
	flushBytesOS = 1 << 30
)

// deadline of a request; 0 means that it has none.
func deadline(d time.Duration) time.Duration {
	if d <= 0 {
		return forever
	}
	return d
}

// arm sets the one timer of the partition to at, unless it already comes earlier.
func (a *replicaActor) arm(ctx *actors.Context, at time.Duration) {
	if at == forever || a.timerAt != 0 && a.timerAt <= at {
		return
	}
	if a.timerAt != 0 {
		ctx.Cancel(a.timer)
	}
	a.timerAt, a.timer = at, ctx.After(at-ctx.Mono(), wake{})
}

// wake is the timer: what is overdue is answered when the turn ends.
func (a *replicaActor) wake(ctx *actors.Context) {
	a.timerAt = 0
	a.moved = true
	if a.flushAt != 0 && a.flushAt <= ctx.Mono() {
		a.flushAt = 0
		a.flush(ctx)
	}
}

// rearm sets the timer again after it fired, for what still waits. A timer whose reason has gone fires once for nothing, which is
// cheaper than setting and cancelling one for every produce; a partition where nothing waits has none.
func (a *replicaActor) rearm(ctx *actors.Context) {
	if a.timerAt != 0 || a.ending == failed || a.ending == closed {
		return
	}
	if at, ok := a.leader.NextDeadline(); ok {
		a.arm(ctx, at)
	}
	if at, ok := a.awaits.NextDeadline(); ok {
		a.arm(ctx, at)
	}
	if a.flushAt != 0 {
		a.arm(ctx, a.flushAt)
	}
}

// flushIfDue asks for the flush that the configuration wants by now: under durability=disk of everything at once; under
// durability=os at flush.messages, after flushBytesOS or a segment's worth of bytes, and flush.ms after the first unflushed append. What these leave
// is flushed by the host's housekeep.
func (a *replicaActor) flushIfDue(ctx *actors.Context) {
	if a.flushing || a.ending == failed || a.ending == closed || a.log.FlushedOffset() == a.log.EndOffset() || a.flushAt != 0 {
		return
	}
	c := a.config
	switch {
	case c.Durability == protocol.DurabilityDisk,
		a.ending == closing,
		a.unflushed >= max(c.SegmentBytes, flushBytesOS),
		c.FlushMessages > 0 && a.behind >= c.FlushMessages:
		a.flush(ctx)
	case c.FlushTime > 0 && c.FlushTime < flushTimeOff:
		a.flushAt = ctx.Mono() + c.FlushTime
		a.arm(ctx, a.flushAt)
	}
}

// flushTimeOff is the flush.ms from which it means never; the default is the largest number of milliseconds there is.
const flushTimeOff = 365 * 24 * time.Hour

// flush hands the log to the flusher, if there is anything to make durable and no flush is running.
func (a *replicaActor) flush(ctx *actors.Context) {
	if a.flushing {
		return
	}
	task := a.log.FlushTask()
	if task == nil {
		return
	}
	a.flushing = true
	a.unflushed, a.behind, a.flushAt = 0, 0, 0
	ctx.Send(a.flusher, &flush{task: task, from: ctx.Self()})
}

// flushed takes the result of a flush. The log itself re-validates it against its truncation counter.
func (a *replicaActor) flushed(ctx *actors.Context, m *flushed) {
	a.flushing = false
	if a.ending == failed {
		return
	}
	removed := m.task.Removed()
	err := a.log.Flushed(m.task, m.err)
	switch {
	case err == nil:
		a.leader.Flushed(a.log.FlushedOffset())
		a.moved = true
		a.goOnRemoving(ctx)
	case isRefusal(err):
		if removed > 0 { // there is room now
			a.flush(ctx)
			break
		}
		ctx.Logger().Warn("flush put off, the disk is full", slog.String("partition", a.handle.Partition.String()), slog.Any("error", err))
		a.flushAt = ctx.Mono() + flushRetry
		a.arm(ctx, a.flushAt)
	default:
		a.fail(ctx, err)
		return
	}
	a.answerRound(ctx)
	if a.reporting {
		a.report(ctx)
	}
}

// goOnRemoving asks for the next task if the one before left dropped segments on the disk.
func (a *replicaActor) goOnRemoving(ctx *actors.Context) {
	switch {
	case a.ending != serving || !a.log.Removing():
	case a.config.Durability == protocol.DurabilityOS:
		a.trim(ctx)
	default:
		a.flush(ctx)
	}
}

// touch tells the host, once, that the next housekeep must come by.
func (a *replicaActor) touch(ctx *actors.Context) {
	if !a.touched {
		a.touched = true
		ctx.Send(a.host, &touched{tp: a.handle.Partition, from: ctx.Self()})
	}
}

// housekeep does what is due now and then. It is answered with the position for the checkpoint, after the flush if there is one.
func (a *replicaActor) housekeep(ctx *actors.Context, m housekeep) {
	a.write(ctx)
	if a.ending != serving {
		return
	}
	if m.retain {
		a.producers.Expire(ctx.Now().UnixMilli(), a.producerExpiry())
		err := a.retain(ctx)
		if err == nil {
			err = a.log.Unreserve()
		}
		if err != nil {
			a.fail(ctx, err)
		} else if a.config.Durability == protocol.DurabilityOS {
			a.trim(ctx)
		}
		return
	}
	a.touched = false
	if a.snapshot == nil && a.snapshotBytes >= snapshotEvery {
		a.takeSnapshot()
	}
	a.name(ctx)
	a.flush(ctx)
	if a.flushing {
		a.reporting = true
		return
	}
	a.report(ctx)
}

// name writes the topic's name into the directory, for people. Only once there is data, so that creating ten thousand partitions does
// not wait for as many syncs.
func (a *replicaActor) name(ctx *actors.Context) {
	if a.unnamed {
		write := a.naming(ctx)
		ctx.Offload(func() any { write(); return nil })
	}
}

// naming is the blocking work of that, to be done outside the turn.
func (a *replicaActor) naming(ctx *actors.Context) func() {
	a.unnamed = false
	fsys, dir, logger := a.fs, a.log.Dir(), ctx.Logger()
	metadata := storage.PartitionMetadata{Topic: a.handle.Partition.Topic, TopicName: a.handle.TopicName}
	return func() {
		if err := storage.WritePartitionMetadata(fsys, dir, metadata); err != nil && !errors.Is(err, fs.ErrNotExist) {
			logger.Warn("partition.metadata was not written", slog.String("dir", dir), slog.Any("error", err))
		}
	}
}

// trimIfFull applies retention.bytes as soon as a whole segment is too much, instead of at the next walk: segments that go while they are
// still in the page cache cost the disk nothing. Under durability=disk the files go with the next flush, which is under way.
func (a *replicaActor) trimIfFull(ctx *actors.Context) {
	c := a.config
	if !c.Delete || c.RetentionBytes < 0 || a.log.Size()-c.RetentionBytes <= c.SegmentBytes || a.flushing && c.Durability == protocol.DurabilityOS {
		return
	}
	if err := a.retain(ctx); err != nil {
		a.fail(ctx, err)
	}
}

// trim takes dropped segments off the disk without a flush.
func (a *replicaActor) trim(ctx *actors.Context) {
	if a.flushing {
		return
	}
	if task := a.log.TrimTask(); task != nil {
		a.flushing = true
		ctx.Send(a.flusher, &flush{task: task, from: ctx.Self()})
	}
}

func (a *replicaActor) report(ctx *actors.Context) {
	a.reporting = false
	p := a.position(ctx)
	ctx.Send(a.host, &p)
}

func (a *replicaActor) position(ctx *actors.Context) positioned {
	return positioned{tp: a.handle.Partition, from: ctx.Self(), position: a.log.Position(), start: a.log.StartOffset()}
}

// snapshot is the producer state as of offset. A snapshot must never know more than the log that a crash leaves: under durability=disk it
// is written when the log is durable up to there; under durability=os at once, and a start that finds a shorter log removes it.
type snapshot struct {
	offset  int64
	data    []byte
	writing bool
}

// snapshotSaved is the result of writing it.
type snapshotSaved struct{ err error }

func (a *replicaActor) takeSnapshot() {
	a.snapshot = &snapshot{offset: a.log.EndOffset(), data: a.producers.Snapshot()}
	a.snapshotBytes = 0
}

// saveSnapshot writes the pending snapshot as soon as it may be written.
func (a *replicaActor) saveSnapshot(ctx *actors.Context) {
	s := a.snapshot
	if s == nil || s.writing || a.ending == failed || a.config.Durability == protocol.DurabilityDisk && a.log.FlushedOffset() < s.offset {
		return
	}
	s.writing = true
	log := a.log
	ctx.Offload(func() any { return &snapshotSaved{writeSnapshot(log, s.offset, s.data)} })
}

// writeSnapshot writes one and removes the oldest. Outside the actor.
func writeSnapshot(log *storage.Log, offset int64, data []byte) error {
	if err := log.WriteSnapshot(offset, data); err != nil {
		return err
	}
	offsets, err := log.Snapshots()
	if err != nil {
		return err
	}
	for _, old := range offsets[:max(0, len(offsets)-snapshotsKept)] {
		if err := log.RemoveSnapshot(old); err != nil {
			return err
		}
	}
	return nil
}

func (a *replicaActor) snapshotSaved(ctx *actors.Context, m *snapshotSaved) {
	s := a.snapshot
	a.snapshot = nil
	switch {
	case a.ending == failed:
	case m.err == nil:
		a.snapshotAt = s.offset
	case isRefusal(m.err):
		a.snapshotBytes += snapshotEvery // the next housekeep tries again
		if a.ending == serving {
			a.purged(ctx, s.offset, m.err)
			a.refuseReplacing(ctx, protocol.Fault{Code: protocol.KafkaStorageError, Reason: m.err.Error()})
		}
	default:
		a.fail(ctx, m.err)
	}
}

// close ends the log of a clean stop outside the pool. From here on the log is not the actor's any more.
func (a *replicaActor) close(ctx *actors.Context) {
	log, out := a.log, &logClosed{positioned: a.position(ctx)}
	var producers []byte
	if a.snapshotBytes >= snapshotAtClose {
		producers = a.producers.Snapshot()
	}
	name := func() {}
	if a.unnamed && log.EndOffset() > 0 {
		name = a.naming(ctx)
	}
	ctx.Offload(func() any {
		name()
		out.err = closeClean(log, producers)
		out.position, out.start = log.Position(), log.StartOffset()
		return out
	})
}

// closeClean closes a log so that the next start needs to read nothing of it.
func closeClean(log *storage.Log, producers []byte) error {
	end := log.EndOffset()
	if err := log.Close(true); err != nil {
		return err
	}
	if producers == nil {
		return nil
	}
	return writeSnapshot(log, end, producers)
}
