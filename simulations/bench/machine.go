package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/troupe-broker/troupe/simulations/process"
)

// The machine's own limits: what two processes reach that do nothing but move the bytes. The receiving or serving side runs as a
// process of its own (bench sink, bench source), as a broker does.

const (
	limitAddr    = "127.0.0.1:21292"
	manyFiles    = 1000
	manyBatch    = 16 << 10
	segmentBytes = 64 << 20 // of the rolling files of the sink, as the brokers are configured
	keepSegments = 2
	stretch      = 8 << 20   // bytes of one answer of the source
	sendBuffer   = 100 << 10 // of the source's sockets, as Kafka's: a larger one is slower, its bytes leave the processor's cache
)

// startHelper re-executes this program as the sink or the source.
func startHelper(role, dir string) (*process.Broker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return process.Start(process.Subject{Name: role, Addr: limitAddr, Command: func(dir string, _ map[string]string) (*exec.Cmd, error) {
		return exec.Command(self, role, dir), nil
	}}, dir, nil)
}

// sink accepts connections and writes what arrives on each into rolling files, the oldest removed: the least a log can do.
func sink(dir string) error {
	ln, err := net.Listen("tcp", limitAddr)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := drainToFiles(c, filepath.Join(dir, strconv.Itoa(n))); err != nil && err != io.EOF {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

func drainToFiles(c net.Conn, prefix string) error {
	defer c.Close()
	out := &rollingFile{prefix: prefix}
	defer out.close()
	buf := make([]byte, 256<<10)
	for {
		k, err := c.Read(buf)
		if err != nil {
			return err
		}
		if err := out.write(buf[:k]); err != nil {
			return err
		}
	}
}

// rollingFile writes files of segmentBytes and keeps the newest keepSegments besides the one it writes.
type rollingFile struct {
	prefix string
	n      int // files begun
	size   int // of the one being written
	file   *os.File
}

func (r *rollingFile) write(p []byte) (err error) {
	if r.file == nil || r.size >= segmentBytes {
		r.close()
		if old := r.n - keepSegments - 1; old >= 0 {
			os.Remove(fmt.Sprintf("%s-%d", r.prefix, old))
		}
		if r.file, err = os.Create(fmt.Sprintf("%s-%d", r.prefix, r.n)); err != nil {
			return err
		}
		r.n, r.size = r.n+1, 0
	}
	r.size += len(p)
	_, err = r.file.Write(p)
	return err
}

func (r *rollingFile) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// manySink writes what arrives on each connection in turn to many files, a batch to each: the least that many partitions can do. As
// with them, every byte goes to a page that was not in the cache before.
func manySink(dir string) error {
	ln, err := net.Listen("tcp", limitAddr)
	if err != nil {
		return err
	}
	files := make([]*os.File, manyFiles)
	for i := range files {
		if files[i], err = os.Create(filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			batch := make([]byte, manyBatch)
			for i := n * manyFiles / 2; ; i++ {
				if _, err := io.ReadFull(c, batch); err != nil {
					return
				}
				if _, err := files[i%manyFiles].Write(batch); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
			}
		}()
	}
}

// source answers every byte it receives with a stretch of one file, by sendfile: the least a fetch can do.
func source(dir string) error {
	name := filepath.Join(dir, "served")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	const size = 1 << 30
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 31)
	}
	for at := 0; at < size; at += len(block) {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	ln, err := net.Listen("tcp", limitAddr)
	if err != nil {
		return err
	}
	for n := int64(0); ; n++ {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		c.(*net.TCPConn).SetWriteBuffer(sendBuffer)
		// Connections read different bytes, as those of a load do: side by side they would find them in the processor's cache.
		go serveStretches(c.(*net.TCPConn), int(f.Fd()), n*(size/4+stretch)%size, size)
	}
}

func serveStretches(c *net.TCPConn, fd int, start, size int64) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	ask := make([]byte, 1)
	for ; ; start = (start + stretch) % size {
		if _, err := c.Read(ask); err != nil {
			return
		}
		offset, failed := start, error(nil)
		err := raw.Write(func(sock uintptr) bool {
			for offset < start+stretch && failed == nil {
				_, failed = unix.Sendfile(int(sock), fd, &offset, int(start+stretch-offset))
				if failed == unix.EAGAIN {
					failed = nil
					return false
				}
			}
			return true
		})
		if err != nil || failed != nil {
			return
		}
	}
}

