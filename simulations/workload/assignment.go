package workload

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file is what members of classic groups say to each other, in the form of Kafka's consumers, which the broker reads when it
// changes the protocol of a group.

// claim is what a member said to the leader that it owns, as of a generation.
type claim struct {
	member     string
	generation int32
	owned      []spot
}

// subscription is a ConsumerProtocolSubscription: eager members use version 0 or 1 and own nothing, cooperative ones say what they own.
func (m *Member) subscription() []byte {
	says := kmsg.NewConsumerMemberMetadata()
	for _, at := range m.topics() {
		if !slices.Contains(says.Topics, at.topic.Name) {
			says.Topics = append(says.Topics, at.topic.Name)
		}
	}
	if m.cooperative {
		says.Version, says.Generation = 2, m.who.generation
		for _, at := range m.owned {
			i := slices.IndexFunc(says.OwnedPartitions, func(o kmsg.ConsumerMemberMetadataOwnedPartition) bool { return o.Topic == at.topic.Name })
			if i < 0 {
				i = len(says.OwnedPartitions)
				says.OwnedPartitions = append(says.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: at.topic.Name})
			}
			says.OwnedPartitions[i].Partitions = append(says.OwnedPartitions[i].Partitions, at.key.Partition)
		}
	}
	return says.AppendTo(nil)
}

// readClaims is what the leader is told of the members.
func (m *Member) readClaims(members []kmsg.JoinGroupResponseMember) (out []claim) {
	for _, o := range members {
		var says kmsg.ConsumerMemberMetadata
		if err := says.ReadFrom(o.ProtocolMetadata); err != nil {
			m.stage.violate("%s: JoinGroup tells metadata %x of %s", m.name, o.ProtocolMetadata, o.MemberID)
		}
		c := claim{member: o.MemberID, generation: says.Generation}
		for _, t := range says.OwnedPartitions {
			c.owned = append(c.owned, m.stage.spotsOf(t.Topic, t.Partitions)...)
		}
		out = append(out, c)
	}
	return out
}

// spotsOf are partitions of the topic that has a name; none if there is none.
func (s *Stage) spotsOf(name string, partitions []int32) (out []spot) {
	i := slices.IndexFunc(s.topics, func(t *Topic) bool { return t.Name == name })
	for _, p := range partitions {
		if i >= 0 && p < s.topics[i].Partitions {
			out = append(out, spot{s.topics[i], protocol.TopicPartition{Topic: s.topics[i].ID, Partition: p}})
		}
	}
	return out
}

// assign is the leader's work: the partitions in order, in as many ranges as there are members.
func (m *Member) assign() (out []kmsg.SyncGroupRequestGroupAssignment) {
	all := m.topics()
	given := make([][]spot, len(m.claims))
	if m.cooperative {
		given = m.share(all)
	} else {
		for i := range m.claims {
			given[i] = all[i*len(all)/len(m.claims) : (i+1)*len(all)/len(m.claims)]
		}
	}
	for i, c := range m.claims {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = c.member, encodeAssignment(given[i])
		out = append(out, a)
	}
	return out
}

// share lets every member keep what it claims, up to its part; the rest goes to who has less. What another claims is given to nobody in
// this round: it has to be given up first.
func (m *Member) share(all []spot) [][]spot {
	given, part := make([][]spot, len(m.claims)), (len(all)+len(m.claims)-1)/len(m.claims)
	var left []spot
	for _, at := range all {
		claimed := -1
		for i, c := range m.claims {
			switch {
			case !slices.Contains(c.owned, at):
			case claimed >= 0: // two claim it: both have to give it up
				claimed = -2
			case claimed == -1:
				claimed = i
			}
		}
		switch {
		case claimed == -2:
			m.withheld = true
		case claimed >= 0 && len(given[claimed]) < part:
			given[claimed] = append(given[claimed], at)
		default:
			left = append(left, at)
		}
	}
	for _, at := range left {
		least := 0
		for i := range given {
			if len(given[i]) < len(given[least]) {
				least = i
			}
		}
		if slices.ContainsFunc(m.claims, func(c claim) bool { return c.member != m.claims[least].member && slices.Contains(c.owned, at) }) {
			m.withheld = true
			continue
		}
		given[least] = append(given[least], at)
	}
	return given
}

func encodeAssignment(spots []spot) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	for _, at := range spots {
		i := slices.IndexFunc(a.Topics, func(o kmsg.ConsumerMemberAssignmentTopic) bool { return o.Topic == at.topic.Name })
		if i < 0 {
			i = len(a.Topics)
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: at.topic.Name})
		}
		a.Topics[i].Partitions = append(a.Topics[i].Partitions, at.key.Partition)
	}
	return a.AppendTo(nil)
}

func (m *Member) readAssignment(b []byte) (out []spot, ok bool) {
	var a kmsg.ConsumerMemberAssignment
	if len(b) > 0 && a.ReadFrom(b) != nil {
		return nil, false
	}
	for _, t := range a.Topics {
		out = append(out, m.stage.spotsOf(t.Topic, t.Partitions)...)
	}
	return out, true
}
