package assignor

import (
	"bytes"
	"slices"
	"sort"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Group is what an assignor is told.
type Group struct {
	Topics  []Topic  // by id, each once
	Members []Member // by id, each once
}

// Topic is one topic that somebody subscribes to.
type Topic struct {
	ID         protocol.TopicID
	Partitions int32
}

// Member is one member.
type Member struct {
	ID         string
	InstanceID string                     // empty is none
	Topics     []int32                    // subscribed, as indexes of Group.Topics; ascending, each once
	Given      []protocol.TopicPartitions // its target so far, which may name anything
}

// Assign computes the target: one row for each member, in order of topic id and partition. The rows are the caller's.
type Assign func(g *Group) [][]protocol.TopicPartitions

// Names of the assignors.
const (
	UniformName = "uniform"
	RangeName   = "range"
)

// ByName finds an assignor.
func ByName(name string) (Assign, bool) {
	switch name {
	case UniformName:
		return Uniform, true
	case RangeName:
		return Range, true
	}
	return nil, false
}

// Canonical is the name of an assignor that settings name by Kafka's class; any other name is itself.
func Canonical(name string) string {
	switch name {
	case "org.apache.kafka.coordinator.group.assignor.UniformAssignor":
		return UniformName
	case "org.apache.kafka.coordinator.group.assignor.RangeAssignor":
		return RangeName
	}
	return name
}

// owners says for every partition of every topic which member has it, by index; nobody is -1.
type owners [][]int32

const nobody = -1

func newOwners(topics []Topic) owners {
	total := 0
	for _, t := range topics {
		total += int(t.Partitions)
	}
	flat := make([]int32, total)
	for i := range flat {
		flat[i] = nobody
	}
	o := make(owners, len(topics))
	for i, t := range topics {
		o[i], flat = flat[:t.Partitions:t.Partitions], flat[t.Partitions:]
	}
	return o
}

// rows turns owners round.
func (o owners) rows(g *Group, load []int32) [][]protocol.TopicPartitions {
	out := make([][]protocol.TopicPartitions, len(g.Members))
	room := make([][]int32, len(g.Members)) // one array a member for the partition numbers of all its topics
	for m := range room {
		room[m] = make([]int32, 0, load[m])
	}
	for t, parts := range o {
		id := g.Topics[t].ID
		for p, m := range parts {
			if m == nobody {
				continue
			}
			row := &out[m]
			if n := len(*row); n == 0 || (*row)[n-1].Topic != id {
				*row = append(*row, protocol.TopicPartitions{Topic: id})
			}
			last := &(*row)[len(*row)-1]
			room[m] = append(room[m], int32(p))
			last.Partitions = room[m][len(room[m])-len(last.Partitions)-1 : len(room[m]) : len(room[m])]
		}
	}
	return out
}

func topicIndex(topics []Topic, id protocol.TopicID) (int32, bool) {
	i, ok := sort.Find(len(topics), func(i int) int { return bytes.Compare(id[:], topics[i].ID[:]) })
	return int32(i), ok
}

// subscribers lists the members of each topic, by index.
func subscribers(g *Group) [][]int32 {
	out := make([][]int32, len(g.Topics))
	for m := range g.Members {
		for _, t := range g.Members[m].Topics {
			out[t] = append(out[t], int32(m))
		}
	}
	return out
}

func homogeneous(g *Group) bool {
	for m := 1; m < len(g.Members); m++ {
		if !slices.Equal(g.Members[m].Topics, g.Members[0].Topics) {
			return false
		}
	}
	return true
}
