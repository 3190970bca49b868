package kafka

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

const (
	// sweepInterval is how often requests under way are looked at for having been forgotten.
	sweepInterval = time.Second
	// drainSize is about how many bytes of replies one Drain collects.
	drainSize = 1 << 20
)

// ErrClosed is returned by a Session that was closed.
var ErrClosed = errors.New("the connection is closed")

// Session is the Kafka protocol on one connection, without the connection: whole frames in, replies in request order out. It starts
// nothing and asks nobody but the node's Env for time, so a simulator drives it as a socket does.
//
// Two callers drive it, each one call at a time: the receiver calls Handle for every frame, while Ready; the sender calls Drain after
// every wake. Both take the session's lock; what happens elsewhere (answers of actors, timers) waits in the inbox for the next Drain.
type Session struct {
	server *api.Server
	conn   *api.Conn
	wake   func()

	gate *replyGate // nil: large answers are not bounded

	mu       sync.Mutex
	pipeline pipeline // guarded by mu
	client   string   // guarded by mu: the last client id, so that repeating it costs nothing
	sweeping bool     // guarded by mu
	ended    error    // guarded by mu: why the connection must end

	inboxMu  sync.Mutex
	inbox    []event // guarded by inboxMu
	spare    []event // the sender's
	signaled bool    // guarded by inboxMu: wake was called and Drain has not begun since
	closed   bool    // guarded by inboxMu
}

// event is something that happened outside the lock: a message for the connection, or something to call.
type event struct {
	msg any
	f   func()
}

// NewSession makes the session of a new connection. wake is called on any thread when Drain has something to do, and not again before
// Drain was called; it must not block and must not call the session. Close ends the session.
func NewSession(s *api.Server, peer api.Peer, wake func()) *Session {
	x := &Session{server: s, wake: wake}
	edge := s.System.Edge("kafka", func(msg any) { x.post(event{msg: msg}) })
	x.conn = api.NewConn(s, host{x}, peer, edge)
	return x
}

// Meter lets m be paid for what is unpacked for the client. Before the first Handle; without it, as in the simulator, that is free.
func (s *Session) Meter(m record.Meter) { s.conn.Unpacking.Meter = m }

// Ready reports whether the session takes another frame. At the bound the receiver stops reading, which is TCP back-pressure, until
// a Drain after which Ready is true.
func (s *Session) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pipeline.ready() && !s.conn.Failing()
}

// Guarded reports whether the client still has to say who it is.
func (s *Session) Guarded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.Guarded()
}

// Idle reports that every request was answered and its reply taken.
func (s *Session) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pipeline.empty()
}

// Handle takes one request. It owns the frame and does not wait for answers, but may read from disk. An error means that the
// connection must end, without an answer; it says why.
func (s *Session) Handle(f wire.Frame) error {
	defer f.Buf.Release()
	h, err := s.header(f.Data)
	if err != nil {
		return err
	}
	call, err := s.reserve(h, f)
	if err != nil {
		return err
	}
	call.Prepare()
	if s.gate != nil && call.Row.Large {
		if err := s.gate.enter(); err != nil {
			return err
		}
		defer s.gate.leave()
	}

	s.mu.Lock()
	defer s.unlock()
	if s.ended != nil { // Close came between
		return s.ended
	}
	call.Handle()
	s.pipeline.begun(call)
	s.sweepSoon()
	return s.ended
}

// header reads the request's, unless the frame is all token and no request.
func (s *Session) header(frame []byte) (header, error) {
	if s.conn.Peer.Authentication != nil {
		s.mu.Lock()
		row := s.conn.BareTokens()
		s.mu.Unlock()
		if row != nil {
			return header{row: row, version: api.BareToken, body: frame}, nil
		}
	}
	return parseHeader(s.server, frame)
}

// reserve takes the request's place in the order.
func (s *Session) reserve(h header, f wire.Frame) (*api.Call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return nil, s.ended
	}
	if err := s.conn.Admit(h.row); err != nil {
		return nil, err
	}
	if string(h.client) != s.client {
		s.client = string(h.client)
	}
	call := s.pipeline.reserve(len(f.Data), h.correlation, !h.row.Records())
	call.Conn, call.Row, call.Version, call.Client = s.conn, h.row, h.version, s.client
	call.Body, call.Frame, call.Arrived = h.body, f.Buf, s.server.Clock.Mono()
	call.Begin()
	return call, nil
}

// unlock wakes the sender if there is something for it.
func (s *Session) unlock() {
	wake := s.pipeline.answered() || s.ended != nil
	s.mu.Unlock()
	if wake {
		s.post(event{})
	}
}

