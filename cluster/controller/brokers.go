package controller

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// features are the levels that a cluster finalises: those of a new Apache Kafka 4.3, of what is here whole. Each is raised, never lowered.
// Not here: eligible.leader.replicas.version, share.version, streams.version. Source: Feature, GroupVersion.GV_1, TransactionVersion.TV_2,
// MetadataVersion.IBP_4_0_IV3.
var features = []image.FeatureLevelSet{
	{Name: "metadata.version", Level: 25},
	{Name: "group.version", Level: 1},
	{Name: "transaction.version", Level: 2},
}

// Registration is a broker that has started.
type Registration struct {
	ClusterID   string // names the cluster if it is founded by this registration
	Node        protocol.NodeID
	Incarnation [16]byte
	Rack        string
	Listeners   []image.Listener
	// Clean says that the broker was shut down in order before: its logs hold everything they held.
	Clean bool
}

// Join is the records by which a broker registers; all in one entry, whose offset becomes the broker's epoch. The first of a cluster
// founds it; one of a newer release raises the features of what was founded before. Nothing more if this very incarnation is registered
// already: registering twice must not change the epoch (KAFKA-16952).
//
// The image must be complete: everything committed before is folded in.
func Join(img *image.Image, r Registration) []image.Record {
	var out []image.Record
	if img.ClusterID == "" {
		out = append(out, &image.ClusterFounded{ClusterID: r.ClusterID})
	}
	for _, f := range features {
		if img.Feature(f.Name) < f.Level {
			out = append(out, &image.FeatureLevelSet{Name: f.Name, Level: f.Level})
		}
	}
	if before, ok := img.Node(r.Node); ok && before.Incarnation == r.Incarnation {
		return out
	}
	out = append(out, &image.BrokerRegistered{Node: r.Node, Incarnation: r.Incarnation, Rack: r.Rack, Listeners: r.Listeners})
	if !r.Clean {
		out = append(out, newEpochs(img, r.Node)...)
	}
	return out
}

// newEpochs raises the leader epoch of everything a node leads. The tail of its logs that was not yet on disk may be gone: who read it
// (durability=os) did so in the old epoch, and what is appended now must not be taken for the same (KIP-101).
func newEpochs(img *image.Image, node protocol.NodeID) []image.Record {
	var out []image.Record
	for t := range img.EachTopic {
		for i, p := range t.EachPartition {
			if p.Leader != node {
				continue
			}
			out = append(out, &image.PartitionChanged{
				Topic: t.ID, Partition: i, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch + 1, PartitionEpoch: p.PartitionEpoch + 1,
				Replicas: p.Replicas, ISR: p.ISR, Recovery: p.Recovery,
				Adding: p.Adding(), Removing: p.Removing(), ELR: p.ELR(), LastKnownELR: p.LastKnownELR(),
			})
		}
	}
	return out
}
