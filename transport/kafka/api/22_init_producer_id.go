package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster"
)

// InitProducerId: v0-5.
//
// Behaviour:
//   - Without transactional id: a producer id that nobody had before, with epoch 0. Ids and epochs that a client proposes (v3+) are
//     then ignored, as in Kafka.
//   - With one: its coordinator gives it its producer id with the next epoch, after it has ended what the id's predecessor left open.
//     Kafka answers CONCURRENT_TRANSACTIONS meanwhile, the coordinator here waits a while.
//   - A producer id without epoch, or the other way round: INVALID_REQUEST.
//
// Version history:
//   - v2: flexible; v3: bumping the epoch (KIP-360); v4: PRODUCER_FENCED (KIP-588); v5: TRANSACTION_ABORTABLE (KIP-890)
//
// Skipped: v6, two-phase commit (KIP-939), which Kafka keeps unstable.
//
// Source: KafkaApis.handleInitProducerIdRequest, TransactionCoordinator.handleInitProducerId.

const (
	coordinatorNotAvailable protocol.Code = 15
	// producerIDWait is how long a client waits for a block of ids to be fetched.
	producerIDWait = 10 * time.Second
)

func handleInitProducerID(c *Call) {
	req := kmsg.NewPtrInitProducerIDRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrInitProducerIDResponse()
	out.ProducerID, out.ProducerEpoch = -1, -1
	fail := func(code protocol.Code) {
		out.ErrorCode = c.failed(orEpoch(code, c.Version >= 4))
		c.reply(out)
	}
	switch {
	case (req.ProducerID == -1) != (req.ProducerEpoch == -1), req.TransactionalID != nil && *req.TransactionalID == "":
		fail(protocol.InvalidRequest)
		return
	case req.TransactionalID != nil:
		cmd := &protocol.InitTransactions{
			TransactionalID: *req.TransactionalID, Timeout: millis(req.TransactionTimeoutMillis),
			ProducerID: protocol.ProducerID(req.ProducerID), ProducerEpoch: protocol.ProducerEpoch(req.ProducerEpoch),
		}
		c.askTransaction(*req.TransactionalID, cmd, func(reply any) {
			m, ok := reply.(*protocol.TransactionsInitialized)
			switch {
			case !ok:
				fail(protocol.CoordinatorNotAvailable)
			case m.Failed():
				fail(m.Code)
			default:
				out.ProducerID, out.ProducerEpoch = int64(m.ProducerID), int16(m.ProducerEpoch)
				c.reply(out)
			}
		})
		return
	}
	c.Conn.Host.Ask(c.Conn.ProducerIDs, &cluster.TakeProducerID{}, producerIDWait, func(reply any, err error) {
		m, ok := reply.(*cluster.ProducerIDTaken)
		switch {
		case err != nil || !ok:
			fail(coordinatorNotAvailable)
		case m.Failed():
			fail(m.Code)
		default:
			out.ProducerID, out.ProducerEpoch = int64(m.ProducerID), 0
			c.reply(out)
		}
	})
}
