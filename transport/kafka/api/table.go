package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Row is one API key as it is served. The table of rows is the one source of what ApiVersions advertises and of what is dispatched.
type Row struct {
	Key  int16
	Name string
	// Min and Max are the versions served, both included. What the lowest versions of Produce get is an answer, not service.
	Min, Max int16
	// Large says that an answer can be much larger than its request: such requests wait for their turn (kafka.Replies).
	Large bool

	handle   func(*Call)
	layout   layout // of the request body; nil where the handler has a codec of its own
	flexible int16  // first version with compact lengths and tagged fields
}

// Records reports that records are written or read by it: such requests take memory and disks, others the time of actors that many share.
func (r *Row) Records() bool { return r.Key == keyProduce || r.Key == keyFetch }

// The keys that the code names.
const (
	keyProduce          = 0
	keyFetch            = 1
	keyListOffsets      = 2
	keySaslHandshake    = 17
	keyApiVersions      = 18
	keySaslAuthenticate = 36
)

// rows builds the table. Versions are those of Kafka 4.4.0; what is missing, and why, is in skipped.go.
func rows() []Row {
	return []Row{
		{Key: keyProduce, Name: "Produce", Min: 0, Max: 13, handle: handleProduce},
		{Key: keyFetch, Name: "Fetch", Min: 4, Max: 18, handle: handleFetch},
		{Key: keyListOffsets, Name: "ListOffsets", Min: 1, Max: 11, Large: true, handle: handleListOffsets, layout: mustLayout(
			`replica i32; isolation i8 2+; topics []{ name str; partitions []{ partition i32; epoch i32 4+; timestamp i64 } }; timeout i32 10+`)},
		{Key: 3, Name: "Metadata", Min: 0, Max: 13, Large: true, handle: handleMetadata, layout: mustLayout(
			`topics []{ id uuid 10+; name str }; auto bool 4+; clusterOperations bool 8-10; topicOperations bool 8+`)},
		{Key: 8, Name: "OffsetCommit", Min: 2, Max: 10, handle: handleOffsetCommit, layout: mustLayout(
			`group str; generation i32; member str; instance str 7+; retention i64 2-4;
			topics []{ name str 0-9; id uuid 10+; partitions []{ partition i32; offset i64; epoch i32 6+; metadata str } }`)},
		{Key: 9, Name: "OffsetFetch", Min: 1, Max: 10, Large: true, handle: handleOffsetFetch, layout: mustLayout(
			`group str 0-7; topics []{ name str; partitions []i32 } 0-7; groups []{ group str; member str 9+; epoch i32 9+;
			topics []{ name str 8-9; id uuid 10+; partitions []i32 } } 8+; stable bool 7+`)},
		{Key: 10, Name: "FindCoordinator", Min: 0, Max: 6, handle: handleFindCoordinator, layout: mustLayout(
			`key str 0-3; type i8 1+; keys []str 4+`)},
		{Key: 11, Name: "JoinGroup", Min: 0, Max: 9, handle: handleJoinGroup, layout: mustLayout(
			`group str; session i32; rebalance i32 1+; member str; instance str 5+; type str; protocols []{ name str; metadata bytes }; reason str 8+`)},
		{Key: 12, Name: "Heartbeat", Min: 0, Max: 4, handle: handleHeartbeat, layout: mustLayout(
			`group str; generation i32; member str; instance str 3+`)},
		{Key: 13, Name: "LeaveGroup", Min: 0, Max: 5, handle: handleLeaveGroup, layout: mustLayout(
			`group str; member str 0-2; members []{ member str; instance str; reason str 5+ } 3+`)},
		{Key: 14, Name: "SyncGroup", Min: 0, Max: 5, handle: handleSyncGroup, layout: mustLayout(
			`group str; generation i32; member str; instance str 3+; type str 5+; protocol str 5+; assignments []{ member str; assignment bytes }`)},
		{Key: 15, Name: "DescribeGroups", Min: 0, Max: 6, Large: true, handle: handleDescribeGroups, layout: mustLayout(
			`groups []str; operations bool 3+`)},
		{Key: 16, Name: "ListGroups", Min: 0, Max: 5, Large: true, handle: handleListGroups, layout: mustLayout(
			`states []str 4+; types []str 5+`)},
		{Key: keyApiVersions, Name: "ApiVersions", Min: 0, Max: 4, handle: handleApiVersions, layout: mustLayout(
			`software str 3+; version str 3+`)},
		{Key: 19, Name: "CreateTopics", Min: 2, Max: 7, Large: true, handle: handleCreateTopics, layout: mustLayout(
			`topics []{ name str; partitions i32; factor i16; assignments []{ partition i32; brokers []i32 };
			configs []{ name str; value str } }; timeout i32; validate bool`)},
		{Key: 20, Name: "DeleteTopics", Min: 1, Max: 6, handle: handleDeleteTopics, layout: mustLayout(
			`names []str 0-5; topics []{ name str; id uuid } 6+; timeout i32`)},
		{Key: 21, Name: "DeleteRecords", Min: 0, Max: 2, handle: handleDeleteRecords, layout: mustLayout(
			`topics []{ name str; partitions []{ partition i32; offset i64 } }; timeout i32`)},
		{Key: 23, Name: "OffsetForLeaderEpoch", Min: 2, Max: 4, handle: handleOffsetForLeaderEpoch, layout: mustLayout(
			`replica i32 3+; topics []{ name str; partitions []{ partition i32; current i32; epoch i32 } }`)},
		{Key: 32, Name: "DescribeConfigs", Min: 1, Max: 4, Large: true, handle: handleDescribeConfigs, layout: mustLayout(
			`resources []{ type i8; name str; keys []str }; synonyms bool; documentation bool 3+`)},
		{Key: 33, Name: "AlterConfigs", Min: 0, Max: 2, handle: handleAlterConfigs, layout: mustLayout(
			`resources []{ type i8; name str; configs []{ name str; value str } }; validate bool`)},
		{Key: 35, Name: "DescribeLogDirs", Min: 1, Max: 5, Large: true, handle: handleDescribeLogDirs, layout: mustLayout(
			`topics []{ name str; partitions []i32 }`)},
		{Key: 37, Name: "CreatePartitions", Min: 0, Max: 3, handle: handleCreatePartitions, layout: mustLayout(
			`topics []{ name str; count i32; assignments []{ brokers []i32 } }; timeout i32; validate bool`)},
		{Key: 42, Name: "DeleteGroups", Min: 0, Max: 2, handle: handleDeleteGroups, layout: mustLayout(
			`groups []str`)},
		{Key: 44, Name: "IncrementalAlterConfigs", Min: 0, Max: 1, handle: handleIncrementalAlterConfigs, layout: mustLayout(
			`resources []{ type i8; name str; configs []{ name str; op i8; value str } }; validate bool`)},
		{Key: 47, Name: "OffsetDelete", Min: 0, Max: 0, handle: handleOffsetDelete, layout: mustLayout(
			`group str; topics []{ name str; partitions []{ partition i32 } }`)},
		{Key: 60, Name: "DescribeCluster", Min: 0, Max: 2, handle: handleDescribeCluster, layout: mustLayout(
			`operations bool; endpoints i8 1+; fenced bool 2+`)},
		{Key: 61, Name: "DescribeProducers", Min: 0, Max: 0, Large: true, handle: handleDescribeProducers, layout: mustLayout(
			`topics []{ name str; partitions []i32 }`)},
		{Key: 68, Name: "ConsumerGroupHeartbeat", Min: 0, Max: 1, handle: handleConsumerGroupHeartbeat, layout: mustLayout(
			`group str; member str; epoch i32; instance str; rack str; timeout i32; names []str; regex str 1+; assignor str; topics []{ id uuid; partitions []i32 }`)},
		{Key: 69, Name: "ConsumerGroupDescribe", Min: 0, Max: 1, Large: true, handle: handleConsumerGroupDescribe, layout: mustLayout(
			`groups []str; operations bool`)},
		{Key: 75, Name: "DescribeTopicPartitions", Min: 0, Max: 0, Large: true, handle: handleDescribeTopicPartitions, layout: mustLayout(
			`topics []{ name str }; limit i32; cursor ?{ name str; partition i32 }`)},
	}
}

