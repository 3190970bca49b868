package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

// What passes is told from damage by the error and by what it is of: a sync that failed may have lost what it was to write.
func TestPassing(t *testing.T) {
	passes := map[syscall.Errno]bool{
		syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EMFILE: true, syscall.ENFILE: true, syscall.ENOMEM: true, syscall.EAGAIN: true, syscall.EINTR: true,
		syscall.EIO: false, syscall.EROFS: false, syscall.ENOENT: false,
	}
	for errno, want := range passes {
		for op, synced := range map[string]bool{"write": false, "open": false, "rename": false, "fdatasync": true, "sync": true, "syncfs": true, "syncdir": true} {
			err := fmt.Errorf("%w: flushing: %w", ErrOffline, &fs.PathError{Op: op, Path: "x", Err: errno})
			if synced {
				want := errno == syscall.EMFILE || errno == syscall.ENFILE
				if Passing(err) != want {
					t.Errorf("%v: passes %v", err, !want)
				}
			} else if Passing(err) != want {
				t.Errorf("%v: passes %v", err, !want)
			}
		}
	}
	if Passing(nil) || Passing(errors.New("x")) || Passing(ErrCorrupt) {
		t.Error("no error of the system passes")
	}
}
