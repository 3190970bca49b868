package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// examine runs the doctor's network checks and returns "status check: detail" lines.
func examine(t *testing.T, brokers ...string) []string {
	t.Helper()
	d := &doctor{app: &app{terminal: terminal{getenv: func(string) string { return "" }, err: io.Discard}, brokers: brokers, timeout: 2 * time.Second}}
	if err := d.checkCluster(context.Background()); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range d.findings {
		out = append(out, f.Status+" "+f.Check+": "+f.Detail)
	}
	return out
}

func fakeCluster(t *testing.T, port int, id string, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.Ports(port), kfake.NumBrokers(1), kfake.ClusterID(id), kfake.SeedTopics(2, "t"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestDoctorFindsAHealthyCluster(t *testing.T) {
	fakeCluster(t, 20180, "healthy")
	got := examine(t, "127.0.0.1:20180")
	for _, want := range []string{"ok TCP: ", "ok Kafka: ", "ok metadata: 1 broker, 1 topic", "ok cluster: id healthy", "ok partitions: 2, all led", "ok node 0: advertises 127.0.0.1:20180"} {
		if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("missing %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestDoctorTellsTheLayersApart(t *testing.T) {
	web, err := net.Listen("tcp", "127.0.0.1:20181")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	go server.Serve(web)
	defer server.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:20182")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	cases := []struct{ addr, want string }{
		{"127.0.0.1:20183", "fail TCP: connection refused"},
		{"127.0.0.1:20181", "fail Kafka: a web server answers"},
		{"127.0.0.1:20182", "fail Kafka: no answer in time"},
		{"name.invalid:9092", "fail name: DNS: "},
	}
	for _, c := range cases {
		got := examine(t, c.addr)
		if !strings.HasPrefix(got[len(got)-1], c.want) {
			t.Errorf("%s: want %q last, got\n%s", c.addr, c.want, strings.Join(got, "\n"))
		}
	}
}

// metadataOf is a metadata response of a cluster whose brokers advertise these addresses.
func metadataOf(kreq kmsg.Request, nodes ...string) *kmsg.MetadataResponse {
	resp := kreq.ResponseKind().(*kmsg.MetadataResponse)
	id := "wall"
	resp.ClusterID, resp.ControllerID = &id, 0
	for i, addr := range nodes {
		host, port, _ := net.SplitHostPort(addr)
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host = int32(i), host
		fmt.Sscan(port, &b.Port)
		resp.Brokers = append(resp.Brokers, b)
	}
	return resp
}

// advertise makes the cluster tell its clients other addresses than its own.
func advertise(c *kfake.Cluster, nodes ...string) {
	c.ControlKey(int16(kmsg.Metadata), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return metadataOf(kreq, nodes...), nil, true
	})
}

func TestDoctorFollowsAdvertisedAddresses(t *testing.T) {
	c := fakeCluster(t, 20184, "wall")
	fakeCluster(t, 20185, "another")
	advertise(c, "127.0.0.1:20186", "127.0.0.1:20185")
	got := examine(t, "127.0.0.1:20184")
	for _, want := range []string{"fail TCP: connection refused", "fail cluster: this is cluster another, not wall"} {
		if !slices.Contains(got, want) {
			t.Errorf("missing %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestDoctorAuthenticates(t *testing.T) {
	fakeCluster(t, 20187, "closed", kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "ada", "secret"))
	for _, c := range []struct{ password, want string }{{"secret", "ok SASL: SCRAM-SHA-256 as ada"}, {"wrong", "fail SASL: "}} {
		d := &doctor{app: &app{brokers: []string{"127.0.0.1:20187"}, timeout: 2 * time.Second, sasl: saslFlags{name: "SCRAM-SHA-256", user: "ada", password: c.password}}}
		if err := d.checkCluster(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(d.findings, func(f finding) bool { return strings.HasPrefix(f.Status+" "+f.Check+": "+f.Detail, c.want) }) {
			t.Errorf("password %q: want %q, got %+v", c.password, c.want, d.findings)
		}
	}
}
