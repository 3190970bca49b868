package record

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestFilteredBatchesKeepTheirRecords filters batches of all codecs, with and without a new horizon, and compares record by record.
func TestFilteredBatchesKeepTheirRecords(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 400 {
		b := NewBuilder(Options{Codec: Codec(i % 5), Idempotent: true, ProducerID: 9, BaseSequence: 77})
		for range 1 + r.IntN(8) {
			value := bytes.Repeat([]byte{'v'}, r.IntN(200))
			if r.IntN(4) == 0 {
				value = nil
			}
			b.Append(r.Int64N(1<<41), fmt.Append(nil, r.IntN(5)), value, []Header{{"h", nil}}[:r.IntN(2)])
		}
		in, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		in.SetBaseOffset(1000)
		if i%7 == 0 {
			in.SetLogAppendTime(5_000_000)
		}
		var want []string
		mask, tombstones := r.Uint32(), false
		_ = in.Each(nil, func(x Record) error {
			if mask>>(x.Offset-1000)&1 == 1 {
				want = append(want, fmt.Sprintf("%+v", x))
				tombstones = tombstones || x.Value == nil
			}
			return nil
		})
		d := &Decoder{}
		f, err := in.Filter(d, func(offset int64, _ []byte, _ bool) bool { return mask>>(offset-1000)&1 == 1 })
		if err != nil || f.Kept != len(want) || f.Tombstones != tombstones || f.Read != int(in.NumRecords()) {
			t.Fatalf("%+v %v, want %d kept, tombstones %v", f, err, len(want), tombstones)
		}
		horizon := int64(NoTimestamp)
		if r.IntN(2) == 0 {
			horizon = r.Int64N(1 << 42)
		}
		out, err := in.Rebuild(d, f, horizon)
		if f.Kept == 0 {
			if err != ErrEmpty {
				t.Fatal(err)
			}
			out = in.Emptied()
		} else if err != nil {
			t.Fatal(err)
		}
		if err := out.Verify(); err != nil {
			t.Fatal(err)
		}
		var got []string
		newest := int64(-1)
		if err := out.Each(nil, func(x Record) error {
			got, newest = append(got, fmt.Sprintf("%+v", x)), max(newest, x.Timestamp)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("kept %v, not %v", got, want)
		}
		if out.BaseOffset() != 1000 || out.LastOffset() != in.LastOffset() || out.BaseSequence() != 77 || out.LastSequence() != in.LastSequence() || out.ProducerID() != 9 ||
			out.IsLogAppendTime() != in.IsLogAppendTime() || f.Kept > 0 && out.Codec() != in.Codec() || f.Kept > 0 && out.MaxTimestamp() != newest ||
			out.HasDeleteHorizon() != (f.Kept > 0 && horizon >= 0) || out.HasDeleteHorizon() && out.BaseTimestamp() != horizon {
			t.Fatalf("the header is %+v, was %+v", out[:HeaderSize], in[:HeaderSize])
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, codec := range []Codec{None, Gzip, Snappy, LZ4, Zstd} {
		b := NewBuilder(Options{Codec: codec})
		b.Append(1, []byte("a"), nil, nil)
		b.Append(2, nil, []byte("b"), []Header{{"h", []byte("x")}})
		batch, _ := b.Build()
		f.Add([]byte(batch), uint32(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, mask uint32) {
		if size, err := Peek(in); err != nil || size != len(in) {
			return
		}
		d := &Decoder{Limit: 1 << 20}
		b := Batch(in)
		kept, err := b.Filter(d, func(offset int64, _ []byte, _ bool) bool { return mask>>(uint64(offset)%32)&1 == 1 })
		if err != nil || kept.Kept == 0 {
			return
		}
		out, err := b.Rebuild(d, kept, 12345)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := out.Each(nil, func(Record) error { n++; return nil }); err != nil || n != kept.Kept {
			t.Fatalf("%d records of %d: %v", n, kept.Kept, err)
		}
	})
}
