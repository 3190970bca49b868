package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

func TestSecretsOnTheCommandLineAreSaid(t *testing.T) {
	for _, c := range []struct {
		line string
		want string // part of what is said, empty for nothing
	}{
		{"config docs retention.ms --password geheim --user a", "--password-file FILE"},
		{"config docs retention.ms -X sasl.password=geheim -X client.id=x", "--property sasl.password: other users"},
		{"start --set listener.name.a.ssl.keystore.password=geheim --set num.partitions=many", "--set listener.name.a.ssl.keystore.password: other users"},
		{"config docs retention.ms --password-file " + t.TempDir(), ""},
		{"config docs retention.ms -X client.id=x", ""},
		{"start --set num.partitions=many", ""},
	} {
		var errs bytes.Buffer
		run(context.Background(), terminal{in: strings.NewReader(""), out: io.Discard, err: &errs, getenv: func(string) string { return "" }}, splitWords(c.line))
		if said := strings.Contains(errs.String(), "list of processes"); said != (c.want != "") || !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), "geheim") {
			t.Errorf("%s: %q", c.line, errs.String())
		}
	}
}
