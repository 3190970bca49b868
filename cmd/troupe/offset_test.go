package main

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

func TestOffsetGrammar(t *testing.T) {
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	day := func(d int) bound { return bound{kind: boundTime, at: time.Date(2026, 5, d, 0, 0, 0, 0, time.UTC)} }
	before := func(d time.Duration) bound { return bound{kind: boundTime, at: now.Add(-d)} }
	open, start, end := bound{}, bound{kind: boundStart}, bound{kind: boundEnd}
	at := func(n int64) bound { return bound{kind: boundOffset, n: n} }
	ten := bound{kind: boundTime, at: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)}
	cases := []struct {
		in       []string
		from, to bound
	}{
		{nil, open, open},
		{[]string{"start"}, start, open},
		{[]string{"beginning"}, start, open},
		{[]string{"end"}, end, open},
		{[]string{":end"}, open, end},
		{[]string{"7"}, at(7), open},
		{[]string{"7:"}, at(7), open},
		{[]string{":7"}, open, at(7)},
		{[]string{"3:7"}, at(3), at(7)},
		{[]string{"+2"}, bound{boundStart, 2, time.Time{}}, open},
		{[]string{"-2"}, bound{boundEnd, -2, time.Time{}}, open},
		{[]string{"-10:end"}, bound{boundEnd, -10, time.Time{}}, end},
		{[]string{"+1:-1"}, bound{boundStart, 1, time.Time{}}, bound{boundEnd, -1, time.Time{}}},
		{[]string{"@2026-05-01"}, day(1), open},
		{[]string{"@2026-05-01:"}, day(1), open},
		{[]string{"@:2026-05-01"}, open, day(1)},
		{[]string{"@2026-05-01:2026-05-02"}, day(1), day(2)},
		{[]string{"@2026-05-01:24h"}, day(1), day(2)},
		{[]string{"@2026-05-01:1d"}, day(1), day(2)},
		{[]string{"@2026-05-01T10:00:00Z"}, ten, open},
		{[]string{"@2026-05-01T10:00:00Z:end"}, ten, end},
		{[]string{"@2026-05-01T10:00:00Z:2026-05-02"}, ten, day(2)},
		{[]string{"@2026-05-01T12:00:00+02:00"}, ten, open},
		{[]string{"@-1h"}, before(time.Hour), open},
		{[]string{"@1h30m"}, before(90 * time.Minute), open},
		{[]string{"@-2d:-1d"}, before(48 * time.Hour), before(24 * time.Hour)},
		{[]string{"@-48h:1h"}, before(48 * time.Hour), before(47 * time.Hour)},
		{[]string{"s@1h", "e@-30m"}, before(time.Hour), before(30 * time.Minute)},
		{[]string{"start", ":5"}, start, at(5)},
	}
	for _, c := range cases {
		got, err := parseRange(c.in, now)
		if err != nil || !sameBound(got.from, c.from) || !sameBound(got.to, c.to) {
			t.Errorf("%q: got %v, %v; want %v to %v", c.in, got, err, c.from, c.to)
		}
	}
	for _, seconds := range []string{"@1700000000", "@1700000000000"} {
		got, err := parseRange([]string{seconds}, now)
		if err != nil || got.from.at.UnixMilli() != 1_700_000_000_000 {
			t.Errorf("%q: got %v, %v", seconds, got, err)
		}
	}
}

func sameBound(x, y bound) bool { return x.kind == y.kind && x.n == y.n && x.at.Equal(y.at) }

func TestOffsetGrammarRefuses(t *testing.T) {
	for _, s := range []string{"", ":", "x", "1:x", "1:2:3", "@", "@:", "@yesterday", "@2026-13-01", "s@", "--1", "1.5", "@2026-05-01:xyz"} {
		if got, err := parseRange([]string{s}, time.Now()); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}

func listed(offset int64) kadm.ListedOffset { return kadm.ListedOffset{Topic: "t", Offset: offset} }

func TestRangeIsPlacedWithinWhatThePartitionHolds(t *testing.T) {
	const logStart, logEnd = 10, 20
	cases := []struct {
		spec     string
		from, to int64
	}{
		{"start", 10, -1}, {"end", 20, -1}, {"+3", 13, -1}, {"-3", 17, -1}, {"15", 15, -1},
		{"0", 10, -1}, {"99", 20, -1}, {"-99", 10, -1}, {":end", 10, 20}, {"12:15", 12, 15}, {":99", 10, 99}, {"+1:-1", 11, 19},
	}
	for _, c := range cases {
		r, err := parseRange([]string{c.spec}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		got := r.assign(listed(logStart), listed(logEnd), nil)
		if got.from != c.from || got.to != c.to {
			t.Errorf("%s: got %d to %d, want %d to %d", c.spec, got.from, got.to, c.from, c.to)
		}
	}
}
