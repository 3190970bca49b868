// Package classic is the rules of one group of the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup (KIP-62, KIP-345,
// KIP-394, KIP-559, KIP-571, KIP-814), and the format of its record, GroupMetadata.
//
// It decides who is a member, when a generation begins, who leads it and which protocol it speaks, whose assignment is whose, and who
// may commit offsets. What members say to each other (subscriptions, assignments) is opaque, except that the topics of consumers are
// read, because offsets of a topic nobody is subscribed to may go. It does not keep offsets, and it does not know other groups. It is
// pure: a Group belongs to one actor.
//
// # States
//
//	Empty                no members. The first JoinGroup leads to
//	PreparingRebalance   every JoinGroup is parked until all members have joined, or the longest rebalance timeout of them is over. A
//	                     group that was Empty waits for group.initial.rebalance.delay.ms in any case, and again while more come.
//	                     Then the generation begins without the dynamic members that did not join, and all are answered.
//	CompletingRebalance  every SyncGroup is parked until the leader's came with the assignment and that is in the log. Members that
//	                     have not synced when the rebalance timeout is over are removed.
//	Stable               until somebody joins, leaves or falls silent: PreparingRebalance.
//
// A group that nobody is left in becomes Empty when that is in the log. Dead is not a state here: a deleted group is as one that never
// was.
//
// # What lasts
//
// Between two rebalances the group is what its record says: generation, protocol, leader, members with metadata and assignment. There
// are four kinds of records: the leader's assignment (to Stable), a static member that came back under a new id (in Stable), the
// generation without members (to Empty), the tombstone. Replay of the record is what changes the state, live as when loading.
//
// A rebalance itself is soft, as in Kafka: that it goes on, who has joined, and the number of a generation whose assignment is not
// known yet. A new coordinator begins with the generation before, and its members join again when they hear that theirs is not known.
//
// A client that does not know its member id yet is given one and must come back with it (MEMBER_ID_REQUIRED). Such ids leave nothing
// in the log; Kafka writes an empty group.
//
// # Invariants
//
//	I-GEN      a generation has one leader and one protocol, which all of its members support
//	I-ASSIGN   an assignment is handed out only in the generation it was made in, and only once it is in the log
//	I-HARD     in Empty and Stable the group is what its newest record says
//	I-PARK     a member has at most one parked JoinGroup (in PreparingRebalance) and one SyncGroup (in CompletingRebalance); each is
//	           answered once: with what it waits for, with what removed the member, or because a later one took its place
//
// # Bounds
//
// Members: group.max.size. Parked commands: one a member. Ids given out and not used yet: pendingMax. Strings: what fits into a
// record. The size of metadata and assignments: what a request may hold, and group.coordinator.max.member.bytes, which the actor keeps for
// all groups of its node; a group that does not fit into one batch is answered with GROUP_MAX_SIZE_REACHED, as the append fails.
//
// # Non-obvious
//
//   - Members stand in the order in which they joined, so whoever takes over from a leader that left is the oldest; votes that are
//     equal go to what was named first. Kafka follows the order of its hash maps.
//   - A rebalance timeout of zero is a client's right; a group in which nobody joins then still waits a second (retryAfter).
//   - Offset commits are not seen here, but count as heartbeats: Heard.
//
// Source: ClassicGroup, ClassicGroupMember, GroupMetadataManager, GroupCoordinatorRecordHelpers of Kafka 4.3.1. Where this differs
// on purpose the function says so.
package classic
