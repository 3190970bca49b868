package protocol

import "github.com/twmb/franz-go/pkg/kerr"

// Code is a Kafka error code, the answer to a request that was understood but not done. Zero is success.
type Code int16

// The codes the broker uses by name. Source: Kafka's Errors.java; names and texts come from franz-go's kerr.
const (
	UnknownServerError         Code = -1
	None                       Code = 0
	OffsetOutOfRange           Code = 1
	CorruptMessage             Code = 2
	UnknownTopicOrPartition    Code = 3
	InvalidFetchSize           Code = 4
	LeaderNotAvailable         Code = 5
	NotLeaderOrFollower        Code = 6
	RequestTimedOut            Code = 7
	BrokerNotAvailable         Code = 8
	MessageTooLarge            Code = 10
	OffsetMetadataTooLarge     Code = 12
	NetworkException           Code = 13
	CoordinatorLoadInProgress  Code = 14
	CoordinatorNotAvailable    Code = 15
	NotCoordinator             Code = 16
	InvalidTopic               Code = 17
	NotEnoughReplicas          Code = 19
	NotEnoughReplicasAfter     Code = 20
	InvalidRequiredAcks        Code = 21
	IllegalGeneration          Code = 22
	InconsistentGroupProtocol  Code = 23
	InvalidGroupID             Code = 24
	UnknownMemberID            Code = 25
	InvalidSessionTimeout      Code = 26
	RebalanceInProgress        Code = 27
	InvalidCommitOffsetSize    Code = 28
	InvalidTimestamp           Code = 32
	UnsupportedSaslMechanism   Code = 33
	IllegalSaslState           Code = 34
	UnsupportedVersion         Code = 35
	TopicAlreadyExists         Code = 36
	InvalidPartitions          Code = 37
	InvalidReplicationFactor   Code = 38
	InvalidReplicaAssignment   Code = 39
	InvalidConfig              Code = 40
	NotController              Code = 41
	InvalidRequest             Code = 42
	UnsupportedForMessage      Code = 43
	PolicyViolation            Code = 44
	OutOfOrderSequence         Code = 45
	DuplicateSequence          Code = 46
	InvalidProducerEpoch       Code = 47
	InvalidTxnState            Code = 48
	InvalidProducerIDMapping   Code = 49
	InvalidTransactionTimeout  Code = 50
	ConcurrentTransactions     Code = 51
	TxnCoordinatorFenced       Code = 52
	SecurityDisabled           Code = 54
	KafkaStorageError          Code = 56
	SaslAuthenticationFailed   Code = 58
	UnknownProducerID          Code = 59
	NonEmptyGroup              Code = 68
	GroupIDNotFound            Code = 69
	FetchSessionIDNotFound     Code = 70
	InvalidFetchSessionEpoch   Code = 71
	TopicDeletionDisabled      Code = 73
	FencedLeaderEpoch          Code = 74
	UnknownLeaderEpoch         Code = 75
	UnsupportedCompressionType Code = 76
	OffsetNotAvailable         Code = 78
	MemberIDRequired           Code = 79
	GroupMaxSizeReached        Code = 81
	FencedInstanceID           Code = 82
	GroupSubscribedToTopic     Code = 86
	InvalidRecord              Code = 87
	UnstableOffsetCommit       Code = 88
	ThrottlingQuotaExceeded    Code = 89
	ProducerFenced             Code = 90
	ResourceNotFound           Code = 91
	DuplicateResource          Code = 92
	UnacceptableCredential     Code = 93
	UnknownTopicID             Code = 100
	BrokerIDNotRegistered      Code = 102
	InconsistentTopicID        Code = 103
	TransactionalIDNotFound    Code = 105
	FetchSessionTopicIDError   Code = 106
	FencedMemberEpoch          Code = 110
	UnreleasedInstanceID       Code = 111
	UnsupportedAssignor        Code = 112
	StaleMemberEpoch           Code = 113
	TransactionAbortable       Code = 120
	InvalidRegularExpression   Code = 128
)

// Name is Kafka's name of the code, such as NOT_LEADER_OR_FOLLOWER.
func (c Code) Name() string {
	if c == None {
		return "NONE"
	}
	return kerr.TypedErrorForCode(int16(c)).Message
}

// Retriable reports whether Kafka's clients retry after this code.
func (c Code) Retriable() bool { return c != None && kerr.TypedErrorForCode(int16(c)).Retriable }

// Error makes a Code usable as an error; None must not be used as one.
func (c Code) Error() string {
	if c == None {
		return "NONE"
	}
	e := kerr.TypedErrorForCode(int16(c))
	return e.Message + ": " + e.Description
}

// texts are Kafka's where kerr has others. Source: Errors.
var texts = map[Code]string{
	NotLeaderOrFollower:  "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.",
	MessageTooLarge:      "The request included a message larger than the max message size the server will accept.",
	InvalidGroupID:       "The group id is invalid.",
	InvalidProducerEpoch: "Producer attempted to produce with an old epoch.",
	UnknownProducerID:    "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.",
	FencedLeaderEpoch:    "The leader epoch in the request is older than the epoch on the broker.",
	UnknownLeaderEpoch:   "The leader epoch in the request is newer than the epoch on the broker.",
	OffsetNotAvailable:   "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.",
	MemberIDRequired:     "The group member needs to have a valid member id before actually entering a consumer group.",
	GroupMaxSizeReached:  "The group has reached its maximum size.",
	InvalidRecord:        "This record has failed the validation on broker and hence will be rejected.",
	80:                   "The preferred leader was not available.",
	83:                   "Eligible topic partition leaders are not available.",
	84:                   "Leader election not needed for topic partition.",
}

// Text is what Kafka says of the code where no more is known.
func (c Code) Text() string {
	if c == None {
		return "NONE"
	}
	if text, ok := texts[c]; ok {
		return text
	}
	return kerr.TypedErrorForCode(int16(c)).Description
}

// Fault is a Code with the reason for this one case, said for people: what, why, what next.
type Fault struct {
	Code   Code
	Reason string
}

// Failed reports whether the fault is one.
func (f Fault) Failed() bool { return f.Code != None }
