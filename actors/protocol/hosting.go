package protocol

import "github.com/troupe-broker/troupe/actors"

// HostPartitions tells a node's partition host what it hosts from now on: the part of a metadata change that concerns this node.
// The host answers when every partition in Lead accepts requests (or failed) and every one in Drop is gone.
type HostPartitions struct {
	Head
	// MetadataOffset of the change; hosting never goes back.
	MetadataOffset int64
	Lead           []LeadPartition
	Drop           []TopicPartition // deleted topics: stop the actor, remove the directory
}

// LeadPartition makes the local replica leader, or gives an existing leader a new configuration, ISR or epoch.
type LeadPartition struct {
	Partition      TopicPartition
	TopicName      string // for messages to people and partition.metadata only, never for a path
	LeaderEpoch    LeaderEpoch
	PartitionEpoch PartitionEpoch
	Replicas, ISR  []NodeID
	Config         LogConfig
	// New says the topic was created by this very change: an absent directory is then expected. Otherwise an absent directory of a
	// partition known to the checkpoints is a storage error, not an empty log.
	New bool
}

// Refused answers for a host that is gone.
func (m *HostPartitions) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &PartitionsHosted{Answer: Answer{m.ID}}
}

// PartitionsHosted answers HostPartitions. Failed lists partitions whose log is offline, with the reason.
type PartitionsHosted struct {
	Answer
	Failed []PartitionFault
}

// PartitionFault is one partition's failure.
type PartitionFault struct {
	Partition TopicPartition
	Fault     Fault
}
