package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
)

// memFS is a file system in memory that knows what would survive a power failure: what was synced. It counts and records every
// operation that changes something, can stop at one of them (the process dies) and fail any of them.
type memFS struct {
	mu    sync.Mutex
	root  *node
	now   time.Time
	ops   int
	trace []string
	// stopAt is the operation that is not done any more, nor any after it; 0 means never.
	stopAt int
	// fail is asked before every operation; "write" operations get n bytes through before the error.
	fail func(op, name string) (n int, err error)
	open int // files open
}

var errStopped = errors.New("the process is dead")

// node is a file or directory with what is on the disk (durable) and what is seen.
type node struct {
	dir           bool
	data, durable []byte
	older         []byte // seen before a truncation that is not synced: its pages may be on the disk
	names, onDisk map[string]*node
	renames       []rename // since the directory was synced: a power failure takes each as a whole or not at all
	modTime       time.Time
}

type rename struct {
	from, to string
	n        *node
}

func newDir() *node { return &node{dir: true, names: map[string]*node{}, onDisk: map[string]*node{}} }

func newMemFS() *memFS { return &memFS{root: newDir(), now: time.UnixMilli(1_700_000_000_000)} }

// step records one changing operation.
func (m *memFS) step(op, name, detail string) (n int, err error) {
	if m.stopAt > 0 && m.ops+1 >= m.stopAt {
		m.ops = max(m.ops, m.stopAt-1)
		return 0, errStopped
	}
	m.ops++
	m.trace = append(m.trace, strings.TrimSpace(op+" "+name+" "+detail))
	if m.fail != nil {
		return m.fail(op, name)
	}
	return 0, nil
}

func (m *memFS) find(name string) (*node, error) {
	n := m.root
	for _, part := range strings.Split(path.Clean(name), "/") {
		if part == "." {
			continue
		}
		if n == nil || !n.dir || n.names[part] == nil {
			return nil, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
		}
		n = n.names[part]
	}
	return n, nil
}

func (m *memFS) parent(name string) (*node, string, error) {
	dir, err := m.find(path.Dir(name))
	return dir, path.Base(name), err
}

func (m *memFS) Open(name string, write bool) (env.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopAt > 0 && m.ops+1 >= m.stopAt {
		return nil, errStopped
	}
	n, err := m.find(name)
	if err != nil {
		return nil, err
	}
	m.open++
	return &memFile{m, n, name, write, false}, nil
}

func (m *memFS) Create(name string) (env.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, err
	}
	if dir.names[base] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	if _, err := m.step("create", name, ""); err != nil {
		return nil, err
	}
	n := &node{modTime: m.now}
	dir.names[base] = n
	m.open++
	return &memFile{m, n, name, true, false}, nil
}

func (m *memFS) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return err
	}
	if dir.names[base] != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
	}
	if _, err := m.step("mkdir", name, ""); err != nil {
		return err
	}
	dir.names[base] = newDir()
	return nil
}

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(from)
	if err != nil {
		return err
	}
	if _, err := m.step("rename", from, path.Base(to)); err != nil {
		return err
	}
	dir, base, _ := m.parent(from)
	delete(dir.names, base)
	target, name, _ := m.parent(to)
	target.names[name] = n
	if dir == target {
		dir.renames = append(dir.renames, rename{base, name, n})
	}
	return nil
}

func (m *memFS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(name); err != nil {
		return err
	}
	if _, err := m.step("remove", name, ""); err != nil {
		return err
	}
	dir, base, _ := m.parent(name)
	delete(dir.names, base)
	return nil
}

func (m *memFS) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(name); err != nil {
		return nil
	}
	if _, err := m.step("removeall", name, ""); err != nil {
		return err
	}
	dir, base, _ := m.parent(name)
	delete(dir.names, base)
	return nil
}

func (m *memFS) ReadDir(name string) ([]env.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, err
	}
	var entries []env.Entry
	for _, base := range slices.Sorted(maps.Keys(n.names)) {
		entries = append(entries, n.names[base].entry(base))
	}
	return entries, nil
}

func (n *node) entry(name string) env.Entry {
	return env.Entry{Name: name, Size: int64(len(n.data)), IsDir: n.dir, ModTime: n.modTime}
}

func (m *memFS) Stat(name string) (env.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return env.Entry{}, err
	}
	return n.entry(path.Base(name)), nil
}

func (m *memFS) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return err
	}
	if _, err := m.step("syncdir", name, ""); err != nil {
		return err
	}
	n.onDisk, n.renames = maps.Clone(n.names), nil
	return nil
}

func (m *memFS) OpenDurable(name string) (env.DurableFile, error) {
	return env.SyncEach(m.Open(name, true))
}

func (m *memFS) SyncAll() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.step("syncall", "", ""); err != nil {
		return err
	}
	m.root.syncTree()
	return nil
}

func (n *node) syncTree() {
	n.durable, n.older = slices.Clone(n.data), nil
	n.onDisk, n.renames = maps.Clone(n.names), nil
	for _, child := range n.names {
		child.syncTree()
	}
}

func (m *memFS) Lock(string) (io.Closer, error) { return nil, env.ErrUnsupported }
func (m *memFS) Space() (int64, int64, error)   { return 1 << 40, 1 << 40, nil }
func (m *memFS) Close() error                   { return nil }

// die stops the process: every operation fails from now on.
func (m *memFS) die() {
	m.mu.Lock()
	m.stopAt = max(m.ops, 1)
	m.ops = m.stopAt
	m.mu.Unlock()
}

