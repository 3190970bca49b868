package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timing of members, classic and of KIP-848.
const (
	sessionTimeout   = 1500 * time.Millisecond
	rebalanceTimeout = 2 * time.Second
	heartbeatPace    = 300 * time.Millisecond
)

// Member is a member of a classic group of consumers: it joins, syncs (as leader with a range assignment), sends heartbeats, asks for the
// offsets of its partitions and commits to them. Now and then it leaves, dies without a word, or falls silent for longer than its
// session and goes on as if nothing had happened. Half of them are static: some of these die and come back within their session, or
// after it. An eager member gives everything up before it joins again, a cooperative one (KIP-429) only what it is not assigned again.
//
// What it believes to own it believes for as long as it may (check.Owners), also when it is dead: then its partitions are nobody
// else's before its session is over.
type Member struct {
	coordinated
	group    string
	who      identityOf
	before   identityOf // of the generation before, or before the member id was forgotten
	leader   bool
	withheld bool    // it assigned less than all, since some had to be given up first
	claims   []claim // of all members, if it leads
	owned    []spot
	heard    time.Duration // when the last request was sent that was answered without an error
	reborn   bool          // what a former process of its instance had is not its own
	full     bool          // the group had no room for it
	asleep   bool
	gone     bool
	stable   bool
	position int64
	// Given and Taken, if set, are told when the assignment begins and ends.
	Given func(who identityOf, owned []spot)
	Taken func()
	// topics are those it is subscribed to; nil: all there are.
	topics func() []spot
	// gentle members commit nothing by themselves.
	gentle bool
	// cooperative members keep what they have while they join.
	cooperative bool
	// mixed: members of KIP-848 may be in the group, so its epochs are theirs.
	mixed bool
}

// StartMember begins a member of one of the classic groups.
func StartMember(s *Stage, name, group string, cooperative bool) *Member {
	m := newMember(s, name, group)
	m.cooperative = cooperative
	m.start()
	m.live()
	return m
}

func newMember(s *Stage, name, group string) *Member {
	m := &Member{coordinated: newCoordinated(s, name), group: group, who: nobody, Given: func(identityOf, []spot) {}, Taken: func() {}, topics: s.allSpots}
	if m.rng.IntN(2) == 0 {
		m.who.instance = name
	}
	return m
}

func (m *Member) start() {
	g := m.stage.groupOf(m.group, m.topics())
	g.members = append(g.members, m)
	m.dial()
	m.seekCoordinator(m.group, 0, m.join)
}

// Idle reports whether the member has nothing under way that the end of a run must wait for.
func (m *Member) Idle() bool { return true }

// Behind describes what keeps the member from being a settled one.
func (m *Member) Behind() string {
	if !m.stable && !m.full && !m.gone && !m.asleep {
		return fmt.Sprintf("%s is no settled member of %s", m.name, m.group)
	}
	return ""
}

// owner is by what name the member owns partitions: a static one goes on with those of the process before.
func (m *Member) owner() string { return m.who.owner() }

func (m *Member) settledWith() ([]spot, bool) { return m.owned, m.stable && !m.gone }

func (m *Member) refused() bool { return m.full && !m.gone }

func (m *Member) protocol() string {
	if m.cooperative {
		return "cooperative-sticky"
	}
	return "range"
}

// unsettle takes the assignment away, but from a cooperative member that may still believe in it.
func (m *Member) unsettle() {
	if m.stable || len(m.owned) > 0 {
		m.Taken()
	}
	m.stable = false
	if !m.cooperative || m.stage.env.Now()-m.heard > trust {
		m.drop(m.owned)
	}
}

// drop gives partitions up.
func (m *Member) drop(spots []spot) {
	m.owned = m.stage.disown(m.group, m.owner(), m.owned, spots)
}

// answered notes that the coordinator took the member for one when it answered a request sent at that time.
func (m *Member) answered(sent time.Duration) {
	m.heard, m.full = sent, false
	m.stage.believe(m.group, m.who, m.owned, sent)
}

