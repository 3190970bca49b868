package api

import (
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// kmsg decodes a request by allocating an array of as many structures as the frame announces, checking only that a byte each
// remains, and loops as often as a tag count says. A frame of 100 MiB could so take tens of GiB, or minutes. So a request is
// walked here first, by its layout, without allocating: every length against what remains, every count charged to a budget.

// decodeBudget is the memory in bytes that decoding a request of n bytes may take.
func decodeBudget(n int) int { return min(budgetFactor*n+budgetFloor, budgetMax) }

const (
	budgetFactor = 16
	budgetFloor  = 64 << 10  // bytes
	budgetMax    = 128 << 20 // bytes; no request but Produce and Fetch comes near

	structCost = 128 // bytes: at least what the largest element of a request takes; see TestStructCostCoversEveryElement
	scalarCost = 24
	tagCost    = 96 // a map entry of kmsg's
)

// layout is the shape of a request: its fields in wire order. It is written as text, one line a request:
//
//	fields    name type [versions], separated by ";"
//	types     bool i8 i16 i32 i64 f64 uuid str bytes, or { fields }
//	          []type is an array; "type?" a structure that may be absent
//	versions  "2" "2-5" "3+"; every version if absent
type layout []field

type field struct {
	kind     byte // 'b' fixed width, 's' string, 'y' bytes, '{' structure, '?' optional structure
	width    int  // bytes, for 'b'
	array    bool
	min, max int16
	fields   layout
}

var widths = map[string]int{"bool": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "f64": 8, "uuid": 16}

// mustLayout parses a layout; a mistake in the text is a bug and panics.
func mustLayout(text string) layout {
	p := &layoutParser{words: strings.Fields(strings.NewReplacer("{", " { ", "}", " } ", ";", " ; ").Replace(text))}
	l := p.fields()
	if len(p.words) > 0 {
		panic("layout: " + text + ": unexpected " + p.words[0])
	}
	return l
}

type layoutParser struct{ words []string }

func (p *layoutParser) next() (w string) {
	if len(p.words) > 0 {
		w, p.words = p.words[0], p.words[1:]
	}
	return w
}

func (p *layoutParser) fields() (l layout) {
	for len(p.words) > 0 && p.words[0] != "}" {
		if p.words[0] == ";" {
			p.next()
			continue
		}
		l = append(l, p.field())
	}
	return l
}

func (p *layoutParser) field() field {
	p.next() // the name
	f := field{max: 1<<15 - 1}
	kind := p.next()
	kind, f.array = strings.CutPrefix(kind, "[]")
	switch {
	case kind == "" || kind == "?":
		if p.next() != "{" {
			panic("layout: a structure without fields")
		}
		f.kind = '{'
		if kind == "?" {
			f.kind = '?'
		}
		f.fields = p.fields()
		p.next()
	case kind == "str":
		f.kind = 's'
	case kind == "bytes":
		f.kind = 'y'
	case widths[kind] > 0:
		f.kind, f.width = 'b', widths[kind]
	default:
		panic("layout: unknown type " + kind)
	}
	if len(p.words) > 0 && p.words[0] != ";" && p.words[0] != "}" {
		f.versions(p.next())
	}
	return f
}

func (f *field) versions(text string) {
	from, to, ranged := strings.Cut(strings.TrimSuffix(text, "+"), "-")
	lo, err := strconv.Atoi(from)
	f.min = int16(lo)
	if ranged && err == nil {
		lo, err = strconv.Atoi(to)
	}
	if !strings.HasSuffix(text, "+") {
		f.max = int16(lo)
	}
	if err != nil {
		panic("layout: versions " + text)
	}
}

// scan walks a request body. It reports an error for anything kmsg should not see; what is after the body is ignored, as Kafka does.
func (l layout) scan(version int16, flexible bool, body []byte) error {
	r := wire.NewReader(body, flexible)
	s := scanner{&r, version, decodeBudget(len(body))}
	s.structure(l)
	return r.Err()
}

type scanner struct {
	*wire.Reader
	version int16
	budget  int
}

func (s *scanner) structure(l layout) {
	for i := range l {
		f := &l[i]
		if s.version < f.min || s.version > f.max {
			continue
		}
		n := 1
		if f.array {
			n = max(0, s.Array(1))
			charge(s.Reader, &s.budget, n*f.cost())
		}
		for ; n > 0 && s.Err() == nil; n-- {
			s.value(f)
		}
	}
	s.Tags(func(_ uint32, field *wire.Reader) {
		charge(s.Reader, &s.budget, tagCost+len(field.Rest()))
	})
}

// cost is what one element of an array takes in memory, in bytes.
func (f *field) cost() int {
	if f.fields != nil {
		return structCost
	}
	return scalarCost
}

func (s *scanner) value(f *field) {
	switch f.kind {
	case 'b':
		s.Span(f.width)
	case 's':
		text, _ := s.NullableString()
		charge(s.Reader, &s.budget, len(text))
	case 'y':
		charge(s.Reader, &s.budget, len(s.NullableBytes()))
	case '?':
		if s.Int8() >= 0 {
			s.structure(f.fields)
		}
	case '{':
		s.structure(f.fields)
	}
}
