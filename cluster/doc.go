// Package cluster is the controller: the actor through which everything the cluster has agreed is agreed, and from which every node
// learns it.
//
// It decides the order of metadata changes and when they become visible, nothing else. What a command means is decided by
// cluster/controller, what a record means by cluster/image, how records survive by cluster/raft, what a setting means by cluster/config.
//
// # The way of a command
//
//	mailbox -> waiting -> decided, one after the other, each against the image as the ones before it left it
//	        -> one entry for all of them -> committed: on disk, folded into the image
//	        -> HostPartitions to the local host -> PartitionsHosted
//	        -> image published, answers sent
//
// So two commands can never both create one topic; whatever Metadata shows can be produced to (T35); and a client reads its own writes
// (T36). While the host carries out one change the next entry is already on its way. A command that changes nothing is answered when
// everything decided before it is in force.
//
// # Start
//
// The log is recovered off the turn. Which of its entries are committed is only known once an entry of this leader is committed behind
// them: an empty one is proposed first. Then the node registers, which founds the cluster if there is none; then the host gets
// everything this node leads; then the first image is published and commands are decided. A leader that is elected again does the
// same, except that a registration of this very process stands.
//
// # An entry of the log
//
//	 0 16  incarnation of the proposer  with the number it says whose proposal was committed
//	16  8  number of the proposal
//	24     records                      see cluster/controller
//
// # Bounds
//
// commandsMax commands wait at most; those beyond are refused, and their senders told to try again. An entry is closed after batchMax
// commands or once it has recordsMax records.
//
// # Non-obvious
//
//   - A proposal that was lost with the leadership may still be committed by the next leader. Its sender is told NOT_CONTROLLER,
//     which is retriable and not a promise that nothing happened.
//   - Settings of the broker reach a running node the same way: a change resolves every topic again and sends those that differ to
//     the host, and Images.Broker changes together with the image.
package cluster
