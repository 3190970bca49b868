package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/troupe-broker/troupe/actors"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// headerSize is the type id in front of a frame.
const headerSize = 2

// Decode makes a message of a frame of at most limit bytes. The message shares no memory with frame. Errors are ErrTooLarge,
// ErrUnknownType and ErrMalformed; they allocate nothing to speak of.
func (t *Table) Decode(frame []byte, limit int) (any, error) {
	if len(frame) > limit {
		return nil, fmt.Errorf("%w: %d bytes over the limit of %d", ErrTooLarge, len(frame), limit)
	}
	if len(frame) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(frame))
	}
	id := binary.BigEndian.Uint16(frame)
	r := t.byID[id]
	if r == nil {
		return nil, fmt.Errorf("%w %d", ErrUnknownType, id)
	}
	body := frame[headerSize:]
	if err := scan(r.shape, body); err != nil {
		return nil, fmt.Errorf("message %d (%s): %w", id, r.shape.typ.Name(), err)
	}
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(bytes.NewReader(body))
	v := reflect.New(r.shape.typ)
	if err := decode(dec, r.shape, v.Elem()); err != nil {
		return nil, fmt.Errorf("message %d (%s): %w: %w", id, r.shape.typ.Name(), ErrMalformed, err)
	}
	if !r.pointer {
		v = v.Elem()
	}
	return v.Interface(), nil
}

// decode reads one value that was scanned into v, which is zero.
func decode(dec *msgpack.Decoder, s *shape, v reflect.Value) error {
	c, err := dec.PeekCode()
	if err != nil {
		return err
	}
	if c == msgpcode.Nil {
		return dec.DecodeNil()
	}
	switch s.kind {
	case kindBool:
		b, err := dec.DecodeBool()
		v.SetBool(b)
		return err
	case kindInt:
		n, err := dec.DecodeInt64()
		v.SetInt(n)
		return err
	case kindUint:
		n, err := dec.DecodeUint64()
		v.SetUint(n)
		return err
	case kindFloat:
		f, err := dec.DecodeFloat64()
		v.SetFloat(f)
		return err
	case kindString:
		text, err := dec.DecodeString()
		v.SetString(text)
		return err
	case kindBytes:
		b, err := dec.DecodeBytes()
		v.SetBytes(b)
		return err
	case kindByteArray:
		b, err := dec.DecodeBytes()
		reflect.Copy(v, reflect.ValueOf(b))
		return err
	case kindPointer:
		v.Set(reflect.New(s.elem.typ))
		return decode(dec, s.elem, v.Elem())
	case kindSlice:
		return decodeSlice(dec, s, v)
	case kindPID:
		return decodePID(dec, v)
	}
	return decodeStruct(dec, s, v)
}

func decodeSlice(dec *msgpack.Decoder, s *shape, v reflect.Value) error {
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(s.typ, n, n))
	for i := range n {
		if err := decode(dec, s.elem, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeStruct(dec *msgpack.Decoder, s *shape, v reflect.Value) error {
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return err
	}
	for i := range n {
		if i < len(s.fields) {
			err = decode(dec, s.fields[i].shape, v.Field(s.fields[i].index))
		} else {
			err = dec.Skip()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func decodePID(dec *msgpack.Decoder, v reflect.Value) error {
	if _, err := dec.DecodeArrayLen(); err != nil {
		return err
	}
	address, err := dec.DecodeString()
	if err != nil {
		return err
	}
	id, err := dec.DecodeString()
	*v.Addr().Interface().(*actors.PID) = actors.NewPID(address, id)
	return err
}
