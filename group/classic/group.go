package classic

import (
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// Config is what settings say about one group.
type Config struct {
	MinSession, MaxSession time.Duration // group.min.session.timeout.ms, group.max.session.timeout.ms
	InitialDelay           time.Duration // group.initial.rebalance.delay.ms
	MaxSize                int           // group.max.size; 0 is no limit
}

// state of a group. There is no Dead: a group that is deleted is as one that never was, and its actor says so.
type state uint8

const (
	empty      state = iota
	preparing        // members are to join (again)
	completing       // the generation began; the leader is to assign
	stable
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}

// writing says what the records under way will bring about.
type writing uint8

const (
	nothing  writing = iota
	assigned         // the leader's assignment
	replaced         // a static member under a new id
	emptied          // the generation without members
)

// Group is the machine of one classic group.
type Group struct {
	id  string
	cfg Config

	// Hard state: what the newest record says in the states Empty and Stable, and what the next one will be made of in the others.
	generation   int32
	protocolType string  // empty until somebody joins
	protocol     *string // chosen by vote; nil without members
	leader       string  // member id; empty without members. Invariant: a member, if there are members
	unled        bool    // the record names no leader: a rebalance is due, whatever happens
	since        int64   // when the state began, in milliseconds of wall time; -1 if not known
	members      []*member
	logged       bool // the log knows of the group

	byID     map[string]*member
	byStatic map[string]*member // by instance id

	// Soft state.
	state, previous state
	pending         map[string]pending // ids given out, whose members have not come back
	pendingCount    uint64
	votes           map[string]int // members that support a protocol, by its name
	joining         int            // members with a parked JoinGroup
	owing           int            // members that owe a SyncGroup in this generation
	initial         bool           // joinBy is the end of an initial delay, which
	initialDelay    time.Duration  // was so long,
	initialLeft     time.Duration  // may be extended by so much,
	grown           bool           // and will be, as a member joined meanwhile
	joinBy, syncBy  time.Duration  // step.Never if nothing is waited for
	next            time.Duration  // not after the first deadline of all

	topics      []string // that members are subscribed to, in order
	topicsKnown bool

	why string // the first reason since the last generation began; empty if nothing happened

	writing  writing
	incoming *member // replaced: who comes
	outgoing *member // replaced: who goes
}

// pending is an id that was given out with MEMBER_ID_REQUIRED.
type pending struct {
	expires time.Duration
	number  uint64
}

var _ step.Machine = (*Group)(nil)

// New is a group that nobody has joined.
func New(groupID string, cfg Config) *Group {
	g := &Group{id: groupID, cfg: cfg, since: -1, joinBy: step.Never, syncBy: step.Never, next: step.Never}
	g.clear()
	return g
}

// clear makes the group as if it had never been joined. Soft state of members goes with them.
func (g *Group) clear() {
	g.generation, g.protocolType, g.protocol, g.leader, g.since, g.logged = 0, "", nil, "", -1, false
	g.members, g.byID, g.byStatic, g.votes = nil, nil, nil, nil
	g.state, g.previous, g.joining, g.owing = empty, empty, 0, 0
	g.joinBy, g.syncBy, g.initial, g.grown = step.Never, step.Never, false, false
	g.topics, g.topicsKnown = nil, false
}

// Reconfigure takes new settings; they hold from the next join on.
func (g *Group) Reconfigure(cfg Config) { g.cfg = cfg }

// Step decides one command: JoinGroup, SyncGroup, HeartbeatGroup, LeaveGroup, DescribeGroup. Others are InvalidRequest.
func (g *Group) Step(now step.Now, in step.Command, out *step.Out) {
	invariant.Check(g.writing == nothing, "group %q is stepped while its records are under way", g.id)
	switch m := in.(type) {
	case *protocol.JoinGroup:
		g.join(now, m, out)
	case *protocol.SyncGroup:
		g.sync(now, m, out)
	case *protocol.HeartbeatGroup:
		reply(out, m, m.ReplyTo, m.Failed(g.heartbeat(now, m)))
	case *protocol.LeaveGroup:
		g.leave(now, m, out)
	case *protocol.DescribeGroup:
		reply(out, m, m.ReplyTo, g.describe(m))
	case *protocol.HeartbeatConsumer:
		reply(out, m, m.ReplyTo, m.Failed(protocol.GroupIDNotFound))
	default:
		to, _ := in.Refused(0)
		reply(out, in, to, in.Failed(protocol.InvalidRequest))
	}
}

func reply(out *step.Out, to step.Command, at actors.PID, msg any) {
	out.Replies = append(out.Replies, step.Reply{Command: to, To: at, Msg: msg})
}

// Deadline is when Tick is wanted. It may be too early by as much as members have been heard of since; Tick then finds nothing to do.
func (g *Group) Deadline() time.Duration { return g.next }

// arm makes sure that Tick is called at the time at.
func (g *Group) arm(at time.Duration) { g.next = min(g.next, at) }

// Tick does what time asks for: sessions, ids given out, the ends of the join and of the sync phase.
func (g *Group) Tick(now step.Now, out *step.Out) {
	invariant.Check(g.writing == nothing, "group %q ticks while its records are under way", g.id)
	g.expireMembers(now, out)
	g.expirePending(now, out)
	if g.writing == nothing && g.joinBy <= now.Mono {
		g.joinPhaseEnds(now, out)
	}
	if g.writing == nothing && g.syncBy <= now.Mono {
		g.syncPhaseEnds(now, out)
	}
	g.next = min(g.joinBy, g.syncBy)
	for _, m := range g.members {
		g.arm(m.expires)
	}
	for _, p := range g.pending {
		g.arm(p.expires)
	}
}

// expireMembers removes those whose session ended. Who waits for an answer needs no heartbeat, except while new: a client that gave up
// on its first JoinGroup does not know its id and will never come back under it.
// Source: GroupMetadataManager.expireClassicGroupMemberHeartbeat, ClassicGroupMember.hasSatisfiedHeartbeat.
func (g *Group) expireMembers(now step.Now, out *step.Out) {
	for _, m := range slices.Clone(g.members) {
		if g.writing != nothing {
			return // there is another Tick after it
		}
		if m.expires > now.Mono || g.byID[m.id] != m {
			continue
		}
		m.expires = step.Never
		if m.fresh || m.join == nil && m.sync == nil {
			g.because("the session of member " + m.id + " ended")
			g.remove(m, protocol.UnknownMemberID, out)
			g.shrunk(now, out)
		}
	}
}

func (g *Group) expirePending(now step.Now, out *step.Out) {
	before := len(g.pending)
	for id, p := range g.pending {
		if p.expires <= now.Mono {
			delete(g.pending, id)
		}
	}
	if len(g.pending) < before && g.writing == nothing && g.state == preparing && g.allJoined() {
		g.completeJoin(now, out)
	}
}

// Heard re-arms the session of a member whose offset commit was accepted: it counts as a heartbeat, except in CompletingRebalance.
// Source: OffsetMetadataManager.commitOffset.
func (g *Group) Heard(now step.Now, memberID string) {
	if m := g.byID[memberID]; m != nil && (g.state == stable || g.state == preparing) {
		g.live(now, m, m.sessionTimeout)
	}
}

// live begins a session.
func (g *Group) live(now step.Now, m *member, timeout time.Duration) {
	m.expires = now.Mono + timeout
	g.arm(m.expires)
}

// enter changes the state. Source: ClassicGroup.transitionTo.
func (g *Group) enter(now step.Now, s state) {
	g.previous, g.state, g.since = g.state, s, now.Wall.UnixMilli()
}

// State is Kafka's name of the state.
func (g *Group) State() string { return stateNames[g.state] }

// ProtocolType is what kind of group it is; empty if nobody has joined it yet.
func (g *Group) ProtocolType() string { return g.protocolType }

// Empty reports that the group has no member and waits for none to join.
func (g *Group) Empty() bool { return g.state == empty }

// Idle reports that nothing is lost if the machine of an empty group is forgotten and, should there be a record in the log (Logged),
// loaded again from it later: no id was given out whose member is yet to come back.
func (g *Group) Idle() bool { return g.state == empty && len(g.pending) == 0 }

// Logged reports that the log holds a record of the group. The ids given to members that never came back leave none.
func (g *Group) Logged() bool { return g.logged }

// Generation is the number of rebalances.
func (g *Group) Generation() int32 { return g.generation }

// EmptySince is when the group entered its current state, in wall time; zero if that is not known.
func (g *Group) EmptySince() time.Time {
	if g.since < 0 {
		return time.Time{}
	}
	return time.UnixMilli(g.since)
}

// Listed is the group as ListGroups shows it.
func (g *Group) Listed() protocol.ListedGroup {
	return protocol.ListedGroup{GroupID: g.id, ProtocolType: g.protocolType, State: g.State(), Type: "classic"}
}

// nextGeneration follows Kafka's; it begins anew where theirs would become negative, which means "no member".
func (g *Group) nextGeneration() int32 {
	if g.generation == math.MaxInt32 {
		return 1
	}
	if mutation.Is(mutation.GenerationAgain) && g.generation > 0 {
		return g.generation
	}
	return g.generation + 1
}
