package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/controller"
)

// DescribeProducers: v0. The producers that have state in a partition, for finding hanging transactions (KIP-664).
//
// Source: ReplicaManager.activeProducerState.

// timeoutDefault is how long requests that name no timeout may take.
const timeoutDefault = 30 * time.Second

func handleDescribeProducers(c *Call) {
	req := kmsg.NewPtrDescribeProducersRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDescribeProducersResponse()
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.Topics = make([]kmsg.DescribeProducersResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t := &req.Topics[i]
		rows := make([]kmsg.DescribeProducersResponseTopicPartition, len(t.Partitions))
		out.Topics[i].Topic, out.Topics[i].Partitions = t.Topic, rows
		for j, number := range t.Partitions {
			all.left++
			c.producersOf(t.Topic, number, func(row kmsg.DescribeProducersResponseTopicPartition) {
				rows[j] = row
				all.one()
			})
		}
	}
	all.one()
}

func (c *Call) producersOf(topic string, number int32, done func(kmsg.DescribeProducersResponseTopicPartition)) {
	row := kmsg.NewDescribeProducersResponseTopicPartition()
	row.Partition = number
	fail := func(f protocol.Fault) {
		row.ErrorCode, row.ErrorMessage = c.failed(f.Code), messageOf(f)
		done(row)
	}
	if f := controller.CheckTopicName(topic); f.Failed() {
		fail(f)
		return
	}
	h, code := c.Conn.leads(topic, number)
	if t, ok := c.Conn.Images.Load().Topic(topic); ok && !hasPartition(t, number) {
		row.ErrorCode = c.failed(code) // without a text, as in Kafka
		done(row)
		return
	}
	if code != protocol.None {
		fail(protocol.Fault{Code: code})
		return
	}
	c.Conn.Host.Ask(h.PID, &protocol.DescribeProducers{Partition: h.Partition}, timeoutDefault, func(reply any, err error) {
		m, ok := reply.(*protocol.ProducersDescribed)
		if err != nil || !ok {
			fail(protocol.Fault{Code: protocol.RequestTimedOut})
			return
		}
		if m.Failed() {
			fail(m.Fault)
			return
		}
		for _, p := range m.Producers {
			row.ActiveProducers = append(row.ActiveProducers, kmsg.DescribeProducersResponseTopicPartitionActiveProducer{
				ProducerID: int64(p.ProducerID), ProducerEpoch: int32(p.ProducerEpoch), LastSequence: p.LastSequence,
				LastTimestamp: p.LastTimestamp, CoordinatorEpoch: p.CoordinatorEpoch, CurrentTxnStartOffset: p.TxnStartOffset,
			})
		}
		done(row)
	})
}
