package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// joinGroup makes a member of group g that has read and committed the one record of topic t. It leaves when the test ends.
func joinGroup(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.InstanceID("static-1"), kgo.ClientID("reader"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("first")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := cl.CommitRecords(ctx, cl.PollFetches(ctx).Records()...); err != nil {
		t.Fatal(err)
	}
	return cl
}

// eachBroker runs test against the fake cluster and against troupe itself, each with topic t of two partitions.
func eachBroker(t *testing.T, port int, test func(t *testing.T, addr string)) {
	t.Run("kfake", func(t *testing.T) {
		fakeCluster(t, port, "fake")
		test(t, "127.0.0.1:"+decimal(port))
	})
	t.Run("troupe", func(t *testing.T) { test(t, troupeAt(t, port+1)) })
}

// troupeAt is the address of a broker of our own with topic t of two partitions, until the test ends.
func troupeAt(t *testing.T, port int) string {
	t.Helper()
	addr := "127.0.0.1:" + decimal(port)
	s, _ := startServer(t, "start", "--set", "listeners=PLAINTEXT://"+addr, "--set", "log.dirs="+t.TempDir(), "--set", "http.listener=",
		"--set", "group.initial.rebalance.delay.ms=0", "--set", "offsets.topic.num.partitions=2", "--set", "transaction.state.log.num.partitions=2")
	s.waitFor(t, "ready")
	if _, errs, code := execute(t, addr, "topic create t -p 2"); code != 0 {
		t.Fatal(errs)
	}
	return addr
}

// execute runs a command line against addr.
func execute(t *testing.T, addr, line string) (stdout, stderr string, code int) {
	t.Helper()
	return (&session{addr: addr}).run("", splitWords(line))
}

func groupHasItsMember(t *testing.T, addr, kind, assignor string) {
	t.Helper()
	var views []struct {
		Type, State, Assignor string
		Members               []memberRow
		Offsets               []position
	}
	out, errs, code := execute(t, addr, "group describe g -o json")
	if err := json.Unmarshal([]byte(out), &views); err != nil || code != 0 || len(views) != 1 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	g := views[0]
	if g.Type != kind || g.State != "Stable" || g.Assignor != assignor || len(g.Members) != 1 || len(g.Offsets) != 2 {
		t.Fatalf("%+v", g)
	}
	m := g.Members[0]
	if m.Client != "reader" || m.Instance != "static-1" || m.Type != kind || showParts(m.Assigned) != "t:0,1" || strings.Join(m.Subscribed, " ") != "t" {
		t.Errorf("%+v", m)
	}
	for _, p := range g.Offsets {
		if p.Member != m.Member {
			t.Errorf("partition %d has member %q", p.Partition, p.Member)
		}
		if behind := p.End == 1 && (p.Committed == nil || *p.Committed != 1 || *p.Lag != 0); behind {
			t.Errorf("%+v", p)
		}
	}
}

func TestGroupOfEitherGenerationIsDescribed(t *testing.T) {
	t.Run("classic", func(t *testing.T) {
		eachBroker(t, 20230, func(t *testing.T, addr string) {
			joinGroup(t, addr, kgo.Balancers(kgo.RangeBalancer()))
			groupHasItsMember(t, addr, "classic", "range")
		})
	})
	t.Run("consumer", func(t *testing.T) {
		eachBroker(t, 20232, func(t *testing.T, addr string) {
			joinGroup(t, addr, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
			groupHasItsMember(t, addr, "consumer", "uniform")
		})
	})
}

func TestGroupInUseIsNotMoved(t *testing.T) {
	eachBroker(t, 20234, func(t *testing.T, addr string) {
		joinGroup(t, addr)
		for _, line := range []string{"group seek g --to earliest", "group seek g --to earliest --dry-run", "group delete g --yes", "group delete g --topic t --yes"} {
			out, errs, code := execute(t, addr, line)
			if code != 1 || !strings.Contains(errs, "troupe group members") {
				t.Errorf("%s: exit %d\n%s%s", line, code, out, errs)
			}
		}
		out, _, _ := execute(t, addr, "group export g -o csv")
		if !strings.HasSuffix(out, ",1\n") {
			t.Errorf("the group has moved: %s", out)
		}
	})
}

// TestInterruptedMemberCommitsAndLeaves stands for Ctrl-C: what was printed is committed, and the group is empty at once.
func TestInterruptedMemberCommitsAndLeaves(t *testing.T) {
	for i, protocol := range []string{protocolClassic, protocolConsumer} {
		t.Run(protocol, func(t *testing.T) {
			eachBroker(t, 20236+2*i, func(t *testing.T, addr string) { interruptMember(t, addr, protocol) })
		})
	}
}

func interruptMember(t *testing.T, addr, protocol string) {
	if _, errs, code := (&session{addr: addr}).run("one\n", splitWords("produce t -p 0 -q")); code != 0 {
		t.Fatal(errs)
	}
	ctx, interrupt := context.WithTimeout(context.Background(), 20*time.Second)
	defer interrupt()
	shell := terminal{in: strings.NewReader(""), out: writerFunc(func(p []byte) { interrupt() }), err: new(bytes.Buffer), getenv: func(string) string { return "" }}
	if code := run(ctx, shell, splitWords("consume t -g g -b "+addr+" --protocol "+protocol)); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, shell.err)
	}
	out, errs, _ := execute(t, addr, "group describe g -o json")
	var views []struct {
		State   string
		Members []memberRow
		Offsets []position
	}
	if err := json.Unmarshal([]byte(out), &views); err != nil {
		t.Fatal(err, errs)
	}
	g := views[0]
	if g.State != "Empty" || len(g.Members) != 0 || len(g.Offsets) != 1 || g.Offsets[0].Committed == nil || *g.Offsets[0].Committed != 1 {
		t.Errorf("%s", out)
	}
}

