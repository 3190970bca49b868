// Package consumer is the rules of one group of the consumer protocol (KIP-848): members say in heartbeats what they subscribe to and
// what they own, and are told what they shall own.
//
// It decides who is a member, at which epoch, what each may hold, and which records say so; it also knows these records' formats. It
// does not decide who shall read what (group/assignor), nor keep offsets (group/offsets: CheckCommit and CheckFetch only say whether a
// member may speak of them). It is pure: a Group belongs to one actor, and changes its hard state only in Replay (group/step).
//
// # Epochs
//
//	group epoch     grows when members come or go, change what they subscribe to, or topics appear, vanish or grow
//	target epoch    the group epoch for which the target was computed last
//	member epoch    the target epoch the member has reached; what it was told last
//	partition epoch the target epoch with which a member was given a partition: commits older than it are refused (KIP-1251)
//
// A member goes to its target in steps of its own, see reconciliation. Each heartbeat is answered at once.
//
// # Invariants
//
//   - A partition is in the hands (assigned or revoking) of one member at most, from the record that gives it until the one in which
//     that member does without it. Members in good standing have been told no more than that, provided that a client which says what it
//     owns takes nothing more until it is answered.
//   - Member epochs do not fall, and none is above the target epoch; the target epoch is not above the group epoch.
//   - A heartbeat that changes nothing costs the same whatever the size of the group: comparisons, and one allocation for the answer.
//   - Records, whole or compacted after any prefix, give the same hard state as the steps that wrote them.
//
// # How fast a group settles
//
// Nothing in the protocol lets the broker call a member, so what takes time is waiting for heartbeats; with Kafka that is up to
// group.consumer.heartbeat.interval.ms, 5 s, for each round, and giving up and taking over are two. But clients use the interval of the
// last answer. So it is the configured one only for groups in which nothing happens:
//
//	a member that waits for something, or whose group computes   max(100 ms, 1 ms for each member)
//	a member that has all it should                              max(250 ms, 2.5 ms for each member)
//	either, as long as nothing changes                           that, doubled as long as it is below 1/16 of the time of quiet
//	but never more than                                          the configured interval
//
// So a group causes at most 1,000 heartbeats a second, for as long as something moves; after a quiet minute it is at 4 s, after two at 5 s.
// Members that come and go in bursts, as they do with deployments, meet a group that still listens.
//
// The target is computed at once for the first change, and for what follows within a second only when it has been still for 50 ms; by
// Tick, so that it does not wait for a heartbeat (with Kafka 4.3: once a second, by the next heartbeat; KIP-1263). A hundred members that
// join together cause two or three targets, not a hundred.
//
// # Members of the classic protocol
//
// Consumers that still speak the classic protocol may be members, so that a group can be moved member by member. Their generation is
// their member epoch; a heartbeat tells them to join again when there is a step to do, JoinGroup is that step, SyncGroup tells what they
// hold. They are not told of others and nobody waits for them, other than for partitions. FromClassic makes a group of a classic one,
// when the first member of the new protocol joins; when the last one goes, Downgrade says so and ClassicMembers tells who is left.
//
// # Not as in Kafka
//
//   - Regular expressions are matched within the heartbeat that brings them, and again when topics changed, at most once a second; not by
//     another thread, at most every ten seconds.
//   - A heartbeat at epoch 0 that does not say all that a join must say is told UNKNOWN_MEMBER_ID, not INVALID_REQUEST: librdkafka sends one
//     when it subscribes right after its leave was answered, and takes the latter for fatal; the former makes it join.
//   - A static member that joins again with its own member id is taken for what it is, and not refused because it has not left.
//   - A member that keeps its epoch keeps its previous one, too: a second lost answer does not fence it.
//   - A member of the classic protocol that joins with partitions, but is none, is told UNKNOWN_MEMBER_ID.
//   - A classic group that is turned into one of these in the middle of a rebalance leaves its members what they claim.
//   - A member that goes back to the classic protocol with its group keeps what it was to give up until it joins there.
//   - Racks are kept and shown, but change nothing: Kafka's assignors do not use them either.
//
// Source: KIP-848, KIP-1251, KIP-1263; ConsumerGroup, ConsumerGroupMember, CurrentAssignmentBuilder, TargetAssignmentBuilder,
// GroupMetadataManager, GroupCoordinatorRecordHelpers of Kafka 4.3.
package consumer
