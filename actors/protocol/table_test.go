package protocol

import (
	"encoding/hex"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/table.txt; commit a diff only if it adds")

// TestTableIsWhatWasReleased holds every message's id, fields and bytes against testdata/table.txt. A line may only grow at its end
// (a new field), a file only by lines (a new message): anything else breaks nodes of another release.
func TestTableIsWhatWasReleased(t *testing.T) {
	const golden = "testdata/table.txt"
	table := NewTable()
	var out strings.Builder
	for _, e := range table.Entries() {
		msg := filled(e.Message)
		frame, err := table.Encode(nil, msg)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n\t%s\n", table.Describe(e.ID), hex.EncodeToString(frame))
	}
	if *rewrite {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("the wire contract changed; if it only grew, run go test ./actors/protocol -rewrite\n%s", firstDifference(out.String(), string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

func TestEveryMessageComesBackAsItWas(t *testing.T) {
	table := NewTable()
	for _, e := range table.Entries() {
		for _, msg := range []any{e.Message, filled(e.Message)} {
			frame, err := table.Encode(nil, msg)
			if err != nil {
				t.Fatal(err)
			}
			got, err := table.Decode(frame, len(frame))
			if err != nil {
				t.Errorf("%T: %v", msg, err)
			} else if !reflect.DeepEqual(got, msg) {
				t.Errorf("%T:\n got %+v\nwant %+v", msg, got, msg)
			}
		}
	}
}

// filled sets every field of a message to something that is not zero.
func filled(msg any) any {
	v := reflect.New(reflect.TypeOf(msg).Elem())
	n := 0
	fill(v.Elem(), &n)
	return v.Interface()
}

func fill(v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[actors.PID]() {
		v.Set(reflect.ValueOf(actors.NewPID("node", fmt.Sprintf("id%d", *n))))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(-*n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 2)
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", *n))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(i + 1))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	}
}

// TestEveryMessageHasAnID reads the source: a struct that embeds Head or Answer is a message.
func TestEveryMessageHasAnID(t *testing.T) {
	listed := map[string]bool{}
	for _, e := range NewTable().Entries() {
		listed[reflect.TypeOf(e.Message).Elem().Name()] = true
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if ok && isMessage(spec) && !listed[spec.Name.Name] {
				t.Errorf("%s: give %s an id in table.go, the next free one, and run go test -rewrite", name, spec.Name.Name)
			}
			return true
		})
	}
}

func isMessage(spec *ast.TypeSpec) bool {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return false
	}
	for _, f := range s.Fields.List {
		if id, ok := f.Type.(*ast.Ident); ok && len(f.Names) == 0 && (id.Name == "Head" || id.Name == "Answer") {
			return true
		}
	}
	return false
}
