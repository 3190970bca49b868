package tidy

import (
	"bytes"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestOnePackageDocPerPackage(t *testing.T) {
	names, files := load(t).packages()
	for _, name := range names {
		var with []string
		for _, f := range files[name] {
			if f.file.Doc != nil && strings.TrimSpace(f.file.Doc.Text()) != "" {
				with = append(with, f.path)
			}
		}
		switch {
		case len(with) == 0:
			t.Errorf("%s: no package doc: say what it decides, what it does not, its invariants, where it came from", name)
		case len(with) > 1:
			t.Errorf("%s: more than one package doc: %v", name, with)
		}
	}
}

// marks are words that promise work instead of doing it. They are spelt in pieces so that this file does not find itself.
var marks = regexp.MustCompile(`\b(` + "TO" + "DO|FIX" + "ME|X" + "XX" + `)\b`)

func TestNoMarks(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		reportMarks(t, f.path, f.bytes)
	}
	for _, name := range tr.texts {
		b, err := os.ReadFile(filepath.Join(tr.root, name))
		if err != nil {
			t.Fatal(err)
		}
		reportMarks(t, name, b)
	}
}

func reportMarks(t *testing.T, name string, b []byte) {
	for _, at := range marks.FindAllIndex(b, -1) {
		t.Errorf("%s:%d: %s: do it, or say what is not done and why", name, 1+lines(b[:at[0]]), b[at[0]:at[1]])
	}
}

func TestGofmt(t *testing.T) {
	files := load(t).files
	var wg sync.WaitGroup
	next := make(chan *source)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for f := range next {
				if out, err := format.Source(f.bytes); err != nil || !bytes.Equal(out, f.bytes) {
					t.Errorf("%s: run gofmt", f.path)
				}
			}
		})
	}
	for _, f := range files {
		if !f.generated {
			next <- f
		}
	}
	close(next)
	wg.Wait()
}
