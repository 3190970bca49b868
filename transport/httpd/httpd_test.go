package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestReadinessIsAllConditionsByName(t *testing.T) {
	var recovered, broken atomic.Bool
	s := New(Options{Conditions: []Condition{
		{Name: "listeners", Check: func() error { return nil }},
		{Name: "log-recovery", Check: func() error {
			if recovered.Load() {
				return nil
			}
			return errors.New("3 of 7 logs")
		}},
		{Name: "partitions", Degrades: true, Check: func() error {
			if broken.Load() {
				return errors.New("1 offline")
			}
			return nil
		}},
	}})
	check := func(path string, status int, body string) {
		t.Helper()
		if code, got := get(t, s, path); code != status || got != body {
			t.Errorf("%s: got %d %q, want %d %q", path, code, got, status, body)
		}
	}
	const notReady = "[+]listeners ok\n[-]log-recovery: 3 of 7 logs\n[+]partitions ok\nnot ready\n"
	check("/livez", 200, "ok\n")
	check("/readyz", 503, notReady)
	check("/startupz", 503, notReady)
	recovered.Store(true)
	check("/readyz?verbose", 200, "[+]listeners ok\n[+]log-recovery ok\n[+]partitions ok\nready\n")
	broken.Store(true)
	check("/readyz", 200, "[+]listeners ok\n[+]log-recovery ok\n[!]partitions: 1 offline\nready, but for the above\n")
	broken.Store(false)
	check("/startupz", 200, "ok\n")
	recovered.Store(false)
	check("/readyz", 503, notReady)
	check("/startupz", 200, "ok\n")
	if code, _ := get(t, s, "/metrics"); code != 404 {
		t.Errorf("/metrics without metrics: %d", code)
	}
}

// sources is a node in which something happened.
func sources() Sources {
	table := partition.NewTable()
	for i, v := range []*partition.View{{Leader: true}, {Leader: true}, {Err: protocol.KafkaStorageError}} {
		table.Put(partition.NewHandle(protocol.TopicPartition{Partition: int32(i)}, "t", actors.PID{}, v))
	}
	kafka := &api.Metrics{}
	kafka.Connections.Store(3)
	kafka.BytesIn.Store(1000)
	kafka.Answered(0, 100*time.Microsecond)
	kafka.Answered(0, 3*time.Millisecond)
	return Sources{
		Version: "1.2.3", Table: table, Kafka: kafka,
		Actors: func() actors.Stats { return actors.Stats{Actors: 5, Processed: 17} },
		Disks:  []Disk{{"/data", func() (int64, int64, error) { return 10, 20, nil }}, {"/gone", func() (int64, int64, error) { return 0, 0, errors.New("gone") }}},
	}
}

func TestMetricsShowWhatHappened(t *testing.T) {
	m := NewMetrics(sources())
	m.Flushed(partition.Flush{Dir: "/data", Took: 200 * time.Microsecond})
	m.Flushed(partition.Flush{Dir: "/data", Took: 30 * time.Millisecond, All: true, Err: errors.New("EIO")})
	code, body := get(t, New(Options{Metrics: m.Handler()}), "/metrics")
	if code != 200 {
		t.Fatal(code, body)
	}
	for _, want := range []string{
		`troupe_build_info{version="1.2.3"} 1`,
		`troupe_partitions 3`, `troupe_partitions_led 2`, `troupe_partitions_offline 1`,
		`troupe_actors 5`, `troupe_actor_messages_processed_total 17`,
		`troupe_disk_free_bytes{dir="/data"} 10`,
		`troupe_connections 3`, `troupe_kafka_bytes_total{dir="in"} 1000`,
		`troupe_kafka_requests_total{api="Produce"} 2`,
		`troupe_kafka_request_duration_seconds_bucket{api="Produce",le="6.4e-05"} 0`,
		`troupe_kafka_request_duration_seconds_bucket{api="Produce",le="0.000128"} 1`,
		`troupe_kafka_request_duration_seconds_bucket{api="Produce",le="+Inf"} 2`,
		`troupe_kafka_request_duration_seconds_sum{api="Produce"} 0.0031`,
		`troupe_fsync_duration_seconds_bucket{dir="/data",how="fdatasync",le="0.00025"} 1`,
		`troupe_fsync_failures_total{dir="/data"} 1`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// TestMetricNamesFollowTheRules guards what dashboards rely on: our prefix, base units, _total on counters and on nothing else.
func TestMetricNamesFollowTheRules(t *testing.T) {
	_, body := get(t, New(Options{Metrics: NewMetrics(sources()).Handler()}), "/metrics")
	kinds := regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(body, -1)
	if len(kinds) < 20 {
		t.Fatalf("only %d metrics", len(kinds))
	}
	for _, k := range kinds {
		name, kind := k[1], k[2]
		switch {
		case strings.HasPrefix(name, "go_"), strings.HasPrefix(name, "process_"):
		case !strings.HasPrefix(name, "troupe_"):
			t.Errorf("%s: no prefix troupe_", name)
		case (kind == "counter") != strings.HasSuffix(name, "_total"):
			t.Errorf("%s is a %s", name, kind)
		case regexp.MustCompile(`(millis|_ms|micros|kilobytes|_kb|_mb)(_|$)`).MatchString(name):
			t.Errorf("%s: not in base units", name)
		}
	}
}

func TestDebugIsForThisMachineOnly(t *testing.T) {
	s := New(Options{Node: func() any { return 1 }})
	for from, want := range map[string]int{"127.0.0.1:5": 200, "[::1]:5": 200, "[::ffff:127.0.0.1]:5": 200, "192.0.2.1:5": 403, "[2001:db8::1]:5": 403} {
		for _, path := range []string{"/debug/node", "/debug/pprof/symbol", "/debug/pprof/"} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
			r.RemoteAddr, r.Host = from, "localhost:9644"
			s.http.Handler.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s from %s: %d, want %d", path, from, w.Code, want)
			}
		}
	}
}

