package kafka

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

const (
	// outKeep is the largest send buffer that a connection keeps, in bytes.
	outKeep = 256 << 10
	// rangeBuffer is the size of the pieces in which files are sent where sendfile cannot be used, in bytes.
	rangeBuffer = 128 << 10
)

var (
	errStopping = errors.New("the broker stops")
	errIdle     = errors.New("nothing came for connections.max.idle.ms")
	errSlow     = errors.New("a request did not arrive in time")
)

// conn is one socket with its session. The receiver and the sender are one goroutine each.
type conn struct {
	listener *Listener
	nc       net.Conn
	peer     netip.Addr
	session  *Session
	cutter   *wire.Cutter
	guarded  bool       // the client still has to say who it is; the receiver's
	kernel   kernelConn // of a plain TCP socket

	wakes    chan struct{} // of the sender; holds one
	room     chan struct{} // the sender made room; holds one
	stop     chan struct{} // closed by end
	once     sync.Once
	draining atomic.Bool
	sending  atomic.Bool  // replies were taken from the session and may not be written yet
	lastSent atomic.Int64 // UnixNano
}

func newConn(l *Listener, nc net.Conn) *conn {
	c := &conn{
		listener: l, nc: nc, cutter: wire.NewCutter(l.config.Memory, l.config.RequestMaxBytes),
		wakes: make(chan struct{}, 1), room: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	c.kernel.init(nc)
	peer := api.Peer{Listener: l.config.Name, Local: addrPort(nc.LocalAddr()), Remote: addrPort(nc.RemoteAddr()), Authentication: l.config.Authentication}
	if c.guarded = peer.Authentication != nil; c.guarded {
		c.cutter.SetMax(l.config.TokenMaxBytes)
	}
	c.peer = peer.Remote.Addr().Unmap()
	c.session = NewSession(l.server, peer, func() { poke(c.wakes) })
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// poke wakes whoever waits for ch, now or when it comes to wait.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (c *conn) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// end closes the connection, once, and says why.
func (c *conn) end(why error) {
	c.once.Do(func() {
		close(c.stop)
		c.session.Close()
		c.explain(why)
		c.listener.gone(c)
		_ = c.nc.Close()
		c.listener.config.Memory.Wake()
	})
}

// explain logs an end that is not the client's own wish.
func (c *conn) explain(why error) {
	log, limit := c.listener.log, &c.listener.limit
	remote := c.nc.RemoteAddr().String()
	var size *wire.FrameSizeError
	switch {
	case errors.Is(why, io.EOF), errors.Is(why, net.ErrClosed), errors.Is(why, errStopping), errors.Is(why, ErrClosed),
		errors.Is(why, syscall.ECONNRESET), errors.Is(why, syscall.EPIPE), errors.Is(why, errIdle):
		log.Debug("connection ended", "remote", remote, "reason", why)
		return
	case errors.As(why, &size) && size.First && foreign(size.Prefix[:]) != "":
		what := foreign(size.Prefix[:])
		limit.do(what, func(more int) {
			log.Warn("closed a connection that began with "+what, "remote", remote, "unlogged", more)
		})
	default:
		limit.do(c.peer.String()+" "+kindOf(why), func(more int) {
			log.Warn("closed a connection", "reason", why, "client", c.session.Client(), "remote", remote, "unlogged", more)
		})
	}
	c.listener.server.Metrics.ConnectionsBroken.Add(1)
}

// kindOf names the kind of an error without anything that the peer chose: were its client id, versions, sizes or port part of the key of
// a log limit, it could fill the log by sending others every time.
func kindOf(why error) string {
	var refused *RefusedError
	var size *wire.FrameSizeError
	switch {
	case errors.As(why, &refused):
		return "refused " + kmsg.NameForKey(refused.Key)
	case errors.As(why, &size):
		return "frame size"
	}
	for inner := errors.Unwrap(why); inner != nil; inner = errors.Unwrap(why) {
		why = inner
	}
	return why.Error()
}

// recovered ends the connection after a panic on one of its goroutines.
func (c *conn) recovered() {
	if p := recover(); p != nil {
		c.listener.server.Metrics.Panics.Add(1)
		c.listener.log.Error("panic on a connection; this is a bug", "panic", p, "stack", string(debug.Stack()))
		c.end(fmt.Errorf("panic: %v", p))
	}
}

// receive runs the receiver.
func (c *conn) receive() {
	defer c.cutter.Close()
	defer c.recovered()
	err := c.receiveAll()
	if c.draining.Load() && !c.stopped() {
		c.finish()
		err = errStopping
	}
	c.end(err)
}

func (c *conn) receiveAll() error {
	memory := c.listener.config.Memory
	for {
		if !memory.Admit(c.cutter, c.stopped) {
			return errStopping
		}
		n, err := c.read()
		if err != nil {
			return err
		}
		c.cutter.Filled(n)
		c.listener.server.Metrics.BytesIn.Add(int64(n))
		if err := c.handle(); err != nil {
			return err
		}
	}
}

// handle hands over every frame that is whole.
func (c *conn) handle() error {
	for {
		for !c.session.Ready() {
			select {
			case <-c.room:
			case <-c.stop:
				return errStopping
			}
		}
		f, ok, err := c.cutter.Next()
		if !ok {
			return err
		}
		if err := c.session.Handle(f); err != nil {
			return err
		}
		if c.guarded && !c.session.Guarded() {
			c.guarded = false
			c.cutter.SetMax(c.listener.config.RequestMaxBytes)
		}
	}
}

// read reads what there is, or waits for it: for a new request as long as a connection may be idle, for the rest of one as long as its
// size allows.
func (c *conn) read() (int, error) {
	for {
		limit := c.listener.config.IdleMax
		if c.cutter.Partial() {
			limit = c.listener.config.FrameTime + time.Duration(c.cutter.Declared())*time.Second/frameRate
		}
		if err := c.nc.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return 0, err
		}
		if c.draining.Load() {
			return 0, errStopping
		}
		n, err := c.readSome()
		if n > 0 {
			return n, nil
		}
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case c.draining.Load():
			return 0, errStopping
		case c.cutter.Partial():
			return 0, errSlow
		case time.Since(time.Unix(0, c.lastSent.Load())) >= limit: // a connection that only waits for answers is not idle
			return 0, errIdle
		}
	}
}

