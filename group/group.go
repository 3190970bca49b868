package group

import (
	"slices"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/classic"
	"github.com/troupe-broker/troupe/group/consumer"
	"github.com/troupe-broker/troupe/group/offsets"
	"github.com/troupe-broker/troupe/group/step"
)

const (
	// commitsMax bounds the offset commits of one group under way.
	commitsMax = 1000
	// commitSizeMax bounds the records of one offset commit, in bytes: more than the largest request, whose names of groups and topics
	// they repeat for every partition.
	commitSizeMax = 128 << 20
)

// groupActor is one group. Commands are taken in order; while records of its machine are under way all of them wait but those about
// offsets, on which nothing is decided that could change meanwhile.
type groupActor struct {
	*groupState
	core
	commits int  // under way
	weight  int  // bytes of members, as the node's population counts them
	look    bool // at the topics, as soon as nothing of the machine is under way
}

// Receive implements actors.Actor.
func (g *groupActor) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.CommitOffsets:
		g.seen++
		g.commit(ctx, m)
	case *settled:
		g.core.settle(ctx, g, m)
		g.resume(ctx)
	case *protocol.FetchOffsets:
		g.seen++
		g.fetch(ctx, m)
	case step.Command:
		g.seen++
		g.command(ctx, m)
	case *offsetsEnded:
		g.seen++
		g.offsets.EndTxn(m.producer, m.commit)
		g.describe(ctx, g)
	case wake:
		g.woken(ctx, g, g.deciding())
		g.weigh()
	case *sweep:
		g.seen++
		g.sweep(ctx)
	case *topicsDeleted:
		g.seen++
		g.offsets.DropTopics(m.topics, &g.out)
		g.remove(ctx, nil, nil)
	case *settingsChanged:
		g.seen++
		if g.consumer != nil {
			g.consumer.Reconfigure(g.place.consumerConfig(g.id))
		}
	case *topicsChanged:
		g.seen++
		g.look = true
		g.topics(ctx)
	case actors.Started:
		g.start(ctx)
	case actors.Stopping:
		g.end(ctx, protocol.NotCoordinator)
		g.account(0)
	}
	g.forget()
	g.maybeRetire(ctx)
}

// Failed implements actors.FailureHandler.
func (g *groupActor) Failed(ctx *actors.Context, _ error) {
	g.end(ctx, protocol.CoordinatorNotAvailable)
	g.account(0)
}

func (g *groupActor) start(ctx *actors.Context) {
	g.weigh()
	if m := g.machine(); m != nil {
		m.Loaded(g.now(ctx), &g.out)
		g.finish(ctx, g, m)
		return
	}
	g.describe(ctx, g)
}

// maybeRetire ends a group of which there is nothing.
func (g *groupActor) maybeRetire(ctx *actors.Context) {
	if g.idle() && !g.exists() {
		ctx.Send(g.shard, &retire{from: g.self, seen: g.seen})
	}
}

// deciding is the machine that takes the next command: nil if there is none.
func (g *groupActor) deciding() step.Machine {
	if m := g.machine(); m != nil {
		return m
	}
	return nil
}

// resume takes up what was held back.
func (g *groupActor) resume(ctx *actors.Context) {
	if !g.busy() {
		g.downgrade(ctx)
	}
	for !g.busy() && len(g.held) > 0 {
		if isDeletion(g.held[0]) && g.commits > 0 {
			return
		}
		m := g.held[0]
		if g.held = g.held[1:]; len(g.held) == 0 {
			g.held = nil
		}
		g.decide(ctx, m)
	}
	g.topics(ctx)
	g.arm(ctx, g.deciding())
}

// topics lets the machine see that topics changed, so that the assignment is ready when members ask.
func (g *groupActor) topics(ctx *actors.Context) {
	if !g.look || g.busy() {
		return
	}
	g.look = false
	if g.consumer != nil {
		g.consumer.MetadataChanged(g.now(ctx), &g.out)
		g.finish(ctx, g, g.consumer)
	}
}

func (g *groupActor) command(ctx *actors.Context, m step.Command) {
	if g.busy() || len(g.held) > 0 {
		g.hold(ctx, m)
		return
	}
	g.decide(ctx, m)
}

// decide takes one command; nothing of the machine is under way.
func (g *groupActor) decide(ctx *actors.Context, m step.Command) {
	switch m := m.(type) {
	case *protocol.DeleteOffsets:
		g.deleteOffsets(ctx, m)
	case *protocol.DeleteGroup:
		if g.commits > 0 {
			g.hold(ctx, m)
			return
		}
		g.deleteGroup(ctx, m)
	case *protocol.DescribeGroup:
		g.describeGroup(ctx, m)
	case *protocol.CommitOffsets:
		g.commit(ctx, m)
	default:
		if g.outweighs(ctx, m) {
			fail(ctx, m, protocol.GroupMaxSizeReached)
			return
		}
		g.give(ctx, m)
		g.weighed(m)
	}
}

