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
	position int64
}

// StartModernMember begins a member.
func StartModernMember(s *Stage, name, group string) *ModernMember {
	m := &ModernMember{coordinated: newCoordinated(s, name), group: group, who: nobody}
	if m.rng.IntN(3) == 0 {
		m.who.instance = name
	}
	m.broken = func() { m.full, m.busy = true, false }
	s.groupOf(group, s.allSpots())
	m.renew()
	m.dial()
	m.seekCoordinator(group, 0, m.beat)
	m.live()
	m.work()
	return m
}

// renew becomes a new member.
func (m *ModernMember) renew() {
	m.drop(m.owned)
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
	var kept []spot
	for _, at := range m.owned {
		if slices.Contains(spots, at) {
			m.stage.owners.Lost(m.group, m.who.member, at.key)
		} else {
			kept = append(kept, at)
		}
	}
	m.owned = kept // a new slice, since requests under way hold the old one
}

// Idle implements what a run waits for.
func (m *ModernMember) Idle() bool { return true }

// Behind describes what keeps the member from being a settled one.
func (m *ModernMember) Behind() string {
	if !m.settled {
		return fmt.Sprintf("%s is no settled member of %s at epoch %d", m.name, m.group, m.who.generation)
	}
	return ""
}

// trust is how long the member believes in its membership after a heartbeat was sent: less than the session, since clocks drift.
const trust = sessionTimeout * 8 / 10

// beat sends heartbeats for ever.
func (m *ModernMember) beat() {
	wait := heartbeatPace
	if m.full {
		wait /= 4
	}
	m.stage.env.After(m.pause(wait), func() {
		if m.stage.halted {
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
		req.SubscribedTopicNames = []string{}
		for _, t := range m.stage.topics {
			req.SubscribedTopicNames = append(req.SubscribedTopicNames, t.Name)
		}
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

func (m *ModernMember) beaten(resp *kmsg.ConsumerGroupHeartbeatResponse, sent time.Duration, began check.Instant) {
	code := protocol.Code(resp.ErrorCode)
	m.stage.saw("ConsumerGroupHeartbeat", resp.ErrorCode)
	switch {
	case code == protocol.None && m.stage.env.Now()-sent > trust: // it took so long that the member may have been removed again
		m.reset()
		return
	case code == protocol.None:
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
	before := m.who
	m.who.generation, m.heard = resp.MemberEpoch, sent
	m.settled = resp.Assignment == nil
	if resp.Assignment != nil {
		m.assigned(resp.Assignment, before, began)
	}
	m.believe()
}

// assigned gives up what is not in the assignment, and takes the rest.
func (m *ModernMember) assigned(a *kmsg.ConsumerGroupHeartbeatResponseAssignment, before identityOf, began check.Instant) {
	var target []spot
	op := check.GroupOp{
		Client: m.name, Func: check.AssignPartitions, Group: m.group, Member: m.who.member, Instance: m.who.instance, Generation: m.who.generation, Incremental: true,
	}
	for _, row := range a.Topics {
		t := m.stage.byID(row.TopicID)
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
		if m.up && !m.stage.stopped && m.who != before {
			m.stage.sometimes("commit to what was given up", true)
			m.commit(m.group, lost[:1], []int64{m.rng.Int64N(1 << 40)}, before, nil)
		}
	})
}

// believe notes what the member owns, and until when it believes that.
func (m *ModernMember) believe() {
	now, until := m.stage.env.Now(), m.heard+trust
	for _, at := range m.owned {
		if other, clash := m.stage.owners.Gained(m.group, m.who.member, at.key, int64(now), int64(until)); clash {
			m.stage.violate("%s: %s was given %v at epoch %d while %s owns it", m.name, m.who.member, at, m.who.generation, other.Member)
		}
	}
}

// work asks for offsets and commits.
func (m *ModernMember) work() {
	m.stage.env.After(m.pause(m.stage.Pace*3), func() {
		if m.stage.stopped {
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
		m.position++
		m.commit(m.group, some, []int64{m.position}, m.who, nil)
	})
}

func (m *ModernMember) live() {
	m.stage.env.After(m.pause(2*time.Second), func() {
		if m.stage.stopped {
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
			m.hangUp(errClosed)
			m.renew()
		case 2:
			m.sleep()
		}
	})
}

func (m *ModernMember) leave() {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = 1, m.group, m.who.member, -1, -1
	if m.who.instance != "" {
		req.InstanceID = kmsg.StringPtr(m.who.instance)
		if m.rng.IntN(2) == 0 {
			req.MemberEpoch = -2
		}
	}
	m.drop(m.owned)
	m.call(req, func(r kmsg.Response, err error) {
		if err == nil {
			m.stage.saw("ConsumerGroupHeartbeat leave", r.(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode)
		}
	})
	m.renew()
}

// sleep falls silent for longer than the session, and then commits as if nothing had happened.
func (m *ModernMember) sleep() {
	m.stage.sometimes("modern member slept past its session", true)
	m.asleep = true
	m.stage.env.After(sessionTimeout+m.pause(sessionTimeout), func() {
		m.asleep = false
		if len(m.owned) > 0 && m.up {
			m.commit(m.group, m.owned[:1], []int64{m.rng.Int64N(1 << 40)}, m.who, nil)
		}
		m.full = true
	})
}
