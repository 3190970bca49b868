// Package placement says which nodes hold the replicas of a partition.
//
// It decides by rendezvous hashing (highest random weight): every partition ranks the nodes by a hash of topic, partition and node.
// So the same nodes always give the same answer, on every node and in any order; a node that joins takes over the partitions that
// rank it high, one that leaves gives away its own, and the others stay. On top of the ranking stand three rules, in this order:
//
//   - replicas of a partition are on different nodes, and on as many racks as there are;
//   - no node gets more than its share of a topic's replicas, rounded up, while others have room: plain rendezvous puts three
//     partitions on one of three nodes in one of nine cases;
//   - among equals the highest ranked wins.
//
// Of a partition's replicas the highest ranked is preferred leader, unless that would give it two more of the topic's leaderships than
// another of them.
//
// It does not decide when replicas move, and knows nothing of disks or load.
//
// Source: Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998); Mirrokni et al., "Consistent Hashing with
// Bounded Loads" (2018); Kafka's ReplicaPlacer.
package placement

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Node is a candidate. Nodes without a rack count as one rack.
type Node struct {
	ID   protocol.NodeID
	Rack string
}

// Request asks for the replicas of Count partitions of one topic, numbered after the Existing ones.
type Request struct {
	Topic             protocol.TopicID
	Existing          [][]protocol.NodeID // replicas of the partitions that are there, preferred leader first
	Count             int
	ReplicationFactor int
	Nodes             []Node // in any order, without duplicates; at least ReplicationFactor
}

// Place answers with the replicas of each partition, preferred leader first.
func Place(r Request) [][]protocol.NodeID {
	invariant.Check(r.ReplicationFactor > 0 && len(r.Nodes) >= r.ReplicationFactor, "placing %d replicas on %d nodes", r.ReplicationFactor, len(r.Nodes))
	p := newPlacer(r)
	out := make([][]protocol.NodeID, r.Count)
	for i := range out {
		out[i] = p.partition(int32(len(r.Existing) + i))
	}
	p.balanceLeaders(out)
	return out
}

// candidate is a node with what it has of the topic.
type candidate struct {
	Node
	rank              uint64 // for the partition at hand
	leaders, replicas int
	inRack            int // replicas of the partition at hand in this node's rack
	chosen            bool
}

type placer struct {
	topic      protocol.TopicID
	factor     int
	totalShare int // of one node
	left       int // partitions still to place, with the one at hand
	nodes      []candidate
}

func newPlacer(r Request) *placer {
	p := &placer{topic: r.Topic, factor: r.ReplicationFactor, left: r.Count, nodes: make([]candidate, len(r.Nodes))}
	total := r.Count * r.ReplicationFactor
	for i, n := range r.Nodes {
		p.nodes[i].Node = n
		for _, replicas := range r.Existing {
			at := slices.Index(replicas, n.ID)
			if at >= 0 {
				p.nodes[i].replicas++
				total++
			}
			if at == 0 {
				p.nodes[i].leaders++
			}
		}
	}
	slices.SortFunc(p.nodes, func(a, b candidate) int { return cmp.Compare(a.ID, b.ID) })
	p.totalShare = share(total, len(r.Nodes))
	return p
}

// share is a divided by b, rounded up.
func share(a, b int) int { return (a + b - 1) / b }

func (p *placer) partition(number int32) []protocol.NodeID {
	for i := range p.nodes {
		n := &p.nodes[i]
		n.rank, n.inRack, n.chosen = rank(p.topic, number, n.ID), 0, false
	}
	slack := p.slack()
	var chosen []*candidate
	for len(chosen) < p.factor {
		best := p.best(p.factor-len(chosen), slack)
		best.chosen = true
		for i := range p.nodes {
			if p.nodes[i].Rack == best.Rack {
				p.nodes[i].inRack++
			}
		}
		chosen = append(chosen, best)
	}
	p.left--
	return p.order(chosen)
}

// room is how many more replicas a node may get.
func (p *placer) room(n *candidate) int { return max(0, p.totalShare-n.replicas) }

// slack is by how much the room of all nodes exceeds what is still to be placed, where a node can use its room once a partition.
func (p *placer) slack() int {
	room := 0
	for i := range p.nodes {
		room += min(p.room(&p.nodes[i]), p.left)
	}
	return room - p.factor*p.left
}

// best is the node that gets the next of picks replicas of the partition at hand. A node with room for every partition that is left
// wastes room when it is passed over; when no more can be wasted it must be taken, or the last partitions would not fit.
func (p *placer) best(picks, slack int) *candidate {
	urgent := 0
	for i := range p.nodes {
		if n := &p.nodes[i]; !n.chosen && p.room(n) >= p.left {
			urgent++
		}
	}
	must := urgent-slack >= picks
	var best *candidate
	for i := range p.nodes {
		n := &p.nodes[i]
		if !n.chosen && (best == nil || p.prefer(n, best, must) < 0) {
			best = n
		}
	}
	return best
}

// prefer is negative if a should get the replica rather than b.
func (p *placer) prefer(a, b *candidate, must bool) int {
	return cmp.Or(
		cmp.Compare(a.inRack, b.inRack),
		compareBool(p.room(a) == 0, p.room(b) == 0),
		compareBool(must && p.room(a) < p.left, must && p.room(b) < p.left),
		cmp.Compare(b.rank, a.rank),
		cmp.Compare(a.ID, b.ID),
	)
}

// order takes the chosen ones into account and lists them by rank.
func (p *placer) order(chosen []*candidate) []protocol.NodeID {
	slices.SortFunc(chosen, func(a, b *candidate) int { return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.ID, b.ID)) })
	out := make([]protocol.NodeID, len(chosen))
	for i, n := range chosen {
		n.replicas++
		out[i] = n.ID
	}
	chosen[0].leaders++
	return out
}

// balanceLeaders moves preferred leadership within partitions from nodes with more of it to nodes with less, until no such move makes
// the two more equal. Every move lowers the sum of squares of the counts, so it ends.
func (p *placer) balanceLeaders(partitions [][]protocol.NodeID) {
	at := make(map[protocol.NodeID]*candidate, len(p.nodes))
	for i := range p.nodes {
		at[p.nodes[i].ID] = &p.nodes[i]
	}
	for moved := true; moved; {
		moved = false
		for _, replicas := range partitions {
			least := 0
			for i, id := range replicas {
				if at[id].leaders < at[replicas[least]].leaders {
					least = i
				}
			}
			from, to := at[replicas[0]], at[replicas[least]]
			if from.leaders-to.leaders < 2 {
				continue
			}
			from.leaders--
			to.leaders++
			copy(replicas[1:least+1], replicas[:least])
			replicas[0], moved = to.ID, true
		}
	}
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// rank is how much a partition likes a node. It must never change: it decides where data is.
func rank(topic protocol.TopicID, partition int32, node protocol.NodeID) uint64 {
	var b [24]byte
	copy(b[:16], topic[:])
	binary.BigEndian.PutUint32(b[16:], uint32(partition))
	binary.BigEndian.PutUint32(b[20:], uint32(node))
	return xxhash.Sum64(b[:])
}
