package producer

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

const (
	// WindowBatches is how many batches per producer are remembered to recognise a duplicate.
	WindowBatches = 5

	// DefaultMaxProducers is where Config leaves it open. An entry takes about 250 bytes.
	DefaultMaxProducers = 100_000

	// PressureExpireAfter is how long idle producers are remembered at most while more than three quarters of MaxProducers are known. Longer
	// than clients retry by default (delivery.timeout.ms, 2 minutes).
	PressureExpireAfter = 15 * time.Minute
)

const (
	noEpoch            = record.NoProducerEpoch
	noCoordinatorEpoch = -1
	noOffset           = -1
)

// Config of a State. Zero values mean the defaults.
type Config struct {
	// MaxProducers bounds the producers that are known at a time.
	MaxProducers int
}

// State is what one log knows of its producers. Not for two goroutines at once.
type State struct {
	cfg     Config
	entries map[protocol.ProducerID]*entry
	// open are the transactions without a marker. Invariant: first rises.
	open []txn
	// decided are those with a marker at or above the high watermark, without those that another one hides: one that began before
	// it and ended after it. Invariant: first and last both rise.
	decided []span
	undo    []undo
	markers uint64 // applied so far, for Guard
	passed  uint64 // the newest of them that no entry remembers
}

// txn is an open transaction.
type txn struct {
	producer protocol.ProducerID
	first    int64 // offset
}

// span is a transaction from its first offset to its marker, inclusive.
type span struct{ first, last int64 }

// entry is one producer.
type entry struct {
	id               protocol.ProducerID
	epoch            protocol.ProducerEpoch
	coordinatorEpoch int32 // of the last marker
	timestamp        int64 // milliseconds, of the last batch or marker
	txnFirst         int64 // first offset of the open transaction
	restored         bool  // the open transaction is from before the start, and perhaps over; see Distrust
	batches          [WindowBatches]batch
	count            int   // of batches, the oldest first
	next             int32 // sequence to come first, while there are no batches of this epoch
	used             bool  // since the last Expire
	guard            uint64
}

// batch is what is remembered of one.
type batch struct {
	lastSequence int32
	delta        int32 // last minus first, of offsets and sequences alike
	lastOffset   int64
	timestamp    int64 // milliseconds
}

func (b batch) baseSequence() int32 { return subSequence(b.lastSequence, b.delta) }

// subSequence is the sequence n before s, where 2^31-1 comes before 0.
func subSequence(s, n int32) int32 { return int32((uint32(s) - uint32(n)) & 0x7fffffff) }

// NewState knows nobody.
func NewState(cfg Config) *State {
	if cfg.MaxProducers <= 0 {
		cfg.MaxProducers = DefaultMaxProducers
	}
	return &State{cfg: cfg, entries: map[protocol.ProducerID]*entry{}}
}

// Len is the number of producers known.
func (s *State) Len() int { return len(s.entries) }

// Header is what a batch of data says of its producer.
type Header struct {
	ProducerID protocol.ProducerID // NoProducerID: not idempotent, and then nothing else matters here
	Epoch      protocol.ProducerEpoch
	// BaseSequence is record.NoSequence for batches of our own coordinators.
	BaseSequence, LastSequence int32
	Transactional              bool
}

// HeaderOf reads the header of a batch of data.
func HeaderOf(b record.Batch) Header {
	return Header{
		ProducerID: protocol.ProducerID(b.ProducerID()), Epoch: protocol.ProducerEpoch(b.ProducerEpoch()),
		BaseSequence: b.BaseSequence(), LastSequence: b.LastSequence(), Transactional: b.IsTransactional(),
	}
}

// Apply records that the batch was given the offsets from base to last (inclusive) and the timestamp ts (milliseconds, the batch's
// MaxTimestamp). It takes what the log has, so it checks nothing: the leader calls Check before. Undone by Rollback until Commit.
func (s *State) Apply(h Header, base, last, ts int64) {
	if h.ProducerID < 0 {
		return
	}
	e := s.touch(h.ProducerID)
	e.enter(h.Epoch)
	e.timestamp = ts
	e.remember(batch{h.LastSequence, int32(last - base), last, ts})
	e.restored = false
	if h.Transactional && e.txnFirst == noOffset {
		e.txnFirst = base
		if n := len(s.open); n > 0 && s.open[n-1].first >= base {
			invariant.Check(false, "transaction of producer %d begins at %d, not after %d", h.ProducerID, base, s.open[n-1].first)
		}
		s.open = append(s.open, txn{h.ProducerID, base})
	}
}

