package classic

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// retryAfter is how long the group waits at least before it tries again what nobody took part in, or what the log did not take.
const retryAfter = time.Second

// rebalance begins one, or if one is going on looks whether that may end.
// Source: GroupMetadataManager.maybePrepareRebalanceOrCompleteJoin.
func (g *Group) rebalance(now step.Now, out *step.Out) {
	if g.state == preparing {
		g.maybeCompleteJoin(now, out)
	} else {
		g.prepare(now, out)
	}
}

// because remembers why the group rebalances, for the log: the first reason there was.
func (g *Group) because(reason string) {
	if g.why == "" {
		g.why = reason
	}
}

// tell says that the group shares its partitions anew.
func (g *Group) tell(generation int32, out *step.Out) {
	out.Rebalanced = &step.Rebalanced{Protocol: "classic", Epoch: generation, Members: len(g.members), Reason: g.why}
	g.why = ""
}

// shrunk goes on after members are gone. Source: GroupMetadataManager.removeMemberAndUpdateClassicGroup.
func (g *Group) shrunk(now step.Now, out *step.Out) {
	switch {
	case g.state == stable || g.state == completing:
		g.prepare(now, out)
	case g.state == preparing && g.allJoined():
		g.completeJoin(now, out)
	}
}

// prepare begins a rebalance: members shall join again. The first one of an empty group waits for the initial delay, as more members
// will come. Source: GroupMetadataManager.prepareRebalance.
func (g *Group) prepare(now step.Now, out *step.Out) {
	if g.state == completing {
		g.cancelAssignment(now, protocol.RebalanceInProgress, out)
	}
	g.forgetDebts()
	if g.state == empty {
		g.initial, g.initialDelay = true, g.cfg.InitialDelay
		g.initialLeft = max(0, g.rebalanceTimeout()-g.cfg.InitialDelay)
		g.enter(now, preparing)
		g.joinWithin(now, g.initialDelay)
		return
	}
	g.enter(now, preparing)
	if g.allJoined() {
		g.completeJoin(now, out)
		return
	}
	g.joinWithin(now, g.rebalanceTimeout())
}

func (g *Group) joinWithin(now step.Now, d time.Duration) {
	g.joinBy = now.Mono + d
	g.arm(g.joinBy)
}

// cancelAssignment answers those who wait for one with code; their sessions go on. Source:
// GroupMetadataManager.resetAndPropagateAssignmentWithError.
func (g *Group) cancelAssignment(now step.Now, code protocol.Code, out *step.Out) {
	for _, m := range g.members {
		m.assignment = nil
		if m.sync != nil {
			g.answerSync(m, m.sync.Failed(code).(*protocol.GroupSynced), out)
			g.live(now, m, m.sessionTimeout)
		}
	}
}

// forgetDebts: nobody owes a SyncGroup any more.
func (g *Group) forgetDebts() {
	for _, m := range g.members {
		m.owes = false
	}
	g.owing, g.syncBy = 0, step.Never
}

// rebalanceTimeout is the longest that any member asks for. Source: ClassicGroup.rebalanceTimeoutMs.
func (g *Group) rebalanceTimeout() (longest time.Duration) {
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

func (g *Group) allJoined() bool { return g.joining == len(g.members) && len(g.pending) == 0 }

// maybeCompleteJoin begins the generation if nobody is missing, but never before an initial delay ends.
// Source: GroupMetadataManager.maybeCompleteJoinPhase.
func (g *Group) maybeCompleteJoin(now step.Now, out *step.Out) {
	if g.state == preparing && g.previous != empty && g.allJoined() {
		g.completeJoin(now, out)
	}
}

// joinPhaseEnds: the time to join is over, unless it is an initial delay in which somebody new came.
// Source: GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule.
func (g *Group) joinPhaseEnds(now step.Now, out *step.Out) {
	if g.initial && g.grown && g.initialLeft > 0 {
		waited := g.initialDelay
		g.grown, g.initialDelay = false, min(g.cfg.InitialDelay, g.initialLeft)
		g.initialLeft = max(0, g.initialLeft-waited)
		g.joinWithin(now, g.initialDelay)
		return
	}
	g.completeJoin(now, out)
}

// completeJoin begins the generation with those who joined, and with static members, who may come back until their session ends. If
// nobody joined it waits for sessions to end. Source: GroupMetadataManager.completeClassicGroupJoin.
func (g *Group) completeJoin(now step.Now, out *step.Out) {
	invariant.Check(g.state == preparing, "group %q in state %s begins a generation", g.id, g.State())
	g.joinBy, g.initial, g.grown = step.Never, false, false
	for _, m := range slices.Clone(g.members) {
		if m.join == nil && m.instance == "" {
			g.because("member " + m.id + " did not join again")
			g.remove(m, protocol.UnknownMemberID, out)
		}
	}
	switch {
	case len(g.members) == 0:
		g.writing = emptied
		out.Records = append(out.Records, g.recordOfEmpty(now))
		g.tell(g.nextGeneration(), out)
	case !g.electLeader():
		g.joinWithin(now, max(g.rebalanceTimeout(), retryAfter))
	default:
		g.begin(now, out)
	}
}

// electLeader keeps the leader if it joined, else takes the oldest member that did. Source: ClassicGroup.maybeElectNewJoinedLeader.
func (g *Group) electLeader() bool {
	if g.byID[g.leader].join != nil {
		return true
	}
	for _, m := range g.members {
		if m.join != nil {
			g.leader = m.id
			return true
		}
	}
	return false
}

// begin starts the generation and answers all who joined. Everybody owes a SyncGroup now.
func (g *Group) begin(now step.Now, out *step.Out) {
	chosen := g.vote()
	g.generation, g.protocol = g.nextGeneration(), &chosen
	g.readTopics()
	g.enter(now, completing)
	g.owing = len(g.members)
	for _, m := range g.members {
		m.owes, m.fresh = true, false
		if m.join != nil {
			g.answerJoin(m, g.joined(m, m.join), out)
		}
		g.live(now, m, m.sessionTimeout)
	}
	g.syncBy = now.Mono + g.rebalanceTimeout()
	g.arm(g.syncBy)
	g.tell(g.generation, out)
}

// syncPhaseEnds removes those who did not ask for their assignment, the leader perhaps among them, and begins a rebalance.
// Source: GroupMetadataManager.expirePendingSync.
func (g *Group) syncPhaseEnds(now step.Now, out *step.Out) {
	invariant.Check(g.owing > 0 && (g.state == completing || g.state == stable), "group %q in state %s waits for %d to sync", g.id, g.State(), g.owing)
	for _, m := range slices.Clone(g.members) {
		if m.owes {
			g.because("member " + m.id + " did not ask for its assignment")
			g.remove(m, protocol.UnknownMemberID, out)
		}
	}
	g.prepare(now, out)
}
