package api

import (
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster/controller"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition"
)

// Config is what the handlers of a node need of the rest of it. All fields but LogDirs, Coordinators, LoginFailures, Loggers and Logger must
// be set.
type Config struct {
	// LargeBatches lets the connections take turns at what one at a time may unpack; see record.Unpacking.Large. Nil: no turns.
	LargeBatches record.Turns

	NodeID     protocol.NodeID
	System     *actors.System
	Clock      env.Clock
	Rand       env.Rand
	Table      *partition.Table
	Images     Images
	Controller func() actors.PID // where the controller is now; may be the zero PID while nobody knows
	Settings   func() *Settings  // as of now; called once a request
	// Static are the settings of server.properties and the command line, sorted by key.
	Static  []protocol.ConfigEntry
	LogDirs []LogDir
	// FetchSlots bounds the fetch sessions of the node.
	FetchSlots FetchSlots
	// LoginFailures slows down who guesses passwords; nil: nobody is.
	LoginFailures LoginFailures
	// ProducerIDs is the allocator made by cluster.NewProducerIDs.
	ProducerIDs actors.PID
	// Coordinators finds those of groups and transactions; without it every group and transaction is COORDINATOR_NOT_AVAILABLE.
	Coordinators Coordinators
	// Loggers have levels that can be set; nil: there are none.
	Loggers Loggers
	Logger  *slog.Logger
}

// Images holds the newest metadata image.
type Images interface{ Load() *image.Image }

// Address is where clients reach a broker.
type Address struct {
	Host string
	Port int32
}

// LogDir is one directory of log.dirs.
type LogDir struct {
	Path string // as partition.Handle.Dir names it
	// Space tells the bytes available to us and those of the whole file system.
	Space func() (available, total int64, err error)
}

// Settings are the broker settings that the handlers read, under Kafka's names.
type Settings struct {
	AutoCreateTopicsEnable       bool
	FetchMaxBytes                int32 // fetch.max.bytes
	MaxRequestPartitionSizeLimit int32 // max.request.partition.size.limit, of DescribeTopicPartitions
	// Advertised is what clients are told to reach this node by, per listener name. A listener that is not named here answers with
	// the address the client itself used, and one with port 0 with its port.
	Advertised map[string]Address
}

// FetchSlots bounds the incremental fetch sessions of a node (max.incremental.fetch.session.cache.slots). Safe on any goroutine.
type FetchSlots interface {
	// Take claims a slot and gives it an id above zero, evicting a session that was not used for long if there is none left; false
	// if there is none to evict. evicted is called on any thread, later, if the slot is taken away.
	Take(now time.Duration, random uint64, evicted func()) (id int32, ok bool)
	// Use says that the session is in use.
	Use(id int32, now time.Duration)
	// Give returns a slot; one that was evicted is not given back.
	Give(id int32)
}

// LoginFailures counts failed logins by network. Safe on any goroutine; now is on the monotonic clock.
type LoginFailures interface {
	// Add counts a failure and returns how long its answer has to wait.
	Add(peer netip.Addr, now time.Duration) time.Duration
	// TooMany reports whether a network has failed so often lately that it may not try now.
	TooMany(peer netip.Addr, now time.Duration) bool
}

// noFailures is a node that nobody guesses at.
type noFailures struct{}

func (noFailures) Add(netip.Addr, time.Duration) time.Duration { return 0 }
func (noFailures) TooMany(netip.Addr, time.Duration) bool      { return false }

// Server is what the connections of a node share.
type Server struct {
	Config
	Metrics Metrics
	table   table
}

// NewServer makes a server.
func NewServer(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Coordinators == nil {
		c.Coordinators = noCoordinators{}
	}
	if c.LoginFailures == nil {
		c.LoginFailures = noFailures{}
	}
	return &Server{Config: c, table: newTable()}
}