// transactionRows are those of transactional producers.
func transactionRows() []Row {
	return []Row{
		{Key: 22, Name: "InitProducerId", Min: 0, Max: 5, handle: handleInitProducerID, layout: mustLayout(
			`transactional str; timeout i32; producer i64 3+; epoch i16 3+`)},
		{Key: 24, Name: "AddPartitionsToTxn", Min: 0, Max: 5, handle: handleAddPartitionsToTxn, layout: mustLayout(
			`transactions []{ id str; producer i64; epoch i16; verify bool; topics []{ name str; partitions []i32 } } 4+;
			id str 0-3; producer i64 0-3; epoch i16 0-3; topics []{ name str; partitions []i32 } 0-3`)},
		{Key: 25, Name: "AddOffsetsToTxn", Min: 0, Max: 4, handle: handleAddOffsetsToTxn, layout: mustLayout(
			`id str; producer i64; epoch i16; group str`)},
		{Key: 26, Name: "EndTxn", Min: 0, Max: 5, handle: handleEndTxn, layout: mustLayout(
			`id str; producer i64; epoch i16; commit bool`)},
		{Key: 27, Name: "WriteTxnMarkers", Min: 1, Max: 2, handle: handleWriteTxnMarkers, layout: mustLayout(
			`markers []{ producer i64; epoch i16; commit bool; topics []{ name str; partitions []i32 }; coordinator i32; version i8 2+ }`)},
		{Key: 28, Name: "TxnOffsetCommit", Min: 0, Max: 5, handle: handleTxnOffsetCommit, layout: mustLayout(
			`id str; group str; producer i64; epoch i16; generation i32 3+; member str 3+; instance str 3+;
			topics []{ name str; partitions []{ partition i32; offset i64; epoch i32 2+; metadata str } }`)},
		{Key: 65, Name: "DescribeTransactions", Min: 0, Max: 0, Large: true, handle: handleDescribeTransactions, layout: mustLayout(
			`ids []str`)},
		{Key: 66, Name: "ListTransactions", Min: 0, Max: 2, Large: true, handle: handleListTransactions, layout: mustLayout(
			`states []str; producers []i64; duration i64 1+; pattern str 2+`)},
	}
}

