// Package group runs the coordinators of groups and of transactional ids as actors. It decides nothing of Kafka's protocols: rules are
// in group/classic, group/consumer, group/offsets and group/txn. It decides where a coordinator lives, in which order its records reach
// the log, and what happens to it when that log does not answer.
//
//	Host                        one a node: follows the metadata, spawns a shard for each partition of an internal topic led here
//	  shard                     one a partition: loads its log, routes commands, appends for its children
//	    groupActor              one a group: a membership machine and its committed offsets
//	    transactionActor        one a transactional id: its machine, and the markers it sends
//
// A command goes from the connection to the shard (Directory finds it without a lock), from there to the child, which steps its machine.
// What must last goes back to the shard as records. The shard collects the records of all its children and appends them as one batch, a
// Produce with acks=all to the partition's actor like everybody else's. When that is committed the child replays the records, which is
// what loading does too, and only then lets the answers go.
//
// # Invariants
//
//	I-SHARD   an active shard has replayed every record of its log below next, and is its only writer: each append begins at next. A
//	          batch found elsewhere means that there is something in the log that the shard has not seen: it loads again.
//	I-FATE    the fate of an append is never guessed. It is committed (replay), certainly not in the log (NotAppended), or unknown: then
//	          every child ends, answers what it holds with an error that clients take up again, and the log is read anew.
//	I-ORDER   what a child hands to its shard is appended in that order, and settled in that order.
//	I-ANSWER  every command is answered exactly once: by its machine, by a child that stops or fails, or by a mailbox that refuses it.
//
// # Bounds
//
//	appendsMax        batches of a shard under way; what comes meanwhile waits and shares the next batch
//	loadsMax          shards that load beside each other
//	waitingMax        commands that wait for a shard to load: beyond it CoordinatorLoadInProgress
//	heldMax           commands a child holds back while records of its machine are under way: beyond it CoordinatorLoadInProgress
//	commitsMax        offset commits of one group under way: beyond it CoordinatorLoadInProgress
//	childrenMax       coordinators of one shard: beyond it CoordinatorNotAvailable
//	population        groups, transactional ids, and what members say, of a node: group.coordinator.max.groups and the like
//	commitSizeMax     bytes of the records of one offset commit: beyond it InvalidCommitOffsetSize
//	indivisibleMax    bytes of records that must be in the log together: beyond it GroupMaxSizeReached
//
// # Non-obvious
//
//   - Children are spawned for any id that a command names, and retire as soon as nothing of them is in the log and nobody waits: so
//     "no such group" is decided by the machine of an empty group, not by a second set of rules.
//   - A child may retire only if the shard has sent it nothing it has not seen: shard and child count messages (retire).
//   - The internal topics are created on demand, when the first client looks for its coordinator, not when a node starts.
//   - Batches keep to the topic's max.message.bytes: a large commit is several of them, with one answer when the last is in. Only what must
//     be in the log as a whole, the assignment of a large group, comes as one larger batch, which readers know from limits that were lowered.
//   - Offset commits of a transaction have batches of their own, with the producer's id and epoch and no sequence; the marker that ends it
//     takes its place in the same queue, so what was handed in before it is before it in the log.
//   - A panic of one child ends that child: the shard waits until nothing of it is under way, reads its records alone from the log and
//     spawns it again. The others do not notice.
//
// Source: CoordinatorRuntime, GroupCoordinatorService, GroupCoordinatorShard, TransactionStateManager, AutoTopicCreationManager.
package group
