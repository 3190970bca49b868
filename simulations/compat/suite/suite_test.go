package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var everything = regexp.MustCompile("")

func TestJudgeHoldsTheListToItsWord(t *testing.T) {
	list, err := parseExpected("# head\na pass\nb fail no such thing yet\n\nc pass\nd fail for a reason\nluck either Kafka too: now and then\n")
	if err != nil {
		t.Fatal(err)
	}
	as := func(names string, passed bool) (out []result) {
		for _, n := range strings.Fields(names) {
			out = append(out, result{Test: n, Passed: passed})
		}
		return out
	}
	for _, c := range []struct {
		what, passed, failed, only string
		want                       verdict
	}{
		{"as listed", "a c luck", "b d", "", verdict{Passed: 3, KnownFailures: 2}},
		{"out of luck", "a c", "b d luck", "", verdict{Passed: 2, KnownFailures: 3}},
		{"regression", "c", "a b d luck", "", verdict{Passed: 1, KnownFailures: 3, Regressions: []string{"a"}}},
		{"unexpected pass", "a b c luck", "d", "", verdict{Passed: 4, KnownFailures: 1, Unexpected: []string{"b"}}},
		{"unlisted", "a c e luck", "b d", "", verdict{Passed: 4, KnownFailures: 2, Unlisted: []string{"e"}}},
		{"not run", "a luck", "b d", "", verdict{Passed: 2, KnownFailures: 2, Missing: []string{"c"}}},
		{"not asked for", "a", "", "a", verdict{Passed: 1}},
	} {
		only := regexp.MustCompile("^(?:" + c.only + ")$")
		if c.only == "" {
			only = everything
		}
		got := judge(list, append(as(c.passed, true), as(c.failed, false)...), only)
		if got.Passed != c.want.Passed || got.KnownFailures != c.want.KnownFailures || !slices.Equal(got.Regressions, c.want.Regressions) ||
			!slices.Equal(got.Unexpected, c.want.Unexpected) || !slices.Equal(got.Unlisted, c.want.Unlisted) || !slices.Equal(got.Missing, c.want.Missing) {
			t.Errorf("%s: %+v", c.what, got)
		}
		if ok := c.what == "as listed" || c.what == "out of luck" || c.what == "not asked for"; got.ok() != ok {
			t.Errorf("%s: ok is %v", c.what, got.ok())
		}
	}
}

func TestExpectedListIsRefusedIfItIsNotOne(t *testing.T) {
	for _, text := range []string{"a", "a maybe", "a fail", "a either", "a pass why", "a pass\na fail twice"} {
		if list, err := parseExpected(text); err == nil {
			t.Errorf("%q is taken as %+v", text, list)
		}
	}
}

