package client

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Consumption says what to consume and who does. Zero fields have the defaults named.
type Consumption struct {
	Routes Routes
	Group  string
	Topics []string
	// Members are the actors that share what the consumer owns; MembersMax at most. One that has ended, or ends, gets nothing.
	Members []actors.PID
	// Latest begins at the end of partitions for which the group has no offset, else at their start.
	Latest bool
	// ReadCommitted leaves out the records of transactions that are aborted or undecided.
	ReadCommitted bool
	Credit        int           // records delivered to one actor and not acknowledged; 1000
	CreditBytes   int           // and their bytes; 16 MiB
	FetchBytes    int32         // of batches in one read, of which one per partition is held; 1 MiB
	CommitEvery   time.Duration // at least between two commits of what is acknowledged; 200 ms
	RevokeWait    time.Duration // for the acknowledgements of a partition that goes to another member; 30 s
	InstanceID    string        // of a static member (KIP-345)
	ClientID      string        // what descriptions of the group show; the consumer's name
	Assignor      string        // of the server; its default
}

// MembersMax bounds the actors of one consumer.
const MembersMax = 1024

const (
	// deliverMax bounds the records of one Delivered, so that partitions of one actor take turns.
	deliverMax = 128
	// fetchWait is how long a read waits for news.
	fetchWait = 5 * time.Second
	// answerGrace is how much later than its deadline the answer to a read or an append may come.
	answerGrace = 5 * time.Second
	// coordinatorWait is how long the coordinator may take to answer.
	coordinatorWait = 10 * time.Second
	// commitGrace is what a revocation takes beyond RevokeWait: committing.
	commitGrace = 15 * time.Second
)

func (s Consumption) withDefaults() Consumption {
	s.Credit, s.CreditBytes = cmp.Or(s.Credit, 1000), cmp.Or(s.CreditBytes, 16<<20)
	s.FetchBytes = cmp.Or(s.FetchBytes, 1<<20)
	s.CommitEvery, s.RevokeWait = cmp.Or(s.CommitEvery, 200*time.Millisecond), cmp.Or(s.RevokeWait, 30*time.Second)
	s.Members = s.Members[:min(len(s.Members), MembersMax)]
	return s
}

// Consume is a consumer to spawn: as a child of an actor of the application, which it then ends with, or by itself.
func Consume(s Consumption) actors.Spec {
	s = s.withDefaults()
	// Its actors may acknowledge every record by itself, and none of that may be refused: an acknowledgement is not sent again.
	return actors.Spec{Messages: actors.MailboxMessages + 2*s.Credit*len(s.Members), New: func() actors.Actor { return newConsumer(s) }}
}

func newConsumer(s Consumption) *consumer {
	c := &consumer{Consumption: s.withDefaults(), full: true, fetches: map[uint64]*owned{}}
	for _, pid := range c.Members {
		if c.crew.find(pid) >= 0 {
			continue
		}
		c.crew = append(c.crew, hand{pid: pid, credit: credit{c.Credit, c.CreditBytes}})
	}
	return c
}

// consumer is one member of a group.
type consumer struct {
	Consumption
	crew     crew
	memberID string
	owned    []*owned          // in the order of their partitions
	leases   uint64            // given so far
	fetches  map[uint64]*owned // by request
	leaving  bool
	over     bool
	askers   []*protocol.StopConsuming // at most askersMax

	// Membership.
	epoch     int32  // 0: not a member
	beating   uint64 // the heartbeat under way; 0: none
	again     bool   // another one is wanted at once
	full      bool   // the next one says everything
	said      []protocol.TopicPartitions
	saying    []protocol.TopicPartitions
	target    []protocol.TopicPartition // sorted
	beatTimer actors.TimerID

	// Offsets.
	locating    uint64 // FetchOffsets under way
	wanted      []*owned
	locateTimer actors.TimerID
	committing  uint64 // CommitOffsets under way
	rows        []*owned
	offsets     []protocol.CommitOffset
	commitTimer actors.TimerID
}

// askersMax bounds those who wait for the end; others are answered at once that it is on its way.
const askersMax = 100

type phase uint8

const (
	locating phase = iota // where to begin is not known yet
	reading
	revoking
	closed
)

// owned is one partition that the group gave to the consumer.
type owned struct {
	lane
	tp       protocol.TopicPartition
	topic    string
	phase    phase
	begun    bool   // it is known where to begin
	opened   bool   // the actor that has the lease was told
	by       int    // in the crew
	lease    uint64 // 0: none
	fetch    uint64 // under way
	waits    bool   // for a timer, to fetch again
	deadline time.Duration
}

// Private messages: timers.
type (
	beatDue   struct{}
	locateDue struct{}
	commitDue struct{}
	fetchDue  struct{ o *owned }
	renewDue  struct {
		o     *owned
		lease uint64
	}
	revokeDue struct{ o *owned }
	giveUpDue struct{ o *owned }
)

// Receive implements actors.Actor.
func (c *consumer) Receive(ctx *actors.Context, msg any) {
	if c.over {
		c.tooLate(ctx, msg)
		return
	}
	switch m := msg.(type) {
	case actors.Started:
		c.start(ctx)
	case *protocol.Acknowledge:
		c.acknowledged(ctx, m)
	case *protocol.RecordsFetched:
		c.fetched(ctx, m)
	case *protocol.ConsumerHeartbeat:
		c.heard(ctx, m)
	case *protocol.OffsetsFetched:
		c.located(ctx, m)
	case *protocol.OffsetsCommitted:
		c.committed(ctx, m)
	case *protocol.DeliveryRefused:
		c.notTaken(ctx, m)
	case *protocol.StopConsuming:
		if len(c.askers) < askersMax {
			c.askers = append(c.askers, m)
		} else {
			ctx.Send(m.Refused(actors.RefusedOverload))
		}
		c.leave(ctx)
	case actors.RequestTimedOut:
		c.timedOut(ctx, m)
	case actors.Terminated:
		c.ended(ctx, m)
	case actors.Stopping:
		c.stopping(ctx)
	default:
		c.timer(ctx, msg)
	}
}

