package classic

import (
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

const (
	// newMemberTimeout is how long a first JoinGroup is kept. Source: GroupMetadataManager.classicGroupNewMemberJoinTimeoutMs.
	newMemberTimeout = 5 * time.Minute
	// pendingMax bounds the ids given out to members that have not come back. At the bound the oldest is forgotten; should its member
	// come back after all, it is an unknown one and is given another. Kafka has no bound.
	pendingMax = 10_000
	// stringMax is the longest string a record or an old response can hold.
	stringMax = math.MaxInt16
)

// join decides a JoinGroup. Source: GroupCoordinatorService.joinGroup, GroupMetadataManager.classicGroupJoinToClassicGroup.
func (g *Group) join(now step.Now, in *protocol.JoinGroup, out *step.Out) {
	switch {
	case in.GroupID == "":
		reply(out, in, in.ReplyTo, in.Failed(protocol.InvalidGroupID))
	case in.SessionTimeout < g.cfg.MinSession || in.SessionTimeout > g.cfg.MaxSession:
		reply(out, in, in.ReplyTo, in.Failed(protocol.InvalidSessionTimeout))
	case !fits(in):
		reply(out, in, in.ReplyTo, in.Failed(protocol.InvalidRequest))
	case !g.hasRoom(in):
		g.turnAway(now, in, out)
	case !g.supports(in):
		reply(out, in, in.ReplyTo, in.Failed(protocol.InconsistentGroupProtocol))
	case in.MemberID == "":
		g.joinNew(now, in, out)
	default:
		g.joinAgain(now, in, out)
	}
}

// fits reports whether everything that goes into records and responses fits there.
func fits(in *protocol.JoinGroup) bool {
	for _, p := range in.Protocols {
		if len(p.Name) > stringMax {
			return false
		}
	}
	return len(in.GroupID) <= stringMax && len(in.ProtocolType) <= stringMax && len(in.ClientHost) <= stringMax &&
		len(in.ClientID)+1+uuidLength <= stringMax && len(in.InstanceID)+1+uuidLength <= stringMax
}

// hasRoom reports whether group.max.size lets the member join. While members join again those that came first are let in, so that a
// group over a lowered bound shrinks. Source: GroupMetadataManager.acceptJoiningMember; unlike there a static member keeps its place
// while it is away, so it is let in without its id, and the others cannot fill the group beyond the bound, as in KAFKA-9844.
func (g *Group) hasRoom(in *protocol.JoinGroup) bool {
	m := g.byID[in.MemberID]
	if in.MemberID == "" && in.InstanceID != "" {
		m = g.byStatic[in.InstanceID]
	}
	switch {
	case g.state == preparing && mutation.Is(mutation.RoomForJoining):
		return true
	case g.cfg.MaxSize == 0 || g.state == empty || len(g.members) < g.cfg.MaxSize:
		return true
	case g.state != preparing:
		return m != nil
	case m != nil && m.join != nil:
		return true
	case m != nil && m.instance != "":
		return g.joining < g.cfg.MaxSize
	}
	return g.joining+g.staticAway() < g.cfg.MaxSize
}

// staticAway counts the static members that have not joined again yet.
func (g *Group) staticAway() (n int) {
	for _, m := range g.byStatic {
		if m.join == nil {
			n++
		}
	}
	return n
}

// turnAway refuses a member there is no room for. The others may have waited for it alone.
func (g *Group) turnAway(now step.Now, in *protocol.JoinGroup, out *step.Out) {
	delete(g.pending, in.MemberID)
	if m := g.byID[in.MemberID]; m != nil {
		g.remove(m, protocol.GroupMaxSizeReached, out)
	}
	full := in.Failed(protocol.GroupMaxSizeReached).(*protocol.GroupJoined)
	full.MemberID = ""
	reply(out, in, in.ReplyTo, full)
	g.maybeCompleteJoin(now, out)
}

// joinNew lets somebody in who has no member id yet.
// Source: GroupMetadataManager.classicGroupJoinNewMember and what it calls.
func (g *Group) joinNew(now step.Now, in *protocol.JoinGroup, out *step.Out) {
	switch old := g.byStatic[in.InstanceID]; {
	case in.InstanceID != "" && old != nil:
		g.joinStaticAgain(now, old, in, out)
	case in.InstanceID != "":
		g.joinAs(now, newID(now, in.InstanceID), in, out)
	case in.RequireKnownMember:
		id := newID(now, in.ClientID)
		g.expect(now, id, in.SessionTimeout)
		required := in.Failed(protocol.MemberIDRequired).(*protocol.GroupJoined)
		required.MemberID = id
		reply(out, in, in.ReplyTo, required)
	default:
		g.joinAs(now, newID(now, in.ClientID), in, out)
	}
}

// expect remembers an id that was given out.
func (g *Group) expect(now step.Now, id string, timeout time.Duration) {
	if g.pending == nil {
		g.pending = map[string]pending{}
	}
	if len(g.pending) >= pendingMax {
		oldest, number := "", uint64(math.MaxUint64)
		for id, p := range g.pending {
			if p.number < number {
				oldest, number = id, p.number
			}
		}
		delete(g.pending, oldest)
	}
	g.pendingCount++
	g.pending[id] = pending{now.Mono + timeout, g.pendingCount}
	g.arm(now.Mono + timeout)
}

// joinAs adds a new member, who waits for the generation.
// Source: GroupMetadataManager.addMemberThenRebalanceOrCompleteJoin.
func (g *Group) joinAs(now step.Now, id string, in *protocol.JoinGroup, out *step.Out) {
	invariant.Check(g.byID[id] == nil, "member %q of group %q joins as a new one", id, g.id)
	if g.state == preparing && g.previous == empty {
		g.grown = true
	}
	if len(g.members) == 0 {
		g.protocolType = in.ProtocolType
	}
	g.because("member " + id + " joins" + said(in.Reason))
	m := comer(id, in)
	m.fresh = true
	g.add(m)
	g.parkJoin(m, in, out)
	g.live(now, m, newMemberTimeout)
	g.rebalance(now, out)
}

// said is a reason that a client gave (KIP-800).
func said(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// comer is the member that a JoinGroup describes.
func comer(id string, in *protocol.JoinGroup) *member {
	m := &member{id: id, instance: in.InstanceID, clientID: in.ClientID, clientHost: in.ClientHost, expires: step.Never}
	m.update(in)
	return m
}

func (m *member) update(in *protocol.JoinGroup) {
	m.protocols = intake(in.Protocols)
	m.rebalanceTimeout, m.sessionTimeout = max(0, in.RebalanceTimeout), in.SessionTimeout
}

// joinAgain decides the JoinGroup of somebody who has a member id.
// Source: GroupMetadataManager.classicGroupJoinExistingMember.
func (g *Group) joinAgain(now step.Now, in *protocol.JoinGroup, out *step.Out) {
	if _, expected := g.pending[in.MemberID]; expected && in.InstanceID == "" {
		g.joinAs(now, in.MemberID, in, out)
		return
	}
	m, code := g.validate(in.MemberID, in.InstanceID)
	if code != protocol.None {
		reply(out, in, in.ReplyTo, in.Failed(code))
		return
	}
	// Who says nothing new goes on in this generation: perhaps it did not get the answer. Not so the leader of a stable group: it joins
	// because something that it assigns by has changed, such as the partitions of a topic.
	if (g.state == completing || g.state == stable && g.leader != m.id) && m.says(intake(in.Protocols)) {
		reply(out, in, in.ReplyTo, g.joined(m, in))
		return
	}
	g.because("member " + m.id + " joins again" + said(in.Reason))
	g.count(m, -1)
	m.update(in)
	g.count(m, 1)
	g.parkJoin(m, in, out)
	g.rebalance(now, out)
}

// joinStaticAgain decides the JoinGroup of a static member that comes back without its id, after a restart.
// Source: GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin (KIP-345, KIP-814).
func (g *Group) joinStaticAgain(now step.Now, old *member, in *protocol.JoinGroup, out *step.Out) {
	m := comer(newID(now, in.InstanceID), in)
	m.assignment, m.owes = old.assignment, old.owes
	if g.state != stable || g.voteWith(old, m) != *g.protocol {
		m.owes = false
		g.because("static member " + in.InstanceID + " came back" + said(in.Reason))
		g.replace(old, m, out)
		g.live(now, m, m.sessionTimeout)
		g.parkJoin(m, in, out)
		g.rebalance(now, out)
		return
	}
	// Nobody else need know, but the log must: who would lead after a failover under an id that is gone?
	g.writing, g.incoming, g.outgoing = replaced, m, old
	out.Records = append(out.Records, g.recordOfReplaced(old, m))
	reply(out, in, in.ReplyTo, g.rejoined(old, m, in))
}

// rejoined answers a static member that came back into a stable group. One that led is told so only if it understands that it need not
// assign (KIP-814); else it would assign by what it knows, and the others would not take part.
func (g *Group) rejoined(old, m *member, in *protocol.JoinGroup) *protocol.GroupJoined {
	led := g.leader == old.id
	ans := &protocol.GroupJoined{Answer: protocol.Answer{ID: in.ID}, Generation: g.generation, ProtocolType: g.protocolType,
		ProtocolName: *g.protocol, Leader: g.leader, MemberID: m.id}
	if led && in.SkipAssignment {
		ans.Leader, ans.SkipAssignment = m.id, true
		ans.Members = g.joinedMembers(old, m)
	}
	return ans
}

// joined answers a JoinGroup of the generation that began.
func (g *Group) joined(m *member, in *protocol.JoinGroup) *protocol.GroupJoined {
	ans := &protocol.GroupJoined{Answer: protocol.Answer{ID: in.ID}, Generation: g.generation, ProtocolType: g.protocolType,
		ProtocolName: *g.protocol, Leader: g.leader, MemberID: m.id}
	if m.id == g.leader {
		ans.Members = g.joinedMembers(nil, nil)
	}
	return ans
}

// joinedMembers is what the leader is told of the members; by stands in for old.
func (g *Group) joinedMembers(old, by *member) []protocol.JoinedMember {
	out := make([]protocol.JoinedMember, len(g.members))
	for i, m := range g.members {
		if m == old {
			m = by
		}
		metadata, _ := m.metadata(*g.protocol)
		out[i] = protocol.JoinedMember{MemberID: m.id, InstanceID: m.instance, Metadata: metadata}
	}
	return out
}
