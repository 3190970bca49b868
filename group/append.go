package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/group/step"
)

const (
	// appendsMax bounds the batches under way: one is written while the one before is flushed, and what comes meanwhile shares the next.
	appendsMax = 2
	// appendGrace is how long the partition's own answer to a deadline that passed is waited for.
	appendGrace = 5 * time.Second
	// recordOverhead is more than what a record has around key and value.
	recordOverhead = 32
	// indivisibleMax bounds a batch of records that must be in the log together, in bytes: more than the largest request, and much more
	// than max.message.bytes, which bounds the others.
	indivisibleMax = 128 << 20
)

// entry is what one append of a shard is about: records of a child, or the marker that ends a transaction.
type entry struct {
	records *appendRecords
	markers []*protocol.EndOffsets // all ask for the same
}

// refuse answers those whom no child answers.
func (e *entry) refuse(ctx *actors.Context, code protocol.Code) {
	for _, m := range e.markers {
		fail(ctx, m, code)
	}
}

func (e *entry) size() (bytes int) {
	for i := range e.records.records {
		bytes += recordSize(&e.records.records[i])
	}
	return bytes
}

func recordSize(r *step.Record) (bytes int) { return len(r.Key) + len(r.Value) + recordOverhead }

// flight is a batch under way.
type flight struct {
	id      uint64
	entries []entry
	records int64
}

// append takes the records of a child. Those of an open transaction must not come behind its marker.
func (s *shard) append(ctx *actors.Context, m *appendRecords) {
	c := m.from
	if s.phase != active || s.children[c.id] != c || c.away != nil {
		return // of an earlier life: whoever waited for it has been answered
	}
	c.under++
	if t := s.open[m.producer]; m.producer >= 0 && (t == nil || t.ended || t.epoch != m.epoch) {
		s.settleRecords(ctx, m, -1, protocol.InvalidTxnState)
		return
	}
	s.queue = append(s.queue, entry{records: m})
}

// flush appends what is queued, as few batches as possible, at most appendsMax at a time.
func (s *shard) flush(ctx *actors.Context) {
	for s.phase == active && len(s.queue) > 0 && len(s.inflight) < appendsMax {
		h := s.place.Table.Get(s.tp)
		if h != s.handle || h.View().Err != protocol.None {
			s.unload(ctx, "the partition was opened anew or is offline")
			return
		}
		limit := int(h.View().Config.MaxMessageBytes) - record.HeaderSize
		s.divide(limit)
		entries := s.take(s.run(limit))
		if e := &entries[0]; e.records != nil && e.size() > indivisibleMax {
			s.settle(ctx, entries, -1, protocol.MessageTooLarge)
			continue
		}
		s.produce(ctx, h.PID, entries)
	}
}

// take removes the first n entries of the queue.
func (s *shard) take(n int) []entry {
	taken := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	if len(s.queue) == 0 && cap(s.queue) > queueKept {
		s.queue = nil
	}
	return taken
}

// queueKept is the capacity that an empty queue keeps.
const queueKept = 1024

// divide makes an entry of as many records at the head of the queue as fit into limit bytes, at least one, if not all of them do and they
// are divisible.
func (s *shard) divide(limit int) {
	m := s.queue[0].records
	if m == nil || !m.divisible {
		return
	}
	n, bytes := 0, 0
	for n < len(m.records) {
		if bytes += recordSize(&m.records[n]); bytes > limit && n > 0 {
			break
		}
		n++
	}
	if n == len(m.records) {
		return
	}
	part, rest := *m, *m
	part.records, part.more, rest.records = m.records[:n:n], true, m.records[n:]
	s.queue[0].records = &rest
	s.queue = slices.Insert(s.queue, 0, entry{records: &part})
}

// run is how many entries at the head of the queue go into one batch: those of one producer, or of none, whose records fit into limit
// bytes. The first goes by itself if it is larger, and so does a marker.
func (s *shard) run(limit int) (n int) {
	bytes := 0
	for n < len(s.queue) {
		e := &s.queue[n]
		if e.records == nil {
			return max(n, 1)
		}
		first := s.queue[0].records
		if e.records.producer != first.producer || e.records.epoch != first.epoch {
			return n
		}
		if bytes += e.size(); bytes > limit {
			return max(n, 1)
		}
		n++
	}
	return n
}

// produce sends one batch to the partition.
func (s *shard) produce(ctx *actors.Context, to actors.PID, entries []entry) {
	batch, count := s.build(ctx.Now().UnixMilli(), entries)
	wait := s.place.appendWait()
	m := &protocol.Produce{
		Partition: s.tp, LeaderEpoch: protocol.NoLeaderEpoch, Acks: -1, Deadline: ctx.Mono() + wait, Batch: batch, Internal: true,
	}
	if markers := entries[0].markers; len(markers) > 0 {
		m.TransactionVersion = markers[0].TransactionVersion
	}
	id := ctx.Request(to, m, wait+appendGrace)
	s.inflight = append(s.inflight, &flight{id: id, entries: entries, records: count})
	s.place.Metrics.appended(s.kind, int(count))
}

