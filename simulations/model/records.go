package model

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (b *Broker) produce(r *kmsg.ProduceRequest, out *kmsg.ProduceResponse, wall int64) {
	for _, rt := range r.Topics {
		row := kmsg.NewProduceResponseTopic()
		row.Topic, row.TopicID = rt.Topic, rt.TopicID
		t, code := b.find(rt.Topic, rt.TopicID, r.Version >= 13)
		for _, rp := range rt.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.BaseOffset, part.LogAppendTime, part.LogStartOffset = rp.Partition, -1, -1, -1
			p := t.partition(rp.Partition)
			switch {
			case r.Acks < -1 || r.Acks > 1:
				part.ErrorCode = invalidRequiredAcks
			case code != none:
				part.ErrorCode = code
			case p == nil:
				part.ErrorCode = unknownTopicOrPartition
			default:
				b.append(r, t, p, rp.Records, wall, &part)
			}
			row.Partitions = append(row.Partitions, part)
		}
		out.Topics = append(out.Topics, row)
	}
}

// append adds one batch to the log, or answers why not.
func (b *Broker) append(r *kmsg.ProduceRequest, t *topic, p *partition, raw []byte, wall int64, out *kmsg.ProduceResponseTopicPartition) {
	var h kmsg.RecordBatch
	if len(raw) < 61 || h.ReadFrom(raw) != nil || uint32(h.CRC) != crc32.Checksum(raw[21:], castagnoli) {
		out.ErrorCode = corruptMessage
		return
	}
	base, code, repeated := p.sequence(&h)
	if code == none && !repeated {
		code = b.joins(r, p, &h)
	}
	if code != none {
		out.ErrorCode = code
		return
	}
	out.LogStartOffset = p.start
	if t.appendTime {
		out.LogAppendTime = wall
	}
	if repeated && b.Bug != NoDeduplicate {
		out.BaseOffset = base
		return
	}
	out.BaseOffset = p.end()
	p.appends++
	b.misbehave(p, out, func() { p.put(t, &h, raw, wall) })
}

// misbehave keeps the batch, or does what the planted bug does on every seventh append.
func (b *Broker) misbehave(p *partition, out *kmsg.ProduceResponseTopicPartition, keep func()) {
	due := p.appends%7 == 0
	if due && b.Bug == LoseBatch {
		return
	}
	keep()
	switch {
	case !due:
	case b.Bug == WrongOffset:
		out.BaseOffset++
	case b.Bug == FailAndKeep:
		out.ErrorCode, out.BaseOffset = 87, -1 // INVALID_RECORD
	case b.Bug == DamageBytes:
		last := &p.batches[len(p.batches)-1]
		last.raw[len(last.raw)-2] ^= 1
		binary.BigEndian.PutUint32(last.raw[17:], crc32.Checksum(last.raw[21:], castagnoli))
	}
}

func (p *partition) put(t *topic, h *kmsg.RecordBatch, raw []byte, wall int64) {
	base := p.end()
	kept := slices.Clone(raw)
	binary.BigEndian.PutUint64(kept, uint64(base))
	binary.BigEndian.PutUint32(kept[12:], 0)
	if t.appendTime {
		kept[22] |= 8
		binary.BigEndian.PutUint64(kept[35:], uint64(wall))
		binary.BigEndian.PutUint32(kept[17:], crc32.Checksum(kept[21:], castagnoli))
	}
	p.batches = append(p.batches, batch{base, base + int64(h.LastOffsetDelta), kept})
	if h.Attributes&transactional != 0 && !slices.ContainsFunc(p.open, func(o openTxn) bool { return o.producer == h.ProducerID }) {
		p.open = append(p.open, openTxn{h.ProducerID, base})
	}
	if h.ProducerID < 0 {
		return
	}
	s := p.producer(h.ProducerID)
	if s.epoch != h.ProducerEpoch {
		s.recent = nil
	}
	s.epoch = h.ProducerEpoch
	s.recent = append(s.recent, appended{h.FirstSequence, wrap(h.FirstSequence, h.LastOffsetDelta), base})
	if len(s.recent) > 5 {
		s.recent = s.recent[1:]
	}
}

func wrap(sequence, n int32) int32 { return int32((int64(sequence) + int64(n)) % (math.MaxInt32 + 1)) }

func (p *partition) producer(id int64) *producer {
	i := slices.IndexFunc(p.producers, func(s *producer) bool { return s.id == id })
	if i < 0 {
		p.producers = append(p.producers, &producer{id: id, epoch: -1})
		i = len(p.producers) - 1
	}
	return p.producers[i]
}

// sequence checks a batch of an idempotent producer (KIP-98). A producer nobody knows may begin anywhere.
func (p *partition) sequence(h *kmsg.RecordBatch) (base int64, code int16, repeated bool) {
	if h.ProducerID < 0 {
		return 0, none, false
	}
	i := slices.IndexFunc(p.producers, func(s *producer) bool { return s.id == h.ProducerID })
	if i < 0 {
		return 0, none, false
	}
	s := p.producers[i]
	if h.ProducerEpoch < s.epoch {
		return 0, invalidProducerEpoch, false
	}
	if len(s.recent) == 0 {
		return 0, none, false
	}
	if h.ProducerEpoch > s.epoch {
		if h.FirstSequence != 0 {
			return 0, outOfOrderSequence, false
		}
		return 0, none, false
	}
	last := wrap(h.FirstSequence, h.LastOffsetDelta)
	for _, a := range s.recent {
		if a.first == h.FirstSequence && a.last == last {
			return a.base, none, true
		}
	}
	if h.FirstSequence != wrap(s.recent[len(s.recent)-1].last, 1) {
		return 0, outOfOrderSequence, false
	}
	return 0, none, false
}

