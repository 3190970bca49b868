package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// OffsetFetch: v1-10.
//
// Behaviour:
//   - A group that does not exist has no offsets and is no error: -1 for what is asked, nothing if all is asked.
//   - v2+: null topics mean all there are. Groups are asked for at once, each at its coordinator (v8+).
//   - RequireStable: UNSTABLE_OFFSET_COMMIT for a partition with an offset in an open transaction (KIP-447).
//   - v10: a topic id that is not known is UNKNOWN_TOPIC_ID on each row.
//   - An offset of another incarnation of the topic is none, also for those who ask by name. Kafka shows them the old one if a commit
//     meets the deletion of its topic.
//
// Version history:
//   - v2: an error of the whole group, which v1 repeats on each row; v5: leader epochs (KIP-320); v6: flexible
//   - v7: require stable; v8: many groups (KIP-709); v9: the member and its epoch, checked (KIP-848); v10: topic ids
//
// Skipped: v0, which Kafka 4.0 removed.
//
// Source: KafkaApis.handleOffsetFetchRequest, OffsetMetadataManager.fetchOffsets, OffsetFetchResponse.

const (
	offsetFetchSinceGroupError = 2
	offsetFetchSinceGroups     = 8
	offsetFetchSinceTopicID    = 10
)

func handleOffsetFetch(c *Call) {
	req := kmsg.NewPtrOffsetFetchRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrOffsetFetchResponse()
	if c.Version < offsetFetchSinceGroups {
		c.fetchGroup(oneGroup(req), req.RequireStable, func(g kmsg.OffsetFetchResponseGroup) {
			out.ErrorCode, out.Topics = g.ErrorCode, oneGroupTopics(g)
			c.reply(out)
		})
		return
	}
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.Groups = make([]kmsg.OffsetFetchResponseGroup, len(req.Groups))
	for i := range req.Groups {
		all.left++
		c.fetchGroup(&req.Groups[i], req.RequireStable, func(g kmsg.OffsetFetchResponseGroup) {
			out.Groups[i] = g
			all.one()
		})
	}
	all.one()
}

// oneGroup is a request below v8 in the form of those since.
func oneGroup(req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchRequestGroup {
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = req.Group
	if req.Topics != nil || req.Version < offsetFetchSinceGroupError {
		g.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(req.Topics))
	}
	for i, t := range req.Topics {
		g.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions}
	}
	return &g
}

func oneGroupTopics(g kmsg.OffsetFetchResponseGroup) []kmsg.OffsetFetchResponseTopic {
	out := make([]kmsg.OffsetFetchResponseTopic, len(g.Topics))
	for i, t := range g.Topics {
		out[i].Topic, out[i].Partitions = t.Topic, make([]kmsg.OffsetFetchResponseTopicPartition, len(t.Partitions))
		for j, p := range t.Partitions {
			out[i].Partitions[j] = kmsg.OffsetFetchResponseTopicPartition(p)
		}
	}
	return out
}

// fetchGroup asks for the offsets of one group and calls done once, now or later.
func (c *Call) fetchGroup(g *kmsg.OffsetFetchRequestGroup, stable bool, done func(kmsg.OffsetFetchResponseGroup)) {
	cmd := &protocol.FetchOffsets{Member: c.member(g.Group, text(g.MemberID), nil), Generation: g.MemberEpoch, RequireStable: stable, All: g.Topics == nil}
	names := c.wantedOffsets(g, cmd)
	askGroup(c, g.Group, cmd, groupWait, func(m *protocol.OffsetsFetched) {
		out := kmsg.NewOffsetFetchResponseGroup()
		out.Group = g.Group
		switch {
		case m.Failed() && c.Version < offsetFetchSinceGroupError:
			out.Topics = c.wantedRows(g, names, func() protocol.CommitOffset { return noOffset(m.Code) })
		case m.Failed():
			out.ErrorCode = c.failed(m.Code)
		case cmd.All:
			out.Topics = c.allRows(m.Offsets)
		default:
			left := m.Offsets
			out.Topics = c.wantedRows(g, names, func() (row protocol.CommitOffset) {
				row, left = left[0], left[1:]
				return row
			})
		}
		done(out)
	})
}

// wantedOffsets puts what a request names into cmd and tells the name of each topic; it is empty for an id that is not known, and the
// coordinator is then not asked.
func (c *Call) wantedOffsets(g *kmsg.OffsetFetchRequestGroup, cmd *protocol.FetchOffsets) (names []string) {
	img := c.Conn.Images.Load()
	names = make([]string, len(g.Topics))
	for i := range g.Topics {
		t := &g.Topics[i]
		w := protocol.WantedOffset{Topic: t.Topic}
		topic, _ := img.Topic(t.Topic)
		if c.Version >= offsetFetchSinceTopicID {
			if topic = topicByID(img, t.TopicID); topic == nil {
				continue
			}
		}
		if topic != nil {
			w.Topic, w.TopicID = topic.Name, topic.ID
		}
		names[i] = w.Topic
		for _, w.Partition = range t.Partitions {
			cmd.Wanted = append(cmd.Wanted, w)
		}
	}
	return names
}

// wantedRows lays out what was asked for; next gives the row of each partition whose topic is known, in order.
func (c *Call) wantedRows(g *kmsg.OffsetFetchRequestGroup, names []string, next func() protocol.CommitOffset) []kmsg.OffsetFetchResponseGroupTopic {
	out := make([]kmsg.OffsetFetchResponseGroupTopic, len(g.Topics))
	for i := range g.Topics {
		t := &g.Topics[i]
		unknown := names[i] == "" && c.Version >= offsetFetchSinceTopicID
		out[i].Topic, out[i].TopicID = t.Topic, t.TopicID
		out[i].Partitions = make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(t.Partitions))
		for j, partition := range t.Partitions {
			row := noOffset(protocol.UnknownTopicID)
			if !unknown {
				row = next()
			}
			out[i].Partitions[j] = c.offsetRow(partition, &row)
		}
	}
	return out
}

// allRows lays out every offset of a group, which come by topic, but those of another incarnation of the topic. From v10 on a topic that
// was deleted, and so has no id, is left out.
func (c *Call) allRows(offsets []protocol.CommitOffset) (out []kmsg.OffsetFetchResponseGroupTopic) {
	img := c.Conn.Images.Load()
	for i := 0; i < len(offsets); {
		t := kmsg.OffsetFetchResponseGroupTopic{Topic: offsets[i].Topic}
		topic, ok := img.Topic(t.Topic)
		if ok {
			t.TopicID = topic.ID
		}
		for ; i < len(offsets) && offsets[i].Topic == t.Topic; i++ {
			if id := offsets[i].TopicID; !ok || id.IsZero() || id == topic.ID {
				t.Partitions = append(t.Partitions, c.offsetRow(offsets[i].Partition, &offsets[i]))
			}
		}
		if len(t.Partitions) > 0 && (ok || c.Version < offsetFetchSinceTopicID) {
			out = append(out, t)
		}
	}
	return out
}

func noOffset(code protocol.Code) protocol.CommitOffset {
	return protocol.CommitOffset{Offset: -1, LeaderEpoch: protocol.NoLeaderEpoch, Code: code}
}

func (c *Call) offsetRow(partition int32, o *protocol.CommitOffset) kmsg.OffsetFetchResponseGroupTopicPartition {
	return kmsg.OffsetFetchResponseGroupTopicPartition{Partition: partition, Offset: o.Offset, LeaderEpoch: int32(o.LeaderEpoch), Metadata: &o.Metadata, ErrorCode: c.failed(o.Code)}
}
