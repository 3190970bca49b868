package sim

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

// Link says what a network does to frames. The means are of exponential draws.
type Link struct {
	Delay time.Duration // mean, one way
	Min   time.Duration
	// Reset is the chance that a frame, in either direction, is lost with the connection it travels on.
	Reset float64
	// Hang is the chance that a frame makes the connection half-open: nothing arrives any more on either side, and nobody is told.
	Hang float64
	// Stall is the chance of a frame to be late by StallMean, and everything behind it with it.
	Stall     float64
	StallMean time.Duration
}

// DefaultLink is a quiet network.
var DefaultLink = Link{Delay: 200 * time.Microsecond, Min: 50 * time.Microsecond}

// Network carries frames between clients and hosts.
type Network struct {
	Link
	// Cut makes every dial fail and every frame hang: a split between the clients and the node.
	Cut    bool
	world  *World
	chance *Stream
	conns  []*Conn
	// Resets, Hangs count what the network did.
	Resets, Hangs int64
}

// NewNetwork makes the network of a world.
func (w *World) NewNetwork() *Network {
	return &Network{Link: DefaultLink, world: w, chance: w.Stream("network")}
}

// Server is the node's end of a connection.
type Server interface {
	// Received takes one frame, without its length prefix. It must not keep the slice after the connection's release was called.
	Received(frame []byte)
	// Closed says that the connection is gone.
	Closed()
}

// Client is the client's end.
type Client interface {
	Received(frame []byte)
	Closed()
}

// Conn is one connection. Frames of one direction arrive in order or not at all.
type Conn struct {
	ID      int64
	net     *Network
	process *Process
	client  Client
	server  Server
	// The last arrival in each direction: nothing overtakes it.
	toServer, toClient time.Duration
	hung, broken       bool // nothing sent from now on arrives; broken: and both sides will hear of it
	clientGone         bool
	serverGone         bool
}

// Dial connects client to the process that runs on host. accept makes the node's end. It returns nil if nobody listens: refused.
func (n *Network) Dial(host *Host, client Client, accept func(*Conn) Server) *Conn {
	p := host.Process()
	if p == nil || n.Cut || p.paused {
		return nil
	}
	c := &Conn{ID: int64(len(n.conns)) + 1, net: n, process: p, client: client}
	n.conns = append(n.conns, c)
	n.world.Trace.Event("dial", c.ID)
	c.server = accept(c)
	if c.server == nil {
		return nil
	}
	p.OnDeath(func() { c.lostServer() })
	return c
}

// Process is the life of the node at the other end.
func (c *Conn) Process() *Process { return c.process }

// Send carries a frame to the node. The frame is the connection's from now on.
func (c *Conn) Send(frame []byte) {
	if c.clientGone {
		return
	}
	if !c.travels(frame) {
		return
	}
	c.toServer = max(c.toServer+1, c.net.world.now+c.delay())
	c.net.world.After(c.toServer-c.net.world.now, func() {
		if !c.serverGone && !c.hung && !c.process.dead {
			c.arrive("request", frame)
			c.process.now(func() { c.server.Received(frame) })
		}
	})
}

// Reply carries a frame to the client.
func (c *Conn) Reply(frame []byte) {
	if c.serverGone || c.process.dead {
		return
	}
	if !c.travels(frame) {
		return
	}
	c.toClient = max(c.toClient+1, c.net.world.now+c.delay())
	c.net.world.After(c.toClient-c.net.world.now, func() {
		if !c.clientGone && !c.hung {
			c.arrive("response", frame)
			c.client.Received(frame)
		}
	})
}

func (c *Conn) arrive(what string, frame []byte) {
	t := &c.net.world.Trace
	t.Event(what, c.ID, int64(len(frame)), int64(xxhash.Sum64(frame)))
}

// travels decides whether the frame gets through, and what happens if not.
func (c *Conn) travels(frame []byte) bool {
	n := c.net
	switch {
	case c.hung, c.broken:
		return false
	case n.Cut, n.chance.Chance(n.Hang):
		n.Hangs++
		n.world.Trace.Printf("connection %d hangs", c.ID)
		c.hung = true
		return false
	case n.chance.Chance(n.Reset):
		n.Resets++
		n.world.Trace.Printf("connection %d is reset", c.ID)
		c.Reset()
		return false
	}
	return true
}

func (c *Conn) delay() time.Duration {
	n := c.net
	d := n.Min + n.chance.Exp(n.Delay)
	if n.chance.Chance(n.Stall) {
		d += n.chance.Exp(n.StallMean)
	}
	return d
}

// Reset breaks the connection: each side hears of it at its own time, until then it may still get what was on its way before.
func (c *Conn) Reset() {
	w := c.net.world
	c.broken = true
	w.After(c.delay(), c.lostServer)
	w.After(c.delay(), c.lostClient)
}

// Close is the client hanging up; the node hears of it after what was sent before.
func (c *Conn) Close() {
	if c.clientGone {
		return
	}
	c.clientGone = true
	w := c.net.world
	c.toServer = max(c.toServer+1, w.now+c.delay())
	w.After(c.toServer-w.now, func() {
		if !c.serverGone {
			c.serverGone = true
			if !c.process.dead {
				c.process.now(c.server.Closed)
			}
		}
	})
}

// CloseByServer is the node hanging up.
func (c *Conn) CloseByServer() { c.lostServer() }

// lostServer ends the node's side; the client hears of it after what was sent before.
func (c *Conn) lostServer() {
	if c.serverGone {
		return
	}
	c.serverGone = true
	if !c.process.dead {
		c.process.now(c.server.Closed)
	}
	w := c.net.world
	if !c.hung {
		c.toClient = max(c.toClient+1, w.now+c.delay())
		w.After(c.toClient-w.now, c.lostClient)
	}
}

func (c *Conn) lostClient() {
	if c.clientGone {
		return
	}
	c.clientGone = true
	c.net.world.Trace.Event("disconnect", c.ID)
	c.client.Closed()
	if !c.serverGone {
		c.serverGone = true
		if !c.process.dead {
			c.process.now(c.server.Closed)
		}
	}
}

// now carries out f in the process, or holds it while the process is paused.
func (p *Process) now(f func()) {
	switch {
	case p.dead:
	case p.paused:
		p.held = append(p.held, f)
	default:
		f()
	}
}
