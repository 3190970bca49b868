package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/client"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition"
)

// nativeDecompressedMax bounds what the batch of a native producer may unpack to.
const nativeDecompressedMax = 64 << 20

// Client is the way to this node for actors in its System: see actors/client.
func (n *Node) Client() client.Routes { return (*routes)(n) }

// routes is a Node as native clients see it.
type routes Node

func topicOf(t *image.Topic, ok bool) (client.Topic, bool) {
	if !ok {
		return client.Topic{}, false
	}
	return client.Topic{Name: t.Name, ID: t.ID, Partitions: t.NumPartitions()}, true
}

// Topic implements client.Routes.
func (r *routes) Topic(name string) (client.Topic, bool) { return topicOf(r.images.Load().Topic(name)) }

// TopicByID implements client.Routes.
func (r *routes) TopicByID(id protocol.TopicID) (client.Topic, bool) {
	return topicOf(r.images.Load().TopicByID(id))
}

// leader is the partition if it is led here.
func (r *routes) leader(tp protocol.TopicPartition) (*partition.Handle, protocol.Code) {
	t, ok := r.images.Load().TopicByID(tp.Topic)
	if !ok {
		return nil, protocol.UnknownTopicID
	}
	if _, ok := t.Partition(tp.Partition); !ok {
		return nil, protocol.UnknownTopicOrPartition
	}
	h := r.table.Get(tp)
	if h == nil {
		return nil, protocol.NotLeaderOrFollower
	}
	return h, h.View().Check(protocol.NoLeaderEpoch)
}

// Leader implements client.Routes.
func (r *routes) Leader(tp protocol.TopicPartition) (actors.PID, protocol.Code) {
	h, code := r.leader(tp)
	if code != protocol.None {
		return actors.PID{}, code
	}
	return h.PID, protocol.None
}

// Admit implements client.Routes: what the edge checks for Kafka's clients (transport/kafka/api/00_produce.go).
func (r *routes) Admit(tp protocol.TopicPartition, batch []byte, now time.Time) ([]byte, protocol.Fault) {
	h, code := r.leader(tp)
	if code != protocol.None {
		return nil, protocol.Fault{Code: code}
	}
	if isInternal(h.TopicName) {
		return nil, protocol.Fault{Code: protocol.InvalidTopic, Reason: "only coordinators write to " + h.TopicName}
	}
	config := h.View().Config
	limits := record.Limits{MaxBytes: int(config.MaxMessageBytes), MaxDecompressed: nativeDecompressedMax, Deep: true, KeyRequired: config.Compact}
	if !config.LogAppendTime {
		limits.Window = record.WindowAt(now, config.TimestampBeforeMax, config.TimestampAfterMax)
	}
	b, err := record.Validate(batch, limits)
	if err != nil {
		return nil, refusal(err)
	}
	codec, ok := record.ParseCodec(config.CompressionType)
	if !ok || codec == b.Codec() { // "producer" is no codec
		return b, protocol.Fault{}
	}
	if b, err = record.Recompress(b, codec, nativeDecompressedMax, record.Unpacking{}); err != nil {
		return nil, refusal(err)
	}
	if len(b) > limits.MaxBytes {
		return nil, protocol.Fault{Code: protocol.MessageTooLarge, Reason: fmt.Sprintf("compressed with %s the batch has %d bytes, more than max.message.bytes", codec, len(b))}
	}
	return b, protocol.Fault{}
}

func isInternal(topic string) bool {
	return topic == "__consumer_offsets" || topic == "__transaction_state" || topic == "__share_group_state"
}

func refusal(err error) protocol.Fault {
	f := protocol.Fault{Code: protocol.InvalidRecord, Reason: err.Error()}
	var bad *record.Invalid
	if errors.As(err, &bad) {
		switch bad.Kind {
		case record.TooLarge:
			f.Code = protocol.MessageTooLarge
		case record.InvalidTimestamp:
			f.Code = protocol.InvalidTimestamp
		}
	}
	return f
}

// Reader implements client.Routes.
func (r *routes) Reader(tp protocol.TopicPartition) (actors.PID, protocol.Code) {
	_, code := r.leader(tp)
	return r.reader, code
}

// ensureWait bounds how long the internal topic of groups may take to appear, for one who asks.
const ensureWait = 10 * time.Second

// Coordinator implements client.Routes.
func (r *routes) Coordinator(id string) (actors.PID, protocol.Code) {
	pid, code := r.groups.Group(id)
	if code == protocol.CoordinatorNotAvailable {
		r.groups.EnsureGroup(id, ensureWait, func(protocol.NodeID, protocol.Code) {}) // who asks comes back
	}
	return pid, code
}

// ProducerIDs implements client.Routes.
func (r *routes) ProducerIDs() actors.PID { return r.server.ProducerIDs }