// give lets the machine of the group's protocol decide. A group without members changes its protocol with the first that joins by
// another: what the log has of the old one is removed first. Source: GroupMetadataManager.getOrMaybeCreateConsumerGroup,
// classicGroupJoin.
func (g *groupActor) give(ctx *actors.Context, m step.Command) {
	beat, modern := m.(*protocol.HeartbeatConsumer)
	_, classicJoin := m.(*protocol.JoinGroup)
	switch joins := classicJoin || modern && beat.MemberEpoch == 0; {
	case modern && g.consumer == nil && g.upgrades(beat):
		g.upgrade(ctx, beat)
	case modern && g.consumer == nil && !joins:
		refuseBeat(ctx, beat, g.notConsumers(beat))
	case joins && g.empty() && g.logged() && modern == (g.consumer == nil):
		g.out.Records = append(g.out.Records, g.machine().Tombstone()...)
		g.remove(ctx, nil, m)
	default:
		g.step(ctx, g, g.machineFor(ctx, modern && joins), m)
	}
}

// notConsumers says why a member cannot be one of a consumer group.
func (g *groupActor) notConsumers(m *protocol.HeartbeatConsumer) string {
	switch {
	case g.exists():
		return "Group " + g.id + " is not a consumer group."
	case m.MemberEpoch < 0:
		return "Group " + g.id + " not found."
	}
	return "Consumer group " + g.id + " not found."
}

// refuseBeat answers a heartbeat: there is no such consumer group.
func refuseBeat(ctx *actors.Context, m *protocol.HeartbeatConsumer, reason string) {
	answer := m.Failed(protocol.GroupIDNotFound).(*protocol.ConsumerHeartbeat)
	answer.Reason = reason
	ctx.Send(m.ReplyTo, answer)
}

// machineFor is the machine of the group, or a new one.
func (g *groupActor) machineFor(ctx *actors.Context, modern bool) step.Machine {
	switch {
	case modern && g.consumer == nil && g.empty() && !g.logged():
		g.classic, g.consumer = nil, consumer.New(g.id, g.place.consumerConfig(g.id))
	case g.machine() == nil:
		g.classic = classic.New(g.id, g.place.classicConfig())
	default:
		return g.machine()
	}
	g.machine().Loaded(g.now(ctx), &g.out)
	return g.machine()
}

// forget drops a machine that says nothing.
func (g *groupActor) forget() {
	if g.idle() && !g.joined() && !g.logged() {
		g.classic, g.consumer = nil, nil
	}
}

// commit stores offsets. Source: OffsetMetadataManager.commitOffset.
func (g *groupActor) commit(ctx *actors.Context, m *protocol.CommitOffsets) {
	if len(g.held) > 0 && isDeletion(g.held[0]) {
		g.hold(ctx, m)
		return
	}
	if g.commits >= commitsMax {
		fail(ctx, m, protocol.CoordinatorLoadInProgress)
		return
	}
	if code := g.checkCommit(m); code != protocol.None {
		fail(ctx, m, code)
		return
	}
	now := g.now(ctx)
	g.offsets.Commit(now, m, offsets.Config{MetadataMax: int(g.place.settings().Int("offset.metadata.max.bytes")), SizeMax: commitSizeMax}, &g.out)
	if g.classic != nil && m.MemberID != "" {
		g.classic.Heard(now, m.MemberID)
		g.arm(ctx, g.classic)
	}
	if len(g.out.Records) == 0 {
		g.offsets.Settle(m)
		for i := range g.out.Replies {
			g.reply(ctx, &g.out.Replies[i])
		}
	} else {
		g.commits++
		producer, epoch := m.ProducerID, m.ProducerEpoch
		if producer < 0 {
			producer, epoch = protocol.NoProducerID, -1
		}
		f := &flown{records: slices.Clone(g.out.Records), replies: slices.Clone(g.out.Replies), divides: true, commit: m}
		if mutation.Is(mutation.OffsetsAckedEarly) {
			g.reply(ctx, &f.replies[0])
			f.replies = nil
		}
		g.hand(ctx, f, producer, epoch)
	}
	g.clean()
}

// checkCommit says whether the sender may commit. A group that does not exist begins with the offsets of somebody without membership.
// Source: OffsetMetadataManager.validateOffsetCommit, validateTransactionalOffsetCommit.
func (g *groupActor) checkCommit(m *protocol.CommitOffsets) protocol.Code {
	if m.Generation >= 0 && !g.exists() {
		if m.Old || m.ProducerID >= 0 {
			return protocol.IllegalGeneration
		}
		return protocol.GroupIDNotFound
	}
	return g.member().CheckCommit(m)
}

// member answers for members; a group that nobody ever joined answers like an empty classic one.
func (g *groupActor) member() membership {
	if m := g.machine(); m != nil {
		return m
	}
	return classic.New(g.id, classic.Config{})
}

