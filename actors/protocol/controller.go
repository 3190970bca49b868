package protocol

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// CreateTopics asks the controller to create topics. Answered when the created partitions are led and served.
type CreateTopics struct {
	Head
	Topics       []NewTopic
	ValidateOnly bool
	Timeout      time.Duration
	// Auto marks creation through Metadata: a topic that exists is answered as it is, without TopicAlreadyExists.
	Auto bool
	By   Requester
}

// NewTopic is one topic to create. -1 for Partitions or ReplicationFactor means the broker's default.
type NewTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Assignments       []ReplicaAssignment
	Configs           []ConfigEntry
}

// ReplicaAssignment places one partition by hand.
type ReplicaAssignment struct {
	Partition int32
	Replicas  []NodeID
}

// ConfigEntry is a key and its value; Null means "no value" (delete, or use the default).
type ConfigEntry struct {
	Key, Value string
	Null       bool
}

// Refused answers for a controller that cannot.
func (m *CreateTopics) Refused(actors.Refusal) (actors.PID, any) {
	out := &TopicsCreated{Answer: Answer{m.ID}}
	for _, t := range m.Topics {
		out.Topics = append(out.Topics, TopicResult{Name: t.Name, Fault: Fault{Code: NotController}})
	}
	return m.ReplyTo, out
}

// TopicsCreated answers CreateTopics: one row a topic, in the order asked.
type TopicsCreated struct {
	Answer
	Topics []TopicResult
}

// TopicResult is what became of one topic.
type TopicResult struct {
	Name string
	ID   TopicID
	Fault
	Partitions        int32
	ReplicationFactor int16
}

// DeleteTopics asks the controller to delete topics, each named by Name or by ID.
type DeleteTopics struct {
	Head
	Topics  []TopicRef
	Timeout time.Duration
	By      Requester
}

// TopicRef names a topic by name or, if that is empty, by id.
type TopicRef struct {
	Name string
	ID   TopicID
}

// Refused answers for a controller that cannot.
func (m *DeleteTopics) Refused(actors.Refusal) (actors.PID, any) {
	out := &TopicsDeleted{Answer: Answer{m.ID}}
	for _, t := range m.Topics {
		out.Topics = append(out.Topics, TopicResult{Name: t.Name, ID: t.ID, Fault: Fault{Code: NotController}})
	}
	return m.ReplyTo, out
}

// TopicsDeleted answers DeleteTopics: one row a topic, in the order asked.
type TopicsDeleted struct {
	Answer
	Topics []TopicResult
}

// CreatePartitions grows topics.
type CreatePartitions struct {
	Head
	Topics       []GrowTopic
	ValidateOnly bool
	Timeout      time.Duration
	By           Requester
}

// GrowTopic sets the new total number of partitions; Assignments, if any, place the new ones in order.
type GrowTopic struct {
	Name        string
	Count       int32
	Assignments [][]NodeID
}

// Refused answers for a controller that cannot.
func (m *CreatePartitions) Refused(actors.Refusal) (actors.PID, any) {
	out := &PartitionsCreated{Answer: Answer{m.ID}}
	for _, t := range m.Topics {
		out.Topics = append(out.Topics, TopicResult{Name: t.Name, Fault: Fault{Code: NotController}})
	}
	return m.ReplyTo, out
}

// PartitionsCreated answers CreatePartitions: one row a topic, in the order asked.
type PartitionsCreated struct {
	Answer
	Topics []TopicResult
}

// ResourceType is Kafka's ConfigResource.Type.
type ResourceType int8

const (
	ResourceTopic        ResourceType = 2
	ResourceBroker       ResourceType = 4
	ResourceBrokerLogger ResourceType = 8
	ResourceGroup        ResourceType = 32
)

// ConfigOp is Kafka's AlterConfigOp.OpType.
type ConfigOp int8

const (
	ConfigSet ConfigOp = iota
	ConfigDelete
	ConfigAppend
	ConfigSubtract
)

// AlterConfigs changes dynamic configuration, incrementally (KIP-339) or, with Replace, by replacing the whole set.
type AlterConfigs struct {
	Head
	Resources    []AlterResource
	Replace      bool
	ValidateOnly bool
	By           Requester
}

// AlterResource is one resource's changes. Name is the topic, or the broker id ("" = cluster-wide default).
type AlterResource struct {
	Type ResourceType
	Name string
	Ops  []AlterOp
}

// AlterOp is one change of one key.
type AlterOp struct {
	Op ConfigOp
	ConfigEntry
}

// Refused answers for a controller that cannot.
func (m *AlterConfigs) Refused(actors.Refusal) (actors.PID, any) {
	out := &ConfigsAltered{Answer: Answer{m.ID}}
	for _, r := range m.Resources {
		out.Resources = append(out.Resources, ResourceResult{Type: r.Type, Name: r.Name, Fault: Fault{Code: NotController}})
	}
	return m.ReplyTo, out
}

// ConfigsAltered answers AlterConfigs: one row a resource, in the order asked.
type ConfigsAltered struct {
	Answer
	Resources []ResourceResult
}

// ResourceResult is what became of one resource.
type ResourceResult struct {
	Type ResourceType
	Name string
	Fault
}

// AllocateProducerIDs reserves a block of producer ids for one node.
type AllocateProducerIDs struct{ Head }

// Refused answers for a controller that cannot.
func (m *AllocateProducerIDs) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &ProducerIDsAllocated{Answer: Answer{m.ID}, Fault: Fault{Code: NotController}}
}

// ProducerIDsAllocated answers AllocateProducerIDs with the half-open block [First, First+Count). No id is ever given twice.
type ProducerIDsAllocated struct {
	Answer
	Fault
	First ProducerID
	Count int32
}

// DescribeQuorum asks the controller where the raft group of the metadata log is. Answered at once, also while nobody leads.
type DescribeQuorum struct{ Head }

// Refused answers for a controller that cannot.
func (m *DescribeQuorum) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &QuorumDescribed{Answer: Answer{m.ID}, Fault: Fault{Code: NotController}, Leader: NoNode}
}

// QuorumDescribed answers DescribeQuorum.
type QuorumDescribed struct {
	Answer
	Fault
	Leader        NodeID // NoNode while nobody leads
	Epoch         int32  // raft's term
	HighWatermark int64  // the index after the last committed entry
	Voters        []QuorumVoter
}

// QuorumVoter is a member that votes. LogEnd is the index after its last entry, -1 if that is not known here.
type QuorumVoter struct {
	Node   NodeID
	LogEnd int64
}
