package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// AddPartitionsToTxn: v0-5.
//
// Behaviour:
//   - v0-3 come from producers, v4+ from brokers that lead partitions: some transactions at once, which they may ask only to be verified.
//     Our own partitions ask by messages of their own; whoever sends v4+ is taken for another broker.
//   - One partition that does not exist fails its transaction: it is UNKNOWN_TOPIC_OR_PARTITION, the others OPERATION_NOT_ATTEMPTED.
//
// Version history:
//   - v2: PRODUCER_FENCED (KIP-588); v3: flexible; v4: batches and verification (KIP-890); v5: TRANSACTION_ABORTABLE
//
// Source: KafkaApis.handleAddPartitionsToTxnRequest.

// operationNotAttempted is the code of a row that only failed because another one did.
const operationNotAttempted protocol.Code = 55

// addPartitionsBatched is the first version for brokers.
const addPartitionsBatched = 4

func handleAddPartitionsToTxn(c *Call) {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrAddPartitionsToTxnResponse()
	if c.Version < addPartitionsBatched {
		t := kmsg.AddPartitionsToTxnRequestTransaction{TransactionalID: req.TransactionalID, ProducerID: req.ProducerID, ProducerEpoch: req.ProducerEpoch}
		for _, topic := range req.Topics {
			t.Topics = append(t.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: topic.Topic, Partitions: topic.Partitions})
		}
		c.addPartitions(&t, func(topics []kmsg.AddPartitionsToTxnResponseTransactionTopic) {
			for _, topic := range topics {
				rows := make([]kmsg.AddPartitionsToTxnResponseTopicPartition, len(topic.Partitions))
				for i, p := range topic.Partitions {
					rows[i] = kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: p.Partition, ErrorCode: p.ErrorCode}
				}
				out.Topics = append(out.Topics, kmsg.AddPartitionsToTxnResponseTopic{Topic: topic.Topic, Partitions: rows})
			}
			c.reply(out)
		})
		return
	}
	all := &join{left: 1, done: func() { c.reply(out) }}
	out.Transactions = make([]kmsg.AddPartitionsToTxnResponseTransaction, len(req.Transactions))
	for i := range req.Transactions {
		all.left++
		c.addPartitions(&req.Transactions[i], func(topics []kmsg.AddPartitionsToTxnResponseTransactionTopic) {
			out.Transactions[i].TransactionalID, out.Transactions[i].Topics = req.Transactions[i].TransactionalID, topics
			all.one()
		})
	}
	all.one()
}

// addPartitions answers for one transaction.
func (c *Call) addPartitions(t *kmsg.AddPartitionsToTxnRequestTransaction, done func([]kmsg.AddPartitionsToTxnResponseTransactionTopic)) {
	cmd := &protocol.AddPartitions{
		TransactionalID: t.TransactionalID, ProducerID: protocol.ProducerID(t.ProducerID), ProducerEpoch: protocol.ProducerEpoch(t.ProducerEpoch),
		VerifyOnly: t.VerifyOnly, ByLeader: c.Version >= addPartitionsBatched,
	}
	img := c.Conn.Images.Load()
	var missing []bool // by row
	for _, topic := range t.Topics {
		known, ok := img.Topic(topic.Topic)
		for _, p := range topic.Partitions {
			cmd.Partitions = append(cmd.Partitions, protocol.NamedPartition{Topic: topic.Topic, Partition: p})
			missing = append(missing, !ok || p < 0 || p >= known.NumPartitions())
		}
	}
	answer := func(codeOf func(row int) protocol.Code) {
		topics, row := make([]kmsg.AddPartitionsToTxnResponseTransactionTopic, len(t.Topics)), 0
		for i, topic := range t.Topics {
			rows := make([]kmsg.AddPartitionsToTxnResponseTransactionTopicPartition, len(topic.Partitions))
			for j, p := range topic.Partitions {
				code := orEpoch(codeOf(row), c.Version >= 2)
				rows[j] = kmsg.AddPartitionsToTxnResponseTransactionTopicPartition{Partition: p, ErrorCode: c.failed(code)}
				row++
			}
			topics[i].Topic, topics[i].Partitions = topic.Topic, rows
		}
		done(topics)
	}
	for _, gone := range missing {
		if gone {
			answer(func(row int) protocol.Code {
				if missing[row] {
					return protocol.UnknownTopicOrPartition
				}
				return operationNotAttempted
			})
			return
		}
	}
	if t.TransactionalID == "" {
		answer(func(int) protocol.Code { return protocol.InvalidRequest })
		return
	}
	c.askTransaction(t.TransactionalID, cmd, func(reply any) {
		m, ok := reply.(*protocol.PartitionsAdded)
		answer(func(row int) protocol.Code {
			switch {
			case !ok:
				return protocol.CoordinatorNotAvailable
			case !m.Failed() && row < len(m.Codes):
				return m.Codes[row]
			}
			return m.Code
		})
	})
}
