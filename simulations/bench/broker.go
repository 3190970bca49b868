package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// broker is a running subject: a process that speaks Kafka on Addr.
type broker struct {
	Name string // "troupe" or "kafka", with its variant
	Addr string
	cmd  *exec.Cmd
	dir  string
	log  string
}

// subject knows how to start a broker on an empty or existing directory.
type subject struct {
	name string
	// command builds the process for a data directory; settings are Kafka's property names.
	command func(dir string, settings map[string]string) (*exec.Cmd, error)
	addr    string
}

// startBroker starts s on dir (created if need be) and waits until its port accepts.
func startBroker(s subject, dir string, settings map[string]string) (*broker, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cmd, err := s.command(dir, settings)
	if err != nil {
		return nil, err
	}
	b := &broker{Name: s.name, Addr: s.addr, cmd: cmd, dir: dir, log: filepath.Join(dir, "..", filepath.Base(dir)+".log")}
	out, err := os.Create(b.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	if err := b.waitListening(90 * time.Second); err != nil {
		b.kill()
		return nil, err
	}
	return b, nil
}

func (b *broker) waitListening(limit time.Duration) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", b.Addr)
		if err == nil {
			c.Close()
			return nil
		}
		if b.cmd.ProcessState != nil {
			break
		}
	}
	tail, _ := os.ReadFile(b.log)
	if len(tail) > 2000 {
		tail = tail[len(tail)-2000:]
	}
	return fmt.Errorf("%s does not listen on %s after %v; its log ends:\n%s", b.Name, b.Addr, limit, tail)
}

// stop asks the process to end and waits for it, killing it after 30 s.
func (b *broker) stop() {
	b.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { b.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		b.cmd.Process.Kill()
		<-done
	}
}

// kill ends the process with SIGKILL.
func (b *broker) kill() {
	b.cmd.Process.Kill()
	b.cmd.Wait()
}

// cpu is the processor time the process has used so far.
func (b *broker) cpu() time.Duration { return processCPU(b.cmd.Process.Pid) }

func processCPU(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+2:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	return time.Duration(user+system) * tick
}

// rss is the resident memory in bytes.
func (b *broker) rss() int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// openFiles counts the process's file descriptors.
func (b *broker) openFiles() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
	return len(entries)
}
