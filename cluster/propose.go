package cluster

import (
	"encoding/binary"
	"fmt"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/cluster/controller"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/cluster/raft"
	"github.com/troupe-broker/troupe/partition/storage"
)

// entryHead is the bytes before the records of an entry.
const entryHead = 16 + 8

// propose proposes what the phase asks for, unless a proposal is under way.
func (c *Controller) propose() {
	if c.failure != nil || c.entry != nil {
		return
	}
	switch c.phase {
	case catchingUp:
		c.append(nil, nil)
	case joining:
		c.join()
	case serving:
		c.decide()
	}
}

// join registers this node. The image is complete.
func (c *Controller) join() {
	if id := c.image.ClusterID; id != "" && id != c.cfg.ClusterID {
		c.Fail(fmt.Errorf("the metadata log belongs to cluster %s, meta.properties says %s: the directories come from different clusters; put back the right ones", id, c.cfg.ClusterID))
		return
	}
	records := controller.Join(c.image, controller.Registration{
		ClusterID: c.cfg.ClusterID, Node: c.cfg.Node, Incarnation: c.cfg.Incarnation, Rack: c.cfg.Rack, Listeners: c.cfg.Listeners, Clean: c.cfg.Clean,
	})
	if len(records) == 0 {
		c.phase = serving
		c.decide()
		return
	}
	c.append(records, nil)
}

// decide decides the waiting commands and proposes what follows from them as one entry.
func (c *Controller) decide() {
	working, records, answers := c.image, []image.Record(nil), []answer(nil)
	now := controller.Now{Wall: c.ctx.Now(), Rand: c.ctx.Rand, Static: c.cfg.Static, Self: c.cfg.Node}
	taken := 0
	for taken < min(len(c.waiting), batchMax) && len(records) < recordsMax {
		m := c.waiting[taken]
		c.waiting[taken] = nil
		taken++
		d := controller.Decide(working, now, m)
		if d.Answer == nil {
			c.refuse(m, actors.RefusedUnknown)
			continue
		}
		if len(d.Records) > 0 {
			working, _ = working.Apply(working.MetadataOffset+1, d.Records)
			records = append(records, d.Records...)
		}
		answers = append(answers, answer{m, d.Head.ReplyTo, d.Answer, d.Events})
	}
	if c.waiting = c.waiting[taken:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	if len(records) == 0 { // only questions: in force as soon as what was decided before them
		c.committed = append(c.committed, answers...)
		return
	}
	c.append(records, answers)
}

// append proposes one entry of records.
func (c *Controller) append(records []image.Record, answers []answer) {
	c.number++
	c.entry = &entry{c.number, answers}
	head := make([]byte, 0, entryHead+64+48*len(records))
	head = binary.BigEndian.AppendUint64(append(head, c.cfg.Incarnation[:]...), c.number)
	data, err := controller.AppendRecords(head, records)
	if err == nil {
		err = c.member.Propose(data)
	}
	if err != nil {
		c.Fail(fmt.Errorf("proposing a metadata change: %w", err))
	}
}

// Commit implements raft.Effects: an entry is decided for good.
func (c *Controller) Commit(index, _ uint64, data []byte) {
	if c.failure != nil {
		return
	}
	if len(data) < entryHead {
		c.Fail(fmt.Errorf("%w: entry %d of the metadata log has %d bytes", storage.ErrCorrupt, index, len(data)))
		return
	}
	records, err := controller.DecodeRecords(data[entryHead:])
	if err != nil {
		c.Fail(fmt.Errorf("entry %d of the metadata log: %w", index, err))
		return
	}
	folded, delta := c.image.Apply(int64(index), records)
	c.image = folded
	if c.published != nil || c.next != nil { // before, everything is hosted
		c.delta.Merge(delta)
	}
	if e := c.entry; e != nil && [16]byte(data[:16]) == c.cfg.Incarnation && binary.BigEndian.Uint64(data[16:]) == e.number {
		c.entry = nil
		c.committed = append(c.committed, e.answers...)
		switch c.phase {
		case catchingUp:
			c.phase = joining
		case joining:
			c.phase = serving
		}
	}
}

// Lead implements raft.Effects. It proposes nothing: raft is in the middle of its own turn.
func (c *Controller) Lead(leader, _ uint64) {
	c.leader = leader
	switch {
	case leader == memberID(c.cfg.Node):
		c.phase = catchingUp
	case c.phase != following:
		c.phase = following
		c.depose()
	}
}

// depose refuses what this node can no longer decide. What is committed stays on its way.
func (c *Controller) depose() {
	if c.entry != nil {
		for _, a := range c.entry.answers {
			c.refuse(a.command, actors.RefusedStopped)
		}
	}
	for _, m := range c.waiting {
		c.refuse(m, actors.RefusedStopped)
	}
	c.entry, c.waiting = nil, nil
}

// Restore implements raft.Effects.
func (c *Controller) Restore(index uint64, data []byte) {
	records, err := controller.DecodeRecords(data)
	if err != nil {
		c.Fail(fmt.Errorf("snapshot of the metadata at %d: %w", index, err))
		return
	}
	c.image, _ = image.Empty().Apply(int64(index), records)
}

// Snapshot implements raft.Effects.
func (c *Controller) Snapshot() []byte {
	var records []image.Record
	for r := range c.image.Records {
		records = append(records, r)
	}
	data, err := controller.AppendRecords(nil, records)
	if err != nil {
		c.Fail(fmt.Errorf("encoding a metadata snapshot: %w", err))
	}
	return data
}

// Send implements raft.Effects. A group of one has nobody to send to.
func (c *Controller) Send(*raft.Message) {}

// Offload implements raft.Effects.
func (c *Controller) Offload(work func() any) { c.ctx.Offload(work) }
