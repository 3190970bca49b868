package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// readerFiles are the programs that read with one library each. Given LIBRARY ADDRESS ISOLATION FETCH_BYTES SECONDS TOPIC... a program reads
// partition 0 of one topic after the other from its beginning, and prints for every record the topic, the offset and the MD5 of the value or
// "null"; after the record whose value is "the end" the topic and "end", else, when its time is up, "timeout", or "failed" and why.
//
//go:embed readers/reader.go readers/reader.js readers/reader.py
var readerFiles embed.FS

const (
	readerKgo, readerSarama, readerSegment = kgoVersion, "v1.61.1", "v0.4.51"
	readerJS                               = "2.2.4"
	readerPython, readerAio                = "3.0.12", "0.14.0"
)

// readerSuite is the consumers of other people's libraries, which read every shape of answer that a log can make a broker give: see shapes.
type readerSuite struct{ dir string }

func (s *readerSuite) name() string { return "readers" }
func (s *readerSuite) about() string {
	return fmt.Sprintf("kafkajs %s, kafka-go %s, sarama %s, kafka-python %s, aiokafka %s, franz-go %s: every shape of answer", readerJS, readerSegment, readerSarama,
		readerPython, readerAio, readerKgo)
}

func (s *readerSuite) needs() []need {
	return []need{program("go", "https://go.dev/dl"), program("npm", "https://nodejs.org"), program("python3", "https://www.python.org")}
}

func (s *readerSuite) settings() map[string]string {
	return map[string]string{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4", "transaction.state.log.num.partitions": "4",
		"log.cleaner.backoff.ms": "200", "log.retention.check.interval.ms": "1000"}
}

// prepare fetches the libraries into directories of their own.
func (s *readerSuite) prepare(ctx context.Context, dir string) error {
	s.dir = dir
	for _, name := range []string{"reader.go", "reader.js", "reader.py"} {
		b, err := readerFiles.ReadFile("readers/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module suite\n\ngo 1.26.0\n"), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"npm", "install", "--no-audit", "--no-fund", "kafkajs@" + readerJS, "snappyjs@0.7.0", "lz4js@0.2.0", "fzstd@0.1.1"},
		{"python3", "-m", "venv", "python"},
		{"python/bin/pip", "install", "-q", "kafka-python==" + readerPython, "aiokafka==" + readerAio, "cramjam==2.11.0", "python-snappy==0.7.3", "lz4==4.4.5", "zstandard==0.25.0"},
		{"go", "get", "github.com/twmb/franz-go@" + readerKgo, "github.com/IBM/sarama@" + readerSarama, "github.com/segmentio/kafka-go@" + readerSegment},
		{"go", "build", "-tags", "reader", "-o", "reader", "reader.go"},
	} {
		cmd := s.command(ctx, args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, quoteEnd(string(out)))
		}
	}
	return nil
}

func (s *readerSuite) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	return cmd
}

// readerLibraries are the programs by library.
var readerLibraries = map[string][]string{
	"franz-go": {"./reader"}, "sarama": {"./reader"}, "kafka-go": {"./reader"}, "kafkajs": {"node", "reader.js"},
	"kafka-python": {"python/bin/python", "reader.py"}, "aiokafka": {"python/bin/python", "reader.py"},
}

// readerSizes are how much is asked for at once, in bytes: less than most batches have, so that every batch is an answer, and plenty.
var readerSizes = map[string]string{"batch-by-batch": "100", "at-once": "1000000"}

var readerIsolations = []string{"read_uncommitted", "read_committed"}

// readerTest is the name of a test.
func readerTest(shape, library, isolation, size string) string {
	return strings.Join([]string{shape, library, isolation, size}, "/")
}

const readerSeconds = "15" // for one topic

func (s *readerSuite) run(ctx context.Context, t *target, only *regexp.Regexp) (results []result, err error) {
	l, err := newLayer(ctx, t.addr)
	if err != nil {
		return nil, err
	}
	defer l.close()
	for _, shape := range shapes {
		if err := shape.lay(l); err != nil {
			return nil, fmt.Errorf("laying %s: %w", shape.name, err)
		}
	}
	libraries := []string{"franz-go", "sarama", "kafka-go", "kafkajs", "kafka-python", "aiokafka"}
	for _, library := range libraries {
		for _, isolation := range readerIsolations {
			for _, size := range []string{"at-once", "batch-by-batch"} {
				results = append(results, s.read(ctx, l, library, isolation, size, only)...)
			}
		}
	}
	return results, ctx.Err()
}

// read reads all shapes with one library.
func (s *readerSuite) read(ctx context.Context, l *layer, library, isolation, size string, only *regexp.Regexp) (out []result) {
	var topics, names []string
	for _, shape := range shapes {
		if name := readerTest(shape.name, library, isolation, size); only.MatchString(name) {
			topics, names = append(topics, shape.name), append(names, name)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	began := time.Now()
	args := append(slices.Clone(readerLibraries[library]), library, l.addr, isolation, readerSizes[size], readerSeconds)
	cmd := s.command(ctx, append(args, topics...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	printed, err := cmd.Output()
	for i, topic := range topics {
		r := result{Test: names[i], Seconds: time.Since(began).Seconds() / float64(len(topics))}
		r.Why = compareRead(string(printed), topic, l.expected[topic][isolation])
		if r.Passed = r.Why == ""; !r.Passed && err != nil {
			r.Why += "; " + err.Error() + " " + quoteEnd(errs.String())
		}
		out = append(out, r)
	}
	return out
}

// compareRead says how what a program printed of a topic differs from what it should have.
func compareRead(printed, topic string, want []string) string {
	var got []string
	for line := range strings.Lines(printed) {
		if words := strings.TrimSpace(line); strings.HasPrefix(words, topic+" ") {
			got = append(got, words)
		}
	}
	want = append(slices.Clone(want), topic+" end")
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("after %d of %d lines: nothing more", i, len(want))
		case i >= len(want) || got[i] != want[i]:
			return fmt.Sprintf("line %d of %d is %q, want %q", i, len(want), got[i], slices.Concat(want, make([]string, len(got)))[i])
		}
	}
	return ""
}
