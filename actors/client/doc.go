// Package client makes the actors of an application clients of troupe: they consume topics in groups, and produce, by messages.
//
// It needs of the broker what Routes tells and nothing else, so the same client works inside a node (cmd/node gives the routes) and,
// once there are links for it, from another process.
//
// # Consuming
//
// Consume makes an actor, the consumer, that is one member of a group of the consumer protocol (KIP-848) on behalf of one or more actors
// of the application. To the group it is a member like any other: it shares partitions with Kafka's clients and with other native
// consumers, it is listed and described, and its offsets are those of the group. Among its own actors it shares what it owns: one actor
// per partition, the one with the least to do, and it stays with it.
//
//	consumer                      an actor of the application
//	PartitionAssigned  ─────────▶ it reads the partition from Offset on
//	Delivered          ─────────▶ records, in order
//	                   ◀───────── Acknowledge: done with everything before Next
//	RevokePartition    ─────────▶ no more of it; acknowledge what you have
//	                   ◀───────── Acknowledge of the rest, or Release
//	PartitionRevoked   ─────────▶ committed; the lease is over
//
// What an actor may rely on:
//
//   - Records of a partition come in the order of their offsets, without gaps but for those of the log (compaction, markers, aborted
//     transactions under read_committed), under one lease at a time.
//   - Credit: never more than Credit records, or CreditBytes and one record, are delivered to an actor and not acknowledged, over all its
//     partitions. An actor that is slow gets less; nothing piles up but one read per partition.
//   - At least once: what was acknowledged is committed, soon, and before the partition is given up; what was not is delivered again, to
//     whoever reads the partition next. Nothing is committed that was not acknowledged.
//   - In good order a partition is delivered to nobody else before its actor acknowledged, released, or let RevokeWait pass. Nobody can
//     promise that to a member the coordinator has fenced (it was not heard of for a session): it loses its partitions with Lost set,
//     and what it acknowledges from then on is not committed.
//   - An actor that ends hands its partitions to the others of the same consumer; with the last of them the consumer leaves the group.
//
// # Producing
//
// Produce makes an actor, the producer, that takes ProduceRecords from any actor and answers each with the offsets when they are
// acknowledged by all in-sync replicas. What arrives while a partition's batch is under way becomes its next batch: one per partition at
// a time, so a retry cannot overtake. The producer is idempotent: a producer id, a sequence per partition, and retries of the same
// sequence until DeliveryTimeout. When it is not known what became of a batch it gave up, the producer goes on under a new id.
//
// # Non-obvious
//
//   - A partition is taken only on the answer to a heartbeat: one under way may say that the partition is given up, and the coordinator may
//     then give it to another.
//   - Leases, not epochs, tell late acknowledgements: a partition may come back, or change hands among the consumer's own actors, within
//     one member epoch.
//   - A Delivered that a full mailbox refused ends the lease, because those sent after it may have arrived.
//   - The rules (lane, crew, isolation, partitioner, sequence) send nothing and wait for nothing, and are tested as such.
//
// Not done: transactions, regular expressions as subscriptions, compression, commits with metadata.
//
// Source: KIP-848, KIP-98; ConsumerMembershipManager, CompletedFetch, BuiltInPartitioner, RecordAccumulator of Kafka 4.3.
package client
