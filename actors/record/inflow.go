package record

import (
	"errors"
	"io"
	"sync"
)

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
	free  int // bytes that may still come without being paid for
	meter Meter
	err   error
	s     *stream
}

var inflows = sync.Pool{New: func() any { return new(inflow) }}

// openInflow starts to decompress the records of b, of which at most limit bytes come out. Errors as of Decompress, and of u.Meter.
func openInflow(b Batch, u Unpacking, limit int) (*inflow, error) {
	free := unpackedFree * len(b)
	s, paid, err := openStream(b.Codec(), b.Payload(), limit, free, u)
	if err != nil {
		return nil, err
	}
	in := inflows.Get().(*inflow)
	in.s, in.r, in.at, in.end, in.limit, in.free, in.meter, in.err = s, s.r, 0, 0, limit, max(free, paid), u.Meter, nil
	return in, nil
}

func (in *inflow) close() {
	in.s.close()
	in.s, in.r, in.meter = nil, nil, nil
	inflows.Put(in)
}

// failure is what ended the stream, unless that was its end.
func (in *inflow) failure() error {
	if in.err == io.EOF || in.err == nil {
		return nil
	}
	return corruptStream(in.err)
}

// compressed walks the records behind a codec.
func (w *walker) compressed(b Batch, lim *Limits) *Invalid {
	limit := lim.MaxDecompressed
	if limit <= 0 {
		limit = DecompressedMax
	}
	in, err := openInflow(b, lim.Unpacking, limit)
	if err != nil {
		return w.streamFailed(&inflow{err: err}, "")
	}
	defer in.close()
	return w.stream(in, b.NumRecords())
}

func (w *walker) stream(in *inflow, count int32) *Invalid {
	var f fields
	for {
		ready := in.buf[in.at:in.end]
		in.at += len(ready) - len(w.usual(ready, count))
		if w.index == count {
			break
		}
		reason := in.next(&f)
		if reason == "" {
			reason = w.record(&f)
		}
		if reason != "" {
			return w.streamFailed(in, reason)
		}
		w.index++
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
		in.pay(got)
	}
}

// pay pays for n bytes that came, as far as they are not free. There is nothing more if that fails.
func (in *inflow) pay(n int) {
	due := min(n, n-in.free)
	in.free = max(in.free-n, 0)
	if in.meter == nil || due <= 0 {
		return
	}
	if err := in.meter.Take(due); err != nil {
		in.err, in.end = err, in.at
	}
}

// next reads the fields of the next record, and passes it.
func (in *inflow) next(f *fields) (reason string) {
	in.fill(varintMax)
	size, at := varint(in.buf[:in.end], in.at)
	switch {
	case at < 0:
		return badLength
	case size < minRecordBody:
		return badSize
	}
	in.at = at
	return in.fields(f, int(size))
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
