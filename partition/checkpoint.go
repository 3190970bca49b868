package partition

import (
	"log/slog"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// Walks over all partitions go in slices, so that ten thousand housekeepings do not come at once.
const (
	walkSlice = 256                   // partitions looked at
	walkPause = 20 * time.Millisecond // between slices
)

// walkStep is the timer of a walk. With retain it goes to every partition that has data, else to those that changed.
type walkStep struct{ retain bool }

// checkpointTick is the timer after which changed checkpoints are written.
type checkpointTick struct{}

func (h *Host) startWalks(ctx *actors.Context) {
	ctx.After(h.config.CheckpointEvery, walkStep{})
	ctx.After(h.config.RetentionCheck, walkStep{retain: true})
}

// walk asks one slice of the partitions to keep house, and comes back for the next.
func (h *Host) walk(ctx *actors.Context, w walkStep) {
	if h.leaving != nil {
		return
	}
	cursor, every := &h.touchedFrom, h.config.CheckpointEvery
	if w.retain {
		cursor, every = &h.retainedFrom, h.config.RetentionCheck
	}
	seen, next := 0, (*hosted)(nil)
	h.partitions.Ascend(&hosted{tp: *cursor}, func(p *hosted) bool {
		if seen++; seen > walkSlice {
			next = p
			return false
		}
		if p.state == serves && (p.touched || w.retain && p.known != nil && p.known.Offset > 0) {
			p.touched = p.touched && w.retain
			ctx.Send(p.handle.PID, housekeep{retain: w.retain})
		}
		return true
	})
	if next != nil {
		*cursor = next.tp
		ctx.After(walkPause, w)
		return
	}
	*cursor = protocol.TopicPartition{}
	ctx.After(every, w)
	for _, d := range h.dirs {
		d.due = d.due || d.changed // also what could not be written the last time
	}
}

// positioned notes what the next checkpoint holds about a partition.
func (h *Host) positioned(ctx *actors.Context, m *positioned) {
	if p := h.find(m.tp, m.from); p != nil && p.moveTo(m) {
		h.change(ctx, p.dir)
	}
}

func (p *hosted) moveTo(m *positioned) (moved bool) {
	if p.known != nil && *p.known == m.position && p.start >= m.start {
		return false
	}
	position := m.position
	p.known, p.start = &position, max(p.start, m.start)
	return true
}

// saveStart puts a log start into the checkpoint at once. It counts once it is there: one that could not be written is refused, and must
// not come with a later checkpoint.
func (h *Host) saveStart(m *saveStart) {
	if p := h.find(m.tp, m.from); p != nil {
		p.dir.saves = append(p.dir.saves, m)
	}
}

// change schedules the checkpoints of a directory.
func (h *Host) change(ctx *actors.Context, d *logDir) {
	d.changed = true
	if !d.scheduled {
		d.scheduled = true
		ctx.After(checkpointDelay, checkpointTick{})
	}
}

func (h *Host) checkpointAll() {
	for _, d := range h.dirs {
		d.scheduled = false
		d.due = d.changed
	}
}

// checkpointed is the result of writing the checkpoints of a directory.
type checkpointed struct {
	dir   *logDir
	saves []*saveStart
	err   error
}

// startCheckpoint writes the checkpoints of a directory if they are due, one write at a time; log starts that somebody waits for are
// always due, and alone cost one small file.
func (h *Host) startCheckpoint(ctx *actors.Context, d *logDir) {
	if d.err != nil {
		return // what the files hold is not known, so they must not be replaced by what little is
	}
	if d.writing || !d.due && len(d.saves) == 0 || h.leaving != nil && h.leaving.finishing {
		return
	}
	out := &checkpointed{dir: d, saves: d.saves}
	starts, all := h.logStarts(d, d.saves), d.due
	var positions []storage.PartitionPosition
	if all {
		positions = h.positions(d)
		d.changed, d.due = false, false
	}
	d.saves, d.writing = nil, true
	fsys := d.fs
	ctx.Offload(func() any {
		out.err = storage.WriteOffsets(fsys, storage.LogStartsName, starts)
		if out.err == nil && all {
			out.err = storage.WritePositions(fsys, positions)
		}
		return out
	})
}

// logStarts are the log starts that are not simply where the first segment begins at 0, with those that are to be saved.
func (h *Host) logStarts(d *logDir, saves []*saveStart) []storage.PartitionOffset {
	var out []storage.PartitionOffset
	saved := map[protocol.TopicPartition]int64{}
	for _, s := range saves {
		saved[s.tp] = max(saved[s.tp], s.start)
	}
	h.eachIn(d, func(tp protocol.TopicPartition, _ *storage.Position, start int64) {
		if start = max(start, saved[tp]); start > 0 {
			out = append(out, storage.PartitionOffset{Partition: tp, Offset: start})
		}
	})
	return out
}

func (h *Host) positions(d *logDir) []storage.PartitionPosition {
	var out []storage.PartitionPosition
	h.eachIn(d, func(tp protocol.TopicPartition, position *storage.Position, _ int64) {
		if position != nil {
			out = append(out, storage.PartitionPosition{Partition: tp, Position: *position})
		}
	})
	return out
}

// eachIn calls f for every partition of a directory, those hosted and those only found, in no particular order of the two kinds.
// A partition whose directory does not exist yet is left out: the checkpoint would miss it after a crash.
func (h *Host) eachIn(d *logDir, f func(protocol.TopicPartition, *storage.Position, int64)) {
	h.partitions.Scan(func(p *hosted) bool {
		if p.dir == d && !p.create {
			f(p.tp, p.known, p.start)
		}
		return true
	})
	for _, found := range d.sorted() {
		f(found.tp, found.position, found.start)
	}
}

func (h *Host) checkpointed(ctx *actors.Context, m *checkpointed) {
	m.dir.writing = false
	if m.err != nil {
		ctx.Logger().Error("checkpoint was not written", slog.String("dir", m.dir.name), slog.Any("error", m.err))
		m.dir.changed = true
	}
	for _, s := range m.saves {
		if p := h.find(s.tp, s.from); p != nil && m.err == nil {
			p.start = max(p.start, s.start)
		}
		ctx.Send(s.from, &startSaved{start: s.start, err: m.err})
	}
}
