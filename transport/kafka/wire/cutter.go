package wire

import (
	"encoding/binary"
	"fmt"
)

// framePrefix is the size in bytes of a frame's length.
const framePrefix = 4

// Frame is one request as received, without its length. Data is a view of Buf; whoever is given a Frame releases Buf once.
type Frame struct {
	Data []byte
	Buf  *Buffer
}

// FrameSizeError is a length no frame may have. First tells whether it was the first of its connection: then the peer very likely
// speaks something else, and Prefix are its first bytes.
type FrameSizeError struct {
	Size   int32 // bytes, as declared
	Max    int32 // bytes
	First  bool
	Prefix [framePrefix]byte
}

func (e *FrameSizeError) Error() string {
	return fmt.Sprintf("a request of %d bytes was announced; the limit (socket.request.max.bytes, before authentication sasl.server.max.receive.size) is %d", e.Size, e.Max)
}

// Cutter cuts the bytes of one connection into frames without copying them: it hands out space to read into, and views of it.
// Small frames share a buffer. A large one gets a buffer of its own that grows with the bytes that really arrived, so a length that
// is only announced costs nothing. For one goroutine.
type Cutter struct {
	memory *Memory
	max    int32
	modest bool

	buf        *Buffer
	start, end int // buf[start:end] is received and not handed out
	last       int // bytes of the last frame with its length: what the next one probably takes
	cut        bool
}

// NewCutter cuts frames of at most max bytes, with buffers from m.
func NewCutter(m *Memory, max int32) *Cutter { return &Cutter{memory: m, max: max} }

// Bound changes the size of the largest frame, for those that Next has not looked at, and where the buffers count. A modest cutter's
// never exceed twice what has arrived: it is for those of whom nothing is known.
func (c *Cutter) Bound(m *Memory, max int32, modest bool) {
	c.memory.settled(c)
	c.memory, c.max, c.modest = m, max, modest
}

// spaceMin is the room left in a buffer below which a fresh one is taken.
const spaceMin = bufferSizeBusy / 4 // bytes

// Space is where to read the next bytes into; never empty. It is valid until the next call of any method.
func (c *Cutter) Space() []byte {
	need := c.wanted()
	if c.modest || c.last == 0 {
		return c.spaceModest(need)
	}
	if need > bufferSizeBusy {
		return c.spaceForLarge(need)
	}
	probable := max(spaceMin, min(c.last, bufferPooledMax))
	have := c.end - c.start
	switch {
	case c.buf == nil:
		c.buf = c.memory.Buffer(max(probable, bufferSizeBusy))
	case have == 0 && c.buf.alone():
		c.start, c.end = 0, 0
		if len(c.buf.bytes) < probable {
			c.move(max(probable, bufferSizeBusy))
		}
	case len(c.buf.bytes)-c.start < max(probable, need):
		c.move(max(probable, need, bufferSizeBusy))
	}
	room := c.buf.bytes[c.end:]
	// Reading past a large frame would mean copying the start of the next one into its buffer later.
	if c.last > bufferSizeBusy && have < c.last && len(room) > c.last-have {
		room = room[:c.last-have]
	}
	return room
}

// spaceModest doubles what has arrived.
func (c *Cutter) spaceModest(need int) []byte {
	have := c.end - c.start
	switch {
	case c.buf == nil:
		c.buf = c.memory.Buffer(BufferSizeMin)
	case have == 0 && c.buf.alone():
		c.start, c.end = 0, 0
	case c.end == len(c.buf.bytes):
		size := max(2*have, BufferSizeMin)
		if need > have {
			size = min(size, max(need, BufferSizeMin))
		}
		c.move(size)
	}
	return c.buf.bytes[c.end:]
}

// spaceForLarge is the rest of one frame of need bytes and nothing after it.
func (c *Cutter) spaceForLarge(need int) []byte {
	have := c.end - c.start
	probable := min(need, c.last, bufferPooledMax)
	if capacity := len(c.buf.bytes) - c.start; capacity < probable || capacity < need && c.end == len(c.buf.bytes) {
		c.move(min(need, max(2*have, probable, 2*bufferSizeBusy)))
	}
	return c.buf.bytes[c.end:min(len(c.buf.bytes), c.start+need)]
}

// move takes what is received and not handed out to a fresh buffer of at least size bytes.
func (c *Cutter) move(size int) {
	next := c.memory.Buffer(size)
	n := copy(next.bytes, c.buf.bytes[c.start:c.end])
	c.buf.Release()
	c.buf, c.start, c.end = next, 0, n
}

// Filled says that n bytes were read into Space.
func (c *Cutter) Filled(n int) { c.end += n }

// wanted is the size of the frame at the head, with its length; 0 while that is unknown.
func (c *Cutter) wanted() int {
	if c.end-c.start < framePrefix {
		return 0
	}
	return framePrefix + int(int32(binary.BigEndian.Uint32(c.buf.bytes[c.start:])))
}

// Next hands out the frame at the head, if it is whole. The only error is *FrameSizeError, and it comes before the announced bytes
// cost anything.
func (c *Cutter) Next() (f Frame, ok bool, err error) {
	if c.end-c.start < framePrefix {
		return Frame{}, false, nil
	}
	size := int32(binary.BigEndian.Uint32(c.buf.bytes[c.start:]))
	if size < 0 || size > c.max {
		e := &FrameSizeError{Size: size, Max: c.max, First: !c.cut}
		copy(e.Prefix[:], c.buf.bytes[c.start:])
		return Frame{}, false, e
	}
	total := framePrefix + int(size)
	if c.end-c.start < total {
		return Frame{}, false, nil
	}
	c.buf.Retain()
	f = Frame{c.buf.bytes[c.start+framePrefix : c.start+total : c.start+total], c.buf}
	c.start += total
	c.last, c.cut = total, true
	if c.memory.root.overdraw.Load() == c {
		c.memory.settled(c)
	}
	return f, true, nil
}

// Partial reports whether a frame has begun to arrive and is not whole.
func (c *Cutter) Partial() bool { return c.end > c.start }

// Held is the size of the buffer that the cutter holds, in bytes.
func (c *Cutter) Held() int {
	if c.buf == nil {
		return 0
	}
	return len(c.buf.bytes)
}

// Declared is the size of the frame that is arriving, 0 while unknown.
func (c *Cutter) Declared() int { return c.wanted() }

// Rest is called before a wait for more bytes: a connection that is silent holds no memory, or, of those who may be many, little more than
// what it has sent.
func (c *Cutter) Rest() {
	if c.buf == nil {
		return
	}
	have := c.end - c.start
	switch {
	case have == 0:
		c.drop()
	case len(c.buf.bytes) > BufferSizeMin && have <= len(c.buf.bytes)/4 && (c.modest || c.last == 0 || c.memory.crowded()):
		c.move(have)
	}
}

// Close gives everything back.
func (c *Cutter) Close() {
	if c.buf != nil {
		c.drop()
	}
	c.memory.settled(c)
}

func (c *Cutter) drop() {
	c.buf.Release()
	c.buf, c.start, c.end = nil, 0, 0
}
