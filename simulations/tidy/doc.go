// Package tidy holds the rules of the house as tests: who may import whom, what a pure package may not touch, where goroutines may
// live, how long a function may get. The rules are data at the top of each file; a failure names the place, the rule and what to do.
//
// It reads the tree with go/parser alone, without types: a rule here must be decidable from one file at a time. What needs more
// (a range over a map whose order reaches an effect, say) is left to the simulator, which runs every seed twice.
package tidy