// A page that a browser on this machine shows, or a proxy on it, is not somebody on this machine.
func TestDebugIsNotForPagesAndProxies(t *testing.T) {
	s := New(Options{Node: func() any { return 1 }})
	for _, c := range []struct {
		host, header, value string
		want                int
	}{
		{"localhost:9644", "", "", 200}, {"LOCALHOST", "", "", 200}, {"127.0.0.1:9644", "", "", 200}, {"[::1]:9644", "", "", 200}, {"[::1]", "", "", 200}, {"127.9.9.9", "", "", 200},
		{"localhost:9644", "Sec-Fetch-Site", "none", 200}, {"localhost:9644", "Sec-Fetch-Site", "same-origin", 200},
		{"evil.example:9644", "", "", 403}, {"localhost.evil.example", "", "", 403}, {"192.0.2.1", "", "", 403}, {"0.0.0.0:9644", "", "", 403}, {"", "", "", 403},
		{"localhost:9644", "Sec-Fetch-Site", "cross-site", 403}, {"localhost:9644", "Sec-Fetch-Site", "same-site", 403},
		{"localhost:9644", "Origin", "http://evil.example", 403}, {"localhost:9644", "Origin", "null", 403},
		{"localhost:9644", "X-Forwarded-For", "192.0.2.1", 403}, {"localhost:9644", "X-Forwarded-Host", "a", 403}, {"localhost:9644", "X-Forwarded-Proto", "https", 403},
		{"localhost:9644", "Forwarded", "for=192.0.2.1", 403}, {"localhost:9644", "Via", "1.1 proxy", 403}, {"localhost:9644", "X-Real-IP", "192.0.2.1", 403},
	} {
		for _, path := range []string{"/debug/node", "/debug/pprof/", "/debug/pprof/symbol"} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
			r.RemoteAddr, r.Host = "127.0.0.1:5", c.host
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			s.http.Handler.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%s of host %q with %s: %s: %d, want %d", path, c.host, c.header, c.value, w.Code, c.want)
			}
		}
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/debug/pprof/cmdline", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5", "localhost"
	if s.http.Handler.ServeHTTP(w, r); w.Code != 404 {
		t.Errorf("the command line, which may hold secrets: %d", w.Code)
	}
	for _, path := range []string{"/livez", "/metrics"} { // probes come by any name
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
		r.RemoteAddr, r.Host = "192.0.2.1:5", "troupe.example"
		if s.http.Handler.ServeHTTP(w, r); w.Code == 403 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestServerShowsTheNodeAndStops(t *testing.T) {
	s := New(Options{Node: func() any { return map[string]int{"partitions": 3} }})
	l, err := net.Listen("tcp", "127.0.0.1:20601")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	resp, err := http.Get("http://127.0.0.1:20601/debug/node")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got map[string]int
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got["partitions"] != 3 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/goroutine?debug=1"} {
		resp, err := http.Get("http://127.0.0.1:20601" + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.Body.Close(); resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := errors.Join(s.Close(ctx), <-served); err != nil {
		t.Error(err)
	}
}
