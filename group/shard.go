package group

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
	"github.com/troupe-broker/troupe/partition"
)

const (
	// waitingMax bounds the commands that wait for a shard, or for one child, to load.
	waitingMax = 10_000
	// childrenMax bounds the coordinators of one shard.
	childrenMax = 1 << 20
	// reloadWait is how long a shard waits before it loads again what it could not load, the first time; twice as long at each further
	// one, up to reloadWaitMax.
	reloadWait    = 50 * time.Millisecond
	reloadWaitMax = 5 * time.Second
	// childReloadsMax bounds how often in a row a child that panics is loaded again, childReloadWait how long it stays away. One that
	// then lives for childForgets has a clean slate.
	childReloadsMax = 4
	childReloadWait = time.Second
	childForgets    = 10 * time.Minute
)

// phase is how far a shard is.
type phase uint8

const (
	waiting phase = iota // for the partition, or for its turn to load
	loading
	active
)

// shard is the actor of one partition of an internal topic.
type shard struct {
	place *place
	kind  kind
	tp    protocol.TopicPartition
	of    int32 // partitions of the topic

	phase   phase
	life    int               // counts loads: what was started in an earlier one no longer matters
	retries int               // of loading, in a row
	handle  *partition.Handle // of the log that was loaded
	waiting []step.Command    // at most waitingMax

	children map[string]*child
	spawned  int // ever, for names

	next     int64            // the offset that the next batch gets
	queue    []entry          // to be appended
	inflight []*flight        // at most appendsMax, in the order of the log
	open     openTransactions // with offsets in this log
	verify   map[protocol.ProducerID]*verification
}

// child is one coordinator of a shard. The actor passes it on as its name and never looks into it.
type child struct {
	id     string
	pid    actors.PID // zero while it is away
	sent   uint64     // messages that retire counts
	under  int        // appends queued or in flight
	listed listing
	away   *absence // it failed, and is to be loaded again

	failures failures
}

func newShard(p *place, k kind, tp protocol.TopicPartition, of int32) *shard {
	return &shard{place: p, kind: k, tp: tp, of: of}
}

// Timers of a shard.
type (
	retryLoad struct{ life int }
	sweepTick struct{}
)

// Receive implements actors.Actor.
func (s *shard) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *appendRecords:
		s.append(ctx, m)
	case *protocol.Produced:
		s.produced(ctx, m)
	case actors.RequestTimedOut:
		s.timedOut(ctx, m)
	case *described:
		s.described(m)
	case *retire:
		s.retire(ctx, m)
	case *loaded:
		s.chunkLoaded(ctx, m)
	case *protocol.PartitionsAdded:
		s.verified(ctx, m)
	case step.Command:
		s.command(ctx, m)
	default:
		s.rare(ctx, msg)
	}
}

func (s *shard) rare(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case actors.Started:
		s.begin(ctx)
		if s.kind == groups { // transactional ids expire by themselves
			ctx.After(s.sweepEvery(), sweepTick{})
		}
	case *loadNow:
		s.load(ctx)
	case retryLoad:
		if m.life == s.life && s.phase == waiting {
			s.begin(ctx)
		}
	case sweepTick:
		s.tell(ctx, &sweep{}, anyChild)
		ctx.After(s.sweepEvery(), sweepTick{})
	case *topicsDeleted:
		s.tell(ctx, m, anyChild)
	case *topicsChanged:
		s.tell(ctx, m, func(c *child) bool { return c.listed.group.Type == "consumer" })
	case *settingsChanged:
		s.tell(ctx, m, func(c *child) bool { _, named := slices.BinarySearch(m.groups, c.id); return named })
	case reloadChild:
		s.reloadDue(ctx, m)
	case actors.Terminated:
		s.childEnded(ctx, m)
	case actors.Stopping:
		s.ended(ctx)
	}
}

// ended answers what the shard holds, and counts its children no longer: they stop with it.
func (s *shard) ended(ctx *actors.Context) {
	s.stop(ctx, protocol.NotCoordinator)
	for _, c := range s.children { // in no order: only sums are changed
		s.unlist(c)
	}
}

// EndTurn appends what the turn collected.
func (s *shard) EndTurn(ctx *actors.Context) { s.flush(ctx) }

// Failed implements actors.FailureHandler: what the shard itself holds is answered. Its children stop, and answer what they hold.
func (s *shard) Failed(ctx *actors.Context, _ error) { s.ended(ctx) }

func (s *shard) sweepEvery() time.Duration {
	return s.place.settings().Duration("offsets.retention.check.interval.ms")
}

func (s *shard) String() string { return s.kind.topic() + "-" + strconv.Itoa(int(s.tp.Partition)) }

// stop answers what no child holds.
func (s *shard) stop(ctx *actors.Context, code protocol.Code) {
	for _, m := range s.waiting {
		fail(ctx, m, code)
	}
	s.waiting = nil
	for _, f := range s.inflight {
		for i := range f.entries {
			f.entries[i].refuse(ctx, code)
		}
	}
	for i := range s.queue {
		s.queue[i].refuse(ctx, code)
	}
	s.inflight, s.queue = nil, nil
	for _, id := range slices.Sorted(maps.Keys(s.verify)) {
		for _, m := range s.verify[id].waiting {
			fail(ctx, m, code)
		}
	}
	s.verify = nil
	for _, id := range slices.Sorted(maps.Keys(s.children)) {
		if c := s.children[id]; c.away != nil {
			for _, m := range c.away.waiting {
				fail(ctx, m, code)
			}
			c.away.waiting = nil
		}
	}
}

