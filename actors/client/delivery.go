package client

import (
	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// give tells the actor that has the lease of a partition, whose place is known.
func (c *consumer) give(ctx *actors.Context, o *owned) {
	ctx.Send(c.crew[o.by].pid, &protocol.PartitionAssigned{Lease: c.leaseOf(ctx, o), MemberEpoch: c.epoch, Offset: o.acked})
	o.opened = true
}

// read asks for the next records, if there are none to deliver.
func (c *consumer) read(ctx *actors.Context, o *owned) {
	if o.phase != reading || o.lease == 0 || o.fetch != 0 || o.waits || len(o.buffer) > 0 {
		return
	}
	reader, code := c.Routes.Reader(o.tp)
	if code != protocol.None {
		c.readLater(ctx, o)
		return
	}
	m := &protocol.FetchRecords{Partition: o.tp, Offset: o.position, MaxBytes: c.FetchBytes, Committed: c.ReadCommitted, Deadline: ctx.Mono() + fetchWait}
	o.fetch = ctx.Request(reader, m, fetchWait+answerGrace)
	c.fetches[o.fetch] = o
}

func (c *consumer) readLater(ctx *actors.Context, o *owned) {
	o.waits = true
	ctx.After(retryWait, fetchDue{o})
}

// reset is where to begin without an offset of the group.
func (c *consumer) reset() int64 {
	if c.Latest {
		return protocol.OffsetLatest
	}
	return protocol.OffsetEarliest
}

// fetched takes what a reader answered.
func (c *consumer) fetched(ctx *actors.Context, m *protocol.RecordsFetched) {
	o := c.fetches[m.ID]
	if o == nil {
		return // of a partition that is not read any more
	}
	delete(c.fetches, m.ID)
	o.fetch = 0
	switch {
	case o.phase != reading:
	case m.Code == protocol.OffsetOutOfRange:
		if o.position < 0 {
			c.readLater(ctx, o)
			return
		}
		o.position = c.reset() // retention was faster; what is out goes on
		c.read(ctx, o)
	case m.Code == protocol.CorruptMessage:
		c.end(ctx, protocol.Fault{Code: m.Code, Reason: o.topic + ": " + m.Reason})
	case m.Failed():
		c.readLater(ctx, o)
	default:
		c.arrived(ctx, o, m)
	}
}

// arrived takes an answer that is no failure.
func (c *consumer) arrived(ctx *actors.Context, o *owned, m *protocol.RecordsFetched) {
	records, err := decode(m.Batches, m.Offset, m.Aborted)
	if err != nil {
		c.end(ctx, protocol.Fault{Code: protocol.CorruptMessage, Reason: o.topic + ": " + err.Error()})
		return
	}
	if o.position < 0 {
		c.begin(ctx, o, m.Offset)
	}
	if !o.opened {
		c.give(ctx, o)
	}
	o.lane.fetched(records, m.Next)
	c.pump(ctx, o.by)
	c.read(ctx, o)
	c.commitSoon(ctx)
}

// begin is told where a partition begins or ends. Where that lies behind what was delivered, the log is not what it was (an unclean
// election): the lease cannot go on.
func (c *consumer) begin(ctx *actors.Context, o *owned, offset int64) {
	switch {
	case !o.begun:
		o.begun = true
		o.lane.begin(offset)
	case offset < o.delivered:
		by := o.by
		c.revoked(ctx, o, true)
		c.withdraw(o)
		c.assignTo(o, by)
		o.lane.begin(offset)
	default:
		o.position = offset
	}
}

// pump delivers to one actor what its credit allows, its partitions by turns.
func (c *consumer) pump(ctx *actors.Context, by int) {
	h := &c.crew[by]
	for idle, n := 0, len(c.owned); idle < n && h.credit.records > 0 && h.credit.bytes > 0; {
		h.turn = (h.turn + 1) % n
		o := c.owned[h.turn]
		idle++
		if o.by != by || o.phase != reading || !o.opened || o.lease == 0 || len(o.buffer) == 0 {
			continue
		}
		idle = 0
		records, next := o.deliver(&h.credit, deliverMax)
		ctx.Send(h.pid, &protocol.Delivered{Lease: c.leaseOf(ctx, o), MemberEpoch: c.epoch, Records: records, Next: next})
		c.read(ctx, o)
	}
}

// acknowledged takes what an actor is done with.
func (c *consumer) acknowledged(ctx *actors.Context, m *protocol.Acknowledge) {
	o := c.find(m.Partition)
	if o == nil || o.lease != m.Number {
		return // the lease is over
	}
	h := &c.crew[o.by]
	o.acknowledge(m.Next, &h.credit)
	if o.phase == revoking {
		if m.Release {
			o.drop(&h.credit)
		}
		c.settle(ctx, o)
	}
	if !c.over {
		c.pump(ctx, o.by)
		c.commitSoon(ctx)
	}
}

// notTaken: the actor's mailbox was full. It begins anew, after a while, behind what it acknowledged.
func (c *consumer) notTaken(ctx *actors.Context, m *protocol.DeliveryRefused) {
	o := c.find(m.Partition)
	if o == nil || o.lease != m.Number {
		return
	}
	c.revoked(ctx, o, true)
	by := o.by
	c.withdraw(o)
	if o.phase == revoking {
		c.settle(ctx, o)
		return
	}
	c.assignTo(o, by)
	ctx.After(retryWait, renewDue{o, o.lease})
}
