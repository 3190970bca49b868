package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrEmpty: a batch without a record cannot be built.
var ErrEmpty = errors.New("record batch has no records")

// Options of a batch to build. The zero value is an uncompressed batch of a producer that is not idempotent.
type Options struct {
	Codec Codec
	// Level of compression in the codec's own scale; 0 is its default.
	Level int
	// Idempotent says that ProducerID, Epoch and BaseSequence are meant, else they are written as -1. A ProducerID above 0 implies
	// it: the flag is for producer 0.
	Idempotent    bool
	ProducerID    int64
	Epoch         int16
	BaseSequence  int32
	Transactional bool
	Control       bool
	// BaseTimestamp (milliseconds); 0 means that of the first record.
	BaseTimestamp int64
}

// Builder collects records and writes one batch. Not for two goroutines at once.
type Builder struct {
	opts    Options
	records []byte // uncompressed
	count   int32
	base    int64 // timestamp
	max     int64 // timestamp
}

// NewBuilder starts a batch.
func NewBuilder(o Options) *Builder {
	return &Builder{opts: o, base: o.BaseTimestamp, max: NoTimestamp}
}

// Append adds a record; ts is in milliseconds, nil key or value is null. The arguments are copied.
func (b *Builder) Append(ts int64, key, value []byte, headers []Header) {
	if b.count == 0 && b.opts.BaseTimestamp == 0 {
		b.base = ts
	}
	b.max = max(b.max, ts)
	b.records = appendRecord(b.records, ts-b.base, b.count, key, value, headers)
	b.count++
}

// Len is the number of records so far.
func (b *Builder) Len() int { return int(b.count) }

// Size is the size in bytes the batch would have without compression.
func (b *Builder) Size() int { return HeaderSize + len(b.records) }

// Reset starts the next batch with the same options but its own first sequence, keeping the memory.
func (b *Builder) Reset(baseSequence int32) {
	b.opts.BaseSequence = baseSequence
	b.records, b.count, b.base, b.max = b.records[:0], 0, b.opts.BaseTimestamp, NoTimestamp
}

// Build returns the batch, in memory of its own: base offset 0, leader epoch -1, CRC sealed. ErrEmpty without records.
func (b *Builder) Build() (Batch, error) {
	if b.count == 0 {
		return nil, ErrEmpty
	}
	o := b.opts
	if !o.Idempotent && o.ProducerID <= 0 {
		o.ProducerID, o.Epoch, o.BaseSequence = NoProducerID, NoProducerEpoch, NoSequence
	}
	out := make(Batch, HeaderSize, HeaderSize+len(b.records))
	out.SetLeaderEpoch(-1)
	out[MagicAt] = Magic2
	binary.BigEndian.PutUint16(out[AttributesAt:], o.attributes())
	binary.BigEndian.PutUint32(out[LastOffsetDeltaAt:], uint32(b.count-1))
	binary.BigEndian.PutUint64(out[BaseTimestampAt:], uint64(b.base))
	binary.BigEndian.PutUint64(out[MaxTimestampAt:], uint64(b.max))
	binary.BigEndian.PutUint64(out[ProducerIDAt:], uint64(o.ProducerID))
	binary.BigEndian.PutUint16(out[ProducerEpochAt:], uint16(o.Epoch))
	binary.BigEndian.PutUint32(out[BaseSequenceAt:], uint32(o.BaseSequence))
	binary.BigEndian.PutUint32(out[NumRecordsAt:], uint32(b.count))
	return out.finish(o.Codec, o.Level, b.records)
}

// finish appends the records to a header and completes the length and the CRC.
func (b Batch) finish(codec Codec, level int, records []byte) (Batch, error) {
	out, err := Compress(codec, level, b, records)
	if err != nil {
		return nil, err
	}
	if len(out)-lengthOverhead > math.MaxInt32 {
		return nil, fmt.Errorf("record batch of %d bytes does not fit its length field", len(out))
	}
	b = out
	binary.BigEndian.PutUint32(b[BatchLengthAt:], uint32(len(b)-lengthOverhead))
	b.SealCRC()
	return b, nil
}

func (o Options) attributes() uint16 {
	a := uint16(o.Codec)
	if o.Transactional {
		a |= transactionalBit
	}
	if o.Control {
		a |= controlBit
	}
	return a
}

func appendRecord(b []byte, timestampDelta int64, offsetDelta int32, key, value []byte, headers []Header) []byte {
	size := 1 + varintSize(timestampDelta) + varintSize(int64(offsetDelta)) + bytesSize(key) + bytesSize(value) + varintSize(int64(len(headers)))
	for _, h := range headers {
		size += varintSize(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	b = appendVarint(b, int64(size))
	b = append(b, 0)
	b = appendVarint(b, timestampDelta)
	b = appendVarint(b, int64(offsetDelta))
	b = appendBytes(b, key)
	b = appendBytes(b, value)
	b = appendVarint(b, int64(len(headers)))
	for _, h := range headers {
		b = appendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
		b = appendBytes(b, h.Value)
	}
	return b
}

func bytesSize(p []byte) int {
	if p == nil {
		return varintSize(-1)
	}
	return varintSize(int64(len(p))) + len(p)
}

func appendBytes(b, p []byte) []byte {
	if p == nil {
		return appendVarint(b, -1)
	}
	return append(appendVarint(b, int64(len(p))), p...)
}