// unload ends every child and begins anew with the log, which knows what became of what was under way.
func (s *shard) unload(ctx *actors.Context, why string) {
	ctx.Logger().Warn("coordinator shard is loaded again", "shard", s.String(), "reason", why)
	s.place.Metrics.reloaded()
	s.stop(ctx, protocol.NotCoordinator)
	for _, id := range slices.Sorted(maps.Keys(s.children)) {
		c := s.children[id]
		s.unlist(c)
		if !c.pid.IsZero() {
			ctx.Stop(c.pid)
		}
	}
	s.children, s.open = nil, openTransactions{}
	s.retryLater(ctx)
}

// retryLater goes back to the beginning, after a while.
func (s *shard) retryLater(ctx *actors.Context) {
	s.phase = waiting
	s.life++
	wait := min(reloadWait<<min(s.retries, 10), reloadWaitMax)
	s.retries++
	ctx.Send(s.place.host, &shardReady{from: ctx.Self()})
	ctx.After(wait, retryLoad{s.life})
}

// command passes a command on to the coordinator it is for.
func (s *shard) command(ctx *actors.Context, m step.Command) {
	if s.phase != active {
		if len(s.waiting) >= waitingMax {
			s.place.Metrics.busy()
			fail(ctx, m, protocol.CoordinatorLoadInProgress)
			return
		}
		s.waiting = append(s.waiting, m)
		return
	}
	switch m := m.(type) {
	case *protocol.ListGroups:
		s.listGroups(ctx, m)
	case *protocol.ListTransactions:
		s.listTransactions(ctx, m)
	case *protocol.EndOffsets:
		s.endOffsets(ctx, m)
	case *protocol.CommitOffsets:
		if m.ProducerID >= 0 && !s.mayJoin(ctx, m) {
			return
		}
		s.pass(ctx, m)
	default:
		s.pass(ctx, m)
	}
}

// pass gives a command to the child it is for, which is spawned if there is none.
func (s *shard) pass(ctx *actors.Context, m step.Command) {
	id, k, ok := idOf(m)
	if !ok || k != s.kind || PartitionOf(id, s.of) != s.tp.Partition {
		fail(ctx, m, protocol.NotCoordinator)
		return
	}
	c := s.children[id]
	if c == nil {
		if len(s.children) >= childrenMax {
			fail(ctx, m, protocol.CoordinatorNotAvailable)
			return
		}
		if code := s.place.admit(ctx, s.kind, m); code != protocol.None {
			fail(ctx, m, code)
			return
		}
		c = s.adopt(ctx, s.newState(id))
	}
	if c.away != nil {
		if len(c.away.waiting) >= waitingMax {
			s.place.Metrics.busy()
			fail(ctx, m, protocol.CoordinatorLoadInProgress)
			return
		}
		c.away.waiting = append(c.away.waiting, m)
		return
	}
	c.sent++
	ctx.Send(c.pid, m)
}

// adopt makes a child of a state.
func (s *shard) adopt(ctx *actors.Context, state coordinator) *child {
	c := &child{id: state.name()}
	if s.children == nil {
		s.children = map[string]*child{}
	}
	s.children[c.id] = c
	s.spawn(ctx, c, state)
	return c
}

func (s *shard) spawn(ctx *actors.Context, c *child, state coordinator) {
	s.spawned++
	shardPID := ctx.Self()
	build := func() actors.Actor { return state.actor(s.place, shardPID, c) }
	c.pid, c.sent = ctx.Spawn(actors.Spec{Name: strconv.Itoa(s.spawned), New: build}), 0
}

// retire ends a child that is nothing any more and has seen all that was sent to it.
func (s *shard) retire(ctx *actors.Context, m *retire) {
	c := m.from
	if s.children[c.id] != c || c.sent != m.seen || c.under > 0 || c.away != nil {
		return
	}
	delete(s.children, c.id)
	s.unlist(c)
	ctx.Stop(c.pid)
}

// unlist counts a child no longer.
func (s *shard) unlist(c *child) {
	s.place.relisted(s.kind, &c.listed, &listing{})
	c.listed = listing{}
}

// described remembers how a child is to be listed.
func (s *shard) described(m *described) {
	if c := m.from; s.children[c.id] == c {
		s.place.relisted(s.kind, &c.listed, &m.as)
		c.listed = m.as
	}
}

// tell sends a message to the children that it is for, in order of id.
func (s *shard) tell(ctx *actors.Context, m any, whom func(*child) bool) {
	for _, id := range slices.Sorted(maps.Keys(s.children)) {
		if c := s.children[id]; c.away == nil && whom(c) {
			c.sent++
			ctx.Send(c.pid, m)
		}
	}
}

func anyChild(*child) bool { return true }
