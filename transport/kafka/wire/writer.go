package wire

import "encoding/binary"

// Writer appends the primitives of the Kafka protocol to Buf.
type Writer struct {
	Buf      []byte
	Flexible bool // compact lengths and tagged fields (KIP-482)
}

func (w *Writer) Int8(x int8)   { w.Buf = append(w.Buf, byte(x)) }
func (w *Writer) Int16(x int16) { w.Buf = binary.BigEndian.AppendUint16(w.Buf, uint16(x)) }
func (w *Writer) Int32(x int32) { w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(x)) }
func (w *Writer) Int64(x int64) { w.Buf = binary.BigEndian.AppendUint64(w.Buf, uint64(x)) }

func (w *Writer) UUID(id [16]byte) { w.Buf = append(w.Buf, id[:]...) }

func (w *Writer) Uvarint(x uint32) { w.Buf = binary.AppendUvarint(w.Buf, uint64(x)) }

func (w *Writer) length(n int, short bool) {
	switch {
	case w.Flexible:
		w.Uvarint(uint32(n + 1))
	case short:
		w.Int16(int16(n))
	default:
		w.Int32(int32(n))
	}
}

// Array begins an array of n elements; -1 is null.
func (w *Writer) Array(n int) { w.length(n, false) }

// BytesLen begins a byte field of n bytes, which the caller puts there; -1 is null.
func (w *Writer) BytesLen(n int) { w.length(n, false) }

// String appends s; one longer than an int16 can say is cut.
func (w *Writer) String(s string) {
	if !w.Flexible && len(s) > 1<<15-1 {
		s = s[:1<<15-1]
	}
	w.length(len(s), true)
	w.Buf = append(w.Buf, s...)
}

// NullString appends a null string.
func (w *Writer) NullString() { w.length(-1, true) }

// StringOrNull appends s, or null if it is empty.
func (w *Writer) StringOrNull(s string) {
	if s == "" {
		w.NullString()
		return
	}
	w.String(s)
}

// NoTags ends a structure that has no tagged fields.
func (w *Writer) NoTags() {
	if w.Flexible {
		w.Buf = append(w.Buf, 0)
	}
}

// Tag appends one tagged field whose value body appends. Only for flexible versions.
func (w *Writer) Tag(key uint32, body func(*Writer)) {
	w.Uvarint(key)
	sub := Writer{Flexible: true}
	body(&sub)
	w.Uvarint(uint32(len(sub.Buf)))
	w.Buf = append(w.Buf, sub.Buf...)
}
