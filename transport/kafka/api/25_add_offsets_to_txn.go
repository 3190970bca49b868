package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// AddOffsetsToTxn: v0-4. Adds the partition of __consumer_offsets that holds a group to a transaction, for clients of TV1.
//
// Behaviour:
//   - __consumer_offsets is made if it is missing: the partition must have a number.
//
// Version history:
//   - v2: PRODUCER_FENCED (KIP-588); v3: flexible; v4: TRANSACTION_ABORTABLE (KIP-890)
//
// Source: KafkaApis.handleAddOffsetsToTxnRequest.

// ensureWait is how long an internal topic may take to be made.
const ensureWait = 15 * time.Second

func handleAddOffsetsToTxn(c *Call) {
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrAddOffsetsToTxnResponse()
	done := func(code protocol.Code) {
		out.ErrorCode = c.failed(orEpoch(code, c.Version >= 2))
		c.reply(out)
	}
	add := func(number int32) {
		cmd := &protocol.AddPartitions{
			TransactionalID: req.TransactionalID, ProducerID: protocol.ProducerID(req.ProducerID), ProducerEpoch: protocol.ProducerEpoch(req.ProducerEpoch),
			Partitions: []protocol.NamedPartition{{Topic: offsetsTopic, Partition: number}},
		}
		c.askTransaction(req.TransactionalID, cmd, func(reply any) {
			if m, ok := reply.(*protocol.PartitionsAdded); ok {
				done(m.Code)
			} else {
				done(protocol.CoordinatorNotAvailable)
			}
		})
	}
	if req.TransactionalID == "" {
		done(protocol.InvalidRequest)
		return
	}
	if number, code := c.Conn.Coordinators.GroupPartition(req.Group); code == protocol.None {
		add(number)
		return
	}
	c.Conn.Coordinators.EnsureGroup(req.Group, ensureWait, func(_ protocol.NodeID, code protocol.Code) {
		c.Conn.Host.Post(func() {
			number, missing := c.Conn.Coordinators.GroupPartition(req.Group)
			switch {
			case missing == protocol.None:
				add(number)
			case code != protocol.None:
				done(code)
			default:
				done(missing)
			}
		})
	})
}