func (m *Member) instance() *string {
	if m.who.instance == "" {
		return nil
	}
	return kmsg.StringPtr(m.who.instance)
}

// low is the lowest version a static member can use, else 0.
func (m *Member) low(static int16) int16 {
	if m.who.instance != "" {
		return static
	}
	return 0
}

func (m *Member) rejoin() {
	if m.gone {
		return
	}
	m.unsettle()
	m.turn++
	m.stage.env.After(m.pause(50*time.Millisecond), m.join)
}

// forget becomes somebody without a member id.
func (m *Member) forget() {
	if m.who.member != "" && m.who.generation >= 0 {
		m.before = m.who
	}
	m.drop(m.owned)
	m.stage.left(m.group, m.who)
	m.who.member, m.who.generation = "", -1
}

// perish ends the process of the member: what it knew is gone, and what it owned is not given up.
func (m *Member) perish() {
	m.turn++
	m.hangUp(errClosed)
	m.Taken()
	m.owned, m.stable, m.reborn = nil, false, true
	m.before = nobody
	m.who.member, m.who.generation = "", -1
}

func (m *Member) join() {
	if m.stage.halted || m.asleep {
		return
	}
	var sent time.Duration
	m.try(stepTimeout, func() kmsg.Request {
		sent = m.stage.env.Now()
		m.beginJoin(sent)
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version = m.at(req, m.low(5))
		req.Group, req.MemberID, req.InstanceID, req.ProtocolType = m.group, m.who.member, m.instance(), "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(sessionTimeout/time.Millisecond), int32(rebalanceTimeout/time.Millisecond)
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = m.protocol(), m.subscription()
		req.Protocols = append(req.Protocols, p)
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.JoinGroupResponse)
		code := protocol.Code(resp.ErrorCode)
		m.stage.saw("JoinGroup", resp.ErrorCode)
		switch code {
		case protocol.None:
			m.joined(resp, sent)
			return true
		case protocol.MemberIDRequired:
			m.who.member = resp.MemberID
		case protocol.UnknownMemberID, protocol.FencedInstanceID:
			m.forget()
		case protocol.GroupMaxSizeReached:
			m.turnedAway()
		case protocol.InconsistentGroupProtocol, protocol.InvalidSessionTimeout, protocol.InvalidGroupID:
			m.stage.violate("%s: JoinGroup v%d: %s", m.name, resp.Version, code.Name())
		}
		return false
	}, func() {}, m.rejoin)
}

// beginJoin gives up what must not be claimed.
func (m *Member) beginJoin(now time.Duration) {
	if m.reborn {
		m.reborn = false
		m.stage.owners.LostAll(m.group, m.owner())
	}
	if now-m.heard > trust {
		m.drop(m.owned)
	}
	if m.stage.GroupMax > 0 { // a newcomer may have its place, and then others what it claims, before it hears of that
		m.stage.owners.LostAll(m.group, m.owner())
		m.stage.memberships.Left(m.group, m.owner())
	}
}

// turnedAway: there is no room.
func (m *Member) turnedAway() {
	if m.stage.GroupMax == 0 {
		m.stage.violate("%s: %s without a bound", m.name, protocol.GroupMaxSizeReached.Name())
	}
	m.forget()
	m.full = true
}

func (m *Member) joined(resp *kmsg.JoinGroupResponse, sent time.Duration) {
	if resp.MemberID == "" || resp.Generation < 0 || resp.Protocol == nil || *resp.Protocol != m.protocol() {
		m.stage.violate("%s: JoinGroup v%d: member %q, generation %d", m.name, resp.Version, resp.MemberID, resp.Generation)
	}
	if m.who.generation < 0 {
		m.stage.entered(m.name, m.group, m.owner(), resp.Generation, sent)
	}
	if m.who.member != "" {
		m.before = m.who
	}
	m.who.member, m.who.generation = resp.MemberID, resp.Generation
	m.leader = resp.LeaderID == resp.MemberID && !resp.SkipAssignment
	m.claims = m.readClaims(resp.Members)
	known := slices.ContainsFunc(m.claims, func(c claim) bool { return c.member == m.who.member })
	if m.leader && !known || !m.leader && resp.LeaderID != resp.MemberID && len(m.claims) > 0 {
		m.stage.violate("%s: JoinGroup v%d: leader %s told %d members, %v", m.name, resp.Version, resp.LeaderID, len(m.claims), m.who)
	}
	m.sync()
}

