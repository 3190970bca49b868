package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Kind says what a client did wrong, as coarse as Kafka's error codes.
type Kind uint8

// The kinds, with the error code that Kafka answers.
const (
	Corrupt          Kind = iota + 1 // CORRUPT_MESSAGE: header or CRC; the client may send it again
	InvalidRecord                    // INVALID_RECORD: well transported, badly made
	UnsupportedMagic                 // UNSUPPORTED_FOR_MESSAGE_FORMAT: message format 0 or 1
	TooLarge                         // MESSAGE_TOO_LARGE
	UnsupportedCodec                 // UNSUPPORTED_COMPRESSION_TYPE
	InvalidTimestamp                 // INVALID_TIMESTAMP
)

// kindErrors are the marks of the kinds that have one.
var kindErrors = [...]error{
	Corrupt: ErrCorrupt, UnsupportedMagic: ErrOldMagic, TooLarge: ErrTooLarge, UnsupportedCodec: ErrUnsupportedCodec, InvalidTimestamp: nil,
}

// Invalid is why Validate refuses a batch.
type Invalid struct {
	Kind   Kind
	Reason string // for people
	// Records are the records at fault, if that can be told, in order; at most FaultsMax of them.
	Records []Fault
}

// Fault is one record at fault.
type Fault struct {
	Index  int32 // within the batch
	Reason string
}

// FaultsMax bounds the faults listed for one batch; the rest are only counted in the reason.
const FaultsMax = 100

func (e *Invalid) Error() string { return e.Reason }

// Is makes errors.Is(err, ErrCorrupt) and the like work.
func (e *Invalid) Is(target error) bool {
	return int(e.Kind) < len(kindErrors) && target != nil && kindErrors[e.Kind] == target
}

