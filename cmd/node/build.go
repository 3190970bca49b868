package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/transport/httpd"
	"github.com/troupe-broker/troupe/transport/kafka"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// metadataFilesMax bounds the open files of the metadata log, which has few segments and one reader.
const metadataFilesMax = 16

// Config of a node.
type Config struct {
	// Settings as they are at start; dynamic ones come from the metadata.
	Settings *config.Broker
	Version  string
	Logger   *slog.Logger // nil: silence
	// Loggers are the levels of Logger; nil if nobody can change them.
	Loggers *Loggers
	// Dispatcher runs the actors; nil is a pool of threads. The simulator has its own.
	Dispatcher actors.Dispatcher
	// OnDeliver hears of every message before an actor gets it. It may be nil and must not block.
	OnDeliver func(to actors.PID, msg any)
	// Descriptors is how many files and sockets the process may have open; 0: nobody counts them. Start asks the system.
	Descriptors int
	// AdjustLog, JournalSize: see partition.HostConfig.
	AdjustLog   func(*protocol.LogConfig)
	JournalSize int64
	// OnFailure hears of every panic of an actor, OnDeadLetter of every lost message. They may be nil and must not block.
	OnFailure    func(actors.Failure)
	OnDeadLetter func(to actors.PID, msg any)
	// Ready is called once, on any thread, when clients can be served; Failed once, if the node cannot go on and must be stopped. They
	// may be nil and must not block.
	Ready  func()
	Failed func(error)
}

// Node is one broker.
type Node struct {
	config   Config
	settings *config.Broker
	env      env.Env
	log      *slog.Logger
	id       identity
	began    time.Duration // monotonic

	dirs        []*directory
	metadata    *directory // of the metadata log; one of dirs, or behind them
	system      *actors.System
	table       *partition.Table
	images      *cluster.Images
	descriptors descriptors
	host        actors.PID
	reader      actors.PID // of partitions, for native clients
	control     actors.PID
	groups      *group.Directory
	gauges      group.Metrics // of groups and transactions
	server      *api.Server
	metrics     *httpd.Metrics
	current     atomic.Pointer[resolved]

	ready  atomic.Bool
	failed atomic.Pointer[error] // why the node cannot go on

	http    []net.Listener
	httpd   *httpd.Server // nil: none
	broken  chan error    // the first failure; buffered
	serving atomic.Bool   // Kafka listeners are open

	mu    sync.Mutex
	kafka []*kafka.Listener // guarded by mu while Start runs
}

// resolved are the settings in force under one image.
type resolved struct {
	image   *image.Image
	api     api.Settings
	cleaner partition.CleanerConfig
	// producerExpiry is producer.id.expiration.ms.
	producerExpiry time.Duration
}

// Build opens and locks the directories and spawns the actors. It does not wait for them: Config.Ready says when they are ready, and
// Config.Failed that they will not be. On an error nothing is left open.
func Build(e env.Env, c Config) (*Node, error) {
	n := &Node{config: c, settings: c.Settings, env: e, log: c.Logger, began: e.Clock.Mono(), table: partition.NewTable(), images: cluster.NewImages(), broken: make(chan error, 1)}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.descriptors = shareDescriptors(c.Descriptors, len(n.settings.LogDirs))
	if err := n.open(); err != nil {
		return nil, err
	}
	n.system = actors.NewSystem(actors.Config{
		Address: strconv.Itoa(int(n.settings.NodeID)), Env: e, Dispatcher: c.Dispatcher, Logger: n.log, OnFailure: c.OnFailure, OnDeadLetter: c.OnDeadLetter, Trace: c.OnDeliver,
	})
	if err := n.spawn(); err != nil {
		n.system.StopAll()
		return nil, errors.Join(err, closeDirectories(n.dirs))
	}
	return n, nil
}

// open opens log.dirs and, if that is elsewhere, metadata.log.dir.
func (n *Node) open() error {
	paths := append([]string(nil), n.settings.LogDirs...)
	at := -1
	for i, p := range paths {
		if p == n.settings.MetadataLogDir {
			at = i
		}
	}
	if at < 0 {
		at = len(paths)
		paths = append(paths, n.settings.MetadataLogDir)
	}
	dirs, id, err := openDirectories(n.env, paths, n.settings.NodeID)
	if err != nil {
		return err
	}
	n.dirs, n.id, n.metadata = dirs, id, dirs[at]
	return nil
}

// logDirs are the directories that hold partitions.
func (n *Node) logDirs() []*directory { return n.dirs[:len(n.settings.LogDirs)] }

