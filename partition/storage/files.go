package storage

import (
	"errors"
	"sync"

	"github.com/troupe-broker/troupe/actors/env"
)

// DefaultOpenFiles bounds the open segment files of one log directory; far below the usual RLIMIT_NOFILE of 20,000, because
// sockets need theirs.
const DefaultOpenFiles = 2048

// dirtySearch bounds how many files eviction looks at to find a clean one.
const dirtySearch = 64

// errGone is returned for a segment that retention, truncation or deletion has removed. It does not leave the package.
var errGone = errors.New("segment is gone")

// Files keeps the open segment files of one log directory: the most recently used ones stay open, an idle partition holds none.
// It is shared by the actors that append, the flusher and the edges that read, hence the lock; no I/O happens while it is held.
//
// At the bound the least recently used file that nobody has pinned is closed, clean ones first. A dirty file may be closed too:
// Linux keeps a write-back error on the inode and reports it to the next fsync of any descriptor opened later (errseq_t), so
// closing loses no error. Pinned files are never closed; while more than the bound are pinned the bound is exceeded by them.
type Files struct {
	fs  env.FS
	max int

	mu   sync.Mutex
	open int
	// ring is the sentinel of the list of open files, most recently used first.
	ring file
}

// NewFiles returns a cache of at most maxOpen open files; DefaultOpenFiles if maxOpen is not positive.
func NewFiles(fs env.FS, maxOpen int) *Files {
	if maxOpen <= 0 {
		maxOpen = DefaultOpenFiles
	}
	c := &Files{fs: fs, max: maxOpen}
	c.ring.next, c.ring.prev = &c.ring, &c.ring
	return c
}

// Open is the number of files open now.
func (c *Files) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// Close closes every file that is not pinned. Pinned ones close when they are released.
func (c *Files) Close() {
	c.mu.Lock()
	var closing []env.File
	c.max = 0
	for x := c.ring.prev; x != &c.ring; {
		previous := x.prev
		if x.pins == 0 {
			closing = append(closing, c.drop(x))
		}
		x = previous
	}
	c.mu.Unlock()
	closeAll(closing)
}

// file is one segment file. The descriptor behind it comes and goes.
type file struct {
	files *Files
	dir   string
	base  int64

	// The rest is guarded by files.mu.
	f          env.File // nil while closed
	pins       int32    // Invariant: pins > 0 implies f != nil
	gone       bool     // removed from the log: not opened again
	dirty      bool     // written since the last sync
	prev, next *file    // in files.ring while f != nil
}

func (x *file) name() string { return x.dir + "/" + offsetName(x.base, logSuffix) }

// pin opens the file if need be and keeps it open until unpin. errGone if it was removed.
func (x *file) pin() (env.File, error) {
	c := x.files
	if f, err := x.pinOpen(); f != nil || err != nil {
		return f, err
	}
	// Opened outside the lock. Another goroutine may do the same; the second one to come back closes its own.
	opened, err := c.fs.Open(x.name(), true)
	if err != nil {
		if x.isGone() {
			return nil, errGone
		}
		return nil, err
	}
	return x.install(opened)
}

func (x *file) pinOpen() (env.File, error) {
	c := x.files
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.gone {
		return nil, errGone
	}
	if x.f == nil {
		return nil, nil
	}
	x.pins++
	c.unlink(x)
	c.pushFront(x)
	return x.f, nil
}

// create creates the file, which must not exist, and pins it.
func (x *file) create() (env.File, error) {
	f, err := x.files.fs.Create(x.name())
	if err != nil {
		return nil, err
	}
	return x.install(f)
}

// install makes opened the descriptor of x unless it has one already, and pins it.
func (x *file) install(opened env.File) (env.File, error) {
	c := x.files
	var closing []env.File
	c.mu.Lock()
	switch {
	case x.gone:
		c.mu.Unlock()
		_ = opened.Close() // nothing was written through it
		return nil, errGone
	case x.f != nil:
		closing = append(closing, opened)
		c.unlink(x)
	default:
		x.f = opened
		c.open++
	}
	x.pins++
	c.pushFront(x)
	f := x.f
	closing = append(closing, c.evict()...)
	c.mu.Unlock()
	closeAll(closing)
	return f, nil
}

// unpin undoes one pin.
func (x *file) unpin() {
	c := x.files
	var closing []env.File
	c.mu.Lock()
	x.pins--
	if x.pins == 0 && x.gone {
		closing = append(closing, c.drop(x))
	} else {
		closing = c.evict()
	}
	c.mu.Unlock()
	closeAll(closing)
}

// remove forbids opening the file from now on. Whoever has it pinned keeps reading it.
func (x *file) remove() {
	c := x.files
	var closing []env.File
	c.mu.Lock()
	x.gone = true
	if x.pins == 0 && x.f != nil {
		closing = append(closing, c.drop(x))
	}
	c.mu.Unlock()
	closeAll(closing)
}

// forget closes the file if nobody has it pinned; it opens again on demand.
func (x *file) forget() {
	c := x.files
	var closing []env.File
	c.mu.Lock()
	if x.pins == 0 && x.f != nil {
		closing = append(closing, c.drop(x))
	}
	c.mu.Unlock()
	closeAll(closing)
}

// revive undoes remove; the file must still be there.
func (x *file) revive() {
	x.files.mu.Lock()
	x.gone = false
	x.files.mu.Unlock()
}

func (x *file) isGone() bool {
	x.files.mu.Lock()
	defer x.files.mu.Unlock()
	return x.gone
}

func (x *file) setDirty(dirty bool) {
	x.files.mu.Lock()
	x.dirty = dirty
	x.files.mu.Unlock()
}

// evict returns the files to close so that the bound holds again; the caller closes them outside the lock.
func (c *Files) evict() (closing []env.File) {
	for c.open > c.max {
		victim := c.victim()
		if victim == nil {
			break
		}
		closing = append(closing, c.drop(victim))
	}
	return closing
}

// victim is the file that goes next, nil if all are pinned.
func (c *Files) victim() (oldest *file) {
	looked := 0
	for x := c.ring.prev; x != &c.ring; x = x.prev {
		if x.pins > 0 {
			continue
		}
		if !x.dirty {
			return x
		}
		if oldest == nil {
			oldest = x
		}
		if looked++; looked == dirtySearch {
			break
		}
	}
	return oldest
}

func (c *Files) drop(x *file) env.File {
	f := x.f
	x.f = nil
	c.open--
	c.unlink(x)
	return f
}

func (c *Files) pushFront(x *file) {
	x.prev, x.next = &c.ring, c.ring.next
	x.prev.next, x.next.prev = x, x
}

func (c *Files) unlink(x *file) {
	x.prev.next, x.next.prev = x.next, x.prev
	x.prev, x.next = nil, nil
}

// closeAll closes files. A close that fails says nothing about the data: what must be durable was synced, and what was not will
// be synced through a descriptor opened later.
func closeAll(files []env.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
