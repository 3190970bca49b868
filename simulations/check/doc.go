// Package check decides whether a history of client operations keeps the promises of the broker. It sees what clients saw (requests,
// answers, their order in real time) and the log of faults that were injected; it knows nothing of the broker's insides.
//
// One checker, one property, one file, with a comment that argues why the check suffices. The definitions follow Jepsen's Kafka
// workload (jepsen/src/jepsen/tests/kafka.clj), restated for offsets that clients are told: offsets already witness the order of a
// partition, so nothing here searches; every checker is one pass over sorted observations.
//
// Rules of the history (the workload keeps them, the checkers stand on them):
//   - Values are unique over the whole run and grow in the order of invocation, so a value names its send.
//   - One Send is one record batch; its values are consecutive numbers and lie at consecutive offsets from the acknowledged one.
//   - A process is one logical client: its operations on one partition are invoked in the order it means them.
//   - An outcome is OK, Fail (definitely did not happen) or Info (unknown). An operation without completion counts as Info.
//   - A producer without idempotence never sends a batch again, so a duplicate is always the broker's doing.
//   - Consumers assign partitions and offsets themselves; after each Assign a process starts anew.
//
// What is excused is a function over the fault log (excuse.go), never a flag in a scenario.
package check
