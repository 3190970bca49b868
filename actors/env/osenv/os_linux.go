package osenv

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/troupe-broker/troupe/actors/env"
)

// WritevAt implements env.File by pwritev.
func (f *file) WritevAt(bufs [][]byte, off int64) (int64, error) {
	n, err := writev(f.pwritev, bufs, off)
	runtime.KeepAlive(f.f)
	return n, pathError("pwritev", f.f, err)
}

func (f *file) pwritev(bufs [][]byte, off int64) (n int, err error) {
	err = uninterrupted(func() error {
		n, err = unix.Pwritev(f.fd, bufs, off)
		return err
	})
	return n, err
}

// Reserve implements env.File by fallocate.
func (f *file) Reserve(off, length int64) error {
	err := uninterrupted(func() error { return unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, off, length) })
	runtime.KeepAlive(f.f)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return env.ErrUnsupported
	}
	return pathError("fallocate", f.f, err)
}

// Sync implements env.File by fdatasync.
func (f *file) Sync() error {
	err := uninterrupted(func() error { return unix.Fdatasync(f.fd) })
	runtime.KeepAlive(f.f)
	return pathError("fdatasync", f.f, err)
}

// syncAll flushes the file system of dir. Linux reports write-back errors through it since 5.8.
func syncAll(dir *os.File) error {
	err := uninterrupted(func() error { return unix.Syncfs(int(dir.Fd())) })
	return pathError("syncfs", dir, err)
}

// uninterrupted repeats a call that a signal cut short before it did anything.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
