package workload

import (
	"encoding/binary"
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
// session and goes on as if nothing had happened. Half of them are static.
type Member struct {
	coordinated
	group    string
	who      identityOf
	before   identityOf // of the generation before, or before the member id was forgotten
	leader   bool
	known    []string // member ids, if it leads
	owned    []spot
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
}

// StartMember begins a member of one of the classic groups.
func StartMember(s *Stage, name, group string) *Member {
	m := newMember(s, name, group)
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
	m.stage.groupOf(m.group, m.topics())
	m.dial()
	m.seekCoordinator(m.group, 0, m.join)
}

// Idle reports whether the member has nothing under way that the end of a run must wait for.
func (m *Member) Idle() bool { return true }

// Behind describes what keeps the member from being a settled one.
func (m *Member) Behind() string {
	if !m.stable {
		return fmt.Sprintf("%s is no settled member of %s", m.name, m.group)
	}
	return ""
}

// unsettle takes the assignment away.
func (m *Member) unsettle() {
	if m.stable || len(m.owned) > 0 {
		m.Taken()
	}
	m.stable, m.owned = false, nil
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
	m.who.member, m.who.generation = "", -1
}

func (m *Member) join() {
	if m.stage.halted || m.asleep {
		return
	}
	m.try(stepTimeout, func() kmsg.Request {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version = m.at(req, m.low(5))
		req.Group, req.MemberID, req.InstanceID, req.ProtocolType = m.group, m.who.member, m.instance(), "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(sessionTimeout/time.Millisecond), int32(rebalanceTimeout/time.Millisecond)
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = "range", m.subscription()
		req.Protocols = append(req.Protocols, p)
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.JoinGroupResponse)
		code := protocol.Code(resp.ErrorCode)
		m.stage.saw("JoinGroup", resp.ErrorCode)
		switch code {
		case protocol.None:
			m.joined(resp)
			return true
		case protocol.MemberIDRequired:
			m.who.member = resp.MemberID
		case protocol.UnknownMemberID, protocol.FencedInstanceID:
			m.forget()
		case protocol.InconsistentGroupProtocol, protocol.GroupMaxSizeReached, protocol.InvalidSessionTimeout, protocol.InvalidGroupID:
			m.stage.violate("%s: JoinGroup v%d: %s", m.name, resp.Version, code.Name())
		}
		return false
	}, func() {}, m.rejoin)
}

func (m *Member) joined(resp *kmsg.JoinGroupResponse) {
	if resp.MemberID == "" || resp.Generation < 0 || resp.Protocol == nil || *resp.Protocol != "range" {
		m.stage.violate("%s: JoinGroup v%d: member %q, generation %d", m.name, resp.Version, resp.MemberID, resp.Generation)
	}
	if m.who.member != "" {
		m.before = m.who
	}
	m.who.member, m.who.generation = resp.MemberID, resp.Generation
	m.leader = resp.LeaderID == resp.MemberID && !resp.SkipAssignment
	m.known = nil
	for _, o := range resp.Members {
		m.known = append(m.known, o.MemberID)
	}
	if m.leader && !slices.Contains(m.known, m.who.member) || !m.leader && resp.LeaderID != resp.MemberID && len(m.known) > 0 {
		m.stage.violate("%s: JoinGroup v%d: leader %s told %d members, %v", m.name, resp.Version, resp.LeaderID, len(m.known), m.who)
	}
	m.sync()
}

