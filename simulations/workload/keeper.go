package workload

import (
	"fmt"
	"strings"
	"time"
)

// keptGroups begin the names of the groups of keepers.
const keptGroups = "kept-"

// Keeper is the only member of its group, subscribed to the first topic alone; every third stays, the others go for longer than offsets
// are kept and come back. What it commits, to any topic, it commits rarely; what there is it asks for all the time, also while it is away.
type Keeper struct {
	coordinated
	group   string
	stays   bool
	number  int
	lives   int
	classic *Member
	modern  *ModernMember
	spots   []spot
}

func startKeeper(s *Stage, number int) *Keeper {
	k := &Keeper{coordinated: newCoordinated(s, fmt.Sprint("keeper-", number)), group: fmt.Sprint(keptGroups, number), stays: number%3 == 0, number: number}
	k.spots = s.allSpots()
	s.groupOf(k.group, k.spots).pattern = s.topics[0].Name
	k.dial()
	k.seekCoordinator(k.group, 0, k.watch)
	k.begin()
	return k
}

// keptTopic is the one topic that members of a keeper's group subscribe to; nil for other groups.
func (s *Stage) keptTopic(group string) *Topic {
	if strings.HasPrefix(group, keptGroups) {
		return s.topics[0]
	}
	return nil
}

// mayCommit lets few commits through where offsets expire.
func (s *Stage) mayCommit(intn func(int) int) bool { return s.OffsetRetention == 0 || intn(200) == 0 }

// begin begins a life of the member, classic or of KIP-848.
func (k *Keeper) begin() {
	k.lives++
	name := fmt.Sprintf("%s.%d", k.name, k.lives)
	if k.number%2 == 0 {
		k.modern = newModernMember(k.stage, name, k.group)
		k.modern.tenacious = true
		k.modern.start()
	} else {
		k.classic = newMember(k.stage, name, k.group)
		k.classic.topics = func() []spot { return k.stage.spotsOf(k.stage.topics[0].Name, allOf(k.stage.topics[0].Partitions)) }
		k.classic.start()
	}
	if !k.stays {
		k.stage.env.After(k.pause(k.stage.OffsetRetention), k.end)
	}
}

func allOf(partitions int32) (out []int32) {
	for i := range partitions {
		out = append(out, i)
	}
	return out
}

// end ends it, with or without a word, and lets it come back when its offsets have expired, or shortly before.
func (k *Keeper) end() {
	if k.stage.stopped {
		return
	}
	k.stage.sometimes("keeper away", true)
	polite := k.rng.IntN(2) == 0
	if m := k.modern; m != nil {
		if polite && m.up && m.who.generation > 0 {
			m.leave()
		}
		m.vanish()
		k.modern = nil
	} else {
		if polite && k.classic.up && k.classic.stable {
			k.classic.leave()
		}
		k.classic.vanish()
		k.classic = nil
	}
	k.stage.env.After(k.pause(k.stage.OffsetRetention*5/4), func() {
		if !k.stage.stopped {
			k.begin()
		}
	})
}

// watch asks for the offsets, and commits now and then as the member.
func (k *Keeper) watch() {
	k.stage.env.After(k.pause(2*time.Second), func() {
		if k.stage.stopped {
			return
		}
		defer k.watch()
		if !k.up {
			return
		}
		who, member := k.member()
		if member && k.rng.IntN(12) == 0 {
			at := k.spots[k.rng.IntN(len(k.spots)):][:1]
			k.commit(k.group, at, []int64{k.rng.Int64N(1 << 40)}, who, nil)
			return
		}
		k.fetchOffsets(k.group, k.spots, nobody, func(offsets []int64) {
			for i, o := range offsets {
				k.stage.sometimes("no offset in a kept group", o < 0 && i == 0)
			}
		})
	})
}

// member is as who it may commit.
func (k *Keeper) member() (who identityOf, ok bool) {
	switch {
	case k.modern != nil && k.modern.who.generation > 0:
		return k.modern.who, true
	case k.classic != nil && k.classic.stable:
		return k.classic.who, true
	}
	return nobody, false
}

// Idle implements Coordinated.
func (k *Keeper) Idle() bool { return true }

// Behind describes what keeps the member, if it is there, from being a settled one.
func (k *Keeper) Behind() string {
	switch {
	case k.modern != nil:
		return k.modern.Behind()
	case k.classic != nil:
		return k.classic.Behind()
	}
	return ""
}
