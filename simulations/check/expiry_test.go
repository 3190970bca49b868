package check

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// TestOffsetsExpireOnlyWhereNobodyKeepsThem looks at time 200 s for an offset that was committed at 10 s and is kept for 60 s.
func TestOffsetsExpireOnlyWhereNobodyKeepsThem(t *testing.T) {
	life := func(classic bool, from, to int64, topics ...protocol.TopicID) Life {
		return Life{Group: "g", Classic: classic, Topics: topics, From: from * 1e9, To: to * 1e9}
	}
	other := protocol.TopicID{9}
	for _, c := range []struct {
		name  string
		lives []Life
		may   bool
	}{
		{"never a member", nil, true},
		{"subscribed all the time", []Life{life(false, 0, 300)}, false},
		{"subscribed by one after the other", []Life{life(false, 0, 100), life(false, 90, 300)}, false},
		{"not subscribed for a moment, long after the commit", []Life{life(false, 0, 100), life(false, 101, 300)}, true},
		{"not subscribed for a moment, soon after the commit", []Life{life(false, 0, 30), life(false, 31, 300)}, false},
		{"subscribed to another topic", []Life{life(false, 0, 300, other)}, true},
		{"classic, empty for a moment", []Life{life(true, 0, 100), life(true, 101, 300)}, false},
		{"classic, empty for long", []Life{life(true, 0, 100), life(true, 161, 300)}, true},
		{"classic, empty until now", []Life{life(true, 0, 130)}, true},
		{"classic, empty for not so long", []Life{life(true, 0, 150)}, false},
		{"classic, subscribed to another topic", []Life{life(true, 0, 300, other)}, true},
	} {
		s := &groupScript{}
		s.commit(1, 2, 1, OK).fetch(3, 4, 0)
		s.h.GroupOps[0].From, s.h.GroupOps[0].To, s.h.GroupOps[1].From, s.h.GroupOps[1].To = 10e9, 10e9, 200e9, 200e9
		s.h.Retention, s.h.Lives = 60e9, c.lives
		if lost := len(s.h.Check()) > 0; lost == c.may {
			t.Errorf("%s: may have expired %v, judged %v", c.name, c.may, !lost)
		}
	}
}

// TestOverdueOffsetsShow looks last for an offset that nobody keeps.
func TestOverdueOffsetsShow(t *testing.T) {
	for _, c := range []struct {
		at    int64
		last  bool
		lives []Life
		bad   bool
	}{
		{80, true, nil, false}, {100, true, nil, true}, {100, false, nil, false}, {100, true, []Life{{Group: "g", From: 0, To: 50e9}}, false},
	} {
		s := &groupScript{}
		s.commit(1, 2, 1, OK).fetch(3, 4, 1)
		s.h.GroupOps[0].To, s.h.GroupOps[1].From, s.h.GroupOps[1].Last = 1e9, c.at*1e9, c.last
		s.h.Retention, s.h.Lives = 60e9, c.lives
		if bad := len(s.h.Check()) > 0; bad != c.bad {
			t.Errorf("%+v: judged %v", c, bad)
		}
	}
}

func TestEpochsThatGoBackShow(t *testing.T) {
	var m Memberships
	m.Told("g", "a", 5, 10, 100)
	for _, c := range []struct {
		member     string
		epoch      int32
		sent, now  int64
		back, anew bool
	}{
		{"b", 5, 20, 30, false, false}, {"b", 4, 20, 30, true, false}, {"b", 4, 5, 30, false, true}, {"a", 5, 20, 30, false, false}, {"b", 1, 120, 130, false, true},
	} {
		before := Memberships{groups: m.groups, highest: map[string]int32{"g": 5}}
		if _, back, anew := before.Entered("g", c.member, c.epoch, c.sent, c.now, false); back != c.back || anew != c.anew {
			t.Errorf("%+v: back %v, anew %v", c, back, anew)
		}
	}
	if n := m.Count("g", 50); n != 1 {
		t.Errorf("%d members", n)
	}
	if m.Left("g", "a"); m.Count("g", 50) != 0 {
		t.Error("who left is counted")
	}
}
