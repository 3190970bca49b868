package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// ListenerConfig describes one listener. Zero values mean Kafka's defaults.
type ListenerConfig struct {
	Name            string              // as in listeners, such as PLAINTEXT
	Address         string              // host:port; port 0 picks a free one
	TLS             *tls.Config         // nil: plaintext
	Authentication  *api.Authentication // nil: nobody has to say who he is
	TokenMaxBytes   int32               // sasl.server.max.receive.size: of a request before that
	RequestMaxBytes int32               // socket.request.max.bytes
	IdleMax         time.Duration       // connections.max.idle.ms; negative: for ever
	Admission       *Admission          // of the node's connections; nil: one without limits but the default
	SendBuffer      int                 // socket.send.buffer.bytes; 0 or less leaves it to the system
	ReceiveBuffer   int                 // socket.receive.buffer.bytes; 0 or less leaves it to the system
	Memory          *wire.Memory        // of receive buffers of the node; nil: one of memoryDefault bytes
	Lobby           *wire.Memory        // of receive buffers of the node's clients that must still say who they are; nil: one of lobbyMemory bytes

	Replies   *Replies   // the node's large answers; nil: one of its own
	Unpacking *Unpacking // of the node; nil: one of its own
	Backlog   *Backlog   // of the node; nil: one of its own

	FrameTime time.Duration // what the rest of a request may take to arrive, beside its size at frameRate; zero: frameTimeDefault
	LoginTime time.Duration // what a client may take to say who it is; zero: loginTime
	SendTime  time.Duration // how long a client may take nothing of what is sent to it; zero: sendTimeDefault
}

const (
	requestMaxBytesDefault = 100 << 20
	idleMaxDefault         = 10 * time.Minute
	forever                = 10 * 365 * 24 * time.Hour
	tokenMaxBytesDefault   = 512 << 10
	memoryDefault          = 1 << 30 // bytes
	frameTimeDefault       = 30 * time.Second
	frameRate              = 64 << 10 // bytes/s: the slowest peer worth waiting for
	sendTimeDefault        = 30 * time.Second
	acceptPauseMax         = time.Second
	acceptPause            = 20 * time.Millisecond // after a failure to accept, such as having no file descriptors left
)

// Listener accepts connections of Kafka clients.
type Listener struct {
	server *api.Server
	config ListenerConfig
	ln     net.Listener
	log    *slog.Logger
	limit  logLimit

	lobby  *lobby
	memory *wire.Memory // of this listener

	mu       sync.Mutex
	conns    map[*conn]struct{}        // guarded by mu
	accounts map[netip.Prefix]*account // guarded by mu
	closed   atomic.Bool
	open     sync.WaitGroup // connections and the accept loop
}

// account is what the connections of one address use.
type account struct {
	memory *wire.Memory
	conns  int
}

// Listen opens the port and begins to accept. The error says what is wrong with the address and what to do about it.
func Listen(s *api.Server, config ListenerConfig) (*Listener, error) {
	config.setDefaults()
	ln, err := net.Listen("tcp", config.Address)
	if err != nil {
		return nil, explain(config, err)
	}
	l := &Listener{
		server: s, config: config, ln: ln, log: s.Logger.With("listener", config.Name), lobby: newLobby(config.Lobby), memory: config.Memory.Share(),
		conns: map[*conn]struct{}{}, accounts: map[netip.Prefix]*account{},
	}
	l.open.Go(l.accept)
	return l, nil
}

func (c *ListenerConfig) setDefaults() {
	c.RequestMaxBytes = cmp.Or(c.RequestMaxBytes, requestMaxBytesDefault)
	c.TokenMaxBytes = min(cmp.Or(c.TokenMaxBytes, tokenMaxBytesDefault), c.RequestMaxBytes)
	c.LoginTime = cmp.Or(c.LoginTime, loginTime)
	c.FrameTime, c.SendTime = cmp.Or(c.FrameTime, frameTimeDefault), cmp.Or(c.SendTime, sendTimeDefault)
	if c.IdleMax = cmp.Or(c.IdleMax, idleMaxDefault); c.IdleMax < 0 {
		c.IdleMax = forever
	}
	if c.Memory == nil {
		c.Memory = wire.NewMemory(memoryDefault)
	}
	if c.Lobby == nil {
		c.Lobby = wire.NewMemory(lobbyMemory)
	}
	if c.Replies == nil {
		c.Replies = NewReplies(0)
	}
	if c.Backlog == nil {
		c.Backlog = &Backlog{}
	}
	if c.Unpacking == nil {
		c.Unpacking = &Unpacking{}
	}
	if c.Admission == nil {
		c.Admission = NewAdmission(nil)
	}
}

