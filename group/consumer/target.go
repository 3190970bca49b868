package consumer

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/assignor"
	"github.com/troupe-broker/troupe/group/step"
)

// assign computes the target for epoch, as the members are after the change, and writes what differs. It returns the part of ch.plus.
// Source: TargetAssignmentBuilder.
func (g *Group) assign(now step.Now, epoch int32, ch *change, out *step.Out) (mine []protocol.TopicPartitions) {
	members := g.membersAfter(ch)
	in := g.assignorInput(members, ch.resolved)
	assign, ok := assignor.ByName(g.assignorAfter(ch))
	if !ok {
		assign = assignor.Uniform
	}
	for i, row := range assign(in) {
		m := members[i]
		if !equalRows(row, m.target) {
			out.Records = append(out.Records, g.targetMemberRecord(m.id, row))
		} else {
			row = m.target
		}
		if m == ch.plus {
			mine = row
		}
	}
	out.Records = append(out.Records, g.targetRecord(epoch, now.Wall.UnixMilli()))
	return mine
}

// membersAfter lists the members after the change, by id.
func (g *Group) membersAfter(ch *change) []*member {
	out := make([]*member, 0, len(g.order)+1)
	for _, m := range g.order {
		if !slices.Contains(ch.minus, m) {
			out = append(out, m)
		}
	}
	if ch.plus != nil {
		at, _ := slices.BinarySearchFunc(out, ch.plus.id, compareMember)
		out = slices.Insert(out, at, ch.plus)
	}
	return out
}

// assignorInput numbers the topics. Members with the same subscription, as most have, share one list.
func (g *Group) assignorInput(members []*member, resolved []resolution) *assignor.Group {
	in := &assignor.Group{Members: make([]assignor.Member, len(members))}
	ids := make([][]protocol.TopicID, len(members))
	for i, m := range members {
		if i > 0 && m.regex == members[i-1].regex && slices.Equal(m.topics, members[i-1].topics) {
			ids[i] = ids[i-1]
			continue
		}
		ids[i] = g.topicIDs(m, resolved)
		for _, id := range ids[i] {
			in.Topics = append(in.Topics, assignor.Topic{ID: id})
		}
	}
	byID := func(a, b assignor.Topic) int { return compareTopics(a.ID, b.ID) }
	slices.SortFunc(in.Topics, byID)
	in.Topics = slices.Compact(in.Topics)
	for i := range in.Topics {
		t, _ := g.img.TopicByID(in.Topics[i].ID)
		in.Topics[i].Partitions = t.NumPartitions()
	}
	for i, m := range members {
		in.Members[i] = assignor.Member{ID: m.id, InstanceID: m.instanceID, Given: m.target}
		if i > 0 && len(ids[i]) == len(ids[i-1]) && (len(ids[i]) == 0 || &ids[i][0] == &ids[i-1][0]) {
			in.Members[i].Topics = in.Members[i-1].Topics
			continue
		}
		for _, id := range ids[i] {
			at, _ := slices.BinarySearchFunc(in.Topics, assignor.Topic{ID: id}, byID)
			in.Members[i].Topics = append(in.Members[i].Topics, int32(at))
		}
	}
	return in
}

// assignorAfter is the one that most members ask for; of equals, and if nobody asks, the one offered first.
// Source: ConsumerGroup.computePreferredServerAssignor.
func (g *Group) assignorAfter(ch *change) string {
	best, votes := assignor.UniformName, 0
	for i, name := range g.cfg.Assignors {
		n := g.assignors[name]
		if ch != nil {
			n -= ch.lost(func(m *member) bool { return m.assignor == name })
			if ch.plus != nil && ch.plus.assignor == name {
				n++
			}
		}
		if i == 0 || n > votes {
			best, votes = name, n
		}
	}
	return best
}
