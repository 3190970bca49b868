package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A zstd frame claims a window, up to gigabytes, which a streaming decoder allocates before it has seen a byte of content. Decoding
// into memory needs none, but its size must be known, and the content size in the header may be missing or a lie. What cannot lie is
// the number of blocks: each has a header of 3 bytes and yields at most 128 KiB. So the blocks are counted first (integers
// little-endian; RFC 8878):
//
//	0  4  magic    0xfd2fb528; or 0x184d2a50 to 5f, 4 bytes size and as many bytes to skip
//	4  1  flags    bits 6-7 size of the content size, 5 single segment, 2 checksum, 0-1 size of the dictionary id
//	   -  window 1 unless single segment | dictionary id 0, 1, 2 or 4 | content size 0, 1, 2, 4 or 8
//	   -  blocks   3 bytes: bit 0 last, bits 1-2 type (0 raw, 1 run of one byte, 2 compressed), bits 3-23 size | content
//	   4  checksum, if flagged

const (
	// zstdWholeMax is up to what a batch is decompressed in one piece for a walk; beyond it is streamed.
	zstdWholeMax = 2 << 20
	// zstdStreamWindowMax is the largest window of a streamed batch. zstd's levels up to 19 stay below it.
	zstdStreamWindowMax = 8 << 20
	// zstdWindowMax is the largest window of a batch decompressed in one piece: that of zstd's level 22.
	zstdWindowMax = 128 << 20

	zstdMagic      = 0xfd2fb528
	zstdSkippable  = 0x184d2a50
	zstdBlockMax   = 128 << 10
	zstdSingle     = 1 << 5
	zstdChecksum   = 1 << 2
	zstdBlockRaw   = 0
	zstdBlockRun   = 1
	zstdBlockCoded = 2
)

var errZstd = fmt.Errorf("%w: zstd frame is cut off or malformed", ErrCorrupt)

// zstdBound is the most that the frames of src can decompress to, in bytes.
func zstdBound(src []byte) (bound int, err error) {
	for len(src) > 0 {
		if len(src) < 8 {
			return 0, errZstd
		}
		magic, size := binary.LittleEndian.Uint32(src), binary.LittleEndian.Uint32(src[4:])
		if magic&^0xf == zstdSkippable {
			if src = src[8:]; uint64(size) > uint64(len(src)) {
				return 0, errZstd
			}
			src = src[size:]
			continue
		}
		if magic != zstdMagic {
			return 0, errZstd
		}
		n, rest, err := zstdFrame(src)
		if err != nil {
			return 0, err
		}
		bound, src = bound+n, rest
	}
	return bound, nil
}

// zstdFrame is zstdBound for the first frame, and what follows it.
func zstdFrame(src []byte) (bound int, rest []byte, err error) {
	flags := src[4]
	at := 5 + [4]int{0, 1, 2, 4}[flags&3] + [4]int{0, 2, 4, 8}[flags>>6]
	if flags&zstdSingle == 0 || flags>>6 == 0 {
		at++ // the window, or a content size of one byte
	}
	for last := false; !last; {
		if len(src)-at < 3 {
			return 0, nil, errZstd
		}
		h := uint32(src[at]) | uint32(src[at+1])<<8 | uint32(src[at+2])<<16
		last = h&1 != 0
		size := int(h >> 3)
		at += 3
		switch h >> 1 & 3 {
		case zstdBlockRaw:
			bound += size
			at += size
		case zstdBlockRun:
			bound += size
			at++
		case zstdBlockCoded:
			bound += zstdBlockMax
			at += size
		default:
			return 0, nil, errZstd
		}
	}
	if flags&zstdChecksum != 0 {
		at += 4
	}
	if at > len(src) {
		return 0, nil, errZstd
	}
	return bound, src[at:], nil
}

var zstdWholes sync.Pool // of *zstd.Decoder for unzstd

// unzstd is Decompress for zstd. bound is zstdBound(src).
func unzstd(dst, src []byte, bound, limit int) ([]byte, error) {
	d, _ := zstdWholes.Get().(*zstd.Decoder)
	if d == nil {
		d = newZstd(zstd.WithDecoderMaxWindow(zstdWindowMax), zstd.WithDecodeAllCapLimit(true))
	}
	room := min(bound, limit+1)
	dst = slices.Grow(dst, room)
	out, err := d.DecodeAll(src, dst[:len(dst):len(dst)+room])
	zstdWholes.Put(d)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded) && bound > limit, err == nil && len(out)-len(dst) > limit:
		return dst, ErrTooLarge
	case err != nil:
		return dst, corruptStream(err)
	}
	if len(out) > 0 && &out[0] == &dst[:1][0] {
		out = dst[:len(out)] // with all of its capacity again
	}
	return out, nil
}

func newZstd(options ...zstd.DOption) *zstd.Decoder {
	d, err := zstd.NewReader(nil, append(options, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))...)
	if err != nil {
		panic("record: zstd refuses its options: " + err.Error())
	}
	return d
}

// zstdReader decompresses for Validate: small batches in one piece, which needs no window, large ones as a stream.
type zstdReader struct {
	src    bytes.Reader
	stream *zstd.Decoder
	buf    []byte // storage of whole
	whole  bytes.Reader
	inOne  bool
}

func (z *zstdReader) open(src []byte, limit int) error {
	bound, err := zstdBound(src)
	if err != nil {
		return err
	}
	if z.inOne = bound <= zstdWholeMax; z.inOne {
		z.buf, err = unzstd(z.buf[:0], src, bound, limit)
		z.whole.Reset(z.buf)
		return err
	}
	if z.stream == nil {
		z.stream = newZstd(zstd.WithDecoderMaxWindow(zstdStreamWindowMax))
	}
	z.src.Reset(src)
	return z.stream.Reset(&z.src)
}

func (z *zstdReader) Read(p []byte) (int, error) {
	if z.inOne {
		return z.whole.Read(p)
	}
	return z.stream.Read(p)
}

func (z *zstdReader) close() { z.src.Reset(nil) }
