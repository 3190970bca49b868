// Package partition holds one actor per partition replica, the host that owns them, the flusher of a log directory, and the
// routing table by which everybody else finds a partition without asking anyone.
//
// What it decides: which offset a record gets (produce.go, nowhere else), whose coordinator must be asked before a transaction begins
// here (verify.go), when a reader is woken (fetch.go), when a log is flushed
// together with which others (disk.go), what a node does with a partition whose log failed (host.go). What it does not decide:
// idempotence (partition/producer), the high watermark and acknowledgements (partition/replica), anything about files
// (partition/storage). The shells translate messages, step those machines and carry out the effects.
//
// # One turn
//
// Receive checks a Produce, assigns its offsets and patches the batch; EndTurn writes all the batches of the turn by one
// storage.Log.Append (one pwritev), applies them to the producer state, parks the acknowledgements, asks the flusher for an
// fdatasync, gives the buffers back, publishes a new View and wakes parked readers. Nothing is applied before it is written, so a
// refused write (a full disk) leaves no trace: see turn in produce.go.
//
// # Reading
//
// Reads do not pass through the actor. Handle.View is an atomic pointer to an immutable View, good on any goroutine, and a reader
// that finds nothing parks with protocol.AwaitRecords. A Handle is looked up in the Table for every request and not kept: a
// partition that failed and recovered has a new Handle with a new PID.
//
// # Failing
//
// What passes (storage.Passing: no space, no descriptors, no memory) is an answer, or puts a flush off. Where a log cannot go on from it, it
// goes offline, and the host opens it again through recovery as soon as the system lets it. Any other write or flush error takes the log
// offline for good: everything parked is answered with KAFKA_STORAGE_ERROR, View.Err says so, the actor stops, and the partition stays
// offline until the node restarts. A panic is a bug: the actor stops the same way and the host opens the log again through recovery, a
// bounded number of times.
//
// # Invariants (names from Kafka's replication protocol)
//
//	I-OFFSETS  the batches of one append are contiguous and start at the log end; an offset is never given twice
//	I-HW       the high watermark never falls within a leader epoch and never passes the log end
//	I-HWDUR    durability=disk: the high watermark never passes what is flushed
//	I-BOUNDS   LogStartOffset <= LastStableOffset <= HighWatermark <= LogEndOffset in every published View
//	I-RELEASE  the buffer of every Produce is released exactly once
//
// # Files it owns in a log directory
//
// The host owns the per-directory checkpoints (recovery points, log starts, the clean shutdown marker); a partition owns what is
// in its own directory, through its storage.Log.
package partition
