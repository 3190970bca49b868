package node

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// TestMetricsTellOfATopic produces and consumes with a client that others wrote, and looks at what a scrape says.
func TestMetricsTellOfATopic(t *testing.T) {
	const address, web = "127.0.0.1:23570", "127.0.0.1:23571"
	n, err := Start(t.Context(), osenv.New(), Config{Version: "test", Settings: settings(t, protocol.ConfigEntry{Key: "log.dirs", Value: t.TempDir()},
		protocol.ConfigEntry{Key: "http.listener", Value: web}, protocol.ConfigEntry{Key: "listeners", Value: "PLAINTEXT://" + address})})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	admin := dialed(t, address)
	if _, err := admin.CreateTopics(ctx, 2, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	_, _ = admin.DeleteTopics(ctx, "nowhere")
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic("orders"), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for range 5 {
		if err := cl.ProduceSync(ctx, kgo.StringRecord("hello")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < 5; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got += fetches.NumRecords()
	}
	resp, err := http.Get("http://" + web + "/metrics?partitions=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`troupe_topic_records_in_total{topic="orders"} 5`, `troupe_topic_batches_in_total{topic="orders"} 5`, `troupe_topic_records_out_total{topic="orders"} 5`,
		`troupe_topic_log_end_offsets{topic="orders"} 5`, `troupe_topic_partitions{topic="orders"} 2`,
		`troupe_kafka_errors_total{api="DeleteTopics",error="UNKNOWN_TOPIC_OR_PARTITION"} 1`, `troupe_partition_log_start_offset{partition="1",topic="orders"} 0`,
	} {
		if !strings.Contains(string(body), "\n"+want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	for _, name := range []string{"bytes_in", "bytes_out"} {
		if strings.Contains(string(body), `troupe_topic_`+name+`_total{topic="orders"} 0`) {
			t.Errorf("no %s counted", name)
		}
	}
}
