package workload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Everything in a record follows from its value and the partition it is sent to, so that whoever reads it can tell what it must be:
//
//	key      "k" and the value modulo 13
//	value    8 bytes value, 16 bytes topic id, 4 bytes partition, then padding: a run of one byte, both drawn from the value
//	headers  one "h" with the value in decimal for every third record
const recordHead = 8 + 16 + 4

func keyOf(v int64) []byte { return strconv.AppendInt([]byte("k"), check.KeyOf(v), 10) }

func valueOf(v int64, tp protocol.TopicPartition, padMax int) []byte {
	h := xxhash.Sum64String(strconv.FormatInt(v, 36))
	pad := int(h % uint64(padMax+1))
	b := make([]byte, recordHead, recordHead+pad)
	binary.BigEndian.PutUint64(b, uint64(v))
	copy(b[8:], tp.Topic[:])
	binary.BigEndian.PutUint32(b[24:], uint32(tp.Partition))
	return append(b, bytes.Repeat([]byte{byte(h >> 56)}, pad)...)
}

// tombstoneHeaders name the value of a record that has none.
func tombstoneHeaders(v int64) []kmsg.Header {
	return []kmsg.Header{{Key: "t", Value: strconv.AppendInt(nil, v, 10)}}
}

func headersOf(v int64) []kmsg.Header {
	if v%3 != 0 {
		return nil
	}
	return []kmsg.Header{{Key: "h", Value: strconv.AppendInt(nil, v, 10)}}
}

// producerState is what an idempotent producer writes into its batches; -1 everywhere for one that is not.
type producerState struct {
	id    int64
	epoch int16
}

var noProducer = producerState{-1, -1}

