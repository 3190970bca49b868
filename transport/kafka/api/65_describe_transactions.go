package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DescribeTransactions: v0. The state of transactional ids, each from its coordinator (KIP-664).
//
// Behaviour:
//   - The start is that of an open transaction, -1 if none is. Kafka names that of the last one, too.
//
// Source: KafkaApis.handleDescribeTransactionsRequest, TransactionCoordinator.handleDescribeTransactions.

func handleDescribeTransactions(c *Call) {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDescribeTransactionsResponse()
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.TransactionStates = make([]kmsg.DescribeTransactionsResponseTransactionState, len(req.TransactionalIDs))
	for i, id := range req.TransactionalIDs {
		all.left++
		cmd := &protocol.DescribeTransaction{TransactionalID: id}
		done := func(reply any) {
			m, ok := reply.(*protocol.TransactionDescribed)
			if !ok {
				m, _ = cmd.Failed(protocol.CoordinatorNotAvailable).(*protocol.TransactionDescribed)
			}
			if m.Failed() {
				out.TransactionStates[i] = kmsg.DescribeTransactionsResponseTransactionState{ErrorCode: c.failed(m.Code), TransactionalID: id}
				all.one()
				return
			}
			out.TransactionStates[i] = kmsg.DescribeTransactionsResponseTransactionState{
				TransactionalID: id, State: m.State, TimeoutMillis: int32(m.Timeout.Milliseconds()), StartTimestamp: m.Start,
				ProducerID: int64(m.ProducerID), ProducerEpoch: int16(m.ProducerEpoch), Topics: describedTopics(m.Partitions),
			}
			all.one()
		}
		if id == "" {
			done(cmd.Failed(protocol.InvalidRequest))
		} else {
			c.askTransaction(id, cmd, done)
		}
	}
	all.one()
}

// describedTopics groups partitions, which come in order.
func describedTopics(partitions []protocol.NamedPartition) (out []kmsg.DescribeTransactionsResponseTransactionStateTopic) {
	for _, p := range partitions {
		if n := len(out); n == 0 || out[n-1].Topic != p.Topic {
			out = append(out, kmsg.DescribeTransactionsResponseTransactionStateTopic{Topic: p.Topic})
		}
		t := &out[len(out)-1]
		t.Partitions = append(t.Partitions, p.Partition)
	}
	return out
}
