package sim

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"
	"testing"

	"github.com/troupe-broker/troupe/actors/env"
)

func newTestDisk(t *testing.T, seed uint64) (*Host, *Process, env.FS) {
	t.Helper()
	h := NewWorld(seed, nil).NewHost("n0")
	h.Disk.Writeback = 0
	p := h.Boot()
	return h, p, root(t, p)
}

func root(t *testing.T, p *Process) env.FS {
	t.Helper()
	f, err := p.Env().OpenFS("data")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, f env.FS, name, content string) env.File {
	t.Helper()
	file, err := f.Create(name)
	must(t, err)
	_, err = file.WriteAt([]byte(content), 0)
	must(t, err)
	return file
}

// content is what a fresh process reads, "-" if the file is gone.
func content(t *testing.T, f env.FS, name string) string {
	t.Helper()
	file, err := f.Open(name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	must(t, err)
	size, _ := file.Size()
	b := make([]byte, size)
	if _, err := file.ReadAt(b, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return string(b)
}

func crash(h *Host, p *Process, pages, entries Keep, tear float64) *Process {
	p.PowerLoss(Crash{Pages: pages, Entries: entries, Tear: tear, Chance: h.World.Stream("crash")})
	return h.Boot()
}

func TestSyncedFileSurvivesEveryCrash(t *testing.T) {
	for pages := range keeps {
		for entries := range keeps {
			h, p, f := newTestDisk(t, 1)
			file := create(t, f, "a", "synced")
			must(t, file.Sync())
			must(t, f.SyncDir("."))
			p = crash(h, p, pages, entries, 1)
			if got := content(t, root(t, p), "a"); got != "synced" {
				t.Errorf("pages %v, entries %v: %q", pages, entries, got)
			}
		}
	}
}

func TestUnsyncedEffectsAreLost(t *testing.T) {
	h, p, f := newTestDisk(t, 1)
	file := create(t, f, "a", "old")
	must(t, file.Sync())
	must(t, f.SyncDir("."))
	_, err := file.WriteAt([]byte("new and longer"), 0)
	must(t, err)
	must(t, create(t, f, "no entry", "data").Sync())
	must(t, f.Mkdir("d"))
	must(t, f.SyncDir("d"))
	p = crash(h, p, KeepNone, KeepNone, 0)
	f = root(t, p)
	for name, want := range map[string]string{"a": "old", "no entry": "-", "d": "-"} {
		if got := content(t, f, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestKillKeepsTheCache(t *testing.T) {
	h, p, f := newTestDisk(t, 1)
	file := create(t, f, "a", "cached")
	p.Kill()
	if _, err := file.WriteAt([]byte("late"), 0); !errors.Is(err, errDead) {
		t.Errorf("a dead process writes: %v", err)
	}
	p = h.Boot()
	if got := content(t, root(t, p), "a"); got != "cached" {
		t.Errorf("%q", got)
	}
}

func TestSizeMayOutliveData(t *testing.T) {
	zeros, torn := false, false
	for seed := range uint64(200) {
		h, p, f := newTestDisk(t, seed)
		file := create(t, f, "a", "")
		must(t, file.Sync())
		must(t, f.SyncDir("."))
		_, err := file.WriteAt(bytes.Repeat([]byte{7}, 3*pageSize), 0)
		must(t, err)
		p = crash(h, p, KeepSome, KeepNone, 0.5)
		got := content(t, root(t, p), "a")
		if len(got) > 0 {
			zeros = zeros || bytes.Count([]byte(got), []byte{0}) >= pageSize
			torn = torn || bytes.Count([]byte(got), []byte{0})%pageSize == 3*sectorSize
		}
	}
	if !zeros || !torn {
		t.Errorf("zeros %v, torn %v: the fault model has lost a fault", zeros, torn)
	}
}

func TestRenameIsAtomicAndNeedsItsDirectory(t *testing.T) {
	outcomes := map[string]bool{}
	for seed := range uint64(50) {
		h, p, f := newTestDisk(t, seed)
		must(t, create(t, f, "a", "one").Sync())
		must(t, f.SyncDir("."))
		must(t, create(t, f, "a.tmp", "two").Sync())
		must(t, f.Rename("a.tmp", "a"))
		p = crash(h, p, KeepNone, KeepSome, 0)
		f = root(t, p)
		outcomes[content(t, f, "a")+content(t, f, "a.tmp")] = true
	}
	for _, want := range []string{"one-", "onetwo", "two-"} {
		if !outcomes[want] {
			t.Errorf("never saw %q", want)
		}
	}
	if len(outcomes) != 3 {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestFailedSyncLosesItsPages(t *testing.T) {
	h, p, f := newTestDisk(t, 1)
	file := create(t, f, "a", "old")
	must(t, file.Sync())
	must(t, f.SyncDir("."))
	rule, err := ParseRule("sync a x1 eio")
	must(t, err)
	h.Disk.Inject(rule)
	_, err = file.WriteAt([]byte("new"), 0)
	must(t, err)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	must(t, file.Sync()) // the kernel says yes and has forgotten
	if got := content(t, f, "a"); got != "new" {
		t.Errorf("the cache has %q", got)
	}
	p = crash(h, p, KeepAll, KeepAll, 0)
	if got := content(t, root(t, p), "a"); got != "old" {
		t.Errorf("the medium has %q", got)
	}
}

func TestSpaceRunsOutInTheMiddleOfAWrite(t *testing.T) {
	h, _, f := newTestDisk(t, 1)
	file := create(t, f, "a", "x")
	h.Disk.Capacity = 2 * pageSize
	n, err := file.WriteAt(make([]byte, 3*pageSize), 1)
	if !errors.Is(err, syscall.ENOSPC) || n != 2*pageSize-1 {
		t.Errorf("wrote %d, %v", n, err)
	}
	if _, err := f.Create("b"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("create: %v", err)
	}
	must(t, f.Remove("a"))
	create(t, f, "b", "fits again")
}

func TestRulesStrikeWhereTheySay(t *testing.T) {
	for _, text := range []string{"sync *.log +3 x1 eio", "write data/t-0/*.log p0.25 short", "any * crash-before", "create a x2 enospc"} {
		r, err := ParseRule(text)
		must(t, err)
		if r.String() != text {
			t.Errorf("%q reads back as %q", text, r)
		}
	}
	for _, text := range []string{"", "sync *", "sync * maybe", "shout * eio", "sync * 3 eio", "sync [ eio"} {
		if _, err := ParseRule(text); err == nil {
			t.Errorf("%q is no rule", text)
		}
	}
	h, p, f := newTestDisk(t, 1)
	file := create(t, f, "a.log", "")
	rule, _ := ParseRule("write *.log +1 x1 short")
	h.Disk.Inject(rule)
	for i, want := range []int{4, 2, 4} {
		if n, _ := file.WriteAt([]byte("abcd"), int64(4*i)); n != want {
			t.Errorf("write %d put %d bytes, want %d", i, n, want)
		}
	}
	rule, _ = ParseRule("sync *.log crash-after")
	h.Disk.Inject(rule)
	must(t, f.SyncDir("."))
	if err := file.Sync(); !errors.Is(err, errDead) || !p.Dead() {
		t.Errorf("sync: %v", err)
	}
	p = crash(h, p, KeepNone, KeepNone, 0)
	if got := content(t, root(t, p), "a.log"); got != "abcdab\x00\x00abcd" {
		t.Errorf("%q", got)
	}
}

func TestLockEndsWithItsProcess(t *testing.T) {
	h, p, f := newTestDisk(t, 1)
	_, err := f.Lock(".lock")
	must(t, err)
	if _, err := root(t, p).Lock(".lock"); !errors.Is(err, env.ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	p.Kill()
	c, err := root(t, h.Boot()).Lock(".lock")
	must(t, err)
	must(t, c.Close())
}

func TestDurableSeesWhatNothingCanTake(t *testing.T) {
	h, _, f := newTestDisk(t, 1)
	file := create(t, f, "a", "one")
	if _, ok := h.Disk.Durable("data/a"); ok {
		t.Error("an un-synced name is called durable")
	}
	must(t, f.SyncDir("."))
	if b, ok := h.Disk.Durable("data/a"); !ok || len(b) != 0 {
		t.Errorf("un-synced bytes are called durable: %q", b)
	}
	must(t, file.Sync())
	if b, ok := h.Disk.Durable("data/a"); !ok || string(b) != "one" {
		t.Errorf("%q %v", b, ok)
	}
	must(t, f.Rename("a", "b"))
	if _, ok := h.Disk.Durable("data/a"); ok {
		t.Error("a renamed name is called durable")
	}
}

func TestRotIsSeenByTheNextRead(t *testing.T) {
	h, p, f := newTestDisk(t, 1)
	must(t, create(t, f, "a.log", "good").Sync())
	must(t, f.SyncDir("."))
	if _, _, ok := h.Disk.Rot(h.World.Stream("rot"), func(n string) bool { return path.Ext(n) == ".log" }); !ok {
		t.Fatal("nothing to rot")
	}
	if got := content(t, f, "a.log"); got == "good" || len(got) != 4 {
		t.Errorf("cache: %q", got)
	}
	p = crash(h, p, KeepNone, KeepNone, 0)
	if got := content(t, root(t, p), "a.log"); got == "good" {
		t.Errorf("medium: %q", got)
	}
}

// TestSyncedPrefixesSurvive plays random appends and syncs against every kind of crash: what was synced is there, what is there was
// written.
func TestSyncedPrefixesSurvive(t *testing.T) {
	for seed := range uint64(300) {
		h, p, f := newTestDisk(t, seed)
		h.Disk.Writeback = 0.2
		s := h.World.Stream("test")
		file := create(t, f, "a", "")
		must(t, f.SyncDir("."))
		var written []byte
		synced := 0
		for range 30 {
			b := make([]byte, s.Between(1, 3000))
			s.Read(b)
			_, err := file.WriteAt(b, int64(len(written)))
			must(t, err)
			written = append(written, b...)
			if s.Chance(0.3) {
				must(t, file.Sync())
				synced = len(written)
			}
		}
		p.PowerLoss(DrawCrash(s))
		got := content(t, root(t, h.Boot()), "a")
		if len(got) < synced || len(got) > len(written) || got[:synced] != string(written[:synced]) {
			t.Fatalf("seed %d: %d synced, %d survive", seed, synced, len(got))
		}
	}
}
