package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sort"
)

// abortedSize is the size of an entry of a .txnindex file.
const abortedSize = 34

// AbortedTxn is one aborted transaction of one producer in one partition. Source: AbortedTxn.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
	// LastOffset is the offset of the abort marker.
	LastOffset int64
	// LastStableOffset is that of the log when the marker was written: every transaction that began below it had ended by then.
	LastStableOffset int64
}

func (t AbortedTxn) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, 0)
	for _, v := range [...]int64{t.ProducerID, t.FirstOffset, t.LastOffset, t.LastStableOffset} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func parseAborted(b []byte) (t AbortedTxn, err error) {
	if version := binary.BigEndian.Uint16(b); version != 0 {
		return t, fmt.Errorf("version %d", version)
	}
	for i, v := range [...]*int64{&t.ProducerID, &t.FirstOffset, &t.LastOffset, &t.LastStableOffset} {
		*v = int64(binary.BigEndian.Uint64(b[2+8*i:]))
	}
	if t.FirstOffset < 0 || t.FirstOffset >= t.LastOffset {
		return t, fmt.Errorf("first offset %d, marker at %d", t.FirstOffset, t.LastOffset)
	}
	return t, nil
}

// AppendAborted notes aborted transactions, in the order of their markers, which are in the log already. Call it in the turn that
// appended the markers, before a flush task is taken: recovery replays only markers that were not flushed. What the index has already,
// as far as the marker's offset tells, is left out, so that producer state may be replayed over it. The entries are durable with the
// next flush. A full disk is ErrRefused and any other failure takes the log offline, as a reader would see aborted records.
func (l *Log) AppendAborted(txns ...AbortedTxn) error {
	if l.failure != nil {
		return l.failure
	}
	for _, t := range txns {
		s := l.segmentAt(t.LastOffset)
		if s == nil {
			continue
		}
		if err := l.appendAborted(s, t); Passing(err) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		} else if err != nil {
			return l.goOffline(err)
		}
	}
	return nil
}

// segmentAt is the segment that holds offset, nil if none does.
func (l *Log) segmentAt(offset int64) *segment {
	if l.active == nil || offset >= l.end || offset < l.firstBase() {
		return nil
	}
	if offset >= l.active.base {
		return l.active
	}
	return l.rolled[sort.Search(len(l.rolled), func(i int) bool { return l.rolled[i].base > offset })-1]
}

func (l *Log) appendAborted(s *segment, t AbortedTxn) error {
	name := s.path(txnIndexSuffix)
	f, err := openOrCreate(l.files.fs, name)
	if err != nil {
		return fmt.Errorf("opening %q: %w", name, err)
	}
	defer f.Close()
	count := int64(s.aborted.Load())
	if count > 0 {
		var b [abortedSize]byte
		if _, err := readFull(f, b[:], (count-1)*abortedSize); err != nil {
			return fmt.Errorf("reading %q: %w", name, err)
		}
		if last, err := parseAborted(b[:]); err == nil && last.LastOffset >= t.LastOffset {
			return nil
		}
	}
	// What a failed write left behind is overwritten by the next one, and counted by nobody.
	if _, err := f.WriteAt(t.appendTo(nil), count*abortedSize); err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	if s.aborted.Add(1) == 1 {
		l.dirChanges++
	}
	s.lastAborted.Store(t.LastOffset)
	l.abortedDirty = append(l.abortedDirty, s)
	return nil
}

// syncAborted makes the index of s durable.
func (s *segment) syncAborted() error {
	f, err := s.file.files.fs.Open(s.path(txnIndexSuffix), true)
	if err != nil && s.file.isGone() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", s.path(txnIndexSuffix), err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %q: %w", s.path(txnIndexSuffix), err)
	}
	return nil
}

// RebuildAborted makes txns, ordered by their markers, the only aborted transactions with a marker at or after from: what a caller
// found by replaying the log from there (see Recovered.AbortedFrom). Blocks.
func (l *Log) RebuildAborted(from int64, txns []AbortedTxn) error {
	if l.failure != nil {
		return l.failure
	}
	for _, s := range l.all() {
		if s.next <= from || s.aborted.Load() == 0 {
			continue
		}
		n, err := s.abortedBefore(from)
		if err == nil || errors.Is(err, ErrCorrupt) {
			err = l.cutAborted(s, n)
		}
		if err != nil {
			return l.goOffline(err)
		}
	}
	return l.AppendAborted(txns...)
}

// abortedBefore counts the entries of s with markers below end. ErrCorrupt if there is an entry that cannot be; those before it are
// counted.
func (s *segment) abortedBefore(end int64) (n int32, err error) {
	entries, err := s.readAborted()
	for _, t := range entries {
		if t.LastOffset < end {
			n++
		}
	}
	return n, err
}

// cutAborted keeps the first n entries of the index of s, durably.
func (l *Log) cutAborted(s *segment, n int32) error {
	s.aborted.Store(n)
	f, err := l.files.fs.Open(s.path(txnIndexSuffix), true)
	if errors.Is(err, fs.ErrNotExist) && n == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(int64(n) * abortedSize); err != nil {
		return err
	}
	return f.Sync()
}

// readAborted reads the index of s. ErrCorrupt at an entry that cannot be, or is missing; the ones before it are returned.
func (s *segment) readAborted() ([]AbortedTxn, error) {
	count := int(s.aborted.Load())
	if count == 0 {
		return nil, nil
	}
	if r := s.pending.Load(); r != nil {
		return r.aborted, nil
	}
	name := s.path(txnIndexSuffix)
	b, err := ReadFile(s.file.files.fs, name)
	if err != nil {
		return nil, err
	}
	entries := make([]AbortedTxn, 0, count)
	for len(entries) < count {
		at := len(entries) * abortedSize
		if len(b) < at+abortedSize {
			return entries, &Corruption{File: name, Pos: int64(at), Offset: s.base, Reason: fmt.Sprintf("%d entries are missing", count-len(entries))}
		}
		t, err := parseAborted(b[at:])
		if err == nil && len(entries) > 0 && t.LastOffset <= entries[len(entries)-1].LastOffset {
			err = fmt.Errorf("marker at %d after %d", t.LastOffset, entries[len(entries)-1].LastOffset)
		}
		if err != nil {
			return entries, &Corruption{File: name, Pos: int64(at), Offset: s.base, Reason: err.Error()}
		}
		entries = append(entries, t)
	}
	return entries, nil
}
