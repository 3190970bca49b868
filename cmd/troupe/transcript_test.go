package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/troupe-broker/troupe/actors/actortest"
)

// TestTranscripts runs every session in testdata/*.txt against a Kafka of its own. A session is a shell transcript:
//
//	# a comment
//	$ troupe topic list | troupe produce x
//	what it prints on standard output
//	2> what it prints on standard error
//	[3]                        its exit code, if not 0
//
// An empty line of output is shown as "|". A line `< text` before a command is a line of its standard input. Commands in a pipe run one after the other.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for i, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			checkTranscript(t, name, 20100+i)
		})
	}
}

func checkTranscript(t *testing.T, name string, port int) {
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DefaultNumPartitions(1), kfake.ClusterID("transcript"), kfake.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	s := &session{addr: fmt.Sprintf("127.0.0.1:%d", port)}
	var got bytes.Buffer
	for _, line := range strings.SplitAfter(string(want), "\n") {
		switch {
		case strings.HasPrefix(line, "#"), strings.TrimSpace(line) == "":
			got.WriteString(line)
		case strings.HasPrefix(line, "< "):
			got.WriteString(line)
			s.stdin.WriteString(strings.TrimPrefix(line, "< "))
		case strings.HasPrefix(line, "$ "):
			got.WriteString(line)
			got.WriteString(s.execute(strings.TrimSpace(strings.TrimPrefix(line, "$ "))))
		}
	}
	actortest.Golden(t, name, got.String())
}

// session runs the commands of one transcript.
type session struct {
	addr  string
	stdin bytes.Buffer
}

// execute runs a pipe of commands and returns their output as the transcript shows it.
func (s *session) execute(line string) string {
	in := s.stdin.String()
	s.stdin.Reset()
	var out string
	for _, command := range strings.Split(line, " | ") {
		args := splitWords(command)
		stdout, stderr, code := s.run(in, args[1:])
		in = stdout
		out += prefixed("2> ", stderr)
		if code != 0 {
			out += fmt.Sprintf("[%d]\n", code)
		}
	}
	return s.stable(strings.TrimSuffix(emptyLine.ReplaceAllString(in+out, "|"), "|"))
}

func (s *session) run(stdin string, args []string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	env := func(key string) string {
		if key == "TROUPE_BROKERS" {
			return s.addr
		}
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	code = run(ctx, terminal{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: env, clock: noon}, args)
	return out.String(), errs.String(), code
}

// noon is the time of every transcript.
func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

var emptyLine = regexp.MustCompile(`(?m)^$`)

// changing is what differs from run to run.
var changing = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`in \d+\.\d\d s`), "in T s"},
	{regexp.MustCompile(`(\bid"?:?\s*"?)[0-9A-Za-z_-]{22}`), "${1}TOPIC-ID"},
	{regexp.MustCompile(`"seconds": ?[0-9.e-]+`), `"seconds": T`},
	{regexp.MustCompile(`\d+(\.\d+)? ms`), "T ms"},
	{regexp.MustCompile(`troupe-[0-9a-f]{32}`), "MEMBER"},
}

func (s *session) stable(out string) string {
	out = strings.ReplaceAll(out, s.addr, "BROKER")
	for _, c := range changing {
		out = c.re.ReplaceAllString(out, c.by)
	}
	return out
}

func prefixed(prefix, text string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		if line != "" {
			b.WriteString(prefix + line)
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		b.WriteByte('\n')
	}
	return b.String()
}

// splitWords is a shell's word splitting, with single quotes.
func splitWords(line string) (words []string) {
	var word strings.Builder
	quoted, started := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, started = !quoted, true
		case r == ' ' && !quoted:
			if started {
				words = append(words, word.String())
				word.Reset()
			}
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words
}
