package record

import "fmt"

// Record is one record of a batch as Each hands it out. Key, Value and Headers are valid until the function returns: they alias the
// batch, or the decoder if the batch is compressed.
type Record struct {
	Offset    int64
	Timestamp int64  // milliseconds, NoTimestamp if there is none
	Key       []byte // nil if null
	Value     []byte // nil if null: a tombstone
	Headers   []Header
}

// Header is one header of a record (KIP-82). Keys need not be unique.
type Header struct {
	Key   string
	Value []byte // nil if null
}

// DecompressedMax is how many bytes of records one batch may decompress to where nobody said otherwise.
const DecompressedMax = 256 << 20

// Decoder holds what Each needs between batches: a buffer for decompressed records. Not for two goroutines at once; the zero value
// is ready.
type Decoder struct {
	// Limit on the bytes of one batch's records after decompression; 0 means DecompressedMax.
	Limit   int
	buf     []byte
	kept    []byte // by Filter
	headers []Header
}

func (d *Decoder) limit() int {
	if d.Limit > 0 {
		return d.Limit
	}
	return DecompressedMax
}

// plain returns the records of b without compression; they alias the batch or the decoder.
func (d *Decoder) plain(b Batch) ([]byte, error) {
	if b.Codec() == None {
		return b.Payload(), nil
	}
	var err error
	d.buf, err = Decompress(b.Codec(), d.buf[:0], b.Payload(), d.limit())
	return d.buf, err
}

// Each calls f for every record in order and stops at its first error, which it returns. d may be nil. ErrCorrupt if the records
// cannot be read; records before the damage were handed out then. The batch's CRC is not checked: see Verify.
func (b Batch) Each(d *Decoder, f func(Record) error) error {
	if len(b) < HeaderSize {
		return ErrShort
	}
	if d == nil {
		d = &Decoder{}
	}
	p, err := d.plain(b)
	if err != nil {
		return err
	}
	base, baseTimestamp, appendTime := b.BaseOffset(), b.BaseTimestamp(), b.IsLogAppendTime()
	maxTimestamp := b.MaxTimestamp()
	for n := b.NumRecords(); n > 0; n-- {
		body, rest, reason := nextRecord(p)
		if reason != "" {
			return fmt.Errorf("%w: record %d: %s", ErrCorrupt, b.NumRecords()-n, reason)
		}
		p = rest
		r, reason := d.record(body)
		if reason != "" {
			return fmt.Errorf("%w: record %d: %s", ErrCorrupt, b.NumRecords()-n, reason)
		}
		r.Offset += base
		r.Timestamp += baseTimestamp
		if appendTime {
			r.Timestamp = maxTimestamp
		}
		if err := f(r); err != nil {
			return err
		}
	}
	if len(p) != 0 {
		return fmt.Errorf("%w: %d bytes after the last record", ErrCorrupt, len(p))
	}
	return nil
}

// nextRecord splits the first record's body, which follows its length, off p. reason is "" or what is wrong.
func nextRecord(p []byte) (body, rest []byte, reason string) {
	size, i := varint(p, 0)
	if i < 0 {
		return nil, nil, badLength
	}
	if size < minRecordBody || int(size) > len(p)-i {
		return nil, nil, badSize
	}
	end := i + int(size)
	return p[i:end], p[end:], ""
}

// record reads one record; Offset and Timestamp are still deltas.
func (d *Decoder) record(b []byte) (r Record, reason string) {
	var f fields
	if reason = f.read(b); reason != "" {
		return r, reason
	}
	r = Record{Offset: int64(f.offsetDelta), Timestamp: f.timestampDelta}
	r.Key, r.Value = slice(b, f.keyAt, f.keyLen), slice(b, f.valueAt, f.valueLen)
	d.headers = d.headers[:0]
	i := f.headersAt
	for range f.headers {
		size, at := varint(b, i)
		key := string(slice(b, at, size))
		size, at = varint(b, at+int(size))
		d.headers = append(d.headers, Header{key, slice(b, at, size)})
		i = at + max(int(size), 0)
	}
	if len(d.headers) > 0 {
		r.Headers = d.headers
	}
	return r, ""
}

func slice(b []byte, at int, size int32) []byte {
	if size < 0 {
		return nil
	}
	return b[at : at+int(size) : at+int(size)]
}
