// Package env names everything a node may touch of the outside world: time, randomness, files, blocking work and listening sockets.
//
// All nondeterminism enters a node through an Env (and through the dispatcher of its actors.System). Package osenv holds the real
// implementation, simulations/sim the simulated one; actors, machines and storage code are the same under both. Nothing in this
// package has behaviour: it is the list of questions a node asks the world.
package env

import (
	"errors"
	"io"
	"time"
)

// Env is the world of one node. All fields are set.
type Env struct {
	Clock   Clock
	Rand    Rand
	Offload Offload
	// OpenFS opens (creating it if need be) the directory dir of the host and returns a file system rooted there.
	OpenFS func(dir string) (FS, error)
	// LookFS does the same with a directory that exists; fs.ErrNotExist if it does not.
	LookFS func(dir string) (FS, error)
}

// Clock tells the time and wakes.
type Clock interface {
	// Now is the wall clock: record timestamps, retention. It may jump in either direction.
	Now() time.Time
	// Mono is a monotonic clock with an arbitrary origin: timeouts, session expiry, durations.
	Mono() time.Duration
	// AfterFunc calls f once, d after now on the monotonic clock, from outside any actor: f may only send messages.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a pending call of AfterFunc.
type Timer interface {
	// Stop reports whether it prevented the call.
	Stop() bool
}

// Rand is a source of randomness; safe for concurrent use.
type Rand interface {
	Uint64() uint64
}

// Offload runs blocking work (fsync, cold reads, directory scans) outside the actor pool.
type Offload interface {
	// Run starts work soon and returns at once. work runs beside everything else and ends by sending a message.
	Run(work func())
}

var (
	// ErrLocked is returned by FS.Lock when another process (or another FS of this one) holds the lock.
	ErrLocked = errors.New("locked by another process")
	// ErrUnsupported is returned by FS.SyncAll where the platform cannot flush one whole file system.
	ErrUnsupported = errors.New("not supported here")
)

// FS is a directory tree. Names are slash-separated, relative to the root, and cannot leave it. Errors wrap fs.ErrNotExist,
// fs.ErrExist, fs.ErrPermission, syscall.ENOSPC and syscall.EIO where these are the cause.
// Creating, renaming and removing are durable only after SyncDir of the parent directory.
type FS interface {
	// Open opens an existing file for reading and, if write is set, for writing.
	Open(name string, write bool) (File, error)
	// OpenDurable opens an existing file for writes that are durable when they return.
	OpenDurable(name string) (DurableFile, error)
	// Create creates a file that must not exist, for reading and writing.
	Create(name string) (File, error)
	// Mkdir creates one directory; fs.ErrExist if it exists.
	Mkdir(name string) error
	Rename(oldName, newName string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// RemoveAll removes a tree; removing what does not exist is no error.
	RemoveAll(name string) error
	// ReadDir lists a directory ("." is the root), sorted by name.
	ReadDir(name string) ([]Entry, error)
	Stat(name string) (Entry, error)
	// SyncDir makes the entries of the directory durable ("." is the root).
	SyncDir(name string) error
	// SyncAll makes everything written so far through this FS durable at once (syncfs), or returns ErrUnsupported.
	SyncAll() error
	// Lock takes the exclusive lock named name, held until the Closer is closed or the process ends. ErrLocked if it is held.
	Lock(name string) (io.Closer, error)
	// Space tells the bytes available to us and the bytes of the whole file system.
	Space() (available, total int64, err error)
	Close() error
}

// Entry describes a file or directory.
type Entry struct {
	Name    string // base name
	Size    int64  // bytes
	IsDir   bool
	ModTime time.Time
}

// File is an open file. ReadAt, WriteAt and Sync may be called beside each other; Close only after all of them returned.
type File interface {
	io.ReaderAt
	io.WriterAt
	// WritevAt writes the concatenation of bufs at off in as few system calls as possible (pwritev). It may consume bufs (the
	// slice of slices, not the bytes). n counts the bytes written; n < total only with an error.
	WritevAt(bufs [][]byte, off int64) (n int64, err error)
	Truncate(size int64) error
	// Reserve allocates blocks for length bytes from off on, without changing the size of the file: later writes there are cheaper.
	// A hint: after an error everything works as before. ErrUnsupported where the file system cannot. Truncate gives back what lies
	// beyond the size.
	Reserve(off, length int64) error
	// Sync makes data and size durable (fdatasync). After an error the state of the file on disk is unknown: never call it again
	// as if it could heal.
	Sync() error
	Size() (int64, error)
	Close() error
}

// BlockSize is what a DurableFile is best written in, in bytes.
const BlockSize = 4 << 10

// DurableFile is written by one goroutine at a time. What WriteAt wrote without an error is durable, with the size of the file; after an
// error it is as after one of File.Sync. Whole blocks at multiples of BlockSize cost least where something was written before: an
// implementation may pass by the page cache for them. Other files of the same name see what was written.
type DurableFile interface {
	io.WriterAt
	io.Closer
}

// SyncEach makes a DurableFile of what FS.Open returned: each write is followed by a Sync.
func SyncEach(f File, err error) (DurableFile, error) {
	if err != nil {
		return nil, err
	}
	return syncEach{f}, nil
}

type syncEach struct{ File }

func (f syncEach) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if err != nil {
		return n, err
	}
	return n, f.Sync()
}

// Descriptor is implemented by files that have a kernel file descriptor, for sendfile. f must not keep fd.
type Descriptor interface {
	WithFD(f func(fd uintptr)) error
}
