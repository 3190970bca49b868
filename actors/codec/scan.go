package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

var (
	// ErrUnknownType: the table has no such message; a newer release may.
	ErrUnknownType = errors.New("unknown message type")
	// ErrMalformed: the bytes are no message of their type.
	ErrMalformed = errors.New("malformed message")
	// ErrTooLarge: the frame, or what it would decode to, is over a bound.
	ErrTooLarge = errors.New("message too large")
)

const (
	// nestingMax bounds arrays within arrays.
	nestingMax = 16
	// A frame of n bytes may decode to memoryPerByte*n + memoryFree bytes. The densest honest content is a list of short lists or
	// strings, about 14 bytes of memory for one of the wire; the constant part is for small messages of many empty fields.
	memoryPerByte = 16
	memoryFree    = 4 << 10
	// pidMemory is what a decoded PID takes beyond its two strings.
	pidMemory = 112
)

// scanner walks a value without allocating.
type scanner struct {
	b      []byte
	at     int
	budget int // bytes of memory the result may still take
}

// scan checks that body is exactly one value of shape s.
func scan(s *shape, body []byte) error {
	sc := &scanner{b: body, budget: memoryPerByte*len(body) + memoryFree}
	if err := sc.spend(s.size); err != nil {
		return err
	}
	if err := sc.value(s, 0); err != nil {
		return err
	}
	if left := len(body) - sc.at; left > 0 {
		return fmt.Errorf("%w: %d bytes after its end", ErrMalformed, left)
	}
	return nil
}

// value checks one value of shape s.
func (sc *scanner) value(s *shape, depth int) error {
	c, err := sc.code(depth)
	if err != nil || c == msgpcode.Nil {
		return err // nil is the zero value of every type
	}
	switch s.kind {
	case kindBool:
		return expect(c == msgpcode.True || c == msgpcode.False, c, s)
	case kindInt, kindUint:
		return sc.integer(s, c)
	case kindFloat:
		if c != msgpcode.Double {
			return expect(false, c, s)
		}
		return sc.payload(8, 0)
	case kindString:
		return sc.text(s, c)
	case kindBytes, kindByteArray:
		return sc.bytes(s, c)
	case kindPointer:
		sc.at--
		if err := sc.spend(s.elem.size); err != nil {
			return err
		}
		return sc.value(s.elem, depth+1)
	case kindSlice:
		return sc.slice(s, c, depth)
	case kindPID:
		return sc.pid(s, c, depth)
	}
	return sc.structure(s, c, depth)
}

// code takes the first byte of a value.
func (sc *scanner) code(depth int) (byte, error) {
	if depth > nestingMax {
		return 0, fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, nestingMax)
	}
	if sc.at == len(sc.b) {
		return 0, fmt.Errorf("%w: it ends in the middle", ErrMalformed)
	}
	sc.at++
	return sc.b[sc.at-1], nil
}

func expect(ok bool, c byte, s *shape) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%w: code %#x for %s", ErrMalformed, c, s.typ)
}

func (sc *scanner) spend(memory int) error {
	if sc.budget -= memory; sc.budget < 0 {
		return fmt.Errorf("%w: %d bytes would decode to more than %d times as much memory", ErrTooLarge, len(sc.b), memoryPerByte)
	}
	return nil
}

// payload passes over n bytes that decode to memory bytes.
func (sc *scanner) payload(n, memory int) error {
	if n > len(sc.b)-sc.at {
		return fmt.Errorf("%w: a length of %d with %d bytes left", ErrMalformed, n, len(sc.b)-sc.at)
	}
	sc.at += n
	return sc.spend(memory)
}

// number reads an unsigned integer of the given width in bytes.
func (sc *scanner) number(width int) (uint64, error) {
	if err := sc.payload(width, 0); err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[8-width:], sc.b[sc.at-width:sc.at])
	return binary.BigEndian.Uint64(wide[:]), nil
}

// integer checks that the number fits the field.
func (sc *scanner) integer(s *shape, c byte) error {
	if msgpcode.IsFixedNum(c) {
		return fits(s, int64(int8(c)), false)
	}
	switch {
	case c >= msgpcode.Uint8 && c <= msgpcode.Uint64:
		n, err := sc.number(1 << (c - msgpcode.Uint8))
		if err != nil {
			return err
		}
		return fits(s, int64(n), n > math.MaxInt64)
	case c >= msgpcode.Int8 && c <= msgpcode.Int64:
		width := 1 << (c - msgpcode.Int8)
		n, err := sc.number(width)
		if err != nil {
			return err
		}
		shift := 64 - 8*width
		return fits(s, int64(n)<<shift>>shift, false)
	}
	return expect(false, c, s)
}