func (m *Member) sync() {
	began := m.stage.Rec.Now()
	var assignments []kmsg.SyncGroupRequestGroupAssignment
	if m.leader {
		assignments = m.assign()
	}
	m.try(stepTimeout, func() kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Version = m.at(req, m.low(3))
		req.Group, req.MemberID, req.InstanceID, req.Generation = m.group, m.who.member, m.instance(), m.who.generation
		req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
		req.GroupAssignment = assignments
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.SyncGroupResponse)
		code := protocol.Code(resp.ErrorCode)
		m.stage.saw("SyncGroup", resp.ErrorCode)
		switch {
		case code == protocol.None:
			m.synced(resp, began)
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

func (m *Member) synced(resp *kmsg.SyncGroupResponse, began check.Instant) {
	owned, ok := m.readAssignment(resp.MemberAssignment)
	if !ok {
		m.stage.violate("%s: SyncGroup v%d: assignment %x", m.name, resp.Version, resp.MemberAssignment)
		return
	}
	op := check.GroupOp{
		Client: m.name, Func: check.AssignPartitions, Group: m.group, Member: m.who.member, Instance: m.who.instance, Generation: m.who.generation,
	}
	for _, at := range owned {
		op.Partitions = append(op.Partitions, at.key)
	}
	m.stage.Rec.CompleteGroup(m.stage.Rec.InvokeGroupAt(began, op), check.OK)
	m.owned, m.stable = owned, true
	m.Given(m.who, owned)
	m.haunt()
	m.heartbeat(m.turn)
	m.work(m.turn)
}

// haunt commits once as who the member was before, which must not be served.
func (m *Member) haunt() {
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
		m.call(req, func(r kmsg.Response, err error) {
			if turn == m.turn {
				m.beaten(r, err, turn)
			}
		})
	})
}

func (m *Member) beaten(r kmsg.Response, err error, turn int) {
	code := protocol.None
	if err == nil {
		code = protocol.Code(r.(*kmsg.HeartbeatResponse).ErrorCode)
		m.stage.saw("Heartbeat", int16(code))
	}
	switch {
	case err != nil, code == protocol.None, coming(code):
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
	m.call(req, func(r kmsg.Response, err error) {
		if err == nil {
			m.stage.saw("LeaveGroup", r.(*kmsg.LeaveGroupResponse).ErrorCode)
		}
	})
	m.forget()
	m.rejoin()
}

// die ends the connection and the memory, and not the membership.
func (m *Member) die() {
	m.stage.sometimes("member died", true)
	m.hangUp(errClosed)
	m.forget()
	m.rejoin()
}

// vanish ends the member for good, without a word.
func (m *Member) vanish() {
	m.gone, m.asleep = true, true
	m.turn++
	m.hangUp(errClosed)
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

// subscription is a ConsumerProtocolSubscription of version 0: version, topics, user data.
func (m *Member) subscription() []byte {
	var names []string
	for _, at := range m.topics() {
		if !slices.Contains(names, at.topic.Name) {
			names = append(names, at.topic.Name)
		}
	}
	b := binary.BigEndian.AppendUint16(nil, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(names)))
	for _, n := range names {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(n))), n...)
	}
	return binary.BigEndian.AppendUint32(b, 0xffffffff)
}

// assign is the leader's work: the partitions in order, in as many ranges as there are members. An assignment is the list of topic ids
// and partitions; to the broker it is opaque.
func (m *Member) assign() (out []kmsg.SyncGroupRequestGroupAssignment) {
	all := m.topics()
	for i, id := range m.known {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID = id
		for _, at := range all[i*len(all)/len(m.known) : (i+1)*len(all)/len(m.known)] {
			a.MemberAssignment = append(a.MemberAssignment, at.key.Topic[:]...)
			a.MemberAssignment = binary.BigEndian.AppendUint32(a.MemberAssignment, uint32(at.key.Partition))
		}
		out = append(out, a)
	}
	return out
}

func (m *Member) readAssignment(b []byte) (out []spot, ok bool) {
	if len(b)%20 != 0 {
		return nil, false
	}
	for ; len(b) > 0; b = b[20:] {
		key := protocol.TopicPartition{Topic: protocol.TopicID(b[:16]), Partition: int32(binary.BigEndian.Uint32(b[16:]))}
		t := m.stage.byID(key.Topic)
		if t == nil {
			return nil, false
		}
		out = append(out, spot{t, key})
	}
	return out, true
}
