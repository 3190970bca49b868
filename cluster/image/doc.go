// Package image is what a cluster has agreed: an immutable snapshot of topics, partitions, nodes, configuration, credentials and features,
// folded from the records of the metadata log. Metadata, DescribeConfigs, authentication, routing and placement read it without asking
// anybody.
//
// It decides what a record means. It does not decide which records are written (cluster/controller does), nor how they are encoded
// or stored.
//
// # Invariants
//
//   - Apply is the only fold: live, on replay and from a snapshot. Equal records give equal images, and equal Hash.
//   - An Image never changes. Apply shares everything untouched with its parent: creating one topic beside 10,000 copies a few
//     nodes of two trees.
//   - Every walk is in order: topics by name, partitions by number, nodes by id, settings by key, credentials by
//     mechanism and user.
//   - The records of one Apply are one atomic change: they came from one entry of the log, and no reader sees half of them.
//   - Records written by Image.Records, folded into an empty image, give the same image.
//
// # Non-obvious
//
//   - MetadataOffset is the raft index of the entry the records came from. A broker's epoch is the MetadataOffset of its
//     registration, therefore unique and increasing (I-BEPOCH); only a snapshot writes it explicitly.
//   - A topic holds its partitions in chunks of chunkSize, so that an ISR change in a topic of 10,000 partitions copies one chunk.
//   - ControllerID is not folded: it is the raft leader as this node knows it, and is not part of Hash.
//   - A record that does not fit the image (a partition of a topic that does not exist) means that the log and the machine disagree;
//     it stops the node through invariant.Check rather than letting images diverge.
//
// Source: KIP-500, KIP-516, KIP-631, KIP-900, KIP-966; MetadataImage, TopicsImage, ClusterImage, ScramImage.
package image
