package sim

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

type page [pageSize]byte

// Disk is a file system with a memory of what is durable. It has two images of everything: the cache, which processes see, and the
// medium, which a power loss leaves behind. A page is shared between the two while it is clean.
//
// Not modelled: partial directory entries, loss of a directory's own blocks, link counts. A rename within one directory is atomic, as
// on every journalling file system.
type Disk struct {
	world     *World
	name      string
	root      *inode
	inodes    int64
	rules     []*Rule
	faults    *Stream
	writeback *Stream
	// Writeback is the chance of one write to be preceded by the kernel writing a random dirty page of the file.
	Writeback float64
	// Capacity in bytes; 0 means no bound. The nemesis may change it at any time.
	Capacity int64
	// Lies makes every sync say yes and do nothing: a disk no promise holds on, to see that breaking them is noticed.
	Lies  bool
	locks map[string]*Process
	// Counts of operations by kind, for reports.
	Counts [opKinds]int64
	// Injected counts the errors that rules injected; crashes are none.
	Injected int64
}

func newDisk(w *World, name string) *Disk {
	d := &Disk{world: w, name: name, faults: w.Stream(name + "/faults"), writeback: w.Stream(name + "/writeback"), Writeback: 0.02}
	d.locks = map[string]*Process{}
	d.root = d.newDir()
	return d
}

type inode struct {
	id    int64
	dir   bool
	mtime time.Time

	// Of a file.
	cache, medium image
	// ghost marks pages whose write-back failed: the kernel calls them clean, the medium does not have them. Nil mostly.
	ghost []bool

	// Of a directory.
	entries map[string]*inode // as processes see it
	durable map[string]*inode // on the medium
	pending []change          // between the two, in order
}

// change is one atomic change of a directory: names and what they point to afterwards (nil: nothing).
type change struct {
	names [2]string
	to    [2]*inode
	n     int
}

// image is the content of a file: pages (nil reads as zeros) and size.
type image struct {
	pages []*page
	size  int64
}

