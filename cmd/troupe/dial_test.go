package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// command runs a command line without a terminal.
func command(t *testing.T, stdin, line string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), terminal{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: func(string) string { return "" }}, splitWords(line))
	return out.String(), errs.String(), code
}

// unreachable makes a cluster advertise, with its topic t, an address nobody listens on.
func unreachable(c *kfake.Cluster, addr string) {
	c.ControlKey(int16(kmsg.Metadata), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := metadataOf(kreq, addr)
		topic := kmsg.NewMetadataResponseTopic()
		name := "t"
		topic.Topic, topic.TopicID = &name, [16]byte{1}
		part := kmsg.NewMetadataResponseTopicPartition()
		part.Replicas, part.ISR = []int32{0}, []int32{0}
		topic.Partitions = append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
}

func TestAnUnreachableAdvertisedAddressIsNamed(t *testing.T) {
	unreachable(fakeCluster(t, 20192, "wall"), "127.0.0.1:20193")
	for _, line := range []string{"consume t -e", "topic describe t", "topic create x"} {
		_, stderr, code := command(t, "", line+" -b 127.0.0.1:20192 --timeout 1s")
		const want = "troupe: cannot reach 127.0.0.1:20193, which 127.0.0.1:20192 advertises: connection refused\n  try: the broker must advertise"
		if code == 0 || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: exit %d, want %q, got %q", line, code, want, stderr)
		}
	}
}

func TestAProduceThatStallsSaysSo(t *testing.T) {
	unreachable(fakeCluster(t, 20194, "wall"), "127.0.0.1:20195")
	_, stderr, code := command(t, "a\nb\n", "produce t -b 127.0.0.1:20194 --delivery-timeout 300ms")
	if code == 0 || !strings.Contains(stderr, "acknowledged 0 of 2 records") || !strings.Contains(stderr, "127.0.0.1:20195") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestBootstrapFailuresAreToldApart(t *testing.T) {
	for _, c := range []struct {
		brokers, want string
		code          int
	}{
		{"127.0.0.1:20196", "cannot reach 127.0.0.1:20196: connection refused\n  try: is a broker running? start one with: troupe dev", 1},
		{"nosuch.invalid:9092", "cannot find nosuch.invalid: DNS: ", 1},
		{"http://x", `bad broker address "http://x"`, 2},
		{"a:b:c", `bad broker address "a:b:c"`, 2},
	} {
		_, stderr, code := command(t, "", "topic list -b "+c.brokers)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, got %q, want %q", c.brokers, code, stderr, c.want)
		}
	}
}

func TestOneBootstrapAddressOfManyIsEnough(t *testing.T) {
	fakeCluster(t, 20197, "one")
	if _, stderr, code := command(t, "", "topic list -b 127.0.0.1:20196,127.0.0.1:20197"); code != 0 {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestAddressesGetKafkasPort(t *testing.T) {
	for in, want := range map[string]string{"h": "h:9092", "h:1": "h:1", "h:": "h:9092", "::1": "[::1]:9092", "[::1]": "[::1]:9092", "[::1]:5": "[::1]:5", "10.0.0.1": "10.0.0.1:9092"} {
		if got, err := withPort(in); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
}
