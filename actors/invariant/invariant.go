// Package invariant states what must never happen, and counts how often the rare has happened.
//
// Check is on in production: it guards what must hold for the promises to hold, and a broken one is a crash of the actor it happens
// in. What is too expensive for that stands under `if invariant.Enabled`, which the build tag invariants sets. Sometimes is the
// opposite of an assertion: it counts, in every build, whether a rare path was ever taken, so that a simulation can tell that it tested
// something.
package invariant

import "fmt"

// Check panics with the numbers in the text if ok is false. Arguments are evaluated either way: keep them cheap.
func Check(ok bool, format string, args ...any) {
	if !ok {
		violated(format, args)
	}
}

//go:noinline
func violated(format string, args []any) {
	panic(Violation("invariant violated: " + fmt.Sprintf(format, args...)))
}

// Violation is the value of a panic of Check.
type Violation string

func (v Violation) Error() string { return string(v) }
