package record

import (
	"encoding/binary"
	"fmt"
)

// Filtered is what Filter kept of a batch.
type Filtered struct {
	Read, Kept int
	Tombstones bool  // a record without value is among those kept
	maxTime    int64 // of those kept
}

// Filter asks keep about every record and remembers in d, until its next use, those to keep. key is nil if null and valid during the
// call. ErrCorrupt if the records cannot be read. What to do with the outcome: nothing if all were kept, else Rebuild, Emptied, or
// leave the batch out. Source: MemoryRecords.filterTo.
func (b Batch) Filter(d *Decoder, keep func(offset int64, key []byte, tombstone bool) bool) (Filtered, error) {
	p, err := d.plain(b)
	if err != nil {
		return Filtered{}, err
	}
	out, base, baseTimestamp := Filtered{maxTime: NoTimestamp}, b.BaseOffset(), b.BaseTimestamp()
	d.kept = d.kept[:0]
	var f fields
	for n := b.NumRecords(); n > 0; n-- {
		body, rest, reason := nextRecord(p)
		if reason == "" {
			reason = f.read(body)
		}
		if reason != "" {
			return Filtered{}, fmt.Errorf("%w: record %d: %s", ErrCorrupt, out.Read, reason)
		}
		out.Read++
		if keep(base+int64(f.offsetDelta), slice(body, f.keyAt, f.keyLen), f.valueLen < 0) {
			out.Kept++
			out.Tombstones = out.Tombstones || f.valueLen < 0
			out.maxTime = max(out.maxTime, baseTimestamp+f.timestampDelta)
			d.kept = append(d.kept, p[:len(p)-len(rest)]...)
		}
		p = rest
	}
	if len(p) != 0 {
		return Filtered{}, fmt.Errorf("%w: %d bytes after the last record", ErrCorrupt, len(p))
	}
	return out, nil
}

// Rebuild returns b with only the records that the last Filter by d kept, at least one, in memory of its own: offsets, timestamps,
// sequences, epochs and the codec stay, the CRC is sealed anew. A horizon (milliseconds) other than NoTimestamp is the time from which
// compaction may drop tombstones and markers; it is written in the place of the base timestamp (KIP-534).
// Source: MemoryRecords.buildRetainedRecordsInto.
func (b Batch) Rebuild(d *Decoder, f Filtered, horizon int64) (Batch, error) {
	if f.Kept == 0 {
		return nil, ErrEmpty
	}
	records := d.kept
	out := append(make(Batch, 0, HeaderSize+len(records)+len(records)/8), b[:HeaderSize]...)
	if horizon != NoTimestamp {
		var err error
		if records, err = rebase(records, b.BaseTimestamp()-horizon); err != nil {
			return nil, err
		}
		out[AttributesAt+1] |= deleteHorizonBit
		binary.BigEndian.PutUint64(out[BaseTimestampAt:], uint64(horizon))
	}
	if !b.IsLogAppendTime() {
		binary.BigEndian.PutUint64(out[MaxTimestampAt:], uint64(f.maxTime))
	}
	binary.BigEndian.PutUint32(out[NumRecordsAt:], uint32(f.Kept))
	return out.finish(b.Codec(), 0, records)
}

// rebase copies records with shift added to every timestamp delta.
func rebase(records []byte, shift int64) ([]byte, error) {
	out := make([]byte, 0, len(records)+len(records)/4)
	for len(records) > 0 {
		body, rest, reason := nextRecord(records)
		if reason != "" {
			return nil, fmt.Errorf("%w: %s", ErrCorrupt, reason)
		}
		delta, at := varlong(body, 1)
		if at < 0 {
			return nil, fmt.Errorf("%w: %s", ErrCorrupt, badHead)
		}
		out = appendVarint(out, int64(1+varintSize(delta+shift)+len(body)-at))
		out = append(out, body[0])
		out = appendVarint(out, delta+shift)
		out = append(out, body[at:]...)
		records = rest
	}
	return out, nil
}

// Emptied returns b without any record, in memory of its own: what keeps its offsets and the sequence of its producer when compaction
// removed the records. Source: DefaultRecordBatch.writeEmptyHeader.
func (b Batch) Emptied() Batch {
	out := append(make(Batch, 0, HeaderSize), b[:HeaderSize]...)
	out[AttributesAt+1] &^= codecMask | deleteHorizonBit
	binary.BigEndian.PutUint32(out[BatchLengthAt:], HeaderSize-lengthOverhead)
	base := int64(NoTimestamp)
	binary.BigEndian.PutUint64(out[BaseTimestampAt:], uint64(base))
	binary.BigEndian.PutUint32(out[NumRecordsAt:], 0)
	out.SealCRC()
	return out
}
