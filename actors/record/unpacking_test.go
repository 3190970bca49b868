package record

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// purse is a Meter that has so many bytes.
type purse struct{ left, paid int }

func (p *purse) Take(n int) error {
	p.paid += n
	if p.left -= n; p.left < 0 {
		return ErrStopped
	}
	return nil
}

// bombs are batches of a few KiB that unpack to 40 MiB, of every codec that can do that.
func bombs(t testing.TB) map[string]Batch {
	entries := make([]entry, 40)
	for i := range entries {
		entries[i] = entry{ts: 1000 + int64(i), key: []byte("k"), value: make([]byte, 1<<20)}
	}
	out := map[string]Batch{}
	for _, codec := range []Codec{Gzip, LZ4, Zstd} {
		out[codec.String()] = build(t, Options{Codec: codec}, entries)
	}
	out["zstd, large window"] = packed(t, build(t, Options{}, entries), encoding{codec: Zstd, pack: zstdStream(zstd.WithWindowSize(zstdWindowMax))})
	out["zstd, small"] = build(t, Options{Codec: Zstd}, entries[:1])
	return out
}

// TestWhatUnpacksBeyondTheUsualIsPaidFor: by everything that unpacks for a client, up to what is there, and it ends when that is used up.
func TestWhatUnpacksBeyondTheUsualIsPaidFor(t *testing.T) {
	for name, b := range bombs(t) {
		plain := int(b.NumRecords()) << 20
		for what, unpack := range map[string]func(Unpacking) error{
			"Validate": func(u Unpacking) error {
				_, err := Validate(slices.Clone(b), Limits{Deep: true, Unpacking: u})
				return err
			},
			"EachTime":   func(u Unpacking) error { return b.EachTime(u, func(int64, int64) error { return nil }) },
			"Recompress": func(u Unpacking) error { _, err := Recompress(b, Snappy, 1<<30, u); return err },
		} {
			rich := &purse{left: 1 << 30}
			if err := unpack(Unpacking{Meter: rich}); err != nil || rich.paid < plain-unpackedFree*len(b) || rich.paid > 6*plain {
				t.Errorf("%s of %s: %v; paid %d for %d bytes that unpack to %d", what, name, err, rich.paid, len(b), plain)
			}
			poor := &purse{left: rich.paid / 2}
			err := unpack(Unpacking{Meter: poor})
			if stopped := err != nil && (errors.Is(err, ErrStopped) || what == "Validate"); !stopped || poor.paid > rich.paid {
				t.Errorf("%s of %s: %v; paid %d of %d", what, name, err, poor.paid, rich.paid)
			}
		}
	}
}

// TestUsualBatchesAreFree: nobody pays for text, in whatever way it is compressed.
func TestUsualBatchesAreFree(t *testing.T) {
	for _, e := range encodings() {
		b := packed(t, recordsOf(t, 40, 1000), e)
		none := &purse{}
		if _, err := Validate(slices.Clone(b), Limits{Deep: true, Unpacking: Unpacking{Meter: none}}); err != nil || none.paid != 0 {
			t.Errorf("%s: %v, paid %d", e.name, err, none.paid)
		}
	}
}

// TestEachTimeIsEach: what it hands out, and what it refuses, are those of Each, for every codec, whole batches and damaged ones.
func TestEachTimeIsEach(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, codec := range []Codec{None, Gzip, Snappy, LZ4, Zstd} {
		whole := build(t, Options{Codec: codec, BaseTimestamp: 500}, sample())
		appended := slices.Clone(whole)
		appended.SetLogAppendTime(777)
		for _, b := range []Batch{whole, appended} {
			sameTimes(t, b)
			if got := times(b); len(got.seen) != int(b.NumRecords()) || got.failed {
				t.Fatalf("%s: %d of %d", codec, len(got.seen), b.NumRecords())
			}
		}
		for range 2000 {
			b := slices.Clone(whole)
			for range 1 + random.IntN(3) {
				b[HeaderSize+random.IntN(len(b)-HeaderSize)] ^= byte(1 << random.IntN(8))
			}
			if random.IntN(4) == 0 {
				b = b[:HeaderSize+random.IntN(len(b)-HeaderSize)]
			}
			sameTimes(t, b)
		}
	}
	if err := Batch("short").EachTime(Unpacking{}, nil); !errors.Is(err, ErrShort) {
		t.Error(err)
	}
}

type timesRead struct {
	seen   [][2]int64
	failed bool
}

func times(b Batch) (out timesRead) {
	err := b.EachTime(Unpacking{}, func(offset, timestamp int64) error {
		out.seen = append(out.seen, [2]int64{offset, timestamp})
		return nil
	})
	out.failed = err != nil
	return out
}

// sameTimes compares EachTime with Each. A stream may hand out records before it finds damage that Each finds first.
func sameTimes(t *testing.T, b Batch) {
	t.Helper()
	var want timesRead
	err := b.Each(nil, func(r Record) error {
		want.seen = append(want.seen, [2]int64{r.Offset, r.Timestamp})
		return nil
	})
	want.failed = err != nil
	got := times(b)
	if got.failed != want.failed || len(got.seen) < len(want.seen) || !slices.Equal(got.seen[:len(want.seen)], want.seen) || !want.failed && len(got.seen) != len(want.seen) {
		t.Fatalf("%s: %d records, failed %v; Each %d, %v", b.Codec(), len(got.seen), got.failed, len(want.seen), err)
	}
}
