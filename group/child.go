package group

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// heldMax bounds the commands that a child holds back while records of its machine are under way: as many as leaders of partitions may ask
// at the same time to be added to one transaction.
const heldMax = 10_000

// core is what the actors of a group and of a transactional id have in common: it steps machines, has their records appended, and lets
// answers go when these are committed.
type core struct {
	place *place
	shard actors.PID
	self  *child
	rand  func() uint64

	out     step.Out
	blocks  int            // appends under way for which other commands wait
	held    []step.Command // until they are not; at most heldMax
	flights []*flown       // handed to the shard, in that order
	token   uint64         // of the last one
	seen    uint64         // messages that the shard counts

	// parked are the commands a machine has taken and not answered, numbered in order of arrival.
	parked map[step.Command]uint64
	number uint64

	timer actors.TimerID
	due   time.Duration // of the timer; step.Never if there is none

	listed listing // as the shard knows it
}

// flown is one append under way.
type flown struct {
	token   uint64
	machine step.Machine  // whose step it was; nil for what the shell decided
	blocks  bool          // other commands wait for it
	records []step.Record // whose fate is not known
	divides bool          // they may come in several batches, each right by itself
	code    protocol.Code // why the first of these that is not in the log is not
	replies []step.Reply
	told    *step.Rebalanced        // for the log; nil is nothing
	commit  *protocol.CommitOffsets // nil if it is none
	then    step.Command            // decided after it; nil if there is none

	migrates bool         // the group has the other protocol after it
	again    []step.Reply // to joins that wait for the old one
}

// owner is what differs between the actors.
type owner interface {
	// replay applies one committed record.
	replay(key, value []byte, producer protocol.ProducerID, offset int64) error
	// listing is how the child is to be listed now.
	listing() listing
	// appended is told of every append whose fate is known, after the replay; f.machine has been told.
	appended(ctx *actors.Context, f *flown, code protocol.Code)
	// carryOut does what the machine wants beside records and answers; it may step the machine into c.out.
	carryOut(ctx *actors.Context)
}

func newCore(p *place, shard actors.PID, self *child) core {
	return core{place: p, shard: shard, self: self, due: step.Never}
}

func (c *core) now(ctx *actors.Context) step.Now {
	if c.rand == nil {
		c.rand = ctx.Rand
	}
	return step.Now{Wall: ctx.Now(), Mono: ctx.Mono(), Rand: c.rand, Image: c.place.Images.Load()}
}

// busy reports that commands have to wait.
func (c *core) busy() bool { return c.blocks > 0 }

// hold keeps a command for later.
func (c *core) hold(ctx *actors.Context, m step.Command) {
	if len(c.held) >= heldMax {
		c.place.Metrics.busy()
		fail(ctx, m, protocol.CoordinatorLoadInProgress)
		return
	}
	c.held = append(c.held, m)
}

// step gives a machine a command.
func (c *core) step(ctx *actors.Context, o owner, machine step.Machine, m step.Command) {
	c.take(ctx, machine, m)
	c.finish(ctx, o, machine)
}

// take is step without the finish, for machines that decide several commands into one out.
func (c *core) take(ctx *actors.Context, machine step.Machine, m step.Command) {
	machine.Step(c.now(ctx), m, &c.out)
	if !slices.ContainsFunc(c.out.Replies, func(r step.Reply) bool { return r.Command == m }) {
		if c.parked == nil {
			c.parked = map[step.Command]uint64{}
		}
		c.number++
		c.parked[m] = c.number
	}
}

// finish does what a step of the machine left in out.
func (c *core) finish(ctx *actors.Context, o owner, machine step.Machine) {
	o.carryOut(ctx)
	for i := range c.out.Replies {
		delete(c.parked, c.out.Replies[i].Command)
	}
	if len(c.parked) == 0 {
		c.parked = nil
	}
	if len(c.out.Records) == 0 {
		c.tell(ctx, c.out.Rebalanced)
		c.describe(ctx, o)
		for i := range c.out.Replies {
			c.reply(ctx, &c.out.Replies[i])
		}
	} else {
		c.hand(ctx, &flown{machine: machine, blocks: true, records: slices.Clone(c.out.Records), replies: slices.Clone(c.out.Replies), told: c.out.Rebalanced}, protocol.NoProducerID, -1)
	}
	c.clean()
	c.arm(ctx, machine)
}

// outKept is the capacity of lists that a child keeps.
const outKept = 4

func (c *core) clean() {
	if cap(c.out.Records) > outKept || cap(c.out.Replies) > outKept {
		c.out = step.Out{}
		return
	}
	clear(c.out.Records)
	clear(c.out.Replies)
	c.out.Reset()
}

func (c *core) reply(ctx *actors.Context, r *step.Reply) {
	if !r.To.IsZero() && r.Msg != nil {
		ctx.Send(r.To, r.Msg)
	}
}

// hand has records appended.
func (c *core) hand(ctx *actors.Context, f *flown, producer protocol.ProducerID, epoch protocol.ProducerEpoch) {
	c.token++
	f.token = c.token
	if f.blocks {
		c.blocks++
	}
	c.flights = append(c.flights, f)
	ctx.Send(c.shard, &appendRecords{from: c.self, token: f.token, records: f.records, divisible: f.divides, producer: producer, epoch: epoch})
}

