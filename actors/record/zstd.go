package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A zstd frame claims a window, up to gigabytes, which a streaming decoder allocates before it has seen a byte of content. Decoding
// into memory needs none, but its size must be known, and the content size in the header may be missing or a lie. What cannot lie is
// the number of blocks: each has a header of 3 bytes and yields at most 128 KiB. So the blocks are counted first (integers
// little-endian; RFC 8878). A batch that is small by this count is decompressed in one piece, another one through a window. One that needs
// more than the 8 MiB of zstd's levels up to 19 waits for its turn (Unpacking.Large), so that all connections together need one window of 128
// MiB, which is also the most that Kafka takes (zstd-jni's default).
//
//	0  4  magic    0xfd2fb528; or 0x184d2a50 to 5f, 4 bytes size and as many bytes to skip
//	4  1  flags    bits 6-7 size of the content size, 5 single segment, 2 checksum, 0-1 size of the dictionary id
//	   -  window 1 unless single segment | dictionary id 0, 1, 2 or 4 | content size 0, 1, 2, 4 or 8
//	   -  blocks   3 bytes: bit 0 last, bits 1-2 type (0 raw, 1 run of one byte, 2 compressed), bits 3-23 size | content
//	   4  checksum, if flagged

const (
	// zstdWholeMax is up to what a batch is decompressed in one piece for a walk; beyond it is streamed.
	zstdWholeMax = 2 << 20
	// zstdStreamWindowMax is the largest window of a batch that is streamed beside others. zstd's levels up to 19 stay below it.
	zstdStreamWindowMax = 8 << 20
	// zstdWindowMax is the largest window there may be: that of zstd's level 22, and of its --long.
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

// zstdShape is what decompressing frames may take, in bytes.
type zstdShape struct {
	bound  int // the most that comes out
	window int // the largest that a frame claims; for a frame in a single segment its content, which need not be there
}

// zstdShapeOf looks at the frames of src.
func zstdShapeOf(src []byte) (out zstdShape, err error) {
	for len(src) > 0 {
		if len(src) < 8 {
			return zstdShape{}, errZstd
		}
		magic, size := binary.LittleEndian.Uint32(src), binary.LittleEndian.Uint32(src[4:])
		if magic&^0xf == zstdSkippable {
			if src = src[8:]; uint64(size) > uint64(len(src)) {
				return zstdShape{}, errZstd
			}
			src = src[size:]
			continue
		}
		if magic != zstdMagic {
			return zstdShape{}, errZstd
		}
		frame, rest, err := zstdFrame(src)
		if err != nil {
			return zstdShape{}, err
		}
		out.bound, out.window, src = out.bound+frame.bound, max(out.window, frame.window), rest
	}
	return out, nil
}

// zstdFrame is zstdShapeOf for the first frame, and what follows it.
func zstdFrame(src []byte) (out zstdShape, rest []byte, err error) {
	flags := src[4]
	at := 5 + [4]int{0, 1, 2, 4}[flags&3] + [4]int{0, 2, 4, 8}[flags>>6]
	if flags&zstdSingle == 0 || flags>>6 == 0 {
		at++ // the window, or a content size of one byte
	}
	if flags&zstdSingle == 0 {
		base := 1 << (10 + src[5]>>3)
		out.window = base + base/8*int(src[5]&7)
	}
	for last := false; !last; {
		if len(src)-at < 3 {
			return zstdShape{}, nil, errZstd
		}
		h := uint32(src[at]) | uint32(src[at+1])<<8 | uint32(src[at+2])<<16
		last = h&1 != 0
		size := int(h >> 3)
		at += 3
		switch h >> 1 & 3 {
		case zstdBlockRaw:
			out.bound += size
			at += size
		case zstdBlockRun:
			out.bound += size
			at++
		case zstdBlockCoded:
			out.bound += zstdBlockMax
			at += size
		default:
			return zstdShape{}, nil, errZstd
		}
	}
	if flags&zstdChecksum != 0 {
		at += 4
	}
	if at > len(src) {
		return zstdShape{}, nil, errZstd
	}
	if flags&zstdSingle != 0 {
		out.window = out.bound
	}
	return out, src[at:], nil
}

var zstdWholes sync.Pool // of *zstd.Decoder for unzstd

// unzstd is Decompress for zstd. bound is that of zstdShapeOf(src).
func unzstd(dst, src []byte, bound, limit int) ([]byte, error) {
	d, _ := zstdWholes.Get().(*zstd.Decoder)
	if d == nil {
		d = newZstd(zstd.WithDecoderMaxWindow(zstdWindowMax), zstd.WithDecodeAllCapLimit(true))
	}
	// A block that does not fit is an error like any damage: the one that goes beyond the limit shall fit.
	room := min(bound, limit+zstdBlockMax)
	dst = slices.Grow(dst, room)
	out, err := d.DecodeAll(src, dst[:len(dst):len(dst)+room])
	zstdWholes.Put(d)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded) && bound > limit, len(out)-len(dst) > limit:
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
	large  Turns  // held, of a batch with a large window
	buf    []byte // storage of whole, if that is small
	whole  bytes.Reader
	r      io.Reader // what is read now
}

// open begins with src. What it unpacks here and now, in turns, is paid for as openStream says.
func (z *zstdReader) open(src []byte, limit, free int, u Unpacking) (paid int, err error) {
	shape, err := zstdShapeOf(src)
	if err != nil {
		return 0, err
	}
	if shape.bound <= zstdWholeMax {
		z.buf, err = unzstd(z.buf[:0], src, shape.bound, limit)
		z.whole.Reset(z.buf)
		z.r = &z.whole
		if err == nil {
			err = u.pay(len(z.buf) - free)
		}
		return len(z.buf), err
	}
	if shape.window > zstdStreamWindowMax {
		paid = min(shape.bound, limit+zstdBlockMax)
		if err := u.pay(paid - free); err != nil { // before its turn: others wait for theirs
			return 0, err
		}
		return paid, z.openLarge(src, shape, limit, u.turns())
	}
	if z.stream == nil {
		z.stream = newZstd(zstd.WithDecoderMaxWindow(zstdStreamWindowMax))
	}
	z.src.Reset(src)
	z.r = z.stream
	return 0, z.stream.Reset(&z.src)
}

// openLarge is open for a large window: in one piece if that is less than the window, which the library allocates as it is claimed.
func (z *zstdReader) openLarge(src []byte, shape zstdShape, limit int, large Turns) (err error) {
	large.Lock()
	z.large = large
	if room := min(shape.bound, limit+zstdBlockMax); room <= min(shape.window, zstdWindowMax) {
		var all []byte
		all, err = unzstd(nil, src, shape.bound, limit)
		z.whole.Reset(all)
		z.r = &z.whole
		return err
	}
	d := newZstd(zstd.WithDecoderMaxWindow(zstdWindowMax))
	z.src.Reset(src)
	z.r = d
	return d.Reset(&z.src)
}

func (z *zstdReader) Read(p []byte) (int, error) { return z.r.Read(p) }

func (z *zstdReader) close() {
	z.src.Reset(nil)
	z.whole.Reset(nil)
	if d, ok := z.r.(*zstd.Decoder); ok && z.large != nil {
		d.Close()
	}
	z.r = nil
	if z.large != nil {
		z.large.Unlock()
		z.large = nil
	}
}
