package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// strictObject checks the fields of a JSON object before it is decoded: encoding/json takes a name in any case, and of two fields of one name
// the last. fields are those it may have, each with a check of its value or nil. Errors name the field.
func strictObject(raw []byte, what string, fields map[string]func(json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("%s is a JSON object, not %s", what, jsonKind(raw))
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name := token.(string) // the decoder lets nothing else be a name
		check, known := fields[name]
		var value json.RawMessage
		switch err := dec.Decode(&value); {
		case err != nil:
			return err
		case !known:
			return unknownField(name, what, fields)
		case seen[name]:
			return fmt.Errorf("%s has the field %q twice", what, name)
		}
		seen[name] = true
		if check == nil {
			continue
		}
		if err := check(value); err != nil {
			return err
		}
	}
	return nil
}

// jsonKind is what a JSON value is, for people.
func jsonKind(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '[':
		return "an array"
	case raw[0] == '"':
		return "text"
	case raw[0] == 'n':
		return "null"
	}
	return "a number or a boolean"
}

// unknownField names the field that a misspelt one is like.
func unknownField[V any](name, what string, fields map[string]V) error {
	var names []string
	for field := range fields {
		names = append(names, field)
	}
	slices.Sort(names)
	if near := nearest(strings.ToLower(name), names); near != "" {
		return fmt.Errorf("unknown field %q in %s; did you mean %q?", name, what, near)
	}
	return fmt.Errorf("unknown field %q in %s; there are %s", name, what, strings.Join(names, ", "))
}

// fieldsOf are the names of the fields in the JSON form of a struct, without checks.
func fieldsOf[T any]() map[string]func(json.RawMessage) error {
	out := map[string]func(json.RawMessage) error{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = nil
	}
	return out
}

// recordFields are what a record may have, and headerFields what one of its headers may.
var (
	headerFields = fieldsOf[headerJSON]()
	recordFields = func() map[string]func(json.RawMessage) error {
		out := fieldsOf[recordJSON]()
		out["headers"] = strictHeaders
		return out
	}()
)

func strictHeaders(raw json.RawMessage) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf(`headers are a JSON array of {"key":..., "value":...}, not %s`, jsonKind(raw))
	}
	for _, one := range list {
		if err := strictObject(one, "a header", headerFields); err != nil {
			return err
		}
	}
	return nil
}

// lineCounter tells on which line an offset of a stream is. It keeps the ends of the lines that were read and not passed yet: as many as the
// reader's buffer and one record hold.
type lineCounter struct {
	in     io.Reader
	read   int64   // bytes
	passed int     // lines
	ends   []int64 // offsets of the newlines to come
}

func (l *lineCounter) Read(b []byte) (int, error) {
	n, err := l.in.Read(b)
	for i, c := range b[:n] {
		if c == '\n' {
			l.ends = append(l.ends, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at is the number of the line, from 1, that offset is on. Offsets may not go back.
func (l *lineCounter) at(offset int64) int {
	n := 0
	for n < len(l.ends) && l.ends[n] < offset {
		n++
	}
	l.ends = slices.Delete(l.ends, 0, n)
	l.passed += n
	return l.passed + 1
}
