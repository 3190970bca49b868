package wire

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed is returned for bytes that are not what the protocol says they are.
var ErrMalformed = errors.New("malformed request")

// tagsMax is the number of tagged fields one structure may have. Source: Kafka 4.3 RawTaggedFieldReader.
const tagsMax = 10_000

// Reader decodes the primitives of the Kafka protocol from a frame. Every length is checked against what remains before it is
// used. After the first error it yields zeros and Err reports ErrMalformed, so that decoders check once, at the end. What it
// returns are views of the frame.
type Reader struct {
	rest     []byte
	bad      bool
	Flexible bool // compact lengths and tagged fields (KIP-482)
}

// NewReader reads b.
func NewReader(b []byte, flexible bool) Reader { return Reader{rest: b, Flexible: flexible} }

// Err is ErrMalformed if anything read so far was.
func (r *Reader) Err() error {
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// Rest is what was not read yet.
func (r *Reader) Rest() []byte { return r.rest }

// Fail marks the input as malformed.
func (r *Reader) Fail() { r.rest, r.bad = nil, true }

// Span is the next n bytes.
func (r *Reader) Span(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.Fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *Reader) Bool() bool { return r.Int8() != 0 }

func (r *Reader) Int8() int8 {
	if b := r.Span(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *Reader) Int16() int16 {
	if b := r.Span(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *Reader) Int32() int32 {
	if b := r.Span(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *Reader) Int64() int64 {
	if b := r.Span(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *Reader) UUID() (id [16]byte) {
	copy(id[:], r.Span(16))
	return id
}

// Uvarint reads an unsigned varint of at most 32 bits; longer ones are malformed.
func (r *Reader) Uvarint() uint32 {
	var x uint32
	for i := range 5 {
		if i >= len(r.rest) {
			break
		}
		b := r.rest[i]
		if i == 4 && b > 0x0f {
			break
		}
		x |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.rest = r.rest[i+1:]
			return x
		}
	}
	r.Fail()
	return 0
}

// length reads a length: -1 is null, anything below is malformed.
func (r *Reader) length(short bool) int {
	var n int
	switch {
	case r.Flexible:
		n = int(r.Uvarint()) - 1
	case short:
		n = int(r.Int16())
	default:
		n = int(r.Int32())
	}
	if n < -1 {
		r.Fail()
	}
	if r.bad {
		return -1
	}
	return n
}

// String is a string that may not be null.
func (r *Reader) String() []byte { return r.Span(r.length(true)) }

// NullableString is a string; ok is false for null.
func (r *Reader) NullableString() (s []byte, ok bool) {
	n := r.length(true)
	if n < 0 {
		return nil, false
	}
	return r.Span(n), true
}

// NullableBytes is a byte field; nil for null, never nil for an empty one.
func (r *Reader) NullableBytes() []byte {
	n := r.length(false)
	if n < 0 {
		return nil
	}
	b := r.Span(n)
	if b == nil && !r.bad {
		b = []byte{}
	}
	return b
}

// Array is the number of elements that follow, -1 for null. min is the size of the smallest element in bytes: more elements than
// what remains could hold are malformed, whatever is announced.
func (r *Reader) Array(min int) int {
	n := r.length(false)
	if n > 0 && n > len(r.rest)/min {
		r.Fail()
		return -1
	}
	return n
}

// Tags reads the tagged fields at the end of a structure, calling known (which may be nil) for each; keys must rise strictly. A field
// that known finds too short makes the whole malformed.
func (r *Reader) Tags(known func(key uint32, field *Reader)) {
	if !r.Flexible {
		return
	}
	n := r.Uvarint()
	if n > tagsMax {
		r.Fail()
	}
	last := int64(-1)
	for ; n > 0 && !r.bad; n-- {
		key := r.Uvarint()
		field := r.Span(int(r.Uvarint()))
		if int64(key) <= last {
			r.Fail()
		}
		last = int64(key)
		if known != nil && !r.bad {
			tagged := Reader{rest: field, Flexible: true}
			if known(key, &tagged); tagged.bad {
				r.Fail()
			}
		}
	}
}