func (m *Member) sync() {
	began := m.stage.Rec.Now()
	var assignments []kmsg.SyncGroupRequestGroupAssignment
	m.withheld = false
	if m.leader {
		assignments = m.assign()
	}
	var sent time.Duration
	m.try(stepTimeout, func() kmsg.Request {
		sent = m.stage.env.Now()
		req := kmsg.NewPtrSyncGroupRequest()
		req.Version = m.at(req, m.low(3))
		req.Group, req.MemberID, req.InstanceID, req.Generation = m.group, m.who.member, m.instance(), m.who.generation
		req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr(m.protocol())
		req.GroupAssignment = assignments
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.SyncGroupResponse)
		code := protocol.Code(resp.ErrorCode)
		m.stage.saw("SyncGroup", resp.ErrorCode)
		switch {
		case code == protocol.None:
			m.synced(resp, began, sent)
		case code == protocol.UnknownMemberID || code == protocol.FencedInstanceID:
			m.forget()
			m.rejoin()
		case coming(code):
			return false
		default:
			m.rejoin()
		}
		return true
	}, func() {}, m.rejoin)
}

func (m *Member) synced(resp *kmsg.SyncGroupResponse, began check.Instant, sent time.Duration) {
	assigned, ok := m.readAssignment(resp.MemberAssignment)
	if !ok {
		m.stage.violate("%s: SyncGroup v%d: assignment %x", m.name, resp.Version, resp.MemberAssignment)
		return
	}
	op := check.GroupOp{
		Client: m.name, Func: check.AssignPartitions, Group: m.group, Member: m.who.member, Instance: m.who.instance, Generation: m.who.generation,
		Incremental: m.mixed,
	}
	for _, at := range assigned {
		op.Partitions = append(op.Partitions, at.key)
	}
	m.stage.Rec.CompleteGroup(m.stage.Rec.InvokeGroupAt(began, op), check.OK)
	lost := slices.DeleteFunc(slices.Clone(m.owned), func(o spot) bool { return slices.Contains(assigned, o) })
	m.drop(lost)
	m.owned, m.stable = assigned, true
	m.answered(sent)
	m.Given(m.who, assigned)
	m.haunt()
	m.heartbeat(m.turn)
	m.work(m.turn)
	switch { // what was given up can go to others in another round
	case len(lost) > 0:
		m.stage.sometimes("cooperative member gave partitions up", true)
		m.rejoin()
	case m.withheld && m.cooperative:
		turn := m.turn
		m.stage.env.After(m.pause(2*heartbeatPace), func() {
			if turn == m.turn && !m.asleep {
				m.rejoin()
			}
		})
	}
}

// haunt commits once as who the member was before, which must not be served. In a group of KIP-848 that is so once it has another epoch: a
// former self with another id may not be gone yet, and commit to what it likes.
func (m *Member) haunt() {
	if m.mixed && (m.before.member != m.who.member || m.before.generation >= m.who.generation) {
		return
	}
	if m.before.member == "" || len(m.owned) == 0 || m.gentle || m.rng.IntN(3) > 0 || !m.up {
		return
	}
	m.stage.sometimes("commit by a former self", true)
	m.commit(m.group, m.owned[:1], []int64{m.rng.Int64N(1 << 40)}, m.before, nil)
}

// heartbeat keeps the membership until turn is over.
func (m *Member) heartbeat(turn int) {
	m.stage.env.After(m.pause(heartbeatPace), func() {
		if turn != m.turn || m.stage.halted || m.asleep {
			return
		}
		if !m.up {
			m.heartbeat(turn)
			return
		}
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version = m.at(req, m.low(3))
		req.Group, req.MemberID, req.InstanceID, req.Generation = m.group, m.who.member, m.instance(), m.who.generation
		sent := m.stage.env.Now()
		m.call(req, func(r kmsg.Response, err error) {
			if turn == m.turn {
				m.beaten(r, err, turn, sent)
			}
		})
	})
}