func (n *Node) spawn() (err error) {
	n.groups = group.NewDirectory(n.settings.NodeID, n.system, n.images)
	n.server = api.NewServer(api.Config{
		NodeID: n.settings.NodeID, System: n.system, Clock: n.env.Clock, Rand: n.env.Rand, Table: n.table, Images: n.images,
		Controller: func() actors.PID { return n.control }, Settings: n.apiSettings, Static: n.settings.Values().Static,
		LogDirs: n.apiDirs(), Coordinators: n.groups, FetchSlots: kafka.NewFetchSlots(n.settings.FetchSessionSlots), LoginFailures: &kafka.LoginFailures{},
		LargeBatches: &sync.Mutex{}, Loggers: n.loggers(), Logger: n.log,
	})
	n.metrics = httpd.NewMetrics(n.sources())
	if n.host, err = n.system.Spawn(partition.NewHost(n.hostConfig())); err != nil {
		return err
	}
	if n.reader, err = n.system.Spawn(partition.NewReader(n.table)); err != nil {
		return err
	}
	if n.server.ProducerIDs, err = n.system.Spawn(cluster.NewProducerIDs(func() actors.PID { return n.control })); err != nil {
		return err
	}
	coordinators, err := n.system.Spawn(group.NewHost(group.Config{
		Node: n.settings.NodeID, Table: n.table, Images: n.images, Directory: n.groups, Controller: func() actors.PID { return n.control },
		ProducerIDs: n.server.ProducerIDs, Metrics: &n.gauges,
	}))
	if err != nil {
		return err
	}
	n.images.OnChange(func(delta image.Delta) { n.system.Send(coordinators, group.ImageChanged(delta)) })
	n.control, err = n.system.Spawn(cluster.NewController(n.controllerConfig()))
	return err
}

func (n *Node) hostConfig() partition.HostConfig {
	c := partition.HostConfig{
		Node: n.settings.NodeID, Table: n.table, Clock: n.env.Clock, RecoveryThreads: n.settings.RecoveryThreadsPerDir,
		RetentionCheck: n.settings.RetentionCheckInterval, CheckpointEvery: n.settings.FlushCheckpointInterval,
		ProducerExpiry: func() time.Duration { return n.inForce().producerExpiry },
		OpenFiles:      n.descriptors.openFiles, AdjustLog: n.config.AdjustLog, JournalSize: n.config.JournalSize, Coordinator: n.groups.Transaction,
		VerifyTransactions:      func() bool { return n.images.Broker().Bool("transaction.partition.verification.enable") },
		AddPartitionsBackoff:    n.settings.Duration("add.partitions.to.txn.retry.backoff.ms"),
		AddPartitionsBackoffMax: n.settings.Duration("add.partitions.to.txn.retry.backoff.max.ms"),
		OnFlush:                 n.metrics.Flushed, OnRecovered: n.recovered, OnCleaned: n.metrics.Cleaned, Cleaner: n.cleaner,
	}
	for _, d := range n.logDirs() {
		c.Dirs = append(c.Dirs, partition.Dir{Name: d.path, FS: d.fs})
	}
	return c
}

func (n *Node) controllerConfig() cluster.Config {
	c := cluster.Config{
		Node: n.settings.NodeID, ClusterID: n.id.cluster, Rack: n.settings.Rack, Static: n.settings.Values().Static, FS: n.metadata.fs,
		Files: storage.NewFiles(n.metadata.fs, metadataFilesMax), Host: n.host, Images: n.images, Ready: n.becameReady, Failed: n.fail,
	}
	for i := range c.Incarnation {
		c.Incarnation[i] = byte(n.env.Rand.Uint64())
	}
	for _, l := range n.settings.Listeners {
		for _, a := range n.settings.Advertised {
			if a.Name == l.Name {
				l = a
			}
		}
		c.Listeners = append(c.Listeners, image.Listener{Name: l.Name, Protocol: l.Protocol, Host: l.Host, Port: l.Port})
	}
	return c
}

// recovered tells what a log lost or kept after an unclean end; a log that was whole is not worth a line.
func (n *Node) recovered(tp protocol.TopicPartition, r storage.Recovered) {
	if r.TruncatedBytes > 0 {
		n.log.Warn("cut a torn tail off a log", slog.String("partition", tp.String()), slog.Int64("bytes", r.TruncatedBytes), slog.String("reason", r.Reason), slog.Int("batchesFromJournal", r.Journaled))
	}
}