// limitProduce measures socket→file over conns connections into the sink of that role.
func limitProduce(role, work string, conns int, warm, span time.Duration) (throughput, error) {
	return limit(role, work, conns, warm, span, func(c net.Conn) func() (int, error) {
		block := make([]byte, 256<<10)
		return func() (int, error) { return c.Write(block) }
	})
}

// limitFetch measures file→socket over conns connections from the source.
func limitFetch(work string, conns int, warm, span time.Duration) (throughput, error) {
	return limit("source", work, conns, warm, span, func(c net.Conn) func() (int, error) {
		r := bufio.NewReaderSize(c, 256<<10)
		c.Write(make([]byte, 2)) // two answers in flight, as fetchLoad keeps
		return func() (int, error) {
			k, err := r.Discard(stretch)
			if err == nil {
				c.Write(make([]byte, 1))
			}
			return k, err
		}
	})
}

// limit measures what conns connections to a helper move: begin makes the step of one, which moves some bytes.
func limit(role, work string, conns int, warm, span time.Duration, begin func(net.Conn) (step func() (int, error))) (throughput, error) {
	dir := filepath.Join(work, role)
	defer os.RemoveAll(dir)
	b, err := startHelper(role, dir)
	if err != nil {
		return throughput{}, err
	}
	defer b.Kill()
	sums := make(chan int64, conns)
	start := time.Now()
	for range conns {
		c, err := net.Dial("tcp", b.Addr)
		if err != nil {
			return throughput{}, err
		}
		defer c.Close()
		go func() {
			step, n := begin(c), int64(0)
			for time.Since(start) < warm+span {
				k, err := step()
				if err != nil {
					break
				}
				if time.Since(start) >= warm {
					n += int64(k)
				}
			}
			sums <- n
		}()
	}
	time.Sleep(time.Until(start.Add(warm)))
	cpu := b.CPU()
	var bytes int64
	for range conns {
		bytes += <-sums
	}
	return moved(float64(bytes), span, b.CPU()-cpu), nil
}

// limitDisk measures what the disk takes: as many files as the load has partitions, each appending 256 KiB and waiting for fdatasync,
// over and over, rolling and removing as the sink does. No log that acknowledges from the disk can be faster on this machine.
func limitDisk(work string, files int, span time.Duration) (mbps float64, err error) {
	dir := filepath.Join(work, "disk")
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	type outcome struct {
		bytes int64
		err   error
	}
	done, end := make(chan outcome, files), time.Now().Add(span)
	for i := range files {
		go func() {
			n, err := appendAndSync(filepath.Join(dir, strconv.Itoa(i)), end)
			done <- outcome{n, err}
		}()
	}
	var bytes int64
	for range files {
		o := <-done
		if o.err != nil {
			return 0, o.err
		}
		bytes += o.bytes
	}
	return float64(bytes) / span.Seconds() / 1e6, nil
}

func appendAndSync(prefix string, end time.Time) (bytes int64, err error) {
	out := &rollingFile{prefix: prefix}
	defer out.close()
	block := make([]byte, 256<<10)
	for ; time.Now().Before(end); bytes += int64(len(block)) {
		if err := out.write(block); err != nil {
			return bytes, err
		}
		if err := unix.Fdatasync(int(out.file.Fd())); err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// syncLatency is the p50 and p99 in milliseconds of a 4 KiB append followed by fdatasync.
func syncLatency(work string, n int) (p50, p99 float64, err error) {
	f, err := os.CreateTemp(work, "sync")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []float64
	block := make([]byte, 4096)
	for range n {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, 0, err
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	return quantile(took, 0.5), quantile(took, 0.99), nil
}
