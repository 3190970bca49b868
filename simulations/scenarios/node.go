package scenarios

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	broker "github.com/troupe-broker/troupe/cmd/node"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/simulations/sim"
	"github.com/troupe-broker/troupe/transport/kafka"
	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// node is one life of the node under test: the composition the binary runs, without sockets.
type node struct {
	run      *run
	process  *sim.Process
	broker   *broker.Node
	memory   *wire.Memory
	ready    bool // clients are let in
	stopping bool
	injected int64 // errors the disk had injected when this life began
	sessions []*session
}

// stopMax bounds a clean stop, in virtual time.
const stopMax = 30 * time.Second

// journalSize is small, so that the two files of a journal take turns.
const journalSize = 32 << 10

// startNode builds the node in a process; nil if it could not be built, which ends the process.
func startNode(r *run, p *sim.Process) *node {
	n := &node{run: r, process: p, memory: wire.NewMemory(64 << 20), injected: r.host.Disk.Injected}
	settings, err := config.NewBroker(config.Values{Static: r.settings()})
	if err != nil {
		r.world.Fail("settings: %v", err)
		return nil
	}
	n.broker, err = broker.Build(p.Env(), broker.Config{
		Settings: settings, Version: "simulated", Logger: p.Logger(func(m string) { r.count("log: " + m) }), Dispatcher: p.Dispatcher(), OnFailure: p.OnFailure,
		OnDeliver: p.OnDeliver, AdjustLog: r.adjustLog, JournalSize: journalSize, Ready: func() { n.ready = true }, Failed: n.failed,
	})
	if err != nil {
		n.failed(err)
		return nil
	}
	return n
}

// settings are those of server.properties.
func (r *run) settings() []protocol.ConfigEntry {
	entries := []protocol.ConfigEntry{
		{Key: "node.id", Value: "1"},
		{Key: "log.dirs", Value: r.plan.LogDirs},
		{Key: "listeners", Value: "PLAINTEXT://127.0.0.1:9092"},
		{Key: "log.retention.check.interval.ms", Value: "300"},
		{Key: "log.flush.offset.checkpoint.interval.ms", Value: "400"},
		{Key: "transaction.state.log.num.partitions", Value: "2"},
		{Key: "transaction.abort.timed.out.transaction.cleanup.interval.ms", Value: "1000"},
	}
	if r.plan.Coordinators {
		entries = append(entries, coordinatorSettings...)
	}
	if d := r.plan.Clients.OffsetRetention; d > 0 {
		entries = append(entries, protocol.ConfigEntry{Key: "offsets.retention.minutes", Value: strconv.Itoa(int(d.Minutes()))},
			protocol.ConfigEntry{Key: "offsets.retention.check.interval.ms", Value: "2000"})
	}
	if n := r.plan.Clients.GroupMax; n > 0 {
		size := strconv.Itoa(n)
		entries = append(entries, protocol.ConfigEntry{Key: "group.max.size", Value: size}, protocol.ConfigEntry{Key: "group.consumer.max.size", Value: size})
	}
	return config.Sort(entries)
}

// coordinatorSettings make sessions and rebalances short, and let the cleaner meet the internal topics.
var coordinatorSettings = []protocol.ConfigEntry{
	{Key: "offsets.topic.num.partitions", Value: "2"},
	{Key: "group.min.session.timeout.ms", Value: "500"},
	{Key: "group.initial.rebalance.delay.ms", Value: "100"},
	{Key: "group.consumer.min.session.timeout.ms", Value: "1000"},
	{Key: "group.consumer.session.timeout.ms", Value: "1500"},
	{Key: "group.consumer.min.heartbeat.interval.ms", Value: "100"},
	{Key: "group.consumer.heartbeat.interval.ms", Value: "300"},
	{Key: "log.cleaner.backoff.ms", Value: "300"},
}

// adjustLog makes logs smaller than topic configurations may.
func (r *run) adjustLog(c *protocol.LogConfig) {
	c.SegmentBytes, c.IndexIntervalBytes = r.plan.SegmentBytes, r.plan.IndexBytes
	if c.RetentionBytes >= 0 {
		c.RetentionBytes = 3 * r.plan.SegmentBytes
	}
}

// failed ends a process that cannot go on. Without a fault of the disk there is no reason for it.
func (n *node) failed(err error) {
	n.run.world.Trace.Printf("the node cannot go on: %v", err)
	if !n.troubled() && !n.process.Dead() {
		n.run.world.Fail("without a fault: the node cannot go on: %v", err)
	}
	n.process.After(0, func() { n.run.dropped(n.process.Exit()) })
}

// troubled reports whether the disk gave this life an error.
func (n *node) troubled() bool {
	d := n.run.host.Disk
	return d.Injected > n.injected || d.Capacity > 0 || n.run.wasFull
}

// wounded reports whether something is offline that a restart could heal.
func (n *node) wounded() bool {
	if n == nil || !n.ready {
		return true
	}
	wounded := false
	n.broker.Table().Each(func(h *partition.Handle) bool {
		wounded = wounded || h.View().Err == protocol.KafkaStorageError
		return !wounded
	})
	return wounded
}

// accept makes the node's end of a connection; nil while nobody listens.
func (r *run) accept(c *sim.Conn) sim.Server {
	n := r.node
	if n == nil || !n.ready || n.stopping || n.process != c.Process() {
		return nil
	}
	peer := api.Peer{
		Listener: "PLAINTEXT", Local: netip.MustParseAddrPort("127.0.0.1:9092"), Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(10000+c.ID%50000)),
	}
	s := newSession(c, n.memory, r.sessions, func(wake func()) *kafka.Session { return n.broker.NewSession(peer, wake) })
	n.sessions = append(n.sessions, s)
	return s
}

// stopCleanly stops the node as SIGTERM does; it then starts again. Sometimes the machine loses its power in between, which must not
// matter: a clean stop leaves nothing un-synced, whatever the durability.
func (r *run) stopCleanly() {
	n := r.node
	if n == nil || !n.ready || n.stopping || n.process.Paused() {
		return
	}
	r.count("clean stops")
	n.stopping = true
	for _, s := range n.sessions {
		s.hangUp(kafka.ErrClosed)
	}
	stopped := false
	n.broker.CloseLogs(0, func(err error) {
		if err != nil && !n.troubled() && !n.process.Dead() && len(r.rotten) == 0 {
			r.world.Fail("clean stop: %v", err)
		}
		n.process.After(0, func() {
			n.broker.System().StopAll()
			n.leave(err == nil, &stopped)
		})
	})
	n.process.After(stopMax, func() {
		if !stopped {
			r.world.Fail("clean stop: %d actors still run after %v", n.broker.System().Stats().Actors, stopMax)
		}
	})
}

// leave waits for the last actor and ends the process.
func (n *node) leave(clean bool, stopped *bool) {
	if n.broker.System().Stats().Actors > 0 {
		n.process.After(time.Millisecond, func() { n.leave(clean, stopped) })
		return
	}
	*stopped = true
	if err := n.broker.Release(); err != nil && !n.troubled() {
		n.run.world.Fail("clean stop: %v", err)
	}
	n.run.dropped(n.process.Exit())
	if clean && n.run.down.Chance(0.5) {
		n.run.count("power losses after clean stops")
		n.process.PowerLoss(sim.DrawCrash(n.run.down))
	}
}
