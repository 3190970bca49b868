package consumer

import (
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// CheckCommit says whether the sender may commit. A member of the consumer protocol has to know its codes. One whose epoch is older than
// the group's knowledge of it may still commit to what it has had since before that epoch. Source: ConsumerGroup.validateOffsetCommit of 4.3 (KIP-1251), OffsetMetadataManager.
func (g *Group) CheckCommit(c *protocol.CommitOffsets) protocol.Code {
	epoch := c.Generation
	transactional := c.TransactionalID != "" || c.ProducerID != protocol.NoProducerID
	switch {
	case epoch < 0 && len(g.order) == 0:
		return protocol.None
	case !g.exists:
		return protocol.IllegalGeneration
	case transactional && epoch == -1 && c.MemberID == "" && c.InstanceID == "":
		return protocol.None
	}
	m := g.members[c.MemberID]
	if m == nil {
		return protocol.UnknownMemberID
	}
	if c.Old && !transactional && m.classic == nil {
		return protocol.UnsupportedVersion
	}
	stale := protocol.StaleMemberEpoch
	if m.classic != nil || transactional { // TxnOffsetCommit has no other code for it
		stale = protocol.IllegalGeneration
	}
	switch {
	case epoch == m.epoch:
		return protocol.None
	case epoch > m.epoch:
		return stale
	}
	for i := range c.Offsets {
		if row := &c.Offsets[i]; row.Code == protocol.None && !g.heldAt(m, row, epoch) {
			return stale
		}
	}
	return protocol.None
}

// heldAt reports whether m has had the partition since epoch, or before.
func (g *Group) heldAt(m *member, row *protocol.CommitOffset, epoch int32) bool {
	id := row.TopicID
	if id.IsZero() && g.img != nil {
		if t, ok := g.img.Topic(row.Topic); ok {
			id = t.ID
		}
	}
	since, ok := m.assigned.epoch(id, row.Partition)
	if !ok {
		since, ok = m.revoking.epoch(id, row.Partition)
	}
	return ok && epoch >= since || mutation.Is(mutation.StaleEpoch)
}

// CheckFetch says whether the sender may fetch offsets. Source: ConsumerGroup.validateOffsetFetch.
func (g *Group) CheckFetch(c *protocol.FetchOffsets) protocol.Code {
	if c.MemberID == "" && c.Generation < 0 {
		return protocol.None
	}
	m := g.members[c.MemberID]
	switch {
	case m == nil:
		return protocol.UnknownMemberID
	case m.epoch == c.Generation:
		return protocol.None
	case m.classic != nil:
		return protocol.IllegalGeneration
	}
	return protocol.StaleMemberEpoch
}

// CheckDelete says whether the group may be deleted. Source: ConsumerGroup.validateDeleteGroup.
func (g *Group) CheckDelete() protocol.Code {
	if !g.Empty() {
		return protocol.NonEmptyGroup
	}
	return protocol.None
}

// CheckDeleteOffsets says whether offsets of topics that are not Subscribed may be deleted: always, as that is known.
// Source: ConsumerGroup.validateOffsetDelete.
func (g *Group) CheckDeleteOffsets() protocol.Code { return protocol.None }

// Expiry says which offsets of the group expire: those of topics that are not subscribed, counted from their commit (since is zero).
// Source: ModernGroup.offsetExpirationCondition.
func (g *Group) Expiry() (since time.Time, subscribed func(topic string) bool, ok bool) {
	return time.Time{}, g.Subscribed, true
}
