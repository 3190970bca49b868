package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// OffsetDelete: v0. Removes committed offsets of topics to which no member of the group is subscribed (KIP-496).
//
// Behaviour:
//   - A partition that does not exist is UNKNOWN_TOPIC_OR_PARTITION by itself; the rest is deleted. An error of the whole group leaves
//     no rows.
//
// Source: KafkaApis.handleOffsetDeleteRequest, OffsetMetadataManager.deleteOffsets.

func handleOffsetDelete(c *Call) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	if !c.read(req) {
		return
	}
	img := c.Conn.Images.Load()
	cmd := &protocol.DeleteOffsets{GroupID: req.Group}
	var codes []protocol.Code // of every row, in order
	var asked []int           // rows that the coordinator is asked for
	for i := range req.Topics {
		topic, _ := img.Topic(req.Topics[i].Topic)
		for _, p := range req.Topics[i].Partitions {
			code := protocol.UnknownTopicOrPartition
			if hasPartition(topic, p.Partition) {
				code = protocol.None
				asked = append(asked, len(codes))
				cmd.Offsets = append(cmd.Offsets, protocol.WantedOffset{Topic: topic.Name, Partition: p.Partition})
			}
			codes = append(codes, code)
		}
	}
	done := func(m *protocol.OffsetsDeleted) {
		for i, code := range m.Codes {
			codes[asked[i]] = code
		}
		c.offsetsDeleted(req, m.Code, codes)
	}
	if req.Group == "" {
		done(cmd.Failed(protocol.InvalidGroupID).(*protocol.OffsetsDeleted))
		return
	}
	askGroup(c, req.Group, cmd, groupWait, done)
}

func (c *Call) offsetsDeleted(req *kmsg.OffsetDeleteRequest, code protocol.Code, codes []protocol.Code) {
	out := kmsg.NewPtrOffsetDeleteResponse()
	if out.ErrorCode = c.failed(code); code != protocol.None {
		c.reply(out)
		return
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		row := kmsg.OffsetDeleteResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			row.Partitions = append(row.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition, ErrorCode: c.failed(codes[0])})
			codes = codes[1:]
		}
		out.Topics = append(out.Topics, row)
	}
	c.reply(out)
}
