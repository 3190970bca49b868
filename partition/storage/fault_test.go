package storage

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/troupe-broker/troupe/actors/record"
)

// TestErrorAtEveryOperation fails every single operation of the crash script with EIO. The log whose operation failed accepts nothing
// any more, no reported flush is lost, and it recovers.
func TestErrorAtEveryOperation(t *testing.T) {
	whole, err := runCrashScript(t, 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	for at := 3; at <= whole.fs.ops; at += stride {
		w, err := runScript(t, 0, 200, func(w *crashWorld) error {
			w.fs.fail = failOnce(w.fs, at, syscall.EIO)
			return crashScript(w)
		})
		if err == nil {
			continue // refuseStep took the place of the failure
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("operation %d: %v", at, err)
		}
		w.fs.fail = nil
		last := w.fs.trace[len(w.fs.trace)-1]
		if strings.Contains(last, testDir) && !strings.Contains(err.Error(), snapshotSuffix) { // else it is not the log's own
			checkOffline(t, w, last)
		}
		for variant := range 3 {
			checkCrash(t, w, at, variant, 200)
		}
	}
}

func checkOffline(t *testing.T, w *crashWorld, op string) {
	t.Helper()
	end := w.l.EndOffset()
	if err := w.l.Append([]record.Batch{batch(t, end, 1, 50, 1, 10)}); !errors.Is(err, ErrOffline) {
		t.Fatalf("the log takes appends after %q failed: %v", op, err)
	}
	for name, err := range map[string]error{
		"truncate": w.l.TruncateTo(0), "restart": w.l.Restart(0), "advance": w.l.AdvanceStart(end), "roll": w.l.Roll(),
		"epochs": w.l.SyncEpochs(), "aborted": w.l.AppendAborted(AbortedTxn{}), "err": w.l.Err(), "close": w.l.Close(true),
	} {
		if !errors.Is(err, ErrOffline) {
			t.Fatalf("%s after %q failed: %v", name, op, err)
		}
	}
	if w.l.FlushTask() != nil {
		t.Fatalf("a flush after %q failed", op)
	}
}

// failOnce fails the n-th operation of files with err; a write lets some bytes through.
func failOnce(files *memFS, n int, err error) func(op, name string) (int, error) {
	return func(op, name string) (int, error) {
		if op == "read" || files.ops != n {
			return 0, nil
		}
		return 123, &fs.PathError{Op: op, Path: name, Err: err}
	}
}

// TestFullDiskAtEveryOperation fails every operation that takes space once with ENOSPC. Whatever is refused leaves no trace, the rest
// goes on, and what is in the log at the end survives. Only a restart that was interrupted takes the log offline, until Open ends it.
func TestFullDiskAtEveryOperation(t *testing.T) {
	for seed := range uint64(6) {
		for at := 3; ; at += stride {
			w, err := runScript(t, 0, 200, func(w *crashWorld) error {
				return w.patiently(at, rand.New(rand.NewPCG(seed, 3)))
			})
			if err != nil && !strings.Contains(err.Error(), "restarting at") {
				t.Fatalf("seed %d, operation %d: %v", seed, at, err)
			}
			if at > w.fs.ops {
				break
			}
			if err == nil {
				w.check()
			} else {
				w.model = nil
			}
			w.reopen(recoverOptions(t, w.fs, 200))
			w.check()
		}
	}
}

// patiently runs steps of which each may be refused by a full disk; the at-th operation is.
func (w *crashWorld) patiently(at int, r *rand.Rand) error {
	for range 40 {
		step := w.randomStep(r)
		if n := w.fs.ops; n < at {
			w.fs.fail = func(op, name string) (int, error) {
				if w.fs.ops != at || op != "write" && op != "create" {
					return 0, nil
				}
				return 123, &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
			}
		}
		before, aborted, end := slices.Clone(w.model), w.aborted, w.l.EndOffset()
		err := step()
		w.fs.fail = nil
		if !Passing(err) {
			if err != nil {
				return err
			}
			continue
		}
		w.pending = nil
		if w.l.flight != nil {
			if err := w.l.Flushed(w.l.flight, nil); err != nil {
				return err
			}
		}
		if err := w.afterRefusal(before, end); err != nil {
			return err
		}
		w.aborted = aborted
	}
	return w.flushStep()
}

// afterRefusal brings the model to what the log must hold after a step was refused somewhere in its middle: the batches of its
// refused append are gone, those of an earlier one in the same step are not.
func (w *crashWorld) afterRefusal(before []record.Batch, end int64) error {
	if w.l.Err() != nil {
		return w.l.Err()
	}
	if w.l.EndOffset() < end { // it truncated before the refusal
		w.model = slices.DeleteFunc(before, func(b record.Batch) bool { return b.NextOffset() > w.l.EndOffset() })
		return nil
	}
	w.model = slices.DeleteFunc(w.model, func(b record.Batch) bool { return b.NextOffset() > w.l.EndOffset() })
	return nil
}