func invalid(kind Kind, format string, args ...any) *Invalid {
	return &Invalid{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// Limits say what Validate accepts. The zero value checks the header and the CRC of what a client may send.
type Limits struct {
	// MaxBytes of the batch as it was sent: max.message.bytes. 0 means no limit.
	MaxBytes int
	// MaxDecompressed bounds the records after decompression, in bytes. 0 means DecompressedMax.
	MaxDecompressed int
	// Deep walks the records: without it only header and CRC are checked. Compressed batches are decompressed for it, in a window
	// of fixed size, as Kafka does: it is the only way to know that what is stored can be read. KeyRequired and Window imply it.
	Deep bool
	// Internal accepts what our own coordinators write and a client may not: control batches, delete horizons, log append time and
	// batches of a producer without sequence (transactional offset commits).
	Internal bool
	// KeyRequired refuses records without key, as a compacted topic must.
	KeyRequired bool
	// Unpacking is what decompressing is bound to.
	Unpacking
	// Window bounds the records' timestamps; the zero value does not. Leave it so for topics with log append time.
	Window Window
}

// Window is a range of timestamps in milliseconds, both ends included. The zero value is no restriction.
type Window struct{ Earliest, Latest int64 }

// WindowAt is message.timestamp.before.max.ms and message.timestamp.after.max.ms at the wall time now. Source: KIP-937.
func WindowAt(now time.Time, before, after time.Duration) Window {
	ms := now.UnixMilli()
	w := Window{math.MinInt64, math.MaxInt64}
	if before < math.MaxInt64 {
		w.Earliest = ms - before.Milliseconds()
	}
	if after < math.MaxInt64 {
		w.Latest = ms + after.Milliseconds()
	}
	return w
}

// Validate checks that b is exactly one batch as a client may send it and returns it; it aliases b. Errors are *Invalid.
//
// The caller must own b: if the batch's maxTimestamp is not that of its records it is corrected in place and the CRC sealed again
// (only if the records were walked, and as Kafka does). Nothing is allocated for a valid batch.
//
// Source: ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords, LogValidator.
func Validate(b []byte, lim Limits) (Batch, error) {
	batch, err := frame(b, lim)
	switch {
	case err != nil:
	case batch.BaseOffset() != 0:
		err = invalid(InvalidRecord, "The baseOffset of the record batch should be 0, but it is %d", batch.BaseOffset())
	case batch.ComputeCRC() != batch.CRC(): // before anything that it covers: a corrupt batch may be sent again, an invalid one not
		err = invalid(Corrupt, "Record is corrupt (stored crc = %d, computed crc = %d)", batch.CRC(), batch.ComputeCRC())
	default:
		err = batch.checkHeader(lim)
	}
	if err == nil && (lim.Deep || lim.KeyRequired || lim.Window != Window{}) {
		err = batch.walk(&lim)
	}
	if err != nil { // a typed nil must not escape
		return nil, err
	}
	return batch, nil
}

// frame checks that b is one batch, whole and alone.
func frame(b []byte, lim Limits) (Batch, *Invalid) {
	size, err := Peek(b)
	switch {
	case len(b) == 0:
		return nil, invalid(InvalidRecord, "Record batch has no batches at all")
	case err == ErrOldMagic:
		return nil, invalid(UnsupportedMagic, "Message format %d is not supported: use a client of Kafka 0.11 or newer", b[MagicAt])
	case err == ErrShort:
		return nil, invalid(InvalidRecord, "Record batch is cut off: %d of %d bytes", len(b), max(size, HeaderSize))
	case err != nil:
		return nil, invalid(Corrupt, "%s", err.Error())
	case size < len(b):
		return nil, invalid(InvalidRecord, "More than one record batch for a partition, or %d bytes after it", len(b)-size)
	case lim.MaxBytes > 0 && size > lim.MaxBytes:
		return nil, invalid(TooLarge, "The record batch size is %d bytes which exceeds the maximum configured value of %d", size, lim.MaxBytes)
	}
	return b, nil
}

// checkHeader checks the fields of the header against each other. Source: LogValidator.validateBatch.
func (b Batch) checkHeader(lim Limits) *Invalid {
	attributes := uint16(b.Attributes())
	reserved := uint16(reservedForClient)
	if lim.Internal {
		reserved = reservedBits
	}
	switch {
	case attributes&reserved != 0:
		return invalid(InvalidRecord, "Reserved attributes are set: %#04x", attributes)
	case !b.Codec().Known():
		return invalid(UnsupportedCodec, "Unknown compression codec %d", b.Codec())
	case b.IsControl() && !lim.Internal:
		return invalid(InvalidRecord, "Clients are not allowed to write control records")
	case b.IsLogAppendTime() && !lim.Internal:
		return invalid(InvalidTimestamp, "Producer should not set timestamp type to LogAppendTime")
	case b.NumRecords() <= 0:
		return invalid(InvalidRecord, "Invalid reported count for record batch: %d", b.NumRecords())
	case b.LastOffsetDelta() != b.NumRecords()-1:
		return invalid(InvalidRecord, "Inconsistent batch offset range [0, %d] and count of records %d", b.LastOffsetDelta(), b.NumRecords())
	}
	return b.checkProducer(lim)
}

func (b Batch) checkProducer(lim Limits) *Invalid {
	pid := b.ProducerID()
	switch {
	case pid < NoProducerID:
		return invalid(InvalidRecord, "Invalid producerId %d", pid)
	case pid == NoProducerID && b.IsTransactional():
		return invalid(InvalidRecord, "Transactional record batch without producerId")
	case pid == NoProducerID:
		return nil
	case b.ProducerEpoch() < 0:
		return invalid(InvalidRecord, "Invalid producer epoch %d in record batch with producerId %d", b.ProducerEpoch(), pid)
	case b.BaseSequence() < 0 && !lim.Internal:
		return invalid(InvalidRecord, "Invalid sequence number %d in record batch with producerId %d", b.BaseSequence(), pid)
	}
	return nil
}

// patchMaxTimestamp makes the header say what the records say. Source: DefaultRecordBatch.setMaxTimestamp.
func (b Batch) patchMaxTimestamp(ts int64) {
	if b.MaxTimestamp() == ts || b.IsLogAppendTime() {
		return
	}
	binary.BigEndian.PutUint64(b[MaxTimestampAt:], uint64(ts))
	b.SealCRC()
}
