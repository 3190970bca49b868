package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/cmd/node"
)

// liveNode is a node in this process, with a listener for everybody and one that wants a login, by which alice gets in with "secret".
type liveNode struct{ open, guarded string }

func newLiveNode(t *testing.T, port int) (liveNode, func(stop bool)) {
	t.Helper()
	l := liveNode{fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)}
	settings, err := brokerSettings("", nil, []string{
		"listeners=PLAINTEXT://" + l.open + ",SASL_PLAINTEXT://" + l.guarded, "log.dirs=" + t.TempDir(), "http.listener=", "group.initial.rebalance.delay.ms=0",
	})
	if err != nil {
		t.Fatal(err)
	}
	var running *node.Node
	start := func(stop bool) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if running != nil {
			if err := running.Stop(ctx); err != nil {
				t.Error(err)
			}
			running = nil
		}
		if stop {
			return
		}
		if running, err = node.Start(ctx, osenv.New(), node.Config{Settings: settings, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
	}
	start(false)
	t.Cleanup(func() { start(true) })
	client, err := kgo.NewClient(kgo.SeedBrokers(l.open))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got, err := kadm.NewClient(client).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "alice", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "secret"}})
	if err != nil || got["alice"].Err != nil {
		t.Fatal(err, got)
	}
	return l, start
}

// within runs a command line that must end in time.
func within(t *testing.T, limit time.Duration, stdin, line string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(ctx, terminal{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: func(string) string { return "" }}, splitWords(line))
	if ctx.Err() != nil {
		t.Errorf("%s: still running after %v: %q", line, limit, errs.String())
	}
	return out.String(), errs.String(), code
}

// speaking are command lines that speak to a broker, one of every kind.
var speaking = []string{
	"produce t", "consume t -e", "consume t -g g", "consume t -g g -e", "peek g", "topic list", "topic describe t", "topic create x", "topic delete x --yes", "topic alter t --set retention.ms=1",
	"group list", "group describe g", "group lag g", "config describe broker/0", "config alter cluster --set log.retention.ms=1", "txn list", "user list",
}

// Whoever is refused is told so at once, by whom and as whom; nothing is guessed about records.
func TestAWrongPasswordIsSaidAtOnce(t *testing.T) {
	l, _ := newLiveNode(t, 20_720)
	for _, line := range speaking {
		_, stderr, code := within(t, 2*time.Second, "a\n", line+" -b "+l.guarded+" --user alice --password wrong")
		if code != exitAuth || !strings.Contains(stderr, `the login of user "alice" by SCRAM-SHA-256`) || strings.Contains(stderr, "written") {
			t.Errorf("%s: exit %d, %q", line, code, stderr)
		}
	}
	for args, want := range map[string]string{
		"topic list -b " + l.guarded:                                                                 "it wants a login",
		"topic list -b " + l.open + " --user alice --password secret":                                "does not want a login",
		"topic list -b " + l.guarded + " --user alice --password secret --sasl-mechanism PLAIN":      "the mechanism is not served",
		"topic list -b " + l.guarded + " --tls":                                                      "no TLS at",
		"produce t -b " + l.guarded + " --user bob --password secret --sasl-mechanism SCRAM-SHA-512": `user "bob" by SCRAM-SHA-512`,
	} {
		if _, stderr, code := within(t, 4*time.Second, "a\n", args); code == 0 || !strings.Contains(stderr, want) || strings.Count(stderr, "troupe: ") != 1 {
			t.Errorf("%s: exit %d, %q", args, code, stderr)
		}
	}
	if _, stderr, code := within(t, 10*time.Second, "", "topic list -b "+l.guarded+" --user alice --password secret"); code != 0 {
		t.Errorf("the right password: exit %d, %q", code, stderr)
	}
}

// A port that is something else's is recognised by every command, also one that says nothing.
func TestOtherPortsAreRecognised(t *testing.T) {
	web, err := net.Listen("tcp", "127.0.0.1:20724")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = server.Serve(web) }()
	defer server.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:20725")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, line := range speaking {
		if _, stderr, code := within(t, 2*time.Second, "a\n", line+" -b 127.0.0.1:20724"); code == 0 || !strings.Contains(stderr, "no Kafka at 127.0.0.1:20724") {
			t.Errorf("%s at a web server: exit %d, %q", line, code, stderr)
		}
		if _, stderr, code := within(t, 2*time.Second, "a\n", line+" -b 127.0.0.1:20725 --timeout 300ms"); code != exitTimeout || !strings.Contains(stderr, "127.0.0.1:20725") {
			t.Errorf("%s at a port that says nothing: exit %d, %q", line, code, stderr)
		}
	}
}

