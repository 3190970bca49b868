package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// offsetHelp is the grammar of -o, as rpk and kcat have it.
const offsetHelp = `Where to begin and, optionally, where to stop (exclusive):

  start, end        the beginning or the end of each partition
  N                 an exact offset
  +N, -N            N after the start, N before the end
  A:B               from A until B, each one of the above; A: and :B are open
  @T                from a time
  @T1:T2            from a time until another; @:T2 from the start
    T is   2026-05-01, 2026-05-01T10:00:00Z, Unix seconds or milliseconds,
           -1h30m or 2d (so long ago)
    T2 may also be a length (@2026-05-01:1h) or "end"
  beginning, s@T, e@T are taken as kcat writes them; -o may be repeated: -o s@T -o e@T`

type boundKind uint8

const (
	boundOpen   boundKind = iota // no bound
	boundStart                   // n after the log start
	boundEnd                     // n (zero or negative) before the high watermark
	boundOffset                  // exactly n
	boundTime                    // the first record at or after at
)

// bound is one end of what to consume, before it is known what the partitions hold.
type bound struct {
	kind boundKind
	n    int64
	at   time.Time
}

// offsetRange is what to consume of each partition: from until to, exclusive.
type offsetRange struct {
	from, to bound
	// atEnd stops where the partitions end now, if that is before to.
	atEnd bool
}

// parseRange reads one or more -o values; the later ones overrule the bounds they name.
func parseRange(values []string, now time.Time) (offsetRange, error) {
	var out offsetRange
	for _, v := range values {
		r, err := parseOne(v, now)
		if err != nil {
			return out, err
		}
		if r.from.kind != boundOpen {
			out.from = r.from
		}
		if r.to.kind != boundOpen {
			out.to = r.to
		}
	}
	return out, nil
}

func parseOne(s string, now time.Time) (offsetRange, error) {
	if t, ok := strings.CutPrefix(s, "s@"); ok {
		from, err := parseTime(t, now)
		return offsetRange{from: from}, err
	}
	if t, ok := strings.CutPrefix(s, "e@"); ok {
		to, err := parseTime(t, now)
		return offsetRange{to: to}, err
	}
	if t, ok := strings.CutPrefix(s, "@"); ok {
		return parseTimes(t, now)
	}
	first, last, ranged := strings.Cut(s, ":")
	from, err := parseOffset(first)
	if err != nil {
		return offsetRange{}, err
	}
	to, err := parseOffset(last)
	if err != nil {
		return offsetRange{}, err
	}
	if s == "" || ranged && first == "" && last == "" {
		return offsetRange{}, badOffset(s)
	}
	return offsetRange{from: from, to: to}, nil
}

func badOffset(s string) error {
	return usage("troupe consume --help explains offsets", "%q is no offset", s)
}

// parseOffset reads one bound that is not a time; empty is open.
func parseOffset(s string) (bound, error) {
	switch s {
	case "":
		return bound{}, nil
	case "start", "beginning", "earliest", "oldest":
		return bound{kind: boundStart}, nil
	case "end", "latest", "newest":
		return bound{kind: boundEnd}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return bound{}, badOffset(s)
	}
	switch s[0] {
	case '+':
		return bound{kind: boundStart, n: n}, nil
	case '-':
		return bound{kind: boundEnd, n: n}, nil
	}
	return bound{kind: boundOffset, n: n}, nil
}

// parseTimes reads T, T1:, :T2 or T1:T2. Times hold colons themselves, so every colon is tried as the one in the middle.
func parseTimes(s string, now time.Time) (offsetRange, error) {
	if from, err := parseTime(s, now); err == nil {
		return offsetRange{from: from}, nil
	}
	for i := range len(s) {
		if s[i] != ':' {
			continue
		}
		r, err := parseTimePair(s[:i], s[i+1:], now)
		if err == nil && r != (offsetRange{}) {
			return r, nil
		}
	}
	return offsetRange{}, usage("@2026-05-01T10:00:00Z, @-1h, @-2d:-1d, @2026-05-01:1h", "%q is no time and no range of times", "@"+s)
}

func parseTimePair(first, last string, now time.Time) (out offsetRange, err error) {
	if first != "" {
		if out.from, err = parseTime(first, now); err != nil {
			return out, err
		}
	}
	switch {
	case last == "":
	case last == "end":
		out.to = bound{kind: boundEnd}
	case first != "" && isLength(last):
		length, _ := parseDuration(last)
		out.to = bound{kind: boundTime, at: out.from.at.Add(length)}
	default:
		out.to, err = parseTime(last, now)
	}
	return out, err
}

// isLength reports whether s is a duration without sign.
func isLength(s string) bool {
	_, err := parseDuration(s)
	return err == nil && s[0] != '-' && s[0] != '+'
}

// parseTime reads a point in time. A duration, with or without its minus, is that long before now.
func parseTime(s string, now time.Time) (bound, error) {
	if d, err := parseDuration(s); err == nil {
		return bound{kind: boundTime, at: now.Add(-d.Abs())}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		if len(s) >= 12 {
			return bound{kind: boundTime, at: time.UnixMilli(n)}, nil
		}
		return bound{kind: boundTime, at: time.Unix(n, 0)}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil {
			return bound{kind: boundTime, at: t}, nil
		}
	}
	return bound{}, fmt.Errorf("%q is no time", s)
}

// parseDuration is time.ParseDuration that also knows days. A number without unit is none.
func parseDuration(s string) (time.Duration, error) {
	if rest, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseFloat(rest, 64)
		return time.Duration(days * 24 * float64(time.Hour)), err
	}
	if s == "" || s[len(s)-1] >= '0' && s[len(s)-1] <= '9' {
		return 0, fmt.Errorf("%q is no duration", s)
	}
	return time.ParseDuration(s)
}
