package controller

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// deleteTopics decides DeleteTopics. Source: ControllerApis.deleteTopics, ReplicationControlManager.deleteTopics.
func (d *decider) deleteTopics(c *protocol.DeleteTopics) *protocol.TopicsDeleted {
	out := &protocol.TopicsDeleted{Answer: protocol.Answer{ID: c.ID}, Topics: make([]protocol.TopicResult, len(c.Topics))}
	byName, byID := map[string]int{}, map[protocol.TopicID]int{}
	for _, ref := range c.Topics {
		if ref.Name != "" {
			byName[ref.Name]++
		} else {
			byID[ref.ID]++
		}
	}
	deleted := map[protocol.TopicID]bool{}
	for _, ref := range c.Topics {
		if t, ok := d.img.Topic(ref.Name); ok && byID[t.ID] > 0 {
			byID[t.ID], deleted[t.ID] = 1, true // by its id and by its name: neither counts
		}
	}
	for i, ref := range c.Topics {
		row := &out.Topics[i]
		row.Name, row.ID = ref.Name, ref.ID
		switch {
		case !d.defaults().DeleteTopics:
			row.Fault = fault(protocol.TopicDeletionDisabled, "Topic deletion is disabled (delete.topic.enable is false)")
		case byName[ref.Name] > 1:
			row.Fault = fault(protocol.InvalidRequest, "Duplicate topic name.")
		case ref.Name == "" && byID[ref.ID] > 1:
			row.Fault = fault(protocol.InvalidRequest, "Duplicate topic id.")
		default:
			d.deleteTopic(ref, row, deleted)
		}
	}
	return out
}

func (d *decider) deleteTopic(ref protocol.TopicRef, row *protocol.TopicResult, deleted map[protocol.TopicID]bool) {
	t, ok := d.find(ref)
	switch {
	case !ok && !ref.ID.IsZero():
		row.Fault = fault(protocol.UnknownTopicID, "This server does not host this topic ID.")
	case !ok:
		row.Fault = fault(protocol.UnknownTopicOrPartition, "This server does not host this topic-partition.")
	case deleted[t.ID]:
		row.Fault = fault(protocol.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
	default:
		row.Name, row.ID = t.Name, t.ID
		deleted[t.ID] = true
		d.add(&image.TopicDeleted{ID: t.ID})
	}
}

func (d *decider) find(ref protocol.TopicRef) (*image.Topic, bool) {
	if ref.Name != "" {
		return d.img.Topic(ref.Name)
	}
	return d.img.TopicByID(ref.ID)
}

// sharded reports whether a topic's number of partitions says where what is in it is found. More would hide it. (Kafka lets it grow; its
// coordinators then lose their groups and transactions with the next restart.)
func sharded(topic string) bool {
	return topic == "__consumer_offsets" || topic == "__transaction_state"
}

// createPartitions decides CreatePartitions. Source: ReplicationControlManager.createPartitions.
func (d *decider) createPartitions(c *protocol.CreatePartitions) *protocol.PartitionsCreated {
	out := &protocol.PartitionsCreated{Answer: protocol.Answer{ID: c.ID}, Topics: make([]protocol.TopicResult, len(c.Topics))}
	count, total := map[string]int{}, int64(0)
	for _, g := range c.Topics {
		count[g.Name]++
		if t, ok := d.img.Topic(g.Name); ok {
			total += max(0, int64(g.Count)-int64(t.NumPartitions()))
		}
	}
	tooMany := d.tooManyPartitions(total, "additional partitions")
	for i := range c.Topics {
		g, row := &c.Topics[i], &out.Topics[i]
		row.Name = g.Name
		t, ok := d.img.Topic(g.Name)
		switch {
		case count[g.Name] > 1:
			row.Fault = fault(protocol.InvalidRequest, "Duplicate topic name.")
		case !ok:
			row.Fault = fault(protocol.UnknownTopicOrPartition, "")
		case sharded(g.Name) && g.Count > t.NumPartitions():
			row.Fault = fault(protocol.InvalidPartitions, fmt.Sprintf("Topic %s keeps its number of partitions: it tells which coordinator an id belongs to.", g.Name))
		case tooMany.Failed():
			row.Fault = tooMany
		default:
			row.Fault = d.grow(g, t, c.ValidateOnly)
			row.ID, row.Partitions, row.ReplicationFactor = t.ID, g.Count, t.ReplicationFactor()
		}
	}
	return out
}

func (d *decider) grow(g *protocol.GrowTopic, t *image.Topic, validateOnly bool) protocol.Fault {
	has := t.NumPartitions()
	if g.Count == has {
		return fault(protocol.InvalidPartitions, fmt.Sprintf("Topic already has %d partition(s).", has))
	}
	if g.Count < has {
		return fault(protocol.InvalidPartitions, fmt.Sprintf("The topic %s currently has %d partition(s); %d would not be an increase.", t.Name, has, g.Count))
	}
	more, factor := int(g.Count-has), int(t.ReplicationFactor())
	out := &replicaSets{topic: t.ID, live: d.live()}
	if g.Assignments == nil {
		if f := d.place(out, replicas(t), more, factor); f.Failed() {
			return f
		}
	} else {
		if len(g.Assignments) != more {
			return fault(protocol.InvalidReplicaAssignment, fmt.Sprintf("Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", more, len(g.Assignments)))
		}
		for i, set := range g.Assignments {
			if f := d.checkAssignment(set, factor, int(has)+i, out); f.Failed() {
				return f
			}
		}
		out.sets = g.Assignments
	}
	if !validateOnly {
		d.addPartitions(out, has)
	}
	return protocol.Fault{}
}

// replicas lists the replicas of a topic's partitions.
func replicas(t *image.Topic) [][]protocol.NodeID {
	out := make([][]protocol.NodeID, 0, t.NumPartitions())
	for _, p := range t.EachPartition {
		out = append(out, p.Replicas)
	}
	return out
}
