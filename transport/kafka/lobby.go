package kafka

import (
	"cmp"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

const (
	// lobbyMax bounds the connections of one listener of whose clients nothing is known. Each costs about 14 KB beside its buffers.
	lobbyMax = 1000
	// lobbyMemory bounds their receive buffers, in bytes, where clients have to say who they are.
	lobbyMemory = 32 << 20
	// lobbySample is how many connections are looked at to find the one that has to go for a new one: it comes in less time than
	// looking at all would take.
	lobbySample = 64
	// loginTime is how long a client may take to say who it is. Kafka leaves it connections.max.idle.ms.
	loginTime = 30 * time.Second
)

var (
	errCrowdedOut = errors.New("made room for others: this client has not yet said who it is, or has asked nothing")
	errNoLogin    = errors.New("the client did not say who it is in time")
)

// lobby holds the connections of a listener of whose clients nothing is known: on a SASL listener those that have not logged in, on
// others those that have not asked anything. Such a connection costs a stranger next to nothing, so it may cost the node little as well:
// they are few, what they hold is small and apart from what others use, and at the bound the one that is most likely a stranger's
// goes: nobody in the lobby can keep others out of it. An honest client passes through within a few round trips.
type lobby struct {
	memory *wire.Memory // shared by the listeners of a node

	mu      sync.Mutex
	waiting map[*conn]struct{} // guarded by mu
	peers   map[netip.Addr]int // guarded by mu
}

func newLobby(memory *wire.Memory) *lobby {
	return &lobby{memory: memory, waiting: map[*conn]struct{}{}, peers: map[netip.Addr]int{}}
}

// enter takes in a new connection. If there are too many one of the address that has the most goes: the oldest of those that have asked
// the least.
func (b *lobby) enter(c *conn) {
	b.mu.Lock()
	b.waiting[c] = struct{}{}
	b.peers[c.peer]++
	var out *conn
	if len(b.waiting) > lobbyMax {
		out = b.worst(lobbySample, func(x, than *conn) bool {
			return cmp.Or(cmp.Compare(b.peers[than.peer], b.peers[x.peer]), cmp.Compare(x.asked.Load(), than.asked.Load()), x.accepted.Compare(than.accepted)) < 0
		})
	}
	b.mu.Unlock()
	b.crowdOut(out)
}

// leave is called when a client is known, and when the connection ends.
func (b *lobby) leave(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.waiting[c]; !ok {
		return
	}
	delete(b.waiting, c)
	if b.peers[c.peer]--; b.peers[c.peer] == 0 {
		delete(b.peers, c.peer)
	}
}

// makeRoom ends connections until there is memory for one more: those that hold the most go. Who holds the least there is to hold
// stays: all of them together are far below the bound.
func (b *lobby) makeRoom() {
	for over := b.memory.Over(); over >= 0; {
		b.mu.Lock()
		out := b.worst(lobbyMax, func(x, than *conn) bool { return x.held.Load() > than.held.Load() })
		b.mu.Unlock()
		if out == nil || out.held.Load() <= wire.BufferSizeMin {
			return
		}
		over -= out.held.Load()
		b.crowdOut(out)
	}
}

// worst picks one of so many of those that wait.
func (b *lobby) worst(sample int, worse func(x, than *conn) bool) (out *conn) {
	n := 0
	for c := range b.waiting { // in no order
		if out == nil || worse(c, out) {
			out = c
		}
		if n++; n == sample {
			break
		}
	}
	return out
}

// crowdOut ends a connection; its buffer is given back by its receiver.
func (b *lobby) crowdOut(c *conn) {
	if c == nil {
		return
	}
	b.leave(c)
	c.listener.server.Metrics.ConnectionsCrowdedOut.Add(1)
	c.end(errCrowdedOut)
}
