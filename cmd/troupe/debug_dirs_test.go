package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Which topic a directory holds is told from the files alone: by the metadata log, and without it by partition.metadata.
func TestDebugDirsSaysWhichTopicADirectoryHolds(t *testing.T) {
	dir := t.TempDir()
	s, stop := startServer(t, "dev", "--data", dir, "--port", "20644", "--http-port", "20645", "--topics", "orders:2")
	s.waitFor(t, "Stop:")
	command := func(stdin string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(context.Background(), terminal{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: func(string) string { return "" }}, args); code != 0 {
			t.Fatalf("%s: exit %d\n%s", args, code, &errs)
		}
		return out.String()
	}
	command("one\ntwo\nthree\n", "produce", "orders", "-p", "1", "-b", "localhost:20644")
	if code := stop(); code != 0 {
		t.Fatal(code, s)
	}
	for path, text := range map[string]string{
		"AAAAAAAAAAAAAAAAAAAABQ-0/partition.metadata":        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABQ\ntopic_name: \"gone\"\n",
		"AAAAAAAAAAAAAAAAAAAABg-3-delete/partition.metadata": "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABg\ntopic_name: \"old\"\n",
		"payments-7/partition.metadata":                      "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw",
		"photos/cat.jpg":                                     "x",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(path), filepath.Base(path), []byte(text))
	}
	listed := func() (lines []string) {
		var rows []dirRow
		if err := json.Unmarshal([]byte(command("", "debug", "dirs", dir, "-o", "json")), &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			lines = append(lines, fmt.Sprintf("%q %d %s %d %d-%d", r.Topic, r.Partition, r.State, r.Segments, r.Start, r.End))
		}
		return lines
	}
	want := []string{`"" -1 foreign 0 -1--1`, `"gone" 0 stray 0 -1--1`, `"old" 3 deleted 0 -1--1`, `"orders" 0 live 0 -1--1`, `"orders" 1 live 1 0-3`, `"payments" 7 foreign 0 -1--1`}
	if got := listed(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := os.RemoveAll(filepath.Join(dir, "__cluster_metadata-0")); err != nil {
		t.Fatal(err)
	}
	if got := listed(); !slices.Contains(got, `"orders" 1 unknown 1 0-3`) {
		t.Errorf("without the metadata log:\n%s", strings.Join(got, "\n"))
	}
}
