package wire

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/invariant"
)

// Receive buffers come in sizes 2^k and 1.5*2^k bytes, so that one wastes at most a third. Larger ones are not pooled.
const (
	BufferSizeMin    = 64 << 10 // bytes; also what one read of a busy connection asks for
	bufferPooledMax  = 8 << 20  // bytes
	bufferClassFirst = 16       // log2 of BufferSizeMin
	bufferClasses    = 2*(23-bufferClassFirst) + 1
)

var bufferPools [bufferClasses]sync.Pool

// Buffer is a pooled block of bytes with a reference count. It starts with one reference. Retain and Release are safe on any
// goroutine; the bytes are not: whoever fills them does so before handing out views.
type Buffer struct {
	bytes  []byte
	refs   atomic.Int32
	class  int8 // -1: not pooled
	memory *Memory
}

// classOf is the smallest size class that holds size bytes: 2^k is class 2(k-16), 1.5*2^(k-1) the odd one before it.
func classOf(size int) (class, capacity int) {
	if size <= BufferSizeMin {
		return 0, BufferSizeMin
	}
	if size > bufferPooledMax {
		return -1, size
	}
	k := bits.Len(uint(size - 1)) // 2^(k-1) < size <= 2^k
	if half := 3 << (k - 2); size <= half {
		return 2*(k-bufferClassFirst) - 1, half
	}
	return 2 * (k - bufferClassFirst), 1 << k
}

// Bytes is the whole buffer. A view of it is valid while its holder holds a reference.
func (b *Buffer) Bytes() []byte { return b.bytes }

// alone reports whether the caller holds the only reference; then nobody can add one behind its back.
func (b *Buffer) alone() bool { return b.refs.Load() == 1 }

// Retain adds a reference for one more holder.
func (b *Buffer) Retain() {
	if n := b.refs.Add(1); n <= 1 {
		invariant.Check(false, "a released buffer was retained: %d references", n)
	}
}

// Release gives up one reference; the last one returns the buffer to its pool.
func (b *Buffer) Release() {
	n := b.refs.Add(-1)
	if n > 0 {
		return
	}
	if n < 0 {
		invariant.Check(false, "a buffer was released too often: %d references", n)
	}
	if invariant.Enabled {
		poison(b.bytes)
	}
	m := b.memory
	b.memory = nil
	if b.class >= 0 {
		bufferPools[b.class].Put(b)
	}
	m.gaveBack(len(b.bytes))
}

func poison(b []byte) {
	b[0] = 0xdd
	for n := 1; n < len(b); n *= 2 { // a simulation spends a third of its time here if it goes byte by byte
		copy(b[n:], b[:n])
	}
}

// Memory is the bound on receive buffers in use, over all connections of a node. At the bound readers stop reading, which is TCP
// back-pressure; one of them at a time may pass, so that readers that each hold half a frame cannot wait for each other for ever.
type Memory struct {
	limit int64 // bytes
	inUse atomic.Int64

	mu       sync.Mutex
	freed    sync.Cond
	waiting  atomic.Int32
	overdraw atomic.Pointer[Cutter] // the one that may pass the bound until its frame is whole
}

// NewMemory makes a bound of limit bytes.
func NewMemory(limit int64) *Memory {
	m := &Memory{limit: limit}
	m.freed.L = &m.mu
	return m
}

// InUse is the size of all buffers that are out, in bytes.
func (m *Memory) InUse() int64 { return m.inUse.Load() }

// Buffer returns a buffer of at least size bytes, holding one reference. Its bytes are not zeroed. It never blocks: readers ask
// Admit first.
func (m *Memory) Buffer(size int) *Buffer {
	class, capacity := classOf(size)
	m.inUse.Add(int64(capacity))
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
	m.inUse.Add(-int64(n))
	if m.waiting.Load() > 0 {
		m.Wake()
	}
}

// Wake makes every waiting reader look again, at the bound and at whether it was stopped.
func (m *Memory) Wake() {
	m.mu.Lock()
	m.freed.Broadcast()
	m.mu.Unlock()
}

// Admit blocks the reader of c while the bound is reached, until stopped reports true. It reports whether to go on reading.
func (m *Memory) Admit(c *Cutter, stopped func() bool) bool {
	if m.inUse.Load() < m.limit {
		return !stopped()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting.Add(1)
	defer m.waiting.Add(-1)
	for m.inUse.Load() >= m.limit && !stopped() {
		if m.overdraw.CompareAndSwap(nil, c) || m.overdraw.Load() == c {
			break
		}
		m.freed.Wait()
	}
	return !stopped()
}

// settled ends c's right to pass the bound.
func (m *Memory) settled(c *Cutter) {
	if m.overdraw.CompareAndSwap(c, nil) {
		m.Wake()
	}
}
