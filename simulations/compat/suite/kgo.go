package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const kgoVersion = "v1.22.2"

// kgoSuite is franz-go's own tests of its client, those that need a broker.
type kgoSuite struct {
	dir  string
	door door // where the tests log in; the zero value is none
}

// kgoUser is who logs in there.
const kgoUser, kgoPassword = "franz", "k"

// kgoChaosSuite is those of franz-go's tests that copy records through groups and transactions, count times, while the client breaks
// each of its connections after half a second to one and a half.
type kgoChaosSuite struct {
	kgoSuite
	count int
}

func (s *kgoChaosSuite) name() string { return "franz-go-chaos" }
func (s *kgoChaosSuite) about() string {
	return fmt.Sprintf("franz-go %s, broken connections, %d×", kgoVersion, s.count)
}

func (s *kgoChaosSuite) prepare(ctx context.Context, dir string) error {
	return s.kgoSuite.prepare(ctx, filepath.Join(filepath.Dir(dir), "franz-go"))
}

// kgoChaosTests are those of the package's tests that the project itself runs so.
var kgoChaosTests = strings.Fields(`TestGroupETL TestShareGroupETL TestTxnEtl`)

func (s *kgoChaosSuite) run(ctx context.Context, t *target, only *regexp.Regexp) ([]result, error) {
	results, err := s.test(ctx, t, kgoChaosTests, only, s.count, "KGO_TEST_CHAOS=1")
	return worst(results), err
}

// worst is one result for every test that ran several times: the first that is no pass, or else the last.
func worst(results []result) (out []result) {
	for _, r := range results {
		at := slices.IndexFunc(out, func(o result) bool { return o.Test == r.Test })
		switch {
		case at < 0:
			out = append(out, r)
		case out[at].Passed:
			r.Seconds += out[at].Seconds
			out[at] = r
		default:
			out[at].Seconds += r.Seconds
		}
	}
	return out
}

func (s *kgoSuite) name() string  { return "franz-go" }
func (s *kgoSuite) about() string { return "franz-go " + kgoVersion }
func (s *kgoSuite) needs() []need { return []need{program("go", "https://go.dev/dl")} }

func (s *kgoSuite) settings() map[string]string {
	out := map[string]string{"group.initial.rebalance.delay.ms": "0"}
	maps.Copy(out, s.door.settings)
	return out
}

// prepare makes a module of its own for the tests: what they import on top of the client is no concern of troupe's go.mod.
func (s *kgoSuite) prepare(ctx context.Context, dir string) error {
	s.dir = dir
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module suite\n\ngo 1.26.0\n"), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"get", "github.com/twmb/franz-go@" + kgoVersion}, {"test", "-count=1", "-run", "^$", kgoPackage}} {
		if out, err := s.command(ctx, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, quote(string(out)))
		}
	}
	return nil
}

const kgoPackage = "github.com/twmb/franz-go/pkg/kgo"

func (s *kgoSuite) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	return cmd
}

// kgoTests are those of the package's tests that need a broker.
var kgoTests = strings.Fields(`
TestUnknownGroupOffsetFetchPinned TestPing TestIssue1034 TestSCRAMAuth TestSCRAMAuthBadCredentials TestShareGroup TestIssue325
TestConsumeTopicRetrieval TestConsumeTopicRetrieval_Many TestConsumeRegex TestConsumeRegexShareSkipsInternal Test848RegexBrokerResolves
TestIssue337 TestDirectPartitionPurge TestIssue434 TestAddRemovePartitions TestPauseIssue489 TestPauseIssueOct2023 TestIssue523
TestIssue648 TestIssue810 TestIssue865 TestIssueFetchLargerThanBrokerMaxReadBytes TestPooling TestGroupSimple TestHookPollStart
TestConsumeMaxDecompressBatchBytes TestGroupETL TestClient_Produce TestIssue769 TestIssueProduceBrokerTooOldFailsRecords
TestIssueProduceSyncManualPartitionNegativeDoesNotPanic TestIssue831 TestClient_ProduceLargeMessages TestShareGroupETL
TestShareGroupAckOnClose TestShareGroupOffsetsAdmin TestTxnEtl`)

