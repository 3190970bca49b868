package httpd

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition"
)

const (
	// topicRowsMax bounds the topics that one scrape shows, about half a KiB each; how many are left out is shown as well.
	topicRowsMax = 2000
	// partitionRowsMax bounds the single partitions.
	partitionRowsMax = 50_000
)

// topicSums is what a scrape tells of one topic: sums over its partitions here.
type topicSums struct {
	id                            protocol.TopicID
	name                          string
	partitions, size              int64
	start, end                    int64
	recordsIn, batchesIn, bytesIn int64
	recordsOut, bytesOut          int64
}

func (t *topicSums) add(h *partition.Handle) {
	v, traffic := h.View(), h.Traffic()
	t.partitions++
	t.start += v.LogStartOffset
	t.end += v.LogEndOffset
	if v.Log != nil {
		t.size += v.Log.Size()
	}
	t.recordsIn += traffic.RecordsIn.Load()
	t.batchesIn += traffic.BatchesIn.Load()
	t.bytesIn += traffic.BytesIn.Load()
	t.recordsOut += traffic.RecordsOut.Load()
	t.bytesOut += traffic.BytesOut.Load()
}

// topicRow is a metric of topics and how to read it.
type topicRow struct {
	row
	counter bool
	of      func(*topicSums) int64
}

var topicLabel = []string{"topic"}

var topicRows = []topicRow{
	{row{"troupe_topic_partitions", "Partition replicas of a topic here.", topicLabel}, false, func(t *topicSums) int64 { return t.partitions }},
	{row{"troupe_topic_size_bytes", "Bytes of a topic's logs here.", topicLabel}, false, func(t *topicSums) int64 { return t.size }},
	{row{"troupe_topic_log_start_offsets", "Sum of the log start offsets of a topic's partitions here.", topicLabel}, false, func(t *topicSums) int64 { return t.start }},
	{row{"troupe_topic_log_end_offsets", "Sum of the log end offsets of a topic's partitions here.", topicLabel}, false, func(t *topicSums) int64 { return t.end }},
	{row{"troupe_topic_records_in_total", "Records appended, markers of transactions included.", topicLabel}, true, func(t *topicSums) int64 { return t.recordsIn }},
	{row{"troupe_topic_batches_in_total", "Record batches appended.", topicLabel}, true, func(t *topicSums) int64 { return t.batchesIn }},
	{row{"troupe_topic_bytes_in_total", "Bytes of record batches appended.", topicLabel}, true, func(t *topicSums) int64 { return t.bytesIn }},
	{row{"troupe_topic_records_out_total", "Offsets given to consumers.", topicLabel}, true, func(t *topicSums) int64 { return t.recordsOut }},
	{row{"troupe_topic_bytes_out_total", "Bytes of record batches given to consumers.", topicLabel}, true, func(t *topicSums) int64 { return t.bytesOut }},
}

// topics shows the sums of every topic. The table is in order of topic ids, so that one topic is summed up at a time.
func (c collector) topics(out chan<- prometheus.Metric) {
	shown, leftOut := map[string]bool{}, 0
	var t *topicSums
	show := func() {
		switch {
		case t == nil || shown[t.name]: // a deleted topic and its successor of the same name: one row each is all there may be
		case len(shown) == topicRowsMax:
			leftOut++
		default:
			shown[t.name] = true
			t.show(out)
		}
	}
	c.Table.Each(func(h *partition.Handle) bool {
		if t == nil || t.id != h.Partition.Topic {
			show()
			t = &topicSums{id: h.Partition.Topic, name: h.TopicName}
		}
		t.add(h)
		return true
	})
	show()
	row{name: "troupe_topics_left_out", help: "Topics that this scrape has no rows for, since there are too many."}.gauge(out, float64(leftOut))
}

func (t *topicSums) show(out chan<- prometheus.Metric) {
	for _, r := range topicRows {
		if r.counter {
			r.row.counter(out, float64(r.of(t)), t.name)
		} else {
			r.row.gauge(out, float64(r.of(t)), t.name)
		}
	}
}

// single shows partitions one by one, for who asks for them: ten thousand are megabytes.
type single struct{ Sources }

func (single) Describe(chan<- *prometheus.Desc) {}

func (c single) Collect(out chan<- prometheus.Metric) {
	labels := []string{"topic", "partition"}
	start := row{"troupe_partition_log_start_offset", "First offset of a partition.", labels}
	end := row{"troupe_partition_log_end_offset", "Offset after the last one of a partition.", labels}
	high := row{"troupe_partition_high_watermark", "Offset up to which consumers read a partition, exclusive.", labels}
	size := row{"troupe_partition_size_bytes", "Bytes of a partition's log.", labels}
	shown := map[string]bool{}
	c.Table.Each(func(h *partition.Handle) bool {
		v, number := h.View(), strconv.Itoa(int(h.Partition.Partition))
		if name := h.TopicName + "-" + number; shown[name] {
			return true
		} else {
			shown[name] = true
		}
		start.gauge(out, float64(v.LogStartOffset), h.TopicName, number)
		end.gauge(out, float64(v.LogEndOffset), h.TopicName, number)
		high.gauge(out, float64(v.HighWatermark), h.TopicName, number)
		if v.Log != nil {
			size.gauge(out, float64(v.Log.Size()), h.TopicName, number)
		}
		return len(shown) < partitionRowsMax
	})
}
