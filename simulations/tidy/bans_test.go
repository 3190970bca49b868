package tidy

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pure packages decide and do nothing else: no IO, clock, goroutine, channel, lock or randomness. What they need of the world comes
// in as an argument.
var pure = []string{
	"actors/record",
	"partition/producer", "partition/replica",
	"cluster/config", "cluster/controller", "cluster/image", "cluster/placement",
	"group/classic", "group/consumer", "group/offsets", "group/assignor", "group/share", "group/txn",
	"simulations/model",
}

var (
	impure   = []string{"sync", "sync/atomic", "os", "os/exec", "os/signal", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "golang.org/x/sys/unix"}
	worldly  = []string{"os", "os/exec", "net", "math/rand", "math/rand/v2", "crypto/rand", "golang.org/x/sys/unix"} // syscall names errors
	timeCall = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
)

// grants lists, per package or file, what the bans spare and why. An entry nobody needs any more fails the test.
var grants = []struct{ where, what, why string }{
	{"actors/record", "sync", "pools of compression coders (sync.Pool only)"},
	{"partition/storage/files.go", "sync.Mutex", "views on any goroutine share the cache of open files"},
	{"partition/storage/log.go", "sync.Mutex", "a flush task beside the actor must not meet a truncation half way"},
	{"partition/storage/verify.go", "sync.Mutex", "readers on any goroutine share which bytes of a segment were verified"},
}

// threaded are the packages that may hold goroutines, channels and locks: the runtime, the world behind env, the edges, the programs.
var threaded = []string{"actors", "actors/env", "actors/actortest", "actors/invariant", "transport", "cmd", "simulations"}

// singleFile narrows threaded again: these are below one of them and stay single-threaded all the same.
var singleThreaded = []string{
	"actors/record", "actors/codec", "actors/protocol", "actors/mutation", "transport/kafka/api", "simulations/model", "simulations/check", "simulations/workload",
}

// earthly are the packages that may ask the operating system for time, chance, files and sockets (actors/actortest: for transcripts);
// everybody else asks actors/env.
var earthly = []string{"actors/env", "actors/actortest", "transport", "cmd", "simulations"}

type spared struct{ used map[int]bool }

// allows reports whether a grant spares the ban on what in f, and remembers that it was needed.
func (s *spared) allows(f *source, what string) bool {
	for i, g := range grants {
		if (g.where == f.pkg || g.where == f.path) && g.what == what {
			s.used[i] = true
			return true
		}
	}
	return false
}

func TestBans(t *testing.T) {
	tr := load(t)
	sp := &spared{used: map[int]bool{}}
	for _, f := range tr.files {
		if f.test || f.generated {
			continue
		}
		for _, b := range violations(f) {
			if !sp.allows(f, b.what) {
				t.Errorf("%s: %s: %s", tr.at(b.pos), b.what, b.why)
			}
		}
	}
	for i, g := range grants {
		if !sp.used[i] && tr.has(g.where) {
			t.Errorf("grants: %s no longer needs %q; strike the entry", g.where, g.what)
		}
	}
}

type banned struct {
	pos       token.Pos
	what, why string
}

func violations(f *source) (out []banned) {
	isPure := slices.Contains(pure, f.pkg)
	if isPure {
		out = append(out, imported(f, impure, "this package is pure: take it as an argument or leave it to the shell")...)
	}
	if !listed(f.pkg, earthly) && !isPure {
		out = append(out, imported(f, worldly, "nondeterminism enters through actors/env")...)
	}
	if !listed(f.pkg, threaded) || listed(f.pkg, singleThreaded) {
		out = append(out, concurrency(f)...)
	}
	if isPure || !listed(f.pkg, earthly) {
		out = append(out, clockReads(f)...)
	}
	return out
}

// listed reports whether pkg is covered by the list; "actors" alone means the root package only.
func listed(pkg string, list []string) bool {
	return slices.ContainsFunc(list, func(dir string) bool {
		return pkg == dir || dir != "actors" && within(pkg, dir)
	})
}

func imported(f *source, forbidden []string, why string) (out []banned) {
	for imp, pos := range f.imports() {
		if slices.Contains(forbidden, imp) {
			out = append(out, banned{pos, imp, why})
		}
	}
	return out
}

// concurrency finds go statements, channels, select and locks. Atomics are no locks, pools hold nothing anybody waits for.
func concurrency(f *source) (out []banned) {
	const why = "no goroutine, channel or lock outside actors, env, the disk worker and the socket edges"
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			out = append(out, banned{n.Pos(), "go", why})
		case *ast.ChanType:
			out = append(out, banned{n.Pos(), "chan", why})
		case *ast.SelectStmt:
			out = append(out, banned{n.Pos(), "select", why})
		case *ast.SendStmt:
			out = append(out, banned{n.Pos(), "chan", why})
		case *ast.SelectorExpr:
			if isPackage(f, n.X, "sync") && n.Sel.Name != "Pool" {
				out = append(out, banned{n.Pos(), "sync." + n.Sel.Name, why})
			}
		}
		return true
	})
	return out
}

func clockReads(f *source) (out []banned) {
	ast.Inspect(f.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if ok && isPackage(f, sel.X, "time") && slices.Contains(timeCall, sel.Sel.Name) {
			out = append(out, banned{sel.Pos(), "time." + sel.Sel.Name, "ask env.Clock, or take now as an argument"})
		}
		return true
	})
	return out
}

// isPackage reports whether x is the name under which f imports the package path.
func isPackage(f *source, x ast.Expr, path string) bool {
	id, ok := x.(*ast.Ident)
	if !ok {
		return false
	}
	for _, spec := range f.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		if p != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name == id.Name
		}
		return id.Name == path[strings.LastIndex(path, "/")+1:]
	}
	return false
}

func TestGrantsGiveReasons(t *testing.T) {
	for _, g := range grants {
		if len(g.why) < 10 {
			t.Errorf("grants: %s %q needs a reason", g.where, g.what)
		}
	}
}
