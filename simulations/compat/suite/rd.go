package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// rdSuite is librdkafka's own tests of its client, those that need a broker, in one of their modes. Each numbered test runs in a
// process of its own: one that crashes, hangs or leaves threads behind says so under its own name and takes no other along.
type rdSuite struct {
	mode rdMode
	jobs int
	jars string // of Apache Kafka, whose command line some tests drive
	dir  string // librdkafka's tests directory, built
}

// rdMode is a way to run the tests.
type rdMode struct {
	name     string
	about    string
	args     []string
	env      []string
	tests    []string
	settings map[string]string
	alone    bool // one after another: the tests break connections and take the time
}

var rdModes = []rdMode{
	{name: "librdkafka", about: "default", args: []string{"-L", "-E"}, tests: rdBrokerTests},
	{name: "librdkafka-idempotent", about: "idempotent producers", args: []string{"-L", "-E", "-P"}, tests: rdBrokerTests},
	{name: "librdkafka-consumer", about: "KIP-848 groups", args: []string{"-L", "-E"}, tests: rdBrokerTests,
		env: []string{"TEST_CONSUMER_GROUP_PROTOCOL=consumer"}},
	{name: "librdkafka-noautocreate", about: "no auto-creation of topics", args: []string{"-L", "-E", "-s", "noautocreate"},
		tests: rdNoAutoCreateTests, settings: map[string]string{"auto.create.topics.enable": "false"}},
	{name: "librdkafka-sockem", about: "broken sockets", tests: rdSockemTests, alone: true},
}

func (s *rdSuite) name() string { return s.mode.name }
func (s *rdSuite) about() string {
	return fmt.Sprintf("librdkafka %s, %s", rdVersion, s.mode.about)
}

// settings: what the tests assume of a broker, as the project's own runs set it.
func (s *rdSuite) settings() map[string]string {
	out := map[string]string{"num.partitions": "4", "group.initial.rebalance.delay.ms": "3000"}
	for k, v := range s.mode.settings {
		out[k] = v
	}
	return out
}

const (
	// rdKafkaVersion is what the tests are told the broker is: the newest that this librdkafka knows.
	rdKafkaVersion = "4.1.0"
	// rdTestMax ends a process that does not end. The longest takes ten minutes on an idle machine.
	rdTestMax = 30 * time.Minute
	// rdParallel is told to the tests, which multiply their time limits by 1 + a third of it.
	rdParallel = "-p6"
)

// rdWork is one process: the tests of one number, or one sub-test of one of them.
type rdWork struct{ number, sub string }

// run runs the numbers of the tests asked for, jobs at a time. What fails among others runs once more alone, so that a loaded machine
// is told from a wrong answer; the result says that it did.
func (s *rdSuite) run(ctx context.Context, t *target, only *regexp.Regexp) ([]result, error) {
	env, err := s.environment(t)
	if err != nil {
		return nil, err
	}
	jobs := s.jobs
	if s.mode.alone {
		jobs = 1
	}
	asked, works := map[string]bool{}, []rdWork{}
	for _, name := range s.mode.tests {
		w := rdWorkOf(name)
		if asked[name] = only.MatchString(name); asked[name] && !slices.Contains(works, w) {
			works = append(works, w)
		}
	}
	slices.SortStableFunc(works, func(a, b rdWork) int { return rdLong(b) - rdLong(a) })
	found := s.together(ctx, env, t.work, works, jobs)
	var results []result
	for _, name := range s.mode.tests {
		if !asked[name] {
			continue
		}
		r := found[name]
		if !r.Passed && !r.Skipped && jobs > 1 && ctx.Err() == nil {
			r = again(r, s.process(ctx, env, t.work, rdWorkOf(name)))
		}
		results = append(results, r)
	}
	return results, ctx.Err()
}

// again is the second result of the test that came to first.
func again(first result, second []result) result {
	for _, r := range second {
		if r.Test == first.Test {
			r.Alone = r.Passed
			r.Seconds += first.Seconds
			return r
		}
	}
	return first
}

func rdWorkOf(name string) rdWork {
	_, sub, _ := strings.Cut(name, "/")
	return rdWork{number: name[:4], sub: sub}
}

// rdLong is 1 for the numbers that take a minute or more: they start first.
func rdLong(w rdWork) int {
	if w.sub == "" && slices.Contains([]string{"0026", "0030", "0033", "0045", "0077", "0081", "0089", "0091", "0103", "0113", "0137"}, w.number) {
		return 1
	}
	return 0
}

func (s *rdSuite) together(ctx context.Context, env []string, dir string, works []rdWork, jobs int) map[string]result {
	var mu sync.Mutex
	var wait sync.WaitGroup
	found, next := map[string]result{}, make(chan rdWork)
	for range jobs {
		wait.Go(func() {
			for w := range next {
				for _, r := range s.process(ctx, env, dir, w) {
					mu.Lock()
					found[r.Test] = r
					mu.Unlock()
				}
			}
		})
	}
	for _, w := range works {
		next <- w
	}
	close(next)
	wait.Wait()
	return found
}

