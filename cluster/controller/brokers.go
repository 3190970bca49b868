package controller

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// metadataVersion is the level of the feature metadata.version in a new cluster. Source: MetadataVersion.IBP_4_0_IV3.
const metadataVersion = 25

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
// founds it. Nil if this very incarnation is registered already: registering twice must not change the epoch (KAFKA-16952).
//
// The image must be complete: everything committed before is folded in.
func Join(img *image.Image, r Registration) []image.Record {
	var out []image.Record
	if img.ClusterID == "" {
		out = append(out, &image.ClusterFounded{ClusterID: r.ClusterID}, &image.FeatureLevelSet{Name: "metadata.version", Level: metadataVersion})
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
