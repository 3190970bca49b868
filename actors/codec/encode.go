package codec

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/troupe-broker/troupe/actors"
	"github.com/vmihailenco/msgpack/v5"
)

// Encode appends the frame of msg to dst. It fails with ErrUnknownType if the table does not list the type; msg is only read.
func (t *Table) Encode(dst []byte, msg any) ([]byte, error) {
	r := t.byType[reflect.TypeOf(msg)]
	if r == nil {
		return dst, fmt.Errorf("%w %T", ErrUnknownType, msg)
	}
	v := reflect.ValueOf(msg)
	if r.pointer {
		if v.IsNil() {
			return dst, fmt.Errorf("%w: nil %T", ErrMalformed, msg)
		}
		v = v.Elem()
	}
	out := &appender{binary.BigEndian.AppendUint16(dst, r.id)}
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(out)
	if err := encode(enc, r.shape, v); err != nil {
		return dst, fmt.Errorf("encoding %T: %w", msg, err)
	}
	return out.b, nil
}

// appender is the writer of an Encoder.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func (a *appender) WriteByte(c byte) error {
	a.b = append(a.b, c)
	return nil
}

func encode(enc *msgpack.Encoder, s *shape, v reflect.Value) error {
	switch s.kind {
	case kindBool:
		return enc.EncodeBool(v.Bool())
	case kindInt:
		return enc.EncodeInt(v.Int())
	case kindUint:
		return enc.EncodeUint(v.Uint())
	case kindFloat:
		return enc.EncodeFloat64(v.Float())
	case kindString:
		return enc.EncodeString(v.String())
	case kindBytes:
		return enc.EncodeBytes(v.Bytes())
	case kindByteArray:
		return encodeByteArray(enc, v)
	case kindSlice:
		return encodeSlice(enc, s, v)
	case kindPointer:
		if v.IsNil() {
			return enc.EncodeNil()
		}
		return encode(enc, s.elem, v.Elem())
	case kindPID:
		return encodePID(enc, v.Interface().(actors.PID))
	}
	if err := enc.EncodeArrayLen(len(s.fields)); err != nil {
		return err
	}
	for _, f := range s.fields {
		if err := encode(enc, f.shape, v.Field(f.index)); err != nil {
			return err
		}
	}
	return nil
}

func encodeByteArray(enc *msgpack.Encoder, v reflect.Value) error {
	if !v.CanAddr() {
		fresh := reflect.New(v.Type()).Elem()
		fresh.Set(v)
		v = fresh
	}
	return enc.EncodeBytes(v.Slice(0, v.Len()).Bytes())
}

func encodeSlice(enc *msgpack.Encoder, s *shape, v reflect.Value) error {
	if v.IsNil() {
		return enc.EncodeNil()
	}
	if err := enc.EncodeArrayLen(v.Len()); err != nil {
		return err
	}
	for i := range v.Len() {
		if err := encode(enc, s.elem, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func encodePID(enc *msgpack.Encoder, pid actors.PID) error {
	if pid.IsZero() {
		return enc.EncodeNil()
	}
	if err := enc.EncodeArrayLen(2); err != nil {
		return err
	}
	if err := enc.EncodeString(pid.Address()); err != nil {
		return err
	}
	return enc.EncodeString(pid.ID())
}
