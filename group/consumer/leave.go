package consumer

import (
	"maps"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// leave is a heartbeat with epoch -1 or -2. Source: GroupMetadataManager.consumerGroupLeave.
func (g *Group) leave(now step.Now, c *protocol.HeartbeatConsumer, out *step.Out) {
	m := g.members[c.MemberID]
	switch holder := g.static[c.InstanceID]; {
	case !g.exists:
		refuse(out, c, fault(protocol.GroupIDNotFound, "Group %s not found.", g.id))
		return
	case c.InstanceID == "" && m == nil:
		refuse(out, c, g.noMember(c))
		return
	case c.InstanceID != "" && holder == nil:
		refuse(out, c, g.noInstance(c))
		return
	case c.InstanceID != "" && holder != m:
		refuse(out, c, fencedBy(holder, c))
		return
	}
	if c.MemberEpoch == staticLeaveEpoch {
		// It keeps its place and its partitions until it is back or its session ends; what it had to give up it has given up.
		next := *m
		next.epoch, next.revoking = staticLeaveEpoch, nil
		if !next.sameAssignment(m) {
			out.Records = append(out.Records, g.currentRecord(&next))
		}
	} else {
		g.fence(now, []*member{m}, "left", out)
	}
	answer := &protocol.ConsumerHeartbeat{Answer: protocol.Answer{ID: c.ID}, MemberID: c.MemberID, MemberEpoch: c.MemberEpoch}
	reply(out, c, c.ReplyTo, answer)
}

// leaveGroup takes members out by LeaveGroup, which administrators use, too. Source: classicGroupLeaveToConsumerGroup.
func (g *Group) leaveGroup(now step.Now, c *protocol.LeaveGroup, out *step.Out) {
	if !g.exists {
		reply(out, c, c.ReplyTo, c.Failed(protocol.UnknownMemberID))
		return
	}
	answer := &protocol.GroupLeft{Answer: protocol.Answer{ID: c.ID}, Members: make([]protocol.LeftMember, len(c.Members))}
	var gone []*member
	for i, l := range c.Members {
		m := g.members[l.MemberID]
		code := protocol.None
		if l.InstanceID != "" {
			holder := g.static[l.InstanceID]
			if holder != nil && l.MemberID != "" && holder != m {
				code = protocol.FencedInstanceID
			}
			m = holder
		}
		if m == nil {
			code = protocol.UnknownMemberID
		}
		answer.Members[i] = protocol.LeftMember{MemberID: l.MemberID, InstanceID: l.InstanceID, Code: code}
		if code == protocol.None && !slices.Contains(gone, m) {
			gone = append(gone, m)
		}
	}
	if len(gone) > 0 {
		g.fence(now, gone, "left", out)
	}
	reply(out, c, c.ReplyTo, answer)
}

// fence removes members; the others share what they had from the next target on. Source: consumerGroupFenceMembers.
func (g *Group) fence(now step.Now, gone []*member, why string, out *step.Out) {
	for _, m := range gone {
		g.tombstones(m, out)
	}
	g.look(now, &change{minus: gone, bump: true, why: "member " + gone[0].id + " " + why}, out)
}

// tombstones removes a member. The order matters to Kafka.
func (g *Group) tombstones(m *member, out *step.Out) {
	out.Records = append(out.Records, g.record(kindCurrent, m.id, nil), g.record(kindTargetMember, m.id, nil), g.record(kindMember, m.id, nil))
}

// Tombstone is what removes all of the group from the log. Source: ConsumerGroup.createGroupTombstoneRecords.
func (g *Group) Tombstone() []step.Record {
	var out []step.Record
	for _, k := range []kind{kindCurrent, kindTargetMember} {
		for _, m := range g.order {
			out = append(out, g.record(k, m.id, nil))
		}
	}
	out = append(out, g.record(kindTarget, "", nil))
	for _, m := range g.order {
		out = append(out, g.record(kindMember, m.id, nil))
	}
	for _, expression := range slices.Sorted(maps.Keys(g.regexes)) {
		out = append(out, g.record(kindRegex, expression, nil))
	}
	return append(out, g.record(kindPartitionMetadata, "", nil), g.record(kindGroup, "", nil))
}
