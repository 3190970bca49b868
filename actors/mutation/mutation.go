// Package mutation plants known bugs, so that the simulator can be seen to find them: testing the tester.
//
// A hook is one line in the code it breaks,
//
//	if mutation.Is(mutation.AckBeforeFlush) { ... the bug ... }
//
// and costs nothing in an ordinary build, where Is is a constant false that the compiler removes with all behind it. With the build
// tag "mutate" one mutation at a time can be switched on. Every mutation is a bug that a real system had or nearly had; a mutation
// the simulator does not find is a hole in the simulator (simulations/scenarios keeps the table of what is found and how fast).
package mutation

// Mutation is one planted bug.
type Mutation uint8

// The mutations. What each one does stands beside its name in Table.
const (
	None Mutation = iota
	AckBeforeFlush
	WatermarkBeforeFlush
	ReadBeyondWatermark
	SkipDirSync
	SwallowSyncError
	ShortWriteAccepted
	JournalUnsynced
	JournalUndrained
	JournalNotReplayed
	ReleaseEarly
	KeepTornTail
	TrustTail
	CheckpointEarly
	CleanMarkerStays
	ForgetLogStart
	ForgetProducers
	StaleSnapshot
	NoDuplicateWindow
	KeepRefused
	ZeroOffset
	SessionSkipsChange
	MetadataBeforeSync
	ProducerIDsAgain
	BeginUnverified
	StableAtWatermark
	HideAborted
	AbortedOfOneSegment
	ForgetAborted
	OffsetsAckedEarly
	StaleGeneration
	InstanceNotFenced
	GenerationAgain
	GivenUnreleased
	StaleEpoch
	MarkersNotResumed
	CompleteBeforeMarkers
	EpochStays
	EpochAgain
	ZombieAdmitted
	PendingVisible
	AbortCommitsOffsets
	EndOfNext
	CompactNewest
	CompactMarkers
	EpochRestarts
	OwnersForgotten
	RoomForJoining
	ExpireSubscribed
	ExpireByCommit
	ExpireNothing
	InheritOffsets
	RegexOnce
	count
)

// Entry describes one mutation.
type Entry struct {
	Mutation Mutation
	Name     string
	Bug      string
}

