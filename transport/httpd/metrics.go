package httpd

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// Sources are what metrics are read from, at the moment of a scrape.
type Sources struct {
	Version string
	NodeID  protocol.NodeID
	Actors  func() actors.Stats
	Table   *partition.Table
	Kafka   *api.Metrics
	// Disks are the log directories, by path.
	Disks []Disk
	// Groups and Lags tell of groups and transactions; nil shows nothing.
	Groups *group.Metrics
	Lags   func(ctx context.Context, limit int) (rows []group.Lag, leftOut int)
}

// Disk is one log directory.
type Disk struct {
	Dir   string
	Space func() (available, total int64, err error) // bytes
}

// Metrics is a registry of its own: nothing else of the process can add to it. What it shows is listed in docs/metrics.md.
type Metrics struct {
	registry *prometheus.Registry
	single   *prometheus.Registry // of single partitions
	fsync    *prometheus.HistogramVec
	failed   *prometheus.CounterVec
	cleaned  *prometheus.CounterVec
	rounds   *prometheus.CounterVec
	dirty    prometheus.Gauge
}

// NewMetrics registers everything; nothing is computed before a scrape.
func NewMetrics(s Sources) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), single: prometheus.NewRegistry(),
		fsync: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "troupe_fsync_duration_seconds", Help: "Time of one flush of a log directory: an fdatasync of one log, or one syncfs for many.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"dir", "how"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "troupe_fsync_failures_total", Help: "Flushes that failed and took logs offline."}, []string{"dir"}),
	}
	m.cleaned = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "troupe_compaction_bytes_total", Help: "Bytes that compaction read, wrote and removed."}, []string{"what"})
	m.rounds = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "troupe_compaction_rounds_total", Help: "Logs that compaction went through, by how it ended."}, []string{"end"})
	m.dirty = prometheus.NewGauge(prometheus.GaugeOpts{Name: "troupe_compaction_last_dirty_ratio", Help: "Share of the log compacted last that was new."})
	m.registry.MustRegister(m.fsync, m.failed, m.cleaned, m.rounds, m.dirty, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{s})
	m.single.MustRegister(single{s})
	return m
}

// Handler serves the registry; with ?partitions=true also what is told of single partitions.
func (m *Metrics) Handler() http.Handler {
	options := promhttp.HandlerOpts{MaxRequestsInFlight: 4}
	brief, long := promhttp.HandlerFor(m.registry, options), promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.single}, options)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("partitions") == "true" {
			long.ServeHTTP(w, r)
			return
		}
		brief.ServeHTTP(w, r)
	})
}

// Flushed counts a flush; it is the partition package's hook.
func (m *Metrics) Flushed(f partition.Flush) {
	how := "fdatasync"
	switch {
	case f.All:
		how = "syncfs"
	case f.Journal:
		how = "journal"
	}
	m.fsync.WithLabelValues(f.Dir, how).Observe(f.Took.Seconds())
	if f.Err != nil {
		m.failed.WithLabelValues(f.Dir).Inc()
	}
}

// Cleaned counts a round of compaction; it is the partition package's hook.
func (m *Metrics) Cleaned(c partition.Cleaned) {
	if c.Err != nil {
		m.rounds.WithLabelValues("failed").Inc()
		return
	}
	m.rounds.WithLabelValues("done").Inc()
	m.dirty.Set(c.Ratio)
	m.cleaned.WithLabelValues("read").Add(float64(c.Stats.Read))
	m.cleaned.WithLabelValues("written").Add(float64(c.Stats.Written))
	m.cleaned.WithLabelValues("removed").Add(float64(max(c.Stats.Removed, 0)))
}

// collector reads the sources during a scrape. It describes nothing in advance ("unchecked"): which APIs and errors have rows depends
// on which were used.
type collector struct{ Sources }

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	row{"troupe_build_info", "Always 1; the label says which version runs.", []string{"version"}}.gauge(out, 1, c.Version)
	c.partitions(out)
	c.topics(out)
	c.actors(out)
	c.disks(out)
	c.connections(out)
	c.requests(out)
	c.groups(out)
}

// row names a metric and its labels.
type row struct {
	name, help string
	labels     []string
}

func (r row) desc() *prometheus.Desc { return prometheus.NewDesc(r.name, r.help, r.labels, nil) }

func (r row) gauge(out chan<- prometheus.Metric, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(r.desc(), prometheus.GaugeValue, v, labels...)
}

func (r row) counter(out chan<- prometheus.Metric, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(r.desc(), prometheus.CounterValue, v, labels...)
}

func (c collector) partitions(out chan<- prometheus.Metric) {
	led, offline, bytes := 0, 0, int64(0)
	c.Table.Each(func(h *partition.Handle) bool {
		v := h.View()
		switch {
		case v.Err != protocol.None:
			offline++
		case v.Leader:
			led++
		}
		if v.Log != nil {
			bytes += v.Log.Size()
		}
		return true
	})
	row{name: "troupe_partitions", help: "Partition replicas hosted here."}.gauge(out, float64(c.Table.Len()))
	row{name: "troupe_partitions_led", help: "Partitions this node leads."}.gauge(out, float64(led))
	row{name: "troupe_partitions_offline", help: "Replicas here that can be neither read nor written."}.gauge(out, float64(offline))
	row{name: "troupe_log_size_bytes", help: "Bytes of all logs here."}.gauge(out, float64(bytes))
}

