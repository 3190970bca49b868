package storage

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/env"
)

// blocks is a file system that can reserve, with as much free as a test says.
type blocks struct {
	*memFS
	free     int64
	reserved map[string]int64 // where the blocks of a file end that has some beyond its end
}

type blocksFile struct {
	env.File
	b    *blocks
	name string
}

func (b *blocks) Space() (int64, int64, error) { return b.free, 1 << 40, nil }

func (b *blocks) Create(name string) (env.File, error) {
	f, err := b.memFS.Create(name)
	return &blocksFile{f, b, name}, err
}

func (b *blocks) Open(name string, write bool) (env.File, error) {
	f, err := b.memFS.Open(name, write)
	return &blocksFile{f, b, name}, err
}

func (f *blocksFile) Reserve(off, length int64) error {
	f.b.reserved[f.name] = off + length
	return nil
}

func (f *blocksFile) Truncate(size int64) error {
	delete(f.b.reserved, f.name)
	return f.File.Truncate(size)
}

func newBlocks(t *testing.T) (*fixture, *blocks) {
	t.Helper()
	b := &blocks{memFS: newMemFS(), free: 1 << 40, reserved: map[string]int64{}}
	o := testOptions(b)
	o.Config.SegmentBytes = 64 << 20
	l, err := Create(o)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, fs: b.memFS, l: l, ts: 1_600_000_000_000}, b
}

func (x *fixture) unreserve() {
	x.t.Helper()
	if err := x.l.Unreserve(); err != nil {
		x.t.Fatal(err)
	}
}

// A log keeps what it reserved while it is written to, and gives it back when it is not.
func TestAnIdleLogHoldsNoBlocks(t *testing.T) {
	x, b := newBlocks(t)
	x.mustAppend(200 << 10) // a small segment reserves nothing
	for range 3 {
		x.mustAppend(20 << 10)
		if len(b.reserved) != 1 {
			t.Fatalf("reserved %v", b.reserved)
		}
		x.unreserve()
		if len(b.reserved) != 1 {
			t.Fatal("a log that is written to gave its blocks back")
		}
	}
	x.unreserve()
	if len(b.reserved) != 0 {
		t.Errorf("an idle log holds %v", b.reserved)
	}
	before := b.takeTrace()
	x.unreserve()
	if got := b.takeTrace(); got != "" {
		t.Errorf("given back twice: %s after %s", got, before)
	}
	x.mustAppend(20 << 10)
	if len(b.reserved) != 1 {
		t.Error("nothing was reserved when it was written to again")
	}
	x.check()
}

// While little is free no log reserves, and what one holds goes back although it is written to.
func TestAShortFileSystemIsLeftItsBlocks(t *testing.T) {
	x, b := newBlocks(t)
	b.free = reserveFree - 1
	x.mustAppend(200<<10, 200<<10)
	if len(b.reserved) != 0 {
		t.Fatalf("reserved %v", b.reserved)
	}
	b.free = reserveFree
	for len(b.reserved) == 0 && x.l.EndOffset() < 100 {
		x.mustAppend(200 << 10)
	}
	if len(b.reserved) != 1 {
		t.Fatal("nothing was reserved when there was space again")
	}
	b.free = reserveFree - 1
	x.unreserve()
	if len(b.reserved) != 0 {
		t.Errorf("a short file system lacks %v", b.reserved)
	}
	x.mustAppend(200 << 10)
	if len(b.reserved) != 0 {
		t.Errorf("reserved %v", b.reserved)
	}
	x.check()
}
