package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DescribeQuorum: v0-2. The raft group of the metadata log: who leads, its epoch and high watermark, and how far each voter is (KIP-595).
//
// Behaviour:
//   - The figures are raft's own: the epoch is its term, offsets are indexes of its entries. A voter of which this node knows no figure
//     has -1. There are no observers.
//   - Any other partition than __cluster_metadata-0 is UNKNOWN_TOPIC_OR_PARTITION.
//
// Version history:
//   - v1: times of the last fetch (KIP-836); v2: directory ids, nodes (KIP-853)
//
// Source: KafkaRaftClient.handleDescribeQuorumRequest, DescribeQuorumResponse.

const metadataTopic = "__cluster_metadata"

func handleDescribeQuorum(c *Call) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDescribeQuorumResponse()
	out.ErrorMessage = new(string)
	if !asksMetadata(req) {
		out.Topics = c.noQuorum(req)
		c.reply(out)
		return
	}
	c.Conn.askController(&protocol.DescribeQuorum{}, timeoutDefault, func(reply any, code protocol.Code) {
		m, ok := reply.(*protocol.QuorumDescribed)
		switch {
		case !ok:
			out.ErrorCode, out.ErrorMessage = c.failed(code), textOrNull(code.Text())
		case m.Failed():
			out.ErrorCode, out.ErrorMessage = c.failed(m.Code), messageOf(m.Fault)
		default:
			c.quorum(out, m)
		}
		c.reply(out)
	})
}

func asksMetadata(req *kmsg.DescribeQuorumRequest) bool {
	return len(req.Topics) == 1 && req.Topics[0].Topic == metadataTopic && len(req.Topics[0].Partitions) == 1 && req.Topics[0].Partitions[0].Partition == 0
}

// noQuorum are rows for partitions that have none.
func (c *Call) noQuorum(req *kmsg.DescribeQuorumRequest) (out []kmsg.DescribeQuorumResponseTopic) {
	for _, t := range req.Topics {
		row := kmsg.DescribeQuorumResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			part := kmsg.NewDescribeQuorumResponseTopicPartition()
			fault := protocol.Fault{Code: protocol.UnknownTopicOrPartition}
			part.Partition, part.ErrorCode, part.ErrorMessage = p.Partition, c.failed(fault.Code), messageOf(fault)
			row.Partitions = append(row.Partitions, part)
		}
		out = append(out, row)
	}
	return out
}

func (c *Call) quorum(out *kmsg.DescribeQuorumResponse, m *protocol.QuorumDescribed) {
	part := kmsg.NewDescribeQuorumResponseTopicPartition()
	part.LeaderID, part.LeaderEpoch, part.HighWatermark, part.ErrorMessage = int32(m.Leader), m.Epoch, m.HighWatermark, new(string)
	now := c.Conn.Clock.Now().UnixMilli()
	img := c.Conn.Images.Load()
	for _, v := range m.Voters {
		replica := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		replica.ReplicaID, replica.LogEndOffset, replica.LastFetchTimestamp, replica.LastCaughtUpTimestamp = int32(v.Node), v.LogEnd, -1, -1
		if v.Node == m.Leader {
			replica.LastFetchTimestamp, replica.LastCaughtUpTimestamp = now, now
		}
		part.CurrentVoters = append(part.CurrentVoters, replica)
		if n, ok := img.Node(v.Node); ok {
			a := c.Conn.address(c.Conn.Peer, n)
			out.Nodes = append(out.Nodes, kmsg.DescribeQuorumResponseNode{NodeID: int32(v.Node),
				Listeners: []kmsg.DescribeQuorumResponseNodeListener{{Name: c.Conn.Peer.Listener, Host: a.Host, Port: uint16(a.Port)}}})
		}
	}
	out.Topics = []kmsg.DescribeQuorumResponseTopic{{Topic: metadataTopic, Partitions: []kmsg.DescribeQuorumResponseTopicPartition{part}}}
}
