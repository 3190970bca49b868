package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestSettingsAreFoundByWords(t *testing.T) {
	h := home{}
	var out string
	for line, wants := range map[string][]string{
		"retention":                   {"retention.ms", "log.retention.bytes", "offsets.retention.minutes"},
		"RETENTION bytes":             {"retention.bytes"},
		"tombstone":                   {"delete.retention.ms"},
		"retention.ms":                {"setting of a topic", "falls back to"},
		"consumer.session.timeout.ms": {"setting of a group"},
	} {
		out = h.must(t, "config docs "+line)
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", line, want, out)
			}
		}
	}
	if strings.Contains(h.must(t, "config docs retention bytes"), "retention.ms  ") {
		t.Error("a setting without one of the words was found")
	}
	h.refuses(t, "config docs retenton.ms", "did you mean retention.ms?")
	h.refuses(t, "config docs zzzz", `no setting "zzzz"`)
	if strings.Contains(h.must(t, "config docs retention"), "\x1b") {
		t.Error("colours without a terminal")
	}
}

func TestWhatWasFoundIsMarkedOnATerminal(t *testing.T) {
	env := home{}
	screen := func() string {
		var out bytes.Buffer
		run(t.Context(), terminal{in: strings.NewReader(""), out: &out, err: &out, outTTY: true, getenv: env.get}, []string{"config", "docs", "retention"})
		return out.String()
	}
	coloured := screen()
	env["NO_COLOR"] = "1"
	plain := screen()
	if !strings.Contains(coloured, highlightOn+"retention"+highlightOff) || strings.NewReplacer(highlightOn, "", highlightOff, "").Replace(coloured) != plain {
		t.Errorf("%q", coloured)
	}
}

func TestExcerptsAreWholeWords(t *testing.T) {
	d := settingDoc{Doc: "Über " + strings.Repeat("lorem ipsum ", 9) + "the needle " + strings.Repeat("dolor sit ", 9), found: []string{"Needle"}}
	if got := d.excerpt(); !utf8.ValidString(got) || !strings.Contains(got, "the needle dolor") || !strings.HasPrefix(got, "…ipsum ") && !strings.HasPrefix(got, "…lorem ") || !strings.HasSuffix(got, "…") {
		t.Errorf("%q", got)
	}
	if got := (settingDoc{Doc: "short", found: []string{"short"}}).excerpt(); got != "short" {
		t.Errorf("%q", got)
	}
}

func TestValuesAreCompleted(t *testing.T) {
	fakeCluster(t, 23070, "completion", kfake.SeedTopics(1, "orders", "payments"))
	dir := t.TempDir()
	h := home{"TROUPE_BROKERS": "127.0.0.1:23070", "XDG_CONFIG_HOME": dir}
	h.must(t, "profile create prod -b 127.0.0.1:23070")
	h.must(t, "group seek billing --to 0 --topic orders")
	for line, want := range map[string]string{
		"topic describe ''":                          "orders payments t",
		"topic trim ''":                              "orders payments t",
		"produce o":                                  "orders payments t", // the shell chooses
		"group seek ''":                              "billing",
		"group seek x --like ''":                     "billing",
		"topic alter t --set cleanup.p":              "cleanup.policy=",
		"topic alter t --set cleanup.policy=":        "cleanup.policy=compact cleanup.policy=delete",
		"topic create t -c message.timestamp.type=L": "message.timestamp.type=LogAppendTime",
		"topic alter t --set preallocate=t":          "preallocate=true",
		"topic list -o j":                            "json jsonl",
		"produce t --acks ''":                        "all leader none",
		"produce t -z s":                             "snappy",
		"topic offsets t --at m":                     "max-timestamp",
		"topic list --profile p":                     "prod",
		"topic list -X ssl.key":                      "ssl.keystore.location= ssl.key.location= ssl.keystore.certificate.chain= ssl.keystore.key= ssl.key.pem= ssl.keystore.type=",
		"topic list --sasl-mechanism P":              "PLAIN",
		"profile use ''":                             "prod",
		"cluster logdirs --by t":                     "topic",
	} {
		out, errs, code := h.run("__complete " + line)
		words, _, _ := strings.Cut(out, ":")
		if got := strings.Join(strings.Fields(words), " "); code != 0 || got != want {
			t.Errorf("%s: exit %d: got %q, want %q\n%s", line, code, got, want, errs)
		}
	}
}

// TestCompletionIsSilentAndShort guards that the tab key never waits for a broker that is not there, or says nothing.
func TestCompletionIsSilentAndShort(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:23072")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	dir := t.TempDir()
	for _, env := range []home{
		{"TROUPE_BROKERS": "127.0.0.1:23072"}, {"TROUPE_BROKERS": "127.0.0.1:23073"}, {"TROUPE_BROKERS": "bad://x"}, {"TROUPE_PROFILE": "nosuch", "HOME": dir},
	} {
		for _, line := range []string{"topic describe ''", "group describe ''", "txn describe ''", "config describe ''", "consume -g ''", "topic describe --user alice ''"} {
			began := time.Now()
			out, errs, code := env.run("__complete " + line)
			if took := time.Since(began); code != 0 || took > 3*completionBudget || !strings.HasPrefix(out, ":") && out != "cluster\n:4\n" || strings.Contains(errs, "troupe:") {
				t.Errorf("%v %s: exit %d after %s: %q %q", env, line, code, took, out, errs)
			}
		}
	}
}
