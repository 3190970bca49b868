package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// DescribeTopicPartitions: v0. Metadata in pages, with eligible leader replicas (KIP-966).
//
// Behaviour:
//   - No topics means all, in order of name. At most max.request.partition.size.limit partitions, or what the client asks if that is
//     less; the cursor says where to go on.
//
// Source: DescribeTopicPartitionsRequestHandler, KRaftMetadataCache.describeTopicResponse.

func handleDescribeTopicPartitions(c *Call) {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDescribeTopicPartitionsResponse()
	names, from, fault := c.page(req)
	if fault.Failed() {
		for _, t := range req.Topics {
			row := kmsg.NewDescribeTopicPartitionsResponseTopic()
			row.Topic, row.ErrorCode = &t.Topic, c.failed(fault.Code)
			out.Topics = append(out.Topics, row)
		}
		c.reply(out)
		return
	}
	img := c.Conn.Images.Load()
	d := describer{server: c.Conn.Server, live: map[protocol.NodeID]bool{}}
	for _, n := range img.LiveNodes() {
		d.live[n.ID] = true
	}
	room := max(1, min(req.ResponsePartitionLimit, c.Conn.Settings().MaxRequestPartitionSizeLimit))
	c.describeNames(out, img, &d, names, from, room)
	c.reply(out)
}

// page lists the topics to describe in order, and the partition of the first one to begin with.
func (c *Call) page(req *kmsg.DescribeTopicPartitionsRequest) (names []string, from int32, fault protocol.Fault) {
	first := ""
	if req.Cursor != nil {
		first, from = req.Cursor.Topic, req.Cursor.Partition
	}
	if from < 0 {
		return nil, 0, protocol.Fault{Code: protocol.InvalidRequest}
	}
	if len(req.Topics) == 0 {
		c.Conn.Images.Load().EachTopicFrom(first, func(t *image.Topic) bool {
			names = append(names, t.Name)
			return true
		})
	} else {
		for _, t := range req.Topics {
			if t.Topic >= first {
				names = append(names, t.Topic)
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		if first != "" && (len(names) == 0 || names[0] != first) {
			return nil, 0, protocol.Fault{Code: protocol.InvalidRequest}
		}
	}
	if len(names) > 0 && names[0] != first {
		from = 0 // the topic of the cursor is gone
	}
	return names, from, protocol.Fault{}
}

// describeNames fills the response until room partitions are used up.
func (c *Call) describeNames(out *kmsg.DescribeTopicPartitionsResponse, img *image.Image, d *describer, names []string, from, room int32) {
	for _, name := range names {
		t, ok := img.Topic(name)
		if !ok {
			row := kmsg.NewDescribeTopicPartitionsResponseTopic()
			row.Topic, row.AuthorizedOperations = &name, topicOperations
			code := protocol.UnknownTopicOrPartition
			if !validTopicName(name) {
				code = protocol.InvalidTopic
			}
			row.ErrorCode = c.failed(code)
			out.Topics = append(out.Topics, row)
			continue
		}
		if room == 0 {
			out.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: from}
			return
		}
		row := kmsg.NewDescribeTopicPartitionsResponseTopic()
		row.Topic, row.TopicID, row.IsInternal, row.AuthorizedOperations = &t.Name, t.ID, isInternal(name), topicOperations
		for ; from < t.NumPartitions() && room > 0; from++ {
			row.Partitions = append(row.Partitions, d.described(t, from))
			room--
		}
		out.Topics = append(out.Topics, row)
		if from < t.NumPartitions() {
			out.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: from}
			return
		}
		from = 0
	}
}

func (d *describer) described(t *image.Topic, number int32) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	p, _ := t.Partition(number)
	row := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	leader, offline := d.state(t, number, p)
	row.Partition, row.LeaderID, row.LeaderEpoch = number, int32(leader), int32(p.LeaderEpoch)
	row.Replicas, row.ISR, row.OfflineReplicas = numbers(p.Replicas), numbers(p.ISR), offline
	// Nullable in the schema, but Kafka always sends lists and its own AdminClient fails on null.
	row.EligibleLeaderReplicas, row.LastKnownELR = append([]int32{}, numbers(p.ELR())...), append([]int32{}, numbers(p.LastKnownELR())...)
	if leader == protocol.NoNode {
		row.ErrorCode = int16(leaderNotAvailable)
	}
	return row
}
