package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// modernPrefix begins the member ids of KIP-848 in a run.
const modernPrefix = "modern-"

// ModernMember is a member of a group of KIP-848: it sends heartbeats, gives up what it is told to before it says so, and takes what it is
// given. It takes itself for removed when no heartbeat was answered for a while shorter than the session. Like Member it leaves, dies and
// sleeps now and then.
type ModernMember struct {
	coordinated
	group    string
	who      identityOf
	names    int
	owned    []spot
	heard    time.Duration // when the last heartbeat that was answered was sent
	full     bool          // say everything in the next heartbeat
	busy     bool
	asleep   bool
	settled  bool
	gone     bool
	refusals int // in a row, for want of room
	position int64
	// pattern is what it subscribes to by regular expression; empty: all topics by name, again and again.
	pattern string
	// tenacious members neither leave nor die nor sleep.
	tenacious bool
}

// StartModernMember begins a member.
func StartModernMember(s *Stage, name, group string) *ModernMember {
	m := newModernMember(s, name, group)
	m.start()
	return m
}

func newModernMember(s *Stage, name, group string) *ModernMember {
	m := &ModernMember{coordinated: newCoordinated(s, name), group: group, who: nobody}
	if m.rng.IntN(3) == 0 {
		m.who.instance = name
	}
	return m
}

func (m *ModernMember) start() {
	m.broken = func() { m.full, m.busy = true, false }
	g := m.stage.groupOf(m.group, m.stage.allSpots())
	g.members = append(g.members, m)
	m.renew()
	m.dial()
	m.seekCoordinator(m.group, 0, m.beat)
	m.live()
	m.work()
}

// renew becomes a new member.
func (m *ModernMember) renew() {
	m.names++
	m.who.member = fmt.Sprintf("%s%s-%d", modernPrefix, m.name, m.names)
	m.reset()
}

// reset begins anew at epoch 0.
func (m *ModernMember) reset() {
	m.drop(m.owned)
	m.who.generation, m.full, m.settled = 0, true, false
}

func (m *ModernMember) drop(spots []spot) {
	m.owned = m.stage.disown(m.group, m.who.owner(), m.owned, spots)
}

// perish ends the process of the member: what it knew is gone, and what it owned is not given up.
func (m *ModernMember) perish() {
	m.hangUp(errClosed)
	m.owned = nil
	m.renew()
}

// vanish ends the member for good, without a word.
func (m *ModernMember) vanish() {
	m.perish()
	m.gone, m.asleep = true, true
}

func (m *ModernMember) settledWith() ([]spot, bool) { return m.owned, m.settled && !m.gone }

func (m *ModernMember) refused() bool { return m.refusals > 0 && !m.gone }

// Idle implements what a run waits for.
func (m *ModernMember) Idle() bool { return true }

// Behind describes what keeps the member from being a settled one.
func (m *ModernMember) Behind() string {
	if !m.settled && !m.gone && !m.refused() {
		return fmt.Sprintf("%s is no settled member of %s at epoch %d", m.name, m.group, m.who.generation)
	}
	return ""
}

// beat sends heartbeats for ever.
func (m *ModernMember) beat() {
	wait := heartbeatPace
	if m.full {
		wait /= 4
	}
	m.stage.env.After(m.pause(wait), func() {
		if m.stage.halted || m.gone {
			return
		}
		defer m.beat()
		if m.asleep || !m.up || m.busy {
			return
		}
		if m.who.generation > 0 && m.stage.env.Now()-m.heard > trust {
			m.reset()
		}
		m.heartbeat()
	})
}

