package codec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// Entry pins the id of one message type. Message is an example, a struct or a pointer to one: messages are encoded from and decoded
// to exactly its type.
type Entry struct {
	ID      uint16
	Message any
}

// Table says which messages there are. It is immutable and safe for concurrent use.
type Table struct {
	byID   map[uint16]*row
	byType map[reflect.Type]*row
}

type row struct {
	id      uint16
	typ     reflect.Type // as sent: the struct, or a pointer to it
	pointer bool
	shape   *shape // of the struct
}

// NewTable builds a table. It panics if an id or a type occurs twice, or a type has no encoding: both are known when the program is
// written.
func NewTable(entries ...Entry) *Table {
	t := &Table{map[uint16]*row{}, map[reflect.Type]*row{}}
	known := shapes{}
	for _, e := range entries {
		r := &row{id: e.ID, typ: reflect.TypeOf(e.Message)}
		s := r.typ
		if r.pointer = s.Kind() == reflect.Pointer; r.pointer {
			s = s.Elem()
		}
		if s.Kind() != reflect.Struct {
			panic(fmt.Sprintf("codec: message %d: %s is no struct", e.ID, r.typ))
		}
		var err error
		if r.shape, err = known.of(s, s.Name()); err != nil {
			panic("codec: " + err.Error())
		}
		if t.byID[e.ID] != nil || t.byType[r.typ] != nil {
			panic(fmt.Sprintf("codec: message %d (%s) is there twice", e.ID, r.typ))
		}
		t.byID[e.ID], t.byType[r.typ] = r, r
	}
	return t
}

// Entries lists the messages by id, each with a fresh zero value.
func (t *Table) Entries() []Entry {
	var out []Entry
	for _, r := range t.byID {
		v := reflect.New(r.shape.typ)
		if !r.pointer {
			v = v.Elem()
		}
		out = append(out, Entry{r.id, v.Interface()})
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Describe says how a message looks on the wire, one line, stable: the text of golden tests.
func (t *Table) Describe(id uint16) string {
	r := t.byID[id]
	if r == nil {
		return fmt.Sprintf("%d unknown", id)
	}
	return fmt.Sprintf("%d %s %s", id, r.shape.typ.Name(), r.shape)
}
