package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestLevelsAreThoseOfTheRoom logs from here, which is cmd/node and so the root's, and as other rooms do.
func TestLevelsAreThoseOfTheRoom(t *testing.T) {
	l := NewLoggers("INFO")
	for room, want := range map[string]string{"": "INFO", "cmd.node": "INFO", "partition": "DEBUG", "partition.storage": "ERROR", "partition.storage.deeper": "ERROR", "partition.replica": "DEBUG", "group": "INFO"} {
		l.SetLevel("partition", "DEBUG")
		l.SetLevel("partition.storage", "ERROR")
		l.SetLevel("no.such.room", "TRACE")
		l.SetLevel("group", "loud")
		if got := nameOf(l.state.Load().of(room)); got != want {
			t.Errorf("%q has level %s, want %s", room, got, want)
		}
	}
	l.SetLevel("partition.storage", "")
	l.SetLevel("root", "")
	if got := fmt.Sprint(l.Levels()); !strings.Contains(got, "{partition.storage DEBUG} {root INFO}") {
		t.Error(got)
	}
	out := &journal{}
	log := slog.New(l.Handler(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("a", 1).WithGroup("g")
	log.Debug("hidden")
	log.Info("shown", "b", 2)
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "msg=shown a=1 g.b=2") {
		t.Error(got)
	}
}

// TestEveryLoggerIsARoom keeps the names true.
func TestEveryLoggerIsARoom(t *testing.T) {
	for _, name := range loggerNames {
		if _, err := os.Stat(filepath.Join("..", "..", strings.ReplaceAll(name, ".", "/"))); err != nil && name != config.RootLogger {
			t.Error(err)
		}
	}
	var names []string
	for _, l := range NewLoggers("WARN").Levels() {
		names = append(names, l.Logger)
	}
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			t.Errorf("%s and %s are not in order", names[i-1], names[i])
		}
	}
}

// TestLevelsOfARunningBroker sets them as kafka-configs --entity-type broker-loggers does, and by HTTP. Codes and messages are those of
// RuntimeLoggerManager and ConfigHelper.
func TestLevelsOfARunningBroker(t *testing.T) {
	const address, web = "127.0.0.1:23550", "127.0.0.1:23551"
	out := &journal{}
	loggers := NewLoggers("WARN")
	n, err := Start(t.Context(), osenv.New(), Config{Version: "test", Loggers: loggers, Logger: slog.New(loggers.Handler(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		Settings: settings(t, protocol.ConfigEntry{Key: "log.dirs", Value: t.TempDir()}, protocol.ConfigEntry{Key: "http.listener", Value: web}, protocol.ConfigEntry{Key: "listeners", Value: "PLAINTEXT://" + address})})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	alter := func(name, key string, op kmsg.IncrementalAlterConfigOp, value *string) (int16, string) {
		t.Helper()
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: name,
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Op: op, Value: value}}}}
		resp, err := req.RequestWith(ctx, cl.Broker(1))
		if err != nil {
			t.Fatal(err)
		}
		if r := resp.Resources[0]; r.ErrorMessage != nil {
			return r.ErrorCode, *r.ErrorMessage
		}
		return resp.Resources[0].ErrorCode, ""
	}
	value := func(s string) *string { return &s }
	for _, c := range []struct {
		name, key string
		op        kmsg.IncrementalAlterConfigOp
		value     *string
		code      int16
		message   string
	}{
		{"1", "partition.storage", kmsg.IncrementalAlterConfigOpSet, value("DEBUG"), 0, ""},
		{"1", "group", kmsg.IncrementalAlterConfigOpSet, value("TRACE"), 0, ""},
		{"1", "group", kmsg.IncrementalAlterConfigOpDelete, nil, 0, ""},
		{"1", "root", kmsg.IncrementalAlterConfigOpSet, value("INFO"), 0, ""},
		{"1", "root", kmsg.IncrementalAlterConfigOpDelete, nil, 42, "Removing the log level of the root logger is not allowed"},
		{"1", "root", kmsg.IncrementalAlterConfigOpSet, value("info"), 40, "Cannot set the log level of root to info as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"},
		{"1", "root", kmsg.IncrementalAlterConfigOpAppend, value("INFO"), 42, "APPEND operation is not allowed for the BROKER_LOGGER resource"},
		{"1", "kafka", kmsg.IncrementalAlterConfigOpSet, value("INFO"), 40, "Logger kafka does not exist!"},
		{"1", "kafka", kmsg.IncrementalAlterConfigOpDelete, nil, 40, "Logger kafka does not exist!"},
		{"2", "root", kmsg.IncrementalAlterConfigOpSet, value("INFO"), 42, "Unexpected node id. Expected 1, but received 2"},
		{"x", "root", kmsg.IncrementalAlterConfigOpSet, value("INFO"), 42, "Node id must be an integer, but it is: x"},
	} {
		if code, message := alter(c.name, c.key, c.op, c.value); code != c.code || message != c.message {
			t.Errorf("%s %s %v: %d %q, want %d %q", c.name, c.key, c.op, code, message, c.code, c.message)
		}
	}
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "1"}, {ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "2"}}
	resp, err := describe.RequestWith(ctx, cl.Broker(1))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range resp.Resources[0].Configs {
		if c.Source != kmsg.ConfigSourceDynamicBrokerLoggerConfig || c.ReadOnly || c.IsSensitive {
			t.Errorf("%+v", c)
		}
		got = append(got, c.Name+"="+*c.Value)
	}
	if want := "actors=INFO cluster=INFO cluster.raft=INFO group=INFO partition=INFO partition.storage=DEBUG root=INFO transport.httpd=INFO transport.kafka=INFO"; strings.Join(got, " ") != want {
		t.Errorf("got %s", got)
	}
	if r := resp.Resources[1]; r.ErrorCode != 42 || *r.ErrorMessage != "Unexpected broker id, expected 1 but received 2" {
		t.Errorf("%+v", r)
	}
	byHTTP := func(method, query, origin string) (int, string) {
		req, err := http.NewRequestWithContext(ctx, method, "http://"+web+"/debug/log-level"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	for _, c := range []struct {
		method, query, origin string
		status                int
		want                  string
	}{
		{"GET", "", "", 200, "\npartition.storage=DEBUG\nroot=INFO\n"},
		{"PUT", "?logger=group&level=error", "", 200, "\ngroup=ERROR\n"},
		{"DELETE", "?logger=group", "", 200, "\ngroup=INFO\n"},
		{"PUT", "?level=loud", "", 400, `there is no level "LOUD"`},
		{"PUT", "?logger=kafka&level=info", "", 400, `there is no logger "kafka"`},
		{"DELETE", "", "", 400, "cannot be removed"},
		{"PUT", "?level=fatal", "http://a.page.example", 403, "not for pages"},
	} {
		if status, body := byHTTP(c.method, c.query, c.origin); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.query, status, body)
		}
	}
	if !strings.Contains(out.String(), `"msg":"log level changed","logger":"root","level":"INFO","by":{"principal":"User:ANONYMOUS","address":"127.0.0.1","client":"kgo"}`) {
		t.Error(out.String())
	}
}
