package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster"
	"github.com/troupe-broker/troupe/cluster/controller"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// world is a node without disk workers, raft or sockets, on one goroutine and a clock moved by hand: partitions are fakes over real
// logs, the controller is a fake over real images. Messages wait in queue until the test lets them run.
type world struct {
	t      testing.TB
	clock  *handClock
	system *actors.System
	server *api.Server
	table  *partition.Table
	memory *wire.Memory
	fs     env.FS
	files  *storage.Files
	ctl    *fakeController
	parts  map[protocol.TopicPartition]*fakePartition

	settings api.Settings
	keep     bool // sessions are closed by the test
	live     bool // on real threads

	mu    sync.Mutex
	queue []func()
	img   *image.Image
}

func (w *world) Load() *image.Image { return w.img }

// Schedule implements actors.Dispatcher.
func (w *world) Schedule(run func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, run)
}

// Turn implements actors.Dispatcher.
func (w *world) Turn() int { return 1 }

// run lets everything that waits happen.
func (w *world) run() {
	for {
		w.mu.Lock()
		if len(w.queue) == 0 {
			w.mu.Unlock()
			return
		}
		f := w.queue[0]
		w.queue = w.queue[1:]
		w.mu.Unlock()
		f()
	}
}

// advance moves the clock and lets what is due happen.
func (w *world) advance(d time.Duration) {
	w.clock.advance(d)
	w.run()
}

type counter struct{ n uint64 }

func (c *counter) Uint64() uint64 { c.n += 0x9e3779b97f4a7c15; return c.n }

const self protocol.NodeID = 1

func newWorld(t testing.TB) *world {
	w := &world{t: t, clock: &handClock{wall: time.UnixMilli(1_700_000_000_000)}}
	w.found(w.clock, w, slog.New(slog.DiscardHandler))
	return w
}

// newLiveWorld is a world on real threads and real time, for sockets.
func newLiveWorld(t testing.TB, log *slog.Logger) *world {
	w := &world{t: t, live: true}
	w.found(osenv.New().Clock, nil, log)
	return w
}

// found builds everything.
func (w *world) found(clock env.Clock, dispatcher actors.Dispatcher, log *slog.Logger) {
	t := w.t
	w.table, w.memory, w.parts, w.img = partition.NewTable(), wire.NewMemory(1<<30), map[protocol.TopicPartition]*fakePartition{}, image.Empty()
	w.settings = api.Settings{AutoCreateTopicsEnable: true, FetchMaxBytes: 55 << 20, MaxRequestPartitionSizeLimit: 2000}
	real := osenv.New()
	fs, err := real.OpenFS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.fs, w.files = fs, storage.NewFiles(fs, 100)
	w.system = actors.NewSystem(actors.Config{Env: env.Env{Clock: clock, Rand: &counter{}, Offload: real.Offload}, Dispatcher: dispatcher,
		OnFailure: func(f actors.Failure) { t.Errorf("an actor failed: %v\n%s", f.Panic, f.Stack) }})
	w.ctl = &fakeController{w: w, ids: 4000}
	ctl := w.spawn("controller", w.ctl)
	controller := func() actors.PID { return ctl }
	ids, err := w.system.Spawn(cluster.NewProducerIDs(controller))
	if err != nil {
		t.Fatal(err)
	}
	w.server = api.NewServer(api.Config{
		NodeID: self, System: w.system, Clock: clock, Logger: log, Rand: &counter{}, Table: w.table, Images: w, Controller: controller,
		Settings: func() *api.Settings { return &w.settings }, FetchSlots: NewFetchSlots(10), LoginFailures: &LoginFailures{}, ProducerIDs: ids,
		LogDirs: []api.LogDir{{Path: "/data", Space: func() (int64, int64, error) { return 10, 20, nil }}},
	})
	w.apply(&image.ClusterFounded{ClusterID: "cluster-of-the-test-00"}, &image.BrokerRegistered{Node: self, Listeners: []image.Listener{{Name: "PLAINTEXT", Host: "registered", Port: 1}}},
		&image.BrokerRegistered{Node: 2, Rack: "far", Listeners: []image.Listener{{Name: "PLAINTEXT", Host: "other.example", Port: 9093}}})
	w.img = w.img.WithController(self)
	t.Cleanup(w.close)
}

