package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// opened opens directories, closes them again at the end of the test, and returns the cluster id.
func opened(t *testing.T, node protocol.NodeID, paths ...string) (string, error) {
	t.Helper()
	dirs, id, err := openDirectories(osenv.New(), paths, node)
	if err != nil {
		return "", err
	}
	return id.cluster, closeDirectories(dirs)
}

func TestEmptyDirectoriesGetAnIdentityAndKeepIt(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "not/yet/there"), t.TempDir()
	first, err := opened(t, 1, a)
	if err != nil || len(first) != 22 {
		t.Fatal(first, err)
	}
	again, err := opened(t, 1, a, b)
	if err != nil || again != first {
		t.Errorf("got %q, %v, want %q", again, err, first)
	}
	joined, err := os.ReadFile(filepath.Join(b, "meta.properties"))
	if err != nil || !strings.Contains(string(joined), "cluster.id="+first+"\n") {
		t.Errorf("%q, %v", joined, err)
	}
}

func TestDirectoriesOfOthersAreRefused(t *testing.T) {
	a, b, copied := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if _, err := opened(t, 1, dir); err != nil {
			t.Fatal(err)
		}
	}
	meta, err := os.ReadFile(filepath.Join(a, "meta.properties"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, "meta.properties"), meta, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why  string
		node protocol.NodeID
		dirs []string
	}{
		{"node.id is 1 there and 2", 2, []string{a}},
		{"cluster.id is", 1, []string{a, b}},
		{"it is a copy of", 1, []string{a, copied}},
	} {
		if _, err := opened(t, c.node, c.dirs...); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("want %q, got %v", c.why, err)
		}
	}
	if _, err := opened(t, 1, a); err != nil {
		t.Errorf("a refusal changed something: %v", err)
	}
}

func TestADirectoryIsUsedByOneProcess(t *testing.T) {
	dir := t.TempDir()
	dirs, _, err := openDirectories(osenv.New(), []string{dir}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, 1, dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if err := closeDirectories(dirs); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, 1, dir); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

func TestADamagedIdentityIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "meta.properties"), []byte("version=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, 1, dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}
