package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

func settings(t *testing.T, entries ...protocol.ConfigEntry) *config.Broker {
	t.Helper()
	b, err := config.NewBroker(config.Values{Static: config.Sort(entries)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func onPorts(t *testing.T, dir, kafka, web string) Config {
	t.Helper()
	return Config{Version: "test", Settings: settings(t,
		protocol.ConfigEntry{Key: "log.dirs", Value: dir},
		protocol.ConfigEntry{Key: "listeners", Value: "PLAINTEXT://" + kafka},
		protocol.ConfigEntry{Key: "http.listener", Value: web})}
}

func stop(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestANodeStartsStopsAndLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	c := onPorts(t, t.TempDir(), "127.0.0.1:20630", "127.0.0.1:20631")
	cluster := ""
	for life := range 3 {
		n, err := Start(t.Context(), osenv.New(), c)
		if err != nil {
			t.Fatal(err)
		}
		if life > 0 && n.ClusterID() != cluster {
			t.Errorf("the cluster id changed from %q to %q", cluster, n.ClusterID())
		}
		cluster = n.ClusterID()
		topics, err := n.CreateTopics(t.Context(), []protocol.NewTopic{{Name: "t", Partitions: 3, ReplicationFactor: -1}})
		if err != nil || len(topics) != 1 || topics[0].Failed() != (life > 0) {
			t.Errorf("life %d: %+v, %v", life, topics, err)
		}
		if n.Table().Len() != 3 {
			t.Errorf("life %d: %d partitions", life, n.Table().Len())
		}
		conn, err := net.Dial("tcp", "127.0.0.1:20630")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get("http://127.0.0.1:20631/readyz")
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("life %d: %v, %v", life, resp, err)
		}
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		stop(t, n)
		conn.Close()
	}
	// Goroutines end a moment after what they serve; this waits for them and bounds the wait.
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after\n%s", before, after, buf[:runtime.Stack(buf, true)])
	}
}

func TestAStartThatFailsGivesEverythingBack(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:20632")
	if err != nil {
		t.Fatal(err)
	}
	var at *ListenError
	if _, err := Start(t.Context(), osenv.New(), onPorts(t, dir, "127.0.0.1:20632", "127.0.0.1:20633")); !errors.As(err, &at) || at.Setting != "listeners" {
		t.Errorf("the Kafka port is taken: %v", err)
	}
	if _, err := Start(t.Context(), osenv.New(), onPorts(t, dir, "127.0.0.1:20634", "127.0.0.1:20632")); !errors.As(err, &at) || at.Setting != "http.listener" {
		t.Errorf("the HTTP port is taken: %v", err)
	}
	taken.Close()
	n, err := Start(t.Context(), osenv.New(), onPorts(t, dir, "127.0.0.1:20632", "127.0.0.1:20633"))
	if err != nil {
		t.Fatalf("nothing is in the way any more: %v", err)
	}
	stop(t, n)
}

func TestAStartThatIsInterruptedStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if _, err := Start(ctx, osenv.New(), onPorts(t, dir, "127.0.0.1:20635", "")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := opened(t, 1, dir); err != nil {
		t.Errorf("the directory was not given back: %v", err)
	}
}

func TestDynamicSettingsReachTheHandlers(t *testing.T) {
	n, err := Start(t.Context(), osenv.New(), onPorts(t, t.TempDir(), "127.0.0.1:20636", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	before := n.apiSettings()
	if n.apiSettings() != before {
		t.Error("resolved again for the same image")
	}
	alter := &protocol.AlterConfigs{Resources: []protocol.AlterResource{{Type: protocol.ResourceBroker, Ops: []protocol.AlterOp{
		{Op: protocol.ConfigSet, ConfigEntry: protocol.ConfigEntry{Key: "producer.id.expiration.ms", Value: "3600000"}},
	}}}}
	if _, err := n.System().AskWait(t.Context(), n.control, alter); err != nil {
		t.Fatal(err)
	}
	if n.apiSettings() == before {
		t.Error("not resolved again for a new image")
	}
	if got := n.hostConfig().ProducerExpiry(); got != time.Hour {
		t.Errorf("partitions remember producers for %v", got)
	}
}
