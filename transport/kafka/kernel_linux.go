package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// sendFileMax is the most that one sendfile is asked for: the deadline is renewed after each.
const sendFileMax = 1 << 20 // bytes

// kernelConn does to a TCP socket what net.Conn has no words for: wait for bytes without holding a buffer for them, say that more
// follows, and send from a file at an offset. The zero value is unusable, for connections that are no TCP sockets.
type kernelConn struct {
	raw syscall.RawConn

	cutter *wire.Cutter // of the read under way
	n      int
	err    error
	tryFn  func(fd uintptr) bool
}

func (k *kernelConn) init(nc net.Conn) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		k.raw, k.tryFn = raw, k.try
	}
}

func (k *kernelConn) usable() bool { return k.raw != nil }

// read waits until the socket has bytes and reads them into the cutter's space. io.EOF at the end of the stream.
func (k *kernelConn) read(c *wire.Cutter) (int, error) {
	k.cutter = c
	if err := k.raw.Read(k.tryFn); err != nil {
		return 0, err
	}
	if k.n == 0 && k.err == nil {
		return 0, io.EOF
	}
	return k.n, k.err
}

// try reads without blocking; false means that there is nothing yet.
func (k *kernelConn) try(fd uintptr) bool {
	for {
		k.n, k.err = unix.Read(int(fd), k.cutter.Space())
		switch {
		case k.err == nil:
			return true
		case errors.Is(k.err, unix.EINTR):
		case errors.Is(k.err, unix.EAGAIN):
			k.cutter.Rest()
			return false
		default:
			k.n = 0
			return true
		}
	}
}

// writeMore writes b and tells the kernel that more follows at once.
func (k *kernelConn) writeMore(b []byte) error {
	var failed error
	err := k.raw.Write(func(fd uintptr) bool {
		for len(b) > 0 {
			n, err := unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if errors.Is(err, unix.EAGAIN) {
				return false
			}
			if failed = err; err != nil {
				return true
			}
			b = b[n:]
		}
		return true
	})
	return errors.Join(err, failed)
}

// sendFile sends the range by sendfile, at its own offset: the file's position is shared and stays untouched. sent is false if it
// cannot be done this way, and then nothing was sent.
func (k *kernelConn) sendFile(c *conn, r wire.Range) (sent bool, err error) {
	file, ok := r.File.(env.Descriptor)
	if !ok || k.raw == nil {
		return false, nil
	}
	for r.Len > 0 {
		if err := c.sendDeadline(); err != nil {
			return true, err
		}
		n, err := k.sendSome(file, r.Pos, min(r.Len, sendFileMax))
		if err != nil {
			return true, err
		}
		if n == 0 {
			return true, fmt.Errorf("a segment ended %d bytes early: %w", r.Len, io.ErrUnexpectedEOF)
		}
		r.Pos, r.Len = r.Pos+int64(n), r.Len-n
		c.listener.server.Metrics.BytesSent.Add(int64(n))
	}
	return true, nil
}

func (k *kernelConn) sendSome(file env.Descriptor, pos int64, size int) (n int, err error) {
	var waiting, sending error
	err = file.WithFD(func(in uintptr) {
		waiting = k.raw.Write(func(out uintptr) bool {
			for {
				offset := pos
				n, sending = unix.Sendfile(int(out), int(in), &offset, size)
				if !errors.Is(sending, unix.EINTR) {
					return !errors.Is(sending, unix.EAGAIN)
				}
			}
		})
	})
	if waiting != nil { // the deadline passed or the socket was closed; sending may be a stale EAGAIN
		sending = nil
	}
	return max(n, 0), errors.Join(err, waiting, sending)
}

// hungUp reports whether the peer has closed its side, whatever it sent before. False if that cannot be known.
func (k *kernelConn) hungUp() (gone bool) {
	if k.raw == nil {
		return false
	}
	err := k.raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0
	})
	return gone || errors.Is(err, net.ErrClosed)
}
