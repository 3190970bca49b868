package client

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Routes finds the actors of the broker. All methods may be called on any actor's turn: they do not block and answer from what is known
// now. A code that is not None is why there is nothing; the client comes back.
type Routes interface {
	// Topic and TopicByID tell what clients need to know of a topic.
	Topic(name string) (Topic, bool)
	TopicByID(id protocol.TopicID) (Topic, bool)
	// Leader takes Produce for the partition.
	Leader(tp protocol.TopicPartition) (actors.PID, protocol.Code)
	// Admit says whether the leader's node lets a batch in (size, keys, timestamps under the topic's settings), and what to send for it.
	Admit(tp protocol.TopicPartition, batch []byte, now time.Time) ([]byte, protocol.Fault)
	// Reader takes FetchRecords for the partition.
	Reader(tp protocol.TopicPartition) (actors.PID, protocol.Code)
	// Coordinator is the shard of a group. To ask for one makes it, if there is none yet.
	Coordinator(group string) (actors.PID, protocol.Code)
	// ProducerIDs takes TakeProducerID.
	ProducerIDs() actors.PID
}

// Topic is what clients need to know of one.
type Topic struct {
	Name       string
	ID         protocol.TopicID
	Partitions int32
}

// retryWait is how long the client waits before it tries again what the broker could not do.
const retryWait = 100 * time.Millisecond
