package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
)

// publish hands the host what changed and, once it has done it, makes the image and the answers visible.
func (c *Controller) publish() {
	if c.next != nil || c.phase != serving && c.published == nil || c.failure != nil {
		return
	}
	if c.published == c.image {
		c.release(c.committed)
		c.committed = nil
		return
	}
	c.next = c.image
	c.releasing, c.committed = c.committed, nil
	delta := c.delta
	c.delta, c.changed = image.Delta{}, delta
	if c.published == nil {
		c.ctx.Request(c.cfg.Host, everything(c.cfg.Node, c.cfg.Static, c.next), hostingMax)
		return
	}
	change := hosting(c.cfg.Node, c.cfg.Static, c.published, c.next, delta)
	if len(change.Lead)+len(change.Drop) == 0 {
		c.takeEffect()
		return
	}
	c.ctx.Request(c.cfg.Host, change, hostingMax)
}

func (c *Controller) hosted(m *protocol.PartitionsHosted) {
	for _, f := range m.Failed {
		c.ctx.Logger().Error("a partition is offline", "partition", f.Partition, "code", f.Fault.Code.Name(), "reason", f.Fault.Reason)
		for _, a := range c.releasing {
			unusable(a.msg, f)
		}
	}
	c.takeEffect()
}

// unusable makes the answer to CreateTopics and CreatePartitions say that a partition cannot be used. The topic is there all the same, as in
// Kafka, whose controller does not wait for the brokers' logs and so has nothing to say.
func unusable(answer any, f protocol.PartitionFault) {
	var rows []protocol.TopicResult
	switch m := answer.(type) {
	case *protocol.TopicsCreated:
		rows = m.Topics
	case *protocol.PartitionsCreated:
		rows = m.Topics
	}
	for i := range rows {
		if r := &rows[i]; r.ID == f.Partition.Topic && !r.Failed() {
			r.Fault = protocol.Fault{
				Code:   f.Fault.Code,
				Reason: fmt.Sprintf("the topic was changed, but its partition %d cannot be used: %s", f.Partition.Partition, f.Fault.Reason),
			}
		}
	}
}

// takeEffect publishes the image that the host has carried out, and sends the answers that waited for it.
func (c *Controller) takeEffect() {
	first := c.published == nil
	c.published, c.next = c.next, nil
	broker, err := config.NewBroker(values(c.cfg.Node, c.cfg.Static, c.published))
	invariant.Check(err == nil, "the settings of broker %d, checked when they were made, cannot be read: %v", c.cfg.Node, err)
	c.cfg.Images.store(c.published.WithController(c.cfg.Node), broker, c.changed)
	c.release(c.releasing)
	c.releasing = nil
	if first && c.cfg.Ready != nil {
		c.cfg.Ready()
	}
}

func (c *Controller) release(answers []answer) {
	for _, a := range answers {
		for _, e := range a.events {
			c.ctx.Logger().LogAttrs(context.Background(), slog.LevelInfo, e.Text, e.Attrs...)
		}
		c.ctx.Send(a.to, a.msg)
	}
}

// hosting is the part of a change from one image to another that concerns one node's partition host.
func hosting(self protocol.NodeID, static []protocol.ConfigEntry, from, to *image.Image, d image.Delta) *protocol.HostPartitions {
	h := &hoster{self: self, from: from, to: to, old: values(self, static, from), now: values(self, static, to)}
	h.out = &protocol.HostPartitions{MetadataOffset: to.MetadataOffset}
	for _, tp := range d.Partitions {
		h.partition(tp)
	}
	for _, t := range d.TopicsDeleted {
		h.drop(t)
	}
	for _, id := range d.TopicConfigs {
		if t, ok := to.TopicByID(id); ok {
			h.reconfigured(t)
		}
	}
	if slices.Contains(d.BrokerConfigs, "") || slices.Contains(d.BrokerConfigs, image.BrokerResource(self)) {
		to.EachTopic(func(t *image.Topic) bool { h.reconfigured(t); return true })
	}
	slices.SortFunc(h.out.Lead, func(a, b protocol.LeadPartition) int {
		if a.Partition.Less(b.Partition) {
			return -1
		} else if b.Partition.Less(a.Partition) {
			return 1
		}
		return 0
	})
	h.out.Lead = slices.CompactFunc(h.out.Lead, func(a, b protocol.LeadPartition) bool { return a.Partition == b.Partition })
	return h.out
}

// everything is what a node that has just started hosts.
func everything(self protocol.NodeID, static []protocol.ConfigEntry, to *image.Image) *protocol.HostPartitions {
	h := &hoster{self: self, from: to, to: to, now: values(self, static, to)}
	h.out = &protocol.HostPartitions{MetadataOffset: to.MetadataOffset}
	to.EachTopic(func(t *image.Topic) bool {
		t.EachPartition(func(n int32, _ *image.Partition) bool {
			h.partition(protocol.TopicPartition{Topic: t.ID, Partition: n})
			return true
		})
		return true
	})
	return h.out
}

// values are the settings in force on one node.
func values(self protocol.NodeID, static []protocol.ConfigEntry, img *image.Image) config.Values {
	return config.Values{Static: static, Default: img.DefaultBrokerConfig(), Dynamic: img.BrokerConfig(self)}
}

type hoster struct {
	self     protocol.NodeID
	from, to *image.Image
	old, now config.Values
	out      *protocol.HostPartitions

	topic  protocol.TopicID // whose resolved configuration this is
	config protocol.LogConfig
}

// partition adds one partition as the new image has it, if this node leads it.
func (h *hoster) partition(tp protocol.TopicPartition) {
	t, ok := h.to.TopicByID(tp.Topic)
	if !ok {
		return
	}
	p, ok := t.Partition(tp.Partition)
	if !ok || p.Leader != h.self {
		return
	}
	if h.topic != t.ID {
		h.topic, h.config = t.ID, resolve(h.now, t)
	}
	known := false
	if before, ok := h.from.TopicByID(tp.Topic); ok {
		_, known = before.Partition(tp.Partition)
	}
	h.out.Lead = append(h.out.Lead, protocol.LeadPartition{
		Partition: tp, TopicName: t.Name, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Replicas: p.Replicas, ISR: p.ISR,
		Config: h.config, New: !known,
	})
}

// drop adds the partitions of a deleted topic that this node holds.
func (h *hoster) drop(t *image.Topic) {
	t.EachPartition(func(n int32, p *image.Partition) bool {
		if slices.Contains(p.Replicas, h.self) {
			h.out.Drop = append(h.out.Drop, protocol.TopicPartition{Topic: t.ID, Partition: n})
		}
		return true
	})
}

// reconfigured adds a topic's partitions if its resolved configuration is another one now.
func (h *hoster) reconfigured(t *image.Topic) {
	if before, ok := h.from.TopicByID(t.ID); ok && resolve(h.old, before) == resolve(h.now, t) {
		return
	}
	t.EachPartition(func(n int32, _ *image.Partition) bool {
		h.partition(protocol.TopicPartition{Topic: t.ID, Partition: n})
		return true
	})
}

// resolve is the configuration of a topic's logs. Settings were checked when they entered the log.
func resolve(v config.Values, t *image.Topic) protocol.LogConfig {
	c, err := config.Resolve(v, t.Config)
	invariant.Check(err == nil, "the settings of topic %q, checked when they were made, do not resolve: %v", t.Name, err)
	return c
}
