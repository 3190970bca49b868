package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Where the fields of a batch header begin; HeaderSize is where the records begin.
const (
	BaseOffsetAt      = 0
	BatchLengthAt     = 8
	LeaderEpochAt     = 12
	MagicAt           = 16
	CRCAt             = 17
	AttributesAt      = 21
	LastOffsetDeltaAt = 23
	BaseTimestampAt   = 27
	MaxTimestampAt    = 35
	ProducerIDAt      = 43
	ProducerEpochAt   = 51
	BaseSequenceAt    = 53
	NumRecordsAt      = 57
	HeaderSize        = 61
)

// lengthOverhead are the bytes that batchLength does not count.
const lengthOverhead = LeaderEpochAt

// PeekSize is how many bytes Peek needs to tell anything.
const PeekSize = MagicAt + 1

// Bits of the attributes.
const (
	codecMask         = 0x07
	logAppendTimeBit  = 1 << 3
	transactionalBit  = 1 << 4
	controlBit        = 1 << 5
	deleteHorizonBit  = 1 << 6
	reservedBits      = ^(codecMask | logAppendTimeBit | transactionalBit | controlBit | deleteHorizonBit) & 0xffff
	reservedForClient = reservedBits | deleteHorizonBit // the delete horizon is written by compaction only
)

// Magic2 is the format this package reads and writes.
const Magic2 = 2

// Values that mean "none". Source: RecordBatch.
const (
	NoTimestamp     = -1
	NoProducerID    = -1
	NoProducerEpoch = -1
	NoSequence      = -1
)

var (
	// ErrShort: there are not enough bytes to tell, or not the whole batch.
	ErrShort = errors.New("record batch is incomplete")
	// ErrCorrupt: the bytes are not, or no longer, a batch.
	ErrCorrupt = errors.New("record batch is corrupt")
	// ErrOldMagic: the bytes are in message format 0 or 1 (before Kafka 0.11), which is not supported (KIP-724).
	ErrOldMagic = errors.New("message format 0 and 1 are not supported")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Peek returns the size in bytes of the batch at the head of b, without looking at its content. ErrShort if b ends before that, or
// before it can be told (then size is 0); ErrOldMagic and ErrCorrupt if there is no v2 batch here.
func Peek(b []byte) (size int, err error) {
	if len(b) < PeekSize {
		return 0, ErrShort
	}
	if magic := b[MagicAt]; magic != Magic2 {
		if magic < Magic2 {
			return 0, ErrOldMagic
		}
		return 0, fmt.Errorf("%w: magic %d", ErrCorrupt, int8(magic))
	}
	length := int64(int32(binary.BigEndian.Uint32(b[BatchLengthAt:])))
	if length < HeaderSize-lengthOverhead {
		return 0, fmt.Errorf("%w: batch length %d is less than a header", ErrCorrupt, length)
	}
	size = int(length) + lengthOverhead
	if len(b) < size {
		return size, ErrShort
	}
	return size, nil
}

// Batch is one whole v2 batch. The accessors read, and the setters patch, the bytes in place; whoever owns the bytes owns the batch.
// The accessors need HeaderSize bytes, so a Batch over the header alone answers all but Payload, CRC checks and Each.
type Batch []byte

func (b Batch) int16At(at int) int16 { return int16(binary.BigEndian.Uint16(b[at:])) }
func (b Batch) int32At(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) int64At(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }

// BaseOffset is the offset of the first record the batch was written with.
func (b Batch) BaseOffset() int64 { return b.int64At(BaseOffsetAt) }

// SetBaseOffset patches the base offset; outside the CRC.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[BaseOffsetAt:], uint64(offset))
}

// Length is the size of the whole batch in bytes, as its header says: the length field and the 12 bytes before what it counts.
func (b Batch) Length() int { return int(b.int32At(BatchLengthAt)) + lengthOverhead }

// LeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) LeaderEpoch() int32 { return b.int32At(LeaderEpochAt) }

// SetLeaderEpoch patches the leader epoch; outside the CRC.
func (b Batch) SetLeaderEpoch(epoch int32) {
	binary.BigEndian.PutUint32(b[LeaderEpochAt:], uint32(epoch))
}

// Magic is the format; 2 in every batch that Peek accepts.
func (b Batch) Magic() int8 { return int8(b[MagicAt]) }

// CRC is the checksum the batch carries.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[CRCAt:]) }

