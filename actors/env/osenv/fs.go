package osenv

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/troupe-broker/troupe/actors/env"
)

// rooted is one directory of the host.
type rooted struct {
	root *os.Root
	dir  *os.File // the directory itself, for syncfs and statfs
}

// openFS opens dir, creating it and what is missing above it durably.
func openFS(dir string) (env.FS, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := mkdirAll(dir); err != nil {
		return nil, fmt.Errorf("creating directory %q: %w", dir, err)
	}
	return lookFS(dir)
}

// lookFS opens a directory that exists.
func lookFS(dir string) (env.FS, error) {
	root, err := os.OpenRoot(dir)
	if info, statErr := os.Stat(dir); err != nil && statErr == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR} // OpenRoot says so in words only
	}
	if err != nil {
		return nil, fmt.Errorf("opening directory %q: %w", dir, err)
	}
	self, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening directory %q: %w", dir, err), root.Close())
	}
	return &rooted{root, self}, nil
}

// mkdirAll is os.MkdirAll that makes each new entry durable.
func mkdirAll(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := mkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// What a node keeps is its user's alone: records, keys of users, passwords of certificates.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

func (r *rooted) Open(name string, write bool) (env.File, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	return r.file(name, flag)
}

func (r *rooted) Create(name string) (env.File, error) {
	return r.file(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// file opens with O_CLOEXEC, as os always does.
func (r *rooted) file(name string, flag int) (env.File, error) {
	f, err := r.root.OpenFile(filepath.FromSlash(name), flag, fileMode)
	if err != nil {
		return nil, err
	}
	return newFile(f), nil
}

func (r *rooted) Mkdir(name string) error {
	return r.root.Mkdir(filepath.FromSlash(name), dirMode)
}

func (r *rooted) Rename(oldName, newName string) error {
	return r.root.Rename(filepath.FromSlash(oldName), filepath.FromSlash(newName))
}

func (r *rooted) Remove(name string) error { return r.root.Remove(filepath.FromSlash(name)) }

func (r *rooted) RemoveAll(name string) error { return r.root.RemoveAll(filepath.FromSlash(name)) }

func (r *rooted) ReadDir(name string) ([]env.Entry, error) {
	d, err := r.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	slices.Sort(names)
	entries := make([]env.Entry, 0, len(names))
	for _, base := range names {
		e, err := r.Stat(path.Join(name, base))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (r *rooted) Stat(name string) (env.Entry, error) {
	info, err := r.root.Stat(filepath.FromSlash(name))
	if err != nil {
		return env.Entry{}, err
	}
	return env.Entry{Name: path.Base(name), Size: info.Size(), IsDir: info.IsDir(), ModTime: info.ModTime()}, nil
}

func (r *rooted) SyncDir(name string) error {
	d, err := r.root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (r *rooted) SyncAll() error { return syncAll(r.dir) }

func (r *rooted) Space() (available, total int64, err error) { return space(r.dir) }

func (r *rooted) Close() error { return errors.Join(r.dir.Close(), r.root.Close()) }

// Lock takes flock on the file, which is created if need be and left behind: removing a lock file is a race. The holder's pid is in it
// for people.
func (r *rooted) Lock(name string) (io.Closer, error) {
	f, err := r.root.OpenFile(filepath.FromSlash(name), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		if errors.Is(err, env.ErrLocked) {
			err = fmt.Errorf("%q in %q: %w%s", name, r.root.Name(), err, holder(f))
		}
		return nil, errors.Join(err, f.Close())
	}
	pid := fmt.Appendf(nil, "%d\n", os.Getpid())
	_, err = f.WriteAt(pid, 0)
	if err = errors.Join(err, f.Truncate(int64(len(pid)))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil // closing the file gives up the lock
}

func holder(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0)
	pid := strings.TrimSpace(string(b[:n]))
	if pid == "" {
		return ""
	}
	return " (pid " + pid + ")"
}