func (b *Broker) fetch(r *kmsg.FetchRequest, out *kmsg.FetchResponse) {
	left := int(r.MaxBytes)
	for _, rt := range r.Topics {
		row := kmsg.NewFetchResponseTopic()
		row.Topic, row.TopicID = rt.Topic, rt.TopicID
		t, code := b.find(rt.Topic, rt.TopicID, r.Version >= 13)
		for _, rp := range rt.Partitions {
			part := kmsg.NewFetchResponseTopicPartition()
			part.Partition, part.ErrorCode = rp.Partition, code
			part.HighWatermark, part.LastStableOffset, part.LogStartOffset = -1, -1, -1
			p := t.partition(rp.Partition)
			if p == nil && code == none {
				part.ErrorCode = unknownTopicOrPartition
			}
			if p != nil {
				b.read(p, &rp, &part, left, r.IsolationLevel == 1, out)
				left -= len(part.RecordBatches)
			}
			row.Partitions = append(row.Partitions, part)
		}
		out.Topics = append(out.Topics, row)
	}
}

// read answers for one partition: whole batches, the first whatever its size if the answer is still empty.
func (b *Broker) read(p *partition, r *kmsg.FetchRequestTopicPartition, out *kmsg.FetchResponseTopicPartition, left int, committed bool, all *kmsg.FetchResponse) {
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = p.end(), p.stable(), p.start
	bound := p.end()
	if committed && b.Bug == ShowOpen {
		out.LastStableOffset = bound
	}
	if committed {
		bound = out.LastStableOffset
		out.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
	}
	if r.FetchOffset < p.start || r.FetchOffset > p.end() {
		out.ErrorCode, out.HighWatermark, out.LastStableOffset, out.LogStartOffset = offsetOutOfRange, -1, -1, -1
		return
	}
	limit := min(int(r.PartitionMaxBytes), left)
	if r.FetchOffset >= bound {
		return
	}
	upTo := r.FetchOffset
	for i, k := range p.batches {
		if k.base >= bound {
			break
		}
		if k.last < r.FetchOffset || b.Bug == SkipRecord && i%7 == 6 {
			continue
		}
		if len(out.RecordBatches)+len(k.raw) > limit && !(len(out.RecordBatches) == 0 && empty(all)) {
			break
		}
		out.RecordBatches = append(out.RecordBatches, k.raw...)
		upTo = k.last + 1
	}
	if committed {
		out.AbortedTransactions = b.abortedIn(p, r.FetchOffset, upTo)
	}
	if b.Bug == StaleWatermark && p.end() > 20 && p.appends%5 == 0 {
		out.HighWatermark -= 10
		out.LastStableOffset -= 10
		out.RecordBatches = nil
	}
}

// empty reports whether an answer holds no records yet.
func empty(r *kmsg.FetchResponse) bool {
	return !slices.ContainsFunc(r.Topics, func(t kmsg.FetchResponseTopic) bool {
		return slices.ContainsFunc(t.Partitions, func(p kmsg.FetchResponseTopicPartition) bool { return len(p.RecordBatches) > 0 })
	})
}

func (b *Broker) listOffsets(r *kmsg.ListOffsetsRequest, out *kmsg.ListOffsetsResponse) {
	for _, rt := range r.Topics {
		row := kmsg.NewListOffsetsResponseTopic()
		row.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewListOffsetsResponseTopicPartition()
			part.Partition, part.Offset, part.Timestamp, part.LeaderEpoch = rp.Partition, -1, -1, -1
			p := b.byName(rt.Topic).partition(rp.Partition)
			if p == nil {
				part.ErrorCode = unknownTopicOrPartition
			} else {
				part.Offset, part.Timestamp = p.at(rp.Timestamp)
			}
			row.Partitions = append(row.Partitions, part)
		}
		out.Topics = append(out.Topics, row)
	}
}

// at answers a ListOffsets timestamp: -1 latest, -2 earliest, -3 the largest timestamp, else the first record not older.
func (p *partition) at(ts int64) (offset, timestamp int64) {
	switch ts {
	case -1:
		return p.end(), -1
	case -2:
		return p.start, -1
	}
	offset, timestamp = -1, -1
	for _, k := range p.batches {
		for i, t := range k.timestamps() {
			o := k.base + int64(i)
			switch {
			case o < p.start:
			case ts == -3 && t > timestamp:
				offset, timestamp = o, t
			case ts >= 0 && t >= ts:
				return o, t
			}
		}
	}
	return offset, timestamp
}

// timestamps are those of each record.
func (k *batch) timestamps() []int64 {
	var h kmsg.RecordBatch
	if h.ReadFrom(k.raw) != nil {
		return nil
	}
	out := make([]int64, h.NumRecords)
	rest := h.Records
	for i := range out {
		size, n := binary.Varint(rest)
		delta, _ := binary.Varint(rest[n+1:])
		out[i] = h.FirstTimestamp + delta
		if h.Attributes&8 != 0 {
			out[i] = h.MaxTimestamp
		}
		rest = rest[n+int(size):]
	}
	return out
}
