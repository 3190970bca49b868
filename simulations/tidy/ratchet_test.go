package tidy

import (
	"go/ast"
	"testing"
)

const (
	functionLinesMax = 70
	fileLinesMax     = 800
)

// longFunctions are the functions over functionLinesMax, as "file function", with the reason. The list may only shrink: an entry
// that is no longer needed fails the test, a new one is a discussion.
var longFunctions = map[string]string{}

// longFiles are the files over fileLinesMax, with the reason. The list may only shrink.
var longFiles = map[string]string{}

func TestFunctionsStayShort(t *testing.T) {
	tr := load(t)
	found := map[string]bool{}
	for _, f := range tr.files {
		if f.test || f.generated {
			continue
		}
		for _, d := range f.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := tr.fset.Position(fn.End()).Line - tr.fset.Position(fn.Pos()).Line + 1
			key := f.path + " " + functionName(fn)
			if n > functionLinesMax {
				found[key] = true
			}
			if n > functionLinesMax && longFunctions[key] == "" {
				t.Errorf("%s: %s has %d lines, over %d: split it by what it decides", tr.at(fn.Pos()), functionName(fn), n, functionLinesMax)
			}
		}
	}
	shrink(t, "longFunctions", longFunctions, found)
}

func TestFilesStayShort(t *testing.T) {
	found := map[string]bool{}
	for _, f := range load(t).files {
		n := lines(f.bytes)
		if f.generated || n <= fileLinesMax {
			continue
		}
		found[f.path] = true
		if longFiles[f.path] == "" {
			t.Errorf("%s has %d lines, over %d: one idea per file", f.path, n, fileLinesMax)
		}
	}
	shrink(t, "longFiles", longFiles, found)
}

func shrink(t *testing.T, name string, list map[string]string, found map[string]bool) {
	for key := range list {
		if !found[key] {
			t.Errorf("%s: %q is no longer too long; strike the entry", name, key)
		}
	}
}

// functionName is Name or Type.Name.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	x := fn.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name + "." + fn.Name.Name
	case *ast.IndexExpr:
		if id, ok := x.X.(*ast.Ident); ok {
			return id.Name + "." + fn.Name.Name
		}
	}
	return fn.Name.Name
}