func (n *Node) becameReady() {
	n.ready.Store(true)
	img := n.images.Load()
	for _, w := range config.Unhonoured(slices.Concat(img.DefaultBrokerConfig(), img.BrokerConfig(n.settings.NodeID))) {
		n.log.Warn(w.Text, slog.String("key", w.Key))
	}
	if n.config.Ready != nil {
		n.config.Ready()
	}
}

// fail takes the first reason why the node cannot go on.
func (n *Node) fail(err error) {
	if !n.failed.CompareAndSwap(nil, &err) {
		return
	}
	n.broken <- err
	if n.config.Failed != nil {
		n.config.Failed(err)
	}
}

// NewSession is a Kafka connection to the node without a socket: see kafka.NewSession.
func (n *Node) NewSession(peer api.Peer, wake func()) *kafka.Session {
	return kafka.NewSession(n.server, peer, wake)
}

// System, Table and Images are the insides, for the simulator's invariants.
func (n *Node) System() *actors.System   { return n.system }
func (n *Node) Table() *partition.Table  { return n.table }
func (n *Node) Images() *cluster.Images  { return n.images }
func (n *Node) Groups() *group.Directory { return n.groups }

// CloseLogs begins a clean stop: no partition takes anything any more, every log is flushed and closed, checkpoints and clean-shutdown
// markers are written. done is called on any thread; what follows is Release. A simulator calls the two itself, others call Stop.
func (n *Node) CloseLogs(timeout time.Duration, done func(error)) {
	stop := &partition.CloseLogs{}
	if self, ok := n.images.Load().Node(n.settings.NodeID); ok {
		stop.BrokerEpoch = self.Epoch
	}
	n.system.Ask(n.host, stop, timeout, func(reply any, err error) {
		if r, ok := reply.(*partition.LogsClosed); ok && r.Err != nil {
			err = r.Err
		}
		done(err)
	})
}

// Release gives up the directories. The actors have ended.
func (n *Node) Release() error { return closeDirectories(n.dirs) }

// advertised are the addresses that clients are told, by listener.
func advertised(b *config.Broker) map[string]api.Address {
	out := map[string]api.Address{}
	for _, l := range b.Advertised {
		out[l.Name] = api.Address{Host: l.Host, Port: l.Port}
	}
	return out
}

func (n *Node) apiDirs() (out []api.LogDir) {
	for _, d := range n.logDirs() {
		out = append(out, api.LogDir{Path: d.path, Space: d.fs.Space})
	}
	return out
}

// apiSettings and cleaner are the settings in force now.
func (n *Node) apiSettings() *api.Settings { return &n.inForce().api }

func (n *Node) cleaner() partition.CleanerConfig { return n.inForce().cleaner }

// inForce are the settings in force now. They are resolved once for every image, which is when dynamic ones can change.
func (n *Node) inForce() *resolved {
	img := n.images.Load()
	if r := n.current.Load(); r != nil && r.image == img {
		return r
	}
	values := n.settings.Values()
	values.Default, values.Dynamic = img.DefaultBrokerConfig(), img.BrokerConfig(n.settings.NodeID)
	b, err := config.NewBroker(values)
	if err != nil { // the controller checked them; a node that cannot read them stays with its own
		n.log.Error("dynamic settings do not resolve", slog.Any("err", err))
		b = n.settings
	}
	r := &resolved{img, api.Settings{
		AutoCreateTopicsEnable: b.AutoCreateTopics, FetchMaxBytes: int32(b.FetchMaxBytes),
		MaxRequestPartitionSizeLimit: int32(b.Int("max.request.partition.size.limit")), Advertised: advertised(b),
	}, partition.CleanerConfig{
		Disabled: !b.Bool("log.cleaner.enable") || b.Int("log.cleaner.threads") == 0, Backoff: b.Duration("log.cleaner.backoff.ms"),
		MapBytes: b.Int("log.cleaner.dedupe.buffer.size"), MapFactor: b.Float("log.cleaner.io.buffer.load.factor"),
		BytesPerSecond: b.Float("log.cleaner.io.max.bytes.per.second"),
	}, b.Duration("producer.id.expiration.ms")}
	n.current.Store(r)
	return r
}

var errNotReady = errors.New("recovering logs and metadata")

// check is nil while the node can serve.
func (n *Node) check() error {
	if err := n.failed.Load(); err != nil {
		return fmt.Errorf("failed: %w", *err)
	}
	if !n.ready.Load() {
		return errNotReady
	}
	return nil
}
