package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// silent are the commands that print no data of their own, with the reason.
var silent = map[string]string{
	"troupe dev":             "a server",
	"troupe start":           "a server",
	"troupe security":        "a help topic",
	"troupe completion":      "cobra's: shell code",
	"troupe completion bash": "cobra's: shell code",
}

func leaves(c *cobra.Command, visit func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		if len(sub.Commands()) > 0 {
			leaves(sub, visit)
		} else {
			visit(sub)
		}
	}
}

// TestEveryCommandHasOneOutputLanguage walks the command tree: whatever prints data takes -o and says its shape with -o help, without
// a broker.
func TestEveryCommandHasOneOutputLanguage(t *testing.T) {
	seen := 0
	leaves((&app{}).command(), func(c *cobra.Command) {
		path := c.CommandPath()
		if silent[path] != "" {
			return
		}
		seen++
		if c.Annotations[annotationShape] == "" || c.Flags().ShorthandLookup("o") == nil {
			t.Errorf("%s prints without -o", path)
			return
		}
		var out, errs strings.Builder
		args := append(strings.Fields(path)[1:], "-o", "help")
		for range c.Annotations {
			args = append(args, "x") // an argument for those that want one
			break
		}
		if c.Args != nil && c.Args(c, []string{"x"}) != nil {
			args = args[:len(args)-1]
		}
		code := run(t.Context(), terminal{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(string) string { return "" }}, args)
		if code != 0 || !strings.ContainsAny(out.String(), "[{") {
			t.Errorf("%v: exit %d, %q %q", args, code, out.String(), errs.String())
		}
	})
	if seen < 10 {
		t.Errorf("only %d commands found", seen)
	}
}

// TestLettersMeanOneThing guards that a short flag has one meaning in the whole tree.
func TestLettersMeanOneThing(t *testing.T) {
	meaning := map[string]map[string]bool{}
	several := map[string]string{
		"o": "offset and output of consume: see the package doc",
		"p": "partitions to create, partitions to read, the partition to write to: all select partitions",
		"c": "config: a setting of a topic, or the file of settings of a broker",
		"f": "format",
	}
	leaves((&app{}).command(), func(c *cobra.Command) {
		for _, letter := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
			if f := c.Flags().ShorthandLookup(string(letter)); f != nil {
				if meaning[string(letter)] == nil {
					meaning[string(letter)] = map[string]bool{}
				}
				meaning[string(letter)][f.Name] = true
			}
		}
	})
	for letter, names := range meaning {
		if len(names) > 1 && several[letter] == "" {
			t.Errorf("-%s means %v", letter, names)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	leaves((&app{}).command(), func(c *cobra.Command) {
		if len(c.Short) < 10 || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
	})
}
