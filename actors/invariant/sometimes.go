package invariant

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// point is one named rare path.
type point struct{ reached, taken atomic.Uint64 }

var points sync.Map // name -> *point

// Count says how often a point was reached, and how often its condition held.
type Count struct {
	Name           string
	Reached, Taken uint64
}

// Sometimes counts that the code came by, and whether cond held. It returns cond. name is a constant, such as
// "partition: truncated below the high watermark"; the cost is one lookup and two atomic additions.
func Sometimes(name string, cond bool) bool {
	p, ok := points.Load(name)
	if !ok {
		p, _ = points.LoadOrStore(name, new(point))
	}
	p.(*point).reached.Add(1)
	if cond {
		p.(*point).taken.Add(1)
	}
	return cond
}

// Snapshot lists all points reached since Reset, by name.
func Snapshot() []Count {
	var out []Count
	points.Range(func(name, p any) bool {
		n := p.(*point)
		if reached := n.reached.Load(); reached > 0 {
			out = append(out, Count{name.(string), reached, n.taken.Load()})
		}
		return true
	})
	slices.SortFunc(out, func(a, b Count) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Reset forgets the counts.
func Reset() { points.Clear() }
