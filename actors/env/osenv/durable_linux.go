package osenv

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/troupe-broker/troupe/actors/env"
)

// durable is an env.DurableFile. Whole blocks go to the disk by one O_DIRECT write with O_DSYNC, which neither touches the page cache nor
// looks for dirty pages of the file: two thirds of the processor time of write and fdatasync. Anything else, and everything on file systems
// without O_DIRECT, is written and synced.
type durable struct {
	env.DurableFile          // the other way
	direct          *os.File // nil: there is none
	block           []byte   // aligned scratch
}

// OpenDurable implements env.FS.
func (r *rooted) OpenDurable(name string) (env.DurableFile, error) {
	synced, err := env.SyncEach(r.Open(name, true))
	if err != nil {
		return nil, err
	}
	direct, err := r.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|unix.O_DIRECT|unix.O_DSYNC, fileMode)
	if err != nil { // EINVAL where there is no O_DIRECT
		return synced, nil
	}
	return &durable{DurableFile: synced, direct: direct}, nil
}

// WriteAt implements env.DurableFile.
func (d *durable) WriteAt(p []byte, off int64) (int, error) {
	if d.direct == nil || len(p) == 0 || len(p)%env.BlockSize != 0 || off%env.BlockSize != 0 {
		return d.DurableFile.WriteAt(p, off)
	}
	if !aligned(p) {
		if len(d.block) < len(p) {
			d.block = alignedBlocks(len(p))
		}
		p = d.block[:copy(d.block, p)]
	}
	n, err := d.direct.WriteAt(p, off)
	runtime.KeepAlive(p)
	if errors.Is(err, unix.EINVAL) { // it wants larger blocks
		_ = d.direct.Close()
		d.direct = nil
		return d.DurableFile.WriteAt(p, off)
	}
	return n, err
}

// Close implements env.DurableFile.
func (d *durable) Close() error {
	err := d.DurableFile.Close()
	if d.direct != nil {
		err = errors.Join(err, d.direct.Close())
	}
	return err
}

func aligned(p []byte) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(p)))%env.BlockSize == 0 }

// alignedBlocks returns at least size bytes, in whole blocks that begin at a multiple of their size.
func alignedBlocks(size int) []byte {
	b := make([]byte, size+env.BlockSize)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (env.BlockSize - 1)
	return b[skip : skip+size]
}
