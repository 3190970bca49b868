package workload

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file is the steps of one transaction of a Copier, in the order in which they go.

// perhaps goes on at once, or sleeps first, until the transaction or the membership is over.
func (c *Copier) perhaps(next func()) {
	if c.rng.IntN(80) == 0 && !c.stage.stopped {
		c.stage.sometimes("copier slept in a transaction", true)
		c.stage.env.After(c.pause(transactionTimeout), next)
		return
	}
	next()
}

// decide judges the code of a step: goOn when it is done, false to try again, else the end of the transaction.
func (c *Copier) decide(api string, code protocol.Code, goOn func()) bool {
	c.stage.saw(api, int16(code))
	switch {
	case code == protocol.None:
		c.perhaps(goOn)
	case coming(code):
		return false
	default:
		c.stage.sometimes("copier refused: "+api+" "+code.Name(), true)
		c.giveUp()
	}
	return true
}

// addPartition adds the output partition to the transaction (TV1).
func (c *Copier) addPartition() {
	c.try(stepTimeout, func() kmsg.Request {
		req := addPartitionsOf(c.transactionalID, c.id, c.txn.to)
		req.Version = c.at(req, 0)
		return req
	}, func(r kmsg.Response) bool {
		return c.decide("AddPartitionsToTxn", protocol.Code(r.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode), c.produce)
	}, func() {}, c.giveUp)
}

// produce sends the copies.
func (c *Copier) produce() {
	x := c.txn
	op := check.Op{
		Process: c.process, Func: check.Send, Key: x.to.key, Acks: -1, Idempotent: true, Offset: -1, LogStart: -1, Txn: x.number,
		Values: c.stage.nextValues(len(x.reads)), ByName: c.version(kmsg.NewPtrProduceRequest(), 3) < 13,
	}
	for i, v := range op.Values {
		op.Timestamps = append(op.Timestamps, c.stage.env.Wall().UnixMilli())
		c.stage.Rec.CopyOf(v, check.Copy{From: x.from.key, Offset: x.reads[i].Offset, Source: x.reads[i].Value})
	}
	x.send = c.stage.Rec.Invoke(op)
	sequence := c.sequences[x.to.key]
	c.try(stepTimeout, func() kmsg.Request {
		return c.produceOf(c.transactionalID, c.id, x.to, x.send, sequence)
	}, func(r kmsg.Response) bool {
		part := findProduced(r.(*kmsg.ProduceResponse), &lane{topic: x.to.topic, key: x.to.key})
		code := protocol.Code(part.ErrorCode)
		if code == protocol.None {
			c.produced(x.to, x.send, part)
			c.stage.Rec.Complete(x.send, check.OK)
			c.sequences[x.to.key] = advance(sequence, len(x.send.Values))
		}
		x.unsure = x.unsure || coming(code)
		return c.decide("Produce", code, c.addOffsets)
	}, func() { x.unsure = true }, func() { x.unsure = true; c.giveUp() })
}

// addOffsets adds the group to the transaction (TV1).
func (c *Copier) addOffsets() {
	if c.tv2 {
		c.commitOffset()
		return
	}
	c.try(stepTimeout, func() kmsg.Request {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.Version = c.at(req, 0)
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = c.transactionalID, c.id.id, c.id.epoch, copierGroup
		return req
	}, func(r kmsg.Response) bool {
		return c.decide("AddOffsetsToTxn", protocol.Code(r.(*kmsg.AddOffsetsToTxnResponse).ErrorCode), c.commitOffset)
	}, func() {}, c.giveUp)
}

// commitOffset commits the group's offset in the transaction, as the member that read.
func (c *Copier) commitOffset() {
	x := c.txn
	x.offset = c.newCommit(copierGroup, x.from, x.position, x.who, x.number)
	c.try(stepTimeout, func() kmsg.Request {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.Version = c.version(req, 3)
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = c.transactionalID, c.id.id, c.id.epoch, copierGroup
		req.Generation, req.MemberID = x.who.generation, x.who.member
		if x.who.instance != "" {
			req.InstanceID = kmsg.StringPtr(x.who.instance)
		}
		part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset, part.Metadata = x.from.key.Partition, x.position, metadataOf(x.offset.Number)
		row := kmsg.NewTxnOffsetCommitRequestTopic()
		row.Topic, row.Partitions = x.from.topic.Name, append(row.Partitions, part)
		req.Topics = append(req.Topics, row)
		return req
	}, func(r kmsg.Response) bool {
		code := protocol.Code(r.(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
		if code == protocol.None {
			c.stage.Rec.CompleteGroup(x.offset, check.OK)
		}
		x.lost = x.lost || coming(code)
		return c.decide("TxnOffsetCommit", code, c.end)
	}, func() { x.lost = true }, func() { x.lost = true; c.giveUp() })
}

// end commits or aborts. A refusal before any attempt with an unknown end says that the transaction was, or will be, aborted.
func (c *Copier) end() {
	x := c.txn
	x.end = c.stage.Rec.Invoke(check.Op{
		Process: c.process, Func: check.EndTxn, Key: protocol.TopicPartition{Partition: -1}, Offset: -1, Txn: x.number, Commit: x.commit,
	})
	c.try(stepTimeout, func() kmsg.Request {
		return c.endOf(c.transactionalID, c.id, x.commit)
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.EndTxnResponse)
		code := protocol.Code(resp.ErrorCode)
		x.endLost = x.endLost || code == protocol.RequestTimedOut || code == protocol.UnknownServerError || code == protocol.KafkaStorageError
		if code == protocol.None {
			c.stage.Rec.Complete(x.end, check.OK)
			c.ended(x, resp)
			return true
		}
		return c.decide("EndTxn", code, nil)
	}, func() { x.endLost = true }, func() { x.endLost = true; c.giveUp() })
}

// endAgain lets the request that ended a transaction, or its opposite, arrive once more while the next one goes on (TV2): it must not end
// that one (D3).
func (c *Copier) endAgain(x *copying) {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = 5, c.transactionalID, c.id.id, c.id.epoch
	req.Commit = x.commit != (c.rng.IntN(2) == 0)
	c.stage.env.After(c.pause(4*c.stage.Pace), func() {
		c.stray.call(req, func(r kmsg.Response, err error) {
			if err == nil {
				c.stage.sometimes("EndTxn of the transaction before answered "+protocol.Code(r.(*kmsg.EndTxnResponse).ErrorCode).Name(), true)
			}
		})
	})
}

func (c *Copier) ended(x *copying, resp *kmsg.EndTxnResponse) {
	c.stage.saw("EndTxn", 0)
	if resp.Version >= 5 && c.rng.IntN(8) == 0 {
		c.endAgain(x)
	}
	if id := (producerState{resp.ProducerID, resp.ProducerEpoch}); resp.Version >= 5 && id != c.id {
		c.id, c.sequences = id, map[protocol.TopicPartition]int32{}
	}
	if x.commit {
		c.stage.Copies++
		c.stage.reached(x.from.key, x.position)
		if c.positions != nil && c.who == x.who {
			c.positions[x.from.key] = x.position
		}
	}
	c.txn = nil
	c.later()
}
