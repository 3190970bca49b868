package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// walker checks the records of one batch as they pass.
type walker struct {
	base        int64 // timestamp
	window      Window
	keyRequired bool

	index   int32
	max     int64 // timestamp
	faults  []Fault
	faulted int
	late    bool // a fault is about a timestamp
}

// walk checks every record of b and corrects its maxTimestamp.
func (b Batch) walk(lim *Limits) *Invalid {
	w := walker{base: b.BaseTimestamp(), window: lim.Window, keyRequired: lim.KeyRequired, max: NoTimestamp}
	if w.window == (Window{}) {
		w.window = Window{minTimestamp, maxTimestamp}
	}
	var err *Invalid
	if b.Codec() == None {
		err = w.plain(b.Payload(), b.NumRecords())
	} else {
		err = w.compressed(b, lim)
	}
	if err == nil {
		err = w.verdict()
	}
	if err == nil {
		b.patchMaxTimestamp(w.max)
	}
	return err
}

const (
	minTimestamp = -1 << 63
	maxTimestamp = 1<<63 - 1
)

// plain walks uncompressed records: the hot path.
func (w *walker) plain(p []byte, count int32) *Invalid {
	var f fields
	for {
		if p = w.usual(p, count); w.index == count {
			break
		}
		body, rest, reason := nextRecord(p)
		if reason == "" {
			reason = f.read(body)
		}
		if reason == "" {
			reason = w.record(&f)
		}
		if reason != "" {
			return w.refuse(reason)
		}
		p = rest
		w.index++
	}
	if len(p) != 0 {
		return invalid(InvalidRecord, "Incorrect declared batch size, records still remaining: %d bytes after %d records", len(p), count)
	}
	return nil
}

// usual passes records as long as they are of the usual kind: key, value, no headers, numbers of at most two bytes, nothing to
// object to. It stops at the first that is not (or at the last few bytes), which plain then looks at closely; so it may give up
// whenever it likes, but what it passes must be right. A third of the time of the general way: the varints before the key come
// out of one load.
func (w *walker) usual(p []byte, count int32) (rest []byte) {
	index, latest, i := w.index, w.max, 0
	for ; index < count && len(p)-i >= 8; index++ {
		x := binary.LittleEndian.Uint64(p[i:])
		size, n := shortVarint(x)
		end := i + n + int(size)
		x >>= 8*n + 8 // the attributes too
		delta, n1 := shortVarint(x)
		x >>= 8 * n1
		offset, n2 := shortVarint(x)
		if at := i + n + 1 + n1 + n2; n == 0 || n1 == 0 || n2 == 0 || offset != index || uint(end) > uint(len(p)) || !keyAndValue(p[:end], at) {
			break
		}
		ts := w.base + int64(delta)
		if ts < w.window.Earliest || ts > w.window.Latest {
			break
		}
		latest = max(latest, ts)
		i = end
	}
	w.index, w.max = index, latest
	return p[i:]
}

// shortVarint decodes a varint of at most two bytes at the low end of x; n is 0 if it is longer.
func shortVarint(x uint64) (v int32, n int) {
	if x&0x80 == 0 {
		u := uint32(x & 0x7f)
		return int32(u>>1) ^ -int32(u&1), 1
	}
	if x&0x8000 == 0 {
		u := uint32(x&0x7f | x>>1&0x3f80)
		return int32(u>>1) ^ -int32(u&1), 2
	}
	return 0, 0
}

// keyAndValue reports whether b ends with a key, a value and no headers, beginning at i; lengths of at most two bytes, not null.
func keyAndValue(b []byte, i int) bool {
	for range 2 {
		if i+1 >= len(b) {
			return false
		}
		size, n := shortVarint(uint64(b[i]) | uint64(b[i+1])<<8)
		if n == 0 || size < 0 {
			return false
		}
		i += n + int(size)
	}
	return i+1 == len(b) && b[i] == 0
}

const badDelta = "offset delta is not that of its place in the batch"

// record checks one record whose framing is right. A reason ends the walk; faults of single records are collected.
func (w *walker) record(f *fields) (reason string) {
	if f.offsetDelta != w.index {
		return badDelta
	}
	ts := w.base + f.timestampDelta
	if ts > w.max {
		w.max = ts
	}
	if w.keyRequired && f.keyLen < 0 {
		w.fault("Compacted topic cannot accept message without key")
	} else if (ts < w.window.Earliest || ts > w.window.Latest) && ts != NoTimestamp {
		w.late = true
		w.fault(fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
			ts, w.index, w.window.Earliest, w.window.Latest))
	}
	return ""
}

func (w *walker) fault(reason string) {
	w.faulted++
	if len(w.faults) < FaultsMax {
		w.faults = append(w.faults, Fault{w.index, reason})
	}
}

func (w *walker) refuse(reason string) *Invalid {
	return &Invalid{
		Kind:    InvalidRecord,
		Reason:  fmt.Sprintf("Found invalid record structure in record %d: %s", w.index, reason),
		Records: []Fault{{w.index, reason}},
	}
}

// verdict is about the faults of single records. Source: LogValidator.processRecordErrors.
func (w *walker) verdict() *Invalid {
	if w.faulted == 0 {
		return nil
	}
	e := invalid(InvalidRecord, "One or more records have been rejected due to %d record errors in total", w.faulted)
	if w.late {
		e.Kind, e.Reason = InvalidTimestamp, fmt.Sprintf("One or more records have been rejected due to invalid timestamp (%d in total)", w.faulted)
	}
	e.Records = w.faults
	return e
}

