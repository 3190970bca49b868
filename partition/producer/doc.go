// Package producer keeps, for one log, what is known of the producers that write to it: enough to take every batch of an idempotent
// producer exactly once and in order (KIP-98, KIP-360), and to know which transactions are open, so how far a read_committed reader
// may read.
//
// It decides whether a batch or a marker may be appended (Check, CheckMarker), what changes when it is (Apply, ApplyMarker; the same
// for live appends, replay after a start and replication), the first unstable offset, and what a snapshot of it all looks like. It
// does not decide whether a transaction is going on at its coordinator (KIP-890: the shell asks where Begins is true, and watches the
// Guard), nor offsets, nor when to snapshot. It is pure: a State belongs to one actor.
//
// # Rules for one batch of a client
//
//	producer unknown here          any sequence: its state may have expired or been deleted with its records
//	exactly one of the last five   a duplicate: answered with the offset and timestamp of the first time
//	epoch older                    INVALID_PRODUCER_EPOCH
//	epoch newer                    the sequence must be 0, else OUT_OF_ORDER_SEQUENCE_NUMBER
//	sequence follows               appended; 0 follows 2^31-1
//	entirely before the last five  DUPLICATE_SEQUENCE_NUMBER
//	anything else                  OUT_OF_ORDER_SEQUENCE_NUMBER
//	not transactional, but its producer has a transaction open here   INVALID_TXN_STATE
//
// Five, because clients keep at most five requests in flight (max.in.flight.requests.per.connection), so a retry is never older.
// The second last code is not what today's Kafka answers (it says out of order there too), but what its clients understand: they
// take DUPLICATE_SEQUENCE_NUMBER for a success of unknown offset, and out of order for a reason to try again until time runs out.
// A sequence counts as before if it is behind by less than half the range, so a wrapped one is told from an old one.
//
// Batches of our own coordinators (transactional offset commits) carry no sequence and are only checked for epoch and transaction.
//
// # Applying before writing
//
// A second batch of a producer must be checked against the first even if both are written by one write at the end of the turn. So
// a batch is applied as soon as its offset is assigned, and the State keeps what it needs to undo that: Commit when the write
// succeeded, Rollback when it was refused cleanly and the log still ends where it did. After any other failure the log goes offline
// and the State is rebuilt.
//
// # Transactions
//
// A transaction begins in a log with the first transactional batch of its producer and ends with its marker. Between the two, and
// until the marker is below the high watermark, its first offset is unstable. An aborted one is handed to the shell for the
// transaction index, with the last stable offset as it is once the marker is in.
//
// # Invariants (names from the design's list)
//
//	I-SEQ      within (producer, epoch) sequences follow each other, a new epoch begins at 0
//	I-FENCE-P  a producer's epoch never falls
//	I-PSTATE   snapshot + replay of what follows = replay of everything, after every prefix
//	I-PEXP     nothing with an open transaction expires
//	I-LSO      LSO = min(high watermark, first offset of a transaction that is open or whose marker is not below it)
//	I-MARK     coordinator epochs of markers do not fall; one marker ends at most one transaction
//
// # Bounds
//
// Config.MaxProducers bounds the producers of a log; at the bound batches of further ones are refused and their markers not remembered; from three quarters on
// Expire is less patient (PressureExpireAfter). Open and not yet stable transactions are bounded by the producers and by what the
// log holds above the high watermark.
//
// # Non-obvious
//
//   - Expiry goes by the batches' timestamps, as nothing else can be recovered from a log, and those are the clients' to choose. So
//     an entry also survives every Expire that finds it used since the one before: a producer that writes records of last year is
//     not forgotten between two batches. Source of the trouble: KAFKA-9144 and the like.
//   - A marker may come twice: its coordinator sends it again after a crash. The second ends nothing and is harmless, but takes an offset.
//   - Kafka's snapshot holds one batch per producer, so a restart narrows its duplicate window from five to one. Ours follows the
//     same bytes with a section Kafka does not read; see snapshot.go.
//
// Source: ProducerStateManager, ProducerAppendInfo, ProducerStateEntry, BatchMetadata.
package producer