// Replay applies a batch as the log has it, data or marker: after a start, and for what is replicated. Commit as you go, or what can
// be undone piles up. Control batches of other kinds, and those that compaction emptied, say nothing.
func (s *State) Replay(b record.Batch) (c Completed, ok bool) {
	if !b.IsControl() {
		s.Apply(HeaderOf(b), b.BaseOffset(), b.LastOffset(), b.MaxTimestamp())
		return Completed{}, false
	}
	commit, coordinatorEpoch, ok := b.Marker()
	if !ok {
		return Completed{}, false
	}
	m := Marker{protocol.ProducerID(b.ProducerID()), protocol.ProducerEpoch(b.ProducerEpoch()), commit, coordinatorEpoch}
	return s.ApplyMarker(m, b.BaseOffset(), b.MaxTimestamp())
}

// touch returns the producer's entry, for a change that can be undone.
func (s *State) touch(id protocol.ProducerID) *entry {
	e := s.entries[id]
	if e == nil {
		e = &entry{id: id, epoch: noEpoch, coordinatorEpoch: noCoordinatorEpoch, timestamp: record.NoTimestamp, txnFirst: noOffset, guard: s.passed}
		s.entries[id] = e
		s.undo = append(s.undo, undo{entry: entry{id: id}, created: true, opened: len(s.open)})
	} else {
		s.undo = append(s.undo, undo{entry: *e, opened: len(s.open)})
	}
	e.used = true
	return e
}

// enter forgets the batches of another epoch. Source: ProducerStateEntry.maybeUpdateProducerEpoch.
func (e *entry) enter(epoch protocol.ProducerEpoch) {
	if e.epoch != epoch {
		e.epoch, e.count, e.next = epoch, 0, 0
	}
}

func (e *entry) remember(b batch) {
	if e.count == WindowBatches {
		copy(e.batches[:], e.batches[1:])
		e.count--
	}
	e.batches[e.count] = b
	e.count++
}

func (e *entry) window() []batch { return e.batches[:e.count] }

// newest is the last batch, if there is one in this epoch.
func (e *entry) newest() (b batch, ok bool) {
	if e.count == 0 {
		return batch{}, false
	}
	return e.batches[e.count-1], true
}

// Expire forgets producers whose last batch or marker is at least after old at now (wall time, milliseconds), unless they have a
// transaction open or were used since the last Expire. It returns how many. Call it every few minutes, not within a turn that has
// something to roll back. Source: ProducerStateManager.removeExpiredProducers.
func (s *State) Expire(now int64, after time.Duration) int {
	invariant.Check(len(s.undo) == 0, "expiry with %d changes not committed", len(s.undo))
	if len(s.entries) > s.cfg.MaxProducers/4*3 {
		after = min(after, PressureExpireAfter)
	}
	before := len(s.entries)
	for id, e := range s.entries {
		if !e.used && e.txnFirst == noOffset && now-e.timestamp >= after.Milliseconds() {
			delete(s.entries, id)
		}
		e.used = false
	}
	return before - len(s.entries)
}

// Describe lists the producers by id (KIP-664).
func (s *State) Describe() []protocol.ProducerInfo {
	out := make([]protocol.ProducerInfo, 0, len(s.entries))
	for _, e := range s.sorted() {
		last := int32(record.NoSequence)
		if b, ok := e.newest(); ok {
			last = b.lastSequence
		}
		out = append(out, protocol.ProducerInfo{
			ProducerID: e.id, ProducerEpoch: e.epoch, LastSequence: last, LastTimestamp: e.timestamp,
			CoordinatorEpoch: e.coordinatorEpoch, TxnStartOffset: e.txnFirst,
		})
	}
	return out
}

// sorted are the entries by id: the only order in which they leave the State.
func (s *State) sorted() []*entry {
	out := make([]*entry, 0, len(s.entries))
	for _, e := range s.entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return out
}

// Equal reports whether both know the same, apart from their configuration and from what is only about expiry.
func (s *State) Equal(o *State) bool {
	if len(s.entries) != len(o.entries) || !slices.Equal(s.open, o.open) || !slices.Equal(s.decided, o.decided) {
		return false
	}
	for id, e := range s.entries {
		if p := o.entries[id]; p == nil || !e.equal(p) {
			return false
		}
	}
	return true
}

func (e *entry) equal(o *entry) bool {
	return e.id == o.id && e.epoch == o.epoch && e.coordinatorEpoch == o.coordinatorEpoch && e.timestamp == o.timestamp &&
		e.txnFirst == o.txnFirst && slices.Equal(e.window(), o.window())
}