// Table lists all mutations.
var Table = []Entry{
	{AckBeforeFlush, "ack-before-flush", "acknowledgements do not wait for the flush (etcd #14370)"},
	{WatermarkBeforeFlush, "watermark-before-flush", "the high watermark follows the log end instead of the flushed offset"},
	{ReadBeyondWatermark, "read-beyond-watermark", "consumers are served what is not committed (NATS #6792)"},
	{SkipDirSync, "skip-dir-sync", "a flush does not sync the directory of a new segment"},
	{SwallowSyncError, "swallow-sync-error", "a failed fsync counts as done (fsyncgate)"},
	{ShortWriteAccepted, "short-write-accepted", "a write that failed half way counts as whole (KAFKA-10778)"},
	{JournalUnsynced, "journal-unsynced", "a frame of the flush journal is not synced"},
	{JournalUndrained, "journal-undrained", "a file of the flush journal is filled anew before the segments are synced"},
	{JournalNotReplayed, "journal-not-replayed", "a start does not give the logs what the flush journal holds of them"},
	{ReleaseEarly, "release-early", "a batch's buffer is given back before it is written (KAFKA-15653)"},
	{KeepTornTail, "keep-torn-tail", "recovery finds a torn tail and leaves it in the files"},
	{TrustTail, "trust-tail", "recovery and first readers do not check CRCs"},
	{CheckpointEarly, "checkpoint-early", "the recovery position is that of the log end, not of what is durable"},
	{CleanMarkerStays, "clean-marker-stays", "the marker of a clean stop is not taken away at start (KAFKA-10471)"},
	{ForgetLogStart, "forget-log-start", "a new log start is shown and answered before it is durable"},
	{ForgetProducers, "forget-producers", "records are deleted although no snapshot knows their producers"},
	{StaleSnapshot, "stale-snapshot", "producer state after a restart is that of the snapshot alone"},
	{NoDuplicateWindow, "no-duplicate-window", "a repeated batch is appended again"},
	{KeepRefused, "keep-refused", "a turn that a full disk refused stays in the producer state"},
	{ZeroOffset, "zero-offset", "a refused batch is answered with offset 0 (Bufstream 0.1.0, Jepsen)"},
	{SessionSkipsChange, "session-skips-change", "an incremental fetch session misses that a partition changed"},
	{MetadataBeforeSync, "metadata-before-sync", "metadata is committed before it is on disk (raft section 3.8)"},
	{ProducerIDsAgain, "producer-ids-again", "a block of producer ids is given out twice"},
	{BeginUnverified, "begin-unverified", "a transaction begins in a partition without asking its coordinator (KIP-890, KAFKA-14402)"},
	{StableAtWatermark, "stable-at-watermark", "read_committed readers are served up to the high watermark (redpanda #3036)"},
	{HideAborted, "hide-aborted", "Fetch does not say which transactions were aborted"},
	{AbortedOfOneSegment, "aborted-of-one-segment", "only the first segment of a read is asked for aborted transactions (redpanda 36b5236c0f)"},
	{ForgetAborted, "forget-aborted", "a start does not note the aborted transactions that it replays"},
	{OffsetsAckedEarly, "offsets-acked-early", "an offset commit is answered before it is in the log (D12, KAFKA-15784)"},
	{StaleGeneration, "stale-generation", "a member of an earlier generation may commit (2.4-j2)"},
	{InstanceNotFenced, "instance-not-fenced", "a static member's former self is taken for the new one"},
	{GenerationAgain, "generation-again", "a rebalance does not begin a new generation"},
	{GivenUnreleased, "given-unreleased", "a partition is given to a member before another one has given it up (E8)"},
	{StaleEpoch, "stale-epoch", "a member of an earlier epoch may commit to what it has given up (KIP-1251)"},
	{MarkersNotResumed, "markers-not-resumed", "a coordinator does not go on with a decided transaction that it finds (D11, KAFKA-16352)"},
	{CompleteBeforeMarkers, "complete-before-markers", "a transaction is complete before its markers are written (D15)"},
	{EpochStays, "epoch-stays", "a transaction that timed out is aborted without fencing its producer (D8, KAFKA-6119)"},
	{EpochAgain, "epoch-again", "InitProducerId gives the same epoch again"},
	{ZombieAdmitted, "zombie-admitted", "requests of a fenced producer are taken (D7, KAFKA-9600)"},
	{PendingVisible, "pending-visible", "offsets of a transaction count before it is committed"},
	{AbortCommitsOffsets, "abort-commits-offsets", "offsets of an aborted transaction count"},
	{EndOfNext, "end-of-next", "an EndTxn that arrives late ends the next transaction (D3, KAFKA-17754)"},
	{CompactNewest, "compact-newest", "compaction removes the newest record of a key"},
	{CompactMarkers, "compact-markers", "compaction removes markers whose records stay (redpanda 4ce65523af)"},
	{EpochRestarts, "epoch-restarts", "a group that changes its protocol counts from the beginning"},
	{OwnersForgotten, "owners-forgotten", "a group that goes to KIP-848 takes its partitions for free"},
	{RoomForJoining, "room-for-joining", "group.max.size is not looked at while members join (E6, KAFKA-9844)"},
	{ExpireSubscribed, "expire-subscribed", "offsets of topics with subscribers expire (E4, KAFKA-13636)"},
	{ExpireByCommit, "expire-by-commit", "offsets of an empty group expire from their commit, not from when it became empty (KAFKA-4682)"},
	{ExpireNothing, "expire-nothing", "offsets that nobody keeps stay for ever"},
	{InheritOffsets, "inherit-offsets", "offsets stay when their topic is deleted, and one made anew inherits them"},
	{RegexOnce, "regex-once", "a regular expression is matched only when a member brings it"},
}

// Named finds a mutation; None if there is none of that name.
func Named(name string) Mutation {
	for _, e := range Table {
		if e.Name == name {
			return e.Mutation
		}
	}
	return None
}
