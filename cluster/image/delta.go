package image

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Delta says what one Apply changed, by identity; the new state stands in the image. Every list is in order and without duplicates.
type Delta struct {
	From, To      int64                     // metadata offsets
	Partitions    []protocol.TopicPartition // added or changed; none of a deleted topic
	TopicsCreated []protocol.TopicID
	TopicsDeleted []*Topic           // as they were last, in order of name
	TopicConfigs  []protocol.TopicID // settings changed, also of created topics
	BrokerConfigs []string           // broker ids; "" is the cluster-wide default
	GroupConfigs  []string           // group ids
	Users         []string           // whose credentials were set or removed
	Nodes         []protocol.NodeID  // registered, changed or unregistered
	Features      bool
}

// Empty reports that nothing changed but the offset.
func (d *Delta) Empty() bool {
	return len(d.Partitions)+len(d.TopicsCreated)+len(d.TopicsDeleted)+len(d.TopicConfigs)+len(d.BrokerConfigs)+len(d.GroupConfigs)+len(d.Users)+len(d.Nodes) == 0 && !d.Features
}

// Merge appends a later delta.
func (d *Delta) Merge(later Delta) {
	d.To = later.To
	d.Partitions = append(d.Partitions, later.Partitions...)
	d.TopicsCreated = append(d.TopicsCreated, later.TopicsCreated...)
	d.TopicsDeleted = append(d.TopicsDeleted, later.TopicsDeleted...)
	d.TopicConfigs = append(d.TopicConfigs, later.TopicConfigs...)
	d.BrokerConfigs = append(d.BrokerConfigs, later.BrokerConfigs...)
	d.GroupConfigs = append(d.GroupConfigs, later.GroupConfigs...)
	d.Users = append(d.Users, later.Users...)
	d.Nodes = append(d.Nodes, later.Nodes...)
	d.Features = d.Features || later.Features
	d.normalize()
}

func (d *Delta) normalize() {
	slices.SortFunc(d.TopicsDeleted, func(a, b *Topic) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), compareIDs(a.ID, b.ID))
	})
	if len(d.TopicsDeleted) > 0 {
		d.forgetDeleted()
	}
	slices.SortFunc(d.Partitions, func(a, b protocol.TopicPartition) int {
		return cmp.Or(compareIDs(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	d.Partitions = slices.Compact(d.Partitions)
	for _, ids := range []*[]protocol.TopicID{&d.TopicsCreated, &d.TopicConfigs} {
		slices.SortFunc(*ids, compareIDs)
		*ids = slices.Compact(*ids)
	}
	for _, names := range []*[]string{&d.BrokerConfigs, &d.GroupConfigs, &d.Users} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	slices.Sort(d.Nodes)
	d.Nodes = slices.Compact(d.Nodes)
}

// forgetDeleted drops what the delta says about topics that it also deletes.
func (d *Delta) forgetDeleted() {
	gone := make(map[protocol.TopicID]bool, len(d.TopicsDeleted))
	for _, t := range d.TopicsDeleted {
		gone[t.ID] = true
	}
	d.Partitions = slices.DeleteFunc(d.Partitions, func(tp protocol.TopicPartition) bool { return gone[tp.Topic] })
	d.TopicsCreated = slices.DeleteFunc(d.TopicsCreated, func(id protocol.TopicID) bool { return gone[id] })
	d.TopicConfigs = slices.DeleteFunc(d.TopicConfigs, func(id protocol.TopicID) bool { return gone[id] })
}

func compareIDs(a, b protocol.TopicID) int { return bytes.Compare(a[:], b[:]) }
