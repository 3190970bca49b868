package consumer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// consumerType is the protocol type of consumers in the classic protocol; no other can be a member here.
const consumerType = "consumer"

// ClassicMember is a member as a classic group knows it; its fields are those of group/classic's.
type ClassicMember struct {
	MemberID, InstanceID             string
	ClientID, ClientHost             string
	RebalanceTimeout, SessionTimeout time.Duration
	Protocols                        []protocol.GroupProtocol
	Assignment                       []byte
}

// joinClassic lets a member in that speaks the classic protocol. It is led through the same steps as the others, by rebalances of its
// own: REBALANCE_IN_PROGRESS makes it join again, and its join is what a heartbeat is for others. It never waits for anybody.
//
// Source: GroupMetadataManager.classicGroupJoinToConsumerGroup.
func (g *Group) joinClassic(now step.Now, c *protocol.JoinGroup, out *step.Out) {
	refuse := func(code protocol.Code) { reply(out, c, c.ReplyTo, c.Failed(code)) }
	says, ok := subscriptionOf(c.Protocols)
	b := beat{g: g, now: now, out: out}
	switch {
	case g.cfg.NoClassic || c.ProtocolType != consumerType || !ok || !g.supports(c.Protocols):
		refuse(protocol.InconsistentGroupProtocol)
		return
	case g.cfg.MaxSize > 0 && len(g.order) >= g.cfg.MaxSize && g.members[c.MemberID] == nil && g.static[c.InstanceID] == nil:
		refuse(protocol.GroupMaxSizeReached)
		return
	}
	// The join as a heartbeat: one that joins, and may own something.
	b.c = &protocol.HeartbeatConsumer{
		Head: c.Head, Member: c.Member, RebalanceTimeout: c.RebalanceTimeout, Topics: says.Topics, TopicsSet: true, Regex: "", RegexSet: true,
		Owned: g.ownedBy(says), OwnedSet: true,
	}
	if says.Rack != nil {
		b.c.Rack = *says.Rack
	}
	if c.RequireKnownMember && c.MemberID == "" && c.InstanceID == "" {
		answer := c.Failed(protocol.MemberIDRequired).(*protocol.GroupJoined)
		answer.MemberID = b.memberID()
		reply(out, c, c.ReplyTo, answer)
		return
	}
	if code := b.identifyClassic(); code != protocol.None {
		refuse(code)
		return
	}
	b.classic = &classicMember{sessionTimeout: millis(c.SessionTimeout)}
	for _, p := range c.Protocols {
		b.classic.protocols = append(b.classic.protocols, protocol.GroupProtocol{Name: p.Name, Metadata: slices.Clone(p.Metadata)})
	}
	if f := b.change(); f.Failed() {
		out.Reset()
		refuse(f.Code)
		return
	}
	if m := b.known; m != nil { // begin does this for one that is new, or changes
		m.sessionEnds, m.revokeEnds = now.Mono+c.SessionTimeout, now.Mono+c.RebalanceTimeout
	}
	out.Replies = out.Replies[:0]
	answer := &protocol.GroupJoined{
		Answer: protocol.Answer{ID: c.ID}, Generation: b.next.epoch, ProtocolType: consumerType, ProtocolName: c.Protocols[0].Name, MemberID: b.next.id,
	}
	reply(out, c, c.ReplyTo, answer)
}

// identifyClassic finds who joins. One with the instance id and no member id takes the place of who has it.
func (b *beat) identifyClassic() protocol.Code {
	g, c := b.g, b.c
	var holder *member
	if c.InstanceID != "" {
		holder = g.static[c.InstanceID]
	}
	b.known = g.members[c.MemberID]
	switch {
	case c.InstanceID != "" && c.MemberID != "" && holder == nil:
		return protocol.UnknownMemberID
	case c.InstanceID != "" && c.MemberID != "" && holder != b.known:
		return protocol.FencedInstanceID
	case b.known == nil && len(c.Owned) > 0: // it was removed and does not know: others may have what it owns (Kafka lets it in)
		return protocol.UnknownMemberID
	case holder != nil && holder != b.known:
		b.replace(holder)
	case b.known == nil:
		b.before = member{id: b.memberID(), rebalanceTimeout: -1}
	}
	return protocol.None
}

