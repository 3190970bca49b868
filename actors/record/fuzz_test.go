package record

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// FuzzRecordBatch: Validate never panics, what it accepts can be read and has as many records as it says.
func FuzzRecordBatch(f *testing.F) {
	for _, c := range allCodecs {
		f.Add([]byte(build(f, Options{Codec: c, ProducerID: 3}, kafkaSample())), true)
	}
	f.Add([]byte(EndTxnMarker(1, 2, true, 3, 4)), false)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) >= HeaderSize { // or nothing but the CRC is ever tested
			put(BatchLengthAt, 4, int64(len(b)-lengthOverhead))(b)
			Batch(b).SealCRC()
		}
		_, _ = Validate(clone(b), Limits{})
		got, err := Validate(b, Limits{Deep: true, Internal: true, MaxDecompressed: 1 << 20})
		if err != nil {
			var e *Invalid
			if !errors.As(err, &e) || e.Kind == 0 || e.Reason == "" {
				t.Fatalf("an error that says nothing: %#v", err)
			}
			return
		}
		if err := got.Verify(); err != nil {
			t.Fatal(err)
		}
		n, latest := int32(0), int64(NoTimestamp)
		if err := got.Each(nil, func(r Record) error {
			n++
			latest = max(latest, r.Timestamp)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n != got.NumRecords() || !got.IsLogAppendTime() && latest != got.MaxTimestamp() {
			t.Fatalf("%d records up to %d; the header says %d up to %d", n, latest, got.NumRecords(), got.MaxTimestamp())
		}
		got.Marker()
	})
}

// FuzzRecords: the hot path, the general way, the walk in a window and the reader agree on any bytes.
func FuzzRecords(f *testing.F) {
	for _, e := range [][]entry{sample()[:4], sample()[5:40], kafkaSample()} {
		b := build(f, Options{}, e)
		f.Add([]byte(b.Payload()), b.NumRecords())
	}
	f.Fuzz(func(t *testing.T, records []byte, count int32) {
		if count <= 0 || count > 10_000 || len(records) == 0 {
			return
		}
		_, want := Validate(raw(t, None, count, records), Limits{Deep: true})
		for _, c := range []Codec{Snappy, LZ4} {
			if _, err := Validate(raw(t, c, count, records), Limits{Deep: true}); (err == nil) != (want == nil) {
				t.Fatalf("plain: %v, %s: %v", want, c, err)
			}
		}
		i := int64(0)
		err := raw(t, None, count, records).Each(nil, func(r Record) error {
			if r.Offset != i {
				return ErrCorrupt
			}
			i++
			return nil
		})
		if (err == nil) != (want == nil) {
			t.Fatalf("Validate: %v, Each: %v", want, err)
		}
	})
}

// FuzzDecompress: any bytes, any codec: no panic, no more than the limit, and the window sees the same as the whole.
func FuzzDecompress(f *testing.F) {
	for _, c := range allCodecs {
		for _, src := range [][]byte{{}, []byte("hello"), bytes.Repeat([]byte("0123456789"), 1000)} {
			f.Add(uint8(c), compressed(f, c, src), uint16(10_000))
		}
	}
	f.Fuzz(func(t *testing.T, codec uint8, src []byte, limit uint16) {
		c := Codec(codec % 6)
		got, err := Decompress(c, nil, src, int(limit))
		if len(got) > int(limit)+1 {
			t.Fatalf("%s: %d bytes, limit %d", c, len(got), limit)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrUnsupportedCodec) {
			t.Fatalf("%s: unmarked %v", c, err)
		}
		if err == nil && c.Known() {
			if again, err := Decompress(c, nil, compressed(t, c, got), int(limit)); err != nil || !bytes.Equal(again, got) {
				t.Fatalf("%s: %v", c, err)
			}
		}
	})
}

// FuzzVarint: reading what is written, from any bytes and in every form the readers have.
func FuzzVarint(f *testing.F) {
	for _, v := range []int64{0, -1, 1, 63, 64, -64, -65, 8191, 8192, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		f.Add(v, []byte{0x80, 0x80, 0x80, 0x80, 0x10})
	}
	f.Fuzz(func(t *testing.T, v int64, b []byte) {
		z := appendVarint(nil, v)
		if got, next := varlong(z, 0); got != v || next != len(z) || varintSize(v) != len(z) {
			t.Fatalf("%d: %d, %d of %d bytes", v, got, next, len(z))
		}
		got32, next := varint(z, 0)
		if fits := v == int64(int32(v)); fits != (next == len(z)) || fits && int64(got32) != v {
			t.Fatalf("%d as 32 bits: %d, %d", v, got32, next)
		}
		v32, n32 := varint(b, 0)
		v64, n64 := varlong(b, 0)
		if n32 > len(b) || n64 > len(b) || n32 > varintMax || n64 > 2*varintMax {
			t.Fatalf("read past the end: %d %d", n32, n64)
		}
		if n32 >= 0 && (n64 != n32 || int64(v32) != v64) {
			t.Fatalf("32 and 64 bits differ: %d %d", v32, v64)
		}
		if len(b) >= 2 {
			if v, n := shortVarint(uint64(b[0]) | uint64(b[1])<<8); n > 0 && (v != v32 || n != n32) {
				t.Fatalf("short form differs: %d %d", v, v32)
			}
		}
	})
}
