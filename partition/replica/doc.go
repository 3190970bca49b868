// Package replica is the leader's half of the rules of one partition replica: when a record is committed, who waits for that, and who
// waits for something to read.
//
// It is a pure machine: no file, clock, goroutine or lock. The partition actor tells it what happened (Appended, Flushed, Followed,
// Reconfigure, Resign) and asks it what follows (HighWatermark, Release, Wake). It decides
//
//   - the high watermark, in watermark.go and nowhere else: the smallest position of the maximal in-sync set, where a member's position
//     is what it has on disk under durability=disk, and its log end under durability=os;
//   - when an acknowledgement may leave (parked.go);
//   - when a parked reader looks again (awaits.go).
//
// It does not decide offsets (partition/produce.go) or what is a duplicate (partition/producer).
//
// Invariants, asserted at the step that could break them: the high watermark never falls within a term (I-HWMONO), never passes the
// log end (I-BOUNDS), nor, under durability=disk, what any member of the maximal set has on disk (I-HWDUR); it stands still while
// fewer than min.insync.replicas are in sync (I-MINISR).
//
// Source: KIP-101, KIP-279, KIP-966; Kafka's Partition.scala (maybeIncrementLeaderHW, checkEnoughReplicasReachOffset). The durable
// position is ours: Kafka counts a follower's log end, which power loss can take back.
package replica