// supports reports whether all members that speak the classic protocol have one of these in common.
func (g *Group) supports(protocols []protocol.GroupProtocol) bool {
	return slices.ContainsFunc(protocols, func(p protocol.GroupProtocol) bool {
		return !slices.ContainsFunc(g.order, func(m *member) bool {
			return m.classic != nil && !slices.ContainsFunc(m.classic.protocols, func(o protocol.GroupProtocol) bool { return o.Name == p.Name })
		})
	})
}

// subscriptionOf reads what a member says to the first of its protocols: all say the same topics.
func subscriptionOf(protocols []protocol.GroupProtocol) (says kmsg.ConsumerMemberMetadata, ok bool) {
	if len(protocols) == 0 || says.ReadFrom(protocols[0].Metadata) != nil {
		return says, false
	}
	return says, true
}

// ownedBy is what a subscription says the member owns, as far as it exists.
func (g *Group) ownedBy(says kmsg.ConsumerMemberMetadata) (out []protocol.TopicPartitions) {
	for _, owned := range says.OwnedPartitions {
		if t, ok := g.img.Topic(owned.Topic); ok {
			out = append(out, protocol.TopicPartitions{Topic: t.ID, Partitions: owned.Partitions})
		}
	}
	return out
}

// classicSender finds a member that speaks the classic protocol, of the generation that is its epoch.
func (g *Group) classicSender(who protocol.Member, generation int32) (*member, protocol.Code) {
	m := g.members[who.MemberID]
	if who.InstanceID != "" {
		holder := g.static[who.InstanceID]
		if holder != nil && holder != m {
			return nil, protocol.FencedInstanceID
		}
		m = holder
	}
	switch {
	case m == nil || m.classic == nil:
		return nil, protocol.UnknownMemberID
	case m.epoch != generation:
		return nil, protocol.IllegalGeneration
	}
	return m, protocol.None
}

// mustRejoin gives a member its rebalance timeout to join again, from the first time it is told.
func (g *Group) mustRejoin(now step.Now, m *member) protocol.Code {
	if m.revokeEnds == step.Never {
		m.revokeEnds = now.Mono + time.Duration(max(m.rebalanceTimeout, 0))*time.Millisecond
		g.sweepAt = min(g.sweepAt, m.revokeEnds)
	}
	return protocol.RebalanceInProgress
}

// syncClassic tells a member what it has; nobody else's assignment is in the request. Source: classicGroupSyncToConsumerGroup.
func (g *Group) syncClassic(now step.Now, c *protocol.SyncGroup, out *step.Out) {
	m, code := g.classicSender(c.Member, c.Generation)
	switch {
	case code != protocol.None:
	case c.ProtocolType != "" && c.ProtocolType != consumerType || c.ProtocolName != "" && len(m.classic.protocols) > 0 && c.ProtocolName != m.classic.protocols[0].Name:
		code = protocol.InconsistentGroupProtocol
	case g.targetEpoch > m.epoch && m.state != unrevoked:
		code = g.mustRejoin(now, m)
	}
	if code != protocol.None {
		reply(out, c, c.ReplyTo, c.Failed(code))
		return
	}
	m.sessionEnds, m.revokeEnds = now.Mono+g.sessionTimeout(m), step.Never
	answer := c.Failed(protocol.None).(*protocol.GroupSynced)
	answer.ProtocolType, answer.ProtocolName, answer.Assignment = c.ProtocolType, c.ProtocolName, g.classicAssignment(m, m.assigned)
	reply(out, c, c.ReplyTo, answer)
}

