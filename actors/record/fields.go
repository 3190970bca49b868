package record

import "errors"

// What can be wrong with the framing of a record. Constants, so that refusing allocates little and a bomb of bad records nothing.
const (
	badLength  = "length is no varint"
	badSize    = "length is outside the batch"
	badHead    = "attributes, timestamp or offset delta is cut off"
	badKey     = "key is outside the record"
	badValue   = "value is outside the record"
	badHeaders = "headers are outside the record"
	badEnd     = "length and fields disagree"
)

// minRecordBody: attributes, timestamp delta, offset delta, key length, value length and header count, a byte each.
const minRecordBody = 6

var errFound = errors.New("found")

// fields are the places of one record's parts within its body.
type fields struct {
	timestampDelta   int64
	offsetDelta      int32
	keyLen, valueLen int32 // -1: null
	keyAt, valueAt   int
	headers          int32
	headersAt        int
}

// read finds the fields of the body b and checks that they fill it exactly. reason is "" or what is wrong.
func (f *fields) read(b []byte) (reason string) {
	i := 1 // the record's attributes have no meaning; Kafka ignores them too
	if f.timestampDelta, i = varlong(b, i); i < 0 {
		return badHead
	}
	if f.offsetDelta, i = varint(b, i); i < 0 {
		return badHead
	}
	if f.keyLen, f.keyAt = varint(b, i); f.keyAt < 0 || f.keyLen < -1 || int(f.keyLen) > len(b)-f.keyAt {
		return badKey
	}
	i = f.keyAt + int(max(f.keyLen, 0))
	if f.valueLen, f.valueAt = varint(b, i); f.valueAt < 0 || f.valueLen < -1 || int(f.valueLen) > len(b)-f.valueAt {
		return badValue
	}
	i = f.valueAt + int(max(f.valueLen, 0))
	if f.headers, f.headersAt = varint(b, i); f.headersAt < 0 || f.headers < 0 {
		return badHeaders
	}
	i = f.headersAt
	for range f.headers {
		if i = skipHeader(b, i); i < 0 {
			return badHeaders
		}
	}
	if i != len(b) {
		return badEnd
	}
	return ""
}

// skipHeader returns where the header at b[i:] ends, or -1. Every header takes at least two bytes, so a lying count ends early.
func skipHeader(b []byte, i int) int {
	size, at := varint(b, i)
	if at < 0 || size < 0 || int(size) > len(b)-at {
		return -1
	}
	size, at = varint(b, at+int(size))
	if at < 0 || size < -1 || int(size) > len(b)-at {
		return -1
	}
	return at + int(max(size, 0))
}
