package image

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/btree"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Image is one version of the cluster's metadata. It is immutable and safe for any number of readers; what it hands out is shared
// and must not be changed.
type Image struct {
	ClusterID string
	// MetadataOffset is the raft index of the last entry folded in; -1 in Empty.
	MetadataOffset int64
	// TopologyOffset is the MetadataOffset of the last change of which topics there are and how many partitions they have: who derives
	// something from these looks again when it moved. Not part of Hash; after a snapshot it may be later than the change.
	TopologyOffset int64
	// ControllerID is the raft leader as far as this node knows, or NoNode.
	ControllerID protocol.NodeID
	// NextProducerID is the first producer id not yet given out.
	NextProducerID protocol.ProducerID

	topics     *btree.Map[string, *Topic]
	topicsByID *btree.Map[string, *Topic] // the key is the 16 bytes of the id
	nodes      *btree.Map[protocol.NodeID, *Node]
	brokers    *btree.Map[string, []protocol.ConfigEntry] // dynamic settings by broker id, "" = cluster-wide
	groups     *btree.Map[string, []protocol.ConfigEntry] // settings by group id
	scrams     *btree.Map[string, *ScramCredential]       // by scramKey
	features   *btree.Map[string, int16]
	unified    *btree.Map[string, string] // UnifyCollisions of the names that hold '.' or '_' -> name
	partitions int
}

// Empty is the image before the first record.
func Empty() *Image {
	return &Image{
		MetadataOffset: -1,
		TopologyOffset: -1,
		ControllerID:   protocol.NoNode,
		topics:         btree.NewMap[string, *Topic](0),
		topicsByID:     btree.NewMap[string, *Topic](0),
		nodes:          btree.NewMap[protocol.NodeID, *Node](0),
		brokers:        btree.NewMap[string, []protocol.ConfigEntry](0),
		groups:         btree.NewMap[string, []protocol.ConfigEntry](0),
		scrams:         btree.NewMap[string, *ScramCredential](0),
		features:       btree.NewMap[string, int16](0),
		unified:        btree.NewMap[string, string](0),
	}
}

// WithController is the same image with another ControllerID.
func (m *Image) WithController(id protocol.NodeID) *Image {
	out := *m
	out.ControllerID = id
	return &out
}

// Topic finds a topic by name.
func (m *Image) Topic(name string) (*Topic, bool) { return m.topics.Get(name) }

// TopicByID finds a topic by id.
func (m *Image) TopicByID(id protocol.TopicID) (*Topic, bool) { return m.topicsByID.Get(string(id[:])) }

// Colliding finds a topic whose name differs from name only in '.' against '_': metrics of the two could not be told apart, so they
// may not both exist. A topic of that very name is not one.
func (m *Image) Colliding(name string) (other string, ok bool) {
	other, ok = m.unified.Get(UnifyCollisions(name))
	return other, ok && other != name
}

// UnifyCollisions is the same for names that collide. Source: Topic.unifyCollisionChars.
func UnifyCollisions(name string) string { return strings.ReplaceAll(name, ".", "_") }

// ConfiguredGroups are the groups that have settings of their own, in order.
func (m *Image) ConfiguredGroups() []string { return m.groups.Keys() }

// NumTopics counts topics.
func (m *Image) NumTopics() int { return m.topics.Len() }

// NumPartitions counts the partitions of all topics.
func (m *Image) NumPartitions() int { return m.partitions }

// EachTopic calls f for every topic in order of name until it returns false: for t := range img.EachTopic.
func (m *Image) EachTopic(f func(t *Topic) bool) {
	m.topics.Scan(func(_ string, t *Topic) bool { return f(t) })
}

// EachTopicFrom is EachTopic beginning with the first topic whose name is not less than name.
func (m *Image) EachTopicFrom(name string, f func(t *Topic) bool) {
	m.topics.Ascend(name, func(_ string, t *Topic) bool { return f(t) })
}

// Node finds a registered node.
func (m *Image) Node(id protocol.NodeID) (*Node, bool) { return m.nodes.Get(id) }

// Nodes lists the registered nodes in order of id.
func (m *Image) Nodes() []*Node { return m.nodes.Values() }

// LiveNodes lists the nodes that may get replicas and leadership: neither fenced nor shutting down; in order of id.
func (m *Image) LiveNodes() []*Node {
	return slices.DeleteFunc(m.nodes.Values(), func(n *Node) bool { return n.Fenced || n.InControlledShutdown })
}

// TopicConfig lists a topic's own settings in order of key; nil if there are none or no such topic.
func (m *Image) TopicConfig(name string) []protocol.ConfigEntry {
	if t, ok := m.topics.Get(name); ok {
		return t.Config
	}
	return nil
}

// BrokerConfig lists the dynamic settings of one broker in order of key.
func (m *Image) BrokerConfig(id protocol.NodeID) []protocol.ConfigEntry {
	entries, _ := m.brokers.Get(strconv.Itoa(int(id)))
	return entries
}

// DefaultBrokerConfig lists the dynamic cluster-wide broker settings in order of key.
func (m *Image) DefaultBrokerConfig() []protocol.ConfigEntry {
	entries, _ := m.brokers.Get("")
	return entries
}

// GroupConfig lists a group's own settings in order of key. A group need not exist to have some.
func (m *Image) GroupConfig(id string) []protocol.ConfigEntry {
	entries, _ := m.groups.Get(id)
	return entries
}

// Feature is the finalised level of a feature; 0 if it has none.
func (m *Image) Feature(name string) int16 {
	level, _ := m.features.Get(name)
	return level
}

// EachFeature calls f for every finalised feature in order of name until it returns false.
func (m *Image) EachFeature(f func(name string, level int16) bool) { m.features.Scan(f) }

// Node is one registration of a broker.
type Node struct {
	ID                   protocol.NodeID
	Epoch                protocol.BrokerEpoch // the MetadataOffset of the registration
	Incarnation          [16]byte
	Rack                 string // empty means none
	Fenced               bool
	InControlledShutdown bool
	Listeners            []Listener
}

// Listener finds an address by listener name.
func (n *Node) Listener(name string) (Listener, bool) {
	i := slices.IndexFunc(n.Listeners, func(l Listener) bool { return l.Name == name })
	if i < 0 {
		return Listener{}, false
	}
	return n.Listeners[i], true
}