func (c *consumer) timer(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case beatDue:
		c.beatTimer = 0
		c.beat(ctx)
	case locateDue:
		c.locateTimer = 0
		c.locate(ctx)
	case commitDue:
		c.commitTimer = 0
		c.commit(ctx)
	case fetchDue:
		m.o.waits = false
		c.read(ctx, m.o)
	case renewDue:
		if m.o.lease == m.lease && m.o.phase == reading && !m.o.opened {
			c.give(ctx, m.o)
			c.read(ctx, m.o)
		}
	case revokeDue:
		c.expire(ctx, m.o)
	case giveUpDue:
		if m.o.phase == revoking {
			c.release(ctx, m.o, m.o.dirty())
			c.beat(ctx)
		}
	}
}

func (c *consumer) start(ctx *actors.Context) {
	var id protocol.TopicID // a random UUID in Kafka's text form
	binary.BigEndian.PutUint64(id[:8], ctx.Rand())
	binary.BigEndian.PutUint64(id[8:], ctx.Rand())
	c.memberID, c.ClientID = id.String(), cmp.Or(c.ClientID, ctx.Self().ID())
	for i := range c.crew {
		ctx.Watch(c.crew[i].pid)
	}
	if len(c.crew) == 0 {
		c.end(ctx, protocol.Fault{Code: protocol.InvalidRequest, Reason: "a consumer without actors to deliver to"})
		return
	}
	c.beat(ctx)
}

// tooLate answers what comes between the end and the stop.
func (c *consumer) tooLate(ctx *actors.Context, msg any) {
	if m, ok := msg.(*protocol.StopConsuming); ok {
		ctx.Send(m.Refused(actors.RefusedStopped))
	}
}

func (c *consumer) timedOut(ctx *actors.Context, m actors.RequestTimedOut) {
	switch {
	case m.ID == c.beating:
		c.beating, c.full = 0, true
		if c.leaving && len(c.owned) == 0 {
			c.end(ctx, protocol.Fault{})
			return
		}
		c.beat(ctx)
	case m.ID == c.locating:
		c.locating = 0
		c.locate(ctx)
	case m.ID == c.committing:
		c.commitFailed(ctx)
	default:
		if o := c.fetches[m.ID]; o != nil {
			delete(c.fetches, m.ID)
			o.fetch = 0
			c.read(ctx, o)
		}
	}
}

// ended takes an actor that is no more out of the crew; the others get its partitions. With the last of them the consumer leaves.
func (c *consumer) ended(ctx *actors.Context, m actors.Terminated) {
	i := c.crew.find(m.Who)
	if i < 0 {
		return
	}
	c.crew[i].gone = true
	last := c.crew.next() < 0
	for _, o := range slices.Clone(c.owned) {
		if o.by != i {
			continue
		}
		c.withdraw(o)
		if last || o.phase == revoking {
			c.settle(ctx, o)
			continue
		}
		c.assign(o)
		if o.begun {
			c.give(ctx, o)
		}
		c.read(ctx, o)
	}
	if last {
		c.leave(ctx)
	}
}

// leave gives everything back and ends.
func (c *consumer) leave(ctx *actors.Context) {
	if c.leaving {
		return
	}
	c.leaving = true
	for _, o := range slices.Clone(c.owned) {
		c.revoke(ctx, o)
	}
	if len(c.owned) == 0 && !c.over {
		c.beat(ctx)
	}
}

// stopping does in a hurry what leave does in good order: nobody waits for the answers.
func (c *consumer) stopping(ctx *actors.Context) {
	shard, code := c.Routes.Coordinator(c.Group)
	if code == protocol.None && (c.epoch > 0 || c.beating != 0) {
		if m := c.commitRequest(); m != nil {
			m.ReplyTo = ctx.Self()
			ctx.Send(shard, m)
		}
		bye := c.goodbye()
		bye.ReplyTo = ctx.Self()
		ctx.Send(shard, bye)
	}
	c.over = true
	c.tell(ctx, protocol.Fault{})
}

// end tells everybody and stops.
func (c *consumer) end(ctx *actors.Context, f protocol.Fault) {
	c.over = true
	if f.Failed() {
		ctx.Logger().Error("a native consumer ended", "group", c.Group, "code", f.Code.Name(), "reason", f.Reason)
	}
	c.tell(ctx, f)
	ctx.StopSelf()
}

func (c *consumer) tell(ctx *actors.Context, f protocol.Fault) {
	for i := range c.crew {
		if !c.crew[i].gone {
			ctx.Send(c.crew[i].pid, &protocol.ConsumerEnded{Fault: f, Consumer: ctx.Self(), GroupID: c.Group})
		}
	}
	for _, m := range c.askers {
		ctx.Send(m.ReplyTo, &protocol.ConsumerEnded{Answer: protocol.Answer{ID: m.ID}, Fault: f, Consumer: ctx.Self(), GroupID: c.Group})
	}
	c.askers = nil
}

// Failed implements actors.FailureHandler.
func (c *consumer) Failed(ctx *actors.Context, cause error) {
	c.tell(ctx, protocol.Fault{Code: protocol.UnknownServerError, Reason: cause.Error()})
}