// readSome is one read. A silent connection holds no buffer meanwhile, where the kernel lets us wait without one.
func (c *conn) readSome() (int, error) {
	if c.kernel.usable() {
		return c.kernel.read(c.cutter)
	}
	return c.nc.Read(c.cutter.Space())
}

// drain stops receiving; what was received is still answered.
func (c *conn) drain() {
	c.draining.Store(true)
	_ = c.nc.SetReadDeadline(time.Now())
}

// finish waits until every request is answered and every reply written. It asks in this order: a reply leaves the session after
// sending was set.
func (c *conn) finish() {
	for !c.session.Idle() || c.sending.Load() {
		select {
		case <-c.room:
		case <-c.stop:
			return
		}
	}
}

// send runs the sender.
func (c *conn) send() {
	defer c.recovered()
	var o wire.Out
	defer o.Reset(0)
	for {
		select {
		case <-c.wakes:
		case <-c.stop:
			return
		}
		if err := c.sendReady(&o); err != nil {
			c.end(err)
			return
		}
	}
}

// sendReady sends all replies that are ready.
func (c *conn) sendReady(o *wire.Out) error {
	for {
		c.sending.Store(true)
		err := c.session.Drain(o)
		more := o.Len() > 0
		if more {
			if werr := c.write(o); werr != nil {
				return werr
			}
			o.Reset(outKeep)
		}
		c.sending.Store(false)
		poke(c.room)
		if err != nil || !more {
			return err
		}
	}
}

// write sends everything in o.
func (c *conn) write(o *wire.Out) error {
	m := &c.listener.server.Metrics
	m.BytesOut.Add(int64(o.Len()))
	c.lastSent.Store(time.Now().UnixNano())
	if o.Err != nil {
		return o.Err
	}
	at := 0
	for _, s := range o.Splices {
		if err := c.writeBytes(o.Buf[at:s.At], true); err != nil {
			return err
		}
		at = s.At
		if err := c.writeRange(s.Range); err != nil {
			return err
		}
	}
	return c.writeBytes(o.Buf[at:], false)
}

func (c *conn) sendDeadline() error {
	return c.nc.SetWriteDeadline(time.Now().Add(c.listener.config.SendTime))
}

// writeBytes writes b; more says that something follows at once, so that the kernel may wait for it.
func (c *conn) writeBytes(b []byte, more bool) error {
	if len(b) == 0 {
		return nil
	}
	if err := c.sendDeadline(); err != nil {
		return err
	}
	if more && c.kernel.usable() {
		return c.kernel.writeMore(b)
	}
	_, err := c.nc.Write(b)
	return err
}

// writeRange sends a run of bytes of a file: by sendfile where the kernel can, else through a buffer.
func (c *conn) writeRange(r wire.Range) error {
	if sent, err := c.kernel.sendFile(c, r); sent || err != nil {
		return err
	}
	buf := make([]byte, min(r.Len, rangeBuffer))
	for r.Len > 0 {
		part := buf[:min(r.Len, len(buf))]
		if n, err := r.File.ReadAt(part, r.Pos); n < len(part) {
			return fmt.Errorf("reading %d bytes at %d of a segment: %w", len(part), r.Pos, err)
		}
		if err := c.sendDeadline(); err != nil {
			return err
		}
		if _, err := c.nc.Write(part); err != nil {
			return err
		}
		r.Pos, r.Len = r.Pos+int64(len(part)), r.Len-len(part)
	}
	return nil
}
