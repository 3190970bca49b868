package workload

import (
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file is the requests of a transaction that all transactional producers send alike, but for their versions.

// addPartitionsOf adds a partition to the transaction (TV1).
func addPartitionsOf(transactionalID string, id producerState, at spot) *kmsg.AddPartitionsToTxnRequest {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = transactionalID, id.id, id.epoch
	row := kmsg.NewAddPartitionsToTxnRequestTopic()
	row.Topic, row.Partitions = at.topic.Name, []int32{at.key.Partition}
	req.Topics = append(req.Topics, row)
	return req
}

// produceOf sends one batch.
func (c *client) produceOf(transactionalID string, id producerState, at spot, op *check.Op, sequence int32) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis, req.TransactionID = c.version(req, 3), -1, 5000, kmsg.StringPtr(transactionalID)
	row := kmsg.NewProduceRequestTopic()
	row.Topic, row.TopicID = at.topic.Name, at.topic.ID
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = at.key.Partition, encodeBatch(op, id, sequence, c.stage.PadMax)
	row.Partitions = append(row.Partitions, part)
	req.Topics = append(req.Topics, row)
	return req
}

// produced notes that a batch was acknowledged.
func (c *client) produced(at spot, op *check.Op, part *kmsg.ProduceResponseTopicPartition) {
	op.Offset, op.LogStart = part.BaseOffset, part.LogStartOffset
	c.answeredBy(op)
	if part.BaseOffset < 0 {
		c.stage.violate("%s: acknowledged at offset %d", c.name, part.BaseOffset)
	}
	c.stage.Acked++
	if !at.topic.gone {
		c.stage.Acknowledged(at.topic, op)
	}
	c.stage.highest[op.Key] = max(c.stage.highest[op.Key], part.BaseOffset+int64(len(op.Values)))
}

// endOf ends the transaction.
func (c *client) endOf(transactionalID string, id producerState, commit bool) *kmsg.EndTxnRequest {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version = c.version(req, 0)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = transactionalID, id.id, id.epoch, commit
	return req
}

// identityRequest asks for a new epoch.
func identityRequest(transactionalID string) *kmsg.InitProducerIDRequest {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = kmsg.StringPtr(transactionalID), int32(transactionTimeout.Milliseconds())
	req.ProducerID, req.ProducerEpoch = -1, -1
	return req
}
