package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/mutation"
)

// abortedChunk is how many entries of a transaction index are read at once.
const abortedChunk = 256

// Aborted lists the aborted transactions with records in [from, upTo), in the order of their markers. Nothing is read from the disk
// for segments without any at or after from. At most as many as there are producers have records on both sides of a batch, and every
// other one has a batch of its own in the range, so the list is bounded by what the range holds. Source:
// TransactionIndex.collectAbortedTxns.
func (v *View) Aborted(from, upTo int64) ([]AbortedTxn, error) {
	var found []AbortedTxn
	for {
		c := v.current()
		found = found[:0]
		err := c.eachAborted(from, func(t AbortedTxn) bool {
			if t.FirstOffset < upTo {
				found = append(found, t)
			}
			return t.LastStableOffset < upTo
		})
		if c.outdated(err) {
			continue
		}
		if err != nil {
			return nil, c.readError(err)
		}
		return found, nil
	}
}

// eachAborted yields the aborted transactions whose marker is at or after from, until yield returns false.
func (v *View) eachAborted(from int64, yield func(AbortedTxn) bool) error {
	for i := v.segmentOf(from); i < v.segments(); i++ {
		p := v.piece(i)
		if p.aborted.Load() == 0 {
			continue
		}
		more, err := p.eachAborted(from, yield)
		if p.file.isGone() {
			err = errGone // what was read by its name may be that of another
		}
		if err != nil || !more || mutation.Is(mutation.AbortedOfOneSegment) {
			return err
		}
	}
	return nil
}

// eachAborted yields the entries of s with markers at or after from; false if yield did not want more. ErrCorrupt at an entry that
// cannot be.
func (s *segment) eachAborted(from int64, yield func(AbortedTxn) bool) (more bool, err error) {
	if last := s.lastAborted.Load(); last != 0 && last < from {
		return true, nil
	}
	if r := s.pending.Load(); r != nil {
		at := sort.Search(len(r.aborted), func(i int) bool { return r.aborted[i].LastOffset >= from })
		for _, t := range r.aborted[at:] {
			if !yield(t) {
				return false, nil
			}
		}
		return true, nil
	}
	name := s.path(txnIndexSuffix)
	f, err := s.file.files.fs.Open(name, false)
	if err != nil {
		return false, fmt.Errorf("opening %q: %w", name, err)
	}
	defer f.Close()
	return s.walkAborted(f, from, yield)
}

func (s *segment) walkAborted(f env.File, from int64, yield func(AbortedTxn) bool) (more bool, err error) {
	count := int(s.aborted.Load())
	buf := make([]byte, abortedChunk*abortedSize)
	at, err := s.findAborted(f, count, from, buf)
	if err != nil {
		return false, err
	}
	previous := int64(-1)
	for at < count {
		n := min(abortedChunk, count-at)
		if _, err := readFull(f, buf[:n*abortedSize], int64(at)*abortedSize); err != nil {
			return false, s.abortedError(at, err)
		}
		for i := range n {
			t, err := parseAborted(buf[i*abortedSize:])
			if err == nil && t.LastOffset <= previous {
				err = fmt.Errorf("marker at %d after %d", t.LastOffset, previous)
			}
			if err != nil {
				return false, s.abortedError(at+i, err)
			}
			previous = t.LastOffset
			if !yield(t) {
				return false, nil
			}
		}
		at += n
	}
	return true, nil
}

// findAborted is the first entry with a marker at or after from. It first looks at the last one, as most readers are behind that.
func (s *segment) findAborted(f env.File, count int, from int64, buf []byte) (int, error) {
	var failure error
	marker := func(i int) int64 {
		if failure != nil {
			return 0
		}
		_, err := readFull(f, buf[:abortedSize], int64(i)*abortedSize)
		var t AbortedTxn
		if err == nil {
			t, err = parseAborted(buf)
		}
		if err != nil {
			failure = s.abortedError(i, err)
		}
		return t.LastOffset
	}
	last := marker(count - 1)
	if failure != nil {
		return 0, failure
	}
	s.lastAborted.CompareAndSwap(0, last)
	if last < from {
		return count, nil
	}
	at := sort.Search(count-1, func(i int) bool { return marker(i) >= from })
	return at, failure
}

// abortedError says which entry of the index of s could not be read, is not there or cannot be.
func (s *segment) abortedError(entry int, err error) error {
	var failure *fs.PathError
	if errors.As(err, &failure) {
		return fmt.Errorf("reading %q: %w", s.path(txnIndexSuffix), err)
	}
	return &Corruption{File: s.path(txnIndexSuffix), Pos: int64(entry) * abortedSize, Offset: s.base, Reason: err.Error()}
}
