package producer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// A snapshot is Kafka's <offset>.snapshot file, version 1, producers by id. Big-endian:
//
//	0  2   version  1
//	2  4   crc      CRC-32C of everything that follows
//	6  4   count    of producers
//	   46  each: producerId 8 | epoch 2 | lastSequence 4 | lastOffset 8 (-1: no batch) | offsetDelta 4 | timestamp 8 |
//	       coordinatorEpoch 4 | txnFirstOffset 8 (-1: none)
//
// What Kafka leaves out follows. Kafka's readers check the CRC, which covers it, and stop after the producers, so they read ours;
// in theirs the section is missing, and then the duplicate window is what the producers' last batches make it.
//
//	   4   section  "TRP1"
//	   -   for every producer above: count 1 (0-5) of remembered batches, then each, the oldest first:
//	       lastSequence 4 | offsetDelta 4 | lastOffset 8 | timestamp 8
//	   4   count of decided transactions that were not stable, then each: first offset 8 | marker offset 8
//
// The last batch is there again because its timestamp is not the producer's, if a marker came after it.
// Source: ProducerStateManager.writeSnapshot, ProducerSnapshot.json.

const (
	snapshotVersion = 1
	snapshotHead    = 10
	snapshotEntry   = 46
	snapshotBatch   = 24
	snapshotSpan    = 16
)

var snapshotSection = [4]byte{'T', 'R', 'P', '1'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt: the bytes are no snapshot, or not any more. The state is then rebuilt from an older one, or from the whole log.
var ErrCorrupt = errors.New("producer snapshot is corrupt")

// Snapshot writes down everything a later Restore needs, in memory of the caller's. The State must be committed. It stands for the
// log up to an offset which the file's name says.
func (s *State) Snapshot() []byte {
	invariant.Check(len(s.undo) == 0, "snapshot with %d changes not committed", len(s.undo))
	// An entry that only says which sequence a producer must go on with is not worth keeping: the format has no room for the sequence.
	entries := slices.DeleteFunc(s.sorted(), func(e *entry) bool { return e.count == 0 && e.next != 0 && e.coordinatorEpoch == noCoordinatorEpoch })
	b := make([]byte, 0, snapshotHead+len(entries)*(snapshotEntry+1+snapshotBatch)+8+len(s.decided)*snapshotSpan)
	b = binary.BigEndian.AppendUint16(b, snapshotVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(entries)))
	for _, e := range entries {
		b = e.appendKafka(b)
	}
	b = append(b, snapshotSection[:]...)
	for _, e := range entries {
		b = append(b, byte(e.count))
		for _, x := range e.window() {
			b = binary.BigEndian.AppendUint32(b, uint32(x.lastSequence))
			b = binary.BigEndian.AppendUint32(b, uint32(x.delta))
			b = binary.BigEndian.AppendUint64(b, uint64(x.lastOffset))
			b = binary.BigEndian.AppendUint64(b, uint64(x.timestamp))
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.decided)))
	for _, d := range s.decided {
		b = binary.BigEndian.AppendUint64(b, uint64(d.first))
		b = binary.BigEndian.AppendUint64(b, uint64(d.last))
	}
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b
}

