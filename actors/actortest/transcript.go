package actortest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite what is expected in testdata; commit a difference only if you can explain it")

// Transcripts runs the files that the pattern names: a line that begins with "> " is a command, the lines below it are what followed
// from it. begin makes a fresh stage for each file and returns how it carries out one command and tells what followed, every line of
// it ended. Empty lines and comments (#) stay. After Datadriven tests of etcd's raft.
func Transcripts(t *testing.T, pattern string, begin func(t *testing.T) func(command string) string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), func(t *testing.T) {
			script, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			do := begin(t)
			var got strings.Builder
			for line := range strings.Lines(strings.TrimRight(string(script), "\n")) {
				line = strings.TrimSuffix(line, "\n")
				if command, ok := strings.CutPrefix(line, "> "); ok {
					fmt.Fprintf(&got, "%s\n%s", line, do(command))
				} else if line == "" || strings.HasPrefix(line, "#") {
					fmt.Fprintln(&got, line)
				}
			}
			Golden(t, name, got.String())
		})
	}
}

// Golden compares got with the file, or writes it there if the test runs with -rewrite.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s:%d (run with -rewrite and look at the difference)\n got %s\nwant %s", name, i+1, around(g, i), around(w, i))
		}
	}
}

// around is the line and a few after it.
func around(lines []string, i int) string {
	if i >= len(lines) {
		return "(the end)"
	}
	return strings.Join(lines[i:min(len(lines), i+5)], "\n     ")
}
