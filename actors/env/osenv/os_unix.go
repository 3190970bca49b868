//go:build unix

package osenv

import (
	"errors"
	"os"

	"github.com/troupe-broker/troupe/actors/env"
	"golang.org/x/sys/unix"
)

// flock takes the exclusive lock of an open file, or fails with env.ErrLocked.
func flock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return env.ErrLocked
	}
	return pathError("flock", f, err)
}

// space tells what an unprivileged process may still use, and the size of the file system.
func space(dir *os.File) (available, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, 0, pathError("fstatfs", dir, err)
	}
	block := int64(st.Bsize)
	return int64(st.Bavail) * block, int64(st.Blocks) * block, nil
}
