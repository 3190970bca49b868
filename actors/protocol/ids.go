package protocol

import (
	"encoding/base64"
	"strconv"
	"time"
)

// TopicID is the identity of one incarnation of a topic (KIP-516). The zero value means "none".
type TopicID [16]byte

// IsZero reports whether the id is unset.
func (id TopicID) IsZero() bool { return id == TopicID{} }

// String is Kafka's text form: URL-safe base64 without padding, 22 characters.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// TopicPartition names one partition of one incarnation of a topic.
type TopicPartition struct {
	Topic     TopicID
	Partition int32
}

func (tp TopicPartition) String() string {
	return tp.Topic.String() + "-" + strconv.Itoa(int(tp.Partition))
}

// Less orders by topic id, then partition: the one order in which sets of partitions are walked.
func (tp TopicPartition) Less(o TopicPartition) bool {
	if tp.Topic != o.Topic {
		return string(tp.Topic[:]) < string(o.Topic[:])
	}
	return tp.Partition < o.Partition
}

// NodeID is Kafka's broker id.
type NodeID int32

// NoNode means "no such broker" (Kafka's -1), as in a partition without a leader.
const NoNode NodeID = -1

// LeaderEpoch counts the leaders of a partition; -1 means unknown.
type LeaderEpoch int32

// NoLeaderEpoch is Kafka's -1.
const NoLeaderEpoch LeaderEpoch = -1

// PartitionEpoch counts the changes of a partition's replica set, ISR or leader.
type PartitionEpoch int32

// BrokerEpoch is the metadata offset of a broker's registration.
type BrokerEpoch int64

// ProducerID and ProducerEpoch identify an idempotent or transactional producer (KIP-98); -1 means none.
type (
	ProducerID    int64
	ProducerEpoch int16
)

// NoProducerID is Kafka's -1.
const NoProducerID ProducerID = -1

// Durability says what an acknowledgement means on one replica.
type Durability uint8

const (
	// DurabilityDisk: on stable storage (fdatasync). The default.
	DurabilityDisk Durability = iota
	// DurabilityOS: in the page cache, as Apache Kafka does.
	DurabilityOS
)

func (d Durability) String() string {
	if d == DurabilityOS {
		return "os"
	}
	return "disk"
}

// LogConfig is the resolved configuration of one partition's log: topic overrides over broker defaults. Built only by
// cluster/config.Resolve; sizes in bytes. -1 means unlimited where Kafka says so.
type LogConfig struct {
	Durability            Durability
	Compact, Delete       bool // cleanup.policy
	RetentionTime         time.Duration
	RetentionBytes        int64
	SegmentBytes          int64
	SegmentTime           time.Duration
	SegmentJitter         time.Duration
	IndexIntervalBytes    int32
	MaxMessageBytes       int32 // of one batch, after compression
	MinInsyncReplicas     int32
	CompressionType       string // "producer" or a codec
	LogAppendTime         bool   // message.timestamp.type
	TimestampBeforeMax    time.Duration
	TimestampAfterMax     time.Duration
	DeleteRetention       time.Duration
	MinCompactionLag      time.Duration
	MaxCompactionLag      time.Duration
	MinCleanableRatio     float64
	FileDeleteDelay       time.Duration
	FlushMessages         int64
	FlushTime             time.Duration
	UncleanLeaderElection bool
}

// OnlyCompacts reports that nothing but compaction removes records: DeleteRecords is refused. A log whose cleanup.policy names nothing
// keeps all of them, and gives up those that somebody deletes. Source: Partition.deleteRecordsOnLeader.
func (c *LogConfig) OnlyCompacts() bool { return c.Compact && !c.Delete }
