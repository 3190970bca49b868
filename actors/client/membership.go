package client

import (
	"slices"
	"sort"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

const (
	leavingEpoch = -1
	pausingEpoch = -2 // a static member that leaves for a while
)

// retries are the codes after which the same is asked again, of the coordinator there is by then.
func retries(code protocol.Code) bool {
	switch code {
	case protocol.NotCoordinator, protocol.CoordinatorNotAvailable, protocol.CoordinatorLoadInProgress, protocol.RequestTimedOut, protocol.NotEnoughReplicas,
		protocol.NotEnoughReplicasAfter, protocol.UnreleasedInstanceID, protocol.UnstableOffsetCommit, protocol.ThrottlingQuotaExceeded:
		return true
	}
	return false
}

// fences are the codes that say: you are no member, or not of this epoch.
func fences(code protocol.Code) bool {
	switch code {
	case protocol.FencedMemberEpoch, protocol.UnknownMemberID, protocol.GroupIDNotFound, protocol.IllegalGeneration:
		return true
	}
	return false
}

func (c *consumer) member() protocol.Member {
	return protocol.Member{GroupID: c.Group, MemberID: c.memberID, InstanceID: c.InstanceID, ClientID: c.ClientID, ClientHost: "/127.0.0.1"}
}

// beat sends the next heartbeat, after the one under way if there is one. In the end it is the one that leaves.
func (c *consumer) beat(ctx *actors.Context) {
	if c.beating != 0 {
		c.again = true
		return
	}
	ctx.Cancel(c.beatTimer)
	c.beatTimer = 0
	gone := c.leaving && len(c.owned) == 0
	if gone && c.epoch == 0 {
		c.end(ctx, protocol.Fault{})
		return
	}
	shard, code := c.Routes.Coordinator(c.Group)
	if code != protocol.None {
		c.beatTimer = ctx.After(retryWait, beatDue{})
		return
	}
	if gone {
		c.beating = ctx.Request(shard, c.goodbye(), coordinatorWait)
		return
	}
	m := &protocol.HeartbeatConsumer{Member: c.member(), MemberEpoch: c.epoch, RebalanceTimeout: -1}
	c.saying = c.holding()
	if c.full || c.epoch == 0 {
		m.RebalanceTimeout = c.RevokeWait + commitGrace
		m.Topics, m.TopicsSet, m.Assignor = slices.Clone(c.Topics), true, c.Assignor
		m.Owned, m.OwnedSet = c.saying, true
	} else if !sameHolding(c.saying, c.said) {
		m.Owned, m.OwnedSet = c.saying, true
	}
	c.beating = ctx.Request(shard, m, coordinatorWait)
}

func (c *consumer) goodbye() *protocol.HeartbeatConsumer {
	m := &protocol.HeartbeatConsumer{Member: c.member(), MemberEpoch: leavingEpoch, RebalanceTimeout: -1}
	if c.InstanceID != "" {
		m.MemberEpoch = pausingEpoch
	}
	return m
}

// holding is what the consumer has, in the form of a heartbeat.
func (c *consumer) holding() []protocol.TopicPartitions {
	out := []protocol.TopicPartitions{}
	for _, o := range c.owned {
		if n := len(out); n == 0 || out[n-1].Topic != o.tp.Topic {
			out = append(out, protocol.TopicPartitions{Topic: o.tp.Topic})
		}
		last := &out[len(out)-1]
		last.Partitions = append(last.Partitions, o.tp.Partition)
	}
	return out
}

func sameHolding(a, b []protocol.TopicPartitions) bool {
	return slices.EqualFunc(a, b, func(a, b protocol.TopicPartitions) bool {
		return a.Topic == b.Topic && slices.Equal(a.Partitions, b.Partitions)
	})
}

// heard takes the coordinator's answer. Partitions are taken here and nowhere else: see the package's doc.
func (c *consumer) heard(ctx *actors.Context, m *protocol.ConsumerHeartbeat) {
	if m.ID != c.beating {
		return // to what was said before it was fenced
	}
	c.beating = 0
	again := c.again
	c.again = false
	switch {
	case c.leaving && len(c.owned) == 0 && (m.MemberEpoch < 0 || fences(m.Code)):
		c.end(ctx, protocol.Fault{})
	case retries(m.Code):
		c.full = true
		c.beatTimer = ctx.After(retryWait, beatDue{})
	case fences(m.Code):
		c.fenced(ctx)
	case m.Failed():
		c.end(ctx, m.Fault)
	default:
		c.epoch, c.said, c.full = m.MemberEpoch, c.saying, false
		if m.AssignmentSet {
			c.setTarget(m.Assignment)
		}
		if c.reconcile(ctx); c.over {
			return
		}
		if again || !sameHolding(c.holding(), c.said) {
			c.beat(ctx)
		} else if c.beating == 0 {
			c.beatTimer = ctx.After(m.Interval, beatDue{})
		}
	}
}

func (c *consumer) setTarget(rows []protocol.TopicPartitions) {
	c.target = nil
	for _, row := range rows {
		for _, p := range row.Partitions {
			c.target = append(c.target, protocol.TopicPartition{Topic: row.Topic, Partition: p})
		}
	}
	sort.Slice(c.target, func(i, j int) bool { return c.target[i].Less(c.target[j]) })
}

// reconcile goes from what is owned to what shall be.
func (c *consumer) reconcile(ctx *actors.Context) {
	if c.leaving {
		return
	}
	for _, o := range slices.Clone(c.owned) {
		if _, stays := slices.BinarySearchFunc(c.target, o.tp, compare); !stays {
			c.revoke(ctx, o)
		}
	}
	for _, tp := range c.target {
		if c.find(tp) == nil {
			c.take(tp)
		}
	}
	c.locate(ctx)
}

// compare orders partitions.
func compare(a, b protocol.TopicPartition) int {
	switch {
	case a.Less(b):
		return -1
	case b.Less(a):
		return 1
	}
	return 0
}

func (c *consumer) at(tp protocol.TopicPartition) (int, bool) {
	return slices.BinarySearchFunc(c.owned, tp, func(o *owned, tp protocol.TopicPartition) int { return compare(o.tp, tp) })
}

func (c *consumer) find(tp protocol.TopicPartition) *owned {
	if i, ok := c.at(tp); ok {
		return c.owned[i]
	}
	return nil
}

// take owns a partition. One whose topic is not known here yet is taken after a later heartbeat.
func (c *consumer) take(tp protocol.TopicPartition) {
	t, ok := c.Routes.TopicByID(tp.Topic)
	if !ok {
		return
	}
	o := &owned{tp: tp, topic: t.Name, lane: lane{committed: -1}}
	i, _ := c.at(tp)
	c.owned = slices.Insert(c.owned, i, o)
	c.assign(o)
}

// assign gives a partition to an actor of the crew; there is one.
func (c *consumer) assign(o *owned) { c.assignTo(o, c.crew.next()) }

func (c *consumer) assignTo(o *owned, by int) {
	c.crew[by].lanes++
	c.leases++
	o.by, o.lease, o.opened = by, c.leases, false
}

// fenced: the coordinator has given everything away. Begin anew.
func (c *consumer) fenced(ctx *actors.Context) {
	for _, o := range slices.Clone(c.owned) {
		c.release(ctx, o, true)
	}
	c.target, c.epoch, c.full = nil, 0, true
	c.beating, c.locating, c.committing = 0, 0, 0 // whatever is answered to them is about the past
	c.beat(ctx)
}

// revoke gives a partition back: delivery stops, the actor finishes what it has, that is committed.
func (c *consumer) revoke(ctx *actors.Context, o *owned) {
	if o.phase >= revoking {
		return
	}
	if !o.opened && !o.dirty() { // its next actor was not told of it, but one before may have acknowledged some
		c.release(ctx, o, false)
		return
	}
	o.phase, o.buffer, o.deadline = revoking, nil, ctx.Mono()+c.RevokeWait
	if len(o.out) > 0 {
		ctx.Send(c.crew[o.by].pid, &protocol.RevokePartition{Lease: c.leaseOf(ctx, o), Deadline: o.deadline})
	}
	ctx.After(c.RevokeWait, revokeDue{o})
	ctx.After(c.RevokeWait+commitGrace, giveUpDue{o})
	c.settle(ctx, o)
}

// expire waits no longer for an actor's acknowledgements.
func (c *consumer) expire(ctx *actors.Context, o *owned) {
	if o.phase == revoking {
		o.drop(&c.crew[o.by].credit)
		c.settle(ctx, o)
	}
}

// settle ends a revocation when nothing is out and everything acknowledged is committed.
func (c *consumer) settle(ctx *actors.Context, o *owned) {
	switch {
	case o.phase != revoking || len(o.out) > 0:
	case o.dirty():
		c.commit(ctx)
	default:
		c.release(ctx, o, false)
		c.beat(ctx)
	}
}

// release ends a lease and lets go of the partition.
func (c *consumer) release(ctx *actors.Context, o *owned, isLost bool) {
	c.revoked(ctx, o, isLost)
	c.withdraw(o)
	o.phase = closed
	if i, ok := c.at(o.tp); ok && c.owned[i] == o {
		c.owned = slices.Delete(c.owned, i, i+1)
	}
}

// revoked tells the actor that its lease is over.
func (c *consumer) revoked(ctx *actors.Context, o *owned, isLost bool) {
	if o.opened && o.lease != 0 && !c.crew[o.by].gone {
		ctx.Send(c.crew[o.by].pid, &protocol.PartitionRevoked{Lease: c.leaseOf(ctx, o), Committed: o.lane.committed, Lost: isLost})
	}
}

// withdraw takes a partition from its actor: what was out is read again by the next.
func (c *consumer) withdraw(o *owned) {
	if o.lease == 0 {
		return
	}
	o.lease = 0
	if o.begun {
		o.drop(&c.crew[o.by].credit)
	}
	c.crew[o.by].lanes--
	if o.fetch != 0 { // of what lies behind
		delete(c.fetches, o.fetch)
		o.fetch = 0
	}
}

func (c *consumer) leaseOf(ctx *actors.Context, o *owned) protocol.Lease {
	return protocol.Lease{Consumer: ctx.Self(), Number: o.lease, Topic: o.topic, Partition: o.tp}
}
