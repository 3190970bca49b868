package classic

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// consumerType is the kind of group whose members subscribe to topics.
const consumerType = "consumer"

// CheckCommit says whether the sender may commit offsets; it changes nothing. Call Heard if it may.
//
// Who belongs to no group may commit while there are no members. In a transaction old clients do not say who they are, and the group's
// state does not matter. Source: ClassicGroup.validateOffsetCommit.
func (g *Group) CheckCommit(in *protocol.CommitOffsets) protocol.Code {
	transactional := in.ProducerID >= 0
	if in.Generation < 0 && g.state == empty {
		return protocol.None
	}
	switch {
	case in.Generation >= 0 || in.MemberID != "" || in.InstanceID != "":
		if _, code := g.validate(in.MemberID, in.InstanceID); code != protocol.None {
			return code
		}
		if in.Generation != g.generation && !mutation.Is(mutation.StaleGeneration) {
			return protocol.IllegalGeneration
		}
	case !transactional:
		return protocol.UnknownMemberID
	}
	if !transactional && g.state == completing {
		return protocol.RebalanceInProgress
	}
	return protocol.None
}

// CheckFetch says whether the sender may fetch offsets: anybody may. Source: ClassicGroup.validateOffsetFetch.
func (g *Group) CheckFetch(*protocol.FetchOffsets) protocol.Code { return protocol.None }

// CheckDeleteOffsets says whether offsets of topics that are not Subscribed may be deleted: not if that cannot be known, because
// members of some other kind than consumers are there. Source: ClassicGroup.validateOffsetDelete.
func (g *Group) CheckDeleteOffsets() protocol.Code {
	if g.state != empty && g.protocolType != consumerType {
		return protocol.NonEmptyGroup
	}
	return protocol.None
}

// CheckDelete says whether the group may be deleted. Source: ClassicGroup.validateDeleteGroup.
func (g *Group) CheckDelete() protocol.Code {
	if g.state != empty {
		return protocol.NonEmptyGroup
	}
	return protocol.None
}

// Expiry says which offsets of the group expire: those of topics that are not subscribed (nil: of all topics), counted from since, or
// from their commit if since is zero. ok is false if none do. Source: ClassicGroup.offsetExpirationCondition.
func (g *Group) Expiry() (since time.Time, subscribed func(topic string) bool, ok bool) {
	switch {
	case g.protocolType == "":
		return time.Time{}, nil, true
	case g.state == empty:
		return g.EmptySince(), nil, true
	case g.state == stable && g.protocolType == consumerType:
		return time.Time{}, g.Subscribed, true // of everything, if that is not known
	}
	return time.Time{}, nil, false
}

// Subscribed reports whether a member is subscribed to the topic, as of the beginning of the generation. If what the consumers said
// cannot be understood they may be subscribed to anything. Source: ClassicGroup.isSubscribedToTopic.
func (g *Group) Subscribed(topic string) bool {
	if !g.topicsKnown {
		return g.protocolType == consumerType
	}
	_, found := slices.BinarySearch(g.topics, topic)
	return found
}

// readTopics finds out what the members are subscribed to. Source: ClassicGroup.computeSubscribedTopics.
func (g *Group) readTopics() {
	g.topics, g.topicsKnown = nil, false
	if g.protocolType != consumerType || len(g.members) > 0 && g.protocol == nil {
		return
	}
	for _, m := range g.members {
		metadata, _ := m.metadata(*g.protocol)
		topics, ok := subscription(metadata)
		if !ok {
			g.topics = nil
			return
		}
		g.topics = append(g.topics, topics...)
	}
	slices.Sort(g.topics)
	g.topics, g.topicsKnown = slices.Clip(slices.Compact(g.topics)), true
}

// subscription reads the topics of a ConsumerProtocolSubscription. Whatever its version, it begins as version 0 does: version int16,
// topics []string, user data bytes. Source: ConsumerProtocol.deserializeConsumerProtocolSubscription.
func subscription(in []byte) (topics []string, ok bool) {
	r := reader{in: in}
	if version := r.int16(); version < 0 {
		return nil, false
	}
	for range r.count(2) {
		topics = append(topics, r.string())
		if r.bad != nil {
			return nil, false
		}
	}
	if n := r.int32(); n >= 0 {
		r.span(int(n))
	}
	return topics, r.bad == nil
}

// describe answers in the classic form; what members said and were given belongs together only in a stable group.
// Source: GroupMetadataManager.describeGroups.
func (g *Group) describe(in *protocol.DescribeGroup) *protocol.GroupDescribed {
	if !in.Classic {
		ans := in.Failed(protocol.GroupIDNotFound).(*protocol.GroupDescribed)
		ans.Reason = "Group " + g.id + " is not a consumer group."
		return ans
	}
	ans := &protocol.GroupDescribed{Answer: protocol.Answer{ID: in.ID}, GroupID: g.id, State: g.State(), Epoch: g.generation, ProtocolType: g.protocolType}
	for _, m := range g.members {
		said := protocol.DescribedMember{Assignment: m.assignment, Member: protocol.Member{GroupID: g.id, MemberID: m.id,
			InstanceID: m.instance, ClientID: m.clientID, ClientHost: m.clientHost}}
		if g.state == stable {
			said.Metadata, _ = m.metadata(*g.protocol)
		}
		ans.Members = append(ans.Members, said)
	}
	slices.SortFunc(ans.Members, func(a, b protocol.DescribedMember) int { return strings.Compare(a.MemberID, b.MemberID) })
	if g.state == stable {
		ans.Protocol = *g.protocol
	}
	return ans
}

// Tombstone removes the group from the log.
func (g *Group) Tombstone() []step.Record { return []step.Record{{Key: appendKey(g.id)}} }
