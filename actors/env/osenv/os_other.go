//go:build !linux

package osenv

import (
	"os"

	"github.com/troupe-broker/troupe/actors/env"
)

// WritevAt implements env.File by one pwrite a buffer.
func (f *file) WritevAt(bufs [][]byte, off int64) (int64, error) {
	return writev(func(bufs [][]byte, off int64) (int, error) { return f.f.WriteAt(bufs[0], off) }, bufs, off)
}

// Reserve implements env.File.
func (f *file) Reserve(int64, int64) error { return env.ErrUnsupported }

// Sync implements env.File by fsync (F_FULLFSYNC on darwin).
func (f *file) Sync() error { return f.f.Sync() }

func syncAll(*os.File) error { return env.ErrUnsupported }

// OpenDurable implements env.FS.
func (r *rooted) OpenDurable(name string) (env.DurableFile, error) {
	return env.SyncEach(r.Open(name, true))
}
