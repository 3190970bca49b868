package compat

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startupAddr = "127.0.0.1:21696"
	startupHTTP = "127.0.0.1:21697"
)

// TestStartRefusesWithReasons: what keeps the built binary from starting ends it at once, with exit code 1 and, on standard error,
// what happened, why, and what to do next. cmd/troupe has the cases that need no process of their own.
func TestStartRefusesWithReasons(t *testing.T) {
	taken, err := net.Listen("tcp", startupAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	locked := filepath.Join(t.TempDir(), "locked")
	file := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.Mkdir(locked, 0), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir, addr, http string
		want                  []string
	}{
		{"port in use", t.TempDir(), startupAddr, startupHTTP, []string{startupAddr, "in use", "try:"}},
		{"HTTP port in use", t.TempDir(), "127.0.0.1:21698", startupAddr, []string{startupAddr, "in use", "try:"}},
		{"an unreadable directory", locked, "127.0.0.1:21698", startupHTTP, []string{locked, "permission denied", "try:"}},
		{"a file for a directory", file, "127.0.0.1:21698", startupHTTP, []string{file, "not a directory", "try: make"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, "start", "--set", "listeners=PLAINTEXT://"+c.addr, "--set", "log.dirs="+c.dir, "--set", "http.listener="+c.http)
			if c.dir == locked && os.Geteuid() == 0 { // permissions do not bind root: become a user without privileges who owns the same files
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
					UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: 0, Size: 1}}}
			}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			if errors.Is(err, syscall.EPERM) {
				t.Skip("NOT CHECKED ON THIS MACHINE: an unreadable data directory, because root may not become another user here: ", err)
			}
			if got := cmd.ProcessState.ExitCode(); got != 1 {
				t.Errorf("exit code %d (%v), want 1", got, err)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("no %q in\n%s", want, &stderr)
				}
			}
			t.Logf("%s", &stderr)
		})
	}
}
