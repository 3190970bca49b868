// Package txn holds the rules of one transactional id: who its producer is, what its transaction has touched, how that ends, and the
// record of it in __transaction_state. It decides; the actor that owns a Transaction appends, sends markers, fetches producer ids.
//
// # States
//
//	Empty           a producer, no transaction
//	Ongoing         partitions are being added
//	PrepareCommit   decided: every partition gets a commit marker      (PrepareAbort: an abort marker)
//	CompleteCommit  every marker is in; the next transaction may begin (CompleteAbort)
//
// Kafka's PrepareEpochFence and Dead are not here: the first lives only between two lines of Kafka's own code, the second is an id that
// is about to expire; neither is ever in the log.
//
// # Two protocols
//
// TV1: the epoch is the producer's, for all its transactions; clients add partitions themselves (AddPartitionsToTxn up to v3).
// TV2 (KIP-890): every end of a transaction takes the next epoch, so a late request of one transaction cannot be taken for one of the
// next; partition leaders add on behalf of clients. The end is answered with the epoch, or when 32766 was reached with the new producer
// id, that the client goes on with. An end that is asked for again at the epoch before gets the same answer.
//
// A producer is fenced by a higher epoch: InitTransactions takes one, and so does the coordinator for a transaction that outlives its
// timeout. Epoch 32767 is never given to a client, so that the coordinator can always fence once more.
//
// # Waiting instead of refusing
//
// While a transaction completes, Kafka answers what comes in with CONCURRENT_TRANSACTIONS and its clients try again after 20 ms or more.
// Here such a command is parked, for at most ParkFor and at most MaxParked of them, and decided when the markers are in. So is one
// that needs a new producer id. What Kafka would refuse for good is refused at once. The end that is already decided is answered at
// once when asked for again: nothing about it can change.
//
// # Flushes
//
// Step may be called several times with the same Out before its records are appended: each command is decided on what those before it
// decided, and one append commits them all. That is used inside as well: the record that completes a transaction and what the parked
// commands decide after it are one batch, all or none. So a producer that goes on at once pays three flushes beside its data: its
// partitions (with the completion before), the decision, the markers. Kafka's order of writes holds: the next transaction is durable only
// if the completion of the one before is, so after a crash no marker is sent again into a partition where the next has begun; and a
// marker sent twice for the same transaction ends nothing the second time.
//
// # Invariants (names from the design's list)
//
//	I-TXNSM    hard state changes only in Replay, along the arrows above
//	I-ONE      a decision that is in the log never changes; every partition gets the same outcome
//	I-FENCE-P  (producer id, epoch) only move forward; an older epoch changes nothing
//	           markers leave only for a decision that is in the log
//	           every command is answered exactly once; Close answers what is left
//
// # Bounds
//
// MaxParked commands wait, for ParkFor each. MaxRecordBytes bounds the record and so the partitions of a transaction.
//
// # The records
//
// Key, version 0:
//
//	int16 version   int16+bytes transactional id
//
// Value, version 1 (version 0, read only, has fixed lengths and no tags):
//
//	int16 version  int64 producer id  int16 epoch  int32 timeout ms  int8 state
//	compact array of (compact string topic, compact array of int32 partition, tags); null when Empty
//	int64 last update ms  int64 start ms, -1 if there never was a transaction
//	tags  0 int64 producer id before the last change  1 int64 producer id from the completion on  2 int16 transaction version of the client
//
// # Non-obvious
//
//   - The epoch before the last InitTransactions is not in the log (Kafka has no field for it), so that request is not recognised as
//     repeated after the coordinator has moved; the client is then fenced. Ends are, since their record tells.
//   - InitTransactions with an epoch that is not the current one does not abort an open transaction. Kafka's does, before it refuses it.
//   - A marker that a partition refuses with INVALID_PRODUCER_EPOCH counts as in. An epoch beyond ours only gets there by the marker of
//     a newer end (an operator's WriteTxnMarkers), which has ended the transaction there too; and a marker of TV2 is refused so where
//     its transaction has ended and the next one is open (KIP-1228). Below TV2 Kafka stops sending and leaves the id in Prepare until
//     its coordinator moves.
//   - A transaction whose commit is decided stays Prepare until each marker is in, however long a partition is away; nothing times out.
//   - Deadlines are on the monotonic clock, counted from what the records say when the log was loaded.
//
// Source: TransactionCoordinator, TransactionMetadata, TransactionStateManager, TransactionLog, TransactionMarkerRequestCompletionHandler;
// KIP-98, KIP-360, KIP-447, KIP-588, KIP-664, KIP-890.
package txn
