package partition

import (
	"errors"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/replica"
	"github.com/troupe-broker/troupe/partition/storage"
)

// replicaActor is the leader of one partition. It owns the log, the producer state and the replica machine; what others may read it
// publishes as a View. Built by the host outside the pool (recover.go), so that its first turn can serve.
type replicaActor struct {
	*place
	handle *Handle
	config *protocol.LogConfig

	log       *storage.Log
	producers *producer.State
	leader    *replica.Leader
	awaits    replica.Awaits
	questions questions        // to transaction coordinators
	turn      *turn            // nil while nothing is collected
	purges    []purge          // whose log start is not durable yet, oldest first
	snapshot  *snapshot        // of the producers, on its way to the disk
	rounding  *beginRound      // waits for a flush
	replacing *replaceSegments // waits for a snapshot, or for the flush that puts it in place

	ending    ending
	passing   bool // failed by what passes
	moved     bool // something in the View changed since it was published
	unnamed   bool // there is no partition.metadata yet
	touched   bool // the host knows that there is something to checkpoint
	reporting bool // housekeep is answered when the flush that runs has ended

	flushing  bool  // a flush is with the flusher
	unflushed int64 // bytes appended since the last flush was asked for
	behind    int64 // records appended since then

	timer   actors.TimerID
	timerAt time.Duration // monotonic; 0 while no timer is set
	flushAt time.Duration // monotonic: a flush is due, under durability=os or after a full disk; 0 for none

	snapshotBytes int64 // appended since the last producer snapshot: what a start has to replay
	snapshotAt    int64 // offset of the newest producer snapshot on the disk; -1 if there is none
}

// place is what the partitions of one log directory have in common. Immutable once the host runs.
type place struct {
	dir           string
	fs            env.FS
	files         *storage.Files
	host, flusher actors.PID
	node          protocol.NodeID
	verifier      verifier
	// producerExpiry is how long an idle producer is remembered, as of now. Any goroutine.
	producerExpiry func() time.Duration
}

// ending says why the actor takes nothing any more.
type ending uint8

const (
	serving ending = iota
	failed         // the log is offline; the actor has stopped itself
	dropped        // the topic was deleted
	closing        // clean stop: waiting for the last flush
	closed         // clean stop: the log is being closed, outside the actor
)

// Receive handles one message. Everything that is written, published or answered because of an append waits for EndTurn.
func (a *replicaActor) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.Produce:
		a.produce(ctx, m)
	case *flushed:
		a.flushed(ctx, m)
	case *protocol.PartitionsAdded:
		a.verified(ctx, m)
	case actors.RequestTimedOut:
		a.unverified(ctx, m)
	case *askAgain:
		a.askAgain(ctx, m)
	case *protocol.AwaitRecords:
		a.await(ctx, m)
	case *protocol.ForgetAwait:
		a.awaits.Forget(m.ReplyTo, m.ID)
	case wake:
		a.wake(ctx)
	case *protocol.DeleteRecords:
		a.deleteRecords(ctx, m)
	case *startSaved:
		a.startSaved(ctx, m)
	case *protocol.DescribeProducers:
		a.describeProducers(ctx, m)
	case *lead:
		a.lead(ctx, m)
	case *beginRound:
		a.beginRound(ctx, m)
	case *replaceSegments:
		a.replaceSegments(ctx, m)
	case housekeep:
		a.housekeep(ctx, m)
	case *snapshotSaved:
		a.snapshotSaved(ctx, m)
	case closeLog:
		a.retire(ctx, closing)
	case dropLog:
		a.retire(ctx, dropped)
	case failLog:
		a.fail(ctx, m.err)
	case *logClosed:
		ctx.Send(a.host, m)
		ctx.StopSelf()
	case actors.Started:
		a.start(ctx)
	case actors.Stopping:
		if a.ending != failed {
			a.abandon(ctx, protocol.NotLeaderOrFollower, "the node is stopping")
		}
	}
}

