package wire

import (
	"errors"
	"sync/atomic"
	"time"
)

var (
	// ErrCrowded says that there was no room for the rest of a request in time.
	ErrCrowded = errors.New("there was no memory for the rest of a request in time: too much is under way (queued.max.request.bytes)")
	// ErrStopped says that the wait for room was ended from outside.
	ErrStopped = errors.New("stopped while waiting for memory")
)

const (
	// overdrawAfter is how long the first in turn waits before it may pass the bound.
	overdrawAfter = 50 * time.Millisecond
	// OverdrawTime is what a frame that passes the bound may take to arrive: others wait for it.
	OverdrawTime = 10 * time.Second
	// A reader that waits for room looks again after a pause that doubles from the first to the last.
	pauseFirst, pauseLast = time.Millisecond, 16 * time.Millisecond
	// crowdedPart of the bound in use is when silent connections are asked to hold no more than they have sent.
	crowdedPart = 8
	// reservedPart of the bound is kept for those who use less than littlePart of it.
	reservedPart, littlePart = 8, 1024
)

// Memory is the bound on receive buffers in use: the root for a node, children of it for its listeners, and theirs for the addresses of
// their clients. Each has as much headroom as its parent has left beyond what it uses itself, so whoever uses much leaves as much again
// for others: one greedy address takes a third of a node's memory, two take a fifth each of it by one listener. What many take
// one after the other would leave nothing to the last of them, so a part is kept for those who use little. Source: the dynamic
// thresholds of switches with shared memory (Choudhury and Hahne, 1998).
//
// Who finds no headroom waits, which is TCP back-pressure: in turn among its siblings' readers, for a bounded time. One reader of a node
// at a time may pass the bound until its frame is whole, so that readers that each hold half a frame cannot wait for each other until
// they give up.
type Memory struct {
	parent *Memory
	root   *Memory
	limit  int64 // bytes; of the root
	inUse  atomic.Int64
	turn   chan struct{} // held by the reader that is the next to find room

	overdraw atomic.Pointer[Cutter] // of the root: the one that may pass the bound
}

// NewMemory makes a bound of limit bytes.
func NewMemory(limit int64) *Memory {
	m := &Memory{limit: limit, turn: make(chan struct{}, 1)}
	m.root = m
	return m
}

// Share makes a child: what it holds counts for m as well.
func (m *Memory) Share() *Memory {
	return &Memory{parent: m, root: m.root, turn: make(chan struct{}, 1)}
}

// InUse is the size of all buffers that are out, in bytes.
func (m *Memory) InUse() int64 { return m.inUse.Load() }

// headroom is what may be taken beside what is kept for those who use little, in bytes; nothing if it is not positive.
func (m *Memory) headroom() int64 {
	if m.parent == nil {
		return m.limit - m.limit/reservedPart - m.inUse.Load()
	}
	return m.parent.headroom() - m.inUse.Load()
}

// Full reports whether nothing may be taken.
func (m *Memory) Full() bool {
	if m.parent == nil || m.inUse.Load() < m.root.limit/littlePart {
		return m.root.Over() >= 0
	}
	return m.headroom() <= 0
}

// Over is by how many bytes a root passes its bound; negative while it does not.
func (m *Memory) Over() int64 { return m.inUse.Load() - m.limit }

// crowded reports whether so much is in use that nobody may hold more than he needs.
func (m *Memory) crowded() bool { return m.root.inUse.Load() > m.root.limit/crowdedPart }

// Buffer returns a buffer of at least size bytes, holding one reference. Its bytes are not zeroed. It never blocks: readers ask
// Admit first.
func (m *Memory) Buffer(size int) *Buffer {
	class, capacity := classOf(size)
	for x := m; x != nil; x = x.parent {
		x.inUse.Add(int64(capacity))
	}
	if class >= 0 {
		if b, ok := bufferPools[class].Get().(*Buffer); ok {
			b.memory = m
			b.refs.Store(1)
			return b
		}
	}
	b := &Buffer{bytes: make([]byte, capacity), class: int8(class), memory: m}
	b.refs.Store(1)
	return b
}

func (m *Memory) gaveBack(n int) {
	for ; m != nil; m = m.parent {
		m.inUse.Add(-int64(n))
	}
}

// Take counts n bytes that are no receive buffer, until Give.
func (m *Memory) Take(n int64) {
	for ; m != nil; m = m.parent {
		m.inUse.Add(n)
	}
}

// Give ends Take.
func (m *Memory) Give(n int64) { m.gaveBack(int(n)) }

// Admit blocks the reader of c until there is headroom, for limit at most. passed reports that c passed the bound: the frame
// that is arriving then has OverdrawTime. Errors: ErrCrowded, and ErrStopped when stop is closed.
func (m *Memory) Admit(c *Cutter, limit time.Duration, stop <-chan struct{}) (passed bool, err error) {
	select {
	case <-stop:
		return false, ErrStopped
	default:
	}
	if !m.Full() || m.root.overdraw.Load() == c {
		return false, nil
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
		return m.await(c, late.C, stop)
	case <-late.C:
		return false, ErrCrowded
	case <-stop:
		return false, ErrStopped
	}
}

// await waits for headroom as the first in turn.
func (m *Memory) await(c *Cutter, late <-chan time.Time, stop <-chan struct{}) (passed bool, err error) {
	began, pause := time.Now(), pauseFirst
	tick := time.NewTimer(pause)
	defer tick.Stop()
	for m.Full() {
		if time.Since(began) >= overdrawAfter && m.root.overdraw.CompareAndSwap(nil, c) {
			return true, nil
		}
		select {
		case <-tick.C:
			pause = min(2*pause, pauseLast)
			tick.Reset(pause)
		case <-late:
			return false, ErrCrowded
		case <-stop:
			return false, ErrStopped
		}
	}
	return false, nil
}

// settled ends c's right to pass the bound.
func (m *Memory) settled(c *Cutter) { m.root.overdraw.CompareAndSwap(c, nil) }