// post puts an event into the inbox, unless it is empty, and wakes the sender, unless it is awake already.
func (s *Session) post(e event) {
	s.inboxMu.Lock()
	if s.closed {
		s.inboxMu.Unlock()
		return
	}
	if e.msg != nil || e.f != nil {
		s.inbox = append(s.inbox, e)
	}
	wake := !s.signaled
	s.signaled = true
	s.inboxMu.Unlock()
	if wake {
		s.wake()
	}
}

// Drain takes in what happened since the last one and appends the replies that may leave now to o. An error means that the connection
// must end once what is in o was sent; it says why. If o has got something, call Drain again after sending it.
func (s *Session) Drain(o *wire.Out) error {
	s.inboxMu.Lock()
	s.signaled = false
	events := s.inbox
	s.inbox = s.spare[:0]
	s.inboxMu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		if s.ended == nil {
			s.take(events[i])
		}
	}
	clear(events)
	s.spare = events
	now := s.server.Clock.Mono()
	for o.Len() < drainSize {
		x := s.pipeline.next()
		if x == nil {
			break
		}
		x.encode(o)
		s.server.Metrics.Answered(x.Row.Key, now-x.Arrived)
		s.pipeline.free(x)
	}
	if o.Err != nil && s.ended == nil {
		s.ended = o.Err
	}
	return s.ended
}

// encode appends the reply, if there is one: its length, its header, its body.
func (x *slot) encode(o *wire.Out) {
	if x.response == nil {
		return
	}
	mark := o.Begin()
	if !x.Bare() {
		o.Int32(x.correlation)
		if x.Row.FlexibleResponse(x.Version) {
			o.Uvarint(0) // no tagged fields
		}
	}
	x.response.Encode(o)
	o.End(mark)
}

// take takes in one event.
func (s *Session) take(e event) {
	if e.f != nil {
		e.f()
		return
	}
	reply, ok := e.msg.(actors.Reply)
	if !ok {
		return
	}
	id := reply.CorrelationID()
	if id&api.WakeBit != 0 {
		s.conn.Woken(id)
		return
	}
	if call := s.pipeline.find(id >> api.CallShift); call != nil {
		call.Deliver(int(id&(1<<api.CallShift-1)), e.msg)
	}
}

// sweepSoon arms the sweep while there are requests under way.
func (s *Session) sweepSoon() {
	if s.sweeping || s.pipeline.empty() || s.ended != nil {
		return
	}
	s.sweeping = true
	host{s}.After(sweepInterval, func() {
		s.sweeping = false
		now := s.server.Clock.Mono()
		s.pipeline.each(func(c *api.Call) { c.Expire(now) })
		s.sweepSoon()
	})
}

// Close ends the session: what it waits for is withdrawn, answers that come later are dropped, files are released. It may be called
// more than once and while Handle or Drain run.
func (s *Session) Close() {
	s.inboxMu.Lock()
	closed := s.closed
	s.closed, s.inbox = true, nil
	s.inboxMu.Unlock()
	if closed {
		return
	}
	s.server.System.RemoveEdge(s.conn.Edge)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = ErrClosed
	}
	s.pipeline.discard()
	s.conn.Close()
}

// Client names the software at the other end as it named itself, for messages to people.
func (s *Session) Client() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%q (%q %q)", s.client, s.conn.Software, s.conn.SoftwareVersion)
}

// host is what the session does for its handlers; all of it happens under the lock.
type host struct{ s *Session }

// Answer implements api.Host.
func (h host) Answer(c *api.Call, r api.Response) {
	if h.s.gate != nil && c.Row.Large && r != nil {
		r = h.s.gate.made(r)
	}
	h.s.pipeline.answer(c, r)
}

// Hangup implements api.Host.
func (h host) Hangup(reason string) {
	if h.s.ended == nil {
		h.s.ended = errors.New(reason)
	}
}

// Post implements api.Host.
func (h host) Post(f func()) { h.s.post(event{f: f}) }

// Ask implements api.Host.
func (h host) Ask(to actors.PID, cmd actors.Command, timeout time.Duration, done func(reply any, err error)) {
	h.s.server.System.Ask(to, cmd, timeout, func(reply any, err error) {
		h.s.post(event{f: func() { done(reply, err) }})
	})
}

// After implements api.Host.
func (h host) After(d time.Duration, f func()) env.Timer {
	return h.s.server.Clock.AfterFunc(d, func() { h.s.post(event{f: f}) })
}