// build is the batch of entries; all are of one producer, or one is a marker.
func (s *shard) build(now int64, entries []entry) (record.Batch, int64) {
	if m := entries[0].markers; len(m) > 0 {
		return record.EndTxnMarker(int64(m[0].ProducerID), int16(m[0].ProducerEpoch), m[0].Commit, m[0].CoordinatorEpoch, now), 1
	}
	o := record.Options{}
	if s.kind == groups {
		if o.Codec = record.Codec(s.place.settings().Int("offsets.topic.compression.codec")); !o.Codec.Known() {
			o.Codec = record.None
		}
	}
	if first := entries[0].records; first.producer >= 0 {
		o.ProducerID, o.Epoch, o.BaseSequence = int64(first.producer), int16(first.epoch), record.NoSequence
		o.Idempotent, o.Transactional = true, true
	}
	b := record.NewBuilder(o)
	for i := range entries {
		for _, r := range entries[i].records.records {
			b.Append(now, r.Key, r.Value, nil)
		}
	}
	batch, err := b.Build()
	if err != nil { // a codec that does not exist, or a length that does not fit: both are excluded before
		panic(fmt.Errorf("building a batch of %d records: %w", b.Len(), err))
	}
	return batch, int64(b.Len())
}

// landed takes the flight with the id out of those under way.
func (s *shard) landed(id uint64) *flight {
	i := slices.IndexFunc(s.inflight, func(f *flight) bool { return f.id == id })
	if i < 0 {
		return nil
	}
	f := s.inflight[i]
	s.inflight = slices.Delete(s.inflight, i, i+1)
	return f
}

// produced takes the partition's answer. See I-FATE and I-SHARD.
func (s *shard) produced(ctx *actors.Context, m *protocol.Produced) {
	f := s.landed(m.ID)
	switch {
	case f == nil: // of an earlier life
	case m.Failed() && !s.refused(m.Code):
		s.inflight = append(s.inflight, f)
		s.unload(ctx, "an append was answered with "+m.Code.Name()+" "+m.Reason)
	case m.Failed():
		s.settle(ctx, f.entries, -1, m.Code)
	case m.BaseOffset != s.next:
		s.inflight = append(s.inflight, f)
		s.unload(ctx, fmt.Sprintf("a batch went to offset %d, not %d", m.BaseOffset, s.next))
	default:
		s.next += f.records
		s.settle(ctx, f.entries, m.BaseOffset, protocol.None)
	}
}

// refused reports whether the code means that the batch is certainly not in the log. A storage error is a refusal for want of space, as
// long as the partition goes on; REQUEST_TIMED_OUT and the end of a leadership leave it open.
func (s *shard) refused(code protocol.Code) bool {
	switch code {
	case protocol.RequestTimedOut, protocol.NotEnoughReplicasAfter, protocol.NotLeaderOrFollower, protocol.UnknownTopicOrPartition:
		return false
	case protocol.KafkaStorageError:
		return s.place.Table.Get(s.tp) == s.handle && s.handle.View().Err == protocol.None
	}
	return true
}

// timedOut: the partition did not even say that it took too long; or a transaction coordinator did not answer.
func (s *shard) timedOut(ctx *actors.Context, m actors.RequestTimedOut) {
	if f := s.landed(m.ID); f != nil {
		s.inflight = append(s.inflight, f)
		s.unload(ctx, "an append was not answered")
		return
	}
	s.unverified(ctx, m.ID, protocol.CoordinatorLoadInProgress)
}

// settle tells the fate of entries, in their order. offset is that of the first record.
func (s *shard) settle(ctx *actors.Context, entries []entry, offset int64, code protocol.Code) {
	for i := range entries {
		if e := &entries[i]; e.records != nil {
			s.settleRecords(ctx, e.records, offset, code)
			offset += int64(len(e.records.records))
		} else {
			s.settleMarker(ctx, e.markers, code)
		}
	}
}

func (s *shard) settleRecords(ctx *actors.Context, m *appendRecords, offset int64, code protocol.Code) {
	c := m.from
	if !m.more {
		c.under--
	}
	if code == protocol.None && m.producer >= 0 {
		s.open.add(m.producer, c)
	}
	if c.away != nil {
		s.reload(ctx, c)
		return
	}
	ctx.Send(c.pid, &settled{token: m.token, count: len(m.records), more: m.more, offset: offset, code: coordinatorCode(code)})
}
