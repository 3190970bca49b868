package api

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/txn"
)

// ListTransactions: v0-2. The transactional ids that this node coordinates (KIP-664), in order of id.
//
// Behaviour:
//   - One shard that cannot answer, because it still reads its log, fails the whole list: half a list is mistaken for the whole.
//   - States that do not exist are named in the answer and match nothing.
//   - The duration is counted from the beginning of the last transaction, also if that is over; ids that never had one pass.
//
// Version history:
//   - v1: by duration (KIP-994); v2: by a pattern of the id, RE2 (KIP-1152)
//
// Source: KafkaApis.handleListTransactionsRequest, TransactionStateManager.listTransactionStates.

// patternMax bounds the pattern, in bytes.
const patternMax = 16 << 10

func handleListTransactions(c *Call) {
	req := kmsg.NewPtrListTransactionsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrListTransactionsResponse()
	out.UnknownStateFilters, out.TransactionStates = []string{}, []kmsg.ListTransactionsResponseTransactionState{}
	filter, code := listFilter(req)
	for _, state := range filter.States {
		if !slices.Contains(txn.StateNames, state) {
			out.UnknownStateFilters = append(out.UnknownStateFilters, state)
		}
	}
	shards := c.Conn.Coordinators.TransactionShards()
	if code != protocol.None {
		shards = nil
	}
	all := &join{left: 1 + len(shards), done: func() {
		if out.ErrorCode = c.failed(code); code != protocol.None {
			out.TransactionStates = out.TransactionStates[:0]
		}
		slices.SortFunc(out.TransactionStates, func(a, b kmsg.ListTransactionsResponseTransactionState) int {
			return strings.Compare(a.TransactionalID, b.TransactionalID)
		})
		c.reply(out)
	}}
	for _, to := range shards {
		cmd := filter
		c.askCoordinator(to, protocol.None, &cmd, func(reply any) {
			m, ok := reply.(*protocol.TransactionsListed)
			switch {
			case !ok:
				code = protocol.CoordinatorNotAvailable
			case m.Failed():
				code = m.Code
			default:
				for _, t := range m.Transactions {
					out.TransactionStates = append(out.TransactionStates, kmsg.ListTransactionsResponseTransactionState{
						TransactionalID: t.TransactionalID, ProducerID: int64(t.ProducerID), TransactionState: t.State,
					})
				}
			}
			all.one()
		})
	}
	all.one()
}

// listFilter is what every shard is asked.
func listFilter(req *kmsg.ListTransactionsRequest) (protocol.ListTransactions, protocol.Code) {
	m := protocol.ListTransactions{States: req.StateFilters, LongerThan: -1}
	for _, id := range req.ProducerIDFilters {
		m.ProducerIDs = append(m.ProducerIDs, protocol.ProducerID(id))
	}
	if req.DurationFilterMillis >= 0 {
		const most = int64(1<<63-1) / int64(time.Millisecond)
		m.LongerThan = time.Duration(min(req.DurationFilterMillis, most)) * time.Millisecond
	}
	if req.TransactionalIDPattern != nil {
		m.Pattern = *req.TransactionalIDPattern
		if len(m.Pattern) > patternMax {
			return m, protocol.InvalidRegularExpression
		}
		if _, err := regexp.Compile(m.Pattern); err != nil {
			return m, protocol.InvalidRegularExpression
		}
	}
	return m, protocol.None
}
