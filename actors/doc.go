// Package actors is the runtime everything in troupe stands on: it spawns actors, delivers their messages one at a time, tells them
// the time, and answers for them when they cannot.
package actors
