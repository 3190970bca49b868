package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

var (
	// ErrCorrupt: the files do not hold what they must. The log does not open, or the read is refused; nothing is truncated.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrOffline: an earlier write or sync failed, so what the disk holds is unknown. The log accepts nothing any more.
	ErrOffline = errors.New("log is offline")
	// ErrOutOfRange: the offset is below the log start or above the log end.
	ErrOutOfRange = errors.New("offset is out of range")
	// ErrRefused: the system had nothing to give, no space or no descriptor (Passing). Nothing of the refused call is in the log; it works
	// again once there is some.
	ErrRefused = errors.New("refused by the system")
	// ErrStale: the log was truncated after this View was taken, so positions may have changed. Read a newer View.
	ErrStale = errors.New("view is older than a truncation")
	// ErrOutOfOrder: the batches do not continue the log. Nothing was written; the log stays online.
	ErrOutOfOrder = errors.New("batches do not continue the log")
)

// Corruption is the error behind ErrCorrupt where a place is known.
type Corruption struct {
	File   string
	Pos    int64 // bytes from the start of the file
	Offset int64 // first offset that cannot be read; -1 unknown
	Reason string
}

func (c *Corruption) Error() string {
	return fmt.Sprintf("log is corrupt: %s at byte %d, offset %d: %s", c.File, c.Pos, c.Offset, c.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (c *Corruption) Is(target error) bool { return target == ErrCorrupt }

// Passing reports an error by which the system says that it has nothing left (space, quota, descriptors, memory) or was interrupted: the same
// call may succeed later, and what the disk holds is as it was. A sync is different: whatever its error, what it was to write may be lost, and
// the next one would say nothing of it; only that there was no descriptor to sync by is no news of that.
func Passing(err error) bool {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return true
	}
	var at *fs.PathError
	if errors.As(err, &at) && strings.Contains(at.Op, "sync") {
		return false
	}
	return slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR}, func(of error) bool { return errors.Is(err, of) })
}