// Every range that has an end ends, whatever the log holds.
func TestRangesWithAnEndEnd(t *testing.T) {
	l, _ := newLiveNode(t, 20_726)
	b := " -b " + l.open
	if _, stderr, code := within(t, 20*time.Second, "", "topic create t -p 1"+b); code != 0 {
		t.Fatal(stderr)
	}
	if _, stderr, code := within(t, 20*time.Second, "a\nb\nc\nd\ne\n", "produce t"+b); code != 0 {
		t.Fatal(stderr)
	}
	for args, want := range map[string]string{
		"-o 1:3": "b c", "-o 100:200 -e": "", "-o 3:200 -e": "d e", "-o :200 -e": "a b c d e", "-o -2 -e": "d e", "-o -2:end": "d e", "-o +1:+2": "b", "-o end -e": "", "--tail=2 -e": "d e",
		"-o 4:2": "", "-o 2:2": "", "-o @-1h:end": "a b c d e", "-o @-1h:1d -e": "a b c d e", "-o @1:2": "", "-o 3: -e": "d e", "-o start:+100 -e": "a b c d e", "-n 2": "a b",
		"-o s@-1h -o e@-1s -e": "", "-g g -e": "a b c d e", "-g h -e -o end": "", "-g i -e --protocol consumer": "a b c d e",
	} {
		stdout, stderr, code := within(t, 20*time.Second, "", "consume t "+args+b)
		if got := strings.Join(strings.Fields(stdout), " "); code != 0 || got != want && args != "-o s@-1h -o e@-1s -e" {
			t.Errorf("%s: exit %d, %q, want %q; %s", args, code, got, want, stderr)
		}
	}
	if stdout, stderr, code := within(t, 20*time.Second, "", "consume t -g g -e --protocol consumer"+b); code != 0 || stdout != "" { // read before
		t.Errorf("exit %d, %q; %s", code, stdout, stderr)
	}
}

// A member of a group goes on when the broker comes back.
func TestAMemberOutlivesARestart(t *testing.T) {
	l, restart := newLiveNode(t, 20_730)
	b := " -b " + l.open
	if _, stderr, code := within(t, 20*time.Second, "", "topic create t -p 1"+b); code != 0 {
		t.Fatal(stderr)
	}
	for _, protocol := range []string{protocolClassic, protocolConsumer} {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		reader, writer := io.Pipe()
		var errs bytes.Buffer
		ended := make(chan int, 1)
		go func() {
			ended <- run(ctx, terminal{in: strings.NewReader(""), out: writer, err: &errs, getenv: func(string) string { return "" }}, splitWords("consume t -g "+protocol+" --protocol "+protocol+b))
			writer.Close()
		}()
		expect := func(text string) {
			t.Helper()
			if _, stderr, code := within(t, 20*time.Second, text+"\n", "produce t"+b); code != 0 {
				t.Fatal(stderr)
			}
			for got := make([]byte, 100); ; {
				n, err := reader.Read(got)
				if err != nil {
					t.Fatalf("%s: it ended, exit %d: %s", protocol, <-ended, errs.String())
				}
				if strings.Contains(string(got[:n]), text) {
					return
				}
			}
		}
		expect("before " + protocol)
		restart(false)
		expect("after " + protocol)
		cancel()
		go func() { _, _ = io.Copy(io.Discard, reader) }()
		if code := <-ended; code != exitInterrupted {
			t.Errorf("%s: exit %d: %s", protocol, code, errs.String())
		}
	}
}

func TestWhatJSONDoesNotSayIsNotGuessed(t *testing.T) {
	fakeCluster(t, 20196, "json")
	for input, want := range map[string]string{
		`{"key":"k","vaule":"x"}`:                 `record 1 of the input: line 1: unknown field "vaule" in a record; did you mean "value"?`,
		`{"key":"k","Value":"x"}`:                 `unknown field "Value" in a record; did you mean "value"?`,
		`{"key":"k","payload":"x"}`:               `unknown field "payload"`,
		`{"value":"x","value":"y"}`:               `a record has the field "value" twice`,
		`{"value":"x","timestamp":"now"}`:         `"timestamp" cannot be a JSON string`,
		`{"value":"x","headers":{"a":"b"}}`:       `headers are a JSON array`,
		`{"value":"x","headers":[{"k":"a"}]}`:     `unknown field "k" in a header; did you mean "key"?`,
		`{"value":"x","headers":[{"key":"a"}]}`:   `the header "a" has no value`,
		`{"value":"x","headers":["a"]}`:           `a header is a JSON object, not text`,
		`null`:                                    "a record is a JSON object, not null",
		"\n{\"value\":\n\"x\"}\n\n{\"valu\":1}":   "record 2 of the input: line 5: unknown field",
		"{\"value\":1}\n{\"value\"\n\"x\"}":       "record 2 of the input: line 3: invalid character",
		`{"key":"k"}`:                             "there is no value",
		`{"value":"x","value_base64":"eA=="}`:     "the value is there twice",
		`{"value_base64":"?"}`:                    "not base64",
		`{"value":"x","partition":"many"}`:        "partition",
		`{"value":"x","headers":[{"key":1}]}`:     "headers",
		`{"value":"a"}` + "\n" + `{"value":"b",}`: "record 2",
		`[{"value":"a"}]`:                         "record 1",
	} {
		if _, stderr, code := within(t, 10*time.Second, input, "produce t -J -b 127.0.0.1:20196"); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q", input, code, stderr)
		}
	}
	if _, stderr, code := within(t, 10*time.Second, `{"key":"k","value":null}`, "produce t -J -b 127.0.0.1:20196"); code != 0 {
		t.Errorf("a tombstone: %q", stderr)
	}
}