// EndTurn writes what the turn collected, publishes what it changed and answers what that allows.
func (a *replicaActor) EndTurn(ctx *actors.Context) {
	a.write(ctx)
	a.flushIfDue(ctx)
	a.replaceWhenSafe(ctx)
	a.settle(ctx)
	a.trimIfFull(ctx)
	a.savePurges(ctx)
	a.saveSnapshot(ctx)
	a.retireWhenQuiet(ctx)
	a.rearm(ctx)
}

// Failed ends what is parked after a panic. The log may hold records that nobody will hear of: their producers are told to ask again,
// and recovery decides.
func (a *replicaActor) Failed(ctx *actors.Context, cause error) {
	a.ending = failed
	a.abandon(ctx, protocol.KafkaStorageError, "the partition failed: "+cause.Error())
}

// start begins the first turn of a leader.
func (a *replicaActor) start(ctx *actors.Context) {
	// What recovery found beyond the last flush may be in the page cache only.
	a.flush(ctx)
}

// settle publishes what changed, then answers whoever waited for that: who got an answer must find what it says in the View.
func (a *replicaActor) settle(ctx *actors.Context) {
	if !a.moved || a.ending == failed || a.ending == closed {
		return
	}
	a.moved = false
	v := a.publish()
	now := ctx.Mono()
	a.leader.Release(now, func(ack *replica.Ack, code protocol.Code) { answerAck(ctx, ack, code) })
	a.awaits.Wake(v.HighWatermark, v.LastStableOffset, now, func(w replica.Await) { answerAwait(ctx, w) })
}

// publish builds the View of now.
func (a *replicaActor) publish() *View {
	was := a.handle.View()
	v := &View{
		Err: was.Err, Reason: was.Reason,
		Log: a.log.View(), Config: a.config, Leader: true,
		LogStartOffset: a.log.StartOffset(), LogEndOffset: a.log.EndOffset(), FlushedOffset: a.log.FlushedOffset(),
		HighWatermark: a.leader.HighWatermark(), LeaderEpoch: a.leader.Epoch(), EpochStartOffset: a.leader.EpochStart(),
	}
	// Retention and DeleteRecords stop at the high watermark, but an open transaction may begin below the log start.
	v.LastStableOffset = max(a.producers.LSO(v.HighWatermark), v.LogStartOffset)
	if mutation.Is(mutation.StableAtWatermark) {
		v.LastStableOffset = v.HighWatermark
	}
	a.check(was, v)
	a.handle.Publish(v)
	return v
}

// check holds I-BOUNDS and I-HW. The arguments are only boxed when it fails: this runs every turn.
func (a *replicaActor) check(was, v *View) {
	if v.LogStartOffset > v.LastStableOffset || v.LastStableOffset > v.HighWatermark || v.HighWatermark > v.LogEndOffset {
		invariant.Check(false, "%v: log start %d, last stable %d, high watermark %d, log end %d", a.handle.Partition,
			v.LogStartOffset, v.LastStableOffset, v.HighWatermark, v.LogEndOffset)
	}
	if v.LeaderEpoch <= was.LeaderEpoch && v.HighWatermark < was.HighWatermark {
		invariant.Check(false, "%v: the high watermark falls from %d to %d in epoch %d", a.handle.Partition,
			was.HighWatermark, v.HighWatermark, v.LeaderEpoch)
	}
}

// lead takes a decision of the controller about this leadership: configuration, in-sync set, or a new epoch of the same leader.
func (a *replicaActor) lead(ctx *actors.Context, m *lead) {
	a.write(ctx)
	ctx.Send(a.host, &led{tp: a.handle.Partition, from: ctx.Self()})
	if a.ending != serving || m.LeaderEpoch < a.leader.Epoch() {
		return
	}
	a.config = m.config
	a.log.Reconfigure(*m.config)
	term := termOf(a.node, &m.LeadPartition, m.config)
	if m.LeaderEpoch == a.leader.Epoch() {
		a.leader.Reconfigure(term)
	} else {
		a.leader.Resign(protocol.NotLeaderOrFollower, func(ack *replica.Ack, code protocol.Code) { answerAck(ctx, ack, code) })
		a.refuseHeld(ctx, protocol.Fault{Code: protocol.NotLeaderOrFollower, Reason: "the leader epoch has changed"})
		a.leader = replica.NewLeader(term, replica.Log{
			End: a.log.EndOffset(), Flushed: a.log.FlushedOffset(), HighWatermark: a.leader.HighWatermark(),
		})
	}
	a.moved = true
}