// TestAcceptedListIsTrue: what -accept writes has the results as listed, and keeps what people wrote.
func TestAcceptedListIsTrue(t *testing.T) {
	list, _ := parseExpected("a pass\nb fail a reason of people\nours pass Kafka not: it hangs\nold pass")
	results := []result{{Test: "a", Why: "timeout\nand more"}, {Test: "b", Why: "machine's words"}, {Test: "ours", Passed: true}, {Test: "new", Passed: true}}
	text := accepted("# head\n", list, results)
	got, err := parseExpected(text)
	if err != nil || !judge(got, results, regexp.MustCompile("^(a|b|ours|new)$")).ok() {
		t.Fatal(err, text)
	}
	for _, want := range []string{"# head\n", "a reason of people", "fail  timeout\n", "pass  Kafka not: it hangs\n", "old "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// lame is a suite that the machine cannot run.
type lame struct{ javaSuite }

func (lame) needs() []need {
	return []need{{what: "a unicorn", get: "breed one", check: func() error { return errors.New("there is none") }}}
}

func TestMissingToolIsNamedAndFailsTheRun(t *testing.T) {
	o, err := parse([]string{"-cache", t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	sc, err := o.one(context.Background(), &lame{}, t.TempDir())
	if err != nil || sc.ok() || !sc.Lacks {
		t.Fatal(err, sc)
	}
	if text := markdown([]score{sc}); !strings.Contains(text, "COULD NOT RUN: java needs a unicorn: there is none (breed one)") {
		t.Error(text)
	}
}

// TestJavaListNamesItsTests: the list and the tests change together.
func TestJavaListNamesItsTests(t *testing.T) {
	list, err := readExpected("java")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, test := range javaTests {
		for _, before := range test.after {
			if !names[before] {
				t.Errorf("%s comes after %s, which does not run before it", test.name, before)
			}
		}
		names[test.name] = true
		if !slices.ContainsFunc(list, func(e expectation) bool { return e.test == test.name }) {
			t.Errorf("%s is not listed", test.name)
		}
	}
	for _, e := range list {
		if !names[e.test] {
			t.Errorf("%s is listed, and no test", e.test)
		}
	}
}

// TestQuickTestsAreSome: of every suite that says it has quick tests, and they are tests of it.
func TestQuickTestsAreSome(t *testing.T) {
	var names []string
	for _, s := range all(&options{}) {
		q, ok := s.(quickSuite)
		if !ok || s.name() == "franz-go-chaos" {
			continue
		}
		names = append(names, s.name())
		list, err := readExpected(s.name())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(slices.DeleteFunc(list, func(e expectation) bool { return !q.quick().MatchString(e.test) })); n < 10 {
			t.Errorf("%s: %d quick tests", s.name(), n)
		}
	}
	want := strings.Split(quickSuites, ",")
	if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(names)), want) {
		t.Errorf("%v have quick tests, %v run", names, want)
	}
}

// TestEveryListNamesItsTests: the list of a suite and its tests change together.
func TestEveryListNamesItsTests(t *testing.T) {
	suites := map[string][]string{"franz-go": kgoTests, "franz-go-chaos": kgoChaosTests, "kcat": nil}
	for _, test := range kcatTests {
		suites["kcat"] = append(suites["kcat"], test.name)
	}
	for _, test := range appTests {
		suites["java-apps"] = append(suites["java-apps"], test.name)
	}
	for _, mode := range rdModes {
		suites[mode.name] = mode.tests
	}
	for _, shape := range shapes {
		for library := range readerLibraries {
			for _, isolation := range readerIsolations {
				for size := range readerSizes {
					suites["readers"] = append(suites["readers"], readerTest(shape.name, library, isolation, size))
				}
			}
		}
	}
	for _, q := range questions() {
		suites["answers"] = append(suites["answers"], q.name)
	}
	suites["answers"] = append(suites["answers"], differencesTest)
	for name, tests := range suites {
		list, err := readExpected(name)
		if err != nil {
			t.Fatal(name, err)
		}
		var listed []string
		for _, e := range list {
			listed = append(listed, e.test)
		}
		if slices.Sort(listed); !slices.Equal(listed, slices.Sorted(slices.Values(tests))) {
			t.Errorf("%s: %d listed, %d tests", name, len(listed), len(tests))
		}
	}
	for _, name := range suiteNames() {
		if suites[name] == nil && name != "java" {
			t.Errorf("nobody looks at the list of %s", name)
		}
	}
}

// TestReadmeShowsTheLists: its table has for every suite the number of tests, of those that Apache Kafka passes, and of those that troupe
// passes always.
func TestReadmeShowsTheLists(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^ *\| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \|`).FindAllStringSubmatch(string(readme), -1)
	suites := []string{"java", "java-apps", "franz-go", "franz-go-chaos", "librdkafka", "librdkafka-idempotent", "librdkafka-consumer", "librdkafka-noautocreate",
		"librdkafka-sockem", "kcat", "readers", "answers"}
	if len(rows) != len(suites) || len(suites) != len(suiteNames()) {
		t.Fatalf("%d rows for %d suites", len(rows), len(suiteNames()))
	}
	for i, name := range suites {
		list, err := readExpected(name)
		if err != nil {
			t.Fatal(err)
		}
		passes := 0
		for _, e := range list {
			if e.pass {
				passes++
			}
		}
		if got, want := strings.Join(rows[i][2:], "/"), fmt.Sprintf("%d/%d/%d", len(list), byKafka(list, everything), passes); got != want {
			t.Errorf("%q says %s, the list of %s %s", rows[i][1], got, name, want)
		}
	}
}

// TestScoreTellsWhatKafkaPassesAndWhyTheRestFails: the table has a number for Kafka and a line for every reason.
func TestScoreTellsWhatKafkaPassesAndWhyTheRestFails(t *testing.T) {
	list, _ := parseExpected("a pass\nb fail no authorizer\nc fail Kafka too: skips\n")
	results := []result{{Test: "a", Passed: true, Alone: true}, {Test: "b"}, {Test: "c", Skipped: true}}
	sc := score{Suite: "s", Results: results, Verdict: judge(list, results, everything), Kafka: byKafka(list, everything), Reasons: reasons(list, results)}
	text := markdown([]score{sc})
	for _, want := range []string{"| 3 | 1 | 2 | 2 | 0 |", "| s | b | no authorizer |", "| s | c | Kafka too: skips |", "passed only alone: a"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestRdSummaryIsReadPastItsColours: what passed, failed and skipped, with the reason; a test that was running is a failure.
func TestRdSummaryIsReadPastItsColours(t *testing.T) {
	got := rdSummary("x\n|\x1b[32m <MAIN>       |     PASSED |   1.0s \x1b[0m|\n" +
		"|\x1b[32m 0001_multiobj      |     PASSED |   1.839s \x1b[0m|\n" +
		"|\x1b[31m 0103_transactions  |     FAILED | 125.221s \x1b[0m|\x1b[31m do_test_x:1: no\x1b[0m\n" +
		"|\x1b[36m 0092_mixed_msgver  |    SKIPPED |   0.000s \x1b[0m|\x1b[36m removed\x1b[0m\n" +
		"|\x1b[35m 0005_order         |    RUNNING |   3.000s \x1b[0m|\n")
	want := map[string]result{
		"0001_multiobj":     {Test: "0001_multiobj", Passed: true, Seconds: 1.839},
		"0103_transactions": {Test: "0103_transactions", Seconds: 125.221, Why: "failed: do_test_x:1: no"},
		"0092_mixed_msgver": {Test: "0092_mixed_msgver", Skipped: true, Why: "skipped: removed"},
		"0005_order":        {Test: "0005_order", Seconds: 3, Why: "running:"},
	}
	if !maps.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// runner is a stand-in for librdkafka's test-runner.
func runner(t *testing.T, script string) []result {
	t.Helper()
	s := &rdSuite{mode: rdMode{name: "librdkafka", tests: []string{"0001_multiobj", "0081_admin", "0081_admin/CreateTopics"}}, jobs: 2, jars: t.TempDir(), dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.dir, "test-runner"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := s.run(context.Background(), &target{addr: "127.0.0.1:1", work: t.TempDir()}, everything)
	if err != nil || len(got) != 3 {
		t.Fatal(err, got)
	}
	return got
}

// TestRdPassIsAPassOnlyIfAllIsWell: the process ends well, and the sub-test that was asked for ran.
func TestRdPassIsAPassOnlyIfAllIsWell(t *testing.T) {
	table := `printf "| %s  |     PASSED |   1.0s |\n" 0001_multiobj 0081_admin` + "\n"
	for _, r := range runner(t, `echo "[ do_$SUBTESTS:1: x ]"; echo "[ $SUBTESTS:1 ]"`+"\n"+table) {
		if !r.Passed || r.Alone {
			t.Errorf("%+v", r)
		}
	}
	if r := runner(t, table)[2]; r.Passed || r.Why != "no such sub-test ran" {
		t.Errorf("%+v", r)
	}
	if r := runner(t, table+"echo 8 threads still active; exit 1\n")[0]; r.Passed || !strings.Contains(r.Why, "8 threads still active") {
		t.Errorf("%+v", r)
	}
	if r := runner(t, "echo died; exit 3\n")[0]; r.Passed || !strings.Contains(r.Why, "died") {
		t.Errorf("%+v", r)
	}
}

// TestRdFailureIsTriedOnceMoreAlone: and the result tells.
func TestRdFailureIsTriedOnceMoreAlone(t *testing.T) {
	r := runner(t, `state=PASSED; [ "$TESTS" = 0001 ] && [ ! -e tried ] && { touch tried; state=FAILED; }
printf "| %s  | $state | 1.0s |\n" 0001_multiobj 0081_admin`)[0]
	if !r.Passed || !r.Alone {
		t.Errorf("%+v", r)
	}
}

// TestSeveralRunsOfATestAreOneResult: that of the worst.
func TestSeveralRunsOfATestAreOneResult(t *testing.T) {
	got := worst([]result{{Test: "a", Passed: true, Seconds: 1}, {Test: "b", Why: "first"}, {Test: "a", Seconds: 2, Why: "no"}, {Test: "b", Passed: true},
		{Test: "a", Passed: true, Seconds: 3}})
	if len(got) != 2 || got[0].Passed || got[0].Why != "no" || got[0].Seconds != 6 || got[1].Passed || got[1].Why != "first" {
		t.Errorf("%+v", got)
	}
}

// TestGoResultsTellTheEndOfEveryTest: also of one that took the process with it.
func TestGoResultsTellTheEndOfEveryTest(t *testing.T) {
	got := goResults(strings.NewReader(`{"Action":"start"}
{"Action":"run","Test":"A"}
{"Action":"run","Test":"A/sub"}
{"Action":"fail","Test":"A/sub","Elapsed":1}
{"Action":"output","Test":"A","Output":"broken\\n"}
{"Action":"fail","Test":"A","Elapsed":2}
{"Action":"run","Test":"B"}
{"Action":"pass","Test":"B","Elapsed":0.5}
not json
{"Action":"run","Test":"C"}
{"Action":"skip","Test":"C"}
{"Action":"run","Test":"D"}
{"Action":"output","Test":"D","Output":"panic"}
`))
	if len(got) != 4 {
		t.Fatal(got)
	}
	a, b, c, d := got[0], got[1], got[2], got[3]
	if a.Passed || a.Seconds != 2 || !strings.Contains(a.Why, "broken") || !b.Passed || c.Passed || !c.Skipped || d.Passed || !strings.Contains(d.Why, "never ended") {
		t.Errorf("%+v", got)
	}
}