func (w *world) close() {
	if w.live {
		_ = w.system.Shutdown(context.Background())
	}
	for _, p := range w.parts {
		_ = p.log.Close(true)
	}
	_ = w.fs.Close()
}

func (w *world) spawn(name string, a actors.Actor) actors.PID {
	pid, err := w.system.Spawn(actors.Spec{Name: name, New: func() actors.Actor { return a }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.run()
	return pid
}

func (w *world) apply(records ...image.Record) {
	w.img, _ = w.img.Apply(w.img.MetadataOffset+1, records)
}

func topicID(name string) (id protocol.TopicID) {
	copy(id[:], name+"----------------")
	return id
}

func logConfig() *protocol.LogConfig {
	return &protocol.LogConfig{Delete: true, RetentionTime: -1, RetentionBytes: -1, SegmentBytes: 1 << 20, SegmentTime: 1 << 62, IndexIntervalBytes: 4096,
		MaxMessageBytes: 1 << 20, MinInsyncReplicas: 1, CompressionType: "producer", TimestampBeforeMax: 1 << 62, TimestampAfterMax: time.Hour}
}

// topic makes a topic whose partitions are led here.
func (w *world) topic(name string, partitions int32, change ...func(*protocol.LogConfig)) []*fakePartition {
	records := []image.Record{&image.TopicCreated{Name: name, ID: topicID(name)}}
	config := logConfig()
	for _, f := range change {
		f(config)
	}
	var out []*fakePartition
	for i := range partitions {
		records = append(records, &image.PartitionAdded{Topic: topicID(name), Partition: i, Leader: self, LeaderEpoch: 3, Replicas: []protocol.NodeID{self}, ISR: []protocol.NodeID{self}})
		out = append(out, w.host(name, i, config))
	}
	w.apply(records...)
	return out
}

func (w *world) host(name string, number int32, config *protocol.LogConfig) *fakePartition {
	tp := protocol.TopicPartition{Topic: topicID(name), Partition: number}
	log, err := storage.Create(storage.Options{Dir: tp.String(), Config: *config, FS: w.fs, Files: w.files})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &fakePartition{w: w, log: log, config: config, leader: true, stable: -1}
	w.parts[tp] = p
	pid := w.spawn("partition "+tp.String(), p)
	p.handle = partition.NewHandle(tp, name, pid, &partition.View{Config: config})
	p.handle.Dir = "/data"
	p.publish()
	w.table.Put(p.handle)
	return p
}

// fakePartition appends at once and answers at once, unless it is told to hold its answers.
type fakePartition struct {
	w      *world
	log    *storage.Log
	handle *partition.Handle
	config *protocol.LogConfig
	leader bool
	stable int64 // last stable offset; -1: the log end
	hold   bool
	mute   bool // takes requests and never answers
	full   bool // has no room for readers that wait
	awaits int  // how often it was asked to wait
	fault  protocol.Fault
	held   []func(*actors.Context)
	waits  []*protocol.AwaitRecords
	got    []any
}

func (p *fakePartition) publish() {
	end, stable := p.log.EndOffset(), p.stable
	if stable < 0 {
		stable = end
	}
	p.handle.Publish(&partition.View{Log: p.log.View(), Config: p.config, LogStartOffset: p.log.StartOffset(), LastStableOffset: stable, HighWatermark: end,
		LogEndOffset: end, LeaderEpoch: 3, Leader: p.leader})
}

type flush struct{}

func (p *fakePartition) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.Produce:
		p.got = append(p.got, *m)
		answer := p.produce(m)
		if m.Acks == 0 {
			return
		}
		if p.hold || p.mute {
			p.held = append(p.held, func(ctx *actors.Context) { ctx.Send(m.ReplyTo, answer) })
		} else {
			ctx.Send(m.ReplyTo, answer)
		}
		p.wake(ctx)
	case *protocol.AwaitRecords:
		p.got = append(p.got, *m)
		if p.awaits++; p.full {
			ctx.Send(m.ReplyTo, &protocol.RecordsReady{Answer: protocol.Answer{ID: m.ID}})
			return
		}
		p.waits = append(p.waits, m)
		p.wake(ctx)
	case *protocol.ForgetAwait:
		p.got = append(p.got, *m)
		p.waits = slices.DeleteFunc(p.waits, func(a *protocol.AwaitRecords) bool { return a.ID == m.ID && a.ReplyTo.Equal(m.ReplyTo) })
	case *protocol.DeleteRecords:
		p.deleteRecords(ctx, m)
	case *protocol.DescribeProducers:
		ctx.Send(m.ReplyTo, &protocol.ProducersDescribed{Answer: protocol.Answer{ID: m.ID}, Producers: []protocol.ProducerInfo{{ProducerID: 9, LastSequence: 4, TxnStartOffset: -1}}})
	case flush:
		for _, f := range p.held {
			f(ctx)
		}
		p.held = nil
		p.wake(ctx)
	}
}

