package protocol

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// Groups of every protocol share these messages. They go to the coordinator shard of the group (Kafka's partition of
// __consumer_offsets), which answers NotCoordinator where it is not, and CoordinatorLoadInProgress while it reads its log.
// Source: GroupCoordinator.java.

// Member says who speaks: a member of a group, as its client presents it.
type Member struct {
	GroupID    string
	MemberID   string
	InstanceID string // group.instance.id of a static member (KIP-345); empty is none
	ClientID   string
	ClientHost string // "/127.0.0.1", as Kafka shows it
}

// coordinatorCode maps why a command did not reach its coordinator to what clients try again.
func coordinatorCode(why actors.Refusal) Code {
	if why == actors.RefusedOverload {
		return CoordinatorLoadInProgress
	}
	return NotCoordinator
}

// JoinGroup enters a classic group, or joins it again. Answered by GroupJoined when the generation begins.
type JoinGroup struct {
	Head
	Member
	ProtocolType     string // "consumer", "connect", or anything else: opaque
	Protocols        []GroupProtocol
	SessionTimeout   time.Duration
	RebalanceTimeout time.Duration
	// RequireKnownMember: a new dynamic member is first given its id and must come back with it (v4+, KIP-394).
	RequireKnownMember bool
	// SkipAssignment: the client understands a leader that need not assign (v9+, KIP-814).
	SkipAssignment bool
	Reason         string // why it joins again (KIP-800)
}

// GroupProtocol is an assignor by name and what the member says to it.
type GroupProtocol struct {
	Name     string
	Metadata []byte
}

// Failed is the answer with code.
func (m *JoinGroup) Failed(code Code) any {
	return &GroupJoined{Answer: Answer{m.ID}, Fault: Fault{Code: code}, Generation: -1, MemberID: m.MemberID}
}

// Refused answers for a coordinator that cannot.
func (m *JoinGroup) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// GroupJoined answers JoinGroup. Members is for the leader only.
type GroupJoined struct {
	Answer
	Fault
	Generation     int32
	ProtocolType   string
	ProtocolName   string
	Leader         string
	SkipAssignment bool
	MemberID       string
	Members        []JoinedMember
}

// JoinedMember is one member as the leader sees it.
type JoinedMember struct {
	MemberID, InstanceID string
	Metadata             []byte // of the chosen protocol
}

// SyncGroup asks a classic group for this member's assignment; the leader's brings those of all.
type SyncGroup struct {
	Head
	Member
	Generation   int32
	ProtocolType string // empty below v5
	ProtocolName string
	Assignments  []MemberAssignment
}

// MemberAssignment is what the leader gives to one member; opaque.
type MemberAssignment struct {
	MemberID   string
	Assignment []byte
}

