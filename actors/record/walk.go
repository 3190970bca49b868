package record

import (
	"encoding/binary"
	"fmt"
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

// usual passes records as long as they are of the usual kind: no headers, numbers of at most two bytes, nothing to
// object to. It stops at the first that is not (or at the last few bytes), which plain then looks at closely; so it may give up
// whenever it likes, but what it passes must be right. Less than half the time of the general way: the varints before the
// key come out of one load.
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
		if at := i + n + 1 + n1 + n2; n == 0 || n1 == 0 || n2 == 0 || offset != index || uint(end) > uint(len(p)) || !keyAndValue(p[:end], at, w.keyRequired) {
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

// keyAndValue reports whether b ends with a key, a value and no headers, beginning at i; lengths of at most two bytes. Either may be
// null, the key unless it is required.
func keyAndValue(b []byte, i int, keyRequired bool) bool {
	for part := range 2 {
		if i+1 >= len(b) {
			return false
		}
		size, n := shortVarint(uint64(b[i]) | uint64(b[i+1])<<8)
		if n == 0 || size < -1 || size < 0 && keyRequired && part == 0 {
			return false
		}
		i += n + max(int(size), 0)
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
