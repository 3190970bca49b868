package osenv

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/troupe-broker/troupe/actors/env"
)

var (
	_ env.FS         = (*rooted)(nil)
	_ env.Descriptor = (*file)(nil)
)

func open(t *testing.T) (env.FS, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "down")
	f, err := New().OpenFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, dir
}

func write(t *testing.T, f env.FS, name, content string) {
	t.Helper()
	w, err := f.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt([]byte(content), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestNamesCannotLeaveTheRoot(t *testing.T) {
	f, dir := open(t)
	outside := filepath.Join(filepath.Dir(dir), "secret")
	if err := os.WriteFile(outside, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(dir), filepath.Join(dir, "up")); err != nil {
		t.Fatal(err)
	}
	write(t, f, "inside", "x")
	for _, name := range []string{"../secret", outside, "link", "up/secret", "a/../../secret", ""} {
		attempts := map[string]error{
			"Open":   second(f.Open(name, false)),
			"Stat":   second(f.Stat(name)),
			"Create": second(f.Create(name)),
			"Lock":   second(f.Lock(name)),
		}
		if name != "link" { // a link may be renamed and removed; what it points to may not
			attempts["Rename"] = f.Rename("inside", name)
			attempts["Remove"] = f.Remove(name)
			attempts["Mkdir"] = f.Mkdir(name)
		}
		for op, err := range attempts {
			if err == nil {
				t.Errorf("%s(%q) left the root", op, name)
			}
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("the file outside is gone: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestErrorsNameTheirCause(t *testing.T) {
	f, _ := open(t)
	write(t, f, "a", "1")
	if err := f.Mkdir("d"); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		what string
		err  error
		want error
	}{
		{"open what is not there", second(f.Open("none", false)), fs.ErrNotExist},
		{"create what is there", second(f.Create("a")), fs.ErrExist},
		{"make a directory that is there", f.Mkdir("d"), fs.ErrExist},
		{"remove what is not there", f.Remove("none"), fs.ErrNotExist},
		{"remove a tree that is not there", f.RemoveAll("none"), nil},
		{"list what is not there", second(f.ReadDir("none")), fs.ErrNotExist},
		{"sync a directory that is not there", f.SyncDir("none"), fs.ErrNotExist},
		{"sync a directory", f.SyncDir("d"), nil},
		{"sync the root", f.SyncDir("."), nil},
	}
	for _, c := range cases {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	r, err := f.Open("a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.WritevAt([][]byte{{1}}, 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("writing through a file opened for reading: %v, want EBADF", err)
	}
}

func TestReadDirIsSorted(t *testing.T) {
	f, _ := open(t)
	for _, name := range []string{"c", "a", "b"} {
		write(t, f, name, name+name)
	}
	if err := f.Mkdir("0"); err != nil {
		t.Fatal(err)
	}
	entries, err := f.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name+":"+strconv.FormatBool(e.IsDir))
		if !e.IsDir && e.Size != 2 {
			t.Errorf("%s has size %d", e.Name, e.Size)
		}
	}
	if want := []string{"0:true", "a:false", "b:false", "c:false"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWritevAtWritesMoreBuffersThanOneCallTakes(t *testing.T) {
	f, _ := open(t)
	w, err := f.Create("log")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var bufs [][]byte
	var want bytes.Buffer
	for i := range 3*iovecsMax + 7 {
		b := []byte(strconv.Itoa(i))
		if i%5 == 0 {
			b = nil
		}
		bufs = append(bufs, b)
		want.Write(b)
	}
	n, err := w.WritevAt(bufs, 10)
	if err != nil || n != int64(want.Len()) {
		t.Fatalf("wrote %d, %v; want %d", n, err, want.Len())
	}
	got := make([]byte, want.Len())
	if _, err := w.ReadAt(got, 10); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("read back something else (%v)", err)
	}
	if size, err := w.Size(); err != nil || size != int64(10+want.Len()) {
		t.Errorf("size %d, %v", size, err)
	}
	if err := w.Truncate(3); err != nil {
		t.Fatal(err)
	}
	if n, err := w.ReadAt(make([]byte, 4), 0); n != 3 || err != io.EOF {
		t.Errorf("after truncation: read %d, %v", n, err)
	}
}

func TestWritevGoesOnAfterShortWrites(t *testing.T) {
	errDisk := errors.New("disk")
	for _, c := range []struct {
		name    string
		grains  []int // bytes taken by each call; -1 is an error, 0 a write of nothing
		written int64
		err     error
	}{
		{"whole", []int{10}, 10, nil},
		{"one by one", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 10, nil},
		{"across buffers", []int{2, 5, 3}, 10, nil},
		{"error in the middle", []int{4, -1}, 4, errDisk},
		{"nothing", []int{4, 0}, 4, io.ErrShortWrite},
	} {
		file, calls := make([]byte, 10), 0
		n, err := writev(func(bufs [][]byte, off int64) (int, error) {
			grain := c.grains[calls]
			calls++
			if grain < 0 {
				return -1, errDisk
			}
			return copy(file[off:], slices.Concat(bufs...)[:grain]), nil
		}, [][]byte{[]byte("abc"), nil, []byte("defg"), []byte("hij")}, 0)
		if n != c.written || err != c.err || string(file[:n]) != "abcdefghij"[:n] {
			t.Errorf("%s: wrote %d %q, %v; want %d, %v", c.name, n, file[:n], err, c.written, c.err)
		}
	}
}

func TestLockIsExclusiveAndNamesItsHolder(t *testing.T) {
	f, dir := open(t)
	held, err := f.Lock(".lock")
	if err != nil {
		t.Fatal(err)
	}
	again, err := New().OpenFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	_, err = again.Lock(".lock")
	if !errors.Is(err, env.ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second lock: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	held, err = again.Lock(".lock")
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	held.Close()
}

func TestSpaceAndSyncAll(t *testing.T) {
	f, _ := open(t)
	available, total, err := f.Space()
	if err != nil || available <= 0 || available > total {
		t.Errorf("space %d of %d, %v", available, total, err)
	}
	if err := f.SyncAll(); (runtime.GOOS == "linux" && err != nil) || (err != nil && !errors.Is(err, env.ErrUnsupported)) {
		t.Error(err)
	}
}

func TestFilesHaveDescriptors(t *testing.T) {
	f, _ := open(t)
	write(t, f, "a", "hello")
	r, err := f.Open("a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 5)
	err = r.(env.Descriptor).WithFD(func(fd uintptr) {
		if _, err := syscall.Pread(int(fd), got, 0); err != nil {
			t.Error(err)
		}
	})
	if err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWritevAtAllocatesLittle(t *testing.T) {
	f, _ := open(t)
	w, err := f.Create("log")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a, b := make([]byte, 64), make([]byte, 64)
	bufs := make([][]byte, 2)
	if n := testing.AllocsPerRun(50, func() {
		bufs[0], bufs[1] = a, b
		if _, err := w.WritevAt(bufs, 0); err != nil {
			t.Fatal(err)
		}
	}); n > 6 {
		t.Errorf("%v allocations a call", n)
	}
}

func TestDurableWritesAreSeenByOthers(t *testing.T) {
	f, _ := open(t)
	if err := second(f.OpenDurable("journal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening what is not there: %v", err)
	}
	write(t, f, "journal", "")
	d, err := f.OpenDurable("journal")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r, err := f.Open("journal", false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var want []byte
	for i, w := range []struct{ off, size, skew int }{
		{0, 2 * env.BlockSize, 0}, {env.BlockSize, env.BlockSize, 1}, {100, 50, 0}, {3 * env.BlockSize, 64 << 10, 0}, {0, 0, 0},
		{2 * env.BlockSize, 8 * env.BlockSize, 512}, {env.BlockSize, 3, 0}, {0, env.BlockSize, 8},
	} {
		p := bytes.Repeat([]byte{byte('a' + i)}, w.size+w.skew)[w.skew:]
		if n, err := d.WriteAt(p, int64(w.off)); n != w.size || err != nil {
			t.Fatalf("write %d: wrote %d, %v", i, n, err)
		}
		want = append(want, make([]byte, max(0, w.off+w.size-len(want)))...)
		copy(want[w.off:], p)
		got := make([]byte, len(want))
		if n, err := r.ReadAt(got, 0); n != len(got) || err != nil || !bytes.Equal(got, want) {
			t.Fatalf("write %d: read back %d, %v, not what was written", i, n, err)
		}
		if size, err := r.Size(); size != int64(len(want)) || err != nil {
			t.Errorf("write %d: size %d, %v; want %d", i, size, err, len(want))
		}
	}
}
