// Package storage is the segment log of one partition replica in Kafka's on-disk format, over env.FS.
//
// It decides which bytes are where, when a segment ends, what a crash leaves of a log, and what may be served to a reader. It does
// not decide offsets, epochs, which records are acknowledged or committed, or when to flush: the partition actor tells it.
//
// # Who calls what
//
// A Log belongs to one actor. It hands out two things for others: a View, an immutable snapshot that any goroutine reads while the
// log goes on, and a FlushTask, the blocking work of making durable what was appended. Append, View and FlushTask cost a turn what
// the write into the page cache costs. Open, Close, TruncateTo, Restart, Delete and the snapshots block for the disk: run them
// outside the actor pool while the actor leaves the log alone.
//
// # The files of a log
//
// The directory is <topic id>-<partition> (DirName). A segment is named by its base offset in 20 digits. Integers are big-endian.
//
//	<base>.log         record batches of format v2, one after the other (package record draws one). Nothing between, before or after
//	                   them. Base offsets increase; they may leave gaps where compaction removed whole batches.
//
//	<base>.index       an entry for a batch roughly every index.interval.bytes:
//	                    0  4  relativeOffset  last offset of the batch minus the segment's base
//	                    4  4  position        of the first byte of the batch in the .log
//	                   Both increase strictly. To find an offset: the last entry at or below it, then batch headers from there on.
//
//	<base>.timeindex   0  8  timestamp       the largest of all batches up to relativeOffset, milliseconds
//	                   8  4  relativeOffset  last offset of the first batch that has it
//	                   Both increase strictly. Written beside .index entries when the timestamp grew, and when the segment is rolled,
//	                   so that the last entry of a rolled segment has its largest timestamp: retention goes by it.
//
//	<base>.txnindex     0  2  version          0
//	                    2  8  producerId
//	                   10  8  firstOffset      of the aborted transaction
//	                   18  8  lastOffset       its abort marker
//	                   26  8  lastStableOffset of the log when the marker was written: where a search may end
//
//	<offset>.snapshot  producer state as of offset; the content is the partition's.
//
//	<base>.log.cleaned, .swap and those of the indexes: a segment on its way to replace others; see Replacement.
//
//	leader-epoch-checkpoint   text: version 0, the number of entries, "epoch startOffset" a line. The only file beside .log that
//	                   cannot be rebuilt from the whole log once compaction has removed the first batch of an epoch.
//
//	lowered-position   text: version 0, "count offset start segment bytes aborted reset", CRC-32C in hex. Ours; see TruncateTo.
//
//	partition.metadata text: version, topic id and, not Kafka's, the quoted topic name. For people and tools only: the directory's name decides.
//	                   Written once there is data.
//
// Beside the logs a log directory holds recovery-point-offset-checkpoint, replication-offset-checkpoint and
// log-start-offset-checkpoint and cleaner-offset-checkpoint (text, Kafka's), meta.properties, .kafka_cleanshutdown, and our own
//
//	positions-checkpoint  "troupe positions" 00 01 | count 4 | count times:
//	                       0 16  topic id
//	                      16  4  partition
//	                      20  8  offset          everything below is durable
//	                      28  8  start           the log start; nothing below it counts
//	                      36  8  segment         base of the segment offset lies in
//	                      44  8  bytes           its position there
//	                      52  8  maxTimestamp    of the segment up to there, -1 if none
//	                      60  8  maxOffset       last offset of the first batch that has it
//	                      68  4  epoch           newest leader epoch below offset, -1 if none
//	                      72  4  indexes         entries of the segment's .index
//	                      76  4  times           entries of its .timeindex
//	                      80  4  aborted         entries of its .txnindex
//	                      84  4  lowered         see Position
//	                      | CRC-32C 4
//
//	directories-checkpoint  text: version 0, then "directory.id path" a line for every directory that the node works in (Sibling). A start
//	                   that lacks one of them is refused.
//
//	flush-journal-0, -1   what small flushes made durable before the segment files were synced; see Journal, which draws a frame.
//
// # What is durable when
//
// A FlushTask makes durable: rolled segments and their indexes, the active segment, entries of .txnindex files, the epoch checkpoint if
// it changed, the directory if files were created; only then it removes segments that were dropped, a few at a time (see Removing).
// FlushedOffset advances when all that is done, and never if the log was truncated meanwhile. So an acknowledgement that waits for
// FlushedOffset depends on no unsynced file, name or epoch.
//
// A Journal may take the place of a FlushTask's Run, if all there is to flush is bytes at the end of the active segment: FlushedOffset
// advances when a frame with them is durable, Position only when the files are synced, by a later Run. Until then Open needs the journal
// (Options.Journal): it appends what the files lack of it. A truncation makes what is left durable in the files before it voids, by
// Position.Lowered, what the journal holds; so does whatever else raises Lowered (Settled).
//
// Position is what recovery may trust. It goes into the positions checkpoint now and then; recovery reads nothing below it. A log that
// is cut below a position it gave out says so in lowered-position first.
//
// # Failures
//
// A full disk, or a system without descriptors, refuses a call and leaves the log as it was (ErrRefused, Passing). If even that cannot be
// made so, the log is offline until it is opened again, and after any other failed write or sync, or a sync that failed for whatever
// reason, it is for good: it keeps serving what its Views hold, and takes nothing. A Restart or TruncateTo that fails after it began to remove is of that
// kind too; Open finishes it.
//
// # Recovery
//
// From Position on, every batch must be whole, have a right CRC, continue the offsets and not go back in leader epoch. The log is cut
// at the first one that does not, later segments go, and Recovered says so. If anything below Position is missing the log does not
// open (ErrCorrupt) and nothing is changed. Indexes beyond Position are rebuilt; older ones are checked against the log when used.
//
// Between segments offsets must continue: a segment begins where the one before it ended. A gap there is a tail that did not reach the
// disk while a later segment did. Whoever rewrites segments (compaction) therefore keeps the last batch of each, emptied if need be.
//
// # Reading
//
// Bytes this process appended were checked before. Bytes found at Open are checked once, by the first reader, before they are served
// (View.Locate); that a byte rots on the disk after it was checked and evicted from memory shows only in View.Scrub.
//
// Two ways to look: Locate finds whatever batches there are, LocateRecords, for those who read records, steps over the ones that compaction
// emptied.
//
// # Non-obvious
//
//   - An index file is never synced while its segment is active, and a stale or torn one is harmless: an entry counts only if the
//     batch at its position ends with its offset.
//   - The log's own truncation must be durable before the next append. Else the pages of a cut-off batch may come back behind a
//     new one of the same size, with a right CRC and the right offset.
//   - The name of the oldest segment is durable before there is a second one (Log.anchored), and dropped segments go oldest first, each
//     durably. So whatever a crash leaves is missing at the end, not at the beginning, and a hole is a lost tail.
//   - A dropped segment may come back in a crash before its removal is durable. So a flush that was under way syncs it all the same, and
//     Position says where the log starts.
//   - The last segment is never removed before one that continues the log is durable. An empty directory is an empty log at 0.
//   - A View finds what replaced its segments by itself; what compaction removed is a gap to it.
//   - A file that retention or compaction removed stays readable for whoever has it pinned; so a Span never changes under its reader.
//
// Source: Kafka's UnifiedLog, LocalLog, LogSegment, LogLoader, OffsetIndex, TimeIndex, TransactionIndex, LeaderEpochFileCache.
package storage
