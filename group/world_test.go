package group_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cmd/node"
	"github.com/troupe-broker/troupe/group"
	"github.com/troupe-broker/troupe/group/step"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// world is a node in the simulator: the composition the binary runs, on a simulated clock and disk. It is asked without clients.
type world struct {
	t        *testing.T
	sim      *sim.World
	host     *sim.Host
	process  *sim.Process
	node     *node.Node
	settings []protocol.ConfigEntry
	panics   int // that the test expects
	ready    bool
}

func newWorld(t *testing.T, settings ...protocol.ConfigEntry) *world {
	return newSeededWorld(t, 7, settings...)
}

func newSeededWorld(t *testing.T, seed uint64, settings ...protocol.ConfigEntry) *world {
	w := &world{t: t, sim: sim.NewWorld(seed, nil), settings: settings}
	w.host = w.sim.NewHost("a")
	w.boot()
	t.Cleanup(func() {
		for _, f := range w.sim.Failures() {
			t.Error(f)
		}
		if w.panics != 0 {
			t.Errorf("%d panics were expected and did not come", w.panics)
		}
	})
	return w
}

// set is a setting.
func set(key, value string) protocol.ConfigEntry { return protocol.ConfigEntry{Key: key, Value: value} }

// boot starts the node and waits until it is ready.
func (w *world) boot() {
	w.t.Helper()
	w.process, w.ready = w.host.Boot(), false
	base := []protocol.ConfigEntry{
		set("node.id", "1"), set("log.dirs", "/data"), set("listeners", "PLAINTEXT://127.0.0.1:9092"), set("offsets.topic.num.partitions", "3"),
		set("transaction.state.log.num.partitions", "2"), set("group.initial.rebalance.delay.ms", "0"),
	}
	b, err := config.NewBroker(config.Values{Static: config.Sort(append(base, w.settings...))})
	if err != nil {
		w.t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w.node, err = node.Build(w.process.Env(), node.Config{
		Settings: b, Version: "test", Logger: logger, Dispatcher: w.process.Dispatcher(), OnDeliver: w.process.OnDeliver,
		OnFailure: func(f actors.Failure) {
			if w.panics > 0 {
				w.panics--
				return
			}
			w.process.OnFailure(f)
		},
		Ready: func() { w.ready = true }, Failed: func(err error) { w.t.Errorf("the node failed: %v", err) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("the node is ready", func() bool { return w.ready })
}

// kill ends the process as kill -9 does, and starts the next.
func (w *world) kill() {
	w.t.Helper()
	w.process.Kill()
	w.boot()
}

// powerLoss takes from the disk what was not synced, and starts the node again.
func (w *world) powerLoss() {
	w.t.Helper()
	w.process.PowerLoss(sim.Crash{})
	w.boot()
}

func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	if !w.sim.RunUntil(time.Minute, done) {
		w.t.Fatalf("in vain: %s", what)
	}
}

// send asks and returns where the answer will be.
func send[R any](w *world, to actors.PID, m actors.Command) *R {
	var out R
	answered := new(R)
	w.node.System().Ask(to, m, time.Minute, func(reply any, err error) {
		r, ok := reply.(R)
		if err != nil || !ok {
			w.t.Errorf("%T was answered with %#v, %v", m, reply, err)
			return
		}
		out = r
		*answered = out
	})
	return answered
}

// ask waits for the answer.
func ask[R comparable](w *world, to actors.PID, m actors.Command) R {
	w.t.Helper()
	var none R
	got := send[R](w, to, m)
	w.until(fmt.Sprintf("an answer to %T", m), func() bool { return *got != none })
	return *got
}

// coordinator makes sure that there is one, and finds it.
func (w *world) coordinator(id string) actors.PID {
	w.t.Helper()
	return w.find(w.node.Groups().EnsureGroup, w.node.Groups().Group, id)
}

func (w *world) transactions(id string) actors.PID {
	w.t.Helper()
	return w.find(w.node.Groups().EnsureTransaction, w.node.Groups().Transaction, id)
}

func (w *world) find(ensure func(string, time.Duration, func(protocol.NodeID, protocol.Code)), get func(string) (actors.PID, protocol.Code), id string) actors.PID {
	w.t.Helper()
	done, code := false, protocol.Code(-1)
	ensure(id, 30*time.Second, func(_ protocol.NodeID, c protocol.Code) { done, code = true, c })
	w.until("a coordinator", func() bool { return done })
	if code != protocol.None {
		w.t.Fatalf("the coordinator of %q: %s", id, code.Name())
	}
	pid, code := get(id)
	if code != protocol.None {
		w.t.Fatalf("the coordinator of %q: %s", id, code.Name())
	}
	return pid
}

// topic makes a topic and returns the handles of its partitions.
func (w *world) topic(name string, partitions int32) []*partition.Handle {
	w.t.Helper()
	done := false
	w.node.System().Ask(w.controller(), &protocol.CreateTopics{Topics: []protocol.NewTopic{{Name: name, Partitions: partitions, ReplicationFactor: 1}}}, time.Minute,
		func(reply any, err error) { done = true })
	w.until("a topic", func() bool { return done })
	return w.handles(name)
}

func (w *world) controller() actors.PID {
	return actors.NewPID(w.node.System().Address(), "controller")
}

func (w *world) handles(name string) (out []*partition.Handle) {
	t, ok := w.node.Images().Load().Topic(name)
	if !ok {
		w.t.Fatalf("there is no topic %q", name)
	}
	for n := range t.NumPartitions() {
		out = append(out, w.node.Table().Get(protocol.TopicPartition{Topic: t.ID, Partition: n}))
	}
	return out
}

// log is the partition of the internal topic that an id belongs to.
func (w *world) log(topic, id string) *partition.Handle {
	all := w.handles(topic)
	return all[group.PartitionOf(id, int32(len(all)))]
}

// committing is a plain commit.
func committing(id string, offsets ...protocol.CommitOffset) *protocol.CommitOffsets {
	return &protocol.CommitOffsets{Member: protocol.Member{GroupID: id}, Generation: -1, ProducerID: protocol.NoProducerID, Retention: -1, Offsets: offsets}
}

func at(topic string, partition int32, offset int64) protocol.CommitOffset {
	return protocol.CommitOffset{Topic: topic, Partition: partition, Offset: offset, LeaderEpoch: -1}
}

func (w *world) commit(id string, offsets ...protocol.CommitOffset) {
	w.t.Helper()
	for i, code := range ask[*protocol.OffsetsCommitted](w, w.coordinator(id), committing(id, offsets...)).Codes {
		if code != protocol.None {
			w.t.Fatalf("row %d of a commit: %s", i, code.Name())
		}
	}
}

// committed is the position of one partition; -1 if there is none.
func (w *world) committed(id, topic string, partition int32) int64 {
	w.t.Helper()
	return w.fetch(id, topic, partition, false).Offset
}

func (w *world) fetch(id, topic string, partition int32, stable bool) protocol.CommitOffset {
	w.t.Helper()
	m := &protocol.FetchOffsets{
		Member: protocol.Member{GroupID: id}, Generation: -1, RequireStable: stable, Wanted: []protocol.WantedOffset{{Topic: topic, Partition: partition}},
	}
	got := ask[*protocol.OffsetsFetched](w, w.coordinator(id), m)
	if got.Failed() || len(got.Offsets) != 1 {
		w.t.Fatalf("fetching offsets: %+v", got)
	}
	return got.Offsets[0]
}

func (w *world) expect(id, topic string, partition int32, want int64) {
	w.t.Helper()
	if got := w.committed(id, topic, partition); got != want {
		w.t.Errorf("group %q, %s-%d: offset %d is committed, want %d", id, topic, partition, got, want)
	}
}

// append writes a batch into an internal topic behind its coordinator's back, or a data batch.
func (w *world) append(h *partition.Handle, o record.Options, records ...step.Record) *protocol.Produced {
	w.t.Helper()
	b := record.NewBuilder(o)
	for _, r := range records {
		b.Append(w.process.Env().Clock.Now().UnixMilli(), r.Key, r.Value, nil)
	}
	batch, err := b.Build()
	if err != nil {
		w.t.Fatal(err)
	}
	m := &protocol.Produce{Partition: h.Partition, LeaderEpoch: -1, Acks: -1, Deadline: 1 << 62, Batch: batch, Internal: true}
	return ask[*protocol.Produced](w, h.PID, m)
}
