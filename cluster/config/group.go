package config

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// groupKeys are settings of single groups (KIP-848). Those of share and streams groups are not here. Source: GroupConfig.
var groupKeys = []Key{
	{Name: "consumer.session.timeout.ms", Type: Int, Default: "45000", Valid: atLeast(1), Enforced: true,
		Synonyms: []string{"group.consumer.session.timeout.ms"},
		Doc:      "Milliseconds without a heartbeat after which a member of this consumer group is removed."},
	{Name: "consumer.heartbeat.interval.ms", Type: Int, Default: "5000", Valid: atLeast(1), Enforced: true,
		Synonyms: []string{"group.consumer.heartbeat.interval.ms"},
		Doc:      "Milliseconds between heartbeats that members of this consumer group are told."},
}

// Group are the settings of one group as they are in force.
type Group struct {
	ConsumerSession, ConsumerHeartbeat time.Duration
}

// ResolveGroup reads a group's own settings over the broker's. What the broker has come to forbid since is moved to the next that it
// allows.
func ResolveGroup(b *Broker, overrides []protocol.ConfigEntry) Group {
	return Group{
		ConsumerSession:   milliseconds(groupNumber(b, overrides, "session.timeout.ms")),
		ConsumerHeartbeat: milliseconds(groupNumber(b, overrides, "heartbeat.interval.ms")),
	}
}

func groupNumber(b *Broker, overrides []protocol.ConfigEntry, of string) int64 {
	text, ok := Find(overrides, "consumer."+of)
	if !ok {
		return b.Int("group.consumer." + of)
	}
	k, _ := GroupKey("consumer." + of)
	v, err := k.parse(text)
	if err != nil {
		return b.Int("group.consumer." + of)
	}
	low, high := groupBounds(b, of)
	return max(low, min(v.number, high))
}

func groupBounds(b *Broker, of string) (low, high int64) {
	return b.Int("group.consumer.min." + of), b.Int("group.consumer.max." + of)
}

// ValidateGroup checks all settings that a group would have. Source: GroupConfig.validate.
func ValidateGroup(b *Broker, entries []protocol.ConfigEntry) error {
	for _, e := range entries {
		k, ok := GroupKey(e.Key)
		if !ok {
			return unknown("Unknown group config name: ", e.Key, groupTable)
		}
		if err := k.Check(e.Value); err != nil {
			return err
		}
	}
	for _, of := range []string{"heartbeat.interval.ms", "session.timeout.ms"} {
		text, ok := Find(entries, "consumer."+of)
		if !ok {
			continue
		}
		k, _ := GroupKey("consumer." + of)
		v, _ := k.parse(text)
		if low, high := groupBounds(b, of); v.number < low || v.number > high {
			return &Invalid{Key: k.Name, Conflict: true, Reason: fmt.Sprintf("%s must be in the range %d to %d inclusive.", k.Name, low, high)}
		}
	}
	if g := ResolveGroup(b, entries); g.ConsumerSession <= g.ConsumerHeartbeat {
		return &Invalid{Key: "consumer.session.timeout.ms", Conflict: true, Reason: "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"}
	}
	return nil
}
