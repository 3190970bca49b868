package tidy

import (
	"go/parser"
	"go/token"
	"path"
	"slices"
	"testing"
)

// TestRulesCanFail guards the guards: each snippet breaks exactly the rule it names, and the near miss beside it breaks none.
func TestRulesCanFail(t *testing.T) {
	cases := []struct{ file, code, want string }{
		{"partition/producer/x.go", `func f() { go f() }`, "go"},
		{"partition/producer/x.go", `var c chan int`, "chan"},
		{"partition/producer/x.go", `func f(c []int) { select {} }`, "select"},
		{"partition/producer/x.go", `import "sync"; var m sync.Mutex`, "sync"},
		{"partition/producer/x.go", `import "os"; var _ = os.Args`, "os"},
		{"partition/producer/x.go", `import "time"; var t = time.Now()`, "time.Now"},
		{"partition/producer/x.go", `import clock "time"; var t = clock.Now()`, "time.Now"},
		{"partition/producer/x.go", `import "time"; const d = time.Second`, ""},
		{"partition/produce.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		{"partition/produce.go", `import "math/rand/v2"; var n = rand.Int()`, "math/rand/v2"},
		{"partition/produce.go", `import "sync"; var m sync.Mutex`, "sync.Mutex"},
		{"partition/produce.go", `import "sync/atomic"; var n atomic.Int64`, ""},
		{"actors/mailbox.go", `import "sync"; var m sync.Mutex`, ""},
		{"actors/mailbox.go", `import "time"; var t = time.Now()`, "time.Now"},
		{"actors/codec/x.go", `import "sync"; var m sync.Mutex`, "sync.Mutex"},
		{"actors/env/osenv/x.go", `import ("os"; "time"); var t, a = time.Now(), os.Args`, ""},
		{"transport/kafka/conn.go", `func f() { go f() }`, ""},
		{"transport/kafka/api/x.go", `func f() { go f() }`, "go"},
	}
	for _, c := range cases {
		f, err := parser.ParseFile(token.NewFileSet(), c.file, "package x; "+c.code, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got := violations(&source{path: c.file, pkg: path.Dir(c.file), file: f})
		hit := slices.ContainsFunc(got, func(b banned) bool { return b.what == c.want })
		if c.want == "" && len(got) > 0 || c.want != "" && !hit {
			t.Errorf("%s: %s: want %q, got %v", c.file, c.code, c.want, got)
		}
	}
}