// powerLoss is the file system after the power failed: of what was not synced, keep decides piece by piece what is there. Names are
// decided one by one, file contents by pages of pageSize bytes, sizes for themselves.
func (m *memFS) powerLoss(keep func() bool, pageSize int) *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := map[*node]*node{}
	return &memFS{root: m.root.afterLoss(keep, pageSize, done), now: m.now}
}

func (n *node) onDiskData() []byte {
	if n.durable == nil {
		return []byte{}
	}
	return n.durable
}

func (n *node) afterLoss(keep func() bool, pageSize int, done map[*node]*node) *node {
	if c := done[n]; c != nil {
		return c
	}
	c := &node{dir: n.dir, modTime: n.modTime}
	done[n] = c
	if !n.dir {
		c.data = mixPages(n.onDiskData(), mixPages(n.older, n.data, keep, pageSize), keep, pageSize)
		c.durable = slices.Clone(c.data)
		return c
	}
	c.names = map[string]*node{}
	all := map[string]bool{}
	for name := range n.names {
		all[name] = true
	}
	for name := range n.onDisk {
		all[name] = true
	}
	whole := n.renamesAfterLoss(keep)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		child, decided := whole[name]
		if !decided {
			child = n.onDisk[name]
			if n.names[name] != child && keep() {
				child = n.names[name]
			}
		}
		if child != nil {
			c.names[name] = child.afterLoss(keep, pageSize, done)
		}
	}
	c.onDisk = maps.Clone(c.names)
	return c
}

// renamesAfterLoss decides the names that renames tie together: all as they are, or all as on the disk but for the last file renamed,
// which may have its former name there.
func (n *node) renamesAfterLoss(keep func() bool) map[string]*node {
	whole := map[string]*node{}
	for i := len(n.renames) - 1; i >= 0; i-- {
		last := n.renames[i]
		if _, ok := whole[last.to]; ok {
			continue
		}
		tied := []string{last.from, last.to}
		for changed := true; changed; {
			changed = false
			for _, r := range n.renames {
				if slices.Contains(tied, r.from) != slices.Contains(tied, r.to) {
					tied, changed = append(tied, r.from, r.to), true
				}
			}
		}
		as := n.onDisk
		kept := keep()
		if kept {
			as = n.names
		}
		for _, name := range tied {
			whole[name] = as[name]
		}
		if !kept && n.names[last.to] == last.n && as[last.from] == nil && keep() {
			whole[last.from] = last.n
		}
	}
	return whole
}

// mixPages takes the size and each page either from the disk or from memory.
func mixPages(disk, memory []byte, keep func() bool, pageSize int) []byte {
	if disk == nil || string(disk) == string(memory) {
		return slices.Clone(memory)
	}
	size := len(disk)
	if len(disk) != len(memory) && keep() {
		size = len(memory)
	}
	out := make([]byte, size)
	for at := 0; at < size; at += pageSize {
		end := min(at+pageSize, size)
		from := disk
		if !samePage(disk, memory, at, end) && keep() {
			from = memory
		}
		if at < len(from) {
			copy(out[at:end], from[at:])
		}
	}
	return out
}

func samePage(a, b []byte, from, to int) bool {
	return string(a[min(from, len(a)):min(to, len(a))]) == string(b[min(from, len(b)):min(to, len(b))])
}

// keepAll is kill -9: the page cache survives. keepNone loses everything that was not synced.
func keepAll() bool  { return true }
func keepNone() bool { return false }

func keepSome(seed uint64) func() bool {
	r := rand.New(rand.NewPCG(seed, 17))
	return func() bool { return r.IntN(2) == 0 }
}

// takeTrace returns the operations since the last call.
func (m *memFS) takeTrace() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := strings.Join(m.trace, "\n")
	m.trace = nil
	return out
}

type memFile struct {
	m      *memFS
	n      *node
	name   string
	write  bool
	closed bool
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return 0, fs.ErrClosed
	}
	if f.m.fail != nil {
		if _, err := f.m.fail("read", f.name); err != nil {
			return 0, err
		}
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.WritevAt([][]byte{p}, off)
	return int(n), err
}

func (f *memFile) WritevAt(bufs [][]byte, off int64) (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed || !f.write {
		return 0, fs.ErrClosed
	}
	p := slices.Concat(bufs...)
	n, err := f.m.step("write", f.name, fmt.Sprintf("%d+%d", off, len(p)))
	if err != nil {
		p = p[:min(n, len(p))]
	}
	if len(p) > 0 {
		if need := int(off) + len(p); need > len(f.n.data) {
			f.n.data = append(f.n.data, make([]byte, need-len(f.n.data))...)
		}
		copy(f.n.data[off:], p)
		f.n.modTime = f.m.now
	}
	return int64(len(p)), err
}

func (f *memFile) Reserve(int64, int64) error { return env.ErrUnsupported }

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if _, err := f.m.step("truncate", f.name, fmt.Sprint(size)); err != nil {
		return err
	}
	if int(size) <= len(f.n.data) {
		f.n.older = f.n.data
		f.n.data = slices.Clone(f.n.data[:size])
	} else {
		f.n.data = append(f.n.data, make([]byte, int(size)-len(f.n.data))...)
	}
	return nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	if _, err := f.m.step("sync", f.name, ""); err != nil {
		return err
	}
	f.n.durable, f.n.older = slices.Clone(f.n.data), nil
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	f.m.open--
	return nil
}
