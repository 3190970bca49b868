package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// runJSON runs a command line with -o json and reads what it prints into out.
func runJSON(t *testing.T, addr, line string, out any) (errs string, code int) {
	t.Helper()
	printed, errs, code := execute(t, addr, line+" -o json")
	if printed != "" {
		if err := json.Unmarshal([]byte(printed), out); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, printed)
		}
	}
	return errs, code
}

// fill writes n records with timestamps 1000, 1001, ... to each of the partitions of topic t.
func fill(t *testing.T, addr string, n int, partitions ...int) {
	t.Helper()
	var in strings.Builder
	for _, p := range partitions {
		for i := range n {
			fmt.Fprintf(&in, `{"topic":"t","partition":%d,"timestamp":%d,"key":"k%d","value":"v%d"}`+"\n", p, 1000+i, i, i)
		}
	}
	if _, errs, code := (&session{addr: addr}).run(in.String(), splitWords("produce -J")); code != 0 {
		t.Fatal(errs)
	}
}

func TestTrimDeletesWhatIsBefore(t *testing.T) { eachBroker(t, 23000, trims) }

func trims(t *testing.T, addr string) {
	fill(t, addr, 10, 0, 1)
	for _, c := range []struct {
		line      string
		low       [2]int64 // of the partitions afterwards; -1 where the command is not about one
		code      int
		says      string
		unchanged bool
	}{
		{line: "--to 3 --dry-run", low: [2]int64{0, 0}, unchanged: true},
		{line: "--to 3", low: [2]int64{0, 0}, code: exitUsage, says: "this would delete 6 offsets at the beginning of t:0,1", unchanged: true},
		{line: "--to 3 -p 1 --yes", low: [2]int64{-1, 3}},
		{line: "--to 99 --yes", low: [2]int64{0, 3}, code: exitFailed, says: "the log ends at 10, before 99", unchanged: true},
		{line: "--to 1 --yes -p 7", low: [2]int64{-1, -1}, code: exitNotFound, says: "none of these partitions exists", unchanged: true},
		{line: "--to 1 --yes -p 0,7", low: [2]int64{-1, -1}, code: exitNotFound, says: `topic "t" has no partition 7`, unchanged: true},
		{line: "--to +1 --yes", low: [2]int64{1, 4}},
		{line: "--to 2 --yes", low: [2]int64{2, 4}},
		{line: "--to @1005000 --yes -p 0", low: [2]int64{10, -1}}, // Unix seconds: everything is older
		{line: "--to -2 --yes -p 1", low: [2]int64{-1, 8}},
		{line: "--to end --yes", low: [2]int64{10, 10}},
		{line: "--to end --yes", low: [2]int64{10, 10}},
		{line: "--to tomorrow", low: [2]int64{-1, -1}, code: exitUsage, says: "no place for a log to begin", unchanged: true},
		{line: "", low: [2]int64{-1, -1}, code: exitUsage, says: "trim wants --to", unchanged: true},
	} {
		var rows trimRows
		errs, code := runJSON(t, addr, "topic trim t "+c.line, &rows)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Fatalf("%s: exit %d: %s", c.line, code, errs)
		}
		for _, r := range rows {
			if r.DryRun || r.Error != "" {
				continue
			}
			if r.Offsets > 0 != (r.Low != nil) || r.Low != nil && *r.Low != c.low[r.Partition] {
				t.Errorf("%s: %+v", c.line, r)
			}
		}
		lowAre(t, addr, c.line, c.low)
	}
	if _, errs, code := execute(t, addr, "topic trim nosuch --to end --yes"); code != exitNotFound || !strings.Contains(errs, `no topic "nosuch"`) {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// lowAre checks where the two partitions begin; -1 is not checked.
func lowAre(t *testing.T, addr, after string, want [2]int64) {
	t.Helper()
	var views topicViews
	if errs, code := runJSON(t, addr, "topic describe t", &views); code != 0 {
		t.Fatal(errs)
	}
	for i, p := range views[0].Parts {
		if want[i] >= 0 && p.Start != want[i] {
			t.Errorf("after %q partition %d begins at %d, want %d", after, i, p.Start, want[i])
		}
	}
}

func TestTrimOfACompactedTopicSaysWhy(t *testing.T) {
	addr := troupeAt(t, 23002)
	fill(t, addr, 3, 0)
	if _, errs, code := execute(t, addr, "topic alter t --set cleanup.policy=compact"); code != 0 {
		t.Fatal(errs)
	}
	_, errs, code := execute(t, addr, "topic trim t --to end --yes")
	if code != exitFailed || !strings.Contains(errs, "the topic is compacted") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
