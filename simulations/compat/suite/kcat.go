package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// kcatSuite is kcat, the command-line client on librdkafka that Debian ships, at the jobs people give it.
type kcatSuite struct{}

func (s *kcatSuite) name() string { return "kcat" }
func (s *kcatSuite) about() string {
	out, _ := exec.Command("kcat", "-V").CombinedOutput()
	m := regexp.MustCompile(`Version (\S+) .*librdkafka (\S+)`).FindSubmatch(out)
	if m == nil {
		return "kcat"
	}
	return fmt.Sprintf("kcat %s, librdkafka %s", m[1], m[2])
}
func (s *kcatSuite) needs() []need                                 { return []need{program("kcat", "apt-get install kcat")} }
func (s *kcatSuite) prepare(ctx context.Context, dir string) error { return nil }

// quick is all.
func (s *kcatSuite) quick() *regexp.Regexp { return regexp.MustCompile("") }

func (s *kcatSuite) settings() map[string]string {
	return map[string]string{"group.initial.rebalance.delay.ms": "0", "num.partitions": "4", "offsets.topic.num.partitions": "4",
		"transaction.state.log.num.partitions": "4"}
}

func (s *kcatSuite) run(ctx context.Context, t *target, only *regexp.Regexp) (results []result, err error) {
	k := &kcat{ctx: ctx, addr: t.addr}
	for _, test := range kcatTests {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		if only.MatchString(test.name) {
			results = append(results, timed(test.name, func() error { return test.run(k) }))
		}
	}
	return results, nil
}

// kcat runs the program against one broker.
type kcat struct {
	ctx  context.Context
	addr string
}

// kcatMax is how long one run may take: they move a few thousand records.
const kcatMax = 60 * time.Second

// run runs kcat to its end, with input on its standard input, and returns what it printed on standard output.
func (k *kcat) run(input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(k.ctx, kcatMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", append([]string{"-b", k.addr, "-m", "30"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("no end after %v", kcatMax)
	}
	if err != nil {
		err = fmt.Errorf("kcat %s: %w\n%s", strings.Join(args, " "), err, quoteEnd(errs.String()+out.String()))
	}
	return out.String(), err
}

// consume reads topic from its beginning to its end.
func (k *kcat) consume(topic string, more ...string) (string, error) {
	return k.run("", append([]string{"-C", "-q", "-e", "-t", topic, "-o", "beginning"}, more...)...)
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %05d\n", i)
	}
	return b.String()
}

// sorted are the lines of s in order: partitions are read side by side.
func sorted(s string) string {
	all := strings.SplitAfter(s, "\n")
	slices.Sort(all)
	return strings.Join(all, "")
}

func same(got, want string) error {
	if got != want {
		return fmt.Errorf("%d bytes, want %d; got …%q, want …%q", len(got), len(want), quoteEnd(got), quoteEnd(want))
	}
	return nil
}

type kcatTest struct {
	name string
	run  func(k *kcat) error
}

var kcatTests = []kcatTest{
	{"list", (*kcat).list},
	{"produce/none", codec("none")}, {"produce/gzip", codec("gzip")}, {"produce/snappy", codec("snappy")}, {"produce/lz4", codec("lz4")},
	{"produce/zstd", codec("zstd")}, {"produce/idempotent", codec("zstd", "-X", "enable.idempotence=true")},
	{"produce/acks-0", codec("none", "-X", "acks=0")},
	{"keys-headers-tombstones", (*kcat).envelope},
	{"consume/offsets", (*kcat).offsets}, {"consume/timestamps", (*kcat).timestamps}, {"query", (*kcat).query},
	{"group/stored-offsets", (*kcat).stored}, {"group/two-members", pair("range")}, {"group/two-members-cooperative", pair("cooperative-sticky")},
	{"transaction/commit", (*kcat).commit}, {"transaction/abandoned", (*kcat).abandoned},
}