// toolRows are what tools ask first, mostly about what is not there yet.
func toolRows() []Row {
	return []Row{
		{Key: 43, Name: "ElectLeaders", Min: 0, Max: 2, Large: true, handle: handleElectLeaders, layout: mustLayout(
			`type i8 1+; topics []{ name str; partitions []i32 }; timeout i32`)},
		{Key: 46, Name: "ListPartitionReassignments", Min: 0, Max: 0, Large: true, handle: handleListPartitionReassignments, layout: mustLayout(
			`timeout i32; topics []{ name str; partitions []i32 }`)},
		{Key: 48, Name: "DescribeClientQuotas", Min: 0, Max: 1, handle: handleDescribeClientQuotas, layout: mustLayout(
			`components []{ type str; kind i8; match str }; strict bool`)},
		{Key: 49, Name: "AlterClientQuotas", Min: 0, Max: 1, handle: handleAlterClientQuotas, layout: mustLayout(
			`entries []{ entity []{ type str; name str }; ops []{ key str; value f64; remove bool } }; validate bool`)},
		{Key: 55, Name: "DescribeQuorum", Min: 0, Max: 2, handle: handleDescribeQuorum, layout: mustLayout(
			`topics []{ name str; partitions []{ partition i32 } }`)},
		{Key: 74, Name: "ListConfigResources", Min: 0, Max: 1, Large: true, handle: handleListConfigResources, layout: mustLayout(
			`types []i8 1+`)},
	}
}

// securityRows are those of users and of what they may do.
func securityRows() []Row {
	return []Row{
		{Key: keySaslHandshake, Name: "SaslHandshake", Min: 0, Max: 1, handle: handleSaslHandshake, layout: mustLayout(
			`mechanism str`)},
		{Key: 29, Name: "DescribeAcls", Min: 1, Max: 3, handle: handleDescribeAcls, layout: mustLayout(
			`type i8; name str; pattern i8; principal str; host str; operation i8; permission i8`)},
		{Key: 30, Name: "CreateAcls", Min: 1, Max: 3, handle: handleCreateAcls, layout: mustLayout(
			`creations []{ type i8; name str; pattern i8; principal str; host str; operation i8; permission i8 }`)},
		{Key: 31, Name: "DeleteAcls", Min: 1, Max: 3, handle: handleDeleteAcls, layout: mustLayout(
			`filters []{ type i8; name str; pattern i8; principal str; host str; operation i8; permission i8 }`)},
		{Key: keySaslAuthenticate, Name: "SaslAuthenticate", Min: 0, Max: 2, handle: handleSaslAuthenticate, layout: mustLayout(
			`token bytes`)},
		{Key: 50, Name: "DescribeUserScramCredentials", Min: 0, Max: 0, Large: true, handle: handleDescribeUserScramCredentials, layout: mustLayout(
			`users []{ name str }`)},
		{Key: 51, Name: "AlterUserScramCredentials", Min: 0, Max: 0, handle: handleAlterUserScramCredentials, layout: mustLayout(
			`deletions []{ name str; mechanism i8 }; upsertions []{ name str; mechanism i8; iterations i32; salt bytes; salted bytes }`)},
	}
}

// table indexes the rows by key.
type table [keyMax]*Row

func newTable() (t table) {
	all := slices.Concat(rows(), transactionRows(), securityRows(), toolRows())
	for i := range all {
		r := &all[i]
		req := kmsg.RequestForKey(r.Key)
		for req.SetVersion(r.flexible); !req.IsFlexible() && r.flexible <= r.Max; req.SetVersion(r.flexible) {
			r.flexible++
		}
		t[r.Key] = r
	}
	return t
}

// Row returns how an API key is served, or nil if it is not.
func (s *Server) Row(key int16) *Row {
	if key < 0 || key >= keyMax {
		return nil
	}
	return s.table[key]
}

// Serves reports whether the version is served. ApiVersions answers every version: that is how clients find out.
func (r *Row) Serves(version int16) bool {
	return r.Min <= version && version <= r.Max || r.Key == keyApiVersions
}

// FlexibleRequest reports whether the request of this version has a header with tagged fields.
func (r *Row) FlexibleRequest(version int16) bool { return version >= r.flexible }

// FlexibleResponse reports whether the response of this version has a header with tagged fields. ApiVersions never does, so that a
// client can read it before it knows what the broker speaks. Source: KIP-511.
func (r *Row) FlexibleResponse(version int16) bool {
	return version >= r.flexible && r.Key != keyApiVersions
}
