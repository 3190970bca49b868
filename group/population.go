package group

import (
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// population is what the coordinators of a node come to together, so that clients, who name groups as they like, cannot use up its memory.
// What was let in is never taken back for it: a lowered limit, or a log with more in it, only lets nobody else in. Any thread.
type population struct {
	count  [kinds]atomic.Int64 // of those that exist
	said   atomic.Int64        // bytes that members of groups say and are given: see groupActor.weigh
	logged atomic.Int64        // when a refusal was logged last, on the monotonic clock
}

// refusalPause is how long after one refusal was logged others are not.
const refusalPause = 10 * time.Second

// The settings that bound a population.
const (
	groupsMax      = "group.coordinator.max.groups"
	memberBytesMax = "group.coordinator.max.member.bytes"
	idsMax         = "transaction.coordinator.max.ids"
)

// relisted moves a coordinator from one state to another; one that does not exist is in none.
func (p *place) relisted(k kind, from, to *listing) {
	p.Metrics.relisted(k, from, to)
	if from.exists {
		p.population.count[k].Add(-1)
	}
	if to.exists {
		p.population.count[k].Add(1)
	}
}

// admit tells whether a command may found a new coordinator: GroupMaxSizeReached or PolicyViolation, which clients do not take up again, if
// there are as many as there may be.
func (p *place) admit(ctx *actors.Context, k kind, m step.Command) protocol.Code {
	setting, code := groupsMax, protocol.GroupMaxSizeReached
	if k == transactions {
		setting, code = idsMax, protocol.PolicyViolation
	}
	if !founds(m) || p.population.count[k].Load() < p.settings().Int(setting) {
		return protocol.None
	}
	p.refused(ctx, setting)
	return code
}

// founds reports whether a command makes what it names.
func founds(m step.Command) bool {
	switch m := m.(type) {
	case *protocol.JoinGroup, *protocol.CommitOffsets, *protocol.InitTransactions:
		return true
	case *protocol.HeartbeatConsumer:
		return m.MemberEpoch == 0
	}
	return false
}

// refused counts a refusal, and logs one now and then: it says what to raise.
func (p *place) refused(ctx *actors.Context, setting string) {
	if p.Metrics != nil {
		p.Metrics.Refused.Add(1)
	}
	now, last := int64(ctx.Mono()), p.population.logged.Load()
	if (last == 0 || now-last > int64(refusalPause)) && p.population.logged.CompareAndSwap(last, now) {
		ctx.Logger().Warn("refused somebody because "+setting+" is reached", "limit", p.settings().Int(setting), "groups", p.population.count[groups].Load(),
			"transactional ids", p.population.count[transactions].Load(), "member bytes", p.population.said.Load())
	}
}

// weigh keeps the node's account of what the members of this group say and are given.
func (g *groupActor) weigh() {
	weight := 0
	if m := g.machine(); m != nil {
		weight = m.Weight()
	}
	g.account(weight)
}

// weighed is weigh after a command that may have changed it.
func (g *groupActor) weighed(m step.Command) {
	switch m.(type) {
	case *protocol.JoinGroup, *protocol.SyncGroup, *protocol.LeaveGroup:
		g.weigh()
	}
}

func (g *groupActor) account(weight int) {
	if weight != g.weight {
		g.place.population.said.Add(int64(weight - g.weight))
		g.weight = weight
	}
}

// outweighs reports whether a command would have the node keep more of members than it may. What a member said before it may say again.
func (g *groupActor) outweighs(ctx *actors.Context, m step.Command) bool {
	more := 0
	switch m := m.(type) {
	case *protocol.JoinGroup:
		for i := range m.Protocols {
			more += len(m.Protocols[i].Name) + len(m.Protocols[i].Metadata)
		}
		more -= g.said(m.Member)
	case *protocol.SyncGroup:
		for i := range m.Assignments {
			more += len(m.Assignments[i].Assignment)
		}
	case *protocol.HeartbeatConsumer:
		if !m.TopicsSet && !m.RegexSet {
			return false
		}
		more = len(m.Regex) + len(m.Rack)
		for _, name := range m.Topics {
			more += len(name)
		}
		more -= g.said(m.Member)
	}
	if more <= 0 || g.place.population.said.Load()+int64(more) <= g.place.settings().Int(memberBytesMax) {
		return false
	}
	g.place.refused(ctx, memberBytesMax)
	return true
}

// said is how many bytes a member has said so far.
func (g *groupActor) said(who protocol.Member) int {
	if m := g.machine(); m != nil {
		return m.Said(who)
	}
	return 0
}
