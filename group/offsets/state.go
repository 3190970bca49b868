package offsets

import (
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// Config is what settings say about committed offsets.
type Config struct {
	MetadataMax int // characters; offset.metadata.max.bytes
	SizeMax     int // bytes of the records of one commit; 0: no bound
}

// State is the committed offsets of one group.
type State struct {
	group     string
	committed table
	// pending are the commits of transactions that have not ended.
	pending map[protocol.ProducerID]*table
	// unstable counts, of every partition, the transactions with a pending commit and the commits of transactions under way. A
	// partition without any is not in it.
	unstable map[place]int32
	underWay int // commits of transactions between Commit and Settle
}

// place names one partition.
type place struct {
	topic     string
	partition int32
}

// New is a group without offsets.
func New(groupID string) *State { return &State{group: groupID} }

// Len is the number of committed offsets; those pending are not counted.
func (s *State) Len() int { return s.committed.len }

// HasPending reports whether a transaction with offsets of this group is open, or a commit of one is under way.
func (s *State) HasPending() bool { return len(s.pending) > 0 || s.underWay > 0 }

// Empty reports that there is nothing left: no offset, none pending, none under way.
func (s *State) Empty() bool { return s.committed.len == 0 && !s.HasPending() }

// Replay applies one record: when loading, and when what Commit or another decision made is in the log. value is nil for a tombstone.
// producerID is that of the batch: with a transaction's, the offset is pending until EndTxn. logOffset is where the record stands in the
// log and rises from call to call. The error is ErrMalformed, and the state is unchanged. Neither key nor value is kept.
func (s *State) Replay(key, value []byte, producerID protocol.ProducerID, logOffset int64) error {
	k, err := parseKey(key)
	if err != nil {
		return err
	}
	if value == nil {
		s.remove(k.Topic, k.Partition)
		return nil
	}
	v, err := parseValue(value)
	if err != nil {
		return err
	}
	if producerID < 0 || mutation.Is(mutation.PendingVisible) {
		s.committed.put(entryOf(s.committed.of(k.Topic, ""), k.Partition, &v, logOffset))
		return nil
	}
	t := s.pending[producerID]
	if t == nil {
		if s.pending == nil {
			s.pending = map[protocol.ProducerID]*table{}
		}
		t = &table{}
		s.pending[producerID] = t
	}
	p, e := entryOf(t.of(k.Topic, ""), k.Partition, &v, logOffset)
	if t.get(k.Topic, k.Partition) == nil {
		s.mark(place{p.topic, k.Partition}, 1)
	}
	t.put(p, e)
	return nil
}

func entryOf(p *parts, partition int32, v *Value, logOffset int64) (*parts, entry) {
	return p, entry{partition, v.LeaderEpoch, v.Offset, v.Committed, logOffset, p.restOf(v)}
}

// remove applies a tombstone: what is committed goes, and what is pending. topic may be a view.
func (s *State) remove(topic string, partition int32) {
	s.committed.remove(topic, partition)
	if s.unstable[place{topic, partition}] == 0 {
		return
	}
	for id, t := range s.pending { // in any order: each is changed by itself
		name, ok := t.remove(topic, partition)
		if !ok {
			continue
		}
		s.mark(place{name, partition}, -1)
		if t.len == 0 {
			delete(s.pending, id)
		}
	}
}

// EndTxn applies the marker of a transaction: with commit its pending offsets count, but where a commit that stands after them in the
// log counts already; else they are gone. A producer without any is nothing unusual: the marker goes to all groups of the partition.
func (s *State) EndTxn(producerID protocol.ProducerID, commit bool) {
	t := s.pending[producerID]
	if t == nil {
		return
	}
	delete(s.pending, producerID)
	for _, p := range t.topics { // in any order: each partition is changed by itself
		for i := range p.entries {
			e := p.entries[i]
			s.mark(place{p.topic, e.partition}, -1)
			if before := s.committed.get(p.topic, e.partition); (commit || mutation.Is(mutation.AbortCommitsOffsets)) && (before == nil || e.at > before.at) {
				s.committed.put(s.committed.of(p.topic, p.topic), e)
			}
		}
	}
}

// mark counts a reason for which the partition is unstable, or takes one away. at.topic must not be a view: the map keeps it.
func (s *State) mark(at place, by int32) {
	n := s.unstable[at] + by
	if n <= 0 {
		delete(s.unstable, at)
		return
	}
	if s.unstable == nil {
		s.unstable = map[place]int32{}
	}
	s.unstable[at] = n
}

// Producers are the open transactions with offsets of this group, in no order.
func (s *State) Producers() []protocol.ProducerID {
	out := make([]protocol.ProducerID, 0, len(s.pending))
	for id := range s.pending {
		out = append(out, id)
	}
	return out
}

// Fetch answers with the committed positions. The caller has checked the member. A topic that is asked for by an id that is not the one
// committed has no position: it is another topic.
func (s *State) Fetch(m *protocol.FetchOffsets) *protocol.OffsetsFetched {
	out := &protocol.OffsetsFetched{Answer: protocol.Answer{ID: m.ID}}
	if m.All {
		s.fetchAll(m.RequireStable, out)
		return out
	}
	out.Offsets = make([]protocol.CommitOffset, len(m.Wanted))
	for i := range m.Wanted {
		w := &m.Wanted[i]
		row := nothing(w.Topic, w.Partition)
		row.TopicID = w.TopicID
		if m.RequireStable && s.unstable[place{w.Topic, w.Partition}] > 0 {
			row.Code = protocol.UnstableOffsetCommit
		} else if e := s.committed.get(w.Topic, w.Partition); e != nil && !differ(e.rest.topicID, w.TopicID) {
			row.fill(e)
		}
		out.Offsets[i] = row.CommitOffset
	}
	return out
}

func (s *State) fetchAll(stable bool, out *protocol.OffsetsFetched) {
	out.Offsets = make([]protocol.CommitOffset, 0, s.committed.len)
	for _, p := range s.committed.sorted() {
		for _, e := range p.sorted() {
			row := nothing(p.topic, e.partition)
			if stable && s.unstable[place{p.topic, e.partition}] > 0 {
				row.Code = protocol.UnstableOffsetCommit
			} else {
				row.fill(&e)
			}
			out.Offsets = append(out.Offsets, row.CommitOffset)
		}
	}
}

// fetched is a row of an answer in the making.
type fetched struct{ protocol.CommitOffset }

func nothing(topic string, partition int32) fetched {
	return fetched{protocol.CommitOffset{Topic: topic, Partition: partition, Offset: -1, LeaderEpoch: protocol.NoLeaderEpoch}}
}

func (f *fetched) fill(e *entry) {
	f.Offset, f.LeaderEpoch, f.Metadata = e.offset, e.leaderEpoch, e.rest.metadata
	if f.TopicID.IsZero() {
		f.TopicID = e.rest.topicID
	}
}

// differ reports that both ids are known and not the same. Source: OffsetMetadataManager.isMismatchedTopicId.
func differ(a, b protocol.TopicID) bool {
	return !a.IsZero() && !b.IsZero() && a != b && !mutation.Is(mutation.InheritOffsets)
}

// Committed is one committed offset, for those who watch a group.
type Committed struct {
	Topic     string
	Partition int32
	Offset    int64
	At        time.Time // when it was committed
}

// Each calls f with every committed offset, by topic and partition, until it returns false.
func (s *State) Each(f func(Committed) bool) {
	for _, p := range s.committed.sorted() {
		for _, e := range p.sorted() {
			if !f(Committed{p.topic, e.partition, e.offset, time.UnixMilli(e.committed)}) {
				return
			}
		}
	}
}

// reply answers a command.
func reply(out *step.Out, in step.Command, to protocol.Head, msg any) {
	out.Replies = append(out.Replies, step.Reply{Command: in, To: to.ReplyTo, Msg: msg})
}
