package partition

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/compaction"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// cleanerStep is about how many bytes one offloaded step of a compaction reads.
	cleanerStep = 1 << 20
	// cleanerRest is how many times as long as a step took the cleaner rests after it: it takes half of one processor, and less the busier
	// the machine is with producing and fetching, as its steps then take longer.
	cleanerRest = 1
	// cleanerAnswer is how long a partition may take over a flush and a snapshot before a round is given up.
	cleanerAnswer = 5 * time.Minute
)

// CleanerConfig are the settings of compaction in force. The zero value means Kafka's defaults.
type CleanerConfig struct {
	Disabled bool // log.cleaner.enable=false
	// Backoff is log.cleaner.backoff.ms; 0 means 15 seconds.
	Backoff time.Duration
	// MapBytes and MapFactor are log.cleaner.dedupe.buffer.size and log.cleaner.io.buffer.load.factor; 0 means 128 MiB and 0.9.
	MapBytes  int64
	MapFactor float64
	// BytesPerSecond read and written are log.cleaner.io.max.bytes.per.second; 0 means no limit.
	BytesPerSecond float64
}

// Cleaned is one round of compaction that ended, for metrics.
type Cleaned struct {
	Partition protocol.TopicPartition
	Ratio     float64 // that was dirty
	Stats     compaction.Stats
	Took      time.Duration
	Err       error
}

// cleaner compacts the logs of a node, one at a time and the dirtiest first. It reads through Views and writes new segments beside the
// logs, in offloaded steps with rests between them; the partition's actor is asked for the bounds of a round and puts every finished
// segment in place. What is lost with a crash is at most a round's work, and the cleaner's checkpoint only ever says too little.
// Source: LogCleaner, LogCleanerManager.
type cleaner struct {
	table    *Table
	clock    env.Clock
	settings func() CleanerConfig
	observe  func(Cleaned) // may be nil; called in the actor's turn
	dirs     []*cleanerDir
	host     actors.PID

	job     *cleaning // nil: none
	busy    bool      // offloaded work runs, and has dirs and job to itself
	waiting bool      // for an answer of the partition
	// skipped are passed over until the next backoff, bad until they are opened again.
	skipped map[protocol.TopicPartition]bool
	bad     map[protocol.TopicPartition]*Handle
	closing bool
	closed  bool
}

// cleanerDir is a log directory with the offsets up to which its logs are clean; nil until they are read.
type cleanerDir struct {
	name    string
	fs      env.FS
	offsets map[protocol.TopicPartition]int64
}

// cleaning is the compaction of one log.
type cleaning struct {
	handle *Handle
	dir    *cleanerDir
	config CleanerConfig
	plan   compaction.Plan
	now    int64             // wall clock, milliseconds
	round  *compaction.Round // nil until the partition told its bounds
	done   bool
	began  time.Duration
	moved  int64 // bytes, at the last rest
}

// Messages of the cleaner to itself.
type (
	cleanTick struct{}
	cleanStep struct{}
	// picked is the log that comes next, if any.
	picked struct{ job *cleaning }
	// prepared is the round over the bounds that the partition told; nil if it is not worth while.
	prepared struct {
		round *compaction.Round
		plan  compaction.Plan
		err   error
	}
	stepped struct {
		replacement *storage.Replacement
		done        bool
		took        time.Duration
		err         error
	}
	// cleanerSaved ends a job: its checkpoint is written, or what it left is removed.
	cleanerSaved struct{ err error }
)

// Between the host and the cleaner.
type (
	closeCleaner  struct{ control }
	cleanerClosed struct{ control }
)

func (c *cleaner) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case cleanTick:
		c.pick(ctx)
	case *picked:
		c.picked(ctx, m)
	case *roundBegun:
		c.roundBegun(ctx, m)
	case *prepared:
		c.prepared(ctx, m)
	case cleanStep:
		c.step(ctx)
	case *stepped:
		c.stepped(ctx, m)
	case *segmentsReplaced:
		c.replaced(ctx, m)
	case *cleanerSaved:
		c.saved(ctx, m)
	case actors.RequestTimedOut:
		c.waiting = false
		c.giveUp(ctx, errors.New("the partition does not answer"))
	case closeCleaner:
		c.closing = true
	case actors.Started:
		ctx.After(c.backoff(), cleanTick{})
	}
}

// EndTurn ends the cleaner of a node that stops, as soon as nothing of it touches a disk.
func (c *cleaner) EndTurn(ctx *actors.Context) {
	if !c.closing || c.closed || c.busy || c.waiting {
		return
	}
	if c.job != nil {
		c.discard(ctx, nil)
		return
	}
	c.closed = true
	ctx.Send(c.host, cleanerClosed{})
}

func (c *cleaner) config() CleanerConfig {
	config := CleanerConfig{}
	if c.settings != nil {
		config = c.settings()
	}
	if config.MapBytes <= 0 {
		config.MapBytes = 128 << 20
	}
	return config
}

func (c *cleaner) backoff() time.Duration {
	if b := c.config().Backoff; b > 0 {
		return b
	}
	return 15 * time.Second
}

