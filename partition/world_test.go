package partition

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// patience is how long a test waits for what must come, also on a machine that does much else.
const patience = time.Minute

// faults is what a test does to a disk. The zero value lets everything pass.
type faults struct {
	write, sync, syncAll atomic.Pointer[error] // returned by the calls, if set
	mkdir, removeAll     atomic.Pointer[error]
	syncAlls, syncs      atomic.Int64
	writes               atomic.Int64                  // appends
	hold                 atomic.Pointer[chan struct{}] // Sync waits for it to be closed
	holdRemoval          atomic.Pointer[chan struct{}] // and RemoveAll for this
}

func (f *faults) fail(at *atomic.Pointer[error], err error) {
	if err == nil {
		at.Store(nil)
		return
	}
	at.Store(&err)
}

func failure(at *atomic.Pointer[error]) error {
	if err := at.Load(); err != nil {
		return *err
	}
	return nil
}

type faultFS struct {
	env.FS
	*faults
}

type faultFile struct {
	env.File
	*faults
}

func (f faultFS) Open(name string, write bool) (env.File, error) {
	file, err := f.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return faultFile{file, f.faults}, nil
}

func (f faultFS) OpenDurable(name string) (env.DurableFile, error) {
	return env.SyncEach(f.Open(name, true))
}

func (f faultFS) Create(name string) (env.File, error) {
	file, err := f.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return faultFile{file, f.faults}, nil
}

func (f faultFS) Mkdir(name string) error {
	if err := failure(&f.mkdir); err != nil {
		return err
	}
	return f.FS.Mkdir(name)
}

func (f faultFS) RemoveAll(name string) error {
	if held := f.holdRemoval.Load(); held != nil {
		<-*held
	}
	if err := failure(&f.removeAll); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

func (f faultFS) SyncAll() error {
	f.syncAlls.Add(1)
	if err := failure(&f.syncAll); err != nil {
		return err
	}
	return f.FS.SyncAll()
}

func (f faultFile) WritevAt(bufs [][]byte, off int64) (int64, error) {
	f.writes.Add(1)
	if err := failure(&f.write); err != nil {
		// Half of the first buffer, as a disk that fills up does.
		n, _ := f.File.WriteAt(bufs[0][:len(bufs[0])/2], off)
		return int64(n), err
	}
	return f.File.WritevAt(bufs, off)
}

func (f faultFile) Sync() error {
	f.syncs.Add(1)
	if hold := f.hold.Load(); hold != nil {
		<-*hold
	}
	if err := failure(&f.sync); err != nil {
		return err
	}
	return f.File.Sync()
}

var (
	errDiskFull   = &os.PathError{Op: "pwritev", Path: "x", Err: syscall.ENOSPC}
	errDiskBroken = &os.PathError{Op: "fdatasync", Path: "x", Err: syscall.EIO}
)

// world is one node's partitions on a directory of the test: a system, a host and a table.
type world struct {
	t      testing.TB
	work   *workers
	path   string
	env    env.Env
	faults *faults
	system *actors.System
	table  *Table
	host   actors.PID
	config HostConfig
	offset int64
	panics atomic.Int64
	panik  bool // panics are part of the test
}

// workers knows when offloaded work has ended.
type workers struct {
	env.Offload
	running sync.WaitGroup
}

func (o *workers) Run(work func()) {
	o.running.Add(1)
	o.Offload.Run(func() {
		defer o.running.Done()
		work()
	})
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, path: t.TempDir(), env: osenv.New(), faults: &faults{}}
	w.work = &workers{Offload: w.env.Offload}
	w.env.Offload = w.work
	w.start()
	t.Cleanup(w.crash)
	return w
}

