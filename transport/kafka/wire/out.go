package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Range is a run of bytes of a file that leaves with a reply without passing through our memory. Whoever holds it calls Release
// once; until then the file stays readable.
type Range struct {
	File io.ReaderAt
	Pos  int64
	Len  int
	Pin  interface{ Release() } // nil: nothing to release
}

// Release gives the file back.
func (r Range) Release() {
	if r.Pin != nil {
		r.Pin.Release()
	}
}

// Splice says that Range leaves before the byte Out.Buf[At].
type Splice struct {
	At int
	Range
}

// copyMax is the length in bytes up to which a Range is copied into the reply instead of being spliced: one pread is cheaper than
// ending a write, starting a sendfile and going on, as measured on loopback.
const copyMax = 32 << 10

// Out collects encoded replies: bytes, and in between ranges of files. For one goroutine.
type Out struct {
	Writer
	Splices []Splice
	spliced int   // bytes in Splices
	Err     error // a file could not be read: the bytes are not what they claim to be, the connection must end
}

// Len is the size in bytes of everything collected.
func (o *Out) Len() int { return len(o.Buf) + o.spliced }

// Begin starts a frame and returns the place of its length, for End.
func (o *Out) Begin() (mark Mark) {
	mark = Mark{len(o.Buf), o.spliced}
	o.Int32(0)
	return mark
}

// Mark is the place of a frame's length.
type Mark struct{ at, spliced int }

// End fills in the length of the frame that Begin started and returns the frame's whole size in bytes.
func (o *Out) End(m Mark) int {
	size := len(o.Buf) - m.at + o.spliced - m.spliced
	binary.BigEndian.PutUint32(o.Buf[m.at:], uint32(size-framePrefix))
	return size
}

// Range appends the bytes of r and takes over its Release.
func (o *Out) Range(r Range) {
	if r.Len > copyMax {
		o.Splices = append(o.Splices, Splice{len(o.Buf), r})
		o.spliced += r.Len
		return
	}
	n := len(o.Buf)
	o.Buf = append(o.Buf, make([]byte, r.Len)...)
	if got, err := r.File.ReadAt(o.Buf[n:], r.Pos); got < r.Len {
		o.Err = fmt.Errorf("reading %d bytes at %d of a segment: %w", r.Len, r.Pos, err)
	}
	r.Release()
}

// Reset forgets everything collected, releasing what was not taken. The buffer is kept unless it grew past keep bytes.
func (o *Out) Reset(keep int) {
	for _, s := range o.Splices {
		s.Release()
	}
	clear(o.Splices)
	o.Splices, o.spliced, o.Err = o.Splices[:0], 0, nil
	if o.Buf = o.Buf[:0]; cap(o.Buf) > keep {
		o.Buf = nil
	}
}

// AppendTo appends everything collected to dst, reading the ranges: for peers without a socket of the kernel's.
func (o *Out) AppendTo(dst []byte) ([]byte, error) {
	at := 0
	for _, s := range o.Splices {
		dst = append(dst, o.Buf[at:s.At]...)
		at = s.At
		n := len(dst)
		dst = append(dst, make([]byte, s.Len)...)
		if got, err := s.File.ReadAt(dst[n:], s.Pos); got < s.Len {
			return dst[:n], fmt.Errorf("reading %d bytes at %d of a segment: %w", s.Len, s.Pos, err)
		}
	}
	return append(dst, o.Buf[at:]...), o.Err
}
