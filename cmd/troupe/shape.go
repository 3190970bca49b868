package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// shapeOf describes the JSON form of a type: its fields, what they are, and what they mean (the struct tag doc).
func shapeOf(t reflect.Type) string {
	var b strings.Builder
	writeShape(&b, t, "")
	b.WriteByte('\n')
	return b.String()
}

// shapeFor is shapeOf of a type known when compiling.
func shapeFor[T any]() string { return shapeOf(reflect.TypeFor[T]()) }

func writeShape(b *strings.Builder, t reflect.Type, indent string) {
	if t == reflect.TypeFor[json.RawMessage]() {
		b.WriteString("anything")
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		writeShape(b, t.Elem(), indent)
	case reflect.Slice:
		b.WriteString("[")
		writeShape(b, t.Elem(), indent)
		b.WriteString(", ...]")
	case reflect.Map:
		b.WriteString("{" + t.Key().Kind().String() + ": ")
		writeShape(b, t.Elem(), indent)
		b.WriteString(", ...}")
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			b.WriteString("timestamp")
			return
		}
		b.WriteString("{\n")
		writeFields(b, t, indent+"  ")
		b.WriteString(indent + "}")
	default:
		b.WriteString(scalarShape(t))
	}
}

func writeFields(b *strings.Builder, t reflect.Type, indent string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			writeFields(b, f.Type, indent)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		var value strings.Builder
		writeShape(&value, f.Type, indent)
		note := f.Tag.Get("doc")
		if strings.Contains(options, "omitempty") {
			note = strings.TrimPrefix(note+" (if any)", " ")
		}
		if note != "" {
			note = "  # " + note
		}
		shape := value.String()
		if first, rest, multi := strings.Cut(shape, "\n"); multi {
			fmt.Fprintf(b, "%s%q: %s%s\n%s\n", indent, name, first, note, rest)
			continue
		}
		fmt.Fprintf(b, "%s%q: %s%s\n", indent, name, shape, note)
	}
}

func scalarShape(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true|false"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Interface:
		return "anything"
	}
	return "integer"
}
