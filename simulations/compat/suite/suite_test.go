package main

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var everything = regexp.MustCompile("")

func TestJudgeHoldsTheListToItsWord(t *testing.T) {
	list, err := parseExpected("# head\na pass\nb fail no such thing yet\n\nc pass\nd fail for a reason\n")
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
		{"as listed", "a c", "b d", "", verdict{Passed: 2, KnownFailures: 2}},
		{"regression", "c", "a b d", "", verdict{Passed: 1, KnownFailures: 2, Regressions: []string{"a"}}},
		{"unexpected pass", "a b c", "d", "", verdict{Passed: 3, KnownFailures: 1, Unexpected: []string{"b"}}},
		{"unlisted", "a c e", "b d", "", verdict{Passed: 3, KnownFailures: 2, Unlisted: []string{"e"}}},
		{"not run", "a", "b d", "", verdict{Passed: 1, KnownFailures: 2, Missing: []string{"c"}}},
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
		if ok := c.what == "as listed" || c.what == "not asked for"; got.ok() != ok {
			t.Errorf("%s: ok is %v", c.what, got.ok())
		}
	}
}

func TestExpectedListIsRefusedIfItIsNotOne(t *testing.T) {
	for _, text := range []string{"a", "a maybe", "a fail", "a pass\na fail twice"} {
		if list, err := parseExpected(text); err == nil {
			t.Errorf("%q is taken as %+v", text, list)
		}
	}
}

// TestAcceptedListIsTrue: what -accept writes has the results as listed, and keeps what people wrote.
func TestAcceptedListIsTrue(t *testing.T) {
	list, _ := parseExpected("a pass\nb fail a reason of people\nold pass")
	results := []result{{Test: "a", Why: "timeout\nand more"}, {Test: "b", Why: "machine's words"}, {Test: "new", Passed: true}}
	text := accepted("# head\n", list, results)
	got, err := parseExpected(text)
	if err != nil || !judge(got, results, regexp.MustCompile("^(a|b|new)$")).ok() {
		t.Fatal(err, text)
	}
	for _, want := range []string{"# head\n", "a reason of people", "fail  timeout\n", "old "} {
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
	if err != nil || sc.ok() {
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

// TestFranzGoListNamesItsTests: the list and the tests change together.
func TestFranzGoListNamesItsTests(t *testing.T) {
	list, err := readExpected("franz-go")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, e := range list {
		listed = append(listed, e.test)
	}
	if slices.Sort(listed); !slices.Equal(listed, slices.Sorted(slices.Values(kgoTests))) {
		t.Errorf("%d listed, %d tests", len(listed), len(kgoTests))
	}
}

// TestGoResultsTellTheEndOfEveryTest: also of one that took the process with it.
func TestGoResultsTellTheEndOfEveryTest(t *testing.T) {
	got, err := goResults(strings.NewReader(`{"Action":"start"}
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
	if err != nil || len(got) != 4 {
		t.Fatal(err, got)
	}
	a, b, c, d := got[0], got[1], got[2], got[3]
	if a.Passed || a.Seconds != 2 || !strings.Contains(a.Why, "broken") || !b.Passed || c.Passed || !c.Skipped || d.Passed || !strings.Contains(d.Why, "never ended") {
		t.Errorf("%+v", got)
	}
}
