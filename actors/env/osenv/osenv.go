// Package osenv is the real world behind env.Env: the operating system's clock, chance, files and threads.
//
// Files are confined to the directory of their FS by os.Root: a name that leads outside, by "..", by an absolute path or through a
// symbolic link, is refused by the kernel's answer and not by our reading of the name. Linux is the platform that counts: data is
// made durable by fdatasync and syncfs and written by pwritev. Elsewhere the same interface stands on fsync and pwrite.
package osenv

import (
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
)

// New is the real world of one node.
func New() env.Env {
	return env.Env{
		Clock:   clock{origin: time.Now()},
		Rand:    chance{},
		Offload: NewOffload(OffloadTasks),
		OpenFS:  openFS,
		LookFS:  lookFS,
	}
}

// clock counts Mono from the moment it was made.
type clock struct{ origin time.Time }

func (clock) Now() time.Time { return time.Now() }

func (c clock) Mono() time.Duration { return time.Since(c.origin) }

func (clock) AfterFunc(d time.Duration, f func()) env.Timer { return time.AfterFunc(d, f) }

// chance is the runtime's ChaCha8, seeded by the operating system, without a lock.
type chance struct{}

func (chance) Uint64() uint64 { return rand.Uint64() }