// heartbeatClassic tells a member whether it must join again. Source: classicGroupHeartbeatToConsumerGroup.
func (g *Group) heartbeatClassic(now step.Now, c *protocol.HeartbeatGroup, out *step.Out) {
	m, code := g.classicSender(c.Member, c.Generation)
	if code == protocol.None {
		m.sessionEnds = now.Mono + g.sessionTimeout(m)
		if m.epoch < g.targetEpoch || m.state == unrevoked || m.state == unreleased && !g.waits(m) {
			code = g.mustRejoin(now, m)
		}
		if g.mustLook(now) { // no client does it for the group
			g.look(now, &change{}, out)
		}
	}
	reply(out, c, c.ReplyTo, c.Failed(code))
}

// waits reports whether something of m's target is in the hands of another.
func (g *Group) waits(m *member) bool {
	for _, row := range m.target {
		for _, p := range row.Partitions {
			owner := g.owner[protocol.TopicPartition{Topic: row.Topic, Partition: p}]
			if owner != nil && owner != m {
				return true
			}
		}
	}
	return false
}

// classicAssignment is what m has, in the form of the consumers' own protocol and of the version in which it speaks.
func (g *Group) classicAssignment(m *member, has holding) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	if len(m.classic.protocols) > 0 && len(m.classic.protocols[0].Metadata) >= 2 {
		a.Version = int16(binary.BigEndian.Uint16(m.classic.protocols[0].Metadata))
	}
	for _, t := range has {
		if topic, ok := g.img.TopicByID(t.topic); ok {
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: topic.Name, Partitions: t.partitions})
		}
	}
	return a.AppendTo(nil)
}

