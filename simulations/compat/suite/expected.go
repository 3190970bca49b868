package main

import (
	"bufio"
	"embed"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// expectedFiles hold what each test of a suite shall come to.
//
//go:embed expected/*.txt
var expectedFiles embed.FS

// expectation is a line of an expected list: NAME pass, NAME pass Kafka not: REASON, NAME fail REASON, or NAME either REASON for a test that is
// a matter of luck.
type expectation struct {
	test   string
	pass   bool
	either bool
	reason string
}

// kafkaToo begins the reason of what Apache Kafka does not pass either, run in the same way, kafkaNot that of what Apache Kafka alone does not pass.
const (
	kafkaToo = "Kafka too:"
	kafkaNot = "Kafka not:"
)

// byKafka counts the tests of a list that Apache Kafka passes, of those that only matches.
func byKafka(list []expectation, only *regexp.Regexp) (n int) {
	for _, e := range list {
		if !strings.HasPrefix(e.reason, kafkaToo) && !strings.HasPrefix(e.reason, kafkaNot) && only.MatchString(e.test) {
			n++
		}
	}
	return n
}

// readExpected parses the list of a suite. A suite without a list expects nothing: all its tests are unlisted.
func readExpected(name string) ([]expectation, error) {
	raw, err := expectedFiles.ReadFile("expected/" + name + ".txt")
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseExpected(string(raw))
}

func parseExpected(text string) (out []expectation, err error) {
	seen := map[string]bool{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		pass := len(fields) > 1 && fields[1] == "pass" && (len(fields) == 2 || strings.HasPrefix(strings.Join(fields[2:], " "), kafkaNot))
		reasoned := len(fields) > 2 && (fields[1] == "fail" || fields[1] == "either")
		if !pass && !reasoned || seen[fields[0]] {
			return nil, fmt.Errorf("line %d: want NAME pass, NAME pass Kafka not: REASON, NAME fail REASON or NAME either REASON, each name once: %q", n, line)
		}
		seen[fields[0]] = true
		out = append(out, expectation{fields[0], pass, fields[1] == "either", strings.Join(fields[2:], " ")})
	}
	return out, lines.Err()
}

// verdict compares results with a list.
type verdict struct {
	Passed        int      `json:"passed"`
	KnownFailures int      `json:"known_failures"`
	Regressions   []string `json:"regressions,omitempty"`       // listed pass, failed
	Unexpected    []string `json:"unexpected_passes,omitempty"` // listed fail, passed
	Unlisted      []string `json:"unlisted,omitempty"`          // ran, not in the list
	Missing       []string `json:"listed_but_not_run,omitempty"`
}

// ok reports whether the list is true.
func (v verdict) ok() bool {
	return len(v.Regressions)+len(v.Unexpected)+len(v.Unlisted)+len(v.Missing) == 0
}

// judge compares the results with what is expected of the tests that only matches.
func judge(list []expectation, results []result, only *regexp.Regexp) (v verdict) {
	want := map[string]expectation{}
	for _, e := range list {
		want[e.test] = e
	}
	ran := map[string]bool{}
	for _, r := range results {
		e, listed := want[r.Test]
		ran[r.Test] = true
		if r.Passed {
			v.Passed++
		}
		switch {
		case !listed:
			v.Unlisted = append(v.Unlisted, r.Test)
		case e.either && r.Passed:
		case e.pass && !r.Passed:
			v.Regressions = append(v.Regressions, r.Test)
		case !e.pass && r.Passed:
			v.Unexpected = append(v.Unexpected, r.Test)
		case !e.pass:
			v.KnownFailures++
		}
	}
	for _, e := range list {
		if !ran[e.test] && only.MatchString(e.test) {
			v.Missing = append(v.Missing, e.test)
		}
	}
	return v
}

// accepted is the list that makes results true. The comment at its head and the reasons of failures are kept.
func accepted(head string, list []expectation, results []result) string {
	old := map[string]expectation{}
	for _, e := range list {
		old[e.test] = e
	}
	for _, r := range results {
		e := old[r.Test]
		if e.either {
			continue
		}
		e.test, e.pass = r.Test, r.Passed
		if e.pass != strings.HasPrefix(e.reason, kafkaNot) {
			e.reason = ""
		}
		if !e.pass && e.reason == "" {
			e.reason, _, _ = strings.Cut(r.Why, "\n")
		}
		old[r.Test] = e
	}
	var lines []string
	for _, e := range old {
		outcome := "pass"
		switch {
		case e.either:
			outcome = "either"
		case !e.pass:
			outcome = "fail"
		}
		if e.reason != "" {
			outcome += "  " + e.reason
		}
		lines = append(lines, fmt.Sprintf("%-37s %s", e.test, outcome))
	}
	slices.Sort(lines)
	return head + strings.Join(lines, "\n") + "\n"
}
