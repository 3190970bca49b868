package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestWhatTerminalsObeyIsShownAndNotDone(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"orders", "orders"}, {"Bestellungen für 日本 😀", "Bestellungen für 日本 😀"}, {`a\b`, `a\b`}, {"", ""},
		{"evil\x1b]0;PWNED\x07", `evil\x1b]0;PWNED\a`}, {"a\r\nb\tc", `a\r\nb\tc`}, {"a\u009b2J", `a\u009b2J`}, {"a\u202eb", `a\u202eb`}, {"a\xffb", `a\xffb`}, {"\x00\x7f", `\x00\x7f`},
	} {
		if got := visible(c.text); got != c.want {
			t.Errorf("%q: %q", c.text, got)
		}
		var b bytes.Buffer
		if err := writeTable(&b, textTable{{"NAME", "NEXT"}, {c.text, "x"}}); err != nil || !strings.Contains(b.String(), c.want) || strings.Count(b.String(), "\n") != 2 {
			t.Errorf("%q in a table: %q, %v", c.text, b.String(), err)
		}
		raw, err := marshal(c.text)
		var back string
		if err != nil || json.Unmarshal(raw, &back) != nil || back != strings.ToValidUTF8(c.text, "\ufffd") || visible(string(raw)) != string(raw) {
			t.Errorf("%q in JSON: %q, %q, %v", c.text, raw, back, err)
		}
	}
}

type textTable [][]string

func (t textTable) table() [][]string { return t }

// A stranger may name a group, a member or a topic: on no command's output does the name do anything, and JSON has it exactly.
func TestNamesOfOthersDoNothingToATerminal(t *testing.T) {
	const evil = "evil\x1b]0;PWNED\x07\n\u009b2Jowned  Stable"
	c := fakeCluster(t, 20193, "named")
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	offsets := kadm.Offsets{}
	offsets.AddOffset("t", 0, 0, -1)
	if committed, err := kadm.NewClient(cl).CommitOffsets(ctx, evil, offsets); err != nil || committed.Error() != nil {
		t.Fatal(committed, err)
	}
	for _, args := range [][]string{
		{"group", "list"}, {"group", "list", "-o", "json"}, {"group", "list", "-o", "yaml"}, {"group", "list", "-o", "jsonl"}, {"group", "describe", evil}, {"group", "lag", evil}, {"group", "describe", evil + "x"},
		{"topic", "describe", evil}, {"group", "delete", evil}, {"group", "seek", evil, "--to", "start"},
	} {
		var out, errs bytes.Buffer
		run(ctx, terminal{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(string) string { return "" }}, append(args, "-b", c.ListenAddrs()[0]))
		if all := out.String() + errs.String(); strings.ContainsAny(all, "\x1b\x07\u009b") || !strings.Contains(all, "evil") {
			t.Errorf("%q: %q", args, all)
		}
		var groups []struct{ Group string }
		if args[len(args)-1] == "json" && (json.Unmarshal(out.Bytes(), &groups) != nil || len(groups) != 1 || groups[0].Group != evil) {
			t.Errorf("%q: %q", args, out.String())
		}
	}
}