// termOf translates the controller's decision for the replica machine. Invariant: node is in the in-sync set.
func termOf(node protocol.NodeID, p *protocol.LeadPartition, config *protocol.LogConfig) replica.Term {
	return replica.Term{
		Self: node, Epoch: p.LeaderEpoch, ISR: p.ISR, MinISR: min(int(config.MinInsyncReplicas), len(p.Replicas)),
		Durability: config.Durability,
	}
}

// fail takes the log offline: everything parked is answered, the view says so and the actor stops. The host sees it end and leaves
// the log offline until the node restarts.
func (a *replicaActor) fail(ctx *actors.Context, err error) {
	if a.ending == failed {
		return
	}
	a.ending = failed
	if a.passing = storage.Passing(err); !a.passing {
		ctx.Send(a.flusher, keepJournal{err: err})
	}
	a.abandon(ctx, protocol.KafkaStorageError, err.Error())
	ctx.StopSelf()
}

// retire ends the leadership for good. A dropped partition answers everything now; a closing one lets its last flush acknowledge
// what it covers. Both wait until nothing else holds the log.
func (a *replicaActor) retire(ctx *actors.Context, why ending) {
	a.write(ctx)
	if a.ending != serving {
		return
	}
	a.settle(ctx)
	a.ending = why
	if why == dropped {
		a.abandon(ctx, protocol.UnknownTopicOrPartition, "the topic was deleted")
		return
	}
	a.shut(protocol.NotLeaderOrFollower, "the node is stopping")
	a.refuseHeld(ctx, a.fault())
	a.answerRound(ctx)
	a.refuseReplacing(ctx, a.fault())
	a.wakeAll(ctx)
	a.flush(ctx)
}

// retireWhenQuiet goes on with retire when no flush and no snapshot holds the log.
func (a *replicaActor) retireWhenQuiet(ctx *actors.Context) {
	if a.flushing || a.snapshot != nil {
		return
	}
	switch a.ending {
	case dropped:
		a.ending = closed
		ctx.Send(a.host, &logClosed{positioned: a.position(ctx)})
		ctx.StopSelf()
	case closing:
		a.abandon(ctx, protocol.NotLeaderOrFollower, "the node is stopping")
		a.ending = closed
		a.close(ctx)
	}
}

// shut makes the View refuse readers.
func (a *replicaActor) shut(code protocol.Code, reason string) {
	v := *a.handle.View()
	v.Err, v.Reason, v.Passing = code, reason, a.passing
	a.handle.Publish(&v)
}

// abandon ends everything parked, collected or waiting. It only sends and publishes, so that it is safe after a panic.
func (a *replicaActor) abandon(ctx *actors.Context, code protocol.Code, reason string) {
	if v := a.handle.View(); v.Err == protocol.None {
		a.shut(code, reason)
	}
	a.refuseTurn(ctx, protocol.Fault{Code: code, Reason: reason})
	a.refuseHeld(ctx, protocol.Fault{Code: code, Reason: reason})
	a.leader.Resign(code, func(ack *replica.Ack, code protocol.Code) { answerAck(ctx, ack, code) })
	for _, p := range a.purges {
		p.answer(ctx, protocol.Fault{Code: code, Reason: reason}, -1)
	}
	a.purges = nil
	a.answerRound(ctx)
	a.refuseReplacing(ctx, protocol.Fault{Code: code, Reason: reason})
	a.wakeAll(ctx)
}

// fault is why the actor takes nothing any more, for those who ask.
func (a *replicaActor) fault() protocol.Fault {
	v := a.handle.View()
	return protocol.Fault{Code: v.Err, Reason: v.Reason}
}

// isRefusal reports a refusal that leaves the log usable.
func isRefusal(err error) bool { return errors.Is(err, storage.ErrRefused) }
