package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/env/osenv"
)

const (
	defaultDataDir = "troupe-data"
	openFilesWant  = 10_000  // a connection and an open segment take one each
	diskFreeWant   = 1 << 30 // bytes
	fsyncWant      = 20 * time.Millisecond
	fsyncRounds    = 20
	fsyncBytes     = 4096
	thisMachine    = "this machine"
)

// checkMachine looks at the limits and the disk that a broker here would live with.
func (d *doctor) checkMachine(dir string) {
	d.checkOpenFiles()
	asked := dir != ""
	if !asked {
		dir = defaultDataDir
	}
	if _, err := os.Stat(dir); err != nil {
		if asked {
			d.note(thisMachine, "data", statusFail, err.Error(), "the directory in log.dirs; 'troupe start' creates it", 0)
		}
		return
	}
	fsys, err := osenv.New().OpenFS(dir)
	if err != nil {
		d.note(thisMachine, "data", statusFail, err.Error(), "the directory must be readable and writable for the broker", 0)
		return
	}
	defer fsys.Close()
	d.checkSpace(dir, fsys)
	d.checkSync(dir, fsys)
}

func (d *doctor) checkOpenFiles() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		d.note(thisMachine, "open files", statusWarn, err.Error(), "", 0)
		return
	}
	soft := humanize.Comma(int64(min(limit.Cur, math.MaxInt64)))
	if limit.Cur < openFilesWant {
		d.note(thisMachine, "open files", statusWarn, "at most "+soft, fmt.Sprintf("ulimit -n %d, or LimitNOFILE= in the service", openFilesWant), 0)
		return
	}
	d.note(thisMachine, "open files", statusOK, "at most "+soft, "", 0)
}

func (d *doctor) checkSpace(dir string, fsys env.FS) {
	free, total, err := fsys.Space()
	if err != nil {
		d.note(thisMachine, "disk", statusWarn, err.Error(), "", 0)
		return
	}
	detail := fmt.Sprintf("%s of %s free under %s", humanize.IBytes(uint64(free)), humanize.IBytes(uint64(total)), dir)
	if free < diskFreeWant {
		d.note(thisMachine, "disk", statusFail, detail, "make room, or shorten retention.ms and retention.bytes", 0)
		return
	}
	d.note(thisMachine, "disk", statusOK, detail, "", 0)
}

// checkSync measures what an acknowledged write costs: a small write and an fdatasync, in a file of its own that is removed again.
func (d *doctor) checkSync(dir string, fsys env.FS) {
	const name = "doctor.tmp"
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.note(thisMachine, "fsync", statusWarn, err.Error(), "", 0)
		return
	}
	took, err := timeSyncs(fsys, name)
	if rerr := fsys.Remove(name); err == nil {
		err = rerr
	}
	if err != nil {
		d.note(thisMachine, "fsync", statusFail, err.Error(), "the disk under "+dir+" must take writes", 0)
		return
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	detail := fmt.Sprintf("median %s, worst %s of %d", median.Round(time.Microsecond), worst.Round(time.Microsecond), len(took))
	if median > fsyncWant {
		d.note(thisMachine, "fsync", statusWarn, detail, "acknowledgements wait for this: a disk with a write cache that survives power loss, or durability=os on topics that may lose records", 0)
		return
	}
	d.note(thisMachine, "fsync", statusOK, detail, "", 0)
}

func timeSyncs(fsys env.FS, name string) (took []time.Duration, err error) {
	f, err := fsys.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	block := make([]byte, fsyncBytes)
	for i := range int64(fsyncRounds) {
		began := time.Now()
		if _, err := f.WriteAt(block, i*fsyncBytes); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
