package tidy

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// floors are the top-level folders from left to right. A package imports its own folder and those to the left.
var floors = []string{"actors", "partition", "cluster", "group", "transport", "cmd", "simulations"}

// upstairs are the packages that may look to the right, with the reason.
var upstairs = map[string]string{
	"cmd/simulate": "the command line of the simulator",
}

// rooms narrows what packages of ours may import, where the rule of the floors is too wide. A package not listed follows its floor.
// Rule of thumb behind the table: a folder's root owns the mailboxes and imports its sub-packages, never the other way round.
var rooms = map[string][]string{
	"actors":           {"actors/env", "actors/invariant", "actors/mutation"},
	"actors/env":       {},
	"actors/invariant": {},
	"actors/mutation":  {},
	"actors/record":    {"actors/invariant", "actors/mutation"},
	"actors/codec":     {"actors", "actors/invariant"},
	"actors/protocol":  {"actors", "actors/codec", "actors/invariant"},
	"actors/client":    {"actors", "actors/invariant", "actors/protocol", "actors/record"},
}

// rootFree are the folders whose sub-packages must not import the root: machines and devices do not know their shell.
var rootFree = []string{"partition", "cluster", "group"}

// only says which package alone may import a module of others, with the replacement.
var only = []struct{ module, importer, instead string }{
	{"github.com/asynkron/protoactor-go", "actors", "use package actors"},
	{"github.com/orcaman/concurrent-map", "actors", "it is there for one setting of protoactor-go"},
	{"go.etcd.io/raft", "cluster/raft", "use package cluster/raft"},
	{"github.com/hashicorp/memberlist", "cluster/membership", "use package cluster/membership"},
	{"github.com/vmihailenco/msgpack", "actors/codec", "use package actors/codec"},
}

func floor(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.Index(floors, top)
}

func TestImportsPointLeft(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if f.pkg == "." {
			t.Errorf("%s: no Go files beside go.mod; the folders are %v", f.path, floors)
			continue
		}
		if floor(f.pkg) < 0 {
			t.Errorf("%s: %q is not one of the folders %v", f.path, f.pkg, floors)
			continue
		}
		if f.test {
			continue // a test may stand on the simulator
		}
		for imp, pos := range f.imports() {
			rel, ok := ours(imp)
			if ok && floor(rel) > floor(f.pkg) && upstairs[f.pkg] == "" {
				t.Errorf("%s: %s imports %s, which lies to its right: turn the dependency round with an interface or a message", tr.at(pos), f.pkg, rel)
			}
		}
	}
}

func TestRoomsImportTheirTableOnly(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		allowed, listed := rooms[f.pkg]
		if f.test || !listed {
			continue
		}
		for imp, pos := range f.imports() {
			if rel, ok := ours(imp); ok && !slices.Contains(allowed, rel) {
				t.Errorf("%s: %s may import only %v of ours, not %s", tr.at(pos), f.pkg, allowed, rel)
			}
		}
	}
}

func TestMachinesAndDevicesDoNotKnowTheirShell(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		for _, root := range rootFree {
			if f.pkg == root || !within(f.pkg, root) {
				continue
			}
			for imp, pos := range f.imports() {
				if rel, _ := ours(imp); rel == root && !f.test {
					t.Errorf("%s: %s imports its folder's root: move what it needs into a sub-package or actors/protocol", tr.at(pos), f.pkg)
				}
			}
		}
	}
}

func TestPurePackagesImportPurePackages(t *testing.T) {
	vocabulary := []string{"actors/protocol", "actors/invariant", "actors/mutation", "actors/record", "actors/codec", "group/step"}
	tr := load(t)
	for _, f := range tr.files {
		if f.test || !slices.Contains(pure, f.pkg) {
			continue
		}
		for imp, pos := range f.imports() {
			rel, ok := ours(imp)
			if ok && !slices.Contains(pure, rel) && !slices.Contains(vocabulary, rel) && !(rel == "actors" && namesOnly(f)) {
				t.Errorf("%s: %s is pure and imports %s, which is not", tr.at(pos), f.pkg, rel)
			}
		}
	}
}

// namesOnly reports whether f uses nothing of package actors but PID: a machine may remember whom to answer.
func namesOnly(f *source) bool {
	only := true
	ast.Inspect(f.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && isPackage(f, sel.X, module+"/actors") && sel.Sel.Name != "PID" {
			only = false
		}
		return true
	})
	return only
}

func TestSeamsAreImportedInOnePlace(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if within(f.pkg, "cmd/deps") {
			continue
		}
		for imp, pos := range f.imports() {
			for _, o := range only {
				if within(imp, o.module) && f.pkg != o.importer {
					t.Errorf("%s: only %s imports %s: %s", tr.at(pos), o.importer, o.module, o.instead)
				}
			}
		}
	}
}
