//go:build !invariants

package invariant

// Enabled turns on the expensive checks. See the build tag invariants.
const Enabled = false
