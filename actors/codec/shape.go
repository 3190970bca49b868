package codec

import (
	"fmt"
	"reflect"

	"github.com/troupe-broker/troupe/actors"
)

type kind uint8

const (
	kindBool kind = iota
	kindInt
	kindUint
	kindFloat
	kindString
	kindBytes     // []byte
	kindByteArray // [n]byte
	kindSlice
	kindPointer
	kindStruct
	kindPID
)

// shape is what the codec knows of a Go type, worked out once when a Table is built.
type shape struct {
	kind   kind
	typ    reflect.Type
	bits   int     // of integers and floats
	size   int     // bytes one value takes in memory, without what it points to
	elem   *shape  // of slices and pointers
	fields []field // of structs
}

type field struct {
	index int // in the Go struct
	name  string
	shape *shape
}

var (
	pidType  = reflect.TypeFor[actors.PID]()
	byteType = reflect.TypeFor[byte]()
)

// shapes remembers the types being worked out, so that a type may contain itself.
type shapes map[reflect.Type]*shape

// of works out the shape of t. where names the place, for the error.
func (known shapes) of(t reflect.Type, where string) (*shape, error) {
	if s := known[t]; s != nil {
		return s, nil
	}
	s := &shape{typ: t, size: int(t.Size())}
	known[t] = s
	var err error
	switch t.Kind() {
	case reflect.Bool:
		s.kind = kindBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind, s.bits = kindInt, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind, s.bits = kindUint, t.Bits()
	case reflect.Float32, reflect.Float64:
		s.kind, s.bits = kindFloat, t.Bits()
	case reflect.String:
		s.kind = kindString
	case reflect.Slice:
		if s.kind = kindSlice; t.Elem() == byteType {
			s.kind = kindBytes
			break
		}
		s.elem, err = known.of(t.Elem(), where+"[]")
	case reflect.Pointer:
		s.kind = kindPointer
		s.elem, err = known.of(t.Elem(), where)
	case reflect.Array:
		if s.kind = kindByteArray; t.Elem() != byteType {
			err = fmt.Errorf("%s: arrays of %s have no encoding: use a slice", where, t.Elem())
		}
	case reflect.Struct:
		err = known.structure(s, where)
	default:
		err = fmt.Errorf("%s: %s has no encoding", where, t)
	}
	return s, err
}

func (known shapes) structure(s *shape, where string) error {
	if s.typ == pidType {
		s.kind = kindPID
		return nil
	}
	s.kind = kindStruct
	for i := range s.typ.NumField() {
		f := s.typ.Field(i)
		if !f.IsExported() {
			return fmt.Errorf("%s: %s has the unexported field %s", where, s.typ, f.Name)
		}
		if f.Type.Kind() == reflect.Interface {
			continue
		}
		inner, err := known.of(f.Type, where+"."+f.Name)
		if err != nil {
			return err
		}
		s.fields = append(s.fields, field{i, f.Name, inner})
	}
	return nil
}

// String is the wire type, for golden tests: what it says may only grow at the end.
func (s *shape) String() string {
	switch s.kind {
	case kindBool:
		return "bool"
	case kindInt:
		return fmt.Sprintf("int%d", s.bits)
	case kindUint:
		return fmt.Sprintf("uint%d", s.bits)
	case kindFloat:
		return fmt.Sprintf("float%d", s.bits)
	case kindString:
		return "string"
	case kindBytes:
		return "bytes"
	case kindByteArray:
		return fmt.Sprintf("bytes%d", s.size)
	case kindSlice:
		return "[]" + s.elem.String()
	case kindPointer:
		return "*" + s.elem.typ.Name() // by name: the type may contain itself
	case kindPID:
		return "pid"
	}
	out := "{"
	for i, f := range s.fields {
		if i > 0 {
			out += " "
		}
		out += f.name + ":" + f.shape.String()
	}
	return out + "}"
}