// offload runs work, which has dirs and job to itself until its result is there.
func (c *cleaner) offload(ctx *actors.Context, work func() any) {
	c.busy = true
	ctx.Offload(work)
}

// pick looks for the log that needs compaction most.
func (c *cleaner) pick(ctx *actors.Context) {
	config := c.config()
	if c.closing || c.job != nil || c.busy {
		return
	}
	if config.Disabled {
		ctx.After(c.backoff(), cleanTick{})
		return
	}
	now, logger := ctx.Now().UnixMilli(), ctx.Logger()
	c.offload(ctx, func() any { return &picked{c.dirtiest(config, now, logger)} })
}

// dirtiest is the job for the log with the largest dirty ratio among those that are due. Source: LogCleanerManager.grabFilthiestCompactedLog.
func (c *cleaner) dirtiest(config CleanerConfig, now int64, logger *slog.Logger) (best *cleaning) {
	c.load(logger)
	c.table.Each(func(h *Handle) bool {
		v := h.View()
		if v.Err != protocol.None || v.Log == nil || !v.Config.Compact || c.skipped[h.Partition] || c.bad[h.Partition] == h {
			return true
		}
		dir := c.dirOf(h)
		segments, err := v.Log.Segments(compaction.NeedsTimes(v.Config))
		if err != nil || dir == nil {
			return true // it changes; another time
		}
		plan := compaction.PlanOf(segments, compaction.Bounds{
			Start: v.LogStartOffset, End: v.LogEndOffset, Checkpoint: dir.checkpoint(h.Partition),
			LastStable: v.LastStableOffset, HighWatermark: v.HighWatermark, Replaceable: math.MaxInt64,
		}, v.Config, now)
		if plan.Wanted(v.Config) && (best == nil || plan.Ratio() > best.plan.Ratio()) {
			best = &cleaning{handle: h, dir: dir, config: config, plan: plan, now: now}
		}
		return true
	})
	return best
}

// load reads the checkpoints that were not read yet. One that cannot be read costs work, not records: everything counts as dirty.
func (c *cleaner) load(logger *slog.Logger) {
	for _, d := range c.dirs {
		if d.offsets != nil {
			continue
		}
		d.offsets = map[protocol.TopicPartition]int64{}
		entries, err := storage.ReadOffsets(d.fs, storage.CleanerOffsetsName)
		if err != nil {
			logger.Warn("cleaner checkpoint was not read: compaction begins anew", slog.String("dir", d.name), slog.Any("error", err))
		}
		for _, e := range entries {
			d.offsets[e.Partition] = e.Offset
		}
	}
}

func (c *cleaner) dirOf(h *Handle) *cleanerDir {
	for _, d := range c.dirs {
		if d.name == h.Dir {
			return d
		}
	}
	return nil
}

func (d *cleanerDir) checkpoint(tp protocol.TopicPartition) int64 {
	if offset, ok := d.offsets[tp]; ok {
		return offset
	}
	return -1
}

func (c *cleaner) picked(ctx *actors.Context, m *picked) {
	c.busy = false
	if c.closing {
		return
	}
	if m.job == nil {
		clear(c.skipped)
		ctx.After(c.backoff(), cleanTick{})
		return
	}
	c.job, c.waiting = m.job, true
	c.job.began = ctx.Mono()
	ctx.Request(m.job.handle.PID, &beginRound{partition: m.job.handle.Partition, upTo: m.job.plan.Upper}, cleanerAnswer)
}

// roundBegun makes the plan again, with what the partition knows.
func (c *cleaner) roundBegun(ctx *actors.Context, m *roundBegun) {
	c.waiting = false
	if c.job == nil || c.closing {
		return
	}
	if m.Failed() {
		c.giveUp(ctx, storage.ErrStale)
		return
	}
	j := c.job
	c.offload(ctx, func() any { return prepare(j, m) })
}

func prepare(j *cleaning, m *roundBegun) *prepared {
	out := &prepared{}
	segments, err := m.view.Segments(compaction.NeedsTimes(m.config))
	if err != nil {
		out.err = err
		return out
	}
	bounds := m.bounds
	bounds.Checkpoint = j.dir.checkpoint(j.handle.Partition)
	out.plan = compaction.PlanOf(segments, bounds, m.config, j.now)
	if !out.plan.Wanted(m.config) {
		out.err = storage.ErrStale
		return out
	}
	out.round, out.err = compaction.NewRound(compaction.Options{
		View: m.view, Plan: out.plan, Config: m.config, Now: j.now, Producers: m.producers, MapBytes: j.config.MapBytes, MapFactor: j.config.MapFactor,
	})
	return out
}

func (c *cleaner) prepared(ctx *actors.Context, m *prepared) {
	c.busy = false
	if m.err != nil {
		c.giveUp(ctx, m.err)
		return
	}
	c.job.round, c.job.plan = m.round, m.plan
	c.step(ctx)
}