func (p *fakePartition) produce(m *protocol.Produce) *protocol.Produced {
	out := &protocol.Produced{Answer: protocol.Answer{ID: m.ID}, BaseOffset: -1, LogAppendTime: -1, LogStartOffset: p.log.StartOffset(), LeaderEpoch: 3}
	if out.Fault = p.fault; !p.fault.Failed() {
		b := record.Batch(m.Batch)
		out.BaseOffset = p.log.EndOffset()
		b.SetBaseOffset(out.BaseOffset)
		b.SetLeaderEpoch(3)
		if err := p.log.Append([]record.Batch{b}); err != nil {
			p.w.t.Error(err)
		}
		p.publish()
	}
	if m.Release != nil {
		m.Release.Release()
	}
	return out
}

func (p *fakePartition) deleteRecords(ctx *actors.Context, m *protocol.DeleteRecords) {
	before := m.Before
	if before < 0 {
		before = p.log.EndOffset()
	}
	if err := p.log.AdvanceStart(before); err != nil {
		p.w.t.Error(err)
	}
	p.publish()
	ctx.Send(m.ReplyTo, &protocol.RecordsDeleted{Answer: protocol.Answer{ID: m.ID}, LowWatermark: p.log.StartOffset()})
}

// wake answers those who wait for what is there.
func (p *fakePartition) wake(ctx *actors.Context) {
	view := p.handle.View()
	p.waits = slices.DeleteFunc(p.waits, func(a *protocol.AwaitRecords) bool {
		if view.Leader && view.Bound(a.Committed) <= a.Offset {
			return false
		}
		ctx.Send(a.ReplyTo, &protocol.RecordsReady{Answer: protocol.Answer{ID: a.ID}})
		return true
	})
}

func (p *fakePartition) flush() {
	p.w.system.Send(p.handle.PID, flush{})
	p.w.run()
}

// fakeController does as it is told.
type fakeController struct {
	w     *world
	ids   protocol.ProducerID
	got   []any
	fault protocol.Fault
	mute  bool
}

