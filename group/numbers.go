package group

import (
	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// GroupPartition is the partition of __consumer_offsets that holds a group, or CoordinatorNotAvailable while there is none.
func (d *Directory) GroupPartition(id string) (int32, protocol.Code) {
	t, ok := d.images.Load().Topic(OffsetsTopic)
	if !ok || t.NumPartitions() == 0 {
		return -1, protocol.CoordinatorNotAvailable
	}
	return PartitionOf(id, t.NumPartitions()), protocol.None
}

// GroupShard is the shard of a partition of __consumer_offsets, or NotCoordinator if it is not here.
func (d *Directory) GroupShard(partition int32) (actors.PID, protocol.Code) {
	pid := d.shard(groups, partition)
	if pid.IsZero() {
		return pid, protocol.NotCoordinator
	}
	return pid, protocol.None
}
