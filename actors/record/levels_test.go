package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// encoding is a way in which a client may compress the records of a batch.
type encoding struct {
	name  string
	codec Codec
	pack  func(t testing.TB, src []byte) []byte
}

// encodings are the levels, block sizes, checksums and framings that client libraries offer, of every codec.
func encodings() (out []encoding) {
	for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
		out = append(out, encoding{fmt.Sprint("gzip/level ", level), Gzip, gzipAt(level)})
	}
	out = append(out, encoding{"gzip/members in a row", Gzip, inTwo(gzipAt(gzip.BestSpeed))})
	for _, block := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		for level := range lz4Levels {
			out = append(out, encoding{fmt.Sprint("lz4/", block, "/level ", level), LZ4, lz4With(lz4.BlockSizeOption(block), lz4.CompressionLevelOption(lz4Levels[level]))})
		}
		for _, sums := range [][2]bool{{true, false}, {false, true}, {true, true}} {
			pack := lz4With(lz4.BlockSizeOption(block), lz4.ChecksumOption(sums[0]), lz4.BlockChecksumOption(sums[1]))
			out = append(out, encoding{fmt.Sprint("lz4/", block, "/checksums ", sums), LZ4, pack})
		}
	}
	for _, chunk := range []int{1 << 10, 32 << 10, 1 << 20, 64 << 20} {
		out = append(out, encoding{fmt.Sprint("snappy/xerial/", chunk), Snappy, xerialOf(chunk)})
	}
	out = append(out, encoding{"snappy/raw", Snappy, func(_ testing.TB, src []byte) []byte { return s2.EncodeSnappyBest(nil, src) }})
	for window := 10; window <= 27; window++ {
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault} {
			out = append(out, encoding{fmt.Sprint("zstd/stream/window 2^", window, "/", level), Zstd, zstdStream(zstd.WithWindowSize(1<<window), zstd.WithEncoderLevel(level))})
		}
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		out = append(out, encoding{fmt.Sprint("zstd/stream/", level), Zstd, zstdStream(zstd.WithEncoderLevel(level))})
	}
	one := zstdStream(zstd.WithEncoderCRC(false))
	return append(out, encoding{"zstd/no checksum", Zstd, one}, encoding{"zstd/frames in a row", Zstd, inTwo(one)},
		encoding{"zstd/single segment", Zstd, zstdAll(zstd.WithSingleSegment(true))}, encoding{"zstd/content size", Zstd, zstdAll(zstd.WithWindowSize(1 << 27))},
		encoding{"zstd/skippable frame", Zstd, func(t testing.TB, src []byte) []byte {
			return cat([]byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, one(t, src))
		}})
}

func gzipAt(level int) func(testing.TB, []byte) []byte {
	return func(t testing.TB, src []byte) []byte {
		var out bytes.Buffer
		w, err := gzip.NewWriterLevel(&out, level)
		return written(t, &out, src, w, err)
	}
}

type writeCloser interface {
	Write([]byte) (int, error)
	Close() error
}

func written(t testing.TB, out *bytes.Buffer, src []byte, w writeCloser, err error) []byte {
	t.Helper()
	if err == nil {
		_, err = w.Write(src)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// inTwo compresses the halves one after the other.
func inTwo(pack func(testing.TB, []byte) []byte) func(testing.TB, []byte) []byte {
	return func(t testing.TB, src []byte) []byte {
		return cat(pack(t, src[:len(src)/2]), pack(t, src[len(src)/2:]))
	}
}

func lz4With(options ...lz4.Option) func(testing.TB, []byte) []byte {
	return func(t testing.TB, src []byte) []byte {
		var out bytes.Buffer
		w := lz4.NewWriter(&out)
		return written(t, &out, src, w, w.Apply(options...))
	}
}

func xerialOf(chunk int) func(testing.TB, []byte) []byte {
	return func(_ testing.TB, src []byte) []byte {
		out := cat(xerialMagic, []byte{0, 0, 0, 1, 0, 0, 0, 1})
		for len(src) > 0 {
			block := s2.EncodeSnappy(nil, src[:min(chunk, len(src))])
			src = src[min(chunk, len(src)):]
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(block))), block...)
		}
		return out
	}
}

// zstdStream writes a frame without content size, as clients with streaming encoders do.
func zstdStream(options ...zstd.EOption) func(testing.TB, []byte) []byte {
	return func(t testing.TB, src []byte) []byte {
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out, append(options, zstd.WithEncoderConcurrency(1))...)
		if err == nil {
			_, err = w.Write(src[:len(src)/3])
		}
		if err == nil {
			err = w.Flush()
		}
		return written(t, &out, src[len(src)/3:], w, err)
	}
}