// start begins the life of a node.
func (w *world) start() {
	w.t.Helper()
	fsys, err := w.env.OpenFS(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.table, w.offset = NewTable(), 0
	logger := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w.system = actors.NewSystem(actors.Config{Env: w.env, Logger: logger, OnFailure: func(f actors.Failure) {
		w.panics.Add(1)
		if !w.panik {
			w.t.Errorf("an actor panicked: %v", f)
		}
	}})
	c := w.config
	c.Node, c.Table, c.Clock = 1, w.table, w.env.Clock
	c.Dirs = []Dir{{Name: "data", ID: "d1", FS: faultFS{fsys, w.faults}}}
	if w.host, err = w.system.Spawn(NewHost(c)); err != nil {
		w.t.Fatal(err)
	}
}

// crash ends the node without any goodbye: what was not flushed is still in the page cache, as after kill -9.
func (w *world) crash() {
	if w.system == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.system.Shutdown(ctx); err != nil {
		w.t.Errorf("shutdown: %v", err)
	}
	w.work.running.Wait() // a dead process does not write either
	w.system = nil
}

// stop ends the node clean.
func (w *world) stop() error {
	w.t.Helper()
	closed := ask[*LogsClosed](w, w.host, &CloseLogs{BrokerEpoch: 7})
	w.crash()
	return closed.Err
}

// ask sends a command and waits for its reply.
func ask[R any](w *world, to actors.PID, msg actors.Command) R {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := w.system.AskWait(ctx, to, msg)
	if err != nil {
		w.t.Fatalf("%T: %v", msg, err)
	}
	r, ok := reply.(R)
	if !ok {
		w.t.Fatalf("%T was answered by %#v", msg, reply)
	}
	return r
}

func diskConfig() protocol.LogConfig {
	return protocol.LogConfig{
		Delete: true, RetentionTime: -1, RetentionBytes: -1, SegmentBytes: 1 << 20, IndexIntervalBytes: 4096, MaxMessageBytes: 1 << 20,
		MinInsyncReplicas: 1, CompressionType: "producer",
	}
}

func osConfig() protocol.LogConfig {
	c := diskConfig()
	c.Durability = protocol.DurabilityOS
	return c
}

func leadOf(tp protocol.TopicPartition, config protocol.LogConfig) protocol.LeadPartition {
	return protocol.LeadPartition{
		Partition: tp, TopicName: "t", LeaderEpoch: 3, Replicas: []protocol.NodeID{1}, ISR: []protocol.NodeID{1}, Config: config, New: true,
	}
}

// hosts asks the host to lead partitions and returns what failed.
func (w *world) hosts(leads ...protocol.LeadPartition) []protocol.PartitionFault {
	w.t.Helper()
	w.offset++
	return ask[*protocol.PartitionsHosted](w, w.host, &protocol.HostPartitions{MetadataOffset: w.offset, Lead: leads}).Failed
}

// led hosts one partition that must be ready.
func (w *world) led(tp protocol.TopicPartition, config protocol.LogConfig) *Handle {
	w.t.Helper()
	lead := leadOf(tp, config)
	lead.New = w.offset == 0 && len(w.names()) == 0
	if failed := w.hosts(lead); len(failed) > 0 {
		w.t.Fatalf("hosting %v: %v", tp, failed)
	}
	h := w.table.Get(tp)
	if h == nil {
		w.t.Fatalf("%v is hosted but not in the table", tp)
	}
	return h
}

// names are the partition directories on the disk.
func (w *world) names() []string {
	entries, err := os.ReadDir(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// releases counts how often a buffer was given back.
type releases struct{ n atomic.Int64 }

func (r *releases) Release() { r.n.Add(1) }

type producing struct {
	pid      int64
	epoch    int16
	sequence int32
	records  int
	value    string
	txn      bool
}

func batchOf(p producing) record.Batch {
	o := record.Options{ProducerID: -1, Epoch: -1, BaseSequence: -1}
	if p.pid > 0 {
		o.ProducerID, o.Epoch, o.BaseSequence, o.Transactional = p.pid, p.epoch, p.sequence, p.txn
	}
	o.BaseTimestamp = 1000
	b := record.NewBuilder(o)
	for range max(1, p.records) {
		b.Append(1000, []byte("k"), []byte("v"+p.value), nil)
	}
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	return batch
}

func (w *world) message(h *Handle, b record.Batch) *protocol.Produce {
	return &protocol.Produce{
		Partition: h.Partition, LeaderEpoch: protocol.NoLeaderEpoch, Acks: -1, Deadline: w.env.Clock.Mono() + patience, Batch: b,
	}
}

func (w *world) produce(h *Handle, p producing) *protocol.Produced {
	w.t.Helper()
	m := w.message(h, batchOf(p))
	once := &releases{}
	m.Release = once
	out := ask[*protocol.Produced](w, h.PID, m)
	if n := once.n.Load(); n != 1 {
		w.t.Fatalf("the buffer was released %d times", n)
	}
	return out
}

func (w *world) appended(h *Handle, p producing, base int64) {
	w.t.Helper()
	if out := w.produce(h, p); out.Code != protocol.None || out.BaseOffset != base {
		w.t.Fatalf("produced %+v, want offset %d", out, base)
	}
}

// read returns the values between the log start and the bound, by walking Fetch as a consumer does.
func read(t testing.TB, v *View, from int64, committed bool) (values []string) {
	t.Helper()
	for {
		span, code := v.Fetch(from, 1<<20, committed)
		if code != protocol.None {
			t.Fatalf("fetch at %d: %s", from, code.Name())
		}
		if span.Len == 0 {
			return values
		}
		buf := make([]byte, span.Len)
		if _, err := v.Log.Read(span, buf); err != nil {
			t.Fatal(err)
		}
		span.Release()
		for len(buf) > 0 {
			size, err := record.Peek(buf)
			if err != nil {
				t.Fatal(err)
			}
			b := record.Batch(buf[:size])
			if err := b.Verify(); err != nil {
				t.Fatal(err)
			}
			if err := b.Each(nil, func(r record.Record) error {
				if r.Offset >= from {
					values = append(values, string(r.Value))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			from, buf = b.NextOffset(), buf[size:]
		}
	}
}

// until waits for a condition that other goroutines bring about.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// edge collects what is sent to it.
type edge struct {
	mu   sync.Mutex
	msgs []any
	pid  actors.PID
}

func (w *world) edge(name string) *edge {
	e := &edge{}
	e.pid = w.system.Edge(name, func(msg any) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.msgs = append(e.msgs, msg)
	})
	return e
}

func (e *edge) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.msgs)
}

func (e *edge) all() []any {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]any(nil), e.msgs...)
}

var tp0 = protocol.TopicPartition{Topic: protocol.TopicID{1, 2, 3, 15: 9}, Partition: 0}

var errAny = errors.New("any")
