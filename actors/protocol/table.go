package protocol

import "github.com/troupe-broker/troupe/actors/codec"

// NewTable lists every message that may cross to another node, with its type id. An id is pinned for ever: it is never changed and
// never used again. Fields are added at the end of a struct only. testdata/table.txt holds what was released.
//
//	0-15 the runtime   16-63 partitions   64-95 the controller   96-111 hosting   128-159 groups   160-191 transactions
//	192-223 the native client
func NewTable() *codec.Table {
	return codec.NewTable(append(native(),
		codec.Entry{ID: 16, Message: &Produce{}},
		codec.Entry{ID: 17, Message: &Produced{}},
		codec.Entry{ID: 18, Message: &AwaitRecords{}},
		codec.Entry{ID: 19, Message: &RecordsReady{}},
		codec.Entry{ID: 20, Message: &ForgetAwait{}},
		codec.Entry{ID: 21, Message: &DeleteRecords{}},
		codec.Entry{ID: 22, Message: &RecordsDeleted{}},
		codec.Entry{ID: 23, Message: &DescribeProducers{}},
		codec.Entry{ID: 24, Message: &ProducersDescribed{}},

		codec.Entry{ID: 64, Message: &CreateTopics{}},
		codec.Entry{ID: 65, Message: &TopicsCreated{}},
		codec.Entry{ID: 66, Message: &DeleteTopics{}},
		codec.Entry{ID: 67, Message: &TopicsDeleted{}},
		codec.Entry{ID: 68, Message: &CreatePartitions{}},
		codec.Entry{ID: 69, Message: &PartitionsCreated{}},
		codec.Entry{ID: 70, Message: &AlterConfigs{}},
		codec.Entry{ID: 71, Message: &ConfigsAltered{}},
		codec.Entry{ID: 72, Message: &AllocateProducerIDs{}},
		codec.Entry{ID: 73, Message: &ProducerIDsAllocated{}},
		codec.Entry{ID: 74, Message: &AlterScramCredentials{}},
		codec.Entry{ID: 75, Message: &ScramCredentialsAltered{}},
		codec.Entry{ID: 76, Message: &DescribeQuorum{}},
		codec.Entry{ID: 77, Message: &QuorumDescribed{}},

		codec.Entry{ID: 96, Message: &HostPartitions{}},
		codec.Entry{ID: 97, Message: &PartitionsHosted{}},

		codec.Entry{ID: 128, Message: &JoinGroup{}},
		codec.Entry{ID: 129, Message: &GroupJoined{}},
		codec.Entry{ID: 130, Message: &SyncGroup{}},
		codec.Entry{ID: 131, Message: &GroupSynced{}},
		codec.Entry{ID: 132, Message: &HeartbeatGroup{}},
		codec.Entry{ID: 133, Message: &GroupHeartbeat{}},
		codec.Entry{ID: 134, Message: &LeaveGroup{}},
		codec.Entry{ID: 135, Message: &GroupLeft{}},
		codec.Entry{ID: 136, Message: &HeartbeatConsumer{}},
		codec.Entry{ID: 137, Message: &ConsumerHeartbeat{}},
		codec.Entry{ID: 138, Message: &DescribeGroup{}},
		codec.Entry{ID: 139, Message: &GroupDescribed{}},
		codec.Entry{ID: 140, Message: &ListGroups{}},
		codec.Entry{ID: 141, Message: &GroupsListed{}},
		codec.Entry{ID: 142, Message: &DeleteGroup{}},
		codec.Entry{ID: 143, Message: &GroupDeleted{}},
		codec.Entry{ID: 144, Message: &CommitOffsets{}},
		codec.Entry{ID: 145, Message: &OffsetsCommitted{}},
		codec.Entry{ID: 146, Message: &FetchOffsets{}},
		codec.Entry{ID: 147, Message: &OffsetsFetched{}},
		codec.Entry{ID: 148, Message: &DeleteOffsets{}},
		codec.Entry{ID: 149, Message: &OffsetsDeleted{}},

		codec.Entry{ID: 160, Message: &InitTransactions{}},
		codec.Entry{ID: 161, Message: &TransactionsInitialized{}},
		codec.Entry{ID: 162, Message: &AddPartitions{}},
		codec.Entry{ID: 163, Message: &PartitionsAdded{}},
		codec.Entry{ID: 164, Message: &EndTransaction{}},
		codec.Entry{ID: 165, Message: &TransactionEnded{}},
		codec.Entry{ID: 166, Message: &DescribeTransaction{}},
		codec.Entry{ID: 167, Message: &TransactionDescribed{}},
		codec.Entry{ID: 168, Message: &ListTransactions{}},
		codec.Entry{ID: 169, Message: &TransactionsListed{}},
		codec.Entry{ID: 170, Message: &EndOffsets{}},
		codec.Entry{ID: 171, Message: &OffsetsEnded{}},
	)...)
}

// native are the messages of the native client.
func native() []codec.Entry {
	return []codec.Entry{
		{ID: 192, Message: &PartitionAssigned{}},
		{ID: 193, Message: &Delivered{}},
		{ID: 194, Message: &DeliveryRefused{}},
		{ID: 195, Message: &Acknowledge{}},
		{ID: 196, Message: &RevokePartition{}},
		{ID: 197, Message: &PartitionRevoked{}},
		{ID: 198, Message: &StopConsuming{}},
		{ID: 199, Message: &ConsumerEnded{}},
		{ID: 200, Message: &FetchRecords{}},
		{ID: 201, Message: &RecordsFetched{}},
		{ID: 202, Message: &ProduceRecords{}},
		{ID: 203, Message: &RecordsProduced{}},
		{ID: 204, Message: &TakeProducerID{}},
		{ID: 205, Message: &ProducerIDTaken{}},
	}
}
