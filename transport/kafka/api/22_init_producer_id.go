package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster"
)

// InitProducerId: v0-5, for idempotent producers.
//
// Behaviour:
//   - Without transactional id: a producer id that nobody had before, with epoch 0. Ids and epochs that a client proposes (v3+) are
//     then ignored, as in Kafka.
//   - With one: COORDINATOR_NOT_AVAILABLE, which is what a client gets from a cluster whose transaction coordinator is not there.
//
// Version history:
//   - v2: flexible; v3: bumping the epoch (KIP-360); v4: PRODUCER_FENCED (KIP-588); v5: TRANSACTION_ABORTABLE (KIP-890)
//
// Skipped: transactions; v6, two-phase commit (KIP-939), which Kafka keeps unstable.
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
	out.ProducerEpoch = -1
	fail := func(code protocol.Code) {
		out.ErrorCode = c.Conn.failed(code)
		c.reply(out)
	}
	if req.TransactionalID != nil {
		if *req.TransactionalID == "" {
			fail(protocol.InvalidRequest)
		} else {
			fail(coordinatorNotAvailable)
		}
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
