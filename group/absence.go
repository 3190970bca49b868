package group

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/group/step"
)

// absence is the time between the failure of a child and its return. The others go on.
type absence struct {
	waiting []step.Command  // at most waitingMax
	ended   []*offsetsEnded // transactions that ended meanwhile
	due     bool            // it has stayed away long enough
	loading bool
}

// failures is the record of a child that panics.
type failures struct {
	inRow int
	last  time.Duration // monotonic
}

// reloadChild brings a failed child back.
type reloadChild struct {
	life int
	of   *child
}

// childEnded takes note of a child that panicked.
func (s *shard) childEnded(ctx *actors.Context, m actors.Terminated) {
	if m.Cause == nil {
		return
	}
	c := s.childWith(m.Who)
	if c == nil {
		return
	}
	if ctx.Mono()-c.failures.last > childForgets {
		c.failures.inRow = 0
	}
	c.failures.inRow++
	c.failures.last = ctx.Mono()
	if c.failures.inRow > childReloadsMax {
		ctx.Logger().Error("coordinator failed too often; its shard is loaded again", "shard", s.String(), "id", c.id, "cause", m.Cause)
		s.unload(ctx, "a coordinator failed too often")
		return
	}
	ctx.Logger().Error("coordinator failed and is loaded again", "shard", s.String(), "id", c.id, "cause", m.Cause)
	c.pid, c.away = actors.PID{}, &absence{}
	ctx.After(childReloadWait, reloadChild{s.life, c})
}

// childWith finds a living child by its actor.
func (s *shard) childWith(pid actors.PID) *child {
	for _, c := range s.children {
		if !c.pid.IsZero() && c.pid.Equal(pid) {
			return c
		}
	}
	return nil
}

// reloadDue: it has stayed away long enough.
func (s *shard) reloadDue(ctx *actors.Context, m reloadChild) {
	if c := m.of; m.life == s.life && s.children[c.id] == c && c.away != nil {
		c.away.due = true
		s.reload(ctx, c)
	}
}

// reload reads the records of one child, once none of it is under way.
func (s *shard) reload(ctx *actors.Context, c *child) {
	if c.under > 0 || !c.away.due || c.away.loading {
		return
	}
	c.away.loading = true
	s.place.Metrics.reloaded()
	s.read(ctx, s.loader(s.handle, c, s.next))
}

// returned spawns a child anew, with what the log has of it.
func (s *shard) returned(ctx *actors.Context, l *loader) {
	c := l.only
	state := l.states[c.id]
	if state == nil {
		state = s.newState(c.id)
	}
	away := c.away
	c.away = nil
	s.spawn(ctx, c, state)
	for _, m := range away.ended {
		c.sent++
		ctx.Send(c.pid, m)
	}
	for _, m := range away.waiting {
		s.pass(ctx, m)
	}
}
