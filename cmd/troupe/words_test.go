package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// find is the command of a path as "troupe topic list"; nil if there is none.
func find(root *cobra.Command, path string) *cobra.Command {
	c := root
	for _, name := range strings.Fields(path)[1:] {
		next := (*cobra.Command)(nil)
		for _, sub := range c.Commands() {
			if sub.Name() == name {
				next = sub
			}
		}
		if c = next; c == nil {
			return nil
		}
	}
	return c
}

// TestOtherToolsWordsNameCommandsThatExist also guards that no word of the table hides a command.
func TestOtherToolsWordsNameCommandsThatExist(t *testing.T) {
	root := (&app{}).command()
	for _, w := range otherCommands {
		under := find(root, w.under)
		if under == nil || find(root, w.here) == nil {
			t.Errorf("%+v: no such command", w)
			continue
		}
		for _, word := range strings.Fields(w.words) {
			if find(root, w.under+" "+word) != nil {
				continue // it has become a command here too
			}
			if _, stderr, code := command(t, "", strings.TrimPrefix(w.under+" "+word+" x", "troupe ")); code != exitUsage && code != 0 || code != 0 && !strings.Contains(stderr, "try: "+w.here) {
				t.Errorf("%s %s: exit %d, %q", w.under, word, code, stderr)
			}
		}
	}
}

// TestWordsThatAFlagDoesNotTakeAreRefused is about every flag that takes one of some words: the broker is never asked.
func TestWordsThatAFlagDoesNotTakeAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		"group list --type foo":                                  "classic|consumer|share|streams",
		"group list --state foo":                                 "Stable",
		"txn list --state foo":                                   "Ongoing",
		"user create a --mechanism foo":                          "SCRAM-SHA-256|SCRAM-SHA-512",
		"user delete a --mechanism foo":                          "SCRAM-SHA-256|SCRAM-SHA-512",
		"produce t -z foo":                                       "none|gzip|snappy|lz4|zstd",
		"produce t --acks 2":                                     "all|leader|none",
		"produce t -o foo":                                       "table|json",
		"consume t --protocol foo -g g":                          "classic|consumer",
		"consume t --output foo":                                 "json",
		"consume t -o foo":                                       "explains offsets",
		"consume t --tail -2":                                    "--tail 10",
		"start --log-level foo":                                  "debug|info|warn|error",
		"topic list --sasl-mechanism foo --user me --password x": "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512",
		"topic list -o foo":                                      "table|json|jsonl|yaml|help",
	} {
		if _, stderr, code := command(t, "", line+" -b 127.0.0.1:1"); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q", line, code, stderr)
		}
	}
}

func TestFlagsOfOtherToolsAreTranslated(t *testing.T) {
	for line, want := range map[string]string{
		"topic --create x":                      "troupe topic create",
		"topic list --bootstrap-server x":       "-b HOST:PORT",
		"consume t --from-beginning":            "consume begins at the start",
		"consume --topic t":                     "the topic is an argument: troupe consume TOPIC...",
		"topic create t --partition 3":          "--partitions",
		"topic create x --replication-factor 3": "--replication N",
		"group --reset-offsets":                 "troupe group seek",
		"group seek g --to-earliest":            "--to earliest",
		"config set topic/t a=b":                "troupe config alter",
		"config show topic/t":                   "troupe config describe",
	} {
		if _, stderr, code := command(t, "", line); code != exitUsage || !strings.Contains(stderr, "try: "+want) && !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q, want %q", line, code, stderr, want)
		}
	}
}

