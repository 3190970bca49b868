// Package scenarios puts worlds together and runs them: one log under every kind of crash, one node under a swarm of clients and
// faults, and directed scenarios for the bugs that other systems had.
//
// A run has phases: setup without faults, safety under faults with every step invariant on, liveness after everything is healed,
// drain with the final read, a restart whose recovered state must equal what was read, and the verdict of package check over the
// whole history. Everything in it follows from the seed.
package scenarios