// Failed is the answer with code.
func (m *SyncGroup) Failed(code Code) any {
	return &GroupSynced{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *SyncGroup) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// GroupSynced answers SyncGroup.
type GroupSynced struct {
	Answer
	Fault
	ProtocolType, ProtocolName string
	Assignment                 []byte
}

// HeartbeatGroup says that a member of a classic group lives.
type HeartbeatGroup struct {
	Head
	Member
	Generation int32
}

// Failed is the answer with code.
func (m *HeartbeatGroup) Failed(code Code) any {
	return &GroupHeartbeat{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *HeartbeatGroup) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// GroupHeartbeat answers HeartbeatGroup.
type GroupHeartbeat struct {
	Answer
	Fault
}

// LeaveGroup takes members out of a group of any protocol (an administrator may, by instance id: KIP-571).
type LeaveGroup struct {
	Head
	GroupID string
	Members []LeavingMember
}

// LeavingMember names one member. MemberID may be empty if InstanceID is not.
type LeavingMember struct{ MemberID, InstanceID, Reason string }

// Failed is the answer with code.
func (m *LeaveGroup) Failed(code Code) any {
	return &GroupLeft{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *LeaveGroup) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// GroupLeft answers LeaveGroup: one row a member, in the order asked.
type GroupLeft struct {
	Answer
	Fault
	Members []LeftMember
}

// LeftMember is what became of one.
type LeftMember struct {
	MemberID, InstanceID string
	Code                 Code
}

// HeartbeatConsumer is the one request of the consumer protocol (KIP-848): it joins, lives, changes and leaves by it.
type HeartbeatConsumer struct {
	Head
	Member
	// MemberEpoch: 0 joins, -1 leaves, -2 is a static member that leaves for a while.
	MemberEpoch      int32
	Rack             string
	RebalanceTimeout time.Duration // -1 is unchanged
	// Topics subscribed to by name; TopicsSet says that the list was sent, or it is unchanged.
	Topics    []string
	TopicsSet bool
	// Regex subscribed to (RE2); RegexSet as above.
	Regex    string
	RegexSet bool
	Assignor string // server assignor by name; empty is unchanged, or the default
	// Owned are the partitions the member still holds; OwnedSet as above.
	Owned    []TopicPartitions
	OwnedSet bool
}

// TopicPartitions are some partitions of one topic.
type TopicPartitions struct {
	Topic      TopicID
	Partitions []int32
}

// Failed is the answer with code.
func (m *HeartbeatConsumer) Failed(code Code) any {
	return &ConsumerHeartbeat{Answer: Answer{m.ID}, Fault: Fault{Code: code}, MemberID: m.MemberID}
}

// Refused answers for a coordinator that cannot.
func (m *HeartbeatConsumer) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// ConsumerHeartbeat answers HeartbeatConsumer.
type ConsumerHeartbeat struct {
	Answer
	Fault
	MemberID    string
	MemberEpoch int32
	Interval    time.Duration // between heartbeats
	// Assignment, if AssignmentSet: what the member shall hold now.
	Assignment    []TopicPartitions
	AssignmentSet bool
}

// DescribeGroup asks for one group of any protocol. Classic asks in the classic form (DescribeGroups), else in that of KIP-848
// (ConsumerGroupDescribe): a group of the other protocol is then answered with GroupIDNotFound and a reason.
type DescribeGroup struct {
	Head
	GroupID string
	Classic bool
}

// Failed is the answer with code.
func (m *DescribeGroup) Failed(code Code) any {
	return &GroupDescribed{Answer: Answer{m.ID}, Fault: Fault{Code: code}, GroupID: m.GroupID}
}

// Refused answers for a coordinator that cannot.
func (m *DescribeGroup) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// GroupDescribed answers DescribeGroup.
type GroupDescribed struct {
	Answer
	Fault
	GroupID         string
	State           string // Kafka's: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead; Empty, Assigning, Reconciling, Stable, Dead
	Epoch           int32  // group epoch, or generation
	AssignmentEpoch int32  // KIP-848
	ProtocolType    string // classic
	Protocol        string // classic protocol name, or server assignor
	Members         []DescribedMember
}

// DescribedMember is one member of a described group, ordered by id.
type DescribedMember struct {
	Member
	Rack        string
	MemberEpoch int32 // KIP-848
	Classic     bool  // a classic member in a consumer group
	// Metadata and Assignment of the classic form.
	Metadata, Assignment []byte
	// Of the KIP-848 form.
	Topics           []string
	Regex            string
	Assigned, Target []TopicPartitions
}

// ListGroups asks a shard for its groups. Empty filters let everything pass; names are compared without regard to case.
type ListGroups struct {
	Head
	States []string
	Types  []string // "classic", "consumer"
}

// Failed is the answer with code.
func (m *ListGroups) Failed(code Code) any {
	return &GroupsListed{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *ListGroups) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// GroupsListed answers ListGroups, ordered by id.
type GroupsListed struct {
	Answer
	Fault
	Groups []ListedGroup
}

// ListedGroup is one group.
type ListedGroup struct {
	GroupID, ProtocolType, State string
	Type                         string // "classic", "consumer": clients compare them (Group.GroupType)
}

// DeleteGroup removes a group without members, with its offsets.
type DeleteGroup struct {
	Head
	GroupID string
}

// Failed is the answer with code.
func (m *DeleteGroup) Failed(code Code) any {
	return &GroupDeleted{Answer: Answer{m.ID}, Fault: Fault{Code: code}, GroupID: m.GroupID}
}

// Refused answers for a coordinator that cannot.
func (m *DeleteGroup) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// GroupDeleted answers DeleteGroup once that is durable.
type GroupDeleted struct {
	Answer
	Fault
	GroupID string
}

// CommitOffsets stores a group's positions; with a ProducerID as part of its transaction (TxnOffsetCommit), and then they count only
// when it commits.
type CommitOffsets struct {
	Head
	Member
	// Generation, or member epoch under KIP-848; -1 without membership.
	Generation      int32
	TransactionalID string
	ProducerID      ProducerID // NoProducerID outside transactions
	ProducerEpoch   ProducerEpoch
	Retention       time.Duration // of v2-4; -1 is offsets.retention.minutes
	Offsets         []CommitOffset
	// AddPartition: TV2 adds the group's partition of __consumer_offsets to the transaction first (KIP-890).
	AddPartition bool
	// Old: the sender does not know the codes of KIP-848 (OffsetCommit below v9).
	Old bool
}

// CommitOffset is one position: the next record to read.
type CommitOffset struct {
	Topic       string
	TopicID     TopicID // zero if not known
	Partition   int32
	Offset      int64
	LeaderEpoch LeaderEpoch // NoLeaderEpoch if not known
	Metadata    string
	// Code, if not None, is the answer for this row, found on the way: it is not committed.
	Code Code
}

// Failed is the answer with code, on every row that has none.
func (m *CommitOffsets) Failed(code Code) any {
	out := &OffsetsCommitted{Answer: Answer{m.ID}, Codes: make([]Code, len(m.Offsets))}
	for i := range m.Offsets {
		if out.Codes[i] = m.Offsets[i].Code; out.Codes[i] == None {
			out.Codes[i] = code
		}
	}
	return out
}

// Refused answers for a coordinator that cannot.
func (m *CommitOffsets) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// OffsetsCommitted answers CommitOffsets once that is durable: a code for each row, in the order asked.
type OffsetsCommitted struct {
	Answer
	Codes []Code
}

// FetchOffsets asks for one group's committed positions. MemberID and Generation are checked if given (v9+).
type FetchOffsets struct {
	Head
	Member
	Generation    int32 // -1: not checked
	RequireStable bool  // KIP-447: positions with an undecided transaction are UnstableOffsetCommit
	All           bool  // every position there is; Wanted is empty
	Wanted        []WantedOffset
}

// WantedOffset names one position.
type WantedOffset struct {
	Topic     string
	Partition int32
	TopicID   TopicID // zero if not known; one committed for another incarnation of the topic is none
}

// Failed is the answer with code.
func (m *FetchOffsets) Failed(code Code) any {
	return &OffsetsFetched{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *FetchOffsets) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// OffsetsFetched answers FetchOffsets: in the order wanted, or by topic and partition. Offset is -1 where there is none.
type OffsetsFetched struct {
	Answer
	Fault
	Offsets []CommitOffset
}

// DeleteOffsets removes positions of topics to which no member is subscribed (KIP-496).
type DeleteOffsets struct {
	Head
	GroupID string
	Offsets []WantedOffset
}

// Failed is the answer with code.
func (m *DeleteOffsets) Failed(code Code) any {
	return &OffsetsDeleted{Answer: Answer{m.ID}, Fault: Fault{Code: code}}
}

// Refused answers for a coordinator that cannot.
func (m *DeleteOffsets) Refused(why actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(coordinatorCode(why))
}

// OffsetsDeleted answers DeleteOffsets once that is durable: a code for each row, in the order asked.
type OffsetsDeleted struct {
	Answer
	Fault
	Codes []Code
}
