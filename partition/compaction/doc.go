// Package compaction keeps the newest record of every key of one log (cleanup.policy=compact).
//
// It decides how much of a log may be compacted and whether that is worth while (plan.go), which records stay (filter.go,
// transactions.go), which segments become one (plan.go), and reads and writes them in bounded steps (rewrite.go), over a storage.View and
// outside any actor. It does not decide which log of a node comes next, when, or how fast: that is the partition package's cleaner,
// which also hands every finished segment to the log.
//
// # A round
//
//	[ clean: newest per key of what is below | dirty: to be read | not yet: open transactions, active segment, too young ]
//	0                                    firstDirty            upper                                              log end
//
// First the dirty part is read up to upper and the newest offset of every key noted in an OffsetMap, batch by batch, until it is full: the
// rest is for the next round. Then all segments up to there are rewritten in groups, oldest first, so that at every moment, and after
// every crash, a record is still there whose newer one is, and a tombstone is not gone before what it deletes. When all groups are in
// place the log is clean up to there: the cleaner's checkpoint.
//
// # What stays
//
//	a record          that is the newest of its key up to where the map reaches; any record above that
//	a tombstone       likewise, until its batch's delete horizon: delete.retention.ms after the round that first kept it (KIP-534)
//	a marker          as long as anything of its transaction is left; from then on until its own delete horizon
//	no record         of an aborted transaction, or without key
//	an empty batch    that holds the last sequence of a producer which the log still knows, or the last offset of a rewritten segment:
//	                  recovery takes a gap between segments for a loss. Readers of records do not see it (storage.View.LocateRecords)
//
// Offsets, timestamps, sequences, epochs and codecs never change. A batch of which everything stays is copied as it is.
//
// # Invariants
//
//	offsets of the batches ascend, and the last batch of a segment ends where the next segment begins
//	a data batch of a transaction is never left without its marker (KAFKA-14055), nor an aborted one without its index entry
//
// Source: Kafka's LogCleaner, Cleaner, LogCleanerManager, CleanedTransactionMetadata, SkimpyOffsetMap; KIP-58, KIP-354, KIP-534.
package compaction
