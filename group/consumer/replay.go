package consumer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Replay applies one record of the log. It is lenient with what compaction leaves of a history: a tombstone of something unknown, a
// partition that two members had one after the other. Only what cannot be read is an error, and changes nothing.
//
// Source: GroupMetadataManager.replay(ConsumerGroup*), ConsumerGroup.updateMember.
func (g *Group) Replay(rawKey, rawValue []byte) error {
	k, ok, err := decodeKey(rawKey)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("a record of another kind in consumer group %q", g.id)
	case k.group != g.id:
		return fmt.Errorf("a record of group %q in consumer group %q", k.group, g.id)
	}
	if rawValue == nil {
		g.remove(k)
		return nil
	}
	if err := g.set(k, rawValue); err != nil {
		return err
	}
	g.exists = true
	return nil
}

func (g *Group) set(k key, src []byte) error {
	switch k.kind {
	case kindGroup:
		epoch, hash, err := decodeGroup(src)
		if err != nil {
			return err
		}
		g.epoch, g.hash = epoch, hash
	case kindPartitionMetadata:
		g.oldMetadata = true
	case kindMember:
		m := &member{}
		if err := decodeMember(src, m); err != nil {
			return err
		}
		g.setMetadata(g.memberOrNew(k.name), m)
	case kindTarget:
		epoch, _, err := decodeTarget(src)
		if err != nil {
			return err
		}
		g.targetEpoch = epoch
		g.assigned = true
	case kindTargetMember:
		rows, err := decodeTargetMember(src)
		if err != nil {
			return err
		}
		g.memberOrNew(k.name).target = rows
	case kindCurrent:
		m := &member{}
		if err := decodeCurrent(src, m); err != nil {
			return err
		}
		g.setCurrent(g.memberOrNew(k.name), m)
		g.touch(g.members[k.name])
	case kindRegex:
		topics, version, timestamp, err := decodeRegex(src)
		if err != nil {
			return err
		}
		r := g.regexOrNew(k.name)
		r.resolved, r.topics, r.version, r.timestamp = true, topics, version, timestamp
	}
	return nil
}

func (g *Group) remove(k key) {
	m := g.members[k.name]
	switch k.kind {
	case kindGroup:
		g.epoch, g.hash, g.exists = 0, 0, len(g.members) > 0
	case kindPartitionMetadata:
		g.oldMetadata = false
	case kindMember:
		g.removeMember(m)
	case kindTarget:
		g.targetEpoch = 0
	case kindTargetMember:
		if m != nil {
			m.target = nil
		}
	case kindCurrent:
		if m != nil {
			g.setCurrent(m, &member{epoch: leaveEpoch, previousEpoch: leaveEpoch})
		}
	case kindRegex:
		if r := g.regexes[k.name]; r != nil {
			r.resolved, r.topics = false, nil
			g.maybeForget(k.name)
		}
	}
}

// memberOrNew finds a member. A new one has only what follows from its id: after compaction its records come in any order.
func (g *Group) memberOrNew(id string) *member {
	m := g.members[id]
	if m == nil {
		m = &member{id: id, rebalanceTimeout: -1}
		g.members[id] = m
		at, _ := slices.BinarySearchFunc(g.order, id, compareMember)
		g.order = slices.Insert(g.order, at, m)
		g.touch(m)
	}
	return m
}

func compareMember(m *member, id string) int { return strings.Compare(m.id, id) }

// touch remembers members whose deadlines Appended has to look at.
func (g *Group) touch(m *member) {
	if g.loaded {
		g.touched = append(g.touched, m)
	}
}

func (g *Group) removeMember(m *member) {
	if m == nil {
		return
	}
	g.left = g.left || g.loaded && m.classic == nil
	g.setMetadata(m, &member{})
	g.setCurrent(m, &member{})
	delete(g.members, m.id)
	at, _ := slices.BinarySearchFunc(g.order, m.id, compareMember)
	g.order = slices.Delete(g.order, at, at+1)
}

// setMetadata gives m the subscription part of from, and counts it.
func (g *Group) setMetadata(m, from *member) {
	g.count(m, -1)
	m.instanceID, m.rack, m.clientID, m.clientHost = from.instanceID, from.rack, from.clientID, from.clientHost
	m.topics, m.regex, m.assignor, m.rebalanceTimeout, m.classic = from.topics, from.regex, from.assignor, from.rebalanceTimeout, from.classic
	g.count(m, 1)
}

func (g *Group) count(m *member, by int) {
	g.weight += by * m.weight()
	for _, name := range m.topics {
		if g.topics[name] += by; g.topics[name] == 0 {
			delete(g.topics, name)
		}
	}
	if m.regex != "" {
		g.regexOrNew(m.regex).members += by
		g.maybeForget(m.regex)
	}
	if m.assignor != "" {
		if g.assignors[m.assignor] += by; g.assignors[m.assignor] == 0 {
			delete(g.assignors, m.assignor)
		}
	}
	if m.instanceID != "" {
		if by > 0 {
			g.static[m.instanceID] = m
		} else if g.static[m.instanceID] == m {
			delete(g.static, m.instanceID)
		}
	}
}

func (g *Group) regexOrNew(expression string) *regex {
	r := g.regexes[expression]
	if r == nil {
		r = &regex{}
		g.regexes[expression] = r
	}
	return r
}

func (g *Group) maybeForget(expression string) {
	if r := g.regexes[expression]; r != nil && r.members == 0 && !r.resolved {
		delete(g.regexes, expression)
	}
}

// setCurrent gives m the assignment part of from, and notes who holds which partition.
func (g *Group) setCurrent(m, from *member) {
	if !m.settled(g.targetEpoch) || !from.settled(g.targetEpoch) || !m.assigned.samePartitions(from.assigned) {
		g.progressed = true
	}
	g.own(m.assigned, m, nil)
	g.own(m.revoking, m, nil)
	m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking = from.epoch, from.previousEpoch, from.state, from.assigned, from.revoking
	g.own(m.assigned, nil, m)
	g.own(m.revoking, nil, m)
}

// own makes to the holder of the partitions, or nobody. Only what from holds is taken.
func (g *Group) own(h holding, from, to *member) {
	for _, t := range h {
		for _, p := range t.partitions {
			tp := protocol.TopicPartition{Topic: t.topic, Partition: p}
			switch {
			case to != nil:
				g.owner[tp] = to
			case g.owner[tp] == from:
				delete(g.owner, tp)
			}
		}
	}
}
