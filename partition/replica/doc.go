// Package replica is the leader's half of the rules of one partition replica: when a record is committed, who waits for that, and who
// waits for something to read.
//
// It is a pure machine: no file, clock, goroutine or lock. The partition actor tells it what happened (Appended, Flushed, Followed,
// Restarted, Reconfigure, Resign) and asks it what follows (HighWatermark, Release, Wake). It decides
//
//   - the high watermark, in watermark.go and nowhere else: the smallest position of the maximal in-sync set, where a member's position
//     is what it has on disk under durability=disk, and its log end under durability=os;
//   - whether what the log knew of the high watermark may be shown yet (epoch.go);
//   - when an acknowledgement may leave (parked.go);
//   - when a parked reader looks again (awaits.go).
//
// It does not decide offsets (partition/produce.go) or what is a duplicate (partition/producer), nor who is in sync: it is told.
//
// # The maximal in-sync set
//
// What counts for the high watermark is every replica the controller might believe in sync: those it decided (Term.ISR) and those the
// leader has asked it to add and not heard about (Term.Joining). A replica leaves the set when the controller has said so, never when
// the leader only asked for it: until then the controller could make it leader, and it must have all that is committed. What counts
// for min.insync.replicas is Term.ISR alone, as the others may be refused. Both err on the side of committing later.
//
// # Invariants
//
//	I-MAXISR   the high watermark counts every member of the maximal set
//	I-HW       it never passes the log end of one of them, the leader's own included
//	I-HWDUR    durability=disk: nor what one of them has on stable storage
//	I-MINISR   it stands still while fewer than min.insync.replicas are in Term.ISR
//	I-HWMONO   it never falls within a term
//	I-ACKALL   an acks=all is satisfied only below the high watermark, an acks=1 only below the leader's own position
//
// They are asserted where they could break. A broken one is a crash of the partition's actor, before anybody was told.
//
// # Bounds
//
// AcksMax and AwaitsMax; at the bound the one who asks is refused at once and nothing is forgotten. Every acknowledgement and every
// reader that was taken is handed back exactly once: satisfied, expired or failed.
//
// Source: KIP-101, KIP-207, KIP-279, KIP-841, KIP-966; Kafka's Partition.scala (maybeIncrementLeaderHW,
// checkEnoughReplicasReachOffset, PartitionState.maximalIsr). The durable position is ours: Kafka counts a follower's log end, which
// power loss can take back.
package replica
