package storage

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrCorrupt: the files do not hold what they must. The log does not open, or the read is refused; nothing is truncated.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrOffline: an earlier write or sync failed, so what the disk holds is unknown. The log accepts nothing any more.
	ErrOffline = errors.New("log is offline")
	// ErrOutOfRange: the offset is below the log start or above the log end.
	ErrOutOfRange = errors.New("offset is out of range")
	// ErrRefused: the disk is full. Nothing of the refused call is in the log; it works again once there is space.
	ErrRefused = errors.New("no space left for the log")
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

// isRefusal reports whether the cause is a full disk or quota.
func isRefusal(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