func (k *kcat) list() error {
	if _, err := k.run("x\n", "-P", "-t", "listed"); err != nil {
		return err
	}
	out, err := k.run("", "-L", "-J")
	if err != nil {
		return err
	}
	var got struct {
		Brokers []struct{ Name string }
		Topics  []struct {
			Topic      string
			Partitions []struct{ Leader int }
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		return err
	}
	if len(got.Brokers) != 1 || got.Brokers[0].Name != k.addr {
		return fmt.Errorf("brokers %+v, want one at %s", got.Brokers, k.addr)
	}
	for _, t := range got.Topics {
		if t.Topic == "listed" && len(t.Partitions) == 4 {
			return nil
		}
	}
	return fmt.Errorf("no topic of 4 partitions in %s", quoteEnd(out))
}

// codec produces and reads back compressed batches.
func codec(name string, more ...string) func(*kcat) error {
	return func(k *kcat) error {
		topic := "codec-" + name + fmt.Sprint(len(more))
		if len(more) > 0 {
			topic += strings.ReplaceAll(more[1], "=", "-")
		}
		want := lines(0, 20000)
		if _, err := k.run(want, append([]string{"-P", "-t", topic, "-z", name}, more...)...); err != nil {
			return err
		}
		out, err := k.consume(topic, "-X", "check.crcs=true")
		if err != nil {
			return err
		}
		return same(sorted(out), want)
	}
}

func (k *kcat) envelope() error {
	if _, err := k.run("a:1\nb:\n", "-P", "-t", "envelope", "-p", "0", "-K", ":", "-Z", "-H", "colour=blue"); err != nil {
		return err
	}
	out, err := k.consume("envelope", "-f", `%p %o %k %S %s %h\n`)
	if err != nil {
		return err
	}
	return same(out, "0 0 a 1 1 colour=blue\n0 1 b -1  colour=blue\n")
}

func (k *kcat) offsets() error {
	if _, err := k.run(lines(0, 100), "-P", "-t", "offsets", "-p", "1"); err != nil {
		return err
	}
	for _, c := range []struct {
		offset   string
		from, to int
	}{{"0", 0, 100}, {"93", 93, 100}, {"-5", 95, 100}, {"beginning", 0, 100}, {"end", 0, 0}} {
		out, err := k.run("", "-C", "-q", "-e", "-t", "offsets", "-p", "1", "-o", c.offset)
		if err == nil {
			err = same(out, lines(c.from, c.to))
		}
		if err != nil {
			return fmt.Errorf("from %s: %w", c.offset, err)
		}
	}
	return nil
}

// middle produces two halves with a gap in time between them, and returns a time in the gap in milliseconds.
func (k *kcat) middle(topic string) (int64, error) {
	if _, err := k.run(lines(0, 10), "-P", "-t", topic, "-p", "0"); err != nil {
		return 0, err
	}
	time.Sleep(20 * time.Millisecond) // two times that a client's clock tells apart are the matter of the test
	gap := time.Now().UnixMilli()
	time.Sleep(20 * time.Millisecond)
	_, err := k.run(lines(10, 20), "-P", "-t", topic, "-p", "0")
	return gap, err
}

func (k *kcat) timestamps() error {
	gap, err := k.middle("timestamps")
	if err != nil {
		return err
	}
	out, err := k.run("", "-C", "-q", "-e", "-t", "timestamps", "-p", "0", "-o", fmt.Sprintf("s@%d", gap))
	if err == nil {
		err = same(out, lines(10, 20))
	}
	if err != nil {
		return fmt.Errorf("from a time: %w", err)
	}
	out, err = k.run("", "-C", "-q", "-e", "-t", "timestamps", "-p", "0", "-o", "s@0", "-o", fmt.Sprintf("e@%d", gap))
	if err == nil {
		err = same(out, lines(0, 10))
	}
	if err != nil {
		return fmt.Errorf("to a time: %w", err)
	}
	return nil
}

func (k *kcat) query() error {
	gap, err := k.middle("query")
	if err != nil {
		return err
	}
	for at, want := range map[int64]string{-1: "query [0] offset 20", -2: "query [0] offset 0", gap: "query [0] offset 10", gap + 1<<40: "query [0] offset -1"} {
		out, err := k.run("", "-Q", "-t", fmt.Sprintf("query:0:%d", at))
		if err == nil {
			err = same(strings.TrimSpace(out), want)
		}
		if err != nil {
			return fmt.Errorf("at %d: %w", at, err)
		}
	}
	return nil
}

// stored: what a member of a group has read is not read again by the next.
func (k *kcat) stored() error {
	if _, err := k.run(lines(0, 50), "-P", "-t", "stored", "-p", "2"); err != nil {
		return err
	}
	for _, c := range []struct {
		count    string
		from, to int
	}{{"20", 0, 20}, {"20", 20, 40}, {"10", 40, 50}} {
		out, err := k.run("", "-q", "-X", "auto.offset.reset=earliest", "-c", c.count, "-G", "readers", "stored")
		if err == nil {
			err = same(out, lines(c.from, c.to))
		}
		if err != nil {
			return fmt.Errorf("lines %d to %d: %w", c.from, c.to, err)
		}
	}
	return nil
}

func (k *kcat) commit() error {
	if _, err := k.run(lines(0, 100), "-P", "-t", "committed", "-X", "transactional.id=kcat-commit"); err != nil {
		return err
	}
	out, err := k.consume("committed", "-X", "isolation.level=read_committed")
	if err != nil {
		return err
	}
	return same(sorted(out), lines(0, 100))
}

// abandoned: the transaction that an interrupted kcat leaves open is aborted by the next producer with its transactional id.
func (k *kcat) abandoned() error {
	m, err := k.start("-P", "-t", "abandoned", "-p", "0", "-X", "transactional.id=kcat-abandoned")
	if err != nil {
		return err
	}
	defer m.stop()
	if _, err := m.in.Write([]byte(lines(0, 5000))); err != nil { // kcat sends what fills its buffer, the rest when its input ends
		return err
	}
	if err := until(func() (bool, error) { // some have come to the log
		out, err := k.run("", "-Q", "-t", "abandoned:0:-1", "-X", "isolation.level=read_uncommitted")
		return err == nil && !strings.HasSuffix(strings.TrimSpace(out), " offset 0"), err
	}); err != nil {
		return fmt.Errorf("writing: %w\n%s", err, m.errs.String())
	}
	m.stop()
	if _, err := k.run("after\n", "-P", "-t", "abandoned", "-p", "0", "-X", "transactional.id=kcat-abandoned"); err != nil {
		return err
	}
	all, err := k.consume("abandoned", "-X", "isolation.level=read_uncommitted")
	if err == nil && !(strings.HasPrefix(all, lines(0, 100)) && strings.HasSuffix(all, "after\n")) {
		err = fmt.Errorf("uncommitted: %d bytes, …%q", len(all), quoteEnd(all))
	}
	if err != nil {
		return err
	}
	out, err := k.consume("abandoned", "-X", "isolation.level=read_committed")
	if err != nil {
		return err
	}
	return same(out, "after\n")
}

// pair: two members of a group come to share its partitions, and between them read every record.
func pair(assignor string) func(*kcat) error {
	return func(k *kcat) error {
		topic, group := "pair-"+assignor, "pair-"+assignor
		if _, err := k.run("first\n", "-P", "-t", topic, "-p", "0"); err != nil {
			return err
		}
		args := []string{"-u", "-X", "auto.offset.reset=earliest", "-X", "partition.assignment.strategy=" + assignor, "-G", group, topic}
		one, err := k.start(args...)
		if err != nil {
			return err
		}
		defer one.stop()
		if err := until(func() (bool, error) { return one.out.String() == "first\n", nil }); err != nil {
			return fmt.Errorf("the first member alone: %w\n%s", err, one.errs.String())
		}
		two, err := k.start(args...)
		if err != nil {
			return err
		}
		defer two.stop()
		if err := until(func() (bool, error) { return strings.Contains(two.errs.String(), topic+" ["), nil }); err != nil {
			return fmt.Errorf("the second member: %w\n%s", err, two.errs.String())
		}
		for p := range 4 {
			if _, err := k.run(lines(100*p, 100*p+100), "-P", "-t", topic, "-p", fmt.Sprint(p)); err != nil {
				return err
			}
		}
		whole := func() string { return sorted(one.out.String() + two.out.String()) }
		if err := until(func() (bool, error) { return len(whole()) >= len("first\n"+lines(0, 400)), nil }); err != nil {
			return fmt.Errorf("the two together: %w: %d and %d bytes", err, len(one.out.String()), len(two.out.String()))
		}
		if len(one.out.String()) <= len("first\n") || two.out.String() == "" {
			return fmt.Errorf("one member reads all: %d and %d bytes", len(one.out.String()), len(two.out.String()))
		}
		return same(whole(), "first\n"+lines(0, 400))
	}
}

// until waits for a condition.
func until(ok func() (bool, error)) error {
	var err error
	for end := time.Now().Add(kcatMax); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var done bool
		if done, err = ok(); done {
			return nil
		}
	}
	return fmt.Errorf("not within %v (%v)", kcatMax, err)
}

// kcatRun is a kcat that goes on until it is told to stop.
type kcatRun struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out, errs shared
}

func (k *kcat) start(args ...string) (*kcatRun, error) {
	r := &kcatRun{cmd: exec.CommandContext(k.ctx, "kcat", append([]string{"-b", k.addr, "-m", "30"}, args...)...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r.in = in
	return r, r.cmd.Start()
}

// stop ends the process as a user would, and by force if it does not end. Stopping what has ended does nothing.
func (r *kcatRun) stop() {
	if r.cmd.ProcessState != nil {
		return
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(10*time.Second, func() { r.cmd.Process.Kill() })
	r.in.Close()
	r.cmd.Wait()
	force.Stop()
}

// shared is a buffer that a process fills while a test reads.
type shared struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}
