package api

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Coordinators finds the shards that coordinate groups and transactions: the actors of the partitions of __consumer_offsets and
// __transaction_state that are led here. All methods may be called on any thread, and none blocks.
type Coordinators interface {
	// Group is the shard of a group, or why there is none here: CoordinatorNotAvailable while the internal topic does not exist,
	// NotCoordinator if another node leads its partition, CoordinatorLoadInProgress.
	Group(id string) (actors.PID, protocol.Code)
	// Transaction is the shard of a transactional id, or why there is none here.
	Transaction(id string) (actors.PID, protocol.Code)
	// GroupShards are those led here, in the order of their partitions; empty if there are none.
	GroupShards() []actors.PID
	// GroupPartition is the partition of __consumer_offsets that holds a group, or CoordinatorNotAvailable while there is none.
	GroupPartition(id string) (int32, protocol.Code)
	// GroupShard is the shard of a partition of __consumer_offsets, or NotCoordinator if it is not here.
	GroupShard(partition int32) (actors.PID, protocol.Code)
	// TransactionShards are those led here, in the order of their partitions.
	TransactionShards() []actors.PID
	// EnsureGroup makes __consumer_offsets if it is missing, and waits for the shard of the group to have loaded. done is called
	// exactly once, on any thread, at the latest after wait: with None and the node that leads the shard, or with what to tell the
	// client.
	EnsureGroup(id string, wait time.Duration, done func(protocol.NodeID, protocol.Code))
	// EnsureTransaction is the same for a transactional id and __transaction_state.
	EnsureTransaction(id string, wait time.Duration, done func(protocol.NodeID, protocol.Code))
}

// noCoordinators is a node that coordinates nothing.
type noCoordinators struct{}

func (noCoordinators) Group(string) (actors.PID, protocol.Code) {
	return actors.PID{}, protocol.CoordinatorNotAvailable
}

func (noCoordinators) Transaction(string) (actors.PID, protocol.Code) {
	return actors.PID{}, protocol.CoordinatorNotAvailable
}

func (noCoordinators) GroupPartition(string) (int32, protocol.Code) {
	return -1, protocol.CoordinatorNotAvailable
}

func (noCoordinators) GroupShard(int32) (actors.PID, protocol.Code) {
	return actors.PID{}, protocol.CoordinatorNotAvailable
}

func (noCoordinators) GroupShards() []actors.PID       { return nil }
func (noCoordinators) TransactionShards() []actors.PID { return nil }

func (noCoordinators) EnsureGroup(_ string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	done(protocol.NoNode, protocol.CoordinatorNotAvailable)
}

func (noCoordinators) EnsureTransaction(_ string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	done(protocol.NoNode, protocol.CoordinatorNotAvailable)
}
