// Package actors is the runtime everything in troupe stands on: it spawns actors, delivers their messages one at a time, tells them
// the time, and answers for them when they cannot.
//
// What an actor may rely on:
//
//   - Messages of one sender to one receiver arrive in order; no two are handled at once; none is lost without an answer
//     (Refusable), a dead letter or a counter.
//   - A full or stopped mailbox answers. It never blocks the sender and never grows beyond its bound, except by what the actor itself
//     asked for: replies, timers, Terminated, messages to itself.
//   - A Request ends exactly once, by its reply or by RequestTimedOut. A cancelled timer is silent even if it was due.
//   - A panic ends the actor for good. What was queued is refused, what was parked can be answered (FailureHandler), the parent and the
//     watchers get Terminated with the cause. Nothing is restarted: whoever wants it back spawns it anew.
//   - On one thread (Dispatcher.Turn() == 1, a simulated Env) the same calls give the same run: the runtime has no clock, chance or
//     goroutine of its own outside the pool, and ranges over no map whose order could be seen.
//
// It is built on protoactor-go, which keeps the tree of actors, the registry and the PIDs. Used are its mailbox interface, PIDs, spawn,
// and stop; mailbox, dispatcher, supervision, timers, requests, watches and dead letters are ours.
//
// Non-obvious:
//
//   - protoactor's Stop drops queued messages without a word: cell.wind refuses them one by one.
//   - protoactor restarts an actor that panics while stopping: no panic ever reaches it (cell.caught).
//   - protoactor's dead-letter handler starts a goroutine and a real timer: NewSystem puts a fresh event stream in its place.
//   - A PID caches the process it was resolved to, which is right as long as it is not handed to another System. An edge therefore
//     remembers that it was removed, and ids of edges are never used again.
//   - Terminated reaches a parent only after protoactor has forgotten the child: see cell.childEnded.
//   - Correlation ids are unique in a system and start at a random point, so that an answer to an earlier life of an actor or of the
//     node matches nothing.
//   - Queues are chunks from a pool and an idle mailbox holds none: 10,000 idle partitions cost 6 MB.
package actors
