package offsets

import (
	"time"
	"unicode/utf8"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// retentionMax is the longest retention that a time in milliseconds still holds, far beyond anybody's patience.
const retentionMax = 200 * 365 * 24 * time.Hour

// Commit makes the records of a commit and its answer; no offset changes before their Replay. Rows that came with a code keep it and are
// not committed; a commit over cfg.SizeMax is refused as a whole. The caller has checked the member, and calls Settle when the records were replayed, or are known not to be in the log.
func (s *State) Commit(now step.Now, m *protocol.CommitOffsets, cfg Config, out *step.Out) {
	done := answerFor(m)
	value := Value{Committed: now.Wall.UnixMilli(), Expires: noExpiry}
	inTxn := m.ProducerID >= 0
	if m.Retention >= 0 && !inTxn { // a transaction's has none
		value.Expires = value.Committed + min(m.Retention, retentionMax).Milliseconds()
	}
	size := 0
	for i := range m.Offsets {
		row := &m.Offsets[i]
		if done.Codes[i] = s.check(row, cfg, value.Expires); done.Codes[i] == protocol.None {
			value.Metadata = row.Metadata
			size += keySize(Key{s.group, row.Topic, row.Partition}) + valueSize(&value)
		}
	}
	if cfg.SizeMax > 0 && size > cfg.SizeMax {
		for i, code := range done.Codes {
			if code == protocol.None {
				done.Codes[i] = protocol.InvalidCommitOffsetSize
			}
		}
		size = 0
	}
	buf := make([]byte, 0, size) // of all records together
	for i := range m.Offsets {
		if done.Codes[i] != protocol.None {
			continue
		}
		row := &m.Offsets[i]
		value.Offset, value.LeaderEpoch, value.Metadata, value.TopicID = row.Offset, max(row.LeaderEpoch, protocol.NoLeaderEpoch), row.Metadata, row.TopicID
		from := len(buf)
		buf = AppendKey(buf, Key{s.group, row.Topic, row.Partition})
		mid := len(buf)
		buf = AppendValue(buf, &value)
		out.Records = append(out.Records, step.Record{Key: buf[from:mid:mid], Value: buf[mid:len(buf):len(buf)]})
	}
	if inTxn {
		s.underWay++
		s.markAll(m, 1)
	}
	reply(out, m, m.Head, &done.OffsetsCommitted)
}

// Settle ends a commit: its records were replayed, or are not in the log. m is as it was for Commit, which was called once with it.
func (s *State) Settle(m *protocol.CommitOffsets) {
	if m.ProducerID >= 0 {
		s.underWay--
		s.markAll(m, -1)
	}
}

// markAll makes every partition of a commit unstable, or takes that back; those of rows that are not committed too, for simplicity.
func (s *State) markAll(m *protocol.CommitOffsets, by int32) {
	for i := range m.Offsets {
		s.mark(place{m.Offsets[i].Topic, m.Offsets[i].Partition}, by)
	}
}

// answer is an answer with room for one code, which is what most have.
type answer struct {
	protocol.OffsetsCommitted
	one [1]protocol.Code
}

func answerFor(m *protocol.CommitOffsets) *answer {
	a := &answer{OffsetsCommitted: protocol.OffsetsCommitted{Answer: protocol.Answer{ID: m.ID}}}
	if len(m.Offsets) == 1 {
		a.Codes = a.one[:]
	} else {
		a.Codes = make([]protocol.Code, len(m.Offsets))
	}
	return a
}

// check says whether a row can be committed. Source: OffsetMetadataManager.isMetadataInvalid; the rest is what the format can hold.
func (s *State) check(row *protocol.CommitOffset, cfg Config, expires int64) protocol.Code {
	switch {
	case row.Code != protocol.None:
		return row.Code
	case len(s.group) > stringMax:
		return protocol.InvalidGroupID
	case len(row.Topic) > stringMax || row.Partition < 0:
		return protocol.UnknownTopicOrPartition
	case len(row.Metadata) > cfg.MetadataMax && characters(row.Metadata) > cfg.MetadataMax, expires != noExpiry && len(row.Metadata) > stringMax:
		return protocol.OffsetMetadataTooLarge
	}
	return protocol.None
}

// characters counts as Java does: in UTF-16, where what is beyond U+FFFF takes two.
func characters(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r > 0xffff {
			n++
		}
	}
	return n
}

// tombstone appends the removal of an offset.
func (s *State) tombstone(topic string, partition int32, out *step.Out) {
	k := Key{s.group, topic, partition}
	out.Records = append(out.Records, step.Record{Key: AppendKey(make([]byte, 0, keySize(k)), k)})
}

