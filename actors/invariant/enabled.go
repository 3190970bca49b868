//go:build invariants

package invariant

// Enabled turns on the expensive checks.
const Enabled = true
