package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	errClosed  = errors.New("connection closed")
	errRefused = errors.New("connection refused")
	errTimeout = errors.New("no answer in time")
)

// client is one connection at a time with requests in flight.
type client struct {
	stage   *Stage
	name    string
	rng     *rand.Rand
	conn    Conn
	dials   int // numbers the connections, so that what an old one says is recognised
	next    int32
	calls   []*call // in flight, in order of sending
	ranges  map[int16]versions
	format  *kmsg.RequestFormatter
	timeout time.Duration
	// ready is called when a connection is up and the versions are known, broken when it is gone and every call has ended.
	ready, broken func()
	up, redialing bool
	// pinned fixes the version of an API key below what was negotiated; absent: the highest.
	pinned map[int16]int16
}

type versions struct{ min, max int16 }

// call is a request in flight. done is called exactly once, with the answer or an error that leaves the effect unknown.
type call struct {
	id   int32
	req  kmsg.Request
	done func(kmsg.Response, error)
	over bool
}

func newClient(s *Stage, name string) client {
	return client{
		stage: s, name: name, rng: s.env.Rand(name), timeout: 10 * time.Second, pinned: map[int16]int16{},
		format: kmsg.NewRequestFormatter(kmsg.FormatterClientID(name)), ready: func() {}, broken: func() {},
	}
}

// receiver binds callbacks to one of the client's connections.
type receiver struct {
	c    *client
	dial int
}

func (r receiver) Received(frame []byte) {
	if r.dial == r.c.dials {
		r.c.received(frame)
	}
}

func (r receiver) Closed() {
	if r.dial == r.c.dials {
		r.c.hangUp(errClosed)
	}
}

// dial connects and learns the versions. It is tried again until it works.
func (c *client) dial() {
	c.dials++
	c.ranges = nil
	c.conn = c.stage.env.Dial(receiver{c, c.dials})
	if c.conn == nil {
		c.redial()
		return
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "simulation", "1"
	req.Version = int16(c.rng.IntN(4))
	c.call(req, func(r kmsg.Response, err error) {
		if err == nil {
			c.learn(r.(*kmsg.ApiVersionsResponse))
			c.up = true
			c.ready()
		}
	})
}

func (c *client) redial() {
	if c.redialing {
		return
	}
	c.redialing = true
	c.stage.env.After(c.pause(100*time.Millisecond), func() {
		c.redialing = false
		if c.conn == nil {
			c.dial()
		}
	})
}

func (c *client) learn(r *kmsg.ApiVersionsResponse) {
	if r.ErrorCode != 0 {
		c.stage.violate("%s: ApiVersions v%d answered %d", c.name, r.Version, r.ErrorCode)
	}
	c.ranges = map[int16]versions{}
	for _, k := range r.ApiKeys {
		c.ranges[k.ApiKey] = versions{k.MinVersion, k.MaxVersion}
	}
}

// version picks the version for an API: pinned, or the highest both speak. low is the lowest the caller can use.
func (c *client) version(req kmsg.Request, low int16) int16 {
	r := c.ranges[req.Key()]
	v := min(r.max, req.MaxVersion())
	if p, ok := c.pinned[req.Key()]; ok {
		v = min(v, p)
	}
	return max(v, low, r.min)
}

// call sends req at the version set in it.
func (c *client) call(req kmsg.Request, done func(kmsg.Response, error)) {
	if c.conn == nil {
		done(nil, errRefused)
		return
	}
	c.next++
	k := &call{id: c.next, req: req, done: done}
	frame := c.format.AppendRequest(nil, req, k.id)[4:]
	if p, ok := req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		c.conn.Send(frame)
		done(nil, nil)
		return
	}
	c.calls = append(c.calls, k)
	dial := c.dials
	c.conn.Send(frame)
	c.stage.env.After(c.timeout, func() {
		if !k.over && dial == c.dials {
			c.hangUp(errTimeout)
		}
	})
}

// received matches an answer with its request. Kafka answers in the order of the requests; anything else is a violation.
func (c *client) received(frame []byte) {
	if len(frame) < 4 || len(c.calls) == 0 {
		c.stage.violate("%s: an answer of %d bytes to nothing asked", c.name, len(frame))
		return
	}
	k := c.calls[0]
	if id := int32(binary.BigEndian.Uint32(frame)); id != k.id {
		c.stage.violate("%s: answer to request %d, want %d (%s)", c.name, id, k.id, kmsg.NameForKey(k.req.Key()))
		c.hangUp(errClosed)
		return
	}
	c.calls = c.calls[1:]
	k.over = true
	resp, err := parse(k.req, frame[4:])
	if err != nil {
		c.stage.violate("%s: answer to %s v%d: %v", c.name, kmsg.NameForKey(k.req.Key()), k.req.GetVersion(), err)
		k.done(nil, err)
		c.hangUp(errClosed)
		return
	}
	k.done(resp, nil)
}

// parse reads the body of an answer. ApiVersions never has a flexible header, and its error answer is version 0.
func parse(req kmsg.Request, b []byte) (kmsg.Response, error) {
	resp := req.ResponseKind()
	if req.Key() != 18 && resp.IsFlexible() {
		n, size := binary.Uvarint(b)
		if size <= 0 || n != 0 {
			return nil, fmt.Errorf("%d header tags", n)
		}
		b = b[size:]
	}
	if err := resp.ReadFrom(b); err != nil {
		return nil, err
	}
	if again := resp.AppendTo(nil); len(again) != len(b) {
		return nil, fmt.Errorf("%d bytes, of which %d were understood", len(b), len(again))
	}
	return resp, nil
}

// hangUp ends the connection; every request in flight ends with err, in order.
func (c *client) hangUp(err error) {
	if c.conn == nil {
		return
	}
	c.conn.Close()
	c.conn, c.up = nil, false
	c.dials++
	calls := c.calls
	c.calls = nil
	for _, k := range calls {
		k.over = true
		k.done(nil, err)
	}
	c.broken()
	c.redial()
}

// answeredBy notes which life of the node answered op.
func (c *client) answeredBy(op *check.Op) { op.Era, op.Life = c.conn.Era(), c.conn.Life() }

// pause draws a waiting time around d.
func (c *client) pause(d time.Duration) time.Duration {
	return d/2 + time.Duration(c.rng.Int64N(int64(d)))
}
