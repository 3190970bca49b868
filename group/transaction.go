package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster"
	"github.com/troupe-broker/troupe/group/step"
	"github.com/troupe-broker/troupe/group/txn"
	"github.com/troupe-broker/troupe/partition"
)

const (
	// markerWait is how long a partition may take to write a marker; then it is sent again.
	markerWait = 10 * time.Second
	// producerIDWait is how long the node's allocator may take.
	producerIDWait = 10 * time.Second
)

// transactionState is one transactional id.
type transactionState struct {
	id string
	*txn.Transaction
}

func newTransactionState(id string, p *place, h *partition.Handle) *transactionState {
	b := p.settings()
	return &transactionState{id, txn.New(id, txn.Config{
		CoordinatorEpoch: int32(h.View().LeaderEpoch), MaxTimeout: b.Duration("transaction.max.timeout.ms"),
		ExpireAfter: b.Duration("transactional.id.expiration.ms"),
	})}
}

func (t *transactionState) name() string { return t.id }

func (t *transactionState) replay(key, value []byte, _ protocol.ProducerID, _ int64) error {
	return t.Replay(key, value)
}

func (t *transactionState) ended(protocol.ProducerID, bool) {}

func (t *transactionState) gone() bool { return !t.Known() }

func (t *transactionState) actor(p *place, shard actors.PID, self *child) actors.Actor {
	return &transactionActor{transactionState: t, core: newCore(p, shard, self)}
}

func (t *transactionState) listing() listing {
	row, start, ok := t.Listed()
	return listing{exists: ok, state: row.State, producer: row.ProducerID, start: start}
}

// transactionActor is one transactional id: it writes markers for its machine, and fetches producer ids.
type transactionActor struct {
	*transactionState
	core
	sent []sentMarker // not answered
}

// sentMarker is a marker under way.
type sentMarker struct {
	request   uint64
	partition protocol.NamedPartition
}

// Receive implements actors.Actor.
func (t *transactionActor) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.Produced:
		t.marked(ctx, m.ID, m.Code)
	case *settled:
		t.core.settle(ctx, t, m)
		t.resume(ctx)
	case *protocol.OffsetsEnded:
		t.marked(ctx, m.ID, m.Code)
	case *cluster.ProducerIDTaken:
		t.ProducerID(t.now(ctx), m.ProducerID, m.Code, &t.out)
		t.finish(ctx, t, t.Transaction)
	case actors.RequestTimedOut:
		t.timedOut(ctx, m)
	case step.Command:
		t.seen++
		t.command(ctx, m)
	case wake:
		t.woken(ctx, t, t.Transaction)
	case actors.Started:
		t.Loaded(t.now(ctx), &t.out)
		t.finish(ctx, t, t.Transaction)
	case actors.Stopping:
		t.end(ctx, protocol.NotCoordinator)
	}
	if t.idle() && len(t.sent) == 0 && !t.Known() && t.Idle() {
		ctx.Send(t.shard, &retire{from: t.self, seen: t.seen})
	}
}

// Failed implements actors.FailureHandler.
func (t *transactionActor) Failed(ctx *actors.Context, _ error) {
	t.end(ctx, protocol.CoordinatorNotAvailable)
}

func (t *transactionActor) command(ctx *actors.Context, m step.Command) {
	if t.busy() || len(t.held) > 0 {
		t.hold(ctx, m)
		return
	}
	t.step(ctx, t, t.Transaction, m)
}

// resume takes up what was held back, in one append: leaders of several partitions add to a transaction at the same time.
func (t *transactionActor) resume(ctx *actors.Context) {
	if t.busy() || len(t.held) == 0 {
		return
	}
	held := t.held
	t.held = nil
	for _, m := range held {
		t.take(ctx, t.Transaction, m)
	}
	t.finish(ctx, t, t.Transaction)
}

// appended implements owner.
func (t *transactionActor) appended(*actors.Context, *flown, protocol.Code) {}

// carryOut implements owner: markers and producer ids. A marker that cannot be sent now is tried again by the machine, later.
func (t *transactionActor) carryOut(ctx *actors.Context) {
	for {
		markers := t.Markers(nil)
		if len(markers) == 0 {
			break
		}
		for i := range markers {
			if code := t.send(ctx, &markers[i]); code != protocol.None {
				t.Marked(t.now(ctx), markers[i].Partition, code, &t.out)
			}
		}
	}
	if t.WantsProducerID() {
		ctx.Request(t.place.ProducerIDs, &cluster.TakeProducerID{}, producerIDWait)
	}
}

// send writes one marker: to the partition's leader or, for offsets, to the shard that owns the partition.
func (t *transactionActor) send(ctx *actors.Context, m *txn.Marker) protocol.Code {
	to, msg, code := t.markerFor(ctx, m)
	if code == protocol.None {
		t.sent = append(t.sent, sentMarker{ctx.Request(to, msg, markerWait+appendGrace), m.Partition})
	}
	return code
}

func (t *transactionActor) markerFor(ctx *actors.Context, m *txn.Marker) (actors.PID, actors.Command, protocol.Code) {
	if m.Partition.Topic == OffsetsTopic {
		to := t.place.Directory.shard(groups, m.Partition.Partition)
		if to.IsZero() {
			return to, nil, protocol.NotCoordinator
		}
		return to, &protocol.EndOffsets{
			Partition: m.Partition.Partition, ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Commit,
			TransactionVersion: m.TransactionVersion,
		}, protocol.None
	}
	topic, ok := t.place.Images.Load().Topic(m.Partition.Topic)
	if !ok {
		return actors.PID{}, nil, protocol.UnknownTopicOrPartition
	}
	tp := protocol.TopicPartition{Topic: topic.ID, Partition: m.Partition.Partition}
	h := t.place.Table.Get(tp)
	if h == nil || h.PID.IsZero() {
		return actors.PID{}, nil, protocol.NotLeaderOrFollower
	}
	batch := record.EndTxnMarker(int64(m.ProducerID), int16(m.ProducerEpoch), m.Commit, m.CoordinatorEpoch, ctx.Now().UnixMilli())
	return h.PID, &protocol.Produce{
		Partition: tp, LeaderEpoch: protocol.NoLeaderEpoch, Acks: -1, Deadline: ctx.Mono() + markerWait, Batch: batch, Internal: true,
		TransactionVersion: m.TransactionVersion,
	}, protocol.None
}

// marked tells the machine what became of a marker.
func (t *transactionActor) marked(ctx *actors.Context, request uint64, code protocol.Code) {
	i := slices.IndexFunc(t.sent, func(s sentMarker) bool { return s.request == request })
	if i < 0 {
		return
	}
	p := t.sent[i].partition
	if t.sent = slices.Delete(t.sent, i, i+1); len(t.sent) == 0 {
		t.sent = nil
	}
	t.Marked(t.now(ctx), p, code, &t.out)
	t.finish(ctx, t, t.Transaction)
}

func (t *transactionActor) timedOut(ctx *actors.Context, m actors.RequestTimedOut) {
	if m.To.Equal(t.place.ProducerIDs) {
		t.ProducerID(t.now(ctx), protocol.NoProducerID, protocol.CoordinatorNotAvailable, &t.out)
		t.finish(ctx, t, t.Transaction)
		return
	}
	t.marked(ctx, m.ID, protocol.RequestTimedOut)
}