// encodeBatch builds the batch of op's values.
func encodeBatch(op *check.Op, by producerState, sequence int32, padMax int) []byte {
	var records []byte
	first := op.Timestamps[0]
	last := first
	for i, v := range op.Values {
		r := kmsg.Record{
			TimestampDelta64: op.Timestamps[i] - first, OffsetDelta: int32(i),
			Key: keyOf(v), Value: valueOf(v, op.Key, padMax), Headers: headersOf(v),
		}
		if op.Keyed && check.IsTombstone(v) {
			r.Value, r.Headers = nil, tombstoneHeaders(v)
		}
		last = max(last, op.Timestamps[i])
		records = appendRecord(records, &r)
	}
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(len(op.Values) - 1), FirstTimestamp: first, MaxTimestamp: last,
		ProducerID: by.id, ProducerEpoch: by.epoch, FirstSequence: sequence, NumRecords: int32(len(op.Values)), Records: records,
	}
	if op.Txn > 0 {
		b.Attributes |= transactionalBit
	}
	b.Length = int32(49 + len(records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

// appendRecord appends r behind its length, which kmsg leaves to us.
func appendRecord(dst []byte, r *kmsg.Record) []byte {
	r.Length = 0
	body := r.AppendTo(nil)[1:] // a zero length is one byte
	dst = binary.AppendVarint(dst, int64(len(body)))
	return append(dst, body...)
}

// Bits of a batch's attributes.
const (
	transactionalBit = 1 << 4
	controlBit       = 1 << 5
	horizonBit       = 1 << 6 // of a compacted batch: its first timestamp is when its tombstones may go
)

// fetched is one record of a fetch answer, or a marker.
type fetched struct {
	check.Read
	pid           int64
	sequence      int32
	transactional bool
	marker, abort bool
}

var (
	errShort = errors.New("batch cut off")
	errFrame = errors.New("unreadable batch")
)

// decodeBatches reads the record bytes of one partition of a fetch answer. A batch cut off at the end is allowed, as in Kafka. Anything
// else that is wrong comes back as an error, or as the Damage of the record.
//
// end is the offset behind the last batch; compaction may have taken the records at the end of it.
func decodeBatches(b []byte, t *Topic, padMax int) (out []fetched, end int64, err error) {
	for len(b) > 0 {
		size, err := batchSize(b)
		if err == errShort {
			return out, end, nil
		}
		if err != nil {
			return out, end, err
		}
		if out, end, err = decodeBatch(out, b[:size], t, padMax); err != nil {
			return out, end, err
		}
		b = b[size:]
	}
	return out, end, nil
}

func batchSize(b []byte) (int, error) {
	if len(b) < 61 {
		return 0, errShort
	}
	length := int32(binary.BigEndian.Uint32(b[8:]))
	if length < 49 || b[16] != 2 {
		return 0, fmt.Errorf("%w: length %d, magic %d", errFrame, length, b[16])
	}
	if int(length)+12 > len(b) {
		return 0, errShort
	}
	return int(length) + 12, nil
}

func decodeBatch(out []fetched, raw []byte, t *Topic, padMax int) (_ []fetched, end int64, err error) {
	if got, want := crc32.Checksum(raw[21:], castagnoli), binary.BigEndian.Uint32(raw[17:]); got != want {
		return out, 0, fmt.Errorf("%w: CRC %08x, header says %08x", errFrame, got, want)
	}
	var b kmsg.RecordBatch
	if err := b.ReadFrom(raw); err != nil {
		return out, 0, fmt.Errorf("%w: %w", errFrame, err)
	}
	if err := checkHeader(&b, t.Compacted); err != nil {
		return out, 0, err
	}
	end = b.FirstOffset + int64(b.LastOffsetDelta) + 1
	rest := b.Records
	for i := range b.NumRecords {
		length, n := binary.Varint(rest)
		if n <= 0 || length < 0 || int(length) > len(rest)-n {
			return out, end, fmt.Errorf("%w: record %d of %d", errFrame, i, b.NumRecords)
		}
		var r kmsg.Record
		if err := r.ReadFrom(rest[:n+int(length)]); err != nil {
			return out, end, fmt.Errorf("%w: record %d: %w", errFrame, i, err)
		}
		rest = rest[n+int(length):]
		if b.Attributes&controlBit == 0 {
			out = append(out, decodeRecord(&b, &r, t, padMax))
			continue
		}
		if len(r.Key) != 4 || r.Key[3] > 1 {
			return out, end, fmt.Errorf("%w: control record with key %x", errFrame, r.Key)
		}
		m := fetched{pid: b.ProducerID, marker: true, abort: r.Key[3] == 0}
		m.Offset = b.FirstOffset
		out = append(out, m)
	}
	if len(rest) > 0 || b.LastOffsetDelta != b.NumRecords-1 && !t.Compacted {
		return out, end, fmt.Errorf("%w: %d bytes behind %d records, last offset delta %d", errFrame, len(rest), b.NumRecords, b.LastOffsetDelta)
	}
	return out, end, nil
}

// checkHeader holds the header of a batch to what may be written. Compaction may empty a batch.
func checkHeader(b *kmsg.RecordBatch, compacted bool) error {
	allowed, control := int16(transactionalBit|controlBit|8), b.Attributes&controlBit != 0
	if compacted {
		allowed |= horizonBit
	}
	whole := b.NumRecords == 1 || compacted && b.NumRecords == 0
	if b.Attributes&^allowed != 0 || control && (b.Attributes&transactionalBit == 0 || !whole) || b.NumRecords > b.LastOffsetDelta+1 {
		return fmt.Errorf("%w: attributes %x, %d records", errFrame, b.Attributes, b.NumRecords)
	}
	return nil
}

func decodeRecord(b *kmsg.RecordBatch, r *kmsg.Record, t *Topic, padMax int) fetched {
	f := fetched{pid: b.ProducerID, sequence: b.FirstSequence + r.OffsetDelta, transactional: b.Attributes&transactionalBit != 0}
	f.Offset, f.Timestamp = b.FirstOffset+int64(r.OffsetDelta), b.FirstTimestamp+r.TimestampDelta64
	if b.Attributes&8 != 0 {
		f.Timestamp = b.MaxTimestamp
	}
	f.Value = -1
	if (b.Attributes&8 != 0) != t.LogAppendTime {
		f.Damage = fmt.Sprintf("timestamp type bit %v", b.Attributes&8 != 0)
	}
	if r.Value == nil { // also where a topic that was compacted is made again without
		f.tombstone(b, r)
		return f
	}
	if len(r.Value) < recordHead {
		f.Damage = fmt.Sprintf("value of %d bytes", len(r.Value))
		return f
	}
	f.Value = int64(binary.BigEndian.Uint64(r.Value))
	var sent protocol.TopicPartition
	copy(sent.Topic[:], r.Value[8:])
	sent.Partition = int32(binary.BigEndian.Uint32(r.Value[24:]))
	switch {
	case !bytes.Equal(r.Value, valueOf(f.Value, sent, padMax)):
		f.Damage = "other value bytes than were sent"
	case !bytes.Equal(r.Key, keyOf(f.Value)):
		f.Damage = fmt.Sprintf("key %q", r.Key)
	case !sameHeaders(r.Headers, headersOf(f.Value)):
		f.Damage = fmt.Sprintf("headers %v", r.Headers)
	}
	f.hash(b, r)
	return f
}

// tombstone reads the value of a record without one from its header.
func (f *fetched) tombstone(b *kmsg.RecordBatch, r *kmsg.Record) {
	if len(r.Headers) == 1 {
		f.Value, _ = strconv.ParseInt(string(r.Headers[0].Value), 10, 64)
	}
	if !check.IsTombstone(f.Value) || !bytes.Equal(r.Key, keyOf(f.Value)) || !sameHeaders(r.Headers, tombstoneHeaders(f.Value)) {
		f.Damage = fmt.Sprintf("tombstone of key %q with headers %v", r.Key, r.Headers)
	}
	f.hash(b, r)
}

// hash sums up everything a client can see.
func (f *fetched) hash(b *kmsg.RecordBatch, r *kmsg.Record) {
	h := xxhash.New()
	h.Write(r.Key)
	h.Write(r.Value)
	fmt.Fprint(h, f.Timestamp, b.ProducerID, b.ProducerEpoch, f.sequence)
	f.Sum = max(1, h.Sum64())
}

func sameHeaders(a, b []kmsg.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Key != b[i].Key || !bytes.Equal(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}
