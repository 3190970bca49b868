package wire

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/troupe-broker/troupe/actors/invariant"
)

// Receive buffers come in sizes 2^k and 1.5*2^k bytes, so that one wastes at most a third. Larger ones are not pooled.
const (
	BufferSizeMin    = 4 << 10  // bytes; what a connection gets that has sent little so far
	bufferSizeBusy   = 64 << 10 // bytes; what one read of a busy connection asks for
	bufferPooledMax  = 8 << 20  // bytes
	bufferClassFirst = 12       // log2 of BufferSizeMin
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

// classOf is the smallest size class that holds size bytes: 2^k is class 2(k-12), 1.5*2^(k-1) the odd one before it.
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
