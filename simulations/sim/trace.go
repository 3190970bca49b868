package sim

import (
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// Trace is the running hash of a run and, if somebody looks, its text.
type Trace struct {
	hash   uint64
	events uint64
	out    io.Writer // nil: nobody looks
	now    func() string
}

// mix folds one word into the hash (the finalizer of splitmix64 over a running sum).
func (t *Trace) mix(v uint64) {
	h := t.hash + v + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	t.hash = h ^ h>>31
}

// Event folds an event of a kind with its numbers into the hash.
func (t *Trace) Event(kind string, numbers ...int64) {
	t.events++
	t.mix(xxhash.Sum64String(kind))
	for _, n := range numbers {
		t.mix(uint64(n))
	}
}

// Bytes folds data into the hash.
func (t *Trace) Bytes(b []byte) { t.mix(xxhash.Sum64(b)) }

// On reports whether somebody looks, so that text is only built then.
func (t *Trace) On() bool { return t.out != nil }

// Printf writes a line of text; it does not change the hash.
func (t *Trace) Printf(format string, args ...any) {
	if t.out != nil {
		fmt.Fprintf(t.out, "%s %s\n", t.now(), fmt.Sprintf(format, args...))
	}
}

// Hash is the hash so far.
func (t *Trace) Hash() uint64 { return t.hash }

// Events counts what was folded in.
func (t *Trace) Events() uint64 { return t.events }
