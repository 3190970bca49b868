package httpd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition"
)

// TestTheTableOfMetricsIsComplete holds docs/metrics.md against the source, both ways.
func TestTheTableOfMetricsIsComplete(t *testing.T) {
	names := func(pattern, text string) (out []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, f := range append(files, "../../docs/metrics.md") {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, ".md") {
			have, want := names("(?m)^\\| `(troupe_[a-z_]+)`", string(text)), names(`"(troupe_[a-z_]+)"`, source.String())
			if !slices.Equal(have, want) || len(want) < 50 {
				t.Errorf("the table has\n%s\nthe source has\n%s", have, want)
			}
		} else if !strings.HasSuffix(f, "_test.go") {
			source.Write(text)
		}
	}
}

func TestTopicsAreSumsOfTheirPartitions(t *testing.T) {
	s := sources()
	s.Table = partition.NewTable()
	put := func(topic byte, name string, number int32) *partition.Handle {
		h := partition.NewHandle(protocol.TopicPartition{Topic: protocol.TopicID{topic}, Partition: number}, name, actors.PID{}, &partition.View{LogStartOffset: 5, LogEndOffset: 25, HighWatermark: 20, Leader: true})
		s.Table.Put(h)
		return h
	}
	put(1, "orders", 0).Traffic().Fetched(3, 300)
	put(1, "orders", 1).Traffic().RecordsIn.Add(7)
	put(2, "payments", 0).Traffic().BytesIn.Add(9)
	put(1, "orders", 0) // opened again: what it counted stays
	put(3, "orders", 0) // made anew under the name, while the old one is still there
	m := NewMetrics(s)
	_, body := get(t, New(Options{Metrics: m.Handler()}), "/metrics")
	for _, want := range []string{
		`troupe_topic_partitions{topic="orders"} 2`, `troupe_topic_log_start_offsets{topic="orders"} 10`, `troupe_topic_log_end_offsets{topic="orders"} 50`,
		`troupe_topic_records_out_total{topic="orders"} 3`, `troupe_topic_bytes_out_total{topic="orders"} 300`, `troupe_topic_records_in_total{topic="orders"} 7`,
		`troupe_topic_bytes_in_total{topic="payments"} 9`, `troupe_topic_batches_in_total{topic="payments"} 0`, `troupe_topics_left_out 0`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("missing %s\n%s", want, body)
		}
	}
	if strings.Contains(body, "troupe_partition_") {
		t.Error("single partitions are shown to who did not ask")
	}
	_, body = get(t, New(Options{Metrics: m.Handler()}), "/metrics?partitions=true")
	if !strings.Contains(body, "\ntroupe_partition_high_watermark{partition=\"1\",topic=\"orders\"} 20\n") || !strings.Contains(body, "\ntroupe_connections 3\n") {
		t.Error(body)
	}
}

// TestAScrapeIsBounded has ten thousand partitions, in one topic and in as many.
func TestAScrapeIsBounded(t *testing.T) {
	for _, topics := range []int{1, 10_000} {
		s := sources()
		s.Table = partition.NewTable()
		var handles []*partition.Handle
		for i := range 10_000 {
			tp := protocol.TopicPartition{Topic: protocol.TopicID{byte(i % topics >> 8), byte(i % topics)}, Partition: int32(i / topics)}
			handles = append(handles, partition.NewHandle(tp, fmt.Sprintf("a-topic-with-a-name-of-common-length-%d", i%topics), actors.PID{}, &partition.View{Leader: true}))
		}
		s.Table.Put(handles...)
		_, body := get(t, New(Options{Metrics: NewMetrics(s).Handler()}), "/metrics")
		if len(body) > 2<<20 || !strings.Contains(body, fmt.Sprintf("\ntroupe_topics_left_out %d\n", max(0, topics-topicRowsMax))) {
			t.Errorf("%d topics: %d bytes", topics, len(body))
		}
	}
}

func TestRequestsHaveRowsOnceTheyAreMade(t *testing.T) {
	_, body := get(t, New(Options{Metrics: NewMetrics(sources()).Handler()}), "/metrics")
	if !strings.Contains(body, `api="Produce"`) || strings.Contains(body, `api="ControlledShutdown"`) {
		t.Error(body)
	}
}
