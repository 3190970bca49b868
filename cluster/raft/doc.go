// Package raft keeps the metadata log replicated: etcd's RawNode, stepped by the controller actor, over a log of partition/storage.
//
// A Member decides nothing about metadata. It is given proposals, ticks and messages of other members, and it hands back, through
// Effects, what is committed, what must be sent, and what must be done off the actor's turn. RawNode runs with asynchronous storage
// writes: entries are written into the page cache within the turn, made durable by one piece of offloaded work for all that came
// in meanwhile, and only then do the answers leave that raft tied to them. So nothing is acknowledged, and no vote leaves, before it
// is on disk (reliability rules I1 and I6).
//
// # Files, in a directory of their own
//
//	<20 digits>.log ...                     the log: one record an entry, offset = raft index, leader epoch = raft term
//	<20-digit index>-<10-digit term>.checkpoint   snapshots of the metadata; the newest intact one is where a start begins
//	quorum-state                            term and vote, and a position below which the log is known to be durable
//
// A record's value is one byte of entry type followed by the entry's data, so that tools that read Kafka's segments read these too.
// A snapshot is a magic number, the CRC32C of the rest, and the protobuf of raftpb.Snapshot. The first one, at index 1, founds the group: it
// holds the voters and no data, and exists before the log does.
//
// The commit index is not stored: a member learns it from its leader, and a single voter from its election. The log is bounded: after
// entriesPerSnapshot entries or Config.SnapshotBytes bytes the metadata is written out and the older part removed.
//
// Source: Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm"; etcd-io/raft doc.go; KIP-595 and KIP-630 for the
// names.
package raft