// Delete removes positions, but of topics to which a member is subscribed. The caller has checked that the group exists. What was never
// committed is deleted without a record. Source: OffsetMetadataManager.deleteOffsets.
func (s *State) Delete(m *protocol.DeleteOffsets, subscribed func(topic string) bool, out *step.Out) {
	done := &protocol.OffsetsDeleted{Answer: protocol.Answer{ID: m.ID}, Codes: make([]protocol.Code, len(m.Offsets))}
	for i, w := range m.Offsets {
		switch {
		case subscribed != nil && subscribed(w.Topic):
			done.Codes[i] = protocol.GroupSubscribedToTopic
		case s.committed.get(w.Topic, w.Partition) != nil || s.isPending(w.Topic, w.Partition):
			s.tombstone(w.Topic, w.Partition, out)
		}
	}
	reply(out, m, m.Head, done)
}

// isPending reports whether an open transaction has a commit for the partition that was replayed.
func (s *State) isPending(topic string, partition int32) bool {
	if s.unstable[place{topic, partition}] == 0 {
		return false
	}
	for _, t := range s.pending {
		if t.get(topic, partition) != nil {
			return true
		}
	}
	return false
}

// DeleteAll removes every position, pending ones too, before their group is deleted. No commit may be under way. There are as many
// records as positions: the caller may append them in several batches.
func (s *State) DeleteAll(out *step.Out) {
	s.dropWhere(func(string) bool { return true }, func(*rest, string) bool { return true }, out)
}

// Topic names one incarnation of a topic; ID is zero if it is not known.
type Topic struct {
	Name string
	ID   protocol.TopicID
}

// DropTopics removes the positions of topics that were deleted, pending ones too, but not those committed for another incarnation of
// the name. There are as many records as positions. Source: OffsetMetadataManager.onTopicsDeleted.
func (s *State) DropTopics(topics []Topic, out *step.Out) {
	if mutation.Is(mutation.InheritOffsets) {
		return
	}
	ids := make(map[string]protocol.TopicID, len(topics))
	for _, t := range topics {
		ids[t.Name] = t.ID
	}
	has := func(topic string) bool {
		_, ok := ids[topic]
		return ok
	}
	s.dropWhere(has, func(r *rest, topic string) bool { return !differ(r.topicID, ids[topic]) }, out)
}

// dropWhere removes what is committed or pending and matches, each partition once, by topic and partition.
func (s *State) dropWhere(topics func(string) bool, matches func(*rest, string) bool, out *step.Out) {
	var all table
	gather := func(t *table) {
		for _, p := range t.topics { // the order is made below
			if !topics(p.topic) {
				continue
			}
			for i := range p.entries {
				if matches(p.entries[i].rest, p.topic) {
					all.put(all.of(p.topic, p.topic), p.entries[i])
				}
			}
		}
	}
	gather(&s.committed)
	for _, t := range s.pending {
		gather(t)
	}
	for _, p := range all.sorted() {
		for _, e := range p.sorted() {
			s.tombstone(p.topic, e.partition, out)
		}
	}
}

// Expiry is when the offsets of a group expire. Source: KIP-211, KIP-496; ClassicGroup.offsetExpirationCondition,
// ModernGroup.offsetExpirationCondition. A classic group that is neither empty, nor without protocol type, nor a stable one of consumers
// whose subscriptions are known, expires nothing: it must not be asked.
type Expiry struct {
	Retention time.Duration // offsets.retention.minutes
	// EmptySince: a classic group with a protocol type that is empty counts from when it became so. Zero: from each commit.
	EmptySince time.Time
	// Subscribed topics do not expire; nil if there are none.
	Subscribed func(topic string) bool
}

// ExpireMax bounds the tombstones of one look for expired offsets; the rest goes with the next.
const ExpireMax = 10_000

// Expire removes the positions that have expired and have nothing pending. It reports whether none will be left, so that the group, if
// it has no members, can be deleted with them.
func (s *State) Expire(now step.Now, x Expiry, out *step.Out) (all bool) {
	if mutation.Is(mutation.ExpireNothing) {
		return false
	}
	wall, made := now.Wall.UnixMilli(), 0
	all = !s.HasPending()
	for _, p := range s.committed.sorted() {
		if x.Subscribed != nil && x.Subscribed(p.topic) && !mutation.Is(mutation.ExpireSubscribed) {
			all = false
			continue
		}
		for _, e := range p.sorted() {
			if !x.expired(&e, wall) || s.unstable[place{p.topic, e.partition}] > 0 || made == ExpireMax {
				all = false
				continue
			}
			s.tombstone(p.topic, e.partition, out)
			made++
		}
	}
	return all
}

func (x *Expiry) expired(e *entry, wall int64) bool {
	if e.rest.expires != noExpiry {
		return wall >= e.rest.expires
	}
	since := e.committed
	if !x.EmptySince.IsZero() && !mutation.Is(mutation.ExpireByCommit) {
		since = x.EmptySince.UnixMilli()
	}
	return wall-since >= x.Retention.Milliseconds()
}