func (c collector) actors(out chan<- prometheus.Metric) {
	s := c.Actors()
	row{name: "troupe_actors", help: "Actors alive."}.gauge(out, float64(s.Actors))
	row{name: "troupe_actor_messages_processed_total", help: "Messages handled by actors."}.counter(out, float64(s.Processed))
	row{name: "troupe_actor_dead_letters_total", help: "Messages nobody handled and nobody was told about."}.counter(out, float64(s.DeadLetters))
	row{name: "troupe_actor_refusals_total", help: "Requests answered by the runtime because a mailbox was full or its actor gone."}.counter(out, float64(s.Refusals))
	row{name: "troupe_actor_late_replies_total", help: "Answers that came after their request had timed out."}.counter(out, float64(s.LateReplies))
	row{name: "troupe_actor_failures_total", help: "Panics; each is a bug."}.counter(out, float64(s.Failures))
}

func (c collector) disks(out chan<- prometheus.Metric) {
	for _, d := range c.Disks {
		free, total, err := d.Space()
		if err != nil {
			continue // the directory is gone; its partitions are offline and say so
		}
		row{"troupe_disk_free_bytes", "Bytes available to the broker on the file system of a log directory.", []string{"dir"}}.gauge(out, float64(free), d.Dir)
		row{"troupe_disk_total_bytes", "Bytes of the file system of a log directory.", []string{"dir"}}.gauge(out, float64(total), d.Dir)
	}
}

func (c collector) connections(out chan<- prometheus.Metric) {
	k := c.Kafka
	row{name: "troupe_connections", help: "Kafka connections open."}.gauge(out, float64(k.Connections.Load()))
	row{name: "troupe_connections_accepted_total", help: "Kafka connections accepted."}.counter(out, float64(k.ConnectionsAccepted.Load()))
	row{name: "troupe_connections_refused_total", help: "Kafka connections over max.connections."}.counter(out, float64(k.ConnectionsRefused.Load()))
	row{name: "troupe_connections_crowded_out_total", help: "Kafka connections ended to make room for others while nothing was known of the client."}.counter(out, float64(k.ConnectionsCrowdedOut.Load()))
	row{name: "troupe_connections_broken_total", help: "Kafka connections closed by the broker: malformed or unsupported requests, failed logins."}.counter(out, float64(k.ConnectionsBroken.Load()))
	row{name: "troupe_authentications_total", help: "Clients of SASL listeners that said who they are."}.counter(out, float64(k.Authentications.Load()))
	row{name: "troupe_authentications_failed_total", help: "Clients of SASL listeners that failed to."}.counter(out, float64(k.AuthenticationsFailed.Load()))
	row{name: "troupe_connection_panics_total", help: "Connections closed by a panic; each is a bug."}.counter(out, float64(k.Panics.Load()))
	bytes := row{"troupe_kafka_bytes_total", "Bytes on Kafka connections.", []string{"dir"}}
	bytes.counter(out, float64(k.BytesIn.Load()), "in")
	bytes.counter(out, float64(k.BytesOut.Load()), "out")
	row{name: "troupe_kafka_sendfile_bytes_total", help: "Of the bytes out, those that never were in user space."}.counter(out, float64(k.BytesSent.Load()))
	row{name: "troupe_produced_records_total", help: "Records accepted."}.counter(out, float64(k.ProducedRecords.Load()))
	row{name: "troupe_produced_batches_total", help: "Record batches accepted."}.counter(out, float64(k.ProducedBatches.Load()))
	row{name: "troupe_produced_bytes_total", help: "Bytes of record batches accepted."}.counter(out, float64(k.ProducedBytes.Load()))
	row{name: "troupe_fetched_bytes_total", help: "Bytes of record batches given to consumers."}.counter(out, float64(k.FetchedBytes.Load()))
	row{name: "troupe_unpacking_wait_seconds_total", help: "Time that clients waited because their batches unpack to very much."}.counter(out, time.Duration(k.UnpackingWaited.Load()).Seconds())
	row{name: "troupe_fetches_parked", help: "Fetches waiting for records."}.gauge(out, float64(k.FetchesParked.Load()))
	row{name: "troupe_fetch_sessions", help: "Incremental fetch sessions open."}.gauge(out, float64(k.FetchSessions.Load()))
}

// The buckets of request durations that are shown: 2^i microseconds for i in [bucketFirst, bucketLast], 64 microseconds to 33 seconds.
const (
	bucketFirst = 6
	bucketLast  = 25
)

func (c collector) requests(out chan<- prometheus.Metric) {
	duration := row{"troupe_kafka_request_duration_seconds", "From the last byte of a request to its answer.", []string{"api"}}.desc()
	requests := row{"troupe_kafka_requests_total", "Requests answered.", []string{"api"}}
	for key := range int16(kmsg.MaxKey + 1) {
		s := c.Kafka.Request(key)
		if s.Count == 0 {
			continue
		}
		name := kmsg.NameForKey(key)
		requests.counter(out, float64(s.Count), name)
		out <- prometheus.MustNewConstHistogram(duration, uint64(s.Count), s.Total.Seconds(), cumulative(s.Latency[:]), name)
	}
	errors := row{"troupe_kafka_errors_total", "Error codes answered, one for every part of a request that failed.", []string{"api", "error"}}
	c.Kafka.EachError(func(key, code int16, times int64) {
		errors.counter(out, float64(times), kmsg.NameForKey(key), protocol.Code(code).Name())
	})
}

// cumulative turns counts by powers of two of a microsecond into Prometheus' buckets.
func cumulative(counts []int64) map[float64]uint64 {
	out := make(map[float64]uint64, bucketLast-bucketFirst+1)
	var sum uint64
	for i, n := range counts {
		sum += uint64(n)
		if i >= bucketFirst && i <= bucketLast {
			out[(time.Microsecond << i).Seconds()] = sum
		}
	}
	return out
}
