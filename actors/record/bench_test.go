package record

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// batchOf builds a batch of about size bytes of records of 100 bytes, whose values compress about as JSON does (lz4 2.9, zstd 4.2 times).
func batchOf(t testing.TB, codec Codec, size int) Batch {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	b := NewBuilder(Options{Codec: codec, ProducerID: 1})
	for b.Size()+100 <= size {
		key := fmt.Appendf(nil, "%08d", rng.IntN(1e8))
		value := fmt.Appendf(nil, `{"user":%7d,"event":"page_view","path":"/products/%06d","ms":%4d,"ok":true}.......`, rng.IntN(1e7), rng.IntN(1e6), rng.IntN(1e4))
		b.Append(1_700_000_000_000+int64(b.Len()/10), key, value[:81], nil)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func BenchmarkValidate(b *testing.B) {
	for _, size := range []int{4 << 10, 256 << 10} {
		for _, deep := range []bool{false, true} {
			b.Run(fmt.Sprintf("none/%dKiB/deep=%v", size>>10, deep), func(b *testing.B) {
				benchmarkValidate(b, batchOf(b, None, size), deep, size)
			})
		}
		for _, c := range allCodecs[1:] {
			b.Run(fmt.Sprintf("%s/%dKiB/deep=true", c, size>>10), func(b *testing.B) {
				benchmarkValidate(b, batchOf(b, c, size), true, size)
			})
		}
	}
}

// The bytes per second are of uncompressed records.
func benchmarkValidate(b *testing.B, batch Batch, deep bool, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Validate(batch, Limits{Deep: deep}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEach(b *testing.B) {
	for _, c := range allCodecs {
		b.Run(c.String(), func(b *testing.B) {
			batch := batchOf(b, c, 256<<10)
			var d Decoder
			n := 0
			b.SetBytes(256 << 10)
			b.ReportAllocs()
			for b.Loop() {
				_ = batch.Each(&d, func(r Record) error { n += len(r.Value); return nil })
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, c := range allCodecs {
		b.Run(c.String(), func(b *testing.B) {
			builder := NewBuilder(Options{Codec: c})
			key, value := []byte("key"), make([]byte, 90)
			b.SetBytes(256 << 10)
			b.ReportAllocs()
			for b.Loop() {
				builder.Reset(0)
				for builder.Size() < 256<<10 {
					builder.Append(1, key, value, nil)
				}
				if _, err := builder.Build(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
