package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition"
)

// OffsetForLeaderEpoch: v2-4. Where a leader epoch ends in the log, by which a consumer finds out whether what it read was truncated.
//
// Behaviour:
//   - The largest epoch that is not above the one asked for, and the offset after its last record; -1 and -1 if there is none.
//   - Replica ids are ignored: followers here speak another protocol, and the answer changes nothing.
//
// Version history:
//   - v2: current leader epoch (KIP-320); v3: replica id; v4: flexible
//
// Source: KafkaApis.handleOffsetForLeaderEpochRequest, Partition.lastOffsetForLeaderEpoch.

func handleOffsetForLeaderEpoch(c *Call) {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for i := range req.Topics {
		t := &req.Topics[i]
		rows := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rows.Topic = t.Topic
		for j := range t.Partitions {
			rows.Partitions = append(rows.Partitions, c.epochEnd(t.Topic, &t.Partitions[j]))
		}
		out.Topics = append(out.Topics, rows)
	}
	c.reply(out)
}

func (c *Call) epochEnd(topic string, p *kmsg.OffsetForLeaderEpochRequestTopicPartition) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	row := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	row.Partition = p.Partition
	h, code := c.Conn.leads(topic, p.Partition)
	var view *partition.View
	if code == protocol.None {
		view = h.View()
		code = view.Check(protocol.LeaderEpoch(p.CurrentLeaderEpoch))
	}
	if row.ErrorCode = c.failed(code); code == protocol.None {
		epoch, end := view.EpochEnd(protocol.LeaderEpoch(p.LeaderEpoch))
		row.LeaderEpoch, row.EndOffset = int32(epoch), end
	}
	return row
}
