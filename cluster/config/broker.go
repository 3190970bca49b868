package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Broker is what one broker is told, with defaults filled in and every source taken into account. It is immutable; when dynamic
// settings change, a new one is made.
type Broker struct {
	NodeID         protocol.NodeID
	Rack           string     // empty: none
	Listeners      []Listener // never empty; those for clients
	NotServed      []Listener // of listeners: those that Kafka keeps for controllers
	Advertised     []Listener // what clients are told; of a listener that is not among them the address, of port 0 the port, by which they reached it
	LogDirs        []string   // never empty, all different
	MetadataLogDir string     // one of LogDirs unless configured elsewhere
	HTTPListener   string     // host:port; empty: none
	LogLevel       string     // one of LogLevels

	AutoCreateTopics         bool
	DeleteTopics             bool
	NumPartitions            int32
	DefaultReplicationFactor int16

	SocketSendBufferBytes    int // -1: leave it to the system
	SocketReceiveBufferBytes int // -1: leave it to the system
	SocketRequestMaxBytes    int
	ConnectionsMaxIdle       time.Duration // -1: never
	MaxConnections           int
	AddressLimits            map[netip.Addr]int // max.connections.per.ip.overrides; never changed
	FetchMaxBytes            int
	FetchSessionSlots        int

	ElectionTimeout         time.Duration // of the metadata quorum
	MetadataSnapshotBytes   int64         // of records between two snapshots of the metadata
	RetentionCheckInterval  time.Duration
	FlushCheckpointInterval time.Duration
	RecoveryThreadsPerDir   int

	values Values
}

// Warning is a setting that is accepted and does not do what one may expect.
type Warning struct{ Key, Text string }

// NewBroker resolves and checks all settings of a broker. The error names the first setting that cannot be; it cannot happen after
// a change of dynamic settings that ValidateDynamicBroker and Resolve accepted.
func NewBroker(v Values) (*Broker, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	b := &Broker{values: v}
	b.NodeID = protocol.NodeID(b.Int("node.id"))
	if _, set := Find(v.Static, "node.id"); !set && b.Int("broker.id") >= 0 {
		b.NodeID = protocol.NodeID(b.Int("broker.id"))
	}
	b.Rack = b.String("broker.rack")
	b.HTTPListener = b.String("http.listener")
	b.LogLevel = strings.ToUpper(b.String("logging.level"))
	b.topics()
	b.sockets()
	b.intervals()
	if err := b.soleVoter(); err != nil {
		return nil, err
	}
	if err := b.directories(); err != nil {
		return nil, err
	}
	if err := b.listeners(); err != nil {
		return nil, err
	}
	_, err := Resolve(v, nil)
	return b, err
}

