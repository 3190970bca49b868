package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// javaSuite is Apache Kafka's own command-line tools, each doing its job against the broker and having its output checked.
type javaSuite struct{ jars string }

func (s *javaSuite) name() string  { return "java" }
func (s *javaSuite) about() string { return "Apache Kafka " + process.KafkaVersion + "'s tools" }

func (s *javaSuite) needs() []need {
	needs := []need{{what: "java 17 or later", get: "apt-get install openjdk-17-jre-headless", check: java17}}
	if s.jars == "" {
		needs = append(needs, program("mvn", "apt-get install maven, or give the jars with -kafka DIR"))
	}
	return needs
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

func java17() error {
	out, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return err
	}
	m := javaVersion.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("no version in %q", out)
	}
	if n, _ := strconv.Atoi(string(m[1])); n < 17 {
		return fmt.Errorf("java is version %d", n)
	}
	return nil
}

// settings: groups form at once, and segments are small so that the tools' few megabytes fill several.
func (s *javaSuite) settings() map[string]string {
	return map[string]string{
		"group.initial.rebalance.delay.ms": "0", "log.segment.bytes": "1048576", "offsets.topic.num.partitions": "4",
		"transaction.state.log.num.partitions": "4",
	}
}

func (s *javaSuite) prepare(ctx context.Context, dir string) (err error) {
	s.jars, err = process.KafkaJars(ctx, s.jars, dir)
	return err
}

func (s *javaSuite) run(ctx context.Context, t *target, only *regexp.Regexp) (results []result, err error) {
	j := &tools{ctx: ctx, jars: s.jars, target: t}
	run := map[string]bool{}
	for _, test := range slices.Backward(javaTests) { // what a test builds on comes before it
		if run[test.name] = run[test.name] || only.MatchString(test.name); run[test.name] {
			for _, before := range test.after {
				run[before] = true
			}
		}
	}
	for _, test := range javaTests {
		if !run[test.name] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return results, err
		}
		r := timed(test.name, func() error { return test.run(j) })
		if only.MatchString(test.name) {
			results = append(results, r)
		}
	}
	return results, nil
}

// tools runs the tools of one suite against one broker.
type tools struct {
	ctx    context.Context
	jars   string
	target *target
	stdin  string              // for the next tool
	dirs   map[string][]string // directories of the partitions of each topic, once findFiles has looked
}

const (
	// toolTimeout is how long a tool may take: they start in about two seconds and move a few thousand records.
	toolTimeout = 90 * time.Second
	// quoteMax bounds what a failure quotes of a tool's output.
	quoteMax = 600
)

const (
	inTools    = "org.apache.kafka.tools."
	bootstrap  = "--bootstrap-server"
	quietJava  = "-Dlog4j2.level=ERROR"
	smallJava  = "-Xmx512m"
	quickStart = "-XX:TieredStopAtLevel=1"
)

// run runs a class of Kafka's to its end and returns what it printed on standard output. An exit code other than 0 is an error.
func (j *tools) run(class string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(j.ctx, toolTimeout)
	defer cancel()
	if !strings.Contains(class, "kafka.") {
		class = inTools + class
	}
	cmd := exec.CommandContext(ctx, "java", append([]string{smallJava, "-XX:+UseSerialGC", quickStart, quietJava, "-cp", j.jars + "/*", class}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(j.stdin), &out, &errs
	j.stdin = ""
	err := cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("no end after %v", toolTimeout)
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", class[strings.LastIndex(class, ".")+1:], strings.Join(args, " "), err, quote(errs.String()+out.String()))
	}
	return out.String(), err
}

// broker is run with the flag that names the broker.
func (j *tools) broker(class string, args ...string) (string, error) {
	return j.run(class, append([]string{bootstrap, j.target.addr}, args...)...)
}

// see runs a tool that must print every one of wants.
func (j *tools) see(wants []string, class string, args ...string) error {
	out, err := j.broker(class, args...)
	if err == nil {
		err = contains(out, wants...)
	}
	return err
}

// create makes a topic with so many partitions.
func (j *tools) create(topic string, partitions int) error {
	_, err := j.broker("TopicCommand", "--create", "--topic", topic, "--partitions", strconv.Itoa(partitions), "--replication-factor", "1")
	return err
}

// produce sends lines to a topic with the console producer.
func (j *tools) produce(topic string, lines ...string) error {
	j.stdin = strings.Join(lines, "\n") + "\n"
	_, err := j.broker("ConsoleProducer", "--topic", topic)
	return err
}

// contains tells which of wants is not in out.
func contains(out string, wants ...string) error {
	for _, w := range wants {
		if !strings.Contains(out, w) {
			return fmt.Errorf("no %q in the output:\n%s", w, quote(out))
		}
	}
	return nil
}

// quote is the part of a tool's output that tells most: from the first exception on, or else the end.
func quote(s string) string {
	s = strings.TrimSpace(s)
	if at := strings.Index(s, "Exception"); at >= 0 {
		s = s[strings.LastIndexByte(s[:at], '\n')+1:]
		return s[:min(len(s), quoteMax)]
	}
	return s[max(0, len(s)-quoteMax):]
}

// numbered are n lines that differ.
func numbered(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("line %05d", i))
	}
	return out
}
