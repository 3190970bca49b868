//go:build mutate

package mutation

import "sync/atomic"

// Enabled reports whether this build can mutate.
const Enabled = true

var active atomic.Uint32

// Is reports whether m is switched on.
func Is(m Mutation) bool { return active.Load() == uint32(m) && m != None }

// Set switches m on, and every other off.
func Set(m Mutation) { active.Store(uint32(m)) }
