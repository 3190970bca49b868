package sim

import (
	"path"
	"slices"
)

// Keep says what a power loss leaves of a series of un-synced effects.
type Keep uint8

const (
	KeepNone   Keep = iota // only what was synced
	KeepAll                // everything made it
	KeepPrefix             // the first so many, as an ordered journal does
	KeepSome               // any subset
	keeps
)

func (k Keep) String() string { return [...]string{"none", "all", "prefix", "some"}[k] }

// Crash is how a power loss treats what was not synced.
type Crash struct {
	Pages, Entries Keep
	// Tear is the chance of a page that is written to be torn at a sector.
	Tear   float64
	Chance *Stream
}

// DrawCrash draws a crash.
func DrawCrash(s *Stream) Crash {
	return Crash{Pages: Keep(s.IntN(int(keeps))), Entries: Keep(s.IntN(int(keeps))), Tear: []float64{0, 0, 0.3, 1}[s.IntN(4)], Chance: s}
}

// powerLoss leaves on the disk what the crash lets survive, and empties the cache.
func (d *Disk) powerLoss(c Crash) {
	d.world.Trace.Printf("%s: power loss keeps pages: %v, entries: %v, tear %v", d.name, c.Pages, c.Entries, c.Tear)
	clear(d.locks)
	seen := map[*inode]bool{}
	d.survive(c, "", d.root, seen)
}

func (d *Disk) survive(c Crash, name string, n *inode, seen map[*inode]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	if !n.dir {
		d.surviveFile(c, name, n)
		return
	}
	for i := range survivors(c.Entries, len(n.pending), c.Chance) {
		n.pending[i].on(n.durable)
	}
	n.pending = nil
	clear(n.entries)
	for k, v := range n.durable {
		n.entries[k] = v
	}
	for _, child := range n.names() {
		d.survive(c, path.Join(name, child), n.entries[child], seen)
	}
}

// survivors yields the indexes of n effects that survive, ascending.
func survivors(k Keep, n int, s *Stream) func(yield func(int) bool) {
	cut := n
	switch k {
	case KeepNone:
		cut = 0
	case KeepPrefix:
		cut = s.IntN(n + 1)
	}
	return func(yield func(int) bool) {
		for i := range cut {
			if k == KeepSome && s.Chance(0.5) {
				continue
			}
			if !yield(i) {
				return
			}
		}
	}
}

func (d *Disk) surviveFile(c Crash, name string, n *inode) {
	var dirty []int
	for i := range max(len(n.cache.pages), len(n.medium.pages)) {
		if n.cache.page(i) != n.medium.page(i) && !n.isGhost(i) {
			dirty = append(dirty, i)
		}
	}
	size := n.survivingSize(c)
	pages := slices.Clone(n.medium.pages)
	for len(pages) < int((size+pageSize-1)/pageSize) {
		pages = append(pages, nil)
	}
	for k := range survivors(c.Pages, len(dirty), c.Chance) {
		if i := dirty[k]; i < len(pages) {
			pages[i] = torn(c, pages[i], n.cache.page(i))
		}
	}
	lost := len(dirty) > 0 || size != n.cache.size
	n.medium = image{pages, size}
	n.medium.cut()
	n.cache = image{slices.Clone(n.medium.pages), n.medium.size}
	n.ghost = nil
	if lost {
		d.world.Trace.Printf("%s: %s had %d dirty pages, survives with %d bytes", d.name, name, len(dirty), size)
	}
}

// survivingSize is the size the medium ends with: the synced one, the latest, or the end of any page between.
func (n *inode) survivingSize(c Crash) int64 {
	low, high := n.medium.size, n.cache.size
	switch {
	case low == high || c.Pages == KeepNone:
		return low
	case c.Pages == KeepAll:
		return high
	case low > high: // an un-synced truncation
		if c.Chance.Chance(0.5) {
			return low
		}
		return high
	case c.Chance.Chance(0.4):
		return high
	}
	return min(high, max(low, c.Chance.Between(low/pageSize, high/pageSize)*pageSize))
}

// cut removes pages beyond the size and zeroes the rest of the last one, as a later extension must read zeros.
func (m *image) cut() {
	keep := int((m.size + pageSize - 1) / pageSize)
	if keep < len(m.pages) {
		m.pages = m.pages[:keep]
	}
	if at := m.size % pageSize; at > 0 && keep <= len(m.pages) && m.pages[keep-1] != nil {
		p := *m.pages[keep-1]
		clear(p[at:])
		m.pages[keep-1] = &p
	}
}

// torn is the new page, or a mix of sectors of both.
func torn(c Crash, old, now *page) *page {
	if !c.Chance.Chance(c.Tear) {
		return now
	}
	var mixed page
	for at := 0; at < pageSize; at += sectorSize {
		from := old
		if c.Chance.Chance(0.5) {
			from = now
		}
		if from != nil {
			copy(mixed[at:at+sectorSize], from[at:])
		}
	}
	return &mixed
}

// processDied is kill -9: the cache stays, locks are free, and pages that the kernel failed to write are dropped. It reports whether
// there were such pages.
func (d *Disk) processDied() (dropped bool) {
	clear(d.locks)
	d.root.walk("", func(name string, n *inode) {
		if n.ghost != nil {
			n.dropGhosts()
			dropped = true
			d.world.Trace.Printf("%s: the cache drops pages of %s that could not be written", d.name, name)
		}
	})
	return dropped
}

// Rot flips one durable bit of a file chosen by match, and drops the page from the cache so that the next read sees it. It returns
// what it hit; ok is false if no file matches.
func (d *Disk) Rot(s *Stream, match func(name string) bool) (name string, offset int64, ok bool) {
	var names []string
	var files []*inode
	d.root.walk("", func(name string, n *inode) {
		if !n.dir && n.medium.size > 0 && n.medium.size == n.cache.size && match(name) {
			names, files = append(names, name), append(files, n)
		}
	})
	if len(files) == 0 {
		return "", 0, false
	}
	k := s.IntN(len(files))
	n := files[k]
	offset = s.Int64N(n.medium.size)
	i := int(offset / pageSize)
	old := n.medium.page(i)
	if old == nil || old != n.cache.page(i) {
		return "", 0, false
	}
	rotten := *old
	rotten[offset%pageSize] ^= 1 << s.IntN(8)
	n.medium.pages[i], n.cache.pages[i] = &rotten, &rotten
	d.world.Trace.Event("rot", n.id, offset)
	d.world.Trace.Printf("%s: a bit of %s rots at %d", d.name, names[k], offset)
	return names[k], offset, true
}