func (m *ModernMember) heartbeat() {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version = 1
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = m.group, m.who.member, m.who.generation, -1
	if m.who.instance != "" {
		req.InstanceID = kmsg.StringPtr(m.who.instance)
	}
	if m.full {
		req.RebalanceTimeoutMillis = int32(rebalanceTimeout / time.Millisecond)
		m.subscribe(req)
	}
	if m.who.generation == 0 { // it owns nothing, nor does a former process of its instance
		m.stage.owners.LostAll(m.group, m.who.owner())
	}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, at := range m.owned {
		row := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		row.TopicID, row.Partitions = at.key.Topic, []int32{at.key.Partition}
		i := slices.IndexFunc(req.Topics, func(t kmsg.ConsumerGroupHeartbeatRequestTopic) bool { return t.TopicID == row.TopicID })
		if i < 0 {
			req.Topics = append(req.Topics, row)
		} else {
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, at.key.Partition)
		}
	}
	m.full, m.busy = false, true
	who, sent, began := m.who, m.stage.env.Now(), m.stage.Rec.Now()
	m.call(req, func(r kmsg.Response, err error) {
		m.busy = false
		if err != nil {
			m.full = true
			return
		}
		if who == m.who && !m.asleep {
			m.beaten(r.(*kmsg.ConsumerGroupHeartbeatResponse), sent, began)
		}
	})
}

// subscribe says what the member wants to read.
func (m *ModernMember) subscribe(req *kmsg.ConsumerGroupHeartbeatRequest) {
	req.SubscribedTopicNames = []string{}
	if m.pattern != "" {
		req.SubscribedTopicRegex = kmsg.StringPtr(m.pattern)
		return
	}
	for _, t := range m.stage.topics {
		if k := m.stage.keptTopic(m.group); k != nil && k != t {
			continue
		}
		req.SubscribedTopicNames = append(req.SubscribedTopicNames, t.Name)
	}
}

func (m *ModernMember) beaten(resp *kmsg.ConsumerGroupHeartbeatResponse, sent time.Duration, began check.Instant) {
	code := protocol.Code(resp.ErrorCode)
	m.stage.saw("ConsumerGroupHeartbeat", resp.ErrorCode)
	switch {
	case code == protocol.None && m.stage.env.Now()-sent > trust: // it took so long that the member may have been removed again
		m.reset()
		return
	case code == protocol.None:
	case code == protocol.GroupMaxSizeReached:
		m.turnedAway()
		return
	case code == protocol.GroupIDNotFound && m.who.generation > 0:
		m.reset() // without it the group is a classic one again, or none
		return
	case code == protocol.FencedMemberEpoch, code == protocol.UnknownMemberID, code == protocol.UnreleasedInstanceID, code == protocol.FencedInstanceID:
		m.reset()
		return
	case coming(code):
		m.full = true
		return
	default:
		m.stage.violate("%s: ConsumerGroupHeartbeat: %s", m.name, code.Name())
		return
	}
	if resp.MemberID == nil || *resp.MemberID != m.who.member || resp.MemberEpoch < m.who.generation {
		m.stage.violate("%s: ConsumerGroupHeartbeat: member %v epoch %d after %+v", m.name, resp.MemberID, resp.MemberEpoch, m.who)
	}
	if m.who.generation == 0 {
		m.stage.entered(m.name, m.group, m.who.owner(), resp.MemberEpoch, sent)
	}
	before := m.who
	m.who.generation, m.heard, m.refusals = resp.MemberEpoch, sent, 0
	m.settled = resp.Assignment == nil
	if resp.Assignment != nil {
		m.assigned(resp.Assignment, before, began)
	}
	m.stage.believe(m.group, m.who, m.owned, sent)
}

// turnedAway: there is no room, which may not happen to who is a member.
func (m *ModernMember) turnedAway() {
	if m.stage.GroupMax == 0 || m.who.generation > 0 {
		m.stage.violate("%s: %s at epoch %d", m.name, protocol.GroupMaxSizeReached.Name(), m.who.generation)
	}
	m.refusals++
	m.full = true
}

// assigned gives up what is not in the assignment, and takes the rest.
func (m *ModernMember) assigned(a *kmsg.ConsumerGroupHeartbeatResponseAssignment, before identityOf, began check.Instant) {
	var target []spot
	op := check.GroupOp{
		Client: m.name, Func: check.AssignPartitions, Group: m.group, Member: m.who.member, Instance: m.who.instance, Generation: m.who.generation, Incremental: true,
	}
	for _, row := range a.Topics {
		t := m.stage.byID(row.TopicID)
		if t == nil && m.pattern != "" {
			continue // nobody knows that it was created
		}
		if t == nil {
			m.stage.violate("%s: assigned topic %v", m.name, row.TopicID)
			return
		}
		for _, i := range row.Partitions {
			at := spot{t, protocol.TopicPartition{Topic: t.ID, Partition: i}}
			target = append(target, at)
			op.Partitions = append(op.Partitions, at.key)
		}
	}
	lost := slices.DeleteFunc(slices.Clone(m.owned), func(o spot) bool { return slices.Contains(target, o) })
	m.drop(lost)
	m.haunt(lost, before)
	m.stage.Rec.CompleteGroup(m.stage.Rec.InvokeGroupAt(began, op), check.OK)
	m.owned = target
}

