package api

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// Peer says who is at the other end of a connection and through which door it came.
type Peer struct {
	Listener string         // name of the listener, as in advertised.listeners
	Local    netip.AddrPort // the address the client used to reach us
	Remote   netip.AddrPort
	// Authentication is what the listener wants of its clients; nil where nobody has to say who he is.
	Authentication *Authentication
}

// Host is what a connection's session does for the handlers. All of it, and everything it calls back, happens under the session's
// lock.
type Host interface {
	// Answer completes a call. The response leaves when those before it have; nil means that none is sent.
	Answer(*Call, Response)
	// Hangup ends the connection without another byte. The reason is logged.
	Hangup(reason string)
	// Ask sends a command and calls done exactly once, later: with the answer, or with an error after timeout.
	Ask(to actors.PID, cmd actors.Command, timeout time.Duration, done func(reply any, err error))
	// After calls f once, d from now, unless the connection ends before.
	After(d time.Duration, f func()) env.Timer
	// Post calls f soon. It alone may be called on any thread and without the lock.
	Post(f func())
}

// Response is an answer that is complete but not encoded.
type Response interface {
	// Encode appends the response body. Called at most once.
	Encode(*wire.Out)
	// Discard is called instead of Encode if the connection ended.
	Discard()
}

// Conn is the state of one connection. For its session's lock.
type Conn struct {
	*Server
	Host Host
	Edge actors.PID // where partitions answer to
	Peer Peer
	Log  *slog.Logger

	// Unpacking is what decompressing for the client is bound to.
	Unpacking record.Unpacking

	Software        string // of the client, as ApiVersions v3+ told; checked
	SoftwareVersion string

	auth     authenticator
	host     string     // of the client, as members of groups are shown; empty until it is needed
	produces []*produce // free for reuse
	fetches  fetchConn
}

// NewConn makes the state of a new connection.
func NewConn(s *Server, h Host, p Peer, edge actors.PID) *Conn {
	return &Conn{Server: s, Host: h, Edge: edge, Peer: p, Log: s.Logger, Unpacking: record.Unpacking{Large: s.LargeBatches}}
}

// Close forgets what the connection waits for. No call is answered after it.
func (c *Conn) Close() { c.fetches.close(c) }

// Woken takes an answer that belongs to no call: a partition that a fetch session waits for.
func (c *Conn) Woken(id uint64) { c.fetches.woken(c, id) }

// WakeBit marks the ids of messages whose answers go to Conn.Woken rather than to a Call.
const WakeBit = 1 << 63

// CallShift is where in a message's id the number of its call begins; below is the index of the part within the call.
const CallShift = 24

// Call is one request on its way to an answer.
type Call struct {
	Conn    *Conn
	Row     *Row
	Version int16
	Client  string // client.id as sent; never log it but with %q
	Number  uint64 // of the call on its connection, rising
	Arrived time.Duration
	Body    []byte       // a view of Frame, valid until Handle returns
	Frame   *wire.Buffer // Retain it to keep a part of Body

	task task // what is under way, for calls answered by messages
}

// task is a call under way.
type task interface {
	// deliver takes the answer to the message with this index.
	deliver(index int, msg any)
	// expire gives up what is past its deadline; called about once a second.
	expire(now time.Duration)
	// abandon is called if the connection ends first.
	abandon()
}

// prepared is a task of which a part needs no lock.
type prepared interface {
	// prepare touches the call and what is immutable, nothing else of its connection.
	prepare(c *Call)
}

// Prepare does what needs no lock. It may take as long as the client's data makes it.
func (c *Call) Prepare() {
	if p, ok := c.task.(prepared); ok {
		p.prepare(c)
	}
}

// Begin reserves what the call needs of its connection.
func (c *Call) Begin() {
	switch c.Row.Key {
	case keyProduce:
		c.task = c.Conn.takeProduce(c)
	case keyListOffsets:
		c.task = &listOffsets{}
	}
}

// Handle answers the request, now or by what it starts.
func (c *Call) Handle() { c.Row.handle(c) }

// Deliver takes the answer to a message of this call.
func (c *Call) Deliver(index int, msg any) {
	if c.task != nil {
		c.task.deliver(index, msg)
	}
}

// Expire gives up what is past its deadline.
func (c *Call) Expire(now time.Duration) {
	if c.task != nil {
		c.task.expire(now)
	}
}

// Abandon ends a call whose connection ended.
func (c *Call) Abandon() {
	if c.task != nil {
		c.task.abandon()
		c.task = nil
	}
}

// id is the correlation id of the message with this index.
func (c *Call) id(index int) uint64 { return c.Number<<CallShift | uint64(index) }

// read decodes the body into req after checking it against the layout. On false the connection is over.
func (c *Call) read(req kmsg.Request) bool {
	if c.decode(req) != nil {
		c.malformed()
		return false
	}
	return true
}

// decode is read that leaves the connection alone.
func (c *Call) decode(req kmsg.Request) error {
	req.SetVersion(c.Version)
	if err := c.Row.layout.scan(c.Version, req.IsFlexible(), c.Body); err != nil {
		return err
	}
	return req.ReadFrom(c.Body)
}

// malformed ends the connection of a request that cannot be decoded.
func (c *Call) malformed() { c.Conn.Host.Hangup("malformed " + c.Row.Name + " request") }

// reply answers with a response of kmsg's.
func (c *Call) reply(resp kmsg.Response) {
	resp.SetVersion(c.Version)
	c.Conn.Host.Answer(c, kmsgResponse{resp})
}

type kmsgResponse struct{ kmsg.Response }

func (r kmsgResponse) Encode(o *wire.Out) { o.Buf = r.AppendTo(o.Buf) }
func (r kmsgResponse) Discard()           {}

// failed counts a code that goes out and returns it as the wire has it.
func (c *Call) failed(code protocol.Code) int16 {
	c.Conn.Metrics.failed(c.Row.Key, int16(code))
	return int16(code)
}

// textOrNull is a nullable string of a response: null when there is nothing to say.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
