package consumer

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

const (
	// assignInterval and assignPause bound how often a target is computed when members come or go one after the other: the first change
	// at once, what follows within assignInterval when it has been still for assignPause. Each target costs a record of every member, and
	// a partition that moves twice costs its members two rounds. Kafka: group.consumer.assignment.interval.ms, 1 s, without the pause.
	assignInterval = time.Second
	assignPause    = 50 * time.Millisecond

	// retryPause is how long the machine waits after the log refused what it wanted of itself.
	retryPause = 100 * time.Millisecond
)

// Heartbeat intervals, see the package's doc.
const (
	waitingIntervalMin = 100 * time.Millisecond // of members that wait for something
	waitingPerMember   = time.Millisecond       // so that a group causes at most 1,000 heartbeats a second
	settledIntervalMin = 250 * time.Millisecond // of members that have all they should
	settledPerMember   = 2500 * time.Microsecond
	quietShare         = 16 // the longer nothing changed, the longer the interval: by a sixteenth of that time
)

// interval is what a member is told to wait until its next heartbeat. changed says that this very step changes the group.
func (g *Group) interval(now step.Now, m *member, changed bool) time.Duration {
	least := max(settledIntervalMin, settledPerMember*time.Duration(len(g.order)))
	if changed || g.epoch > g.targetEpoch || !m.settled(g.targetEpoch) {
		least = max(waitingIntervalMin, waitingPerMember*time.Duration(len(g.order)))
	}
	interval := least
	if quiet := now.Mono - g.lastChange; !changed {
		for interval < g.cfg.HeartbeatInterval && interval*2 <= quiet/quietShare { // in steps: clients restart their timer at each change
			interval *= 2
		}
	}
	return min(interval, g.cfg.HeartbeatInterval)
}

func (g *Group) sessionTimeout(m *member) time.Duration {
	if m.classic != nil {
		return time.Duration(m.classic.sessionTimeout) * time.Millisecond
	}
	return g.cfg.SessionTimeout
}

// Deadline is when Tick is wanted.
func (g *Group) Deadline() time.Duration {
	at := min(g.assignAt, g.sweepAt)
	if at == step.Never || len(g.order) == 0 {
		return step.Never
	}
	return max(at, g.retryAt)
}

// Tick removes members whose time is up, or computes the target.
func (g *Group) Tick(now step.Now, out *step.Out) {
	g.img = now.Image
	if now.Mono < g.retryAt {
		return
	}
	if now.Mono >= g.sweepAt {
		if gone := g.sweep(now.Mono); len(gone) > 0 {
			g.fence(now, gone, "was silent, or did not revoke in time", out)
			return
		}
	}
	if now.Mono >= g.assignAt {
		g.assignAt = step.Never
		if g.epoch > g.targetEpoch && len(g.order) > 0 {
			g.assign(now, g.epoch, &change{}, out)
		}
	}
}

// sweep lists the members whose session or time to revoke is over, and sets when the next can be. A member that is heard of only moves
// its own end, so a sweep comes about once a session timeout and group, not once a heartbeat.
func (g *Group) sweep(now time.Duration) (gone []*member) {
	g.sweepAt = step.Never
	for _, m := range g.order {
		ends := min(m.sessionEnds, m.revokeEnds)
		if ends <= now {
			gone = append(gone, m)
		}
		g.sweepAt = min(g.sweepAt, ends)
	}
	return gone
}

// leads reports whether a target may be computed at once.
func (g *Group) leads(now step.Now) bool {
	return len(g.order) == 0 || g.targetEpoch == 0 || now.Mono-g.lastTarget >= assignInterval
}

func (g *Group) schedule(now step.Now) {
	switch {
	case g.epoch <= g.targetEpoch || len(g.order) == 0:
		g.assignAt = step.Never
	case g.leads(now):
		g.assignAt = now.Mono
	default:
		g.assignAt = min(now.Mono+assignPause, g.lastTarget+assignInterval)
	}
}

// begin sets the deadlines of a member as its records say.
func (g *Group) begin(now time.Duration, m *member) {
	if m.sessionEnds == 0 {
		m.sessionEnds = now + g.sessionTimeout(m)
	}
	if m.revokeEnds = step.Never; m.classic != nil {
		if g.loaded { // by a record of its join: it must sync
			m.revokeEnds = now + time.Duration(max(m.rebalanceTimeout, 0))*time.Millisecond
		}
	} else if m.state == unrevoked && m.epoch != staticLeaveEpoch && m.rebalanceTimeout >= 0 {
		m.revokeEnds = now + time.Duration(m.rebalanceTimeout)*time.Millisecond
	}
	g.sweepAt = min(g.sweepAt, m.sessionEnds, m.revokeEnds)
}

// Loaded begins the sessions of the members found in the log.
func (g *Group) Loaded(now step.Now, out *step.Out) {
	g.img = now.Image
	g.assigned, g.progressed = false, false
	for _, m := range g.order {
		g.begin(now.Mono, m)
	}
	g.loaded = true
	if len(g.order) > 0 {
		g.lastChange = now.Mono
	}
	g.schedule(now)
}

// Appended goes on after the records of the last step are in the log.
func (g *Group) Appended(now step.Now, out *step.Out) {
	g.downgrade = g.left
	g.left = false
	for _, m := range g.touched {
		if g.members[m.id] == m {
			g.begin(now.Mono, m)
		}
	}
	if g.assigned {
		g.lastTarget = now.Mono
	}
	if g.assigned || g.progressed {
		g.lastChange = now.Mono
	}
	g.touched, g.assigned, g.progressed = g.touched[:0], false, false
	clear(g.touched[:cap(g.touched)])
	g.schedule(now)
}

// NotAppended goes on after they are not. What the step saw of the topics is forgotten, so that the next one looks again.
func (g *Group) NotAppended(now step.Now, code protocol.Code, out *step.Out) {
	g.topology = neverLooked
	g.retryAt = now.Mono + retryPause
	if g.schedule(now); g.assignAt != step.Never {
		g.assignAt = max(g.assignAt, g.retryAt)
	}
}

// unsettled lists members that are not where they should be, for tests and for people.
func (g *Group) unsettled() (out []string) {
	for _, m := range g.order {
		if !m.settled(g.targetEpoch) {
			out = append(out, m.id)
		}
	}
	return slices.Clip(out)
}
