package sim

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"

	"github.com/troupe-broker/troupe/actors/env"
)

// errDead is what a process that no longer exists gets for its pains.
var errDead = errors.New("sim: the process is dead")

// filesystem is env.FS for one process.
type filesystem struct {
	d      *Disk
	p      *Process // nil: the simulator itself
	root   *inode
	prefix string
}

// op carries out one operation under the rules: do has the effect and returns the error.
func (f *filesystem) op(kind Op, name string, do func() error) error {
	return f.opSized(kind, name, 0, func(int) error { return do() })
}

// opSized is op for an operation on n bytes; do is told how many of them it may handle.
func (f *filesystem) opSized(kind Op, name string, n int, do func(n int) error) error {
	if f.p == nil {
		return do(n)
	}
	if f.p.dead {
		return errDead
	}
	full := path.Join(f.prefix, name)
	d := f.d
	d.Counts[kind]++
	d.world.Trace.Event(opNames[kind], int64(n))
	if d.world.Trace.On() {
		d.world.Trace.Printf("%s: %v %s %d", d.name, kind, full, n)
	}
	if d.Lies && (kind == OpSync || kind == OpSyncDir || kind == OpSyncAll) {
		return nil
	}
	r := d.strike(kind, full)
	if r == nil {
		return wrap(kind, full, do(n))
	}
	switch r.Effect {
	case CrashBefore:
		f.p.atOp = true
		f.p.die("crash before " + kind.String())
		return errDead
	case CrashAfter:
		do(n)
		f.p.atOp = true
		f.p.die("crash after " + kind.String())
		return errDead
	case Short:
		if kind == OpWrite {
			do(n / 2)
		}
	}
	if kind == OpSync || kind == OpSyncAll {
		do(-1)
	}
	return wrap(kind, full, r.Effect.err())
}

// wrap gives an error its operation and path, as the os package does.
func wrap(kind Op, name string, err error) error {
	var already *fs.PathError
	if err == nil || errors.Is(err, io.EOF) || errors.As(err, &already) {
		return err
	}
	return &fs.PathError{Op: kind.String(), Path: name, Err: err}
}

func (f *filesystem) find(kind Op, name string) (*inode, error) {
	return lookup(f.root, kind.String(), name)
}

// parent finds the directory of name.
func (f *filesystem) parent(kind Op, name string) (*inode, string, error) {
	dir, base := path.Split(path.Clean(name))
	n, err := f.find(kind, path.Clean("./"+dir))
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	return n, base, err
}

// Open implements env.FS.
func (f *filesystem) Open(name string, write bool) (out env.File, err error) {
	err = f.op(OpOpen, name, func() error {
		n, err := f.find(OpOpen, name)
		if err != nil {
			return err
		}
		if n.dir {
			return syscall.EISDIR
		}
		out = &file{f: f, n: n, name: name, write: write}
		return nil
	})
	return out, err
}

// Create implements env.FS.
func (f *filesystem) Create(name string) (out env.File, err error) {
	err = f.op(OpCreate, name, func() error {
		n := f.d.newFile()
		if err := f.link(OpCreate, name, n); err != nil {
			return err
		}
		out = &file{f: f, n: n, name: name, write: true}
		return nil
	})
	return out, err
}

func (f *filesystem) link(kind Op, name string, n *inode) error {
	dir, base, err := f.parent(kind, name)
	switch {
	case err != nil:
		return err
	case dir.entries[base] != nil:
		return fs.ErrExist
	case f.d.Capacity > 0 && f.d.Used() >= f.d.Capacity:
		return syscall.ENOSPC
	}
	dir.set(base, n)
	return nil
}

// Mkdir implements env.FS.
func (f *filesystem) Mkdir(name string) error {
	return f.op(OpMkdir, name, func() error { return f.link(OpMkdir, name, f.d.newDir()) })
}

// Rename implements env.FS.
func (f *filesystem) Rename(oldName, newName string) error {
	return f.op(OpRename, oldName, func() error {
		from, oldBase, err := f.parent(OpRename, oldName)
		if err != nil {
			return err
		}
		to, newBase, err := f.parent(OpRename, newName)
		if err != nil {
			return err
		}
		n := from.entries[oldBase]
		old := to.entries[newBase]
		switch {
		case n == nil:
			return fs.ErrNotExist
		case old != nil && old.dir && (!n.dir || len(old.entries) > 0):
			return fs.ErrExist
		case old != nil && !old.dir && n.dir:
			return syscall.ENOTDIR
		case from == to:
			from.rename(oldBase, newBase, n)
		default:
			to.set(newBase, n)
			from.set(oldBase, nil)
		}
		return nil
	})
}

