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
	accepted time.Time
	session  *Session
	cutter   *wire.Cutter
	account  *wire.Memory // of its address
	memory   *wire.Memory // of the cutter's buffers: the account, or the lobby's; the receiver's
	unknown  bool         // in the lobby; the receiver's
	kernel   kernelConn   // of a plain TCP socket

	frame frameClock   // the receiver's
	held  atomic.Int64 // bytes of the receive buffer, in the lobby
	asked atomic.Int64 // whole requests, in the lobby

	wakes    chan struct{} // of the sender; holds one
	room     chan struct{} // the sender made room; holds one
	stop     chan struct{} // closed by end
	once     sync.Once
	draining atomic.Bool
	sending  atomic.Bool  // replies were taken from the session and may not be written yet
	lastSent atomic.Int64 // UnixNano
	progress atomic.Int64 // UnixNano: when the client took some of what is sent to it
}

func newConn(l *Listener, nc net.Conn) *conn {
	c := &conn{
		listener: l, nc: nc, accepted: time.Now(), unknown: true,
		wakes: make(chan struct{}, 1), room: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	c.kernel.init(nc)
	peer := api.Peer{Listener: l.config.Name, Local: addrPort(nc.LocalAddr()), Remote: addrPort(nc.RemoteAddr()), Authentication: l.config.Authentication}
	c.peer = peer.Remote.Addr().Unmap()
	c.session = NewSession(l.server, peer, func() { poke(c.wakes) })
	c.session.gate = &replyGate{all: l.config.Replies, conn: c}
	c.session.Meter(newMeter(c))
	c.session.pipeline.backlog = l.config.Backlog
	c.account = l.join(c.peer)
	c.memory, c.cutter = c.account, wire.NewCutter(c.account, l.config.RequestMaxBytes)
	if c.guarded() {
		c.memory = l.lobby.memory
		c.cutter.Bound(c.memory, l.config.TokenMaxBytes, true)
	}
	return c
}

// guarded reports whether the client still has to say who it is.
func (c *conn) guarded() bool { return c.unknown && c.listener.config.Authentication != nil }

// greet lets the client out of the lobby, if it is known now.
func (c *conn) greet() {
	if c.session.Guarded() {
		return
	}
	c.unknown = false
	c.listener.lobby.leave(c)
	c.memory = c.account
	c.cutter.Bound(c.memory, c.listener.config.RequestMaxBytes, false)
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
	})
}

// explain logs an end that is not the client's own wish.
func (c *conn) explain(why error) {
	log, limit := c.listener.log, &c.listener.limit
	remote := c.nc.RemoteAddr().String()
	var size *wire.FrameSizeError
	switch {
	case errors.Is(why, io.EOF), errors.Is(why, net.ErrClosed), errors.Is(why, errStopping), errors.Is(why, ErrClosed),
		errors.Is(why, syscall.ECONNRESET), errors.Is(why, syscall.EPIPE), errors.Is(why, errIdle), errors.Is(why, errHungUp),
		errors.Is(why, wire.ErrStopped):
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
	for {
		if err := c.admit(); err != nil {
			return err
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

// admit waits until there is memory for what comes next. In the lobby nobody waits: others go.
func (c *conn) admit() error {
	if c.guarded() {
		c.held.Store(int64(c.cutter.Held()))
		c.listener.lobby.makeRoom()
		return nil
	}
	began := time.Now()
	passed, err := c.memory.Admit(c.cutter, c.listener.config.FrameTime, c.stop)
	if err != nil {
		return err
	}
	c.frame.waited(began)
	if passed {
		c.frame.hurry()
	}
	return nil
}

// handle hands over every frame that is whole.
func (c *conn) handle() error {
	for {
		if err := c.await(); err != nil {
			return err
		}
		f, ok, err := c.cutter.Next()
		if !ok {
			c.frame.look(c.cutter)
			return err
		}
		c.frame.end()
		if err := c.session.Handle(f); err != nil {
			return err
		}
		if c.unknown {
			c.asked.Add(1)
			c.greet()
		}
	}
}

// await waits until the session takes another frame.
func (c *conn) await() error {
	if c.session.Ready() {
		return nil
	}
	began := time.Now()
	for !c.session.Ready() {
		select {
		case <-c.room:
		case <-c.stop:
			return errStopping
		}
	}
	c.frame.waited(began)
	return nil
}

// read reads what there is, or waits for it: for a new request as long as a connection may be idle, for the rest of one until its time
// is over, and for what shows who the client is until loginTime.
func (c *conn) read() (int, error) {
	for {
		until, why := time.Now().Add(c.listener.config.IdleMax), errIdle
		if c.cutter.Partial() {
			until, why = c.frame.deadline(c.listener.config.FrameTime, c.cutter.Declared()), errSlow
		}
		if c.guarded() {
			if login := c.accepted.Add(c.listener.config.LoginTime); login.Before(until) {
				until, why = login, errNoLogin
			}
		}
		if err := c.nc.SetReadDeadline(until); err != nil {
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
		case why != errIdle:
			return 0, why
		case time.Since(time.Unix(0, c.lastSent.Load())) >= c.listener.config.IdleMax: // a connection that only waits for answers is not idle
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

// progressed notes that the client takes what is sent to it.
func (c *conn) progressed() { c.progress.Store(time.Now().UnixNano()) }

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
	defer c.progressed()
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
		c.progressed()
		r.Pos, r.Len = r.Pos+int64(len(part)), r.Len-len(part)
	}
	return nil
}