// step runs the next step of the round. A panic in it, as a damaged file may provoke, is the end of this round only.
func (c *cleaner) step(ctx *actors.Context) {
	if c.job == nil || c.busy || c.waiting || c.closing {
		return
	}
	round, clock := c.job.round, c.clock
	c.offload(ctx, func() (out any) {
		s, began := &stepped{}, clock.Mono()
		defer func() {
			if cause := recover(); cause != nil {
				s.err = fmt.Errorf("panic while compacting: %v\n%s", cause, debug.Stack())
			}
			s.took = clock.Mono() - began
			out = s
		}()
		s.replacement, s.done, s.err = round.Step(cleanerStep)
		return s
	})
}

func (c *cleaner) stepped(ctx *actors.Context, m *stepped) {
	c.busy = false
	j := c.job
	j.done = m.done
	switch {
	case m.err != nil:
		c.giveUp(ctx, m.err)
	case m.replacement != nil && c.closing:
		c.discard(ctx, m.replacement)
	case m.replacement != nil:
		c.waiting = true
		ctx.Request(j.handle.PID, &replaceSegments{partition: j.handle.Partition, replacement: m.replacement, end: j.round.End()}, cleanerAnswer)
	case m.done:
		c.finish(ctx)
	default:
		c.rest(ctx, m.took)
	}
}

// rest lets others at the processor and the disk before the next step.
func (c *cleaner) rest(ctx *actors.Context, took time.Duration) {
	j := c.job
	pause := cleanerRest * took
	moved := j.round.Stats().Read + j.round.Stats().Written
	if limit := j.config.BytesPerSecond; limit > 0 {
		seconds := min(float64(moved-j.moved)/limit, time.Hour.Seconds())
		pause = max(pause, time.Duration(seconds*float64(time.Second))-took)
	}
	j.moved = moved
	ctx.After(max(pause, 0), cleanStep{})
}

func (c *cleaner) replaced(ctx *actors.Context, m *segmentsReplaced) {
	c.waiting = false
	switch {
	case c.job == nil:
	case m.Failed() && !m.taken:
		c.discard(ctx, m.replacement)
	case m.Failed():
		c.giveUp(ctx, storage.ErrStale)
	case c.job.done:
		c.finish(ctx)
	default:
		c.rest(ctx, 0)
	}
}

// finish writes down how far the log is clean, and goes on with the next one.
func (c *cleaner) finish(ctx *actors.Context) {
	j, table := c.job, c.table
	c.offload(ctx, func() any {
		j.dir.offsets[j.handle.Partition] = j.round.End()
		return &cleanerSaved{j.dir.save(table)}
	})
	if c.observe != nil {
		c.observe(Cleaned{Partition: j.handle.Partition, Ratio: j.plan.Ratio(), Stats: j.round.Stats(), Took: ctx.Mono() - j.began})
	}
}

// save replaces the checkpoint; partitions that are no longer here are forgotten.
func (d *cleanerDir) save(table *Table) error {
	entries := make([]storage.PartitionOffset, 0, len(d.offsets))
	for tp, offset := range d.offsets {
		if h := table.Get(tp); h == nil || h.Dir != d.name {
			delete(d.offsets, tp)
			continue
		}
		entries = append(entries, storage.PartitionOffset{Partition: tp, Offset: offset})
	}
	slices.SortFunc(entries, func(a, b storage.PartitionOffset) int {
		if a.Partition.Less(b.Partition) {
			return -1
		}
		return 1
	})
	return storage.WriteOffsets(d.fs, storage.CleanerOffsetsName, entries)
}

func (c *cleaner) saved(ctx *actors.Context, m *cleanerSaved) {
	c.busy, c.job = false, nil
	if m.err != nil {
		ctx.Logger().Warn("cleaner checkpoint was not written", slog.Any("error", m.err))
	}
	c.pick(ctx)
}

// giveUp ends a round that failed. The log comes again after the backoff if it only changed meanwhile or the disk was full; one that
// cannot be read is left alone until it is opened again. Source: LogCleaner.cleanFilthiestLog, markPartitionUncleanable.
func (c *cleaner) giveUp(ctx *actors.Context, err error) {
	j := c.job
	if j == nil {
		return
	}
	if !errors.Is(err, storage.ErrStale) && !errors.Is(err, storage.ErrOutOfRange) {
		ctx.Logger().Error("compaction of a log was given up", slog.String("partition", j.handle.Partition.String()), slog.Any("error", err))
		if !storage.Passing(err) {
			c.bad[j.handle.Partition] = j.handle
		}
		if c.observe != nil {
			c.observe(Cleaned{Partition: j.handle.Partition, Ratio: j.plan.Ratio(), Took: ctx.Mono() - j.began, Err: err})
		}
	}
	c.discard(ctx, nil)
}

// discard removes what a round left behind, and ends its job.
func (c *cleaner) discard(ctx *actors.Context, r *storage.Replacement) {
	j := c.job
	c.skipped[j.handle.Partition] = true
	c.offload(ctx, func() any {
		if r != nil {
			r.Discard()
		}
		if j.round != nil {
			j.round.Discard()
		}
		return &cleanerSaved{}
	})
}
