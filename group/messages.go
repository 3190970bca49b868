package group

import (
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/offsets"
	"github.com/troupe-broker/troupe/group/step"
)

// control is embedded in what host, shards and children say to each other. A full mailbox must not refuse it, as its sender waits for the
// outcome; by the way of a reply to nothing asked it passes the bounds. Its number is bounded by what a child may have under way.
type control struct{}

// CorrelationID is that of no request. See actors.Context.Request.
func (control) CorrelationID() uint64 { return 0 }

// To the host.
type (
	// imageChanged says that there is a new image.
	imageChanged struct {
		control
		delta image.Delta
	}
	// ensure asks for the shard of an id: its topic is made if it is missing. Answered by ensured when the shard has loaded.
	ensure struct {
		protocol.Head
		kind  kind
		id    string
		wait  time.Duration
		until time.Duration // monotonic; the host's
	}
	ensured struct {
		protocol.Answer
		node protocol.NodeID
		code protocol.Code
	}
	// shardReady says that a shard has loaded, or gave its turn back.
	shardReady struct {
		control
		from   actors.PID
		loaded bool
	}
	// loadWanted asks for a turn to load; answered by loadNow.
	loadWanted struct {
		control
		from actors.PID
	}
)

// Refused answers for a host that is gone.
func (m *ensure) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &ensured{protocol.Answer{ID: m.ID}, protocol.NoNode, protocol.CoordinatorNotAvailable}
}

// From the host to a shard.
type (
	// loadNow says that a shard may load now.
	loadNow struct{ control }
	// topicsDeleted names topics that are gone: nobody needs offsets of them.
	topicsDeleted struct {
		control
		topics []offsets.Topic
	}
	// topicsChanged says that there are other topics, or more partitions: groups that the broker assigns partitions to look.
	topicsChanged struct{ control }
	// settingsChanged names groups whose own settings changed.
	settingsChanged struct {
		control
		groups []string // in order
	}
)

// Between a shard and its children. A child is known by its entry, which it passes on and never looks into: one of a former life is
// not the one in the shard's table.
type (
	// appendRecords hands records over to be appended. Answered by settled with the same token: once, or if they are divisible once for
	// each batch of them.
	appendRecords struct {
		control
		from    *child
		token   uint64
		records []step.Record
		// divisible records are right one by one: what does not fit into a batch comes in several. Others are all in the log or none.
		divisible bool
		// more says that this is the beginning of such records, and the rest follows.
		more bool
		// producer is NoProducerID outside of transactions.
		producer protocol.ProducerID
		epoch    protocol.ProducerEpoch
	}
	// settled: the records are committed (None), or certainly not in the log.
	settled struct {
		control
		token  uint64
		count  int   // of the records
		more   bool  // the fate of the rest follows
		offset int64 // of the first record
		code   protocol.Code
	}
	// offsetsEnded: the producer's transaction has ended in this log.
	offsetsEnded struct {
		control
		producer protocol.ProducerID
		commit   bool
	}
	// sweep asks for what is done now and then.
	sweep struct{ control }
	// described tells the shard how a child is to be listed.
	described struct {
		control
		from *child
		as   listing
	}
	// retire asks the shard to end the child, unless it has sent it more than seen messages.
	retire struct {
		control
		from *child
		seen uint64
	}
)

// listing is what a shard knows of a child without asking it.
type listing struct {
	state    string
	exists   bool // there is something of it, in the log or in memory
	group    protocol.ListedGroup
	producer protocol.ProducerID
	start    int64 // of the open transaction, milliseconds; -1 if there is none
}

// idOf is the group or transactional id a command is for; ok is false for those that are for a shard as a whole.
func idOf(m step.Command) (id string, k kind, ok bool) {
	switch m := m.(type) {
	case *protocol.JoinGroup:
		return m.GroupID, groups, true
	case *protocol.SyncGroup:
		return m.GroupID, groups, true
	case *protocol.HeartbeatGroup:
		return m.GroupID, groups, true
	case *protocol.LeaveGroup:
		return m.GroupID, groups, true
	case *protocol.HeartbeatConsumer:
		return m.GroupID, groups, true
	case *protocol.DescribeGroup:
		return m.GroupID, groups, true
	case *protocol.DeleteGroup:
		return m.GroupID, groups, true
	case *protocol.CommitOffsets:
		return m.GroupID, groups, true
	case *protocol.FetchOffsets:
		return m.GroupID, groups, true
	case *protocol.DeleteOffsets:
		return m.GroupID, groups, true
	}
	return transactionOf(m)
}

func transactionOf(m step.Command) (id string, k kind, ok bool) {
	switch m := m.(type) {
	case *protocol.InitTransactions:
		return m.TransactionalID, transactions, true
	case *protocol.AddPartitions:
		return m.TransactionalID, transactions, true
	case *protocol.EndTransaction:
		return m.TransactionalID, transactions, true
	case *protocol.DescribeTransaction:
		return m.TransactionalID, transactions, true
	}
	return "", kinds, false
}

// fail answers a command with a code.
func fail(ctx *actors.Context, m step.Command, code protocol.Code) {
	to, _ := m.Refused(actors.RefusedStopped)
	if !to.IsZero() {
		ctx.Send(to, m.Failed(code))
	}
}

// coordinatorCode is what clients are told of an append that failed. Source: CoordinatorOperationExceptionHelper,
// TransactionStateManager.appendTransactionToLog.
func coordinatorCode(code protocol.Code) protocol.Code {
	switch code {
	case protocol.UnknownTopicOrPartition, protocol.NotEnoughReplicas, protocol.NotEnoughReplicasAfter, protocol.RequestTimedOut, protocol.ThrottlingQuotaExceeded:
		return protocol.CoordinatorNotAvailable
	case protocol.NotLeaderOrFollower, protocol.KafkaStorageError:
		return protocol.NotCoordinator
	case protocol.MessageTooLarge: // no group of this size fits
		return protocol.GroupMaxSizeReached
	}
	return code
}

// sameFold reports whether one of names is name, without regard to case; every name is in an empty list.
func sameFold(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return len(names) == 0
}