// TestMessagesPointTheRightWay is about names and ports that are not there, and about what is said of a change: each once, and in a dry run
// never that it was made.
func TestMessagesPointTheRightWay(t *testing.T) {
	addr := troupeAt(t, 22740)
	for line, want := range map[string]string{
		"config describe broker/7":                        "no broker 7\n  try: the brokers there are: 1;",
		"config alter broker/7 --set log.retention.ms=1":  "no broker 7\n  try: the brokers there are: 1;",
		"config describe topics/t":                        "try: topic/t",
		"config describe t":                               "try: topic/t or group/t",
		"config describe broker/default":                  "try: cluster",
		"config describe user/a":                          "troupe user list",
		"topic describe 't.*'":                            "with -r",
		"topic alter 't.*' --set retention.ms=1":          "troupe topic list EXPRESSION",
		"topic delete 't.*' --yes":                        "with -r",
		"topic trim 't.*' --to 1":                         "with -r",
		"consume 't.*'":                                   "with -r",
		"group describe 'g.*'":                            "with -r",
		"topic describe -r 'x.*'":                         "no topic matches x.*",
		"topic describe nope1 nope2":                      `no topic "nope2"`,
		"topic alter t --set retention.ms=x":              "INVALID_CONFIG",
		"topic alter nope t --set retention.ms=1 -o json": "nope",
		"topic create t":                                  "TOPIC_ALREADY_EXISTS",
		"consume t --user joe --password x":               "does not want a login",
		"topic list --tls":                                "no TLS at",
	} {
		stdout, stderr, code := execute(t, addr, line)
		if code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q, want %q", line, code, stderr, want)
		}
		if reason, _, _ := strings.Cut(strings.TrimPrefix(stderr, "troupe: "), "\n"); !strings.Contains(line, "json") && strings.Count(stdout+stderr, reason[strings.LastIndex(reason, ": ")+1:]) != 1 {
			t.Errorf("%s says it twice: %q %q", line, stdout, stderr)
		}
	}
	if _, stderr, _ := execute(t, addr, "topic describe nope1 nope2"); !strings.Contains(stderr, "nope1") {
		t.Errorf("nope1 is forgotten: %q", stderr)
	}
	if stdout, stderr, code := execute(t, addr, "topic describe -r t -o jsonl"); code != 0 || !strings.Contains(stdout, `"topic":"t"`) {
		t.Errorf("exit %d, %q %q", code, stdout, stderr)
	}
	if _, stderr, code := (&session{addr: addr}).run("a\n", splitWords("produce t")); code != 0 {
		t.Fatal(stderr)
	}
	if stdout, stderr, code := execute(t, addr, "consume t --tail 2 -e"); code != 0 || stdout != "a\n" {
		t.Errorf("--tail 2: exit %d, %q %q", code, stdout, stderr)
	}
	if stdout, stderr, code := execute(t, addr, "consume t --tail 0 -e"); code != 0 || stdout != "" {
		t.Errorf("--tail 0: exit %d, %q %q", code, stdout, stderr)
	}
	for _, line := range []string{
		"topic alter t --set retention.ms=1", "topic alter t -p 5", "topic create new", "topic delete t", "topic trim t --to end", "config alter cluster --set log.retention.ms=1",
		"group alter g --set consumer.session.timeout.ms=50000", "group seek g --to 0 -t t",
	} {
		stdout, stderr, code := execute(t, addr, line+" --dry-run")
		if code != 0 || !strings.Contains(stdout, "would be ") {
			t.Errorf("%s --dry-run: exit %d, %q %q", line, code, stdout, stderr)
		}
		stdout, _, _ = execute(t, addr, line+" --dry-run -o jsonl")
		if !strings.Contains(stdout, `"dry_run":true`) || strings.Contains(stdout, `"done":`) && !strings.Contains(stdout, `"done":"would be `) {
			t.Errorf("%s --dry-run -o jsonl: %q", line, stdout)
		}
	}
}

// webAt is a web server that is not started.
func webAt(t *testing.T, addr string) *httptest.Server {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &httptest.Server{Listener: listener, Config: &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}}
}

func TestOtherServersAreNamed(t *testing.T) {
	web, secure := webAt(t, "127.0.0.1:22744"), webAt(t, "127.0.0.1:22745")
	web.Start()
	defer web.Close()
	secure.StartTLS()
	defer secure.Close()
	for line, want := range map[string]string{
		"topic list -b " + web.Listener.Addr().String():          "a web server answers\n  try: the port of Kafka's listener",
		"topic list --tls -b " + web.Listener.Addr().String():    "a web server answers\n  try: the port of Kafka's listener",
		"produce t --tls -b " + web.Listener.Addr().String():     "a web server answers",
		"consume t -g g -b " + web.Listener.Addr().String():      "a web server answers",
		"topic list -b " + secure.Listener.Addr().String():       "TLS",
		"topic list --tls -b " + secure.Listener.Addr().String(): "nobody here vouches for",
	} {
		_, stderr, code := within(t, 4*time.Second, "a\n", line)
		if code == 0 || !strings.Contains(stderr, want) || strings.Count(stderr, "troupe: ") != 1 {
			t.Errorf("%s: exit %d, %q, want %q", line, code, stderr, want)
		}
	}
}