// ComputeCRC is the checksum the batch should carry: CRC-32C from the attributes to the end.
func (b Batch) ComputeCRC() uint32 { return crc32.Checksum(b[AttributesAt:], castagnoli) }

// SealCRC stores ComputeCRC; call it after patching anything from the attributes on.
func (b Batch) SealCRC() { binary.BigEndian.PutUint32(b[CRCAt:], b.ComputeCRC()) }

// Attributes are the flags described in the package doc.
func (b Batch) Attributes() int16 { return b.int16At(AttributesAt) }

// Codec is how the records are compressed. It may be one that does not exist; see Codec.Known.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & codecMask) }

// IsLogAppendTime reports that all records have the timestamp MaxTimestamp, given by the broker.
func (b Batch) IsLogAppendTime() bool { return b.Attributes()&logAppendTimeBit != 0 }

// IsTransactional reports that the batch belongs to a transaction of its producer, as data or as the marker that ends it.
func (b Batch) IsTransactional() bool { return b.Attributes()&transactionalBit != 0 }

// IsControl reports that the batch is not data: see Marker.
func (b Batch) IsControl() bool { return b.Attributes()&controlBit != 0 }

// HasDeleteHorizon reports that BaseTimestamp is the time from which compaction may drop tombstones and markers (KIP-534).
func (b Batch) HasDeleteHorizon() bool { return b.Attributes()&deleteHorizonBit != 0 }

// SetLogAppendTime gives all records the timestamp ts (milliseconds), sets the attribute that says so and seals the CRC, which
// costs a pass over the batch. Source: DefaultRecordBatch.setMaxTimestamp.
func (b Batch) SetLogAppendTime(ts int64) {
	binary.BigEndian.PutUint16(b[AttributesAt:], uint16(b.Attributes())|logAppendTimeBit)
	binary.BigEndian.PutUint64(b[MaxTimestampAt:], uint64(ts))
	b.SealCRC()
}

// LastOffsetDelta is LastOffset minus BaseOffset.
func (b Batch) LastOffsetDelta() int32 { return b.int32At(LastOffsetDeltaAt) }

// LastOffset is the offset of the last record the batch was written with.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the first offset after the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// BaseTimestamp (milliseconds) is what the records' timestamps are relative to.
func (b Batch) BaseTimestamp() int64 { return b.int64At(BaseTimestampAt) }

// MaxTimestamp (milliseconds) is the highest timestamp of a record, or NoTimestamp.
func (b Batch) MaxTimestamp() int64 { return b.int64At(MaxTimestampAt) }

// ProducerID is the idempotent producer, or NoProducerID.
func (b Batch) ProducerID() int64 { return b.int64At(ProducerIDAt) }

// ProducerEpoch is that of ProducerID.
func (b Batch) ProducerEpoch() int16 { return b.int16At(ProducerEpochAt) }

// BaseSequence is the sequence of the first record, or NoSequence.
func (b Batch) BaseSequence() int32 { return b.int32At(BaseSequenceAt) }

// LastSequence is the sequence of the last record, or NoSequence.
func (b Batch) LastSequence() int32 {
	if b.BaseSequence() == NoSequence {
		return NoSequence
	}
	return AddSequence(b.BaseSequence(), b.LastOffsetDelta())
}

// NumRecords is how many records the batch has; after compaction less than the offsets it spans, even 0.
func (b Batch) NumRecords() int32 { return b.int32At(NumRecordsAt) }

// Payload are the records, compressed if there is a codec. It aliases the batch.
func (b Batch) Payload() []byte { return b[HeaderSize:] }

// AddSequence is sequence + n where 0 follows 2^31-1; both must not be negative. Source: DefaultRecordBatch.incrementSequence.
func AddSequence(sequence, n int32) int32 { return int32((uint32(sequence) + uint32(n)) & 0x7fffffff) }

// Verify checks that b is one whole batch whose CRC is right: what to do with every batch that comes from a disk or a peer, and
// enough for one that was validated when it was appended. ErrShort, ErrOldMagic or ErrCorrupt.
func (b Batch) Verify() error {
	size, err := Peek(b)
	if err != nil {
		return err
	}
	if size != len(b) {
		return fmt.Errorf("%w: %d bytes for a batch of %d", ErrCorrupt, len(b), size)
	}
	if got, want := b.ComputeCRC(), b.CRC(); got != want {
		return fmt.Errorf("%w: CRC is %#08x, the header says %#08x", ErrCorrupt, got, want)
	}
	return nil
}
