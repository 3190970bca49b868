package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// score is what one suite came to.
type score struct {
	Suite   string   `json:"suite"`
	About   string   `json:"about"`
	Against string   `json:"against"`
	Took    float64  `json:"seconds"`
	Verdict verdict  `json:"verdict"`
	Kafka   int      `json:"kafka_passes"` // of the same tests, by the expected list
	Reasons []reason `json:"reasons,omitempty"`
	Results []result `json:"results"`
	Lacks   bool     `json:"lacks,omitempty"`   // what it needs of the machine, so that nothing ran
	Trouble []string `json:"trouble,omitempty"` // why the suite could not run, or not whole
}

// reason is why a test that is listed does not pass, or not always.
type reason struct {
	Test string `json:"test"`
	Why  string `json:"why"`
}

// reasons are those of the tests that ran and did not pass.
func reasons(list []expectation, results []result) (out []reason) {
	for _, r := range results {
		for _, e := range list {
			if e.test == r.Test && !r.Passed && e.reason != "" {
				out = append(out, reason{e.test, e.reason})
			}
		}
	}
	return out
}

// alone are the tests that passed only when nothing ran beside them.
func (s score) alone() (out []string) {
	for _, r := range s.Results {
		if r.Alone {
			out = append(out, r.Test)
		}
	}
	return out
}

func (s score) ok() bool { return s.Verdict.ok() && len(s.Trouble) == 0 }

// markdown is the table of all scores, and below it what is not as listed.
func markdown(scores []score) string {
	var b strings.Builder
	b.WriteString("| suite | version | against | tests | passed | Apache Kafka " + process.KafkaVersion + " passes | known failures | not as listed | time |\n" +
		"|---|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range scores {
		v := s.Verdict
		odd := len(v.Regressions) + len(v.Unexpected) + len(v.Unlisted) + len(v.Missing)
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %d | %d | %s |\n", s.Suite, s.About, s.Against, len(s.Results), v.Passed, s.Kafka, v.KnownFailures, odd,
			(time.Duration(s.Took) * time.Second).String())
	}
	for _, s := range scores {
		for _, list := range []struct {
			what  string
			names []string
		}{
			{"REGRESSION: listed as passing, fails", s.Verdict.Regressions}, {"UNEXPECTED PASS: listed as failing, passes", s.Verdict.Unexpected},
			{"NOT LISTED", s.Verdict.Unlisted}, {"LISTED BUT NOT RUN", s.Verdict.Missing}, {"COULD NOT RUN", s.Trouble},
			{"passed only alone", s.alone()},
		} {
			if len(list.names) > 0 {
				fmt.Fprintf(&b, "\n%s: %s: %s\n", s.Suite, list.what, strings.Join(list.names, ", "))
			}
		}
	}
	head := "\n| suite | does not pass | because |\n|---|---|---|\n"
	for _, s := range scores {
		for _, r := range s.Reasons {
			fmt.Fprintf(&b, "%s| %s | %s | %s |\n", head, s.Suite, r.Test, r.Why)
			head = ""
		}
	}
	return b.String()
}

// write puts the scores into dir as score.md and score.json.
func write(dir string, scores []score) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(scores, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "score.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "score.md"), []byte(markdown(scores)), 0o644)
}