func (e *entry) appendKafka(b []byte) []byte {
	last, ok := e.newest()
	if !ok {
		last = batch{lastSequence: -1, lastOffset: noOffset}
	}
	b = binary.BigEndian.AppendUint64(b, uint64(e.id))
	b = binary.BigEndian.AppendUint16(b, uint16(e.epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(last.lastSequence))
	b = binary.BigEndian.AppendUint64(b, uint64(last.lastOffset))
	b = binary.BigEndian.AppendUint32(b, uint32(last.delta))
	b = binary.BigEndian.AppendUint64(b, uint64(e.timestamp))
	b = binary.BigEndian.AppendUint32(b, uint32(e.coordinatorEpoch))
	return binary.BigEndian.AppendUint64(b, uint64(e.txnFirst))
}

// Restore is the State of a snapshot, ours or Kafka's. Replay what the log has from the snapshot's offset on with
// Replay, then Commit. ErrCorrupt says what is wrong; memory is bounded by the snapshot's size.
func Restore(cfg Config, snapshot []byte) (*State, error) {
	r := reader{b: snapshot}
	version, crc, count := r.int16(), uint32(r.int32()), r.int32()
	switch {
	case r.short:
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(snapshot))
	case version != snapshotVersion:
		return nil, fmt.Errorf("%w: version %d", ErrCorrupt, version)
	case crc32.Checksum(snapshot[6:], castagnoli) != crc:
		return nil, fmt.Errorf("%w: CRC", ErrCorrupt)
	case count < 0 || int(count) > len(r.b)/snapshotEntry:
		return nil, fmt.Errorf("%w: %d producers in %d bytes", ErrCorrupt, count, len(snapshot))
	}
	s := NewState(cfg)
	order := make([]*entry, 0, count)
	for range count {
		e := r.entry()
		if e.id < 0 || s.entries[e.id] != nil || e.epoch < noEpoch || e.txnFirst < noOffset || !e.sound() {
			return nil, fmt.Errorf("%w: producer %d", ErrCorrupt, e.id)
		}
		s.entries[e.id] = e
		order = append(order, e)
		if e.txnFirst != noOffset {
			s.open = append(s.open, txn{e.id, e.txnFirst})
		}
	}
	if len(r.b) > 0 {
		if err := s.restoreSection(&r, order); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(s.open, func(a, b txn) int { return sign(a.first, b.first) })
	for i := 1; i < len(s.open); i++ {
		if s.open[i-1].first == s.open[i].first {
			return nil, fmt.Errorf("%w: two transactions begin at %d", ErrCorrupt, s.open[i].first)
		}
	}
	return s, nil
}

func sign(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// sound reports whether the remembered batches can be.
func (e *entry) sound() bool {
	for i, b := range e.window() {
		if b.lastOffset < 0 || b.delta < 0 || int64(b.delta) > b.lastOffset || b.lastSequence < -1 || i > 0 && b.lastOffset-int64(b.delta) <= e.batches[i-1].lastOffset {
			return false
		}
	}
	return true
}

// restoreSection reads what follows Kafka's part.
func (s *State) restoreSection(r *reader, order []*entry) error {
	if [4]byte(r.take(4)) != snapshotSection {
		return fmt.Errorf("%w: %d bytes after the producers are of an unknown kind", ErrCorrupt, len(r.b))
	}
	for _, e := range order {
		claimed, had := e.newest()
		e.count = int(r.take(1)[0])
		if e.count > WindowBatches || had != (e.count > 0) {
			return fmt.Errorf("%w: producer %d remembers %d batches", ErrCorrupt, e.id, e.count)
		}
		for i := range e.count {
			e.batches[i] = batch{r.int32(), r.int32(), r.int64(), r.int64()}
		}
		last, _ := e.newest()
		claimed.timestamp = last.timestamp
		if r.short || !e.sound() || claimed != last {
			return fmt.Errorf("%w: batches of producer %d", ErrCorrupt, e.id)
		}
	}
	count := r.int32()
	if count < 0 || int(count) != len(r.b)/snapshotSpan || len(r.b)%snapshotSpan != 0 || r.short {
		return fmt.Errorf("%w: %d decided transactions in %d bytes", ErrCorrupt, count, len(r.b))
	}
	before := span{math.MinInt64, math.MinInt64}
	for range count {
		d := span{r.int64(), r.int64()}
		if d.first < 0 || d.first >= d.last || d.first <= before.first || d.last <= before.last {
			return fmt.Errorf("%w: decided transaction from %d to %d", ErrCorrupt, d.first, d.last)
		}
		s.decided = append(s.decided, d)
		before = d
	}
	return nil
}

// reader takes integers off b; after its end it gives zeros and remembers that.
type reader struct {
	b     []byte
	short bool
}

var zeros [8]byte

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.short, r.b = true, nil
		return zeros[:n]
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) int16() int16 { return int16(binary.BigEndian.Uint16(r.take(2))) }
func (r *reader) int32() int32 { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *reader) int64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }

// entry reads one of Kafka's producers. It counts as used, so that it outlives the first Expire.
func (r *reader) entry() *entry {
	e := &entry{used: true}
	e.id, e.epoch = protocol.ProducerID(r.int64()), protocol.ProducerEpoch(r.int16())
	last := batch{lastSequence: r.int32(), lastOffset: r.int64(), delta: r.int32()}
	e.timestamp, e.coordinatorEpoch, e.txnFirst = r.int64(), r.int32(), r.int64()
	if last.lastOffset >= 0 {
		last.timestamp = e.timestamp
		e.remember(last)
	}
	return e
}
