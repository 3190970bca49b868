package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DeleteRecords: v0-2. Moves the log start of partitions (KIP-107).
//
// Behaviour:
//   - Offset -1 means the high watermark. The answer is the new low watermark, once it is durable.
//   - A topic that is only compacted is refused with POLICY_VIOLATION: its records are not ours to drop by offset. One without any
//     policy keeps its records until somebody deletes them this way.
//
// Version history:
//   - v2: flexible
//
// Source: ReplicaManager.deleteRecords, Partition.deleteRecordsOnLeader.

func handleDeleteRecords(c *Call) {
	req := kmsg.NewPtrDeleteRecordsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDeleteRecordsResponse()
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.Topics = make([]kmsg.DeleteRecordsResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t := &req.Topics[i]
		rows := make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		out.Topics[i].Topic, out.Topics[i].Partitions = t.Topic, rows
		for j := range t.Partitions {
			all.left++
			c.deleteRecords(t.Topic, &t.Partitions[j], req.TimeoutMillis, func(low int64, code protocol.Code) {
				rows[j] = kmsg.DeleteRecordsResponseTopicPartition{Partition: t.Partitions[j].Partition, LowWatermark: low, ErrorCode: c.failed(code)}
				all.one()
			})
		}
	}
	all.one()
}

func (c *Call) deleteRecords(topic string, p *kmsg.DeleteRecordsRequestTopicPartition, timeoutMs int32, done func(low int64, code protocol.Code)) {
	h, code := c.Conn.leads(topic, p.Partition)
	switch {
	case code != protocol.None:
	case isInternal(topic):
		code = protocol.InvalidTopic
	case h.View().Config.OnlyCompacts():
		code = protocol.PolicyViolation
	case p.Offset < -1:
		code = protocol.OffsetOutOfRange
	}
	if code != protocol.None {
		done(-1, code)
		return
	}
	cmd := &protocol.DeleteRecords{Partition: h.Partition, Before: p.Offset}
	c.Conn.Host.Ask(h.PID, cmd, timeout(timeoutMs)+askGrace, func(reply any, err error) {
		m, ok := reply.(*protocol.RecordsDeleted)
		switch {
		case err != nil || !ok:
			done(-1, protocol.RequestTimedOut)
		case m.Failed():
			done(-1, m.Code)
		default:
			done(m.LowWatermark, protocol.None)
		}
	})
}