// environment is what every process of the tests gets.
func (s *rdSuite) environment(t *target) ([]string, error) {
	conf := filepath.Join(t.work, "test.conf")
	if err := os.WriteFile(conf, []byte("bootstrap.servers="+t.addr+"\n"), 0o644); err != nil {
		return nil, err
	}
	kafka, err := kafkaCommands(t.work, s.jars)
	if err != nil {
		return nil, err
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "CI=") || strings.HasPrefix(kv, "TEST") })
	env = append(env, "RDKAFKA_TEST_CONF="+conf, "LD_LIBRARY_PATH=../src:../src-cpp", "TEST_KAFKA_VERSION="+rdKafkaVersion,
		"KAFKA_PATH="+kafka, "BROKERS="+t.addr)
	return append(env, s.mode.env...), nil
}

// process runs one number and returns a result for each of the mode's tests that it stands for.
func (s *rdSuite) process(ctx context.Context, env []string, dir string, w rdWork) (results []result) {
	ctx, cancel := context.WithTimeout(ctx, rdTestMax)
	defer cancel()
	// Never -Q, the quick mode: it leaves out most sub-tests and calls what is left passed, even nothing.
	// Through stdbuf, for a runner that ends itself with abort would lose what it has not yet written.
	cmd := exec.CommandContext(ctx, "stdbuf", append([]string{"-oL", "./test-runner", rdParallel}, s.mode.args...)...)
	cmd.Dir, cmd.Env = s.dir, append(slices.Clone(env), "TESTS="+w.number)
	if w.sub != "" {
		cmd.Env = append(cmd.Env, "SUBTESTS=do_test_"+w.sub)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the tests start processes of their own
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	began := time.Now()
	text, err := logged(cmd, filepath.Join(dir, w.number+w.sub+".log"))
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("no end after %v", rdTestMax)
	}
	text = rdPlain(text)
	found := rdSummary(text)
	explained := slices.ContainsFunc(slices.Collect(maps.Values(found)), func(r result) bool { return !r.Passed && !r.Skipped })
	for _, name := range s.mode.tests {
		if rdWorkOf(name) != w {
			continue
		}
		test, _, _ := strings.Cut(name, "/")
		r, ok := found[test]
		r.Test = name
		switch {
		case !ok:
			r.Why = fmt.Sprintf("no result: %v\n%s", err, quoteEnd(text))
			r.Seconds = time.Since(began).Seconds()
		case r.Passed && err != nil && !explained: // all pass, and still: for example threads that did not end with their test
			r.Passed, r.Why = false, fmt.Sprintf("%v after the test passed\n%s", err, quoteEnd(text))
		case r.Passed && w.sub != "" && !strings.Contains(text, "[ do_test_"+w.sub):
			r.Passed, r.Why = false, "no such sub-test ran"
		}
		results = append(results, r)
	}
	return results
}

// logged runs cmd with its output going to a file, which a person can follow, and returns what it says.
func logged(cmd *exec.Cmd, name string) (string, error) {
	out, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	ended := cmd.Run()
	text, err := os.ReadFile(name)
	return string(text), errors.Join(ended, err)
}

func quoteEnd(s string) string { return s[max(0, len(s)-quoteMax):] }

var (
	rdColour = regexp.MustCompile("\x1b" + `\[[0-9;]*m`)
	rdLine   = regexp.MustCompile(`(?m)^\| (\d{4}_\S+) +\| +([A-Z ]+) \| +([0-9.]+)s +\|(.*)$`)
)

func rdPlain(s string) string { return rdColour.ReplaceAllString(s, "") }

// rdSummary reads the table at the end of a run. A state other than PASSED and SKIPPED is a failure.
func rdSummary(out string) map[string]result {
	found := map[string]result{}
	for _, m := range rdLine.FindAllStringSubmatch(rdPlain(out), -1) {
		seconds, _ := strconv.ParseFloat(m[3], 64)
		r := result{Test: m[1], Passed: m[2] == "PASSED", Skipped: m[2] == "SKIPPED", Seconds: seconds}
		if !r.Passed {
			r.Why = strings.TrimSpace(strings.ToLower(m[2]) + ": " + strings.TrimSpace(m[4]))
		}
		found[r.Test] = r
	}
	return found
}

// kafkaCommands makes the bin directory of a Kafka distribution, as far as the tests use it.
func kafkaCommands(dir, jars string) (string, error) {
	bin := filepath.Join(dir, "kafka", "bin")
	err := os.MkdirAll(bin, 0o755)
	for name, class := range map[string]string{"kafka-topics.sh": inTools + "TopicCommand", "kafka-acls.sh": inTools + "AclCommand", "kafka-run-class.sh": ""} {
		script := fmt.Sprintf("#!/bin/sh\nexec java %s -XX:+UseSerialGC %s %s -cp \"$CLASSPATH:%s/*\" %s \"$@\"\n", smallJava, quickStart, quietJava, jars, class)
		err = errors.Join(err, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755))
	}
	if link := filepath.Join(dir, "kafka", "libs"); err == nil {
		os.Remove(link)
		err = os.Symlink(jars, link)
	}
	return filepath.Dir(bin), err
}
