package group

import (
	"maps"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/classic"
	"github.com/troupe-broker/troupe/group/consumer"
	"github.com/troupe-broker/troupe/group/step"
)

// mayMigrate reports whether groups with members may change their protocol in that direction.
func (p *place) mayMigrate(direction string) bool {
	policy := p.settings().String("group.consumer.migration.policy")
	return strings.EqualFold(policy, direction) || strings.EqualFold(policy, "bidirectional")
}

// upgrades reports whether the heartbeat makes a classic group with members one of the consumer protocol. Source:
// GroupMetadataManager.validateOnlineUpgrade.
func (g *groupActor) upgrades(m *protocol.HeartbeatConsumer) bool {
	return m.MemberEpoch == 0 && g.classic != nil && !g.classic.Empty() && g.classic.ProtocolType() == "consumer" && g.place.mayMigrate("upgrade") &&
		len(g.classic.Members()) < int(g.place.settings().Int("group.consumer.max.size"))
}

// upgrade turns a classic group into one of the consumer protocol, with its members, and then lets the command in. Both are one append.
// Source: GroupMetadataManager.convertToConsumerGroup.
func (g *groupActor) upgrade(ctx *actors.Context, m *protocol.HeartbeatConsumer) {
	if g.classic.Protocol() == "" { // before its first generation
		fail(ctx, m, protocol.CoordinatorLoadInProgress)
		return
	}
	var members []consumer.ClassicMember
	for _, o := range g.classic.Members() {
		members = append(members, consumer.ClassicMember(o))
	}
	records, ok := consumer.FromClassic(g.id, g.now(ctx), g.classic.Generation(), g.classic.Protocol(), members)
	if !ok {
		refuseBeat(ctx, m, "Cannot upgrade classic group "+g.id+" to consumer group because the embedded consumer protocol is malformed.")
		return
	}
	if g.classic.Logged() {
		records = slices.Concat(g.classic.Tombstone(), records)
	}
	g.hand(ctx, &flown{blocks: true, records: records, then: m, migrates: true, again: g.classic.Again()}, protocol.NoProducerID, -1)
}

// downgrade turns a group that only classic members are left in into a classic one. Source:
// GroupMetadataManager.convertToClassicGroup.
func (g *groupActor) downgrade(ctx *actors.Context) {
	if g.consumer == nil || !g.consumer.Downgrade() || !g.place.mayMigrate("downgrade") {
		return
	}
	generation, left := g.consumer.ClassicMembers()
	var members []classic.Member
	for _, o := range left {
		members = append(members, classic.Member(o))
	}
	config := g.place.classicConfig()
	_, record, ok := classic.FromMembers(g.id, config, g.now(ctx), generation, members)
	if !ok || config.MaxSize > 0 && len(members) > config.MaxSize {
		return
	}
	g.hand(ctx, &flown{blocks: true, records: append(g.consumer.Tombstone(), record), migrates: true}, protocol.NoProducerID, -1)
}

// migrated begins to live by the other protocol. Who waits for the old one is told to join again, as the member it is.
func (g *groupActor) migrated(ctx *actors.Context, f *flown) {
	if g.consumer != nil {
		g.classic = nil // in its first generation there is nothing in the log to be taken back, and Replay does not see it go
	}
	for i := range f.again {
		if _, waits := g.parked[f.again[i].Command]; waits {
			delete(g.parked, f.again[i].Command)
			g.reply(ctx, &f.again[i])
		}
	}
	order := slices.SortedFunc(maps.Keys(g.parked), func(a, b step.Command) int { return int(g.parked[a]) - int(g.parked[b]) })
	for _, m := range order {
		fail(ctx, m, protocol.RebalanceInProgress)
	}
	g.parked = nil
	machine := g.machine()
	if machine == nil {
		return
	}
	machine.Loaded(g.now(ctx), &g.out)
	g.finish(ctx, g, machine)
}
