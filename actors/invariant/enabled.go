//go:build invariants

package invariant

// Enabled turns on the expensive checks and the counting of Sometimes.
const Enabled = true
