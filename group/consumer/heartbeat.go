package consumer

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

func reply(out *step.Out, c step.Command, to actors.PID, msg any) {
	out.Replies = append(out.Replies, step.Reply{Command: c, To: to, Msg: msg})
}

func refuse(out *step.Out, c *protocol.HeartbeatConsumer, f protocol.Fault) {
	answer := &protocol.ConsumerHeartbeat{Answer: protocol.Answer{ID: c.ID}, Fault: f, MemberID: c.MemberID}
	reply(out, c, c.ReplyTo, answer)
}

func fault(code protocol.Code, format string, args ...any) protocol.Fault {
	return protocol.Fault{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// heartbeat does the one request of the protocol: in three parts, as Kafka. The member is created or changed, and the group's epoch
// grows if that matters to others; the target is computed if it is older than the epoch and its time has come; the member takes the
// next step to its part of the target.
//
// Source: GroupMetadataManager.consumerGroupHeartbeat.
func (g *Group) heartbeat(now step.Now, c *protocol.HeartbeatConsumer, out *step.Out) {
	if f := g.validate(c); f.Failed() {
		refuse(out, c, f)
		return
	}
	if c.MemberEpoch == leaveEpoch || c.MemberEpoch == staticLeaveEpoch {
		g.leave(now, c, out)
		return
	}
	if m := g.members[c.MemberID]; m != nil && g.idle(now, c, m) {
		m.sessionEnds = now.Mono + g.sessionTimeout(m)
		reply(out, c, c.ReplyTo, g.answer(now, c, m, false))
		return
	}
	b := beat{g: g, now: now, c: c, out: out}
	f := b.identify()
	if !f.Failed() {
		if b.known != nil {
			b.known.sessionEnds = now.Mono + g.sessionTimeout(b.known)
			if b.known.classic != nil { // it needs no rebalance any more
				b.known.revokeEnds = step.Never
			}
		}
		f = b.change()
	}
	if f.Failed() {
		out.Reset()
		refuse(out, c, f)
	}
}

// idle reports that there is nothing to decide: the common case, which costs the same however large the group is.
func (g *Group) idle(now step.Now, c *protocol.HeartbeatConsumer, m *member) bool {
	return c.MemberEpoch == m.epoch && m.settled(g.targetEpoch) && m.classic == nil && !c.TopicsSet && !c.RegexSet &&
		(c.Assignor == "" || c.Assignor == m.assignor) && (c.RebalanceTimeout < 0 || millis(c.RebalanceTimeout) == m.rebalanceTimeout) &&
		(c.Rack == "" || c.Rack == m.rack) && (c.InstanceID == "" || c.InstanceID == m.instanceID) &&
		c.ClientID == m.clientID && c.ClientHost == m.clientHost && !g.mustLook(now)
}

// answer tells a member its epoch; the assignment is added by who knows that it is wanted.
func (g *Group) answer(now step.Now, c *protocol.HeartbeatConsumer, m *member, changed bool) *protocol.ConsumerHeartbeat {
	return &protocol.ConsumerHeartbeat{Answer: protocol.Answer{ID: c.ID}, MemberID: m.id, MemberEpoch: m.epoch, Interval: g.interval(now, m, changed)}
}

// validate holds what can be said without knowing the sender. Source: GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid.
func (g *Group) validate(c *protocol.HeartbeatConsumer) protocol.Fault {
	invalid := func(reason string) protocol.Fault {
		return protocol.Fault{Code: protocol.InvalidRequest, Reason: reason}
	}
	switch {
	case c.GroupID == "":
		return invalid("the group id is empty")
	case c.MemberEpoch < staticLeaveEpoch:
		return fault(protocol.InvalidRequest, "member epoch %d has no meaning", c.MemberEpoch)
	case c.MemberID == "" && c.MemberEpoch != joinEpoch:
		return invalid("the member id is empty")
	case c.MemberEpoch == staticLeaveEpoch && c.InstanceID == "":
		return invalid("only a static member, with an instance id, can leave for a while")
	case c.MemberEpoch == joinEpoch && len(c.Owned) > 0 && c.RebalanceTimeout < 0:
		return invalid(mustSayTimeout)
	case c.MemberEpoch == joinEpoch && len(c.Owned) > 0:
		return invalid(mustOwnNothing)
	case c.MemberEpoch == joinEpoch && c.RebalanceTimeout < 0:
		return fault(protocol.UnknownMemberID, mustSayTimeout)
	case c.MemberEpoch == joinEpoch && !c.OwnedSet:
		return fault(protocol.UnknownMemberID, mustOwnNothing)
	case c.MemberEpoch == joinEpoch && !c.TopicsSet && !c.RegexSet:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case c.Assignor != "" && !slices.Contains(g.cfg.Assignors, c.Assignor):
		return fault(protocol.UnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.", c.Assignor, strings.Join(g.cfg.Assignors, ", "))
	}
	return protocol.Fault{}
}

// beat is one heartbeat under way.
type beat struct {
	g   *Group
	now step.Now
	c   *protocol.HeartbeatConsumer
	out *step.Out

	known    *member // the sender, if it is a member already
	replaced *member // the static member whose place the sender takes
	before   member  // the sender as the log has it, or as it begins
	next     member  // and as it will be
	classic  *classicMember
}

// identify finds who sends, and whether it may. Source: getOrMaybeSubscribeDynamicConsumerGroupMember, -StaticConsumerGroupMember.
func (b *beat) identify() protocol.Fault {
	g, c := b.g, b.c
	joins := c.MemberEpoch == joinEpoch
	if !joins && !g.exists {
		return fault(protocol.GroupIDNotFound, "Consumer group %s not found.", g.id)
	}
	b.known = g.members[c.MemberID]
	var holder *member
	if c.InstanceID != "" {
		holder = g.static[c.InstanceID]
	}
	if full := g.cfg.MaxSize > 0 && len(g.order) >= g.cfg.MaxSize; full && b.known == nil && holder == nil {
		return fault(protocol.GroupMaxSizeReached, "the group has %d members, no more are allowed", len(g.order))
	}
	switch {
	case c.InstanceID != "" && !joins && holder == nil:
		return g.noInstance(c)
	case c.InstanceID != "" && !joins && holder != b.known:
		return fencedBy(holder, c)
	case holder != nil && holder != b.known:
		if holder.epoch != staticLeaveEpoch && holder.classic == nil {
			return fault(protocol.UnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.", c.MemberID, c.InstanceID, holder.id)
		}
		b.replace(holder)
		return protocol.Fault{}
	case b.known == nil && !joins:
		return g.noMember(c)
	case b.known == nil:
		b.before = member{id: b.memberID(), rebalanceTimeout: -1}
		return protocol.Fault{}
	}
	return b.checkEpoch()
}

// replace lets the sender begin where a static member was.
func (b *beat) replace(holder *member) {
	b.replaced, b.known = holder, nil
	b.before = *holder
	b.before.id, b.before.epoch, b.before.previousEpoch = b.memberID(), 0, 0
}

// checkEpoch fences members of another epoch than the log's. One that comes with the epoch before may not have seen the answer that
// took it further: it may go on if it holds nothing that it should not. Source: throwIfConsumerGroupMemberEpochIsInvalid.
func (b *beat) checkEpoch() protocol.Fault {
	m, epoch := b.known, b.c.MemberEpoch
	switch {
	case epoch == joinEpoch || epoch == m.epoch:
		return protocol.Fault{}
	case epoch < m.epoch && epoch == m.previousEpoch && b.c.OwnedSet && m.assigned.hasAll(b.c.Owned):
		return protocol.Fault{}
	}
	than := "smaller"
	if epoch > m.epoch {
		than = "greater"
	}
	return fault(protocol.FencedMemberEpoch, "The consumer group member has a %s member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.", than, epoch, m.epoch)
}

const (
	mustOwnNothing = "TopicPartitions must be empty when (re-)joining."
	mustSayTimeout = "RebalanceTimeoutMs must be provided in first request."
)

// noMember, noInstance and fencedBy refuse who is not, or no longer, a member.
func (g *Group) noMember(c *protocol.HeartbeatConsumer) protocol.Fault {
	return fault(protocol.UnknownMemberID, "Member %s is not a member of group %s.", c.MemberID, g.id)
}

func (g *Group) noInstance(c *protocol.HeartbeatConsumer) protocol.Fault {
	return fault(protocol.UnknownMemberID, "Instance id %s is unknown.", c.InstanceID)
}

func fencedBy(holder *member, c *protocol.HeartbeatConsumer) protocol.Fault {
	return fault(protocol.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", c.MemberID, c.InstanceID, holder.id)
}

// memberID is the sender's, or a new one for clients that leave it to the broker (v0): a random UUID in Kafka's text form.
func (b *beat) memberID() string {
	if b.c.MemberID != "" {
		return b.c.MemberID
	}
	var id protocol.TopicID
	binary.BigEndian.PutUint64(id[:8], b.now.Rand())
	binary.BigEndian.PutUint64(id[8:], b.now.Rand())
	return id.String()
}

func millis(d time.Duration) int32 { return int32(min(d.Milliseconds(), math.MaxInt32)) }

// describe puts what the request says into next.
func (b *beat) describe() {
	c, m := b.c, &b.next
	if b.known != nil {
		b.before = *b.known
	}
	*m = b.before
	if c.InstanceID != "" {
		m.instanceID = c.InstanceID
	}
	if c.Rack != "" {
		m.rack = c.Rack
	}
	if c.RebalanceTimeout >= 0 {
		m.rebalanceTimeout = millis(c.RebalanceTimeout)
	}
	if c.Assignor != "" {
		m.assignor = c.Assignor
	}
	if c.TopicsSet {
		m.topics = slices.Clone(c.Topics)
		slices.Sort(m.topics)
		m.topics = slices.Compact(m.topics)
	}
	if c.RegexSet {
		m.regex = c.Regex
	}
	m.clientID, m.clientHost, m.classic = c.ClientID, c.ClientHost, b.classic
}

// change decides a heartbeat that is not idle.
func (b *beat) change() protocol.Fault {
	g, out := b.g, b.out
	b.describe()
	next, isNew := &b.next, b.known == nil
	if next.regex != b.before.regex {
		if f := g.validateRegex(next.regex); f.Failed() {
			return f
		}
	}
	if b.replaced != nil {
		g.tombstones(b.replaced, out)
	}
	if isNew || !next.sameMetadata(&b.before) {
		out.Records = append(out.Records, g.memberRecord(next))
	}
	if b.replaced != nil {
		out.Records = append(out.Records, g.targetMemberRecord(next.id, next.target))
	}

	subscribed := !slices.Equal(next.topics, b.before.topics) || next.regex != b.before.regex
	ch := change{plus: next, bump: subscribed || isNew && b.replaced == nil}
	switch {
	case isNew:
		ch.why = "member " + next.id + " joins"
	case subscribed:
		ch.why = "member " + next.id + " subscribes to other topics"
	}
	if b.known != nil {
		ch.minus = []*member{b.known}
	} else if b.replaced != nil {
		ch.minus = []*member{b.replaced}
	}
	epoch := g.epoch
	if ch.bump || g.mustLook(b.now) {
		epoch = g.look(b.now, &ch, out)
	}
	targetEpoch := g.targetEpoch
	if epoch > g.epoch && g.leads(b.now) {
		next.target = g.assign(b.now, epoch, &ch, out)
		targetEpoch = epoch
	}
	r := reconciliation{g: g, m: next, epoch: targetEpoch, wanted: g.topicIDs(next, ch.resolved), owned: b.c.Owned, ownedSet: b.c.OwnedSet, subscribed: subscribed}
	if f := r.run(); f.Failed() {
		g.topology = neverLooked // what look saw is not written
		return f
	}
	if isNew || !next.sameAssignment(&b.before) {
		out.Records = append(out.Records, g.currentRecord(next))
	}
	answer := g.answer(b.now, b.c, next, len(out.Records) > 0)
	if b.full() || isNew || !next.assigned.samePartitions(b.before.assigned) {
		answer.AssignmentSet, answer.Assignment = true, next.assigned.rows()
	}
	reply(out, b.c, b.c.ReplyTo, answer)
	return protocol.Fault{}
}

// full reports that the member says everything, as it does when it joins and after an error: it is told everything, too.
func (b *beat) full() bool {
	c := b.c
	return c.MemberEpoch == joinEpoch || c.RebalanceTimeout >= 0 && (c.TopicsSet || c.RegexSet) && c.OwnedSet
}