func (c *fakeController) Receive(ctx *actors.Context, msg any) {
	if c.mute {
		return
	}
	switch m := msg.(type) {
	case *protocol.CreateTopics:
		c.got = append(c.got, m)
		out := &protocol.TopicsCreated{Answer: protocol.Answer{ID: m.ID}}
		for _, t := range m.Topics {
			r := protocol.TopicResult{Name: t.Name, ID: topicID(t.Name), Fault: c.fault, Partitions: max(1, t.Partitions), ReplicationFactor: 1}
			if !c.fault.Failed() && !m.ValidateOnly {
				c.w.topic(t.Name, r.Partitions)
			}
			out.Topics = append(out.Topics, r)
		}
		ctx.Send(m.ReplyTo, out)
	case *protocol.DeleteTopics:
		c.got = append(c.got, m)
		out := &protocol.TopicsDeleted{Answer: protocol.Answer{ID: m.ID}}
		for _, t := range m.Topics {
			out.Topics = append(out.Topics, protocol.TopicResult{Name: t.Name, ID: t.ID, Fault: c.fault})
		}
		ctx.Send(m.ReplyTo, out)
	case *protocol.CreatePartitions:
		out := &protocol.PartitionsCreated{Answer: protocol.Answer{ID: m.ID}}
		for _, t := range m.Topics {
			out.Topics = append(out.Topics, protocol.TopicResult{Name: t.Name, Fault: c.fault})
		}
		ctx.Send(m.ReplyTo, out)
	case *protocol.AlterConfigs:
		c.got = append(c.got, m)
		out := &protocol.ConfigsAltered{Answer: protocol.Answer{ID: m.ID}}
		for _, r := range m.Resources {
			out.Resources = append(out.Resources, protocol.ResourceResult{Type: r.Type, Name: r.Name, Fault: c.fault})
		}
		ctx.Send(m.ReplyTo, out)
	case *protocol.AlterScramCredentials:
		c.got = append(c.got, m)
		d := controller.Decide(c.w.img, controller.Now{Self: self}, m)
		c.w.apply(d.Records...)
		ctx.Send(m.ReplyTo, d.Answer)
	case *protocol.DescribeQuorum:
		ctx.Send(m.ReplyTo, &protocol.QuorumDescribed{Answer: protocol.Answer{ID: m.ID}, Leader: self, Epoch: 6, HighWatermark: 40, Voters: []protocol.QuorumVoter{{Node: self, LogEnd: 41}}})
	case *protocol.AllocateProducerIDs:
		ctx.Send(m.ReplyTo, &protocol.ProducerIDsAllocated{Answer: protocol.Answer{ID: m.ID}, Fault: c.fault, First: c.ids, Count: 2})
		c.ids += 2
	}
}

type asked struct {
	kmsg.Request
	id int32
}

// client drives one session.
type client struct {
	w       *world
	session *Session
	woken   bool
	next    int32
	asked   []asked // not answered, by order; acks=0 is not among them
	format  *kmsg.RequestFormatter
	stream  []byte
	err     error // the connection's end
}

func (w *world) connect() *client {
	c := &client{w: w, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("tester")), next: 100}
	peer := api.Peer{Listener: "PLAINTEXT", Local: netip.MustParseAddrPort("127.0.0.1:19092"), Remote: netip.MustParseAddrPort("127.0.0.1:5555")}
	c.session = NewSession(w.server, peer, func() { c.woken = true })
	if !w.keep {
		w.t.Cleanup(c.session.Close)
	}
	return c
}

// frame hands over one frame, without its length.
func (c *client) frame(b []byte) error {
	buf := c.w.memory.Buffer(len(b))
	n := copy(buf.Bytes(), b)
	if err := c.session.Handle(wire.Frame{Data: buf.Bytes()[:n], Buf: buf}); err != nil && c.err == nil {
		c.err = err
	}
	return c.err
}

// send sends a request and lets the world run.
func (c *client) send(version int16, req kmsg.Request) {
	c.push(version, req)
	c.w.run()
	c.drain()
}

// push sends a request and lets nothing run.
func (c *client) push(version int16, req kmsg.Request) {
	req.SetVersion(version)
	if p, ok := req.(*kmsg.ProduceRequest); !ok || p.Acks != 0 {
		c.asked = append(c.asked, asked{req, c.next})
	}
	_ = c.frame(c.format.AppendRequest(nil, req, c.next)[4:])
	c.next++
}

