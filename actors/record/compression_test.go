package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func compressed(t testing.TB, c Codec, src []byte) []byte {
	t.Helper()
	out, err := Compress(c, 0, nil, src)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDecompressKeepsToTheLimit(t *testing.T) {
	src := bytes.Repeat([]byte("0123456789"), 30_000)
	for _, c := range allCodecs {
		z := compressed(t, c, src)
		for _, limit := range []int{0, 1, 4096, len(src) - 1, len(src), len(src) + 1, 1 << 30} {
			got, err := Decompress(c, nil, z, limit)
			switch {
			case len(got) > limit+1:
				t.Errorf("%s: %d bytes, limit %d", c, len(got), limit)
			case limit < len(src) && !errors.Is(err, ErrTooLarge):
				t.Errorf("%s: limit %d: %v", c, limit, err)
			case limit >= len(src) && (err != nil || !bytes.Equal(got, src)):
				t.Errorf("%s: limit %d: %v", c, limit, err)
			}
		}
		if c == Zstd { // without the size of its content at its head, and larger than several blocks
			long := bytes.Repeat(src, 10)
			z := zstdStream()(t, long)
			for limit := 0; limit <= len(long); limit += 100_001 {
				if _, err := Decompress(c, nil, z, limit); !errors.Is(err, ErrTooLarge) {
					t.Errorf("streamed: limit %d: %v", limit, err)
				}
			}
		}
		for n := range min(len(z), 200) { // cut off at the head and at the tail
			for _, cut := range [][]byte{z[:n], z[:len(z)-1-n]} {
				if got, err := Decompress(c, nil, cut, len(src)); c != None && err == nil && len(got) > 0 {
					t.Fatalf("%s: %d of %d bytes decompress to %d without error", c, len(cut), len(z), len(got))
				}
			}
		}
	}
}

func TestLevels(t *testing.T) {
	src := bytes.Repeat([]byte("some text, and more of it. "), 1000)
	for _, c := range allCodecs {
		for _, level := range []int{-3, 0, 1, 3, 9, 17, 22, 1000} {
			z, err := Compress(c, level, nil, src)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Decompress(c, nil, z, len(src)); err != nil || !bytes.Equal(got, src) {
				t.Errorf("%s level %d: %v", c, level, err)
			}
		}
	}
}

func TestSnappyFramings(t *testing.T) {
	src := bytes.Repeat([]byte("0123456789"), 10_000)
	block := s2.EncodeSnappy(nil, src)
	xerial := compressed(t, Snappy, src)
	if !bytes.HasPrefix(xerial, xerialMagic) {
		t.Error("no xerial header")
	}
	chunk := func(p []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p...) }
	header := xerial[:xerialHeaderSize]
	for _, c := range []struct {
		name string
		z    []byte
		want int // how often src
	}{
		{"raw", block, 1},
		{"xerial", xerial, 1},
		{"one large chunk", cat(header, chunk(block)), 1},
		{"streams in a row", cat(xerial, xerial), 2},
		{"header only", header, 0},
		{"half a header", header[:12], -1},
		{"chunk length cut off", cat(header, []byte{0, 0}), -1},
		{"chunk cut off", xerial[:len(xerial)-1], -1},
		{"chunk of two gigabytes", cat(header, []byte{0x7f, 0xff, 0xff, 0xff, 1}), -1},
		{"chunk of four gigabytes", cat(header, []byte{0xff, 0xff, 0xff, 0xff, 1}), -1},
		{"raw that claims four gigabytes", []byte{0xff, 0xff, 0xff, 0xff, 0xf, 0, 1}, -1},
		{"S2 repeat", s2.Encode(nil, bytes.Repeat([]byte("0123456789abcdef"), 10)), -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decompress(Snappy, nil, c.z, 1<<30)
			if c.want < 0 && err == nil || c.want >= 0 && (err != nil || !bytes.Equal(got, bytes.Repeat(src, c.want))) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestLZ4Framings(t *testing.T) {
	src := bytes.Repeat([]byte("0123456789"), 10_000)
	frame := func(options ...lz4.Option) []byte {
		var out bytes.Buffer
		w := lz4.NewWriter(&out)
		if err := w.Apply(options...); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(src)
		_ = w.Close()
		return out.Bytes()
	}
	plain := compressed(t, LZ4, src)
	flag := func(f byte, on bool) []byte {
		z := clone(plain)
		if z[4] &^= f; on {
			z[4] |= f
		}
		return z
	}
	for _, c := range []struct {
		name string
		z    []byte
		ok   bool
	}{
		{"ours", plain, true},
		{"content checksum", frame(lz4.ChecksumOption(true)), true},
		{"block checksums", frame(lz4.BlockChecksumOption(true)), true},
		{"content size", frame(lz4.SizeOption(uint64(len(src)))), true},
		{"4 MiB blocks", frame(lz4.BlockSizeOption(lz4.Block4Mb)), true},
		{"legacy", frame(lz4.LegacyOption(true)), false},
		{"frames in a row", cat(plain, plain), false},
		{"garbage behind", cat(plain, []byte{1}), false},
		{"skippable frame", cat([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, plain), false},
		{"no end mark", plain[:len(plain)-4], false},
		{"linked blocks", flag(lz4FlagIndependent, false), false},
		{"dictionary", flag(lz4FlagDictionary, true), false},
		{"wrong header checksum", flag(lz4FlagBlockChecksum, true), false},
		{"nothing", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decompress(LZ4, nil, c.z, 1<<30)
			if c.ok && (err != nil || !bytes.Equal(got, src)) || !c.ok && err == nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestZstdFramings(t *testing.T) {
	src := bytes.Repeat([]byte("0123456789"), 10_000)
	z := compressed(t, Zstd, src)
	stream := func(window int) []byte {
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out, zstd.WithWindowSize(window))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(src)
		_ = w.Flush() // no content size in the header
		_ = w.Close()
		return out.Bytes()
	}
	for _, c := range []struct {
		name string
		z    []byte
		want int
	}{
		{"one frame", z, 1},
		{"frames in a row", cat(z, z), 2},
		{"stream", stream(8 << 20), 1},
		{"stream of the largest window", stream(zstdWindowMax), 1},
		{"stream beyond the largest window", stream(4 * zstdWindowMax), -1},
		{"garbage behind", cat(z, []byte{1, 2, 3, 4}), -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decompress(Zstd, nil, c.z, 1<<30)
			if c.want < 0 && err == nil || c.want >= 0 && (err != nil || !bytes.Equal(got, bytes.Repeat(src, c.want))) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// A small batch must not make the broker allocate by what it claims or by what it expands to. The codecs' own windows are pooled, so
// what is measured is the first use of a fresh coder too.
func TestBombsStaySmall(t *testing.T) {
	const expanded = 64 << 20
	big := make([]byte, expanded)
	for _, c := range allCodecs[1:] {
		bomb := raw(t, c, 1, big) // as one record of zeros it is no record, but that is found only after decompressing
		deep := raw(t, c, 1, appendRecord(nil, 0, 0, nil, big, nil))
		for name, f := range map[string]func() error{
			"walk":          func() error { _, err := Validate(bomb, Limits{Deep: true, MaxDecompressed: 1 << 20}); return err },
			"walk a record": func() error { _, err := Validate(deep, Limits{Deep: true, MaxDecompressed: 1 << 20}); return err },
			"decompress":    func() error { _, err := Decompress(c, nil, bomb.Payload(), 1<<20); return err },
		} {
			t.Run(fmt.Sprintf("%s/%s", c, name), func(t *testing.T) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := f()
				runtime.ReadMemStats(&after)
				if err == nil {
					t.Error("accepted")
				}
				if grew := after.TotalAlloc - before.TotalAlloc; grew > 12<<20 {
					t.Errorf("%d bytes of batch allocated %d MiB", len(bomb), grew>>20)
				}
			})
		}
	}
}

func TestZstdWindowIsNotAllocatedOnClaim(t *testing.T) {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(32<<20))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, 1000))
	_ = w.Flush()
	_ = w.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Decompress(Zstd, nil, out.Bytes(), 1000); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grew := after.TotalAlloc - before.TotalAlloc; grew > 8<<20 {
		t.Errorf("a frame of %d bytes allocated %d MiB", out.Len(), grew>>20)
	}
}

// A long record passes through the window: memory stays, whatever its size.
func TestLongRecordsAreWalkedInAWindow(t *testing.T) {
	for _, c := range allCodecs[1:] {
		b := raw(t, c, 1, appendRecord(nil, 0, 0, make([]byte, 20<<20), make([]byte, 40<<20), []Header{{"h", make([]byte, 200<<10)}}))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Validate(b, Limits{Deep: true})
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", c, err)
		}
		if grew := after.TotalAlloc - before.TotalAlloc; grew > 20<<20 {
			t.Errorf("%s: %d MiB allocated", c, grew>>20)
		}
	}
}

func TestParseCodec(t *testing.T) {
	for _, c := range allCodecs {
		if got, ok := ParseCodec(c.String()); got != c || !ok {
			t.Errorf("%s: %v %v", c, got, ok)
		}
	}
	if c, ok := ParseCodec("uncompressed"); c != None || !ok {
		t.Error("uncompressed is none")
	}
	for _, name := range []string{"producer", "", "GZIP", "brotli"} {
		if _, ok := ParseCodec(name); ok {
			t.Errorf("%q is no codec", name)
		}
	}
	if Codec(5).Known() || Codec(5).String() != "codec 5" {
		t.Error("codec 5 does not exist")
	}
}