// explain says what, why and what next.
func explain(config ListenerConfig, err error) error {
	_, port, _ := net.SplitHostPort(config.Address)
	next := "check listeners"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		next = fmt.Sprintf("another process has the port: stop it (\"ss -ltnp 'sport = :%s'\" shows which) or choose another port in listeners", port)
	case errors.Is(err, syscall.EACCES):
		next = "ports below 1024 need privileges: choose another port in listeners"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		next = "this machine does not have that address: use one of its own or 0.0.0.0 in listeners, and tell clients the other one by advertised.listeners"
	}
	return fmt.Errorf("listening on %s for listener %s: %w: %s", config.Address, config.Name, err, next)
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// accept runs until the listener is closed.
func (l *Listener) accept() {
	for {
		nc, err := l.ln.Accept()
		if err != nil {
			if l.closed.Load() {
				return
			}
			l.limit.do("accept", func(more int) { l.log.Error("cannot accept connections", "error", err, "unlogged", more) })
			time.Sleep(acceptPause)
			continue
		}
		l.server.Metrics.ConnectionsAccepted.Add(1)
		if pause := l.config.Admission.pause(time.Now()); pause > 0 {
			time.Sleep(min(pause, acceptPauseMax))
		}
		l.serve(nc)
	}
}

// serve starts a connection, unless there are too many.
func (l *Listener) serve(nc net.Conn) {
	peer := addrPort(nc.RemoteAddr()).Addr().Unmap()
	if no := l.config.Admission.enter(peer); no != nil {
		l.server.Metrics.ConnectionsRefused.Add(1)
		l.limit.do(no.setting, func(more int) {
			l.log.Warn("refused a connection: "+no.setting+" is reached", "remote", nc.RemoteAddr().String(), "reason", no.detail, "unlogged", more)
		})
		_ = nc.Close()
		return
	}
	l.tune(nc)
	if l.config.TLS != nil {
		nc = tls.Server(nc, l.config.TLS)
	}
	if c := l.add(nc); c != nil {
		l.lobby.enter(c)
		l.open.Go(c.receive)
		l.open.Go(c.send)
	}
}

// add makes a connection one of the listener's; nil if that has closed meanwhile.
func (l *Listener) add(nc net.Conn) *conn {
	c := newConn(l, nc)
	l.server.Metrics.Connections.Add(1)
	l.mu.Lock()
	closed := l.closed.Load()
	if !closed {
		l.conns[c] = struct{}{}
	}
	l.mu.Unlock()
	if closed {
		c.end(errStopping)
		return nil
	}
	return c
}

// join counts one more connection of peer and returns the memory of its address.
func (l *Listener) join(peer netip.Addr) *wire.Memory {
	l.mu.Lock()
	defer l.mu.Unlock()
	network := networkOf(peer)
	a := l.accounts[network]
	if a == nil {
		a = &account{memory: l.memory.Share()}
		l.accounts[network] = a
	}
	a.conns++
	return a.memory
}

// tune sets what the configuration says about sockets.
func (l *Listener) tune(nc net.Conn) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if n := l.config.SendBuffer; n > 0 {
		_ = tcp.SetWriteBuffer(n)
	}
	if n := l.config.ReceiveBuffer; n > 0 {
		_ = tcp.SetReadBuffer(n)
	}
}

func (l *Listener) gone(c *conn) {
	l.lobby.leave(c)
	l.config.Admission.leave(c.peer)
	network := networkOf(c.peer)
	l.mu.Lock()
	delete(l.conns, c)
	if a := l.accounts[network]; a != nil {
		if a.conns--; a.conns == 0 {
			delete(l.accounts, network)
		}
	}
	l.mu.Unlock()
	l.server.Metrics.Connections.Add(-1)
}

// Close stops accepting, lets the requests under way finish until ctx ends, and closes all connections.
func (l *Listener) Close(ctx context.Context) error {
	if l.closed.Swap(true) {
		return nil
	}
	err := l.ln.Close()
	done := make(chan struct{})
	go func() {
		l.open.Wait()
		close(done)
	}()
	l.each((*conn).drain)
	select {
	case <-done:
		return err
	case <-ctx.Done():
	}
	l.each(func(c *conn) { c.end(errStopping) })
	<-done
	return err
}

func (l *Listener) each(f func(*conn)) {
	l.mu.Lock()
	conns := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		f(c)
	}
}

// logLimit lets a line through once an interval for every key, so that a peer that comes again and again does not fill the log, and
// does not hide what others are told.
type logLimit struct {
	mu    sync.Mutex
	lines map[string]*logLine // guarded by mu
}

type logLine struct {
	next    time.Time
	skipped int
}

const (
	logInterval = 10 * time.Second
	logKeysMax  = 256 // at the bound all are forgotten
)

// do calls f with the number of lines of the key that were skipped since the last one, or skips this one.
func (l *logLimit) do(key string, f func(skipped int)) {
	l.mu.Lock()
	now := time.Now()
	line := l.lines[key]
	if line == nil {
		if l.lines == nil || len(l.lines) >= logKeysMax {
			l.lines = map[string]*logLine{}
		}
		line = &logLine{}
		l.lines[key] = line
	}
	if now.Before(line.next) {
		line.skipped++
		l.mu.Unlock()
		return
	}
	n := line.skipped
	line.next, line.skipped = now.Add(logInterval), 0
	l.mu.Unlock()
	f(n)
}