// fits compares n, or n + 2^64 if huge, with the width of s.
func fits(s *shape, n int64, huge bool) error {
	var ok bool
	if s.kind == kindUint {
		ok = huge && s.bits == 64 || !huge && n >= 0 && (s.bits == 64 || n < 1<<s.bits)
	} else {
		shift := 64 - s.bits
		ok = !huge && n<<shift>>shift == n
	}
	if !ok {
		return fmt.Errorf("%w: a number out of the range of %s", ErrMalformed, s.typ)
	}
	return nil
}

func (sc *scanner) text(s *shape, c byte) error {
	n, err := int(c&msgpcode.FixedStrMask), error(nil)
	switch {
	case msgpcode.IsFixedString(c):
	case c >= msgpcode.Str8 && c <= msgpcode.Str32:
		n, err = sc.length(1 << (c - msgpcode.Str8))
	default:
		err = expect(false, c, s)
	}
	if err != nil {
		return err
	}
	return sc.payload(n, n)
}

func (sc *scanner) bytes(s *shape, c byte) error {
	if c < msgpcode.Bin8 || c > msgpcode.Bin32 {
		return expect(false, c, s)
	}
	n, err := sc.length(1 << (c - msgpcode.Bin8))
	if err != nil {
		return err
	}
	if s.kind == kindByteArray && n != s.size {
		return fmt.Errorf("%w: %d bytes for %s", ErrMalformed, n, s.typ)
	}
	return sc.payload(n, n)
}

func (sc *scanner) length(width int) (int, error) {
	n, err := sc.number(width)
	return int(n), err
}

// array reads the header of an array. Every element takes at least one byte, so a count over the bytes left is a lie.
func (sc *scanner) array(s *shape, c byte) (n int, err error) {
	switch {
	case msgpcode.IsFixedArray(c):
		n = int(c & msgpcode.FixedArrayMask)
	case c == msgpcode.Array16:
		n, err = sc.length(2)
	case c == msgpcode.Array32:
		n, err = sc.length(4)
	default:
		err = expect(false, c, s)
	}
	if err == nil && n > len(sc.b)-sc.at {
		err = fmt.Errorf("%w: %d elements with %d bytes left", ErrMalformed, n, len(sc.b)-sc.at)
	}
	return n, err
}

func (sc *scanner) slice(s *shape, c byte, depth int) error {
	n, err := sc.array(s, c)
	if err != nil {
		return err
	}
	if err := sc.spend(n * s.elem.size); err != nil {
		return err
	}
	for range n {
		if err := sc.value(s.elem, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (sc *scanner) structure(s *shape, c byte, depth int) error {
	n, err := sc.array(s, c)
	if err != nil {
		return err
	}
	for i := range n {
		if i < len(s.fields) {
			err = sc.value(s.fields[i].shape, depth+1)
		} else {
			err = sc.unknown(s, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (sc *scanner) pid(s *shape, c byte, depth int) error {
	if err := sc.spend(pidMemory); err != nil {
		return err
	}
	n, err := sc.array(s, c)
	if err != nil {
		return err
	}
	if n != 2 {
		return fmt.Errorf("%w: a PID of %d parts", ErrMalformed, n)
	}
	for range n {
		c, err := sc.code(depth + 1)
		if err != nil {
			return err
		}
		if err := sc.text(s, c); err != nil {
			return err
		}
	}
	return nil
}

// unknown passes over a value of any type that a newer release added.
func (sc *scanner) unknown(in *shape, depth int) error {
	c, err := sc.code(depth)
	switch {
	case err != nil:
		return err
	case c == msgpcode.Nil, c == msgpcode.True, c == msgpcode.False, msgpcode.IsFixedNum(c):
		return nil
	case c >= msgpcode.Uint8 && c <= msgpcode.Uint64:
		return sc.payload(1<<(c-msgpcode.Uint8), 0)
	case c >= msgpcode.Int8 && c <= msgpcode.Int64:
		return sc.payload(1<<(c-msgpcode.Int8), 0)
	case c == msgpcode.Float:
		return sc.payload(4, 0)
	case c == msgpcode.Double:
		return sc.payload(8, 0)
	case msgpcode.IsString(c):
		return sc.text(in, c)
	case c >= msgpcode.Bin8 && c <= msgpcode.Bin32:
		n, err := sc.length(1 << (c - msgpcode.Bin8))
		if err != nil {
			return err
		}
		return sc.payload(n, 0)
	}
	n, err := sc.array(in, c) // maps and extensions fail here
	if err != nil {
		return err
	}
	for range n {
		if err := sc.unknown(in, depth+1); err != nil {
			return err
		}
	}
	return nil
}
