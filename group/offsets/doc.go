// Package offsets is the committed offsets of one group, and the records of __consumer_offsets that keep them.
//
// What it decides: which rows of a commit are stored and how, which commit counts when several race with a transaction, what a reader
// who wants stable offsets may see, and when offsets expire. What it does not decide: who may commit, that is the group's protocol
// (group/classic, group/consumer), and whether a topic exists, which is said in the rows (protocol.CommitOffset.Code).
//
// # Commits under way
//
// A commit changes nothing that another commit is decided upon, so many commits of one group may be under way at once: Commit makes
// records and the answer and leaves the offsets alone; only Replay, which loading uses too, moves them. The one thing that Commit
// remembers is which partitions a commit of a transaction is under way for, until Settle: a reader who asks for stable offsets in
// that moment must wait, or it would read on from the old offset while the new one is about to count (KIP-447). Kafka has the same
// from its timeline: readers of stable offsets see what is appended and not yet committed.
//
// # Which commit counts
//
// The one that stands last in the log. A commit of a transaction stands where it was appended, not where the marker of the
// transaction is: when the transaction commits, an offset of it gives way to a plain commit appended after it. Were it otherwise,
// compaction, which keeps the last record of a key, would bring another offset back at the next load than was served before it.
// A tombstone removes what is committed and what is pending; so do topics that are deleted and offsets that expire. An offset with a
// pending commit does not expire.
//
// # Format
//
//	key    version  int16   0 or 1, without a difference; 1 is written
//	       group    string  int16 length, UTF-8
//	       topic    string
//	       partition int32
//	value  version  int16   0-4; written: 4, or 1 if the client chose a retention (OffsetCommit v2-4)
//	       offset   int64   the next record to read
//	       epoch    int32   3+; leader epoch of the record before, -1 if not known
//	       metadata string  the client's own; from 4 on with a uvarint length plus one
//	       committed int64  milliseconds
//	       expires  int64   1 only; milliseconds, -1 if it is not set
//	       tags             4+; 0 is the topic id, 16 bytes, absent if it is not known
//
// A tombstone is a key without value.
//
// Invariant: an offset that was served without a pending commit is replaced only by what stands after it in the log.
//
// Source: OffsetMetadataManager, OffsetAndMetadata, GroupCoordinatorRecordHelpers, OffsetExpirationConditionImpl; KIP-98, KIP-447,
// KIP-211 (expiry), KIP-496 (delete), KIP-516 (topic ids).
package offsets