// haunt commits to what was given up a while ago, as who the member was then. While its epoch is still that one it may: the epoch stays
// as long as there is something to give up, and nobody but the member knows what it has given up already.
// Source: ConsumerGroup.validateOffsetCommit.
func (m *ModernMember) haunt(lost []spot, before identityOf) {
	if len(lost) == 0 || m.rng.IntN(2) == 0 {
		return
	}
	m.stage.env.After(m.pause(time.Second), func() {
		if m.up && !m.stage.stopped && m.who.member == before.member && m.who.generation > before.generation {
			m.stage.sometimes("commit to what was given up", true)
			m.commit(m.group, lost[:1], []int64{m.rng.Int64N(1 << 40)}, before, nil)
		}
	})
}

// work asks for offsets and commits.
func (m *ModernMember) work() {
	m.stage.env.After(m.pause(m.stage.Pace*3), func() {
		if m.stage.stopped || m.gone {
			return
		}
		m.work()
		if len(m.owned) == 0 || !m.up || m.asleep || m.stage.env.Now()-m.heard > trust {
			return
		}
		some := m.owned[m.rng.IntN(len(m.owned)):][:1]
		if m.rng.IntN(4) == 0 {
			m.fetchOffsets(m.group, some, m.who, func([]int64) {})
			return
		}
		if !m.stage.mayCommit(m.rng.IntN) {
			return
		}
		m.position++
		m.commit(m.group, some, []int64{m.position}, m.who, nil)
	})
}

func (m *ModernMember) live() {
	m.stage.env.After(m.pause(2*time.Second), func() {
		if m.stage.stopped || m.gone || m.tenacious {
			return
		}
		defer m.live()
		if !m.up || m.asleep || m.who.generation <= 0 {
			return
		}
		switch m.rng.IntN(4) {
		case 0:
			m.leave()
		case 1:
			m.stage.sometimes("modern member died", true)
			m.perish()
		case 2:
			m.sleep()
		}
	})
}

// leave ends the membership. A static member may leave for a while only, and come back within its session or after it.
func (m *ModernMember) leave() {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = 1, m.group, m.who.member, -1, -1
	if m.who.instance != "" {
		req.InstanceID = kmsg.StringPtr(m.who.instance)
		if m.rng.IntN(2) == 0 {
			req.MemberEpoch = -2
		}
	}
	m.call(req, func(r kmsg.Response, err error) {
		if err == nil {
			m.stage.saw("ConsumerGroupHeartbeat leave", r.(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode)
		}
	})
	m.drop(m.owned)
	if req.MemberEpoch == -1 {
		m.stage.left(m.group, m.who)
		m.renew()
		return
	}
	m.asleep = true // it keeps its place
	m.renew()
	away := time.Duration(m.rng.Int64N(int64(2 * sessionTimeout)))
	m.stage.sometimes("modern static member away beyond its session", away > sessionTimeout)
	m.stage.sometimes("modern static member away within its session", away <= sessionTimeout)
	m.stage.env.After(away, func() { m.asleep = m.gone })
}

// sleep falls silent for longer than the session, and then commits as if nothing had happened.
func (m *ModernMember) sleep() {
	m.stage.sometimes("modern member slept past its session", true)
	m.asleep = true
	m.stage.env.After(sessionTimeout+m.pause(sessionTimeout), func() {
		if m.gone {
			return
		}
		m.asleep = false
		if len(m.owned) > 0 && m.up {
			m.commit(m.group, m.owned[:1], []int64{m.rng.Int64N(1 << 40)}, m.who, nil)
		}
		m.full = true
	})
}
