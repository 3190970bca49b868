package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// lines collects what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// ports are handed to listeners one after the other; none is in the range from which the kernel picks.
var ports atomic.Int32

// listen opens a listener on a free port of the loopback.
func listen(t testing.TB, w *world, config ListenerConfig) *Listener {
	t.Helper()
	config.Name, config.Memory = "PLAINTEXT", w.memory
	for range 100 {
		config.Address = fmt.Sprintf("127.0.0.1:%d", 21_300+ports.Add(1))
		l, err := Listen(w.server, config)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { shut(l) })
		return l
	}
	t.Fatal("no free port")
	return nil
}

// shut closes a listener without waiting for anybody.
func shut(l *Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.Close(ctx)
}

func dial(t testing.TB, l *Listener) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// exchange sends a request and reads its reply.
func exchange(t testing.TB, nc io.ReadWriter, version int16, req kmsg.Request) kmsg.Response {
	t.Helper()
	req.SetVersion(version)
	if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 5)); err != nil {
		t.Fatal(err)
	}
	return receive(t, nc, req)
}

func receive(t testing.TB, nc io.Reader, req kmsg.Request) kmsg.Response {
	t.Helper()
	head := make([]byte, 8)
	if _, err := io.ReadFull(nc, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(nc, body); err != nil {
		t.Fatal(err)
	}
	resp := req.ResponseKind()
	if resp.IsFlexible() && resp.Key() != 18 {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	return resp
}

// gone reads until the other end hangs up.
func gone(t testing.TB, nc net.Conn) (got []byte) {
	t.Helper()
	got, err := io.ReadAll(nc)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the connection is still there: %v", err)
	}
	return got
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A real client produces and consumes over a socket: pipelining, fetch sessions, sendfile.
func TestFranzGoProducesAndConsumes(t *testing.T) {
	for name, config := range map[string]ListenerConfig{"plaintext": {}, "tls": {TLS: certificate(t)}} {
		t.Run(name, func(t *testing.T) {
			w := newLiveWorld(t, quiet())
			w.topic("events", 3)
			l := listen(t, w, config)
			opts := []kgo.Opt{kgo.SeedBrokers(l.Addr().String()), kgo.DefaultProduceTopic("events"), kgo.ConsumeTopics("events"), kgo.ProducerBatchCompression(kgo.NoCompression()),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(0)}
			if config.TLS != nil {
				opts = append(opts, kgo.DialTLSConfig(&tls.Config{InsecureSkipVerify: true}))
			}
			client, err := kgo.NewClient(opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			const n = 2000
			want := map[string]bool{}
			for i := range n {
				value := fmt.Sprint(i, strings.Repeat("x", i%5000))
				want[value] = true
				client.Produce(ctx, kgo.StringRecord(value), func(_ *kgo.Record, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
			if err := client.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			for len(want) > 0 {
				fetches := client.PollFetches(ctx)
				if err := fetches.Err(); err != nil {
					t.Fatalf("%d records are missing: %v", len(want), err)
				}
				fetches.EachRecord(func(r *kgo.Record) { delete(want, string(r.Value)) })
			}
			if sent := w.server.Metrics.BytesSent.Load(); (sent > 0) != (config.TLS == nil) {
				t.Errorf("%d bytes by sendfile", sent)
			}
		})
	}
}

func certificate(t testing.TB) *tls.Config {
	s := httptest.NewUnstartedServer(nil)
	s.Listener.Close()
	s.Listener = nothing{}
	s.StartTLS()
	config := &tls.Config{Certificates: s.TLS.Certificates}
	return config
}

// nothing is a listener of a server that only lends its certificate.
type nothing struct{}

func (nothing) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nothing) Close() error              { return nil }
func (nothing) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func TestForeignProtocolsAreExplainedOnce(t *testing.T) {
	for name, row := range map[string]struct{ hello, say string }{
		"tls":  {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS handshake"},
		"http": {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP request"},
		"ssh":  {"SSH-2.0-OpenSSH_9.6\r\n", "SSH client"},
	} {
		t.Run(name, func(t *testing.T) {
			var log lines
			w := newLiveWorld(t, slog.New(slog.NewTextHandler(&log, nil)))
			l := listen(t, w, ListenerConfig{})
			for range 5 {
				nc := dial(t, l)
				if _, err := nc.Write([]byte(row.hello)); err != nil {
					t.Fatal(err)
				}
				if got := gone(t, nc); len(got) > 0 {
					t.Errorf("answered %q", got)
				}
			}
			shut(l)
			if n := strings.Count(log.String(), row.say); n != 1 {
				t.Errorf("said %d times: %s", n, log.String())
			}
			if w.memory.InUse() != 0 {
				t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
			}
		})
	}
}

func TestAbsurdSizesEndTheConnection(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{RequestMaxBytes: 1000})
	for _, size := range []uint32{1001, 1 << 31, 0xffffffff, 1<<31 - 1} {
		nc := dial(t, l)
		if _, err := nc.Write(binary.BigEndian.AppendUint32(nil, size)); err != nil {
			t.Fatal(err)
		}
		gone(t, nc)
	}
	nc := dial(t, l)
	if _, err := nc.Write([]byte{0, 0, 0, 0}); err != nil { // a frame of nothing is no request
		t.Fatal(err)
	}
	gone(t, nc)
	if n := w.server.Metrics.ConnectionsBroken.Load(); n != 5 {
		t.Errorf("%d connections counted", n)
	}
}

func TestRefusedRequestIsLoggedAndTheConnectionClosed(t *testing.T) {
	var log lines
	w := newLiveWorld(t, slog.New(slog.NewTextHandler(&log, nil)))
	l := listen(t, w, ListenerConfig{})
	nc := dial(t, l)
	frame := frameOf(76, 1, 0, 0)
	if _, err := nc.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
		t.Fatal(err)
	}
	gone(t, nc)
	shut(l)
	for _, want := range []string{"ShareGroupHeartbeat version 1", `bad`, "not built yet"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, log.String())
		}
	}
}

func TestIdleConnectionEnds(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{IdleMax: 50 * time.Millisecond})
	started := time.Now()
	gone(t, dial(t, l))
	if took := time.Since(started); took < 50*time.Millisecond {
		t.Errorf("an idle connection lived only %v", took)
	}
}

func TestUnfinishedRequestEndsTheConnection(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{FrameTime: 50 * time.Millisecond})
	nc := dial(t, l)
	if _, err := nc.Write([]byte{0, 0, 0, 100, 0, 3}); err != nil {
		t.Fatal(err)
	}
	gone(t, nc)
	shut(l)
	if n := w.server.Metrics.ConnectionsBroken.Load(); n != 1 {
		t.Errorf("%d connections counted", n)
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
}

// A client that asks and does not read is let go, and its answers with it.
func TestClientThatDoesNotReadIsLetGo(t *testing.T) {
	w := newLiveWorld(t, quiet())
	w.topic("events", 1)
	l := listen(t, w, ListenerConfig{SendTime: 50 * time.Millisecond, SendBuffer: 4096})
	nc := dial(t, l)
	exchange(t, nc, 9, produceRequest(-1, "events", batch(1, strings.Repeat("v", 200<<10))))
	format, req := kmsg.NewRequestFormatter(), fetchRequest("events", 0)
	req.SetVersion(11)
	for range 100 {
		if _, err := nc.Write(format.AppendRequest(nil, req, 1)); err != nil {
			break
		}
	}
	for w.server.Metrics.Connections.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	if n := w.server.Metrics.ConnectionsBroken.Load(); n != 1 {
		t.Errorf("%d connections counted", n)
	}
}

func limited(l Limits) *Admission { return NewAdmission(func() Limits { return l }) }

func TestConnectionsAreBounded(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{Admission: limited(Limits{Connections: 2, PerAddress: 100, CreationRate: 1e6})})
	first, second := dial(t, l), dial(t, l)
	for _, nc := range []net.Conn{first, second} {
		exchange(t, nc, 0, kmsg.NewPtrApiVersionsRequest())
	}
	gone(t, dial(t, l))
	if n := w.server.Metrics.ConnectionsRefused.Load(); n != 1 {
		t.Errorf("%d refused", n)
	}
	exchange(t, first, 0, kmsg.NewPtrApiVersionsRequest())
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{Admission: limited(Limits{Connections: 100, PerAddress: 1, CreationRate: 1e6}), SendBuffer: 1 << 16, ReceiveBuffer: 1 << 16})
	first := dial(t, l)
	exchange(t, first, 0, kmsg.NewPtrApiVersionsRequest())
	gone(t, dial(t, l))
	_ = first.Close()
	for l.server.Metrics.Connections.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	exchange(t, dial(t, l), 0, kmsg.NewPtrApiVersionsRequest())
}