func (m *image) read(b []byte, off int64) int {
	n := int(min(int64(len(b)), max(0, m.size-off)))
	for done := 0; done < n; {
		i, at := (off+int64(done))/pageSize, (off+int64(done))%pageSize
		part := b[done:min(n, done+int(pageSize-at))]
		if int(i) < len(m.pages) && m.pages[i] != nil {
			copy(part, m.pages[i][at:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return n
}

func (m *image) page(i int) *page {
	if i < len(m.pages) {
		return m.pages[i]
	}
	return nil
}

func (d *Disk) newFile() *inode {
	d.inodes++
	return &inode{id: d.inodes, mtime: d.now()}
}

func (d *Disk) newDir() *inode {
	n := d.newFile()
	n.dir, n.entries, n.durable = true, map[string]*inode{}, map[string]*inode{}
	return n
}

func (d *Disk) now() time.Time { return Epoch.Add(d.world.now) }

// write puts b at off into the cache.
func (n *inode) write(b []byte, off int64) {
	for done := 0; done < len(b); {
		i, at := int((off+int64(done))/pageSize), (off+int64(done))%pageSize
		done += copy(n.writable(i)[at:], b[done:])
	}
	n.cache.size = max(n.cache.size, off+int64(len(b)))
}

// writable is the cache's own copy of page i, which is dirty from now on.
func (n *inode) writable(i int) *page {
	for len(n.cache.pages) <= i {
		n.cache.pages = append(n.cache.pages, nil)
	}
	old := n.cache.pages[i]
	if old == nil || old == n.medium.page(i) {
		fresh := new(page)
		if old != nil {
			*fresh = *old
		}
		n.cache.pages[i] = fresh
	}
	if i < len(n.ghost) {
		n.ghost[i] = false
	}
	return n.cache.pages[i]
}

func (n *inode) truncate(size int64) {
	if size < n.cache.size {
		keep := int((size + pageSize - 1) / pageSize)
		if keep < len(n.cache.pages) {
			n.cache.pages = n.cache.pages[:keep:keep]
		}
		if at := size % pageSize; at > 0 && keep <= len(n.cache.pages) && n.cache.pages[keep-1] != nil {
			clear(n.writable(keep - 1)[at:])
		}
	}
	n.cache.size = size
}

func (n *inode) isGhost(i int) bool { return i < len(n.ghost) && n.ghost[i] }

// sync makes the file durable, except for ghosts: the kernel has forgotten that these are dirty.
func (n *inode) sync() {
	medium := make([]*page, len(n.cache.pages))
	for i, p := range n.cache.pages {
		if n.isGhost(i) {
			p = n.medium.page(i)
		}
		medium[i] = p
	}
	n.medium = image{medium, n.cache.size}
}

// failSync is an fsync that could not write: every dirty page is called clean from now on and is not on the medium.
func (n *inode) failSync() {
	for len(n.ghost) < len(n.cache.pages) {
		n.ghost = append(n.ghost, false)
	}
	for i, p := range n.cache.pages {
		if p != n.medium.page(i) {
			n.ghost[i] = true
		}
	}
}

// dropGhosts is what memory pressure does to pages that failed to be written: the next read finds the medium.
func (n *inode) dropGhosts() {
	for i := range n.ghost {
		if n.ghost[i] && i < len(n.cache.pages) {
			n.cache.pages[i] = n.medium.page(i)
		}
	}
	n.ghost = nil
}

// flushPage is the kernel writing one page on its own account.
func (n *inode) flushPage(i int) {
	if n.isGhost(i) || i >= len(n.cache.pages) {
		return
	}
	for len(n.medium.pages) <= i {
		n.medium.pages = append(n.medium.pages, nil)
	}
	n.medium.pages[i] = n.cache.pages[i]
	n.medium.size = max(n.medium.size, min(n.cache.size, int64(i+1)*pageSize))
}

// set changes one entry of a directory; the change is pending until syncDir.
func (n *inode) set(name string, to *inode) {
	n.apply(change{names: [2]string{name}, to: [2]*inode{to}, n: 1})
}

func (n *inode) rename(from, to string, what *inode) {
	n.apply(change{names: [2]string{from, to}, to: [2]*inode{nil, what}, n: 2})
}

func (n *inode) apply(c change) {
	c.on(n.entries)
	n.pending = append(n.pending, c)
}

func (c change) on(entries map[string]*inode) {
	for i := range c.n {
		if c.to[i] == nil {
			delete(entries, c.names[i])
		} else {
			entries[c.names[i]] = c.to[i]
		}
	}
}

func (n *inode) syncDir() {
	for _, c := range n.pending {
		c.on(n.durable)
	}
	n.pending = nil
}

// names are the entries of a directory, sorted.
func (n *inode) names() []string {
	out := make([]string, 0, len(n.entries))
	for name := range n.entries {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// walk calls f for every file and directory below n, parents first, in order of name.
func (n *inode) walk(name string, f func(name string, n *inode)) {
	f(name, n)
	if n.dir {
		for _, child := range n.names() {
			n.entries[child].walk(path.Join(name, child), f)
		}
	}
}

// Used counts the bytes of all pages.
func (d *Disk) Used() (bytes int64) {
	d.root.walk("", func(_ string, n *inode) {
		for _, p := range n.cache.pages {
			if p != nil {
				bytes += pageSize
			}
		}
	})
	return bytes
}

// lookup finds name below dir.
func lookup(dir *inode, op, name string) (*inode, error) {
	n := dir
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		switch {
		case part == "." || part == "":
			continue
		case part == "..":
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
		case !n.dir:
			return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
		}
		child := n.entries[part]
		if child == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		n = child
	}
	return n, nil
}

// open makes the directory dir, durably, and roots a file system there.
func (d *Disk) open(p *Process, dir string) (env.FS, error) {
	n := d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean(dir), "/"), "/") {
		if part == "." || part == "" {
			continue
		}
		child := n.entries[part]
		if child == nil {
			child = d.newDir()
			n.set(part, child)
			n.syncDir()
		}
		n = child
	}
	return &filesystem{d: d, p: p, root: n, prefix: strings.Trim(path.Clean(dir), "/")}, nil
}

// look opens a directory that exists.
func (d *Disk) look(p *Process, dir string) (env.FS, error) {
	n := d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean(dir), "/"), "/") {
		if part == "." || part == "" {
			continue
		}
		if n = n.entries[part]; n == nil {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
		}
	}
	return d.open(p, dir)
}

// Inspect is a view of the disk for the simulator itself: no process, no faults, no trace.
func (d *Disk) Inspect(dir string) env.FS {
	fsys, _ := d.open(nil, dir)
	return fsys
}

// Durable is the content of the file that no power loss can take any more: its name and every directory above it are durable and have
// no pending change, and the bytes are those of the medium. ok is false if the name itself could be lost.
func (d *Disk) Durable(name string) (content []byte, ok bool) {
	n := d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/") {
		if !n.dir || n.touched(part) {
			return nil, false
		}
		n = n.durable[part]
		if n == nil {
			return nil, false
		}
	}
	if n.dir {
		return nil, false
	}
	content = make([]byte, n.medium.size)
	n.medium.read(content, 0)
	return content, true
}

// DurableNames are the entries of the directory that no power loss can take any more, sorted; nil if the directory itself could go.
func (d *Disk) DurableNames(dir string) (names []string) {
	n := d.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean(dir), "/"), "/") {
		if !n.dir || n.touched(part) || n.durable[part] == nil {
			return nil
		}
		n = n.durable[part]
	}
	for name := range n.durable {
		if !n.touched(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (n *inode) touched(name string) bool {
	return slices.ContainsFunc(n.pending, func(c change) bool { return slices.Contains(c.names[:c.n], name) })
}