func zstdAll(options ...zstd.EOption) func(testing.TB, []byte) []byte {
	return func(t testing.TB, src []byte) []byte {
		w, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderConcurrency(1))...)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(src, nil)
	}
}

// recordsOf is a batch without compression of records with values of size bytes: half of it noise, half of it repeats noise from far behind.
func recordsOf(t testing.TB, count, size int) Batch {
	t.Helper()
	noise := rand.NewChaCha8([32]byte{1})
	block := make([]byte, count/2*size)
	_, _ = noise.Read(block)
	b := NewBuilder(Options{})
	for i := range count {
		at := i % (count / 2) * size
		b.Append(int64(i), []byte("key"), block[at:at+size], nil)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// packed is b with its records compressed.
func packed(t testing.TB, b Batch, e encoding) Batch {
	t.Helper()
	payload := e.pack(t, b.Payload())
	out := append(append(make(Batch, 0, HeaderSize+len(payload)), b[:HeaderSize]...), payload...)
	out[AttributesAt+1] |= byte(e.codec)
	binary.BigEndian.PutUint32(out[BatchLengthAt:], uint32(len(out)-lengthOverhead))
	out.SealCRC()
	return out
}

// TestEveryEncodingIsTaken: what a client library can write is validated, read, and compressed again, small batches, and of zstd such
// that are larger than any window below 32 MiB.
func TestEveryEncodingIsTaken(t *testing.T) {
	small, large := recordsOf(t, 40, 1000), recordsOf(t, 24, 1<<20)
	for _, e := range encodings() {
		for _, b := range []Batch{small, large} {
			if len(b) > 1<<20 && (e.codec != Zstd || raced) {
				continue
			}
			z := packed(t, b, e)
			if _, err := Validate(z, Limits{Deep: true}); err != nil {
				t.Errorf("%s of %d bytes: %v", e.name, len(b), err)
				continue
			}
			if got, err := Decompress(e.codec, nil, z.Payload(), len(b)); err != nil || !bytes.Equal(got, b.Payload()) {
				t.Errorf("%s of %d bytes: read %d, %v", e.name, len(b), len(got), err)
			}
		}
	}
}

// turns counts.
type turns struct{ taken, held int }

func (l *turns) Lock()   { l.taken, l.held = l.taken+1, l.held+1 }
func (l *turns) Unlock() { l.held-- }

// TestLargeWindowsAreOneAtATime: a batch that needs more than the common window waits for its turn, and gives it back, also if it is broken;
// one that claims such a window and is small needs none.
func TestLargeWindowsAreOneAtATime(t *testing.T) {
	e := encoding{codec: Zstd, pack: zstdStream(zstd.WithWindowSize(zstdWindowMax))}
	for _, c := range []struct {
		b    Batch
		want int
	}{{recordsOf(t, 40, 1000), 0}, {recordsOf(t, 6, 1<<20), 1}} {
		z := packed(t, c.b, e)
		for _, broken := range []bool{false, true} {
			if broken {
				z[len(z)-9] ^= 0xff
				z.SealCRC()
			}
			var l turns
			_, err := Validate(z, Limits{Deep: true, Unpacking: Unpacking{Large: &l}})
			if (err != nil) != broken || l.taken != c.want || l.held != 0 {
				t.Errorf("%d bytes, broken %v: %v, %+v", len(c.b), broken, err, []int{l.taken, l.held})
			}
		}
	}
}

// TestLargeWindowsTakeNoMoreThanOneWindow: what a large batch takes to be validated is a window at most, and less if it is smaller.
// Under the race detector slices.Grow allocates what it appends as well: twice as much.
func TestLargeWindowsTakeNoMoreThanOneWindow(t *testing.T) {
	for mib, most := range map[int]uint64{3: 8, 16: 20, 160: 140} {
		z := packed(t, recordsOf(t, 2*mib, 1<<19), encoding{codec: Zstd, pack: zstdStream(zstd.WithWindowSize(zstdWindowMax), zstd.WithEncoderLevel(zstd.SpeedFastest))})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Validate(z, Limits{Deep: true}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if raced {
			most *= 2
		}
		if grew := (after.TotalAlloc - before.TotalAlloc) >> 20; grew > most {
			t.Errorf("%d MiB of records allocated %d MiB, at most %d are right", mib, grew, most)
		}
	}
}
