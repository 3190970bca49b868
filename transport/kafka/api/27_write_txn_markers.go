package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// WriteTxnMarkers: v1-2. Ends a transaction in partitions: asked for by tools that abort a hanging transaction (KIP-664). Our own
// coordinators send messages of their own.
//
// Behaviour:
//   - A partition of __consumer_offsets gets its marker through its shard, so that the offsets of the transaction count or go; if the
//     shard is not here, that is NOT_LEADER_OR_FOLLOWER. The logs of other coordinators hold no transactions: INVALID_TOPIC_EXCEPTION.
//   - A row for each partition, answered when its marker is durable.
//   - Logged, with who asked for it.
//
// Version history:
//   - v1: flexible; v2: the version of the transaction (KIP-1228)
//
// Source: KafkaApis.handleWriteTxnMarkersRequest.

func handleWriteTxnMarkers(c *Call) {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrWriteTxnMarkersResponse()
	all := &join{left: 1, done: func() {
		c.logMarkers(req, out)
		c.reply(out)
	}}
	out.Markers = make([]kmsg.WriteTxnMarkersResponseMarker, len(req.Markers))
	for i := range req.Markers {
		m := &req.Markers[i]
		topics := make([]kmsg.WriteTxnMarkersResponseMarkerTopic, len(m.Topics))
		out.Markers[i].ProducerID, out.Markers[i].Topics = m.ProducerID, topics
		for j := range m.Topics {
			t := &m.Topics[j]
			rows := make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition, len(t.Partitions))
			topics[j].Topic, topics[j].Partitions = t.Topic, rows
			for k, number := range t.Partitions {
				all.left++
				c.writeMarker(m, t.Topic, number, func(code protocol.Code) {
					rows[k] = kmsg.WriteTxnMarkersResponseMarkerTopicPartition{Partition: number, ErrorCode: c.failed(code)}
					all.one()
				})
			}
		}
	}
	all.one()
}

// logMarkers says whose transactions were ended by whom: it is done behind their coordinators' backs.
func (c *Call) logMarkers(req *kmsg.WriteTxnMarkersRequest, out *kmsg.WriteTxnMarkersResponse) {
	for i := range req.Markers {
		m := &req.Markers[i]
		written, failed := 0, 0
		for _, t := range out.Markers[i].Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					written++
				} else {
					failed++
				}
			}
		}
		c.Conn.Log.Info("transaction ended in partitions", "producer", m.ProducerID, "epoch", m.ProducerEpoch, "commit", m.Committed, "partitions", written,
			"failed", failed, "by", c.requester())
	}
}

func (c *Call) writeMarker(m *kmsg.WriteTxnMarkersRequestMarker, topic string, number int32, done func(protocol.Code)) {
	switch {
	case m.ProducerID < 0 || m.ProducerEpoch < 0:
		done(protocol.InvalidRequest)
	case topic == offsetsTopic:
		c.endOffsets(m, number, done)
	case isInternal(topic):
		done(protocol.InvalidTopic)
	default:
		c.endRecords(m, topic, number, done)
	}
}

// endOffsets ends the transaction in a partition of __consumer_offsets.
func (c *Call) endOffsets(m *kmsg.WriteTxnMarkersRequestMarker, number int32, done func(protocol.Code)) {
	cmd := &protocol.EndOffsets{
		Partition: number, ProducerID: protocol.ProducerID(m.ProducerID), ProducerEpoch: protocol.ProducerEpoch(m.ProducerEpoch),
		CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Committed, TransactionVersion: int16(m.TransactionVersion),
	}
	to, code := c.Conn.Coordinators.GroupShard(number)
	c.askCoordinator(to, code, cmd, func(reply any) {
		code := protocol.CoordinatorNotAvailable
		if m, ok := reply.(*protocol.OffsetsEnded); ok {
			code = m.Code
		}
		switch code {
		case protocol.CoordinatorNotAvailable, protocol.CoordinatorLoadInProgress, protocol.NotCoordinator:
			code = protocol.NotLeaderOrFollower
		}
		done(code)
	})
}

// endRecords ends the transaction in any other partition.
func (c *Call) endRecords(m *kmsg.WriteTxnMarkersRequestMarker, topic string, number int32, done func(protocol.Code)) {
	h, code := c.Conn.leads(topic, number)
	if code != protocol.None {
		done(code)
		return
	}
	clock := c.Conn.Clock
	cmd := &protocol.Produce{
		Partition: h.Partition, LeaderEpoch: protocol.NoLeaderEpoch, Acks: -1, Deadline: clock.Mono() + timeoutDefault, Internal: true,
		Batch:              record.EndTxnMarker(m.ProducerID, m.ProducerEpoch, m.Committed, m.CoordinatorEpoch, clock.Now().UnixMilli()),
		TransactionVersion: int16(m.TransactionVersion),
	}
	c.Conn.Host.Ask(h.PID, cmd, timeoutDefault+askGrace, func(reply any, err error) {
		if p, ok := reply.(*protocol.Produced); ok && err == nil {
			done(p.Code)
		} else {
			done(protocol.RequestTimedOut)
		}
	})
}
