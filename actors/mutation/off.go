//go:build !mutate

package mutation

// Enabled reports whether this build can mutate.
const Enabled = false

// Is reports whether m is switched on: never, in this build.
func Is(Mutation) bool { return false }

// Set switches m on: not in this build.
func Set(Mutation) { panic("mutation: build with -tags mutate") }