func TestPanicEndsOneConnection(t *testing.T) {
	var log lines
	w := newLiveWorld(t, slog.New(slog.NewTextHandler(&log, nil)))
	w.topic("events", 1)
	var broken atomic.Bool
	settings := w.server.Settings
	w.server.Settings = func() *api.Settings {
		if broken.Load() {
			panic("a bug")
		}
		return settings()
	}
	l := listen(t, w, ListenerConfig{})
	bystander := dial(t, l)
	exchange(t, bystander, 0, kmsg.NewPtrApiVersionsRequest())
	broken.Store(true)
	victim := dial(t, l)
	if _, err := victim.Write(kmsg.NewRequestFormatter().AppendRequest(nil, metadataRequest("events"), 1)); err != nil {
		t.Fatal(err)
	}
	gone(t, victim)
	broken.Store(false)
	exchange(t, bystander, 0, kmsg.NewPtrApiVersionsRequest())
	if n := w.server.Metrics.Panics.Load(); n != 1 || !strings.Contains(log.String(), "a bug") {
		t.Errorf("%d panics counted, log: %s", n, log.String())
	}
}

func TestPortInUseIsExplained(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{})
	_, err := Listen(w.server, ListenerConfig{Name: "OUTSIDE", Address: l.Addr().String()})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatal(err)
	}
	for _, want := range []string{"OUTSIDE", l.Addr().String(), "another process has the port", "choose another port"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// A stopping broker answers what it has taken in.
func TestCloseAnswersWhatIsUnderWay(t *testing.T) {
	w := newLiveWorld(t, quiet())
	p := w.topic("events", 1)[0]
	p.hold = true
	l := listen(t, w, ListenerConfig{})
	nc := dial(t, l)
	req := produceRequest(-1, "events", batch(1))
	req.SetVersion(9)
	exchange(t, nc, 3, versionsRequest())
	if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 5)); err != nil {
		t.Fatal(err)
	}
	for p.handle.View().LogEndOffset == 0 { // taken in
		time.Sleep(time.Millisecond)
	}
	closed := make(chan error)
	go func() { closed <- l.Close(context.Background()) }()
	w.system.Send(p.handle.PID, flush{})
	if resp := receive(t, nc, req).(*kmsg.ProduceResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
	gone(t, nc)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if n := w.server.Metrics.Connections.Load(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// Requests in one write, replies in order; large and small; partial frames.
func TestPipelinedRequestsOverASocket(t *testing.T) {
	w := newLiveWorld(t, quiet())
	w.topic("events", 2, func(c *protocol.LogConfig) { c.MaxMessageBytes, c.SegmentBytes = 16<<20, 1<<30 })
	l := listen(t, w, ListenerConfig{})
	nc := dial(t, l)
	format := kmsg.NewRequestFormatter()
	var stream []byte
	var asked []kmsg.Request
	value := strings.Repeat("v", 300<<10)
	for i := range 60 {
		var req kmsg.Request = produceRequest(-1, "events", batch(1), batch(2))
		switch i % 5 {
		case 1:
			req = versionsRequest()
		case 2:
			req = produceRequest(-1, "events", batch(3, value, value, value))
		}
		req.SetVersion(min(9, req.MaxVersion()-1))
		stream = append(stream, format.AppendRequest(nil, req, int32(i))...)
		asked = append(asked, req)
	}
	sent := make(chan error, 1)
	go func() {
		for n := 1; len(stream) > 0; n = n*3%100_003 + 1 {
			n = min(n, len(stream))
			if _, err := nc.Write(stream[:n]); err != nil {
				sent <- err
				return
			}
			stream = stream[n:]
		}
		sent <- nil
	}()
	for i, req := range asked {
		resp := receive(t, nc, req)
		if p, ok := resp.(*kmsg.ProduceResponse); ok && p.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("request %d: %+v", i, p.Topics[0].Partitions[0])
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	big := fetchRequest("events", 0, 0)
	big.MaxBytes = 50 << 20
	big.Topics[0].Partitions[0].PartitionMaxBytes = 50 << 20
	resp := exchange(t, nc, 11, big).(*kmsg.FetchResponse)
	if got, want := len(resp.Topics[0].Partitions[0].RecordBatches), 12*3*len(value); got < want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	_ = nc.Close()
	shut(l)
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
}