// Remove implements env.FS.
func (f *filesystem) Remove(name string) error {
	return f.op(OpRemove, name, func() error {
		dir, base, err := f.parent(OpRemove, name)
		if err != nil {
			return err
		}
		n := dir.entries[base]
		switch {
		case n == nil:
			return fs.ErrNotExist
		case n.dir && len(n.entries) > 0:
			return syscall.ENOTEMPTY
		}
		dir.set(base, nil)
		return nil
	})
}

// RemoveAll implements env.FS: one removal after the other, children first.
func (f *filesystem) RemoveAll(name string) error {
	n, err := f.find(OpRemove, name)
	if err != nil {
		return nil
	}
	if n.dir {
		for _, child := range n.names() {
			if err := f.RemoveAll(path.Join(name, child)); err != nil {
				return err
			}
		}
	}
	return f.Remove(name)
}

// ReadDir implements env.FS.
func (f *filesystem) ReadDir(name string) (out []env.Entry, err error) {
	err = f.op(OpReadDir, name, func() error {
		n, err := f.find(OpReadDir, name)
		if err != nil {
			return err
		}
		if !n.dir {
			return syscall.ENOTDIR
		}
		for _, child := range n.names() {
			out = append(out, n.entries[child].entry(child))
		}
		return nil
	})
	return out, err
}

func (n *inode) entry(name string) env.Entry {
	return env.Entry{Name: name, Size: n.cache.size, IsDir: n.dir, ModTime: n.mtime}
}

// Stat implements env.FS.
func (f *filesystem) Stat(name string) (out env.Entry, err error) {
	err = f.op(OpStat, name, func() error {
		n, err := f.find(OpStat, name)
		if err == nil {
			out = n.entry(path.Base(name))
		}
		return err
	})
	return out, err
}

// SyncDir implements env.FS.
func (f *filesystem) SyncDir(name string) error {
	return f.op(OpSyncDir, name, func() error {
		n, err := f.find(OpSyncDir, name)
		if err == nil && !n.dir {
			err = syscall.ENOTDIR
		}
		if err == nil {
			n.syncDir()
		}
		return err
	})
}

// OpenDurable implements env.FS.
func (f *filesystem) OpenDurable(name string) (env.DurableFile, error) {
	return env.SyncEach(f.Open(name, true))
}

// SyncAll implements env.FS: everything on the disk, as syncfs does.
func (f *filesystem) SyncAll() error {
	return f.opSized(OpSyncAll, ".", 0, func(n int) error {
		f.d.root.walk("", func(_ string, node *inode) {
			switch {
			case node.dir && n >= 0:
				node.syncDir()
			case !node.dir && n >= 0:
				node.sync()
			case !node.dir:
				node.failSync()
			}
		})
		return nil
	})
}

type lock struct {
	d    *Disk
	name string
	p    *Process
}

// Close frees the lock.
func (l lock) Close() error {
	if l.d.locks[l.name] == l.p {
		delete(l.d.locks, l.name)
	}
	return nil
}

// Lock implements env.FS.
func (f *filesystem) Lock(name string) (io.Closer, error) {
	full := path.Join(f.prefix, name)
	if holder := f.d.locks[full]; holder != nil {
		return nil, &fs.PathError{Op: "lock", Path: full, Err: env.ErrLocked}
	}
	if _, err := f.find(OpOpen, name); err != nil {
		if err := f.op(OpCreate, name, func() error { return f.link(OpCreate, name, f.d.newFile()) }); err != nil {
			return nil, err
		}
	}
	f.d.locks[full] = f.p
	return lock{f.d, full, f.p}, nil
}

const unbounded = 1 << 40 // bytes of a disk without a bound

// Space implements env.FS.
func (f *filesystem) Space() (available, total int64, err error) {
	if f.d.Capacity == 0 {
		return unbounded, unbounded, nil
	}
	return max(0, f.d.Capacity-f.d.Used()), f.d.Capacity, nil
}

// Close implements env.FS.
func (f *filesystem) Close() error { return nil }
