// Package process runs brokers as processes of their own, for benchmarks, chaos and real clients: start, measure, stop, kill -9.
// Subjects are troupe and Apache Kafka. It ends only processes it started. Addresses are loopback, ports below the kernel's range for
// outgoing connections.
package process

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Broker is a running process that accepts connections on Addr.
type Broker struct {
	Name string
	Addr string
	Log  string // the file that holds what the process printed, beside its data directory
	cmd  *exec.Cmd
}

// Subject knows how to start a broker on an empty or existing directory.
type Subject struct {
	Name string
	Addr string
	// Command builds the process for a data directory; settings are Kafka's property names.
	Command func(dir string, settings map[string]string) (*exec.Cmd, error)
}

// Troupe is the given binary, with its Kafka listener on addr and its HTTP listener on http.
func Troupe(binary, addr, http string) Subject {
	return Subject{Name: "troupe", Addr: addr, Command: func(dir string, settings map[string]string) (*exec.Cmd, error) {
		args := []string{"start", "--set", "listeners=PLAINTEXT://" + addr, "--set", "log.dirs=" + dir, "--set", "http.listener=" + http}
		for _, kv := range Properties(settings) {
			args = append(args, "--set", kv)
		}
		return exec.Command(binary, args...), nil
	}}
}

// Build compiles cmd/troupe into dir and returns the binary.
func Build(dir string) (string, error) {
	binary := filepath.Join(dir, "troupe")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/troupe-broker/troupe/cmd/troupe").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building troupe: %w\n%s", err, out)
	}
	return binary, nil
}

// Properties are the settings as sorted key=value lines.
func Properties(settings map[string]string) []string {
	var out []string
	for k, v := range settings {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

// Start runs s on dir (created if need be) and waits until its port accepts. What the process prints is appended to a log file.
func Start(s Subject, dir string, settings map[string]string) (*Broker, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cmd, err := s.Command(dir, settings)
	if err != nil {
		return nil, err
	}
	b := &Broker{Name: s.Name, Addr: s.Addr, cmd: cmd, Log: filepath.Join(dir, "..", filepath.Base(dir)+".log")}
	out, err := os.OpenFile(b.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	if err := b.waitListening(90 * time.Second); err != nil {
		b.Kill()
		return nil, err
	}
	return b, nil
}

func (b *Broker) waitListening(limit time.Duration) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", b.Addr)
		if err == nil {
			c.Close()
			return nil
		}
		if b.exited() {
			break
		}
	}
	return fmt.Errorf("%s does not listen on %s; its log ends:\n%s", b.Name, b.Addr, b.Tail())
}

// exited reports whether the process is gone but not yet waited for.
func (b *Broker) exited() bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	return err == nil && bytes.Contains(raw, []byte(") Z "))
}

// Tail is the end of what the process printed.
func (b *Broker) Tail() string {
	tail, _ := os.ReadFile(b.Log)
	if len(tail) > 2000 {
		tail = tail[len(tail)-2000:]
	}
	return string(tail)
}

// Stop asks the process to end and waits for it, killing it after 30 s.
func (b *Broker) Stop() {
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

// Kill ends the process with SIGKILL.
func (b *Broker) Kill() {
	b.cmd.Process.Kill()
	b.cmd.Wait()
}

// CPU is the processor time the process has used so far.
func (b *Broker) CPU() time.Duration { return processCPU(b.cmd.Process.Pid) }

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

// RSS is the resident memory in bytes.
func (b *Broker) RSS() int64 {
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

// OpenFiles counts the process's file descriptors.
func (b *Broker) OpenFiles() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
	return len(entries)
}
