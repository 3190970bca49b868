package tidy

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/troupe-broker/troupe"

// source is one Go file of the module.
type source struct {
	path      string // relative to the root, slash-separated
	pkg       string // its directory
	test      bool
	generated bool
	bytes     []byte
	file      *ast.File
}

// imports are the paths f imports, with the position of each.
func (s *source) imports() map[string]token.Pos {
	out := map[string]token.Pos{}
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		out[p] = spec.Pos()
	}
	return out
}

type tree struct {
	root  string
	fset  *token.FileSet
	files []*source
	texts []string // every other file that people read: Markdown, shell, YAML, HTML, CSS, JavaScript
}

// at renders a position relative to the root.
func (t *tree) at(p token.Pos) string {
	pos := t.fset.Position(p)
	return pos.Filename + ":" + strconv.Itoa(pos.Line)
}

var (
	loadOnce sync.Once
	loaded   *tree
	loadErr  error
)

// load parses the tree once for all tests. A nested module (a directory with its own go.mod) is another house.
func load(t *testing.T) *tree {
	t.Helper()
	loadOnce.Do(func() { loaded, loadErr = parseTree(filepath.Join("..", "..")) })
	if loadErr != nil {
		t.Fatal(loadErr)
	}
	return loaded
}

func parseTree(root string) (*tree, error) {
	out := &tree{root: root, fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			return enter(name, rel)
		}
		return out.add(name, rel)
	})
	return out, err
}

func enter(name, rel string) error {
	base := path.Base(rel)
	if rel == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") && base != ".ci" || base == "testdata" || base == "bin" || base == "node_modules" {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (t *tree) add(name, rel string) error {
	switch path.Ext(rel) {
	case ".go":
	case ".md", ".sh", ".yml", ".yaml", ".html", ".css", ".js":
		t.texts = append(t.texts, rel)
		return nil
	default:
		return nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(t.fset, rel, b, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &source{
		path: rel, pkg: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), generated: ast.IsGenerated(f), bytes: b, file: f,
	})
	return nil
}

// packages groups the non-test files by directory, in order.
func (t *tree) packages() (names []string, byName map[string][]*source) {
	byName = map[string][]*source{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		if byName[f.pkg] == nil {
			names = append(names, f.pkg)
		}
		byName[f.pkg] = append(byName[f.pkg], f)
	}
	sort.Strings(names)
	return names, byName
}

// ours strips the module from an import path; ok is false for the standard library and other modules.
func ours(importPath string) (rel string, ok bool) {
	return strings.CutPrefix(importPath, module+"/")
}

// within reports whether the package pkg is dir or below it.
func within(pkg, dir string) bool {
	return pkg == dir || strings.HasPrefix(pkg, dir+"/")
}

func lines(b []byte) int { return bytes.Count(b, []byte("\n")) }

// has reports whether the package or file exists.
func (t *tree) has(where string) bool {
	return slices.ContainsFunc(t.files, func(f *source) bool { return f.path == where || f.pkg == where })
}
