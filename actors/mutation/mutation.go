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
	SkipDirSync
	SwallowSyncError
	NoDuplicateWindow
	WatermarkBeforeFlush
	KeepTornTail
	TrustTail
	ReleaseEarly
	StaleIndex
	CheckpointEarly
	ForgetLogStart
	StaleSnapshot
	WakeNobody
	ReuseTopicDirectory
	ZeroOffset
	ResumeAfterFailure
	SessionSkipsChange
	ShortWriteAccepted
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
	{SkipDirSync, "skip-dir-sync", "a flush does not sync the directory of a new segment"},
	{SwallowSyncError, "swallow-sync-error", "a failed fsync counts as done (fsyncgate)"},
	{NoDuplicateWindow, "no-duplicate-window", "a repeated batch is not recognised"},
	{WatermarkBeforeFlush, "watermark-before-flush", "the high watermark follows the log end instead of the flushed offset"},
	{KeepTornTail, "keep-torn-tail", "recovery leaves a torn tail in the file"},
	{TrustTail, "trust-tail", "recovery does not check CRCs"},
	{ReleaseEarly, "release-early", "a batch's buffer is given back before it is written (KAFKA-15653)"},
	{StaleIndex, "stale-index", "an index entry is taken without looking at the batch it names"},
	{CheckpointEarly, "checkpoint-early", "the recovery position is that of the log end, not of what is durable"},
	{ForgetLogStart, "forget-log-start", "DeleteRecords is acknowledged before the new log start is durable"},
	{StaleSnapshot, "stale-snapshot", "producer state after a restart is that of the snapshot alone"},
	{WakeNobody, "wake-nobody", "parked readers are not woken by the high watermark"},
	{ReuseTopicDirectory, "reuse-topic-directory", "the directory of a deleted topic is left behind and names come back"},
	{ZeroOffset, "zero-offset", "a refused batch is answered with offset 0 (Bufstream, Jepsen 0.1.0)"},
	{ResumeAfterFailure, "resume-after-failure", "a log goes on after a failed write (KAFKA-10778)"},
	{SessionSkipsChange, "session-skips-change", "an incremental fetch session misses that a partition changed"},
	{ShortWriteAccepted, "short-write-accepted", "a write that was cut short counts as whole"},
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