// check holds every known setting against its rule.
func (v *Values) check() error {
	for _, l := range v.layers() {
		for _, e := range l.entries {
			k, ok := BrokerKey(e.Key)
			if !ok || e.Null {
				continue
			}
			if err := k.Check(e.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// soleVoter refuses a voter of the metadata quorum that is another node: Kafka's would join it, and this one would found a cluster.
// Source: KafkaConfig.validateControllerQuorumVotersMustContainNodeIdForKRaftController.
func (b *Broker) soleVoter() error {
	const key = "controller.quorum.voters"
	for _, voter := range b.List(key) {
		if id, _, _ := strings.Cut(voter, "@"); id != fmt.Sprint(b.NodeID) {
			return unhonoured(key, fmt.Sprintf("%s=%s cannot be honoured: it does not name this node, whose node.id is %d, and there is one node to a cluster yet", key, voter, b.NodeID))
		}
	}
	return nil
}

func (b *Broker) topics() {
	b.AutoCreateTopics = b.Bool("auto.create.topics.enable")
	b.DeleteTopics = b.Bool("delete.topic.enable")
	b.NumPartitions = int32(b.Int("num.partitions"))
	b.DefaultReplicationFactor = int16(b.Int("default.replication.factor"))
}

func (b *Broker) sockets() {
	b.SocketSendBufferBytes = int(b.Int("socket.send.buffer.bytes"))
	b.SocketReceiveBufferBytes = int(b.Int("socket.receive.buffer.bytes"))
	b.SocketRequestMaxBytes = int(b.Int("socket.request.max.bytes"))
	b.ConnectionsMaxIdle = b.Duration("connections.max.idle.ms")
	b.MaxConnections = int(b.Int("max.connections"))
	b.AddressLimits, _ = ParseAddressLimits(SplitList(b.String("max.connections.per.ip.overrides"))) // checked like any other
	b.FetchMaxBytes = int(b.Int("fetch.max.bytes"))
	b.FetchSessionSlots = int(b.Int("max.incremental.fetch.session.cache.slots"))
}

func (b *Broker) intervals() {
	b.ElectionTimeout = b.Duration("controller.quorum.election.timeout.ms")
	b.MetadataSnapshotBytes = b.Int("metadata.log.max.record.bytes.between.snapshots")
	b.RetentionCheckInterval = b.Duration("log.retention.check.interval.ms")
	b.FlushCheckpointInterval = b.Duration("log.flush.offset.checkpoint.interval.ms")
	b.RecoveryThreadsPerDir = int(b.Int("num.recovery.threads.per.data.dir"))
}

func (b *Broker) directories() error {
	text := b.String("log.dirs")
	if text == "" {
		text = b.String("log.dir")
	}
	b.LogDirs = SplitList(text)
	if len(b.LogDirs) == 0 || slices.Contains(b.LogDirs, "") {
		return &Invalid{Key: "log.dirs", Value: text, Reason: "At least one directory, and none empty, is needed"}
	}
	for i, dir := range b.LogDirs {
		if slices.Contains(b.LogDirs[:i], dir) {
			return &Invalid{Key: "log.dirs", Value: text, Reason: "The directory " + dir + " is named twice"}
		}
	}
	if b.MetadataLogDir = b.String("metadata.log.dir"); b.MetadataLogDir == "" {
		b.MetadataLogDir = b.LogDirs[0]
	}
	return nil
}

func (b *Broker) listeners() (err error) {
	protocolMap := b.String("listener.security.protocol.map")
	text := b.String("listeners")
	if b.Listeners, err = ParseListeners(text, protocolMap); err != nil {
		return &Invalid{Key: "listeners", Value: text, Reason: err.Error()}
	}
	b.keepFromClients()
	if len(b.Listeners) == 0 {
		return &Invalid{Key: "listeners", Value: text, Reason: "At least one listener for clients is needed; those in controller.listener.names are not served to them"}
	}
	for _, l := range b.Listeners {
		if strings.HasSuffix(l.Protocol, "SSL") {
			return unhonoured("listeners", l.String()+" cannot be honoured: "+l.Protocol+" is not served yet; PLAINTEXT and SASL_PLAINTEXT are")
		}
		if l.Authenticates() {
			if err := b.checkSasl(l); err != nil {
				return err
			}
		}
	}
	if err := b.checkListenerNames(); err != nil {
		return err
	}
	return b.advertise(b.String("advertised.listeners"), protocolMap)
}

// keepFromClients takes the listeners that are not for clients out of Listeners. inter.broker.listener.name is none of them: Kafka serves
// clients by it, and it is often the only one.
func (b *Broker) keepFromClients() {
	names := b.List("controller.listener.names")
	if name, ok := Find(b.values.Static, "control.plane.listener.name"); ok { // of Kafka before 4.0
		names = append(names, name)
	}
	var served []Listener
	for _, l := range b.Listeners {
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, l.Name) }) {
			b.NotServed = append(b.NotServed, l)
		} else {
			served = append(served, l)
		}
	}
	b.Listeners = served
}

// advertise decides what clients are told. As in Kafka that is, without advertised.listeners, what listeners says, where it names a host.
// Source: SocketServerConfigs.listenerListToEndPoints, KafkaConfig.effectiveAdvertisedBrokerListeners.
func (b *Broker) advertise(text, protocolMap string) error {
	all, err := ParseListeners(text, protocolMap)
	if err != nil {
		return &Invalid{Key: "advertised.listeners", Value: text, Reason: err.Error()}
	}
	for _, a := range all {
		if slices.ContainsFunc(b.NotServed, func(l Listener) bool { return l.Name == a.Name }) {
			continue
		}
		if err := b.advertisable(a); err != nil {
			return &Invalid{Key: "advertised.listeners", Value: text, Reason: err.Error()}
		}
		b.Advertised = append(b.Advertised, a)
	}
	if len(all) > 0 {
		return nil
	}
	for _, l := range b.Listeners {
		if !wildcard(l.Host) {
			b.Advertised = append(b.Advertised, l)
		}
	}
	return nil
}

// wildcard reports whether a host stands for every address of the machine.
func wildcard(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.Unmap().IsUnspecified()
}

func (b *Broker) advertisable(a Listener) error {
	if wildcard(a.Host) {
		return fmt.Errorf("%v is not an address clients can connect to; name a host", a)
	}
	if !slices.ContainsFunc(b.Listeners, func(l Listener) bool { return l.Name == a.Name }) {
		return fmt.Errorf("%v has no listener of that name in listeners", a)
	}
	return nil
}

// Values are the settings the broker was made from, for Resolve and Describe.
func (b *Broker) Values() Values { return b.values }

// get reads any broker key; a key with null default that is not set reads as the zero value.
func (b *Broker) get(name string) value {
	k, ok := BrokerKey(name)
	invariant.Check(ok, "there is no broker setting %q", name)
	f, ok := b.values.lookup(k.group()...)
	if !ok {
		return value{}
	}
	v, err := f.key.parse(f.text)
	invariant.Check(err == nil, "unchecked setting: %v", err)
	if v.number > 0 {
		v.number = multiply(v.number, scale(f.key.Name))
	}
	return v
}

// Int reads a number of any width; keys in coarser units than a synonym in milliseconds read in milliseconds.
func (b *Broker) Int(name string) int64 { return b.get(name).number }

// Float reads a Double.
func (b *Broker) Float(name string) float64 { return b.get(name).decimal }

// Bool reads a Boolean.
func (b *Broker) Bool(name string) bool { return b.get(name).truth }

// String reads the text of any key.
func (b *Broker) String(name string) string { return b.get(name).text }

// List reads a List.
func (b *Broker) List(name string) []string { return b.get(name).list }

// Duration reads a number of milliseconds; negative is -1.
func (b *Broker) Duration(name string) time.Duration { return milliseconds(b.Int(name)) }

// Warnings says which static settings are unknown, were removed from Kafka, or are accepted without effect; the last in one line.
func (b *Broker) Warnings() []Warning {
	var out []Warning
	for _, l := range b.NotServed {
		out = append(out, Warning{"controller.listener.names", "listener " + l.String() + " is not opened: Kafka keeps it for controllers, and this node is its own"})
	}
	var idle []string
	for _, e := range b.values.Static {
		k, ok := BrokerKey(e.Key)
		if ok && k.Effect() == NoEffect && e.Value != k.Default {
			idle = append(idle, e.Key)
		}
		if text := b.warning(e, k); text != "" {
			out = append(out, Warning{e.Key, text})
		}
	}
	if len(idle) > 0 {
		out = append(out, Warning{strings.Join(idle, ","), "accepted and described, but without effect in troupe: " + strings.Join(idle, ", ")})
	}
	return out
}

// warning is what to say of one static setting, or nothing. k is nil if there is no such key.
func (b *Broker) warning(e protocol.ConfigEntry, k *Key) string {
	switch {
	case k == nil:
		return unknown(unknownBrokerKey, e.Key, brokerTable).Error() + "; it is ignored"
	case k.Name == "default.replication.factor" && b.Int(k.Name) > 1:
		return e.Key + "=" + e.Value + " and one node: topics that do not ask for replication factor 1 themselves are refused"
	case k.Name == "min.insync.replicas" && b.Int(k.Name) > 1:
		return e.Key + "=" + e.Value + " and one node: records with acks=all are refused"
	case e.Key != k.Name && k.Enforced && !slices.Contains(perListener, k.Name):
		return e.Key + " has no effect: " + k.Name + " is for all listeners together"
	case k.Name == "log.cleaner.threads" && b.Int(k.Name) > 1:
		return e.Key + "=" + e.Value + " is as 1: one log is compacted at a time"
	}
	return ""
}

// Unhonoured says which settings, stored while running by a version that took them, would be refused now. They stay as they were, without
// effect: refusing the start would leave no way to take them back. Secrets are among them.
func Unhonoured(stored []protocol.ConfigEntry) (out []Warning) {
	for _, e := range stored {
		var invalid *Invalid
		if err := ValidateBroker(e.Key, e.Value); errors.As(err, &invalid) && invalid.Unhonoured {
			out = append(out, Warning{e.Key, "a stored setting has no effect: " + err.Error()})
		}
		if k, ok := BrokerKey(e.Key); ok && k.Sensitive() {
			out = append(out, Warning{e.Key, e.Key + " is a secret that stands in the metadata log as it is: take it back, and change it where it is used"})
		}
	}
	return out
}
