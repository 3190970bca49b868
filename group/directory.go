package group

import (
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Directory finds the shard of a group or of a transactional id. All methods may be called on any thread and take no lock; the host
// writes it.
type Directory struct {
	node   protocol.NodeID
	system *actors.System
	images *cluster.Images
	host   atomic.Pointer[actors.PID]
	shards [kinds]atomic.Pointer[[]actors.PID] // by partition; zero where there is none
	unread atomic.Pointer[unread]              // of Lags, while nobody has it
}

// NewDirectory is a directory without entries.
func NewDirectory(node protocol.NodeID, system *actors.System, images *cluster.Images) *Directory {
	return &Directory{node: node, system: system, images: images}
}

// PartitionOf is the partition of an internal topic with n partitions that an id belongs to: Java's hash of the string, its absolute value,
// modulo n. Source: GroupCoordinatorService.partitionFor, TransactionStateManager.partitionFor, Utils.abs.
func PartitionOf(id string, n int32) int32 {
	h := int32(0)
	for _, r := range id { // bytes that are no UTF-8 count as U+FFFD, which is what Java reads them as
		if r >= 0x10000 {
			r -= 0x10000
			h = 31*h + 0xd800 + r>>10
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + r
	}
	if h == -1<<31 {
		return 0
	}
	return max(h, -h) % n
}

// Group is the shard of a group, or why there is none here: CoordinatorNotAvailable while the internal topic does not exist,
// NotCoordinator if another node leads its partition. A shard that is only about to be spawned is stood in for by the host.
func (d *Directory) Group(id string) (actors.PID, protocol.Code) { return d.find(groups, id) }

// Transaction is the shard of a transactional id, or why there is none here.
func (d *Directory) Transaction(id string) (actors.PID, protocol.Code) {
	return d.find(transactions, id)
}

func (d *Directory) find(k kind, id string) (actors.PID, protocol.Code) {
	if shards := d.shards[k].Load(); shards != nil && len(*shards) > 0 {
		if pid := (*shards)[PartitionOf(id, int32(len(*shards)))]; !pid.IsZero() {
			return pid, protocol.None
		}
	}
	_, leader, code := d.leader(d.images.Load(), k, id)
	host := d.host.Load()
	switch {
	case code != protocol.None:
		return actors.PID{}, code
	case leader != d.node:
		return actors.PID{}, protocol.NotCoordinator
	case host == nil:
		return actors.PID{}, protocol.CoordinatorNotAvailable
	}
	return *host, protocol.None
}

// shard is that of a partition; zero if there is none here.
func (d *Directory) shard(k kind, partition int32) actors.PID {
	if shards := d.shards[k].Load(); shards != nil && partition >= 0 && int(partition) < len(*shards) {
		return (*shards)[partition]
	}
	return actors.PID{}
}

// leader is the partition of an id, and who leads it.
func (d *Directory) leader(img *image.Image, k kind, id string) (int32, protocol.NodeID, protocol.Code) {
	t, ok := img.Topic(k.topic())
	if !ok || t.NumPartitions() == 0 {
		return -1, protocol.NoNode, protocol.CoordinatorNotAvailable
	}
	number := PartitionOf(id, t.NumPartitions())
	p, ok := t.Partition(number)
	if !ok || p.Leader == protocol.NoNode {
		return number, protocol.NoNode, protocol.CoordinatorNotAvailable
	}
	return number, p.Leader, protocol.None
}

// GroupShards are those led here, in the order of their partitions; empty if there are none. As long as they are only about to be
// spawned the host stands in for all of them.
func (d *Directory) GroupShards() []actors.PID { return d.all(groups) }

// TransactionShards are those led here, in the order of their partitions.
func (d *Directory) TransactionShards() []actors.PID { return d.all(transactions) }

func (d *Directory) all(k kind) (out []actors.PID) {
	shards, host := d.shards[k].Load(), d.host.Load()
	if shards == nil || len(*shards) == 0 {
		if _, exists := d.images.Load().Topic(k.topic()); exists && host != nil {
			return []actors.PID{*host}
		}
		return nil
	}
	for _, pid := range *shards {
		if !pid.IsZero() {
			out = append(out, pid)
		}
	}
	return out
}

// EnsureGroup makes the internal topic if it is missing, and waits for the shard of the group to have loaded. done is called exactly
// once, on any thread, at the latest after wait: with None and the node that leads the shard, or with what to tell the client.
func (d *Directory) EnsureGroup(id string, wait time.Duration, done func(protocol.NodeID, protocol.Code)) {
	d.ensure(groups, id, wait, done)
}

// EnsureTransaction is the same for a transactional id.
func (d *Directory) EnsureTransaction(id string, wait time.Duration, done func(protocol.NodeID, protocol.Code)) {
	d.ensure(transactions, id, wait, done)
}

func (d *Directory) ensure(k kind, id string, wait time.Duration, done func(protocol.NodeID, protocol.Code)) {
	host := d.host.Load()
	if host == nil {
		done(protocol.NoNode, protocol.CoordinatorNotAvailable)
		return
	}
	d.system.Ask(*host, &ensure{kind: k, id: id, wait: wait}, wait, func(reply any, err error) {
		m, ok := reply.(*ensured)
		if err != nil || !ok {
			done(protocol.NoNode, protocol.CoordinatorNotAvailable)
			return
		}
		done(m.node, m.code)
	})
}
