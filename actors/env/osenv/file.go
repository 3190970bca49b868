package osenv

import (
	"io"
	"io/fs"
	"os"
)

// file is an env.File and an env.Descriptor. Invariant: fd is the descriptor of f, which is not closed while it is in use.
type file struct {
	f  *os.File
	fd int
}

func newFile(f *os.File) *file { return &file{f, int(f.Fd())} }

func (f *file) ReadAt(p []byte, off int64) (int, error)  { return f.f.ReadAt(p, off) }
func (f *file) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }
func (f *file) Truncate(size int64) error                { return f.f.Truncate(size) }
func (f *file) Close() error                             { return f.f.Close() }

func (f *file) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// WithFD implements env.Descriptor.
func (f *file) WithFD(use func(fd uintptr)) error {
	c, err := f.f.SyscallConn()
	if err != nil {
		return err
	}
	return c.Control(use)
}

// iovecsMax is how many buffers the kernel takes in one call (UIO_MAXIOV).
const iovecsMax = 1024

// writev writes all of bufs at off through pwritev, which may write less than it was given.
func writev(pwritev func(bufs [][]byte, off int64) (int, error), bufs [][]byte, off int64) (written int64, err error) {
	for {
		bufs = skip(bufs, 0)
		if len(bufs) == 0 {
			return written, nil
		}
		n, err := pwritev(bufs[:min(len(bufs), iovecsMax)], off+written)
		if n > 0 {
			written += int64(n)
			bufs = skip(bufs, n)
		}
		if err != nil {
			return written, err
		}
		if n <= 0 {
			return written, io.ErrShortWrite
		}
	}
}

// skip drops the first n bytes, and empty buffers in front.
func skip(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

func pathError(op string, f *os.File, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.Name(), Err: err}
}
