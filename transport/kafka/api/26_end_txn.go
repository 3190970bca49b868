package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// EndTxn: v0-5. Commits or aborts.
//
// Behaviour:
//   - Answered when the decision is durable; markers follow.
//   - Asked for again it gets the same answer, in v5 also at the epoch before. Kafka answers CONCURRENT_TRANSACTIONS until all markers
//     are written.
//
// Version history:
//   - v2: PRODUCER_FENCED (KIP-588); v3: flexible; v4: TRANSACTION_ABORTABLE; v5: every transaction has an epoch of its own (KIP-890)
//
// Source: KafkaApis.handleEndTxnRequest, TransactionVersion.transactionVersionForEndTxn.

// endTxnBumps is the first version whose clients speak TV2.
const endTxnBumps = 5

func handleEndTxn(c *Call) {
	req := kmsg.NewPtrEndTxnRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrEndTxnResponse()
	out.ProducerID, out.ProducerEpoch = -1, -1
	cmd := &protocol.EndTransaction{
		TransactionalID: req.TransactionalID, ProducerID: protocol.ProducerID(req.ProducerID), ProducerEpoch: protocol.ProducerEpoch(req.ProducerEpoch),
		Commit: req.Commit, Bump: c.Version >= endTxnBumps,
	}
	done := func(reply any) {
		m, ok := reply.(*protocol.TransactionEnded)
		if !ok {
			m, _ = cmd.Failed(protocol.CoordinatorNotAvailable).(*protocol.TransactionEnded)
		}
		if !m.Failed() {
			out.ProducerID, out.ProducerEpoch = int64(m.ProducerID), int16(m.ProducerEpoch)
		}
		out.ErrorCode = c.failed(orEpoch(m.Code, c.Version >= 2))
		c.reply(out)
	}
	if req.TransactionalID == "" {
		done(cmd.Failed(protocol.InvalidRequest))
		return
	}
	c.askTransaction(req.TransactionalID, cmd, done)
}
