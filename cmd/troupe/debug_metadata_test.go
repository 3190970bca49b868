package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The metadata log that a broker wrote is shown by record and field, a snapshot of it too, and what is no metadata is a problem.
func TestDumpShowsMetadata(t *testing.T) {
	dir := t.TempDir()
	s, stop := startServer(t, "dev", "--data", dir, "--port", "20640", "--http-port", "20641", "--topics", "orders:2")
	s.waitFor(t, "Stop:")
	if code := stop(); code != 0 {
		t.Fatal(code, s)
	}
	metadata := filepath.Join(dir, "__cluster_metadata-0")
	all, problems := dumpAll(t, metadata, dumpOptions{})
	if len(problems) > 0 {
		t.Error(problems)
	}
	var types []string
	var text strings.Builder
	for _, d := range all {
		for _, m := range d.Metadata {
			for _, r := range m.Records {
				types = append(types, r.Type)
				text.WriteString(r.Type + string(r.Record) + "\n")
				if !json.Valid(r.Record) {
					t.Errorf("no JSON: %s", r.Record)
				}
			}
		}
	}
	for _, want := range []string{"ClusterFounded", "FeatureLevelSet", "BrokerRegistered", "TopicCreated", "PartitionAdded"} {
		if !slices.Contains(types, want) {
			t.Errorf("no %s in\n%s", want, &text)
		}
	}
	for _, want := range []string{`"name":"orders"`, `"partition":1`, `"leader_epoch":0`, `"replicas":[1]`, `"isr":`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, &text)
		}
	}
	if !slices.ContainsFunc(all, func(d dumped) bool { return d.Kind == "metadata" && len(d.Metadata) == 1 }) {
		t.Error("no snapshot")
	}
	foreign, _ := aLog(t) // records of clients under the name of the metadata log
	moved := filepath.Join(t.TempDir(), "__cluster_metadata-0")
	if err := os.CopyFS(moved, os.DirFS(foreign)); err != nil {
		t.Fatal(err)
	}
	if _, problems := dumpAll(t, moved, dumpOptions{brief: true}); !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, "log: metadata") }) {
		t.Errorf("clients' records pass for metadata: %q", problems)
	}
}