// kgoSlow are the tests that take ten seconds or more.
var kgoSlow = strings.Fields(`TestIssue337 TestIssue434 TestIssue523 TestGroupETL`)

// quick is all but the slow ones.
func (s *kgoSuite) quick() *regexp.Regexp {
	quick := slices.DeleteFunc(slices.Clone(kgoTests), func(name string) bool { return slices.Contains(kgoSlow, name) })
	return regexp.MustCompile("^(?:" + strings.Join(quick, "|") + ")$")
}

// run runs what fails among others once more without them, as the librdkafka suites do.
func (s *kgoSuite) run(ctx context.Context, t *target, only *regexp.Regexp) ([]result, error) {
	if err := s.door.admit(ctx, t, kgoUser, kgoPassword); err != nil {
		return nil, err
	}
	env := []string{"KGO_TEST_SCRAM_SEEDS=" + s.door.addr, "KGO_TEST_SCRAM=" + kgoUser + ":" + kgoPassword}
	results, err := s.test(ctx, t, kgoTests, only, 1, env...)
	for i, r := range results {
		if err == nil && !r.Passed && !r.Skipped {
			var second []result
			second, err = s.test(ctx, t, kgoTests, regexp.MustCompile("^"+r.Test+"$"), 1, env...)
			results[i] = again(r, second)
		}
	}
	return results, err
}

// kgoTestMax ends a run that does not end; the whole suite takes two minutes on an idle machine.
const kgoTestMax = 15 * time.Minute

// test runs those of tests that only matches, count times.
func (s *kgoSuite) test(ctx context.Context, t *target, tests []string, only *regexp.Regexp, count int, env ...string) ([]result, error) {
	var names []string
	for _, name := range tests {
		if only.MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	cmd := s.command(ctx, "test", fmt.Sprintf("-count=%d", count), fmt.Sprintf("-timeout=%v", time.Duration(count)*kgoTestMax), "-json", "-run", "^("+strings.Join(names, "|")+")$", kgoPackage)
	cmd.Env = append(append(cmd.Env, "KGO_SEEDS="+t.addr, "KGO_TEST_RF=1", "KGO_TEST_RECORDS=50000"), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	results := goResults(out)
	if ended := cmd.Wait(); len(results) == 0 {
		return nil, fmt.Errorf("go test: %v\n%s", ended, quote(errs.String()))
	}
	return results, nil
}

// goResults reads what `go test -json` prints: a result for every test that ended, not for its sub-tests. A test that was running
// when the binary died has failed.
func goResults(r io.Reader) (out []result) {
	output, running := map[string]string{}, map[string]bool{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var e struct {
			Action, Test, Output string
			Elapsed              float64
		}
		if json.Unmarshal(line, &e) != nil || e.Test == "" {
			continue
		}
		top, _, sub := strings.Cut(e.Test, "/")
		switch e.Action {
		case "run":
			running[top] = true
		case "output":
			output[top] += e.Output
			output[top] = output[top][max(0, len(output[top])-2*quoteMax):]
		case "pass", "fail", "skip":
			if !sub {
				delete(running, top)
				out = append(out, goResult(top, e.Action, e.Elapsed, output[top]))
			}
		}
	}
	for _, top := range slices.Sorted(maps.Keys(running)) {
		out = append(out, goResult(top, "fail", 0, output[top]+"\n(it never ended)"))
	}
	return out
}

func goResult(test, action string, seconds float64, output string) result {
	r := result{Test: test, Passed: action == "pass", Skipped: action == "skip", Seconds: seconds}
	if !r.Passed {
		r.Why = action + ": " + output[max(0, len(output)-quoteMax):]
	}
	return r
}
