// Package node is the composition root: it puts the actors of one broker together and takes them apart again.
//
// It decides the order of things and nothing else. Build is synchronous and touches the world only through env.Env, so that the
// simulator builds the very node the binary runs, on its own clock, disk and dispatcher, and talks to it through sessions. Start adds
// what only a real node has: sockets, the HTTP listener, the wait until clients can be served.
//
// # Starting
//
//  1. Open every directory of log.dirs, lock it, and check that all belong to this node: meta.properties, written by the first start.
//  2. Take the clean-shutdown markers away: from here on an end without Stop is a crash.
//  3. Spawn the actors. The controller loads what the cluster has agreed and tells the partition host what this node leads; the host
//     opens the logs, recovering those that need it; the image is published. Ready.
//  4. Listen, and only now: nobody connects to a node that cannot serve.
//
// # Stopping
//
// Stop accepting; answer what is under way; stop the controller, so that nothing changes any more; have the host flush, checkpoint and
// close every log, and write the clean-shutdown markers; stop the rest; give up the locks. If that takes too long, or the process is
// killed, the next start finds no marker and recovers from the last checkpoint: a clean stop saves time, it does not save data.
package node