// appended implements owner.
func (g *groupActor) appended(ctx *actors.Context, f *flown, code protocol.Code) {
	if f.commit != nil {
		g.commits--
		g.offsets.Settle(f.commit)
	} else {
		g.weigh()
	}
	if f.migrates && code == protocol.None {
		g.migrated(ctx, f)
	}
	if f.then != nil && code == protocol.None {
		g.command(ctx, f.then)
	}
}

// carryOut implements owner: a group wants nothing but records and answers.
func (g *groupActor) carryOut(*actors.Context) {}

func (g *groupActor) fetch(ctx *actors.Context, m *protocol.FetchOffsets) {
	if code := g.member().CheckFetch(m); code != protocol.None {
		fail(ctx, m, code)
		return
	}
	ctx.Send(m.ReplyTo, g.offsets.Fetch(m))
}

// describeGroup answers for a group of the protocol that was asked for. Source: GroupMetadataManager.describeGroups,
// consumerGroupDescribe.
func (g *groupActor) describeGroup(ctx *actors.Context, m *protocol.DescribeGroup) {
	switch {
	case !g.exists():
		g.describeFailed(ctx, m, "Group "+g.id+" not found.")
	case m.Classic && g.consumer != nil:
		g.describeFailed(ctx, m, "Group "+g.id+" is not a classic group.")
	case !m.Classic && g.consumer == nil:
		g.describeFailed(ctx, m, "Group "+g.id+" is not a consumer group.")
	case g.machine() == nil:
		ctx.Send(m.ReplyTo, &protocol.GroupDescribed{Answer: protocol.Answer{ID: m.ID}, GroupID: g.id, State: "Empty"})
	default:
		g.step(ctx, g, g.machine(), m)
	}
}

func (g *groupActor) describeFailed(ctx *actors.Context, m *protocol.DescribeGroup, reason string) {
	ctx.Send(m.ReplyTo, &protocol.GroupDescribed{
		Answer: protocol.Answer{ID: m.ID}, Fault: protocol.Fault{Code: protocol.GroupIDNotFound, Reason: reason}, GroupID: g.id,
	})
}

// deleteOffsets removes positions of topics nobody is subscribed to. Source: OffsetMetadataManager.deleteOffsets.
func (g *groupActor) deleteOffsets(ctx *actors.Context, m *protocol.DeleteOffsets) {
	if !g.exists() {
		fail(ctx, m, protocol.GroupIDNotFound)
		return
	}
	if code := g.member().CheckDeleteOffsets(); code != protocol.None {
		fail(ctx, m, code)
		return
	}
	g.offsets.Delete(m, g.member().Subscribed, &g.out)
	g.remove(ctx, g.out.Replies, nil)
}

// deleteGroup removes a group without members. Nothing of it is under way. Source: GroupCoordinatorShard.deleteGroups.
func (g *groupActor) deleteGroup(ctx *actors.Context, m *protocol.DeleteGroup) {
	if !g.exists() {
		fail(ctx, m, protocol.GroupIDNotFound)
		return
	}
	if code := g.member().CheckDelete(); code != protocol.None {
		fail(ctx, m, code)
		return
	}
	g.offsets.DeleteAll(&g.out)
	if g.logged() {
		g.out.Records = append(g.out.Records, g.machine().Tombstone()...)
	}
	g.remove(ctx, []step.Reply{{Command: m, To: m.ReplyTo, Msg: m.Failed(protocol.None)}}, nil)
}

// remove has the tombstones in out appended: each of them is right by itself. The answers leave with the last; after it comes the
// command then.
func (g *groupActor) remove(ctx *actors.Context, replies []step.Reply, then step.Command) {
	records := slices.Clone(g.out.Records)
	replies = slices.Clone(replies)
	g.clean()
	if len(records) == 0 {
		for i := range replies {
			g.reply(ctx, &replies[i])
		}
		return
	}
	g.hand(ctx, &flown{blocks: true, records: records, divides: true, replies: replies, then: then}, protocol.NoProducerID, -1)
}

// sweep removes what has expired, and the group with it if nothing else is left. Source: GroupMetadataManager.cleanupExpiredOffsets,
// KIP-211.
func (g *groupActor) sweep(ctx *actors.Context) {
	since, subscribed, ok := g.member().Expiry()
	if !ok || g.busy() || g.commits > 0 || len(g.held) > 0 {
		return
	}
	expiry := offsets.Expiry{Retention: g.place.settings().Duration("offsets.retention.minutes"), EmptySince: since, Subscribed: subscribed}
	if all := g.offsets.Expire(g.now(ctx), expiry, &g.out); all && g.logged() && !g.joined() {
		g.out.Records = append(g.out.Records, g.machine().Tombstone()...)
	}
	g.remove(ctx, nil, nil)
}

func isDeletion(m step.Command) bool {
	_, ok := m.(*protocol.DeleteGroup)
	return ok
}
