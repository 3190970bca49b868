package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kraftFile has the shape of the file that Kafka's quick start formats a node with: one node that is broker and controller, its clients'
// listener and the controllers' beside each other. The first argument is the clients' host, the second their port, the third the other.
const kraftFile = `# Roles of this node
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:%[3]d
listeners=PLAINTEXT://%[1]s:%[2]d,CONTROLLER://:%[3]d
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL

num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
num.partitions=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
http.listener=
`

// A file of Kafka's starts as it is. The controllers' port is closed, and every answer that names a broker names it as Kafka does: by the host of
// its listener, or by the address that the client used.
func TestAFileOfKafkasQuickStartServesClientsAlone(t *testing.T) {
	const port, controllers = 20670, 20671
	for _, c := range []struct{ host, dial, want string }{
		{"", "127.0.0.1", "127.0.0.1"}, {"localhost", "127.0.0.1", "localhost"}, {"0.0.0.0", "127.0.0.1", "127.0.0.1"}, {"[::1]", "::1", "::1"}, {"[::]", "::1", "::1"},
	} {
		if c.dial == "::1" && !haveIPv6() {
			t.Logf("no IPv6 here, without %s", c.host)
			continue
		}
		t.Run(c.host, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "server.properties")
			text := fmt.Sprintf(kraftFile, c.host, port, controllers) + "log.dirs=" + filepath.Join(t.TempDir(), "data")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, stop := startServer(t, "start", "--config", file)
			s.waitFor(t, `"msg":"ready"`)
			if !strings.Contains(s.String(), "CONTROLLER://:20671 is not opened") {
				t.Errorf("nobody says that a listener is left out:\n%s", s)
			}
			for _, host := range []string{"127.0.0.1", "::1"} {
				if conn, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(controllers))); err == nil {
					conn.Close()
					t.Errorf("the controllers' port is open at %s", host)
				} else if !errors.Is(err, syscall.ECONNREFUSED) && host == "127.0.0.1" {
					t.Error(err)
				}
			}
			for answer, host := range namedHosts(t, net.JoinHostPort(c.dial, fmt.Sprint(port))) {
				if host != fmt.Sprintf("%s:%d", c.want, port) {
					t.Errorf("%s names %s", answer, host)
				}
			}
			d := &doctor{app: &app{terminal: terminal{getenv: func(string) string { return "" }, err: io.Discard}, brokers: []string{net.JoinHostPort(c.dial, fmt.Sprint(port))}, timeout: 5 * time.Second}}
			if err := d.checkCluster(t.Context()); err != nil || d.findings.count(statusFail)+d.findings.count(statusWarn) > 0 {
				t.Errorf("the doctor: %v, %+v", err, d.findings)
			}
			stop()
		})
	}
}

func haveIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:20672")
	if err == nil {
		l.Close()
	}
	return err == nil
}

// namedHosts asks every API that answers with a broker's address.
func namedHosts(t *testing.T, address string) map[string]string {
	cl, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	at := func(host string, port int32) string { return fmt.Sprintf("%s:%d", host, port) }
	out := map[string]string{}
	meta, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil || len(meta.Brokers) != 1 {
		t.Fatal(meta, err)
	}
	out["Metadata"] = at(meta.Brokers[0].Host, meta.Brokers[0].Port)
	cluster, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, cl)
	if err != nil || len(cluster.Brokers) != 1 {
		t.Fatal(cluster, err)
	}
	out["DescribeCluster"] = at(cluster.Brokers[0].Host, cluster.Brokers[0].Port)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey, find.CoordinatorKeys = "g", []string{"g"}
	found, err := find.RequestWith(ctx, cl)
	if err != nil || len(found.Coordinators) != 1 {
		t.Fatal(found, err)
	}
	if c := found.Coordinators[0]; c.ErrorCode == 0 {
		out["FindCoordinator"] = at(c.Host, c.Port)
	} else {
		t.Errorf("FindCoordinator: %d", c.ErrorCode)
	}
	return out
}
