package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestOffsetsAreListedByTimeWithoutAGroup(t *testing.T) { eachBroker(t, 23012, listsOffsets) }

func listsOffsets(t *testing.T, addr string) {
	fill(t, addr, 10, 0) // timestamps 1000 to 1009 ms
	if _, errs, code := execute(t, addr, "topic trim t -p 0 --to 2 --yes"); code != 0 {
		t.Fatal(errs)
	}
	for _, c := range []struct{ line, want string }{
		{"t", "0 start 2, 0 end 10, 1 start 0, 1 end 0"},
		{"t -p 0 --at -2 --at -1 --at -3 --at stable", "0 start 2, 0 end 10, 0 max-timestamp 9 @1009, 0 stable 10"},
		{"-p 0 --at 1970-01-01T00:00:01Z", "0 1970-01-01T00:00:01Z 2 @1002"},
		{"t --at @1700000000", "0 2023-11-14T22:13:20Z 10, 1 2023-11-14T22:13:20Z 0"},
		{"'.*' -r --at max-timestamp", "0 max-timestamp 9 @1009, 1 max-timestamp null"},
	} {
		var rows offsetRows
		errs, code := runJSON(t, addr, "topic offsets "+c.line, &rows)
		var got []string
		for _, r := range rows {
			got = append(got, showOffset(r))
		}
		if code != 0 || strings.Join(got, ", ") != c.want {
			t.Errorf("%s: exit %d %s\n got %s\nwant %s", c.line, code, errs, strings.Join(got, ", "), c.want)
		}
	}
	for line, exit := range map[string]int{"t --at soon": exitUsage, "nosuch": exitNotFound, "t -p 9": exitNotFound} {
		if out, errs, code := execute(t, addr, "topic offsets "+line); code != exit {
			t.Errorf("%s: exit %d: %s%s", line, code, out, errs)
		}
	}
}

func showOffset(r offsetRow) string {
	out := fmt.Sprintf("%d %s null", r.Partition, r.At)
	if r.Offset != nil {
		out = fmt.Sprintf("%d %s %d", r.Partition, r.At, *r.Offset)
	}
	if r.Timestamp != nil {
		out += fmt.Sprintf(" @%d", *r.Timestamp)
	}
	return out
}
