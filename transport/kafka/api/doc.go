// Package api answers the requests of Kafka clients: one file per API key, each with the versions it speaks, how it behaves, and
// what it leaves out.
//
// What it decides: which versions are served (table.go, the one source of what ApiVersions advertises and of what is dispatched),
// how a request is split into messages for partitions and the controller, how their answers are joined into a response, and which
// error code meets the wire. What it does not decide: any rule of a log, a topic or a group; it translates.
//
// It is single-threaded: everything that happens on one connection, requests, answers of actors, timers, is called under the lock
// of that connection's session (package kafka), so nothing here locks, starts or waits. What is shared between connections is
// immutable (images, views) or an actor (the producer id allocator).
//
// # Hostile input
//
// A request is decoded only after every length and count in it was checked, by the codecs written by hand for Produce and Fetch and
// by a walk along the request's layout for those that kmsg decodes (layout.go). Nothing from the wire is logged but with %q, and no
// name from the wire becomes part of a path.
package api