// NameOf is Kafka's name of an API key, for messages to people.
func NameOf(key int16) string {
	if kmsg.RequestForKey(key) == nil {
		return "unknown API key " + strconv.Itoa(int(key))
	}
	return kmsg.NameForKey(key)
}

// Refusal says why a request of the key at an unserved version is not answered, for people.
func (s *Server) Refusal(key int16) string {
	if row := s.Row(key); row != nil {
		return "versions " + strconv.Itoa(int(row.Min)) + " to " + strconv.Itoa(int(row.Max)) + " are served"
	}
	if why := skipped[key]; why != "" {
		return "not served: " + why
	}
	return "no such request is known"
}

// address is where clients of the peer's listener reach a node.
func (s *Server) address(peer Peer, n *image.Node) Address {
	if n.ID == s.NodeID {
		return s.ownAddress(peer)
	}
	l, ok := n.Listener(peer.Listener)
	if !ok && len(n.Listeners) > 0 {
		l = n.Listeners[0]
	}
	return Address{l.Host, int32(l.Port)}
}

// ownAddress is where the peer reaches this node: as configured, or the way it came.
func (s *Server) ownAddress(peer Peer) Address {
	a, ok := s.Settings().Advertised[peer.Listener]
	if !ok {
		a.Host = peer.Local.Addr().Unmap().WithZone("").String()
	}
	if a.Port == 0 {
		a.Port = int32(peer.Local.Port())
	}
	return a
}

// dirOf is the index of the log directory that holds a partition, -1 if it is none of them.
func (s *Server) dirOf(h *partition.Handle) int {
	return slices.IndexFunc(s.LogDirs, func(d LogDir) bool { return d.Path == h.Dir })
}

// hintOf is what this node knows of a leader, for a client that came to the wrong one.
func hintOf(p *image.Partition) leaderHint {
	return leaderHint{p.Leader != protocol.NoNode, p.Leader, p.LeaderEpoch}
}

// hint is hintOf the partition as of now.
func (s *Server) hint(tp protocol.TopicPartition) leaderHint {
	if t, ok := s.Images.Load().TopicByID(tp.Topic); ok {
		if p, ok := t.Partition(tp.Partition); ok {
			return hintOf(p)
		}
	}
	return leaderHint{}
}

// leaderOf finds the partition here, or says why it is not led here and who leads it.
func (s *Server) leaderOf(t *image.Topic, number int32) (*partition.Handle, leaderHint, protocol.Code) {
	p, ok := t.Partition(number)
	if !ok {
		return nil, leaderHint{}, protocol.UnknownTopicOrPartition
	}
	h := s.Table.Get(protocol.TopicPartition{Topic: t.ID, Partition: number})
	if h == nil || p.Leader != s.NodeID && !h.View().Leader {
		return nil, hintOf(p), protocol.NotLeaderOrFollower
	}
	return h, hintOf(p), protocol.None
}

// addBroker appends the address of a node to those a response names, once.
func (s *Server) addBroker(peer Peer, brokers []brokerAddress, id protocol.NodeID) []brokerAddress {
	for _, b := range brokers {
		if b.node == id {
			return brokers
		}
	}
	n, ok := s.Images.Load().Node(id)
	if !ok {
		return brokers
	}
	a := s.address(peer, n)
	return append(brokers, brokerAddress{id, a.Host, a.Port, n.Rack})
}

// isInternal reports topics that belong to coordinators. Source: org.apache.kafka.common.internals.Topic.
func isInternal(topic string) bool {
	return strings.HasPrefix(topic, "__") &&
		(topic == offsetsTopic || topic == transactionsTopic || topic == "__share_group_state")
}

// validTopicName reports whether a topic may have the name. Source: org.apache.kafka.common.internals.Topic.validate.
func validTopicName(name string) bool { return !controller.CheckTopicName(name).Failed() }

// viewString is b as a string without copying it; valid while b is and nobody writes to it.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// quoted is text of a client's, fit for a log.
func quoted(s string) string { return strconv.Quote(s) }
