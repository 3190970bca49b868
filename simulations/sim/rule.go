package sim

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Op is a kind of disk operation.
type Op uint8

const (
	OpAny Op = iota
	OpOpen
	OpCreate
	OpRead
	OpWrite
	OpTruncate
	OpSync
	OpSyncDir
	OpSyncAll
	OpMkdir
	OpRename
	OpRemove
	OpReadDir
	OpStat
	opKinds
)

var opNames = [...]string{"any", "open", "create", "read", "write", "truncate", "sync", "syncdir", "syncall", "mkdir", "rename", "remove", "readdir", "stat"}

func (o Op) String() string { return opNames[o] }

// Effect is what a rule does to an operation.
type Effect uint8

const (
	// EIO fails the operation. A sync that fails loses its dirty pages for good, as the kernel's do.
	EIO Effect = iota
	// ENOSPC fails it for want of space.
	ENOSPC
	// Short writes half and fails with EIO. On anything but a write it is EIO.
	Short
	// CrashBefore ends the process before the operation has any effect.
	CrashBefore
	// CrashAfter ends the process when the operation is done, before it hears of it.
	CrashAfter
	// EMFILE fails it for want of a descriptor, if it is one that takes some: names are looked up by way of their directories.
	EMFILE
)

var effectNames = [...]string{"eio", "enospc", "short", "crash-before", "crash-after", "emfile"}

func (e Effect) String() string { return effectNames[e] }

// Rule injects faults. It is matched against every operation of its kind whose path fits; the first Skip matches pass, the next Times
// are struck (0: all that follow), each with Chance if that is set.
//
// The text form is "OP PATTERN [+SKIP] [xTIMES] [pCHANCE] EFFECT", as in "sync *.log +3 x1 eio". A pattern with a slash is matched
// against the whole path below the disk's root, one without against the last element.
type Rule struct {
	Op      Op
	Pattern string
	Skip    int
	Times   int
	Chance  float64
	Effect  Effect
	matched int
	struck  int
}

func (r *Rule) String() string {
	out := fmt.Sprintf("%v %s", r.Op, r.Pattern)
	if r.Skip > 0 {
		out += " +" + strconv.Itoa(r.Skip)
	}
	if r.Times > 0 {
		out += " x" + strconv.Itoa(r.Times)
	}
	if r.Chance > 0 {
		out += " p" + strconv.FormatFloat(r.Chance, 'g', -1, 64)
	}
	return out + " " + r.Effect.String()
}

// ParseRule reads the text form.
func ParseRule(text string) (*Rule, error) {
	f := strings.Fields(text)
	if len(f) < 3 {
		return nil, fmt.Errorf("rule %q: want OP PATTERN [+SKIP] [xTIMES] [pCHANCE] EFFECT", text)
	}
	r := &Rule{Pattern: f[1]}
	var err error
	if r.Op, err = named[Op](f[0], opNames[:]); err != nil {
		return nil, fmt.Errorf("rule %q: %w", text, err)
	}
	if r.Effect, err = named[Effect](f[len(f)-1], effectNames[:]); err != nil {
		return nil, fmt.Errorf("rule %q: %w", text, err)
	}
	if _, err := path.Match(r.Pattern, ""); err != nil {
		return nil, fmt.Errorf("rule %q: %w", text, err)
	}
	for _, w := range f[2 : len(f)-1] {
		switch w[0] {
		case '+':
			r.Skip, err = strconv.Atoi(w[1:])
		case 'x':
			r.Times, err = strconv.Atoi(w[1:])
		case 'p':
			r.Chance, err = strconv.ParseFloat(w[1:], 64)
		default:
			err = errors.New("what is " + w + "?")
		}
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", text, err)
		}
	}
	return r, nil
}

func named[T ~uint8](name string, names []string) (T, error) {
	for i, n := range names {
		if n == name {
			return T(i), nil
		}
	}
	return 0, fmt.Errorf("%q is none of %v", name, names)
}

// Inject adds a rule.
func (d *Disk) Inject(r *Rule) *Rule {
	d.rules = append(d.rules, r)
	return r
}

// Withdraw removes a rule.
func (d *Disk) Withdraw(r *Rule) {
	d.rules = slices.DeleteFunc(d.rules, func(x *Rule) bool { return x == r })
}

// Heal removes all rules and the bound on the space.
func (d *Disk) Heal() { d.rules, d.Capacity = nil, 0 }

// strike finds the rule that strikes this operation, if any.
func (d *Disk) strike(op Op, name string) *Rule {
	for _, r := range d.rules {
		if r.Op != OpAny && r.Op != op || r.Effect == EMFILE && !op.opens() || !fits(r.Pattern, name) {
			continue
		}
		r.matched++
		if r.matched <= r.Skip || r.Times > 0 && r.struck >= r.Times || r.Chance > 0 && !d.faults.Chance(r.Chance) {
			continue
		}
		r.struck++
		if r.Effect < CrashBefore {
			d.Injected++
		}
		d.world.Trace.Printf("%s: %v %s: rule %v strikes", d.name, op, name, r)
		return r
	}
	return nil
}

func fits(pattern, name string) bool {
	if !strings.Contains(pattern, "/") {
		name = path.Base(name)
	}
	ok, _ := path.Match(pattern, name)
	return ok
}

// opens reports an operation that takes a descriptor.
func (o Op) opens() bool {
	switch o {
	case OpRead, OpWrite, OpTruncate, OpSync, OpSyncAll:
		return false
	}
	return true
}

func (e Effect) err() error {
	switch e {
	case ENOSPC:
		return syscall.ENOSPC
	case EMFILE:
		return syscall.EMFILE
	}
	return syscall.EIO
}
