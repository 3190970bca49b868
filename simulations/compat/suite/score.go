package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// score is what one suite came to.
type score struct {
	Suite   string   `json:"suite"`
	About   string   `json:"about"`
	Against string   `json:"against"`
	Took    float64  `json:"seconds"`
	Verdict verdict  `json:"verdict"`
	Results []result `json:"results"`
	Trouble []string `json:"trouble,omitempty"` // why the suite could not run, or not whole
}

func (s score) ok() bool { return s.Verdict.ok() && len(s.Trouble) == 0 }

// markdown is the table of all scores, and below it what is not as listed.
func markdown(scores []score) string {
	var b strings.Builder
	b.WriteString("| suite | version | against | tests | passed | known failures | not as listed | time |\n|---|---|---|--:|--:|--:|--:|--:|\n")
	for _, s := range scores {
		v := s.Verdict
		odd := len(v.Regressions) + len(v.Unexpected) + len(v.Unlisted) + len(v.Missing)
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %d | %s |\n", s.Suite, s.About, s.Against, len(s.Results), v.Passed, v.KnownFailures, odd,
			(time.Duration(s.Took) * time.Second).String())
	}
	for _, s := range scores {
		for _, list := range []struct {
			what  string
			names []string
		}{
			{"REGRESSION: listed as passing, fails", s.Verdict.Regressions}, {"UNEXPECTED PASS: listed as failing, passes", s.Verdict.Unexpected},
			{"NOT LISTED", s.Verdict.Unlisted}, {"LISTED BUT NOT RUN", s.Verdict.Missing}, {"COULD NOT RUN", s.Trouble},
		} {
			if len(list.names) > 0 {
				fmt.Fprintf(&b, "\n%s: %s: %s\n", s.Suite, list.what, strings.Join(list.names, ", "))
			}
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
