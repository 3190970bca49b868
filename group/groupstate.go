package group

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/classic"
	"github.com/troupe-broker/troupe/group/consumer"
	"github.com/troupe-broker/troupe/group/offsets"
	"github.com/troupe-broker/troupe/group/step"
	"github.com/troupe-broker/troupe/group/txn"
)

// Versions of keys in __consumer_offsets, which tell the kinds of records apart. Source: CoordinatorRecordType.
const (
	keyOffsetMax       = 1 // 0 and 1
	keyClassic         = 2
	keyConsumerMax     = 8 // from 3 on: group, subscriptions, members, target and current assignment
	keyConsumerRegexes = 16
)

func versionOf(key []byte) int {
	if len(key) < 2 {
		return -1
	}
	return int(int16(binary.BigEndian.Uint16(key)))
}

// ownerOf is the group or transactional id that a record is about; ok is false for records of kinds that are not known, of a newer
// broker or of share and streams groups.
func ownerOf(k kind, key []byte) (id string, ok bool, err error) {
	if k == transactions {
		return txn.IDOfKey(key)
	}
	switch v := versionOf(key); {
	case v < 0:
		return "", false, fmt.Errorf("a key of %d bytes", len(key))
	case v <= keyOffsetMax:
		return offsets.GroupOfKey(key)
	case v == keyClassic:
		return classic.GroupOfKey(key)
	case v <= keyConsumerMax || v == keyConsumerRegexes:
		return consumer.GroupOfKey(key)
	}
	return "", false, nil
}

// membership is what the shell wants of the machine of either protocol.
type membership interface {
	step.Machine
	CheckCommit(*protocol.CommitOffsets) protocol.Code
	CheckFetch(*protocol.FetchOffsets) protocol.Code
	CheckDelete() protocol.Code
	CheckDeleteOffsets() protocol.Code
	Subscribed(topic string) bool
	Expiry() (since time.Time, subscribed func(topic string) bool, ok bool)
	Empty() bool
	Listed() protocol.ListedGroup
	Tombstone() []step.Record
	// Weight is how many bytes its members say and were given by each other, Said those of one of them.
	Weight() int
	Said(protocol.Member) int
}

// groupState is one group: its members under one of the protocols, and its offsets. A group that only has offsets has no machine.
type groupState struct {
	id       string
	home     *place
	classic  *classic.Group
	consumer *consumer.Group
	offsets  *offsets.State
}

func newGroupState(id string, p *place) *groupState {
	return &groupState{id: id, home: p, offsets: offsets.New(id)}
}

func (g *groupState) name() string { return g.id }

// machine is that of the group's protocol; nil if it has none.
func (g *groupState) machine() membership {
	switch {
	case g.consumer != nil:
		return g.consumer
	case g.classic != nil:
		return g.classic
	}
	return nil
}

// replay applies one record. A machine of which the log holds nothing any more is forgotten: what follows is that of a new group.
func (g *groupState) replay(key, value []byte, producer protocol.ProducerID, offset int64) error {
	switch v := versionOf(key); {
	case v <= keyOffsetMax:
		return g.offsets.Replay(key, value, producer, offset)
	case v == keyClassic:
		return g.replayClassic(key, value)
	default:
		return g.replayConsumer(key, value)
	}
}

func (g *groupState) replayClassic(key, value []byte) error {
	if g.classic == nil {
		if value == nil {
			return nil
		}
		g.classic = classic.New(g.id, g.home.classicConfig())
	}
	err := g.classic.Replay(key, value)
	if value == nil && !g.classic.Logged() {
		g.classic = nil
	}
	return err
}

func (g *groupState) replayConsumer(key, value []byte) error {
	if g.consumer == nil {
		if value == nil {
			return nil
		}
		g.consumer = consumer.New(g.id, g.home.consumerConfig(g.id))
	}
	err := g.consumer.Replay(key, value)
	if value == nil && !g.consumer.Exists() {
		g.consumer = nil
	}
	return err
}

func (g *groupState) ended(producer protocol.ProducerID, commit bool) {
	g.offsets.EndTxn(producer, commit)
}

// logged reports that the log holds something of a machine.
func (g *groupState) logged() bool {
	return g.classic != nil && g.classic.Logged() || g.consumer != nil && g.consumer.Exists()
}

func (g *groupState) gone() bool { return !g.logged() && g.offsets.Empty() }

// empty reports that the group has no members.
func (g *groupState) empty() bool { return g.machine() == nil || g.machine().Empty() }

// joined reports that the group has members, or waits for somebody to come back with the id it was given.
func (g *groupState) joined() bool {
	return g.classic != nil && !g.classic.Idle() || g.consumer != nil && !g.consumer.Empty()
}

// exists reports whether there is such a group.
func (g *groupState) exists() bool { return g.joined() || !g.gone() }

func (g *groupState) actor(p *place, shard actors.PID, self *child) actors.Actor {
	return &groupActor{groupState: g, core: newCore(p, shard, self)}
}

func (g *groupState) listing() listing {
	l := listing{exists: g.exists()}
	if !l.exists {
		return l
	}
	if m := g.machine(); m != nil {
		l.group = m.Listed()
	} else {
		l.group = protocol.ListedGroup{GroupID: g.id, State: "Empty", Type: "classic"}
	}
	l.state = l.group.State
	return l
}
