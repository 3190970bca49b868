package sim

import (
	"io"
	"io/fs"
	"syscall"
)

// file is env.File for one process. It has no descriptor: in a simulation bytes leave by copy.
type file struct {
	f      *filesystem
	n      *inode
	name   string
	write  bool
	closed bool
}

func (h *file) op(kind Op, n int, do func(n int) error) error {
	if h.closed {
		return &fs.PathError{Op: kind.String(), Path: h.name, Err: fs.ErrClosed}
	}
	if !h.write && (kind == OpWrite || kind == OpTruncate) {
		return &fs.PathError{Op: kind.String(), Path: h.name, Err: syscall.EBADF}
	}
	return h.f.opSized(kind, h.name, n, do)
}

// ReadAt implements io.ReaderAt.
func (h *file) ReadAt(b []byte, off int64) (n int, err error) {
	err = h.op(OpRead, len(b), func(int) error {
		n = h.n.cache.read(b, off)
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	if err != nil && err != io.EOF {
		n = 0
	}
	return n, err
}

// WriteAt implements io.WriterAt.
func (h *file) WriteAt(b []byte, off int64) (n int, err error) {
	err = h.op(OpWrite, len(b), func(allowed int) (err error) {
		n, err = h.put(b[:allowed], off)
		return err
	})
	return n, err
}

// WritevAt implements env.File.
func (h *file) WritevAt(bufs [][]byte, off int64) (n int64, err error) {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	err = h.op(OpWrite, total, func(allowed int) error {
		for _, b := range bufs {
			b = b[:min(len(b), allowed)]
			done, err := h.put(b, off+n)
			n += int64(done)
			allowed -= done
			if err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// Reserve implements env.File. Blocks are not simulated.
func (h *file) Reserve(int64, int64) error { return nil }

// put writes as much as the space allows.
func (h *file) put(b []byte, off int64) (int, error) {
	d := h.f.d
	d.world.Trace.Bytes(b)
	fit := len(b)
	if d.Capacity > 0 {
		fit = h.fitting(len(b), off)
	}
	if pages := len(h.n.cache.pages); pages > 0 && d.writeback.Chance(d.Writeback) {
		h.n.flushPage(d.writeback.IntN(pages))
	}
	h.n.write(b[:fit], off)
	h.n.mtime = d.now()
	if fit < len(b) {
		return fit, syscall.ENOSPC
	}
	return fit, nil
}

// fitting is how many of n bytes at off the free pages can hold.
func (h *file) fitting(n int, off int64) int {
	free := (h.f.d.Capacity - h.f.d.Used()) / pageSize
	fit := 0
	for fit < n {
		at := off + int64(fit)
		if h.n.cache.page(int(at/pageSize)) == nil {
			if free <= 0 {
				break
			}
			free--
		}
		fit = min(n, fit+int(pageSize-at%pageSize))
	}
	return fit
}

// Truncate implements env.File.
func (h *file) Truncate(size int64) error {
	return h.op(OpTruncate, int(size), func(int) error {
		h.n.truncate(size)
		return nil
	})
}

// Sync implements env.File.
func (h *file) Sync() error {
	return h.op(OpSync, 0, func(n int) error {
		if n < 0 {
			h.n.failSync()
		} else {
			h.n.sync()
		}
		return nil
	})
}

// Size implements env.File.
func (h *file) Size() (int64, error) { return h.n.cache.size, nil }

// Close implements io.Closer.
func (h *file) Close() error {
	h.closed = true
	return nil
}