// windowSize is how much decompressed data a walk holds at once, besides what the codec itself remembers.
const windowSize = 64 << 10

// inflow reads a decompressed stream through a window. Records that fit the window are checked in it; of longer ones keys and
// values are read past, so memory does not grow with them.
type inflow struct {
	r     io.Reader
	buf   [windowSize]byte
	at    int // next byte
	end   int
	limit int // bytes that may still come
	err   error
}

var inflows = sync.Pool{New: func() any { return new(inflow) }}

// compressed walks the records behind a codec.
func (w *walker) compressed(b Batch, lim *Limits) *Invalid {
	limit := lim.MaxDecompressed
	if limit <= 0 {
		limit = DecompressedMax
	}
	s, err := openStream(b.Codec(), b.Payload(), limit)
	if err != nil {
		return w.streamFailed(&inflow{err: err}, "")
	}
	in := inflows.Get().(*inflow)
	in.r, in.at, in.end, in.limit, in.err = s.r, 0, 0, limit, nil
	e := w.stream(in, b.NumRecords())
	in.r = nil
	inflows.Put(in)
	s.close()
	return e
}

func (w *walker) stream(in *inflow, count int32) *Invalid {
	var f fields
	for ; w.index < count; w.index++ {
		in.fill(varintMax)
		size, at := varint(in.buf[:in.end], in.at)
		reason := ""
		switch {
		case at < 0:
			reason = badLength
		case size < minRecordBody:
			reason = badSize
		default:
			in.at = at
			reason = in.fields(&f, int(size))
		}
		if reason == "" {
			reason = w.record(&f)
		}
		if reason != "" {
			return w.streamFailed(in, reason)
		}
	}
	in.fill(1)
	if in.at < in.end {
		return invalid(InvalidRecord, "Incorrect declared batch size, records still remaining after %d", count)
	}
	if in.err != io.EOF {
		return w.streamFailed(in, "")
	}
	return nil
}

// streamFailed tells the stream's failure from the record's.
func (w *walker) streamFailed(in *inflow, reason string) *Invalid {
	switch {
	case errors.Is(in.err, ErrTooLarge):
		return invalid(TooLarge, "The records decompress to more than allowed")
	case in.err != nil && in.err != io.EOF:
		return invalid(InvalidRecord, "The records do not decompress: %s", in.err.Error())
	}
	return w.refuse(reason)
}

const varintMax = 5 // bytes of a 32-bit varint

// fill makes n bytes, at most windowSize, available from in.at on, unless the stream ends first or fails.
func (in *inflow) fill(n int) {
	if in.end-in.at >= n || in.err != nil {
		return
	}
	in.end = copy(in.buf[:], in.buf[in.at:in.end])
	in.at = 0
	for in.end < n && in.err == nil {
		var got int
		got, in.err = in.r.Read(in.buf[in.end:])
		in.end += got
		if in.limit -= got; in.limit < 0 {
			in.err = ErrTooLarge
		}
	}
}

// fields reads the fields of a record whose body of size bytes begins at in.at, and passes it.
func (in *inflow) fields(f *fields, size int) (reason string) {
	if size <= windowSize {
		in.fill(size)
		if in.end-in.at < size {
			return badSize
		}
		in.at += size
		return f.read(in.buf[in.at-size : in.at])
	}
	return in.longFields(f, size)
}

// longFields is fields.read for a record that is longer than the window.
func (in *inflow) longFields(f *fields, size int) string {
	left := size - 1
	in.skip(1)
	f.timestampDelta = in.varlong(&left)
	f.offsetDelta = in.varint(&left)
	f.keyLen = in.varint(&left)
	if f.keyLen < -1 || !in.take(&left, f.keyLen) {
		return badKey
	}
	f.valueLen = in.varint(&left)
	if f.valueLen < -1 || !in.take(&left, f.valueLen) {
		return badValue
	}
	headers := in.varint(&left)
	if headers < 0 {
		return badHeaders
	}
	for range headers {
		key := in.varint(&left)
		if key < 0 || !in.take(&left, key) {
			return badHeaders
		}
		if value := in.varint(&left); value < -1 || !in.take(&left, value) {
			return badHeaders
		}
	}
	if left != 0 {
		return badEnd
	}
	return ""
}

// badVarint is what varint returns when there is none; as a length or count it is always refused. left is then negative.
const badVarint = -1 << 31

func (in *inflow) varint(left *int) int32 {
	in.fill(varintMax)
	v, next := varint(in.buf[:in.end], in.at)
	if next < 0 {
		*left = -1
		return badVarint
	}
	*left -= next - in.at
	in.at = next
	return v
}

func (in *inflow) varlong(left *int) int64 {
	in.fill(2 * varintMax)
	v, next := varlong(in.buf[:in.end], in.at)
	if next < 0 {
		*left = -1
		return 0
	}
	*left -= next - in.at
	in.at = next
	return v
}

// take passes size bytes (none if it is -1) and reports whether the record and the stream had them.
func (in *inflow) take(left *int, size int32) bool {
	n := int(max(size, 0))
	if *left < n {
		return false
	}
	*left -= n
	return in.skip(n)
}

func (in *inflow) skip(n int) bool {
	for n > 0 {
		in.fill(1)
		step := min(n, in.end-in.at)
		if step == 0 {
			return false
		}
		in.at += step
		n -= step
	}
	return true
}
