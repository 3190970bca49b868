package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// TxnOffsetCommit: v0-5. Commits offsets of a group as part of a transaction: they count when that commits.
//
// Behaviour:
//   - Offsets of partitions that do not exist are UNKNOWN_TOPIC_OR_PARTITION, the others are committed.
//   - A row for each partition; what is wrong with the group or the producer is said on every row. The empty group is INVALID_GROUP_ID, though
//     OffsetCommit takes it; a producer that is fenced is INVALID_PRODUCER_EPOCH, as in Produce.
//
// Version history:
//   - v2: leader epochs; older clients take COORDINATOR_LOAD_IN_PROGRESS for fatal and get COORDINATOR_NOT_AVAILABLE
//   - v3: flexible, and the member is checked as in OffsetCommit (KIP-447); v4: TRANSACTION_ABORTABLE
//   - v5: the coordinator of the group adds its partition to the transaction (KIP-890)
//
// Skipped: v6, topic ids (KIP-1319), which is newer than Kafka 4.3.
//
// Source: KafkaApis.handleTxnOffsetCommitRequest.

// txnOffsetAdds is the first version whose clients speak TV2.
const txnOffsetAdds = 5

func handleTxnOffsetCommit(c *Call) {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	if !c.read(req) {
		return
	}
	cmd := c.txnOffsets(req)
	done := func(reply any) {
		m, ok := reply.(*protocol.OffsetsCommitted)
		if !ok || len(m.Codes) != len(cmd.Offsets) {
			m, _ = cmd.Failed(protocol.CoordinatorNotAvailable).(*protocol.OffsetsCommitted)
		}
		out, row := kmsg.NewPtrTxnOffsetCommitResponse(), 0
		out.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
		for i := range req.Topics {
			t := &req.Topics[i]
			rows := make([]kmsg.TxnOffsetCommitResponseTopicPartition, len(t.Partitions))
			for j := range t.Partitions {
				code := m.Codes[row]
				if c.Version < 2 && code == protocol.CoordinatorLoadInProgress {
					code = protocol.CoordinatorNotAvailable
				}
				rows[j].Partition, rows[j].ErrorCode = t.Partitions[j].Partition, c.failed(code)
				row++
			}
			out.Topics[i].Topic, out.Topics[i].Partitions = t.Topic, rows
		}
		c.reply(out)
	}
	for i := range cmd.Offsets {
		if req.Group == "" {
			break
		}
		if cmd.Offsets[i].Code == protocol.None {
			to, code := c.Conn.Coordinators.Group(req.Group)
			c.askCoordinator(to, code, cmd, done)
			return
		}
	}
	if req.Group == "" {
		done(cmd.Failed(protocol.InvalidGroupID))
		return
	}
	done(cmd.Failed(protocol.None)) // nothing to commit
}

// txnOffsets is the command for the group's coordinator.
func (c *Call) txnOffsets(req *kmsg.TxnOffsetCommitRequest) *protocol.CommitOffsets {
	cmd := &protocol.CommitOffsets{
		Member:     protocol.Member{GroupID: req.Group, MemberID: req.MemberID, ClientID: c.Client, ClientHost: "/" + c.Conn.Peer.Remote.Addr().Unmap().String()},
		Generation: req.Generation, TransactionalID: req.TransactionalID, Retention: -1, AddPartition: c.Version >= txnOffsetAdds,
		ProducerID: protocol.ProducerID(req.ProducerID), ProducerEpoch: protocol.ProducerEpoch(req.ProducerEpoch),
	}
	if req.InstanceID != nil {
		cmd.InstanceID = *req.InstanceID
	}
	img := c.Conn.Images.Load()
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, ok := img.Topic(t.Topic)
		for j := range t.Partitions {
			cmd.Offsets = append(cmd.Offsets, txnOffset(topic, ok, t.Topic, &t.Partitions[j]))
		}
	}
	return cmd
}

func txnOffset(topic *image.Topic, known bool, name string, p *kmsg.TxnOffsetCommitRequestTopicPartition) protocol.CommitOffset {
	o := protocol.CommitOffset{Topic: name, Partition: p.Partition, Offset: p.Offset, LeaderEpoch: protocol.LeaderEpoch(p.LeaderEpoch)}
	if p.Metadata != nil {
		o.Metadata = *p.Metadata
	}
	if !known || p.Partition < 0 || p.Partition >= topic.NumPartitions() {
		o.Code = protocol.UnknownTopicOrPartition
	} else {
		o.TopicID = topic.ID
	}
	return o
}
