// Package sim is a whole world on one goroutine, made from one seed: virtual time, a scheduler, hosts that crash, disks that forget,
// connections that break. What runs in it is the real thing, actors, machines and storage code, over simulated env interfaces and a
// simulated dispatcher.
//
// One heap orders everything that will happen by virtual time; events of the same instant are ordered by chance. An actor that has
// something to do is an event a few microseconds away, offloaded work one some hundreds of microseconds away, a frame on a connection
// one a few milliseconds away: all interleavings of independent work come out of the draw of these delays. Nothing in a World is safe
// for concurrent use, and nothing needs to be: whoever calls in from another goroutine makes the run unrepeatable, and is caught by
// running the seed twice.
//
// Chance comes from named streams derived from the seed, so that a fault that is left out while a failure is narrowed down does not
// shift what all the others draw.
//
// Every event is folded into a running hash. Same seed, same binary, same hash: in this process, in a fresh one, and with the trace
// printed.
package sim