func (m *Member) beaten(r kmsg.Response, err error, turn int, sent time.Duration) {
	code := protocol.None
	if err == nil {
		code = protocol.Code(r.(*kmsg.HeartbeatResponse).ErrorCode)
		m.stage.saw("Heartbeat", int16(code))
	}
	switch {
	case err == nil && code == protocol.None:
		m.answered(sent)
		m.heartbeat(turn)
	case err != nil, coming(code):
		m.heartbeat(turn)
	case code == protocol.UnknownMemberID || code == protocol.FencedInstanceID:
		m.forget()
		m.rejoin()
	default:
		m.rejoin()
	}
}

// work commits to partitions the member has, after it asked for their offsets.
func (m *Member) work(turn int) {
	if m.gentle {
		return
	}
	m.stage.env.After(m.pause(m.stage.Pace*3), func() {
		if turn != m.turn || m.stage.stopped || m.asleep {
			return
		}
		m.work(turn)
		if len(m.owned) == 0 || !m.up {
			return
		}
		i := m.rng.IntN(len(m.owned))
		some := m.owned[i:min(len(m.owned), i+1+m.rng.IntN(3))]
		if m.rng.IntN(4) == 0 {
			m.fetchOffsets(m.group, some, m.who, func([]int64) {})
			return
		}
		if !m.stage.mayCommit(m.rng.IntN) {
			return
		}
		offsets := make([]int64, len(some))
		for i := range offsets {
			m.position++
			offsets[i] = m.position
		}
		m.commit(m.group, some, offsets, m.who, nil)
	})
}

// live makes the member leave, die or sleep now and then.
func (m *Member) live() {
	m.stage.env.After(m.pause(2*time.Second), func() {
		if m.stage.stopped || m.gone {
			return
		}
		defer m.live()
		if !m.stable || !m.up {
			return
		}
		switch m.rng.IntN(4) {
		case 0:
			m.leave()
		case 1:
			m.die()
		case 2:
			m.sleep()
		}
	})
}

func (m *Member) leave() {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version = m.at(req, m.low(3))
	req.Group, req.MemberID = m.group, m.who.member
	row := kmsg.NewLeaveGroupRequestMember()
	row.MemberID, row.InstanceID = m.who.member, m.instance()
	req.Members = append(req.Members, row)
	m.stage.left(m.group, m.who)
	m.call(req, func(r kmsg.Response, err error) {
		if err == nil {
			m.stage.saw("LeaveGroup", r.(*kmsg.LeaveGroupResponse).ErrorCode)
		}
	})
	m.forget()
	m.rejoin()
}

// die ends the process, and not the membership. A static member may be away for a while, within its session or beyond it.
func (m *Member) die() {
	m.stage.sometimes("member died", true)
	m.perish()
	if m.who.instance != "" && m.rng.IntN(2) == 0 {
		away := time.Duration(m.rng.Int64N(int64(2 * sessionTimeout)))
		m.stage.sometimes("static member away beyond its session", away > sessionTimeout)
		m.stage.sometimes("static member away within its session", away <= sessionTimeout)
		m.stage.env.After(away, m.rejoin)
		return
	}
	m.rejoin()
}

// vanish ends the member for good, without a word.
func (m *Member) vanish() {
	m.perish()
	m.gone, m.asleep = true, true
}

// sleep falls silent for longer than the session, and then commits as if nothing had happened.
func (m *Member) sleep() {
	m.stage.sometimes("member slept past its session", true)
	m.asleep = true
	m.turn++
	m.stage.env.After(sessionTimeout+m.pause(sessionTimeout), func() {
		if m.gone {
			return
		}
		m.asleep = false
		if len(m.owned) > 0 && m.up && !m.gentle {
			m.commit(m.group, m.owned[:1], []int64{m.rng.Int64N(1 << 40)}, m.who, nil)
		}
		m.rejoin()
	})
}