// writerFunc is a standard output that tells when something was written.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestConsumeSaysThatABrokerKnowsNoConsumerProtocol(t *testing.T) {
	const addr = "127.0.0.1:20165"
	fakeCluster(t, 20165, "old", kfakeBefore4())
	_, errs, code := execute(t, addr, "consume t -g g --protocol consumer")
	if code != exitFailed || !strings.Contains(errs, "KIP-848") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestLagIsShownAgainUntilInterrupted(t *testing.T) {
	const addr = "127.0.0.1:20166"
	fakeCluster(t, 20166, "watch")
	ctx, interrupt := context.WithTimeout(context.Background(), 20*time.Second)
	defer interrupt()
	shown := 0
	shell := terminal{in: strings.NewReader(""), out: writerFunc(func(p []byte) {
		if shown++; shown == 3 {
			interrupt()
		}
	}), err: new(bytes.Buffer), getenv: func(string) string { return "" }}
	if code := run(ctx, shell, splitWords("group lag --watch=10ms -b "+addr)); code != exitInterrupted || shown < 3 {
		t.Errorf("exit %d after %d: %s", code, shown, shell.err)
	}
}

func TestParseTarget(t *testing.T) {
	now := noon()
	for s, want := range map[string]seekTarget{
		"earliest":   {bound: bound{kind: boundStart}},
		"end":        {bound: bound{kind: boundEnd}},
		"0":          {bound: bound{kind: boundOffset}},
		"42":         {bound: bound{kind: boundOffset, n: 42}},
		"+1":         {bound: bound{n: 1}, shift: true},
		"-5":         {bound: bound{n: -5}, shift: true},
		"-1h":        {bound: bound{kind: boundTime, at: now.Add(-time.Hour)}},
		"2d":         {bound: bound{kind: boundTime, at: now.Add(-48 * time.Hour)}},
		"2026-05-01": {bound: bound{kind: boundTime, at: now.Add(-12 * time.Hour)}},
	} {
		got, err := parseTarget(s, now)
		if err != nil || got.kind != want.kind || got.n != want.n || got.shift != want.shift || !got.at.Equal(want.at) {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "+", "-", "+1h", "1x", "@", "later", "99999999999999999999", "--1"} {
		if got, err := parseTarget(s, now); err == nil {
			t.Errorf("%q is taken as %+v", s, got)
		}
	}
}

func FuzzParseExported(f *testing.F) {
	for _, s := range []string{"g,t,0,1", "t,0,1\nt,1,2", `[{"group":"g","topic":"t","partition":0,"offset":1}]`, `{"group":"g","topic":"t","offset":1}` + "\n" + `{}`, "\"", "a,b,c,d,e", "[", "{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, err := parseExported(raw, "")
		for _, r := range rows {
			if err != nil || r.Group == "" || r.Topic == "" || r.Partition < 0 || r.Offset < 0 {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	})
}

// TestGroupHasSettings changes them by one command and sees them in two.
func TestGroupHasSettings(t *testing.T) {
	eachBroker(t, 20246, func(t *testing.T, addr string) {
		joinGroup(t, addr, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
		for _, step := range []struct {
			line, says string
			code       int
		}{
			{"group describe g", "coordinator", 0},
			{"group alter g -c consumer.session.timeout.ms=50000 --dry-run", "would be altered: set consumer.session.timeout.ms=50000", 0},
			{"group alter g -c consumer.session.timeout.ms=50000", "altered: set consumer.session.timeout.ms=50000", 0},
			{"group describe g", "consumer.session.timeout.ms  50000  (group)", 0},
			{"config describe group/g", "consumer.session.timeout.ms  50000  group", 0},
			{"config alter group/g --unset consumer.session.timeout.ms", "altered: unset consumer.session.timeout.ms", 0},
			{"group alter g -c no.such.setting=1", "INVALID_CONFIG", 1},
		} {
			out, errs, code := execute(t, addr, step.line)
			if code != step.code || !strings.Contains(out+errs, step.says) {
				t.Errorf("%s: exit %d\n%s%s", step.line, code, out, errs)
			}
		}
		if out, _, _ := execute(t, addr, "group describe g"); strings.Contains(out, "(group)") {
			t.Errorf("the setting is still there:\n%s", out)
		}
	})
}
