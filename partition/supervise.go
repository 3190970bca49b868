package partition

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// reopensMax bounds how often in a row a partition that panicked is opened again, reopenWait how long to wait before the first
	// time (five times longer at each further one). A partition that then runs for reopenForgets has a clean slate.
	reopensMax    = 4
	reopenWait    = time.Second
	reopenForgets = 10 * time.Minute
	// openRetry is how long a log waits to be opened again to which the system refused something: it has no space or no descriptors. It is
	// offline until then.
	openRetry = 2 * time.Second
)

// terminated buries a child.
func (h *Host) terminated(ctx *actors.Context, m actors.Terminated) {
	if h.cleaner.Equal(m.Who) && !h.cleaner.IsZero() {
		h.cleaner = actors.PID{}
		ctx.Logger().Error("compaction has ended until the node restarts", slog.Any("cause", m.Cause))
		return
	}
	name := m.Who.ID()[strings.LastIndexByte(m.Who.ID(), '/')+1:]
	for _, d := range h.dirs {
		if d.place.flusher.Equal(m.Who) {
			h.flusherFailed(ctx, d, m.Cause)
			return
		}
	}
	name, _, _ = strings.Cut(name, ".")
	tp, ok := storage.ParseDirName(name)
	if !ok {
		return
	}
	p := h.find(tp, m.Who)
	if p == nil {
		return
	}
	switch {
	case p.state == leaves:
		h.left(ctx, p, fmt.Errorf("its actor ended: %v", m.Cause))
	case p.state == dropping:
		h.drops--
		p.dir.doomed = append(p.dir.doomed, p)
	case p.state == serves && m.Cause != nil:
		h.reopenLater(ctx, p, m.Cause)
	case p.state == serves && p.handle.View().Passing:
		ctx.Logger().Warn("partition is opened again: the system refused its log something", slog.String("topic", p.lead.TopicName),
			slog.String("partition", p.tp.String()), slog.Duration("in", openRetry), slog.String("reason", p.handle.View().Reason))
		p.state = opens
		ctx.After(openRetry, &reopen{p})
	case p.state == serves:
		v := p.handle.View()
		h.giveUp(ctx, p, protocol.Fault{Code: protocol.KafkaStorageError, Reason: v.Reason})
	}
}

// flusherLost says that a flusher found the logs of its directory damaged.
type flusherLost struct {
	control
	flusher actors.PID
	err     error
}

func (h *Host) flusherLost(ctx *actors.Context, m *flusherLost) {
	for _, d := range h.dirs {
		if d.place.flusher.Equal(m.flusher) {
			h.flusherFailed(ctx, d, m.err)
		}
	}
}

// flusherFailed takes every log of the directory offline: nobody can say any more what of them is durable.
func (h *Host) flusherFailed(ctx *actors.Context, d *logDir, cause error) {
	if d.err == nil {
		d.err = fmt.Errorf("the flusher failed: %w", cause)
	}
	h.partitions.Scan(func(p *hosted) bool {
		if p.dir == d && p.handle != nil && !p.handle.PID.IsZero() {
			ctx.Send(p.handle.PID, failLog{err: d.err})
		}
		return true
	})
}

// reopenLater lets a partition that panicked come back through recovery, unless it did so too often.
func (h *Host) reopenLater(ctx *actors.Context, p *hosted, cause error) {
	if ctx.Mono()-p.failedAt > reopenForgets {
		p.reopens = 0
	}
	p.failedAt = ctx.Mono()
	if p.reopens >= reopensMax {
		h.giveUp(ctx, p, protocol.Fault{Code: protocol.KafkaStorageError, Reason: fmt.Sprintf("it failed %d times: %v", p.reopens+1, cause)})
		return
	}
	wait := reopenWait
	for range p.reopens {
		wait *= 5
	}
	p.reopens++
	p.state = opens
	ctx.Logger().Error("partition failed and is opened again", slog.String("topic", p.lead.TopicName),
		slog.String("partition", p.tp.String()), slog.Duration("in", wait), slog.Any("cause", cause))
	ctx.After(wait, &reopen{p})
}

// reopen waits until no flush of the dead actor runs any more: it may still change the directory that recovery is going to read.
type reopen struct{ p *hosted }

func (h *Host) reopen(ctx *actors.Context, m *reopen) {
	ctx.Send(m.p.dir.place.flusher, &quiesce{p: m.p, from: m.p.handle.PID, replyTo: ctx.Self()})
}

func (h *Host) quiesced(_ *actors.Context, m *quiesced) {
	p := m.p
	switch p.state {
	case dropping:
		p.dir.doomed = append(p.dir.doomed, p)
	case opens:
		p.dir.queue = append(p.dir.queue, p)
	}
}

// giveUp leaves a partition offline until the node restarts. It stays in the Table, where everybody can see why.
func (h *Host) giveUp(ctx *actors.Context, p *hosted, fault protocol.Fault) {
	if p.incarnation > 0 {
		ctx.Send(p.dir.place.flusher, keepJournal{err: errors.New(fault.Reason)})
	}
	h.takeOffline(ctx, p, fault)
}

// takeOffline shows a partition that cannot be used.
func (h *Host) takeOffline(ctx *actors.Context, p *hosted, fault protocol.Fault) {
	p.state = offline
	ctx.Logger().Error("partition is offline", slog.String("topic", p.lead.TopicName), slog.String("partition", p.tp.String()),
		slog.String("dir", p.dir.name), slog.String("reason", fault.Reason))
	v := &View{Err: fault.Code, Reason: fault.Reason, Config: p.config, LeaderEpoch: p.lead.LeaderEpoch}
	p.handle = NewHandle(p.tp, p.lead.TopicName, actors.PID{}, v)
	p.handle.Dir = p.dir.name
	h.fresh = append(h.fresh, p.handle)
	if h.config.OnOffline != nil {
		h.config.OnOffline(p.tp, fault)
	}
	h.allReady(ctx, p, fault)
}
