package kafka

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

const (
	// repliesMemory bounds the large answers of a node that are made and not sent, in bytes.
	repliesMemory = 128 << 20
	// repliesAtOnce is how many requests with large answers are worked on at once: what is being built counts nowhere yet.
	repliesAtOnce = 2
	// replyLarge is the size of an answer from which it counts, in bytes.
	replyLarge = 32 << 10
	// repliesHeld is what one connection may have waiting before nothing with a large answer is done for it, in bytes.
	repliesHeld = 1 << 20
	// replyWait is how long a request may wait for its turn.
	replyWait = 30 * time.Second
	// replyPatience is how long a client may take nothing of its answer while others wait for room; replyPatienceMin while very many do.
	replyPatience    = time.Second
	replyPatienceMin = 100 * time.Millisecond
	replyPause       = 2 * time.Millisecond
)

var (
	errNotReading = errors.New("the client does not take its answers, and others wait for theirs")
	errNoTurn     = errors.New("there was no room for the answer in time: other answers are not taken")
)

// Replies bounds the answers of a node that take much memory, from when they are made until they are sent: a question of a few bytes may
// have an answer of megabytes, and a client that asks and never reads would have the node keep one after the other. Such requests are
// worked on by turns, for a connection only when its earlier answers are sent, and only while there is room; those who hold room and do
// not read go when others wait for it.
type Replies struct {
	memory  *wire.Memory
	making  chan struct{}
	waiting atomic.Int64 // connections

	mu      sync.Mutex
	holders map[*conn]struct{} // guarded by mu
}

// NewReplies bounds answers to limit bytes; 0 is the default.
func NewReplies(limit int64) *Replies {
	if limit <= 0 {
		limit = repliesMemory
	}
	return &Replies{memory: wire.NewMemory(limit), making: make(chan struct{}, repliesAtOnce), holders: map[*conn]struct{}{}}
}

// replyGate is Replies for one connection. A session without one, as in the simulator, is not bounded.
type replyGate struct {
	all  *Replies
	conn *conn
	held atomic.Int64 // bytes
}

// enter waits for the turn of a request with a large answer; leave ends it. The receiver calls both, without the session's lock.
func (g *replyGate) enter() error {
	if g.open() {
		select {
		case g.all.making <- struct{}{}:
			return nil
		default:
		}
	}
	g.all.waiting.Add(1)
	defer g.all.waiting.Add(-1)
	late := time.NewTimer(replyWait)
	defer late.Stop()
	tick := time.NewTicker(replyPause)
	defer tick.Stop()
	for {
		turn := g.all.making
		if !g.open() {
			turn = nil
		}
		select {
		case turn <- struct{}{}:
			return nil
		case <-tick.C:
			g.all.shed()
		case <-late.C:
			return errNoTurn
		case <-g.conn.stop:
			return errStopping
		}
	}
}

func (g *replyGate) leave() { <-g.all.making }

// open reports whether there is room for another answer of this connection.
func (g *replyGate) open() bool { return g.held.Load() < repliesHeld && !g.all.memory.Full() }

// made encodes an answer and counts it until it is sent or discarded. None of the requests with large answers sends from files.
func (g *replyGate) made(r api.Response) api.Response {
	var o wire.Out
	r.Encode(&o)
	if len(o.Buf) < replyLarge {
		return encoded(o.Buf)
	}
	n := int64(len(o.Buf))
	g.all.memory.Take(n)
	if g.held.Add(n) == n {
		g.conn.progressed()
		g.all.mu.Lock()
		g.all.holders[g.conn] = struct{}{}
		g.all.mu.Unlock()
	}
	return &heldReply{gate: g, body: o.Buf}
}

// sent gives back what an answer held.
func (g *replyGate) sent(n int64) {
	g.all.memory.Give(n)
	if g.held.Add(-n) == 0 {
		g.all.mu.Lock()
		delete(g.all.holders, g.conn)
		g.all.mu.Unlock()
	}
}

// shed ends the connections that hold answers and take nothing of them, if there is no room.
func (r *Replies) shed() {
	if !r.memory.Full() {
		return
	}
	var slow []*conn
	patience := max(replyPatience/time.Duration(1+r.waiting.Load()/8), replyPatienceMin)
	r.mu.Lock()
	for c := range r.holders {
		if time.Since(time.Unix(0, c.progress.Load())) > patience {
			slow = append(slow, c)
		}
	}
	r.mu.Unlock()
	for _, c := range slow {
		c.end(errNotReading)
	}
}

// heldReply is a large answer, sent in pieces.
type heldReply struct {
	gate *replyGate
	body []byte
}

// Encode implements api.Response.
func (h *heldReply) Encode(o *wire.Out) {
	o.Range(wire.Range{File: bytes.NewReader(h.body), Len: len(h.body), Pin: h})
}

// Discard implements api.Response.
func (h *heldReply) Discard() { h.Release() }

// Release is called once, when the answer is sent or the connection ended.
func (h *heldReply) Release() { h.gate.sent(int64(len(h.body))) }

// encoded is a small answer.
type encoded []byte

// Encode implements api.Response.
func (e encoded) Encode(o *wire.Out) { o.Buf = append(o.Buf, e...) }

// Discard implements api.Response.
func (e encoded) Discard() {}