// settle takes the fate of an append: replay, then the answers, then whatever the machine goes on with. If it came in several batches it
// is as good as the worst of them.
func (c *core) settle(ctx *actors.Context, o owner, m *settled) {
	i := slices.IndexFunc(c.flights, func(f *flown) bool { return f.token == m.token })
	if i < 0 {
		return
	}
	f := c.flights[i]
	if m.code == protocol.None {
		f.replay(o, m)
	} else if f.code == protocol.None {
		f.code = m.code
	}
	f.records = f.records[m.count:]
	if m.more {
		return
	}
	if c.flights = slices.Delete(c.flights, i, i+1); len(c.flights) == 0 {
		c.flights = nil
	}
	if f.blocks {
		c.blocks--
	}
	if f.code == protocol.None {
		c.committed(ctx, o, f)
	} else {
		c.refused(ctx, f, f.code)
	}
	o.appended(ctx, f, f.code)
	if f.machine != nil {
		c.finish(ctx, o, f.machine)
	}
}

// replay applies records that are committed.
func (f *flown) replay(o owner, m *settled) {
	producer := protocol.NoProducerID
	if f.commit != nil {
		producer = f.commit.ProducerID
	}
	for i, r := range f.records[:m.count] {
		if err := o.replay(r.Key, r.Value, producer, m.offset+int64(i)); err != nil {
			panic(err) // our own record: what it says is in the log and not in the state
		}
	}
}

func (c *core) committed(ctx *actors.Context, o owner, f *flown) {
	if f.machine != nil {
		f.machine.Appended(c.now(ctx), &c.out)
	}
	c.tell(ctx, f.told)
	c.describe(ctx, o)
	for i := range f.replies {
		c.reply(ctx, &f.replies[i])
	}
}

func (c *core) refused(ctx *actors.Context, f *flown, code protocol.Code) {
	f.refuse(ctx, code)
	if f.machine != nil {
		f.machine.NotAppended(c.now(ctx), code, &c.out)
	}
}

// refuse answers the commands of an append with its code.
func (f *flown) refuse(ctx *actors.Context, code protocol.Code) {
	for i := range f.replies {
		if r := &f.replies[i]; r.Command != nil && !r.To.IsZero() {
			ctx.Send(r.To, r.Command.Failed(code))
		}
	}
	if f.then != nil {
		fail(ctx, f.then, code)
	}
}

// reasonMax bounds what the log repeats of a reason that a client gave, in bytes.
const reasonMax = 512

// tell logs that the group shares its partitions anew.
func (c *core) tell(ctx *actors.Context, r *step.Rebalanced) {
	if r == nil {
		return
	}
	reason := r.Reason
	if len(reason) > reasonMax {
		reason = strings.ToValidUTF8(reason[:reasonMax], "") + "..."
	}
	ctx.Logger().Info("group rebalanced", "group", c.self.id, "type", r.Protocol, "epoch", r.Epoch, "members", r.Members, "reason", reason)
}

// describe tells the shard how this child is to be listed, if that changed: before any answer from which somebody could know.
func (c *core) describe(ctx *actors.Context, o owner) {
	if l := o.listing(); l != c.listed {
		c.listed = l
		ctx.Send(c.shard, &described{from: c.self, as: l})
	}
}

// wake is the one timer of a child.
type wake struct{}

// arm sets the timer to the machine's deadline. One that comes early does no harm, so it is not put off.
func (c *core) arm(ctx *actors.Context, machine step.Machine) {
	if c.busy() || machine == nil {
		return
	}
	at := machine.Deadline()
	if at >= c.due {
		return
	}
	if c.due != step.Never {
		ctx.Cancel(c.timer)
	}
	c.due = at
	c.timer = ctx.After(max(0, at-ctx.Mono()), wake{})
}

// woken gives the machine its tick if it is due. While records are under way finish comes back to it.
func (c *core) woken(ctx *actors.Context, o owner, machine step.Machine) {
	c.due = step.Never
	if c.busy() || machine == nil {
		return
	}
	if machine.Deadline() <= ctx.Mono() {
		machine.Tick(c.now(ctx), &c.out)
		c.finish(ctx, o, machine)
		return
	}
	c.arm(ctx, machine)
}

// idle reports that nobody waits for this child and nothing of it is under way.
func (c *core) idle() bool {
	return !c.busy() && len(c.held)+len(c.flights)+len(c.parked) == 0
}

// end answers everybody who waits.
func (c *core) end(ctx *actors.Context, code protocol.Code) {
	for _, f := range c.flights {
		f.refuse(ctx, code)
	}
	order := slices.SortedFunc(maps.Keys(c.parked), func(a, b step.Command) int { return int(c.parked[a]) - int(c.parked[b]) })
	for _, m := range order {
		fail(ctx, m, code)
	}
	for _, m := range c.held {
		fail(ctx, m, code)
	}
	c.flights, c.parked, c.held = nil, nil, nil
}
