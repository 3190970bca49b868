//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asTroupe makes the test binary run as troupe: signals and terminals are those of a process.
const asTroupe = "RUN_AS_TROUPE"

func TestMain(m *testing.M) {
	if os.Getenv(asTroupe) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a troupe of its own whose standard error, on a terminal or a pipe, is far.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	near *os.File // of standard error
	dir  string
	http string
	said *screen
	done chan error
}

// startProcess runs a command with its data in a directory and its ports at port and port+1. Before is what a shell does first.
func startProcess(t *testing.T, before string, tty bool, port int, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: t.TempDir(), http: fmt.Sprintf("http://127.0.0.1:%d", port+1), said: newScreen(), done: make(chan error, 1)}
	data := []string{"--data", p.dir, "--port", fmt.Sprint(port), "--http-port", fmt.Sprint(port + 1)}
	if args[0] == "start" {
		data = []string{"--set", "log.dirs=" + p.dir, "--set", fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", port), "--set", fmt.Sprintf("http.listener=127.0.0.1:%d", port+1)}
	}
	p.cmd = exec.Command("/bin/sh", append([]string{"-c", before + ` exec "$0" "$@"`, self}, append(args, data...)...)...)
	p.cmd.Env = append(os.Environ(), asTroupe+"=1")
	far, near := pipe(t, tty)
	p.near, p.cmd.Stderr = near, far
	if tty {
		p.cmd.Stdin, p.cmd.Stdout = far, far
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	far.Close()
	go func() { _, _ = io.Copy(p.said, near) }()
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// pipe is a terminal, or a pipe: what is written to far is read from near.
func pipe(t *testing.T, tty bool) (far, near *os.File) {
	t.Helper()
	if !tty {
		near, far, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return far, near
	}
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	near = os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return far, near
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// endsCleanly waits for the end: exit code 0, and the marker of a clean shutdown in the directory.
func (p *process) endsCleanly() {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Errorf("ended with %v\n%s", err, p.said)
		}
	case <-time.After(20 * time.Second):
		p.t.Fatalf("does not end\n%s", p.said)
	}
	if _, err := os.Stat(filepath.Join(p.dir, ".kafka_cleanshutdown")); err != nil {
		p.t.Errorf("not clean: %v\n%s", err, p.said)
	}
}

// setLevel makes the broker do something and write a line about it.
func (p *process) setLevel(query string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "PUT", p.http+"/debug/log-level?"+query, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.said)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 {
		p.t.Fatalf("%s %s", resp.Status, body)
	}
	return string(body)
}

func TestDevStopsCleanlyWhenItsTerminalCloses(t *testing.T) {
	p := startProcess(t, "", true, 23510, "dev")
	p.said.waitFor(t, "Stop:")
	p.near.Close()
	p.endsCleanly()
}

func TestDevStopsCleanlyAtHangupsThatDoNotEnd(t *testing.T) {
	p := startProcess(t, "", false, 23512, "dev")
	p.said.waitFor(t, "Stop:")
	for range 20 {
		_ = p.cmd.Process.Signal(syscall.SIGHUP) // it may have ended
	}
	p.endsCleanly()
}

func TestDevUnderNohupGoesOn(t *testing.T) {
	p := startProcess(t, "trap '' HUP;", false, 23514, "dev", "-v")
	p.said.waitFor(t, "Stop:")
	p.signal(syscall.SIGHUP)
	p.setLevel("level=info") // answered: it lives
	p.signal(syscall.SIGTERM)
	p.endsCleanly()
}

// TestStartOutlivesWhatReadsItsLog closes the terminal, or the pipe, under a broker: it goes on, without a busy loop, and ends cleanly.
func TestStartOutlivesWhatReadsItsLog(t *testing.T) {
	for i, before := range []string{"", "trap '' HUP;"} {
		for j, tty := range []bool{true, false} {
			p := startProcess(t, before, tty, 23516+4*i+2*j, "start")
			p.said.waitFor(t, "ready")
			p.near.Close()
			if !tty {
				p.signal(syscall.SIGHUP)
			}
			for range 50 { // each writes a line that nobody reads
				p.setLevel("level=debug")
			}
			p.signal(syscall.SIGTERM)
			p.endsCleanly()
			if used := p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(); used > 10*time.Second {
				t.Errorf("it used the processor for %v", used)
			}
		}
	}
}

func TestHangupReadsTheSettingsAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("logging.level=warn\nnum.partitions=2\n")
	p := startProcess(t, "", false, 23526, "start", "--config", file)
	waitReady(t, p.http)
	write("logging.level=debug\nnum.partitions=3\n")
	p.signal(syscall.SIGHUP)
	p.said.waitFor(t, `"inForce":["logging.level=debug"],"needRestart":["num.partitions"]`)
	if got := p.setLevel("logger=group&level=error"); !strings.Contains(got, "root=DEBUG\n") || !strings.Contains(got, "group=ERROR\n") {
		t.Errorf("levels:\n%s", got)
	}
	write("logging.level=loud\n")
	p.signal(syscall.SIGHUP)
	p.said.waitFor(t, "nothing was changed")
	p.signal(syscall.SIGTERM)
	p.endsCleanly()
	if lines := bytes.Count([]byte(p.said.String()), []byte("SIGHUP")); lines != 2 {
		t.Errorf("%d lines of 2 signals\n%s", lines, p.said)
	}
}

// waitReady returns when the broker is ready, or fails the test.
func waitReady(t *testing.T, url string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if resp, err := http.Get(url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return
			}
		}
	}
	t.Fatal("not ready in time")
}
