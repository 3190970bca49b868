package image

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// chunkSize is how many partitions are copied when one of them changes: large enough that a topic is a few allocations, small
// enough that an ISR change costs a few KiB.
const chunkSize = 64

// Topic is one incarnation of a topic.
type Topic struct {
	Name   string
	ID     protocol.TopicID
	Config []protocol.ConfigEntry // its own settings in order of key

	chunks []*chunk // all but the last hold chunkSize partitions
	owner  *token
}

type chunk struct {
	owner      *token
	partitions []Partition
}

// token marks what one fold may change in place: what it made itself.
type token struct{ _ byte }

// NumPartitions counts the partitions; they are numbered from 0.
func (t *Topic) NumPartitions() int32 {
	if len(t.chunks) == 0 {
		return 0
	}
	last := len(t.chunks) - 1
	return int32(last*chunkSize + len(t.chunks[last].partitions))
}

// Partition finds a partition by number.
func (t *Topic) Partition(number int32) (*Partition, bool) {
	if number < 0 || number >= t.NumPartitions() {
		return nil, false
	}
	return &t.chunks[number/chunkSize].partitions[number%chunkSize], true
}

// EachPartition calls f for every partition in order until it returns false: for i, p := range topic.EachPartition.
func (t *Topic) EachPartition(f func(number int32, p *Partition) bool) {
	for c, chunk := range t.chunks {
		for i := range chunk.partitions {
			if !f(int32(c*chunkSize+i), &chunk.partitions[i]) {
				return
			}
		}
	}
}

// ReplicationFactor is the number of replicas of the first partition, as Kafka reports it; 0 without partitions.
func (t *Topic) ReplicationFactor() int16 {
	p, ok := t.Partition(0)
	if !ok {
		return 0
	}
	return int16(len(p.Replicas))
}

// Recovery says whether a leader was elected uncleanly and still has to recover (KIP-704).
type Recovery uint8

const (
	LeaderRecovered Recovery = iota
	LeaderRecovering
)

// Partition is the state of one partition. Invariants: ISR and ELR are disjoint subsets of Replicas; Leader is in ISR or NoNode;
// both epochs never decrease.
type Partition struct {
	Leader         protocol.NodeID
	LeaderEpoch    protocol.LeaderEpoch
	PartitionEpoch protocol.PartitionEpoch
	Recovery       Recovery
	Replicas       []protocol.NodeID // the first is the preferred leader
	ISR            []protocol.NodeID

	rare *rare // nil in most partitions
}

// rare is what most partitions do not have.
type rare struct{ adding, removing, elr, lastKnownELR []protocol.NodeID }

// Adding lists the replicas a reassignment adds; they are in Replicas too.
func (p *Partition) Adding() []protocol.NodeID { return p.less().adding }

// Removing lists the replicas a reassignment will remove.
func (p *Partition) Removing() []protocol.NodeID { return p.less().removing }

// ELR lists the eligible leader replicas outside the ISR (KIP-966).
func (p *Partition) ELR() []protocol.NodeID { return p.less().elr }

// LastKnownELR lists the last known eligible leader replicas (KIP-966).
func (p *Partition) LastKnownELR() []protocol.NodeID { return p.less().lastKnownELR }

func (p *Partition) less() *rare {
	if p.rare == nil {
		return &rare{}
	}
	return p.rare
}

// Equal compares two states of a partition.
func (p *Partition) Equal(o *Partition) bool {
	a, b := p.less(), o.less()
	return p.Leader == o.Leader && p.LeaderEpoch == o.LeaderEpoch && p.PartitionEpoch == o.PartitionEpoch && p.Recovery == o.Recovery &&
		slices.Equal(p.Replicas, o.Replicas) && slices.Equal(p.ISR, o.ISR) && slices.Equal(a.adding, b.adding) &&
		slices.Equal(a.removing, b.removing) && slices.Equal(a.elr, b.elr) && slices.Equal(a.lastKnownELR, b.lastKnownELR)
}
