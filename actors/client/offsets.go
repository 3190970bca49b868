package client

import (
	"slices"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// locate asks where the group is in partitions that are new.
func (c *consumer) locate(ctx *actors.Context) {
	if c.locating != 0 || c.locateTimer != 0 || c.epoch == 0 {
		return
	}
	c.wanted = c.wanted[:0]
	m := &protocol.FetchOffsets{Member: c.member(), Generation: c.epoch, RequireStable: true}
	for _, o := range c.owned {
		if o.phase == locating {
			c.wanted = append(c.wanted, o)
			m.Wanted = append(m.Wanted, protocol.WantedOffset{Topic: o.topic, Partition: o.tp.Partition, TopicID: o.tp.Topic})
		}
	}
	if len(c.wanted) == 0 {
		return
	}
	shard, code := c.Routes.Coordinator(c.Group)
	if code != protocol.None {
		c.locateTimer = ctx.After(retryWait, locateDue{})
		return
	}
	c.locating = ctx.Request(shard, m, coordinatorWait)
}

// located begins to read what was found.
func (c *consumer) located(ctx *actors.Context, m *protocol.OffsetsFetched) {
	if m.ID != c.locating {
		return
	}
	c.locating = 0
	switch {
	case fences(m.Code):
		c.fenced(ctx)
		return
	case m.Code == protocol.StaleMemberEpoch:
		c.beat(ctx)
	case m.Failed() && !retries(m.Code):
		c.end(ctx, m.Fault)
		return
	case !m.Failed() && len(m.Offsets) == len(c.wanted):
		for i, o := range c.wanted {
			if row := &m.Offsets[i]; o.phase == locating && row.Code == protocol.None {
				c.place(ctx, o, row.Offset)
			}
		}
	}
	for _, o := range c.owned {
		if o.phase == locating && c.locateTimer == 0 {
			c.locateTimer = ctx.After(retryWait, locateDue{})
		}
	}
}

// place begins at an offset of the group or, if that is -1, where the reader says that the partition begins or ends.
func (c *consumer) place(ctx *actors.Context, o *owned, offset int64) {
	o.phase = reading
	if offset < 0 {
		o.position = c.reset()
		c.read(ctx, o)
		return
	}
	o.lane.committed, o.begun = offset, true
	o.lane.begin(offset)
	c.give(ctx, o)
	c.read(ctx, o)
}

// commitSoon sees to it that what is acknowledged gets committed.
func (c *consumer) commitSoon(ctx *actors.Context) {
	if c.committing != 0 || c.commitTimer != 0 {
		return
	}
	for _, o := range c.owned {
		if o.dirty() {
			c.commitTimer = ctx.After(c.CommitEvery, commitDue{})
			return
		}
	}
}

// commit commits everything acknowledged; one request at a time.
func (c *consumer) commit(ctx *actors.Context) {
	if c.committing != 0 || c.epoch == 0 {
		return
	}
	ctx.Cancel(c.commitTimer)
	c.commitTimer = 0
	m := c.commitRequest()
	if m == nil {
		return
	}
	shard, code := c.Routes.Coordinator(c.Group)
	if code != protocol.None {
		c.commitFailed(ctx)
		return
	}
	c.committing = ctx.Request(shard, m, coordinatorWait)
}

// commitRequest is nil if there is nothing to commit.
func (c *consumer) commitRequest() *protocol.CommitOffsets {
	c.rows, c.offsets = c.rows[:0], nil
	for _, o := range c.owned {
		if o.dirty() {
			c.rows = append(c.rows, o)
			c.offsets = append(c.offsets, protocol.CommitOffset{Topic: o.topic, TopicID: o.tp.Topic, Partition: o.tp.Partition, Offset: o.acked, LeaderEpoch: protocol.NoLeaderEpoch})
		}
	}
	if len(c.rows) == 0 {
		return nil
	}
	return &protocol.CommitOffsets{Member: c.member(), Generation: c.epoch, ProducerID: protocol.NoProducerID, ProducerEpoch: -1, Retention: -1, Offsets: c.offsets}
}

// commitFailed tries again after a while.
func (c *consumer) commitFailed(ctx *actors.Context) {
	c.committing = 0
	if c.commitTimer == 0 {
		c.commitTimer = ctx.After(retryWait, commitDue{})
	}
}

// committed takes the coordinator's answer.
func (c *consumer) committed(ctx *actors.Context, m *protocol.OffsetsCommitted) {
	if m.ID != c.committing {
		return
	}
	c.committing = 0
	if len(m.Codes) != len(c.rows) {
		c.commitFailed(ctx)
		return
	}
	again := false
	for i, o := range c.rows {
		switch code := m.Codes[i]; {
		case code == protocol.None:
			o.kept(c.offsets[i].Offset)
		case fences(code):
			c.fenced(ctx)
			return
		case code == protocol.FencedInstanceID:
			c.end(ctx, protocol.Fault{Code: code, Reason: "another member has the instance id " + c.InstanceID})
			return
		case code == protocol.StaleMemberEpoch:
			c.beat(ctx)
			again = true
		default: // of a topic that is deleted, too: then the partition is soon revoked
			again = true
		}
	}
	if again {
		c.commitFailed(ctx)
	}
	for _, o := range slices.Clone(c.owned) {
		if o.phase == revoking && !(again && o.dirty()) {
			c.settle(ctx, o)
		}
	}
	if !c.over {
		c.commitSoon(ctx)
	}
}
