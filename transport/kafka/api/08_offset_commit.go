package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// OffsetCommit: v2-10.
//
// Behaviour:
//   - Answered when the offsets are committed. A row of a topic or partition that does not exist is refused by itself, and the others
//     are committed.
//   - Generation -1 without member id commits for a group that nobody is a member of, the empty group id included.
//   - However many partitions a request has room for, they are committed: as several batches if need be, and answered when all are in the log.
//     Only if their records came to more than 128 MiB, by long names, is everything refused, with INVALID_COMMIT_OFFSET_SIZE.
//   - The topic's id is stored with the offset in every version: a topic created later under the same name does not inherit it.
//
// Version history:
//   - v2-4: retention time (KIP-211 ended it); v6: leader epochs (KIP-320); v7: static members (KIP-345); v8: flexible
//   - v9: the consumer protocol (KIP-848), whose members get UNSUPPORTED_VERSION before; GROUP_ID_NOT_FOUND, which is ILLEGAL_GENERATION
//     before; v10: topic ids (KIP-848)
//
// Skipped: v0 and v1, which Kafka 4.0 removed; v0 kept offsets in ZooKeeper.
//
// Source: KafkaApis.handleOffsetCommitRequest, OffsetMetadataManager.commitOffset.

const (
	// retentionMax is the longest retention time taken at its word, in milliseconds: two centuries.
	retentionMax = 200 * 365 * 24 * 3_600_000

	offsetCommitSinceConsumer = 9
	offsetCommitSinceTopicID  = 10
)

func handleOffsetCommit(c *Call) {
	req := kmsg.NewPtrOffsetCommitRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.CommitOffsets{
		Member: c.member(req.Group, req.MemberID, req.InstanceID), Generation: req.Generation, ProducerID: protocol.NoProducerID, ProducerEpoch: -1, Retention: -1,
		Old: c.Version < offsetCommitSinceConsumer,
	}
	if ms := req.RetentionTimeMillis; ms >= 0 {
		cmd.Retention = time.Duration(min(ms, retentionMax)) * time.Millisecond
	}
	found := c.offsetsOf(req, cmd)
	done := func(m *protocol.OffsetsCommitted) { c.offsetsCommitted(req, m.Codes) }
	if !found {
		done(cmd.Failed(protocol.None).(*protocol.OffsetsCommitted))
		return
	}
	askGroup(c, req.Group, cmd, groupWait, done)
}

// offsetsOf flattens the rows of a request into cmd and reports whether any can be committed.
func (c *Call) offsetsOf(req *kmsg.OffsetCommitRequest, cmd *protocol.CommitOffsets) (found bool) {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	cmd.Offsets = make([]protocol.CommitOffset, 0, n)
	img := c.Conn.Images.Load()
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, unknown := c.committedTopic(img, t)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			row := protocol.CommitOffset{Topic: t.Topic, TopicID: t.TopicID, Partition: p.Partition, Offset: p.Offset, LeaderEpoch: protocol.NoLeaderEpoch, Metadata: text(p.Metadata), Code: unknown}
			if c.Version >= 6 {
				row.LeaderEpoch = protocol.LeaderEpoch(p.LeaderEpoch)
			}
			if topic != nil {
				row.Topic, row.TopicID = topic.Name, topic.ID
				if !hasPartition(topic, p.Partition) {
					row.Code = protocol.UnknownTopicOrPartition
				}
			}
			found = found || row.Code == protocol.None
			cmd.Offsets = append(cmd.Offsets, row)
		}
	}
	return found
}

// committedTopic is the topic that a row of a request names, or why there is none.
func (c *Call) committedTopic(img *image.Image, t *kmsg.OffsetCommitRequestTopic) (*image.Topic, protocol.Code) {
	if c.Version >= offsetCommitSinceTopicID {
		if topic := topicByID(img, t.TopicID); topic != nil {
			return topic, protocol.None
		}
		return nil, protocol.UnknownTopicID
	}
	if topic, ok := img.Topic(t.Topic); ok {
		return topic, protocol.None
	}
	return nil, protocol.UnknownTopicOrPartition
}

func (c *Call) offsetsCommitted(req *kmsg.OffsetCommitRequest, codes []protocol.Code) {
	out := kmsg.NewPtrOffsetCommitResponse()
	out.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t := &req.Topics[i]
		rows := make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
		for j := range rows {
			rows[j] = kmsg.OffsetCommitResponseTopicPartition{Partition: t.Partitions[j].Partition, ErrorCode: c.failed(codes[0])}
			codes = codes[1:]
		}
		out.Topics[i] = kmsg.OffsetCommitResponseTopic{Topic: t.Topic, TopicID: t.TopicID, Partitions: rows}
	}
	c.reply(out)
}
