// Package assignor computes who of a consumer group shall read which partitions: the server-side assignors "uniform" and "range".
//
// It decides the target only. Who holds what meanwhile, and when somebody may take over, is the group's business (group/consumer).
// Everything is pure and goes by index: members and topics come in order of id, and the answer has one row for each member.
//
// # Invariants
//
//   - Every partition of a topic that somebody subscribes to is in exactly one row, and in one of a subscriber.
//   - Rows are in order of topic id and partition.
//   - Equal input gives equal output; there is no chance in it.
//
// # uniform
//
// Members that all subscribe to the same topics get within one partition of each other, and of the partitions that were given before as
// few move as that allows: who has one too many keeps it, if one too many is allowed at all. What is free goes round the members that
// have room, topic by topic, so that each gets a share of every topic and not all of one.
//
// If subscriptions differ, what was given before is kept, what is free goes to the subscriber with the least, topics with few
// subscribers first, and then single partitions move from who has two or more too many, until no single move helps.
//
// Apache Kafka picks the members that get one more by their place in a hash map, so that one that owns one more may lose it to another.
//
// # range
//
// Each topic on its own: its partitions in ranges of equal length over its subscribers in order of instance id, then member id, the
// first ones one longer. Members that subscribe to the same topics of the same size get the same partition numbers of each (KIP-848
// keeps this promise of the client's range assignor; static members first, so that they keep their ranges over restarts).
//
// Source: UniformAssignor, UniformHomogeneousAssignmentBuilder, UniformHeterogeneousAssignmentBuilder, RangeAssignor.
package assignor