func (m *classicMember) equal(o *classicMember) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.sessionTimeout == o.sessionTimeout && slices.EqualFunc(m.protocols, o.protocols, func(a, b protocol.GroupProtocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// FromClassic is a classic group of consumers as records of this protocol: at the epoch that was its generation, everybody with what it
// had. They belong into one append with the classic group's tombstone; Replay and Loaded make a Group of them. ok is false if a member
// does not speak as consumers do. Source: ConsumerGroup.fromClassicGroup, createConsumerGroupRecords.
func FromClassic(groupID string, now step.Now, generation int32, protocolName string, members []ClassicMember) (records []step.Record, ok bool) {
	g := New(groupID, Config{})
	g.img = now.Image
	if mutation.Is(mutation.EpochRestarts) {
		generation = 0
	}
	order := make([]*member, len(members))
	for i := range members {
		if order[i], ok = g.fromClassic(&members[i], generation, protocolName); !ok {
			return nil, false
		}
	}
	g.keepClaims(order, members, generation, protocolName)
	for _, m := range order {
		m.target = m.assigned.rows()
		records = append(records, g.memberRecord(m), g.targetMemberRecord(m.id, m.target), g.currentRecord(m))
	}
	return append(records, g.groupRecord(generation, 0), g.targetRecord(generation, now.Wall.UnixMilli())), true
}

func (g *Group) fromClassic(c *ClassicMember, generation int32, protocolName string) (*member, bool) {
	chosen := slices.IndexFunc(c.Protocols, func(p protocol.GroupProtocol) bool { return p.Name == protocolName })
	if chosen < 0 {
		return nil, false
	}
	says, ok := subscriptionOf(c.Protocols[chosen:])
	var has kmsg.ConsumerMemberAssignment
	if !ok || len(c.Assignment) > 0 && has.ReadFrom(c.Assignment) != nil {
		return nil, false
	}
	m := &member{
		id: c.MemberID, instanceID: c.InstanceID, clientID: c.ClientID, clientHost: c.ClientHost, topics: slices.Clone(says.Topics),
		rebalanceTimeout: millis(c.RebalanceTimeout), epoch: generation, previousEpoch: generation,
		classic: &classicMember{sessionTimeout: millis(c.SessionTimeout), protocols: c.Protocols},
	}
	if says.Rack != nil {
		m.rack = *says.Rack
	}
	slices.Sort(m.topics)
	m.topics = slices.Compact(m.topics)
	slices.SortFunc(has.Topics, func(a, b kmsg.ConsumerMemberAssignmentTopic) int {
		x, _ := g.img.Topic(a.Topic)
		y, _ := g.img.Topic(b.Topic)
		if x == nil || y == nil {
			return 0
		}
		return compareTopics(x.ID, y.ID)
	})
	for _, t := range has.Topics {
		topic, ok := g.img.Topic(t.Topic)
		if !ok {
			continue
		}
		parts := slices.Clone(t.Partitions)
		slices.Sort(parts)
		for _, p := range slices.Compact(parts) {
			m.assigned.add(topic.ID, p, generation)
		}
	}
	if mutation.Is(mutation.OwnersForgotten) {
		m.assigned = nil
	}
	return m, true
}

// keepClaims lets members of which the classic group has no assignment keep what they said, when they joined last, that they own. A
// rebalance that is broken off forgets the assignments, and cooperative members go on with their partitions until they are told
// otherwise; given to others they would be owned twice (Kafka takes them for free). What another has is not kept, nor what a member of
// a later generation claims.
func (g *Group) keepClaims(order []*member, from []ClassicMember, generation int32, protocolName string) {
	taken := map[protocol.TopicPartition]bool{}
	for _, m := range order {
		for _, row := range m.assigned.rows() {
			for _, p := range row.Partitions {
				taken[protocol.TopicPartition{Topic: row.Topic, Partition: p}] = true
			}
		}
	}
	type claim struct {
		of         *member
		generation int32
		owned      []protocol.TopicPartitions
	}
	var claims []claim
	for i, m := range order {
		if len(from[i].Assignment) > 0 || mutation.Is(mutation.OwnersForgotten) {
			continue
		}
		chosen := slices.IndexFunc(from[i].Protocols, func(p protocol.GroupProtocol) bool { return p.Name == protocolName })
		if says, ok := subscriptionOf(from[i].Protocols[chosen:]); ok {
			claims = append(claims, claim{m, says.Generation, g.ownedBy(says)})
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return int(b.generation) - int(a.generation) })
	for _, c := range claims {
		var parts []protocol.TopicPartition // in order, whatever the client says
		for _, row := range c.owned {
			for _, p := range row.Partitions {
				parts = append(parts, protocol.TopicPartition{Topic: row.Topic, Partition: p})
			}
		}
		slices.SortFunc(parts, func(a, b protocol.TopicPartition) int {
			return cmp.Or(compareTopics(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		for _, at := range parts {
			if !taken[at] {
				taken[at] = true
				c.of.assigned.add(at.Topic, at.Partition, generation)
			}
		}
	}
}

// Downgrade reports that the last member of the consumer protocol has gone and others are left: unless the migration policy forbids it,
// the group goes on as a classic one. True until Appended of a later step; a group that misses the moment serves its members all the
// same. Source: validateOnlineDowngradeWithFencedMembers, -WithReplacedMember.
func (g *Group) Downgrade() bool {
	return g.downgrade && len(g.order) > 0 && !slices.ContainsFunc(g.order, func(m *member) bool { return m.classic == nil })
}

// ClassicMembers are the members as a classic group has them, and the epoch that becomes its generation. What a member was to give up and
// may not know of yet is still its own, should the group come back before the rebalance ends in which it says so (Kafka gives it free).
func (g *Group) ClassicMembers() (generation int32, members []ClassicMember) {
	for _, m := range g.order {
		if m.classic == nil {
			continue
		}
		members = append(members, ClassicMember{
			MemberID: m.id, InstanceID: m.instanceID, ClientID: m.clientID, ClientHost: m.clientHost,
			RebalanceTimeout: time.Duration(m.rebalanceTimeout) * time.Millisecond, SessionTimeout: g.sessionTimeout(m),
			Protocols: m.classic.protocols, Assignment: g.classicAssignment(m, m.assigned.union(m.revoking)),
		})
	}
	if mutation.Is(mutation.EpochRestarts) {
		return 1, members
	}
	return g.epoch, members
}
