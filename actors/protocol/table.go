package protocol

import "github.com/troupe-broker/troupe/actors/codec"

// NewTable lists every message that may cross to another node, with its type id. An id is pinned for ever: it is never changed and
// never used again. Fields are added at the end of a struct only. testdata/table.txt holds what was released.
//
//	0-15 the runtime   16-63 partitions   64-95 the controller   96-111 hosting   from 128 groups, transactions, membership
func NewTable() *codec.Table {
	return codec.NewTable(
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

		codec.Entry{ID: 96, Message: &HostPartitions{}},
		codec.Entry{ID: 97, Message: &PartitionsHosted{}},
	)
}
