package compat

import (
	"bytes"
	encoding "encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/record"
)

// goodBatch is what a decent client would send: three records.
func goodBatch(t testing.TB) record.Batch {
	t.Helper()
	b := record.NewBuilder(record.Options{})
	for range 3 {
		b.Append(time.Now().UnixMilli(), []byte("key"), []byte("value"), nil)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// batchWith is a good batch changed by f, with a CRC that fits the change.
func batchWith(t testing.TB, f func(record.Batch)) record.Batch {
	b := goodBatch(t)
	f(b)
	b.SealCRC()
	return b
}

func put16(at int, v int16) func(record.Batch) {
	return func(b record.Batch) { encoding.BigEndian.PutUint16(b[at:], uint16(v)) }
}

func put32(at int, v int32) func(record.Batch) {
	return func(b record.Batch) { encoding.BigEndian.PutUint32(b[at:], uint32(v)) }
}

func put64(at int, v int64) func(record.Batch) {
	return func(b record.Batch) { encoding.BigEndian.PutUint64(b[at:], uint64(v)) }
}

// times are both timestamps of the header; those of the records follow the first.
func times(ts int64) func(record.Batch) {
	return func(b record.Batch) {
		put64(record.BaseTimestampAt, ts)(b)
		put64(record.MaxTimestampAt, ts)(b)
	}
}

// compressedBatch is a batch of one record whose payload, already compressed, is taken as it is.
func compressedBatch(t testing.TB, codec record.Codec, payload []byte) record.Batch {
	b := append(goodBatch(t)[:record.HeaderSize:record.HeaderSize], payload...)
	put32(record.BatchLengthAt, int32(len(b)-record.LeaderEpochAt))(b)
	put16(record.AttributesAt, int16(codec))(b)
	put32(record.LastOffsetDeltaAt, 0)(b)
	put32(record.NumRecordsAt, 1)(b)
	b.SealCRC()
	return b
}

// bomb is one record with a value of about size zeros, compressed. Where the format allows it is put together from streams one after
// another, so that a gigabyte costs the test nothing; an lz4 frame ends the records, so there it is one frame.
func bomb(t testing.TB, codec record.Codec, size int) record.Batch {
	t.Helper()
	const piece = 16 << 20
	head := append([]byte{0, 0, 0, 1}, encoding.AppendVarint(nil, int64(size))...) // attributes, deltas, no key, length of the value
	head = append(encoding.AppendVarint(nil, int64(len(head)+size+1)), head...)
	pack := func(b []byte) []byte {
		packed, err := record.Compress(codec, 0, nil, b)
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	if codec == record.LZ4 {
		return compressedBatch(t, codec, pack(append(head, make([]byte, size+1)...)))
	}
	start, zeros, end := pack(head), pack(make([]byte, piece)), pack(make([]byte, size%piece+1)) // the last byte is the number of headers
	if codec == record.Snappy {                                                                  // one xerial header for all
		const xerialHeader = 16
		zeros, end = zeros[xerialHeader:], end[xerialHeader:]
	}
	return compressedBatch(t, codec, append(append(start, bytes.Repeat(zeros, size/piece)...), end...))
}

// produceOf is a Produce request for partition 0 of victim.
func produceOf(version, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(version)
	req.Acks, req.TimeoutMillis = acks, 5000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = records
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = victim, []kmsg.ProduceRequestTopicPartition{part}
	req.Topics = append(req.Topics, topic)
	return req
}

// The codes of Kafka that hostile input meets.
const (
	none                   = 0
	offsetOutOfRange       = 1
	corruptMessage         = 2
	unknownTopic           = 3
	messageTooLarge        = 10
	invalidTopic           = 17
	invalidRequiredAcks    = 21
	invalidTimestamp       = 32
	unsupportedVersion     = 35
	topicExists            = 36
	invalidPartitions      = 37
	invalidReplication     = 38
	invalidRequest         = 42
	policyViolation        = 44
	transactionalIDRefused = 53 // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
	unknownLeaderEpoch     = 75
	unsupportedCodec       = 76
	offsetNotAvailable     = 78
	invalidRecord          = 87
	unknownTopicIDCode     = 100
	fetchSessionNotFound   = 70
)

// hostileBatches sends batches one by one; nothing of what is refused may be in the log afterwards.
func hostileBatches(t *testing.T) {
	good := goodBatch(t)
	crc := bytes.Clone(good)
	crc[record.CRCAt]++
	flipped := bytes.Clone(good)
	flipped[len(flipped)-2] ^= 0x40
	far := time.Now().AddDate(200, 0, 0).UnixMilli()
	old := func(magic byte) []byte { // a message set of format 0 or 1 has its magic where a batch has it
		b := bytes.Clone(good)
		b[record.MagicAt] = magic
		return b
	}
	with := func(f func(record.Batch)) []byte { return batchWith(t, f) }
	for _, c := range []struct {
		name    string
		records []byte
		want    int16
	}{
		{"wrong CRC", crc, corruptMessage},
		{"a bit flipped in a record", flipped, corruptMessage},
		{"control bit", with(put16(record.AttributesAt, 0x20)), invalidRecord},
		{"reserved attributes", with(put16(record.AttributesAt, 0x4000)), invalidRecord},
		{"log append time", with(put16(record.AttributesAt, 0x08)), invalidTimestamp},
		{"transactional without transaction", with(func(b record.Batch) {
			put16(record.AttributesAt, 0x10)(b)
			put64(record.ProducerIDAt, 1)(b)
			put16(record.ProducerEpochAt, 0)(b)
			put32(record.BaseSequenceAt, 0)(b)
		}), transactionalIDRefused},
		{"unknown codec", with(put16(record.AttributesAt, 7)), unsupportedCodec},
		{"claims gzip and is not", with(put16(record.AttributesAt, 1)), invalidRecord},
		{"two batches", append(bytes.Clone(good), good...), invalidRecord},
		{"a byte after the batch", append(bytes.Clone(good), 0), invalidRecord},
		{"no batch", []byte{}, invalidRecord},
		{"null", nil, invalidRecord},
		{"a header cut off", good[:40], invalidRecord},
		{"a batch cut off", good[:len(good)-1], invalidRecord},
		{"batch length negative", with(put32(record.BatchLengthAt, -1)), corruptMessage},
		{"batch length 2^31-1", with(put32(record.BatchLengthAt, math.MaxInt32)), invalidRecord},
		{"more records counted than there are", with(func(b record.Batch) {
			put32(record.NumRecordsAt, 4)(b)
			put32(record.LastOffsetDeltaAt, 3)(b)
		}), invalidRecord},
		{"fewer records counted than there are", with(func(b record.Batch) {
			put32(record.NumRecordsAt, 2)(b)
			put32(record.LastOffsetDeltaAt, 1)(b)
		}), invalidRecord},
		{"2^31-1 records counted", with(func(b record.Batch) {
			put32(record.NumRecordsAt, math.MaxInt32)(b)
			put32(record.LastOffsetDeltaAt, math.MaxInt32-1)(b)
		}), invalidRecord},
		{"negative count", with(put32(record.NumRecordsAt, -3)), invalidRecord},
		{"last offset of another count", with(put32(record.LastOffsetDeltaAt, 100)), invalidRecord},
		{"base offset in the future", with(put64(record.BaseOffsetAt, 1<<40)), invalidRecord},
		{"magic 0", old(0), invalidRecord},
		{"magic 1", old(1), invalidRecord},
		{"magic 3", old(3), corruptMessage},
		{"producer id without epoch", with(put64(record.ProducerIDAt, 5)), invalidRecord},
		{"producer id below -1", with(put64(record.ProducerIDAt, math.MinInt64)), invalidRecord},
		{"timestamp in 200 years", with(times(far)), invalidTimestamp},
		{"the last timestamp there is", with(times(math.MaxInt64)), invalidTimestamp},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, version := range []int16{3, 9, 11} {
				wantProduced(t, produceOf(version, -1, c.records), c.want)
			}
		})
	}
	t.Run("acks=2", func(t *testing.T) { wantProduced(t, produceOf(9, 2, good), invalidRequiredAcks) })
	t.Run("old format in an old request", func(t *testing.T) { wantProduced(t, produceOf(2, 1, old(1)), unsupportedVersion) })
	t.Run("acks=0 and nonsense", func(t *testing.T) { mustClose(t, hostileAddr, frameOf(produceOf(9, 0, crc))) })
}

// wantProduced sends a produce that must be answered with the code.
func wantProduced(t *testing.T, req *kmsg.ProduceRequest, want ...int16) {
	t.Helper()
	got := mustSend[*kmsg.ProduceResponse](dial(t, hostileAddr), req)
	for _, code := range want {
		if got.Topics[0].Partitions[0].ErrorCode == code {
			return
		}
	}
	part := got.Topics[0].Partitions[0]
	reason := ""
	if part.ErrorMessage != nil {
		reason = *part.ErrorMessage
	}
	t.Errorf("v%d: code %d (%s), want %d", req.Version, part.ErrorCode, reason, want)
}

// hostileCompression is what unpacks to a gigabyte, as far as a codec can do that from what message.max.bytes lets through: lz4 packs
// 255 to 1 and snappy 21 to 1 at best.
func hostileCompression(t *testing.T) {
	for _, c := range []struct {
		codec record.Codec
		size  int // of the only record
		want  int16
	}{
		{record.Gzip, 1 << 30, messageTooLarge},
		{record.Zstd, 1 << 30, messageTooLarge},
		{record.LZ4, 224 << 20, messageTooLarge},
		{record.Snappy, 300 << 20, messageTooLarge}, // as sent
		{record.Snappy, 16 << 20, none},             // it is as much as fits, and honest
	} {
		b := bomb(t, c.codec, c.size)
		t.Run(c.codec.String(), func(t *testing.T) {
			t.Logf("%d KiB claim to be %d MiB", len(b)>>10, c.size>>20)
			wantProduced(t, produceOf(9, -1, b), c.want)
		})
	}
	lies := map[string]record.Batch{
		"snappy that says 4 GiB":      compressedBatch(t, record.Snappy, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 'x'}),
		"xerial with a block of 2^31": compressedBatch(t, record.Snappy, append([]byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"), 0x7f, 0xff, 0xff, 0xff, 1)),
		"zstd that says 2^60":         compressedBatch(t, record.Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0}),
		"zstd with a window of 2^41":  compressedBatch(t, record.Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0}),
		"lz4 legacy frame":            compressedBatch(t, record.LZ4, []byte{0x02, 0x21, 0x4c, 0x18, 0xff, 0xff, 0xff, 0x7f, 0}),
		"gzip cut off":                compressedBatch(t, record.Gzip, bomb(t, record.Gzip, 1<<20).Payload()[:500]),
	}
	for name, b := range lies {
		t.Run(name, func(t *testing.T) {
			wantProduced(t, produceOf(9, -1, b), corruptMessage, invalidRecord, messageTooLarge)
		})
	}
}
