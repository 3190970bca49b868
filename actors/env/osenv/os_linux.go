package osenv

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
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
