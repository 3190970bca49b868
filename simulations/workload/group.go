package workload

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
)

// group is one that clients of a run use, with the partitions in it.
type group struct {
	name    string
	spots   []spot
	members []groupMember
	pattern string // what its members subscribe to; empty: spots
}

// wanted are the partitions that the members must own together.
func (g *group) wanted(s *Stage) (out []spot) {
	if g.pattern == "" {
		return g.spots
	}
	matching := regexp.MustCompile("^(" + g.pattern + ")$")
	return slices.DeleteFunc(s.allSpots(), func(at spot) bool { return !matching.MatchString(at.topic.Name) })
}

// groupMember is what the group as a whole is judged by.
type groupMember interface {
	// settledWith is what the member owns, and whether it has come to rest with that.
	settledWith() ([]spot, bool)
	// refused reports that there was no room for it.
	refused() bool
}

// groupOf registers partitions with a group, so that the last look asks for them.
func (s *Stage) groupOf(name string, spots []spot) *group {
	i := slices.IndexFunc(s.groups, func(g *group) bool { return g.name == name })
	if i < 0 {
		s.groups = append(s.groups, &group{name: name})
		i = len(s.groups) - 1
	}
	g := s.groups[i]
	for _, at := range spots {
		if !slices.Contains(g.spots, at) {
			g.spots = append(g.spots, at)
		}
	}
	return g
}

// trust is how long a member believes in its membership after a request was sent that was answered without an error: less than the
// session, since clocks drift.
const trust = sessionTimeout * 8 / 10

// believe notes what a member owns, and that it is one, as of a request sent at that time.
func (s *Stage) believe(group string, who identityOf, owned []spot, sent time.Duration) {
	now, until := int64(s.env.Now()), int64(sent+trust)
	if until <= now {
		return // the answer took so long that it may not be true any more
	}
	for _, at := range owned {
		if other, clash := s.owners.Gained(group, who.owner(), at.key, now, until); clash {
			s.violate("%s of %s was given %v at epoch %d while %s owns it", who.owner(), group, at, who.generation, other.Member)
		}
	}
	s.lives(group, who, sent)
	s.memberships.Told(group, who.owner(), who.generation, now, until)
	if n := s.memberships.Count(group, now); s.GroupMax > 0 && n > s.GroupMax {
		s.violate("%s: %d members, where there may be %d", group, n, s.GroupMax)
	}
}

// lives notes for how long a member certainly is one.
func (s *Stage) lives(group string, who identityOf, sent time.Duration) {
	if s.OffsetRetention == 0 {
		return
	}
	h := s.Rec.History()
	i := slices.IndexFunc(h.Lives, func(l check.Life) bool { return l.Group == group && l.Member == who.member })
	if i < 0 {
		i = len(h.Lives)
		h.Lives = append(h.Lives, check.Life{Group: group, Member: who.member, Classic: !who.incremental(), From: int64(s.env.Now())})
		if k := s.keptTopic(group); k != nil {
			h.Lives[i].Topics = []protocol.TopicID{k.ID}
		}
	}
	h.Lives[i].To = int64(sent + trust)
}

// left ends the life of a member that leaves.
func (s *Stage) left(group string, who identityOf) {
	s.memberships.Left(group, who.owner())
	for i, l := range s.Rec.History().Lives {
		if l.Group == group && l.Member == who.member {
			s.Rec.History().Lives[i].To = min(l.To, int64(s.env.Now()))
		}
	}
}

// entered holds the epoch or generation that somebody who was no member is told to those of others (check.Memberships).
func (s *Stage) entered(name, group, owner string, epoch int32, sent time.Duration) {
	other, back, anew := s.memberships.Entered(group, owner, epoch, int64(sent), int64(s.env.Now()), s.OffsetRetention > 0)
	if back {
		s.violate("%s joined %s at epoch %d, where %s is at %d", name, group, epoch, other.Member, other.Epoch)
	}
	if anew {
		s.sometimes("group began anew", true)
		s.Rec.CompleteGroup(s.Rec.InvokeGroup(check.GroupOp{Client: name, Func: check.FoundGroup, Group: group, Generation: epoch}), check.OK)
	}
}

// disown gives some of what is owned up, and returns the rest: a new slice, since requests under way hold the old one.
func (s *Stage) disown(group, owner string, owned, lost []spot) (kept []spot) {
	for _, at := range owned {
		if slices.Contains(lost, at) {
			s.owners.Lost(group, owner, at.key)
		} else {
			kept = append(kept, at)
		}
	}
	return kept
}

// coverage is what must be true of each group with members when nothing is broken.
type coverage struct{ stage *Stage }

// Idle implements Coordinated.
func (c coverage) Idle() bool { return true }

// Behind describes a partition that has not exactly one owner, or a member that found no room where there is some.
func (c coverage) Behind() string {
	for _, g := range c.stage.groups {
		owners, settled, refused := map[protocol.TopicPartition]int{}, 0, 0
		for _, m := range g.members {
			owned, ok := m.settledWith()
			if m.refused() {
				refused++
			}
			if !ok {
				continue
			}
			settled++
			for _, at := range owned {
				owners[at.key]++
			}
		}
		if refused > 0 && settled != c.stage.GroupMax {
			return fmt.Sprintf("%s has %d members and refuses %d, where there may be %d", g.name, settled, refused, c.stage.GroupMax)
		}
		if settled == 0 {
			continue
		}
		for _, at := range g.wanted(c.stage) {
			if n := owners[at.key]; n != 1 {
				return fmt.Sprintf("%v has %d owners in %s, which has %d members", at, n, g.name, settled)
			}
		}
	}
	return ""
}