// drain takes what the session has for the wire.
func (c *client) drain() {
	for c.woken {
		c.woken = false
		var o wire.Out
		for {
			err := c.session.Drain(&o)
			if err != nil && c.err == nil {
				c.err = err
			}
			if o.Len() == 0 {
				break
			}
			var rerr error
			if c.stream, rerr = o.AppendTo(c.stream); rerr != nil {
				c.w.t.Fatal(rerr)
			}
			o.Reset(0)
		}
		c.w.run()
	}
}

// reply is the next reply, decoded, or nil if there is none.
func (c *client) reply() kmsg.Response {
	c.w.t.Helper()
	c.w.run()
	c.drain()
	if len(c.stream) == 0 {
		return nil
	}
	if len(c.asked) == 0 {
		c.w.t.Fatalf("a reply that nobody waits for: %x", c.stream)
	}
	req := c.asked[0]
	c.asked = c.asked[1:]
	n := int(binary.BigEndian.Uint32(c.stream))
	body := c.stream[4 : 4+n]
	c.stream = c.stream[4+n:]
	if id := int32(binary.BigEndian.Uint32(body)); id != req.id {
		c.w.t.Fatalf("correlation id %d came before %d", id, req.id)
	}
	body = body[4:]
	resp := req.ResponseKind()
	if resp.IsFlexible() && resp.Key() != 18 {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		c.w.t.Fatalf("%T v%d: %v", resp, resp.GetVersion(), err)
	}
	if again := resp.AppendTo(nil); len(again) != len(body) {
		c.w.t.Fatalf("%T v%d: %d bytes left over", resp, resp.GetVersion(), len(body)-len(again))
	}
	return resp
}

// ask sends a request and wants its reply at once.
func ask[R kmsg.Response](c *client, version int16, req kmsg.Request) R {
	c.w.t.Helper()
	c.send(version, req)
	resp, ok := c.reply().(R)
	if !ok {
		c.w.t.Fatalf("%T v%d: no answer (%v)", req, version, c.err)
	}
	return resp
}

// batch is a batch of n records of a producer without id.
func batch(n int, values ...string) []byte {
	b := record.NewBuilder(record.Options{ProducerID: record.NoProducerID, Epoch: -1, BaseSequence: -1, BaseTimestamp: 1_700_000_000_000})
	for i := range n {
		value := fmt.Sprint("value ", i)
		if i < len(values) {
			value = values[i]
		}
		b.Append(1_700_000_000_000+int64(i), []byte("key"), []byte(value), nil)
	}
	out, err := b.Build()
	if err != nil {
		panic(err)
	}
	return out
}

// handClock is a clock that stands still until it is advanced.
type handClock struct {
	mu     sync.Mutex
	wall   time.Time
	mono   time.Duration
	timers []*handTimer
}

type handTimer struct {
	c   *handClock
	due time.Duration
	f   func()
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall.Add(c.mono)
}

func (c *handClock) Mono() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

func (c *handClock) AfterFunc(d time.Duration, f func()) env.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &handTimer{c, c.mono + d, f}
	c.timers = append(c.timers, t)
	return t
}

func (t *handTimer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	n := len(t.c.timers)
	t.c.timers = slices.DeleteFunc(t.c.timers, func(o *handTimer) bool { return o == t })
	return len(t.c.timers) < n
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	end := c.mono + d
	for {
		i := -1
		for j, t := range c.timers {
			if t.due <= end && (i < 0 || t.due < c.timers[i].due) {
				i = j
			}
		}
		if i < 0 {
			break
		}
		t := c.timers[i]
		c.timers = slices.Delete(c.timers, i, i+1)
		c.mono = max(c.mono, t.due)
		c.mu.Unlock()
		t.f()
		c.mu.Lock()
	}
	c.mono = end
	c.mu.Unlock()
}

// elsewhere is a topic with one partition that node 2 leads.
func elsewhere() []image.Record {
	return []image.Record{&image.TopicCreated{Name: "elsewhere", ID: topicID("elsewhere")},
		&image.PartitionAdded{Topic: topicID("elsewhere"), Leader: 2, LeaderEpoch: 8, Replicas: []protocol.NodeID{2, 1}, ISR: []protocol.NodeID{2}}}
}
