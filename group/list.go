package group

import (
	"maps"
	"regexp"
	"slices"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/txn"
)

// listGroups answers for all groups of the shard, without asking them. Source: GroupMetadataManager.listGroups.
func (s *shard) listGroups(ctx *actors.Context, m *protocol.ListGroups) {
	if s.kind != groups {
		fail(ctx, m, protocol.NotCoordinator)
		return
	}
	out := &protocol.GroupsListed{Answer: protocol.Answer{ID: m.ID}}
	for _, id := range slices.Sorted(maps.Keys(s.children)) {
		l := &s.children[id].listed
		if l.exists && sameFold(m.States, l.group.State) && sameFold(m.Types, l.group.Type) {
			out.Groups = append(out.Groups, l.group)
		}
	}
	ctx.Send(m.ReplyTo, out)
}

// listTransactions answers for all transactional ids of the shard, without asking them. LongerThan is counted
// from the beginning of the last transaction, whether it is over or not; ids without one pass. Source: TransactionStateManager.listTransactionStates.
func (s *shard) listTransactions(ctx *actors.Context, m *protocol.ListTransactions) {
	pattern, err := regexp.Compile(`^(?:` + m.Pattern + `)$`)
	switch {
	case s.kind != transactions:
		fail(ctx, m, protocol.NotCoordinator)
		return
	case err != nil:
		fail(ctx, m, protocol.InvalidRegularExpression)
		return
	}
	out := &protocol.TransactionsListed{Answer: protocol.Answer{ID: m.ID}}
	for _, state := range m.States {
		if !slices.Contains(txn.StateNames, state) {
			out.UnknownStates = append(out.UnknownStates, state)
		}
	}
	now := ctx.Now()
	for _, id := range slices.Sorted(maps.Keys(s.children)) {
		l := &s.children[id].listed
		switch {
		case !l.exists:
		case len(m.States) > 0 && !slices.Contains(m.States, l.state):
		case len(m.ProducerIDs) > 0 && !slices.Contains(m.ProducerIDs, l.producer):
		case m.LongerThan >= 0 && now.UnixMilli()-l.start <= m.LongerThan.Milliseconds():
		case m.Pattern != "" && !pattern.MatchString(id):
		default:
			out.Transactions = append(out.Transactions, protocol.ListedTransaction{TransactionalID: id, State: l.state, ProducerID: l.producer})
		}
	}
	ctx.Send(m.ReplyTo, out)
}
