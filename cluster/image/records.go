package image

import "github.com/troupe-broker/troupe/actors/protocol"

// Record is one fact of the metadata log. The concrete types are those of this file; they are encoded as arrays of their fields in
// order, so a field may only be added at the end and never changes its meaning. Names in comments are Kafka's for the same record.
type Record interface{ apply(*fold) }

// ClusterFounded names the cluster. First record of its log.
type ClusterFounded struct {
	ClusterID string
}

// FeatureLevelSet finalises the level of a feature (FeatureLevelRecord, KIP-584). Level 0 removes it.
type FeatureLevelSet struct {
	Name  string
	Level int16
}

// BrokerRegistered is a node joining with a new incarnation (RegisterBrokerRecord). It replaces the node's former registration.
type BrokerRegistered struct {
	Node        protocol.NodeID
	Incarnation [16]byte // chosen by the process at its start
	Rack        string
	Fenced      bool
	Listeners   []Listener
	// Epoch is 0 in the log: the epoch is then the offset of this record. Snapshots write it out.
	Epoch protocol.BrokerEpoch
	// InControlledShutdown is only set in snapshots.
	InControlledShutdown bool
}

// Listener is an address under which a broker is reached, by listener name.
type Listener struct {
	Name, Protocol, Host string
	Port                 int32
}

// BrokerChanged fences, unfences or marks a registered broker (BrokerRegistrationChangeRecord). It applies to that epoch only.
type BrokerChanged struct {
	Node                 protocol.NodeID
	Epoch                protocol.BrokerEpoch
	Fenced               bool
	InControlledShutdown bool
}

// BrokerUnregistered removes a node for good (UnregisterBrokerRecord).
type BrokerUnregistered struct {
	Node  protocol.NodeID
	Epoch protocol.BrokerEpoch
}

// TopicCreated begins a topic (TopicRecord). Its PartitionAdded records follow in the same batch, in order of number.
type TopicCreated struct {
	Name string
	ID   protocol.TopicID
}

// TopicDeleted ends a topic with its partitions and settings (RemoveTopicRecord).
type TopicDeleted struct {
	ID protocol.TopicID
}

// PartitionAdded is a new partition, or in a snapshot one as it stands (PartitionRecord). Partition is the number after the topic's
// last.
type PartitionAdded struct {
	Topic          protocol.TopicID
	Partition      int32
	Leader         protocol.NodeID
	LeaderEpoch    protocol.LeaderEpoch
	PartitionEpoch protocol.PartitionEpoch
	Replicas       []protocol.NodeID
	ISR            []protocol.NodeID // empty: all of Replicas
	Recovery       Recovery
	// The rest is empty except during reassignment or below min.insync.replicas.
	Adding, Removing, ELR, LastKnownELR []protocol.NodeID
}

// PartitionChanged is a partition as it stands after a change of leader, ISR, ELR or replicas (PartitionChangeRecord, but whole
// instead of a difference, so that applying it twice is harmless). PartitionEpoch rises with every change.
type PartitionChanged struct {
	Topic                               protocol.TopicID
	Partition                           int32
	Leader                              protocol.NodeID
	LeaderEpoch                         protocol.LeaderEpoch
	PartitionEpoch                      protocol.PartitionEpoch
	Replicas                            []protocol.NodeID
	ISR                                 []protocol.NodeID
	Recovery                            Recovery
	Adding, Removing, ELR, LastKnownELR []protocol.NodeID
}

// ConfigChanged sets one key of a topic (by name), broker (by id; "" is the cluster-wide default) or group (by id) or, with Null, removes it
// (ConfigRecord).
type ConfigChanged struct {
	Resource protocol.ResourceType
	Name     string
	Key      string
	Value    string
	Null     bool
}

// ProducerIDsReserved gives the block [First, Next) to a node (ProducerIdsRecord). No block is given twice.
type ProducerIDsReserved struct {
	Node  protocol.NodeID
	Epoch protocol.BrokerEpoch
	First protocol.ProducerID
	Next  protocol.ProducerID
}

// ScramCredentialSet gives a user a credential, in place of the one it has for the mechanism (UserScramCredentialRecord, KIP-900).
type ScramCredentialSet struct {
	User                       string
	Mechanism                  protocol.ScramMechanism
	Iterations                 int32
	Salt, StoredKey, ServerKey protocol.Secret
}

// ScramCredentialRemoved takes a credential away (RemoveUserScramCredentialRecord).
type ScramCredentialRemoved struct {
	User      string
	Mechanism protocol.ScramMechanism
}
