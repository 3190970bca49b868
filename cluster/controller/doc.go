// Package controller decides metadata changes: which records follow from a command, and what its sender is told.
//
// Decide looks at an image and answers with records; it changes nothing. The records are proposed to raft, and when they are
// committed every node folds them with image.Apply, which also replay does. So deciding and applying are two functions, and only the
// leader decides. Several commands are decided in a row by folding each one's records into a working image before the next.
//
// It decides every rule of Kafka's controller that exists so far: names, counts, placement and assignments of topics, growth,
// deletion, configuration, credentials, blocks of producer ids, registration of brokers. It does not decide which partition is led where after a
// failure, nor when an answer is sent.
//
// # Invariants
//
//   - The records of one command are all or nothing (KAFKA-14204): they are proposed in one entry, together with those of the
//     commands decided beside it.
//   - Rows of an answer are in the order asked; a row that fails contributes no record.
//   - Nothing depends on a clock, on chance or on the order of a map: randomness comes in with Now.
//
// # Records on disk
//
//	entry or snapshot = version 0 (1 byte) | count uvarint | count times: length uvarint | frame
//	frame             = as in actors/codec: type id (2 bytes), then a msgpack array of the record's fields
//
// Type ids are pinned in records.go and in testdata/records.txt. A node that meets an id or version it does not know stops: it would
// fold something else than the others. Fields that a newer release added are ignored; it may only rely on them once the feature level
// says that every node knows them.
//
// # Non-obvious
//
//   - A topic id never begins with a dash in text, so that it can be an argument of a command; and it is a random UUID of version 4, as
//     Kafka's, so it is never one of the reserved ids.
//   - Two new topics of one request that would collide ('.' against '_') are both checked; Kafka checks only against existing ones.
//   - A user of SCRAM that one request names twice keeps what it has: only the first fault of a user is told.
//   - An unknown broker setting is refused. Kafka takes it, for plug-ins that we do not have.
//   - APPEND and SUBTRACT start from the default of the table if the key is not set, as in Kafka, not from the broker's value.
//   - A broker that starts after an unclean shutdown gets new leader epochs for what it leads, in the batch of its registration: what
//     its log lost was read under the old ones.
//
// Source: KIP-500, KIP-516, KIP-339, KIP-631; ReplicationControlManager, ConfigurationControlManager, ConfigAdminManager,
// ClusterControlManager, ProducerIdControlManager, ScramControlManager, ControllerApis.
package controller
