package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/s2"
)

// Snappy comes in two shapes. snappy-java's SnappyOutputStream, and so the Java client, sarama, kafka-go and others, write the
// "xerial" framing; librdkafka and franz-go write one raw block. Kafka's readers tell them apart by the magic, and so do we:
//
//	0  8  magic      0x82 "SNAPPY" 0x00; no raw block begins so, as its copy would reach before its beginning
//	8  4  version    1, big-endian
//	12 4  compatible 1, big-endian: the lowest version that can read it
//	16 -  chunks     length 4 bytes big-endian | one raw block of that many bytes; or again a header, if streams were concatenated

var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const (
	xerialHeaderSize = 16
	xerialChunk      = 32 << 10 // of uncompressed bytes, as snappy-java writes

	// snappyRatioMax is more than any block can expand: 3 bytes copy at most 64. A block that claims more lies, and is not believed
	// to the point of allocating for it.
	snappyRatioMax = 22
)

// snappyNext splits the first block off src. done is true at the end.
func snappyNext(src []byte, framed bool) (block, rest []byte, done bool, err error) {
	for framed && bytes.HasPrefix(src, xerialMagic) {
		if len(src) < xerialHeaderSize {
			return nil, nil, false, fmt.Errorf("%w: snappy header is cut off", ErrCorrupt)
		}
		src = src[xerialHeaderSize:]
	}
	if len(src) == 0 {
		return nil, nil, true, nil
	}
	if !framed {
		return src, nil, false, nil
	}
	if len(src) < 4 {
		return nil, nil, false, fmt.Errorf("%w: snappy chunk length is cut off", ErrCorrupt)
	}
	size := binary.BigEndian.Uint32(src)
	if src = src[4:]; uint64(size) > uint64(len(src)) {
		return nil, nil, false, fmt.Errorf("%w: snappy chunk of %d bytes in %d", ErrCorrupt, size, len(src))
	}
	return src[:size], src[size:], false, nil
}

// snappySize is how many bytes the block decompresses to, checked against what it can and what it may.
func snappySize(block []byte, limit int) (int, error) {
	n, err := s2.DecodedLen(block)
	switch {
	case err != nil:
		return 0, corruptStream(err)
	case n > snappyRatioMax*len(block):
		return 0, fmt.Errorf("%w: %d bytes of snappy claim to be %d", ErrCorrupt, len(block), n)
	case n > limit:
		return 0, ErrTooLarge
	}
	return n, plainSnappy(block)
}

// plainSnappy refuses what the decoder would read but other snappy decoders would not: a copy at distance 0, which in the dialect S2
// means "the last distance again". It only follows the tags; the decoder checks the rest.
//
//	tag & 3 = 0  literal   length-1 in the upper six bits, or from 60 on in the next 1-4 bytes; then the bytes
//	          1  copy      2 bytes: length 4-11 in bits 2-4, distance in bits 5-7 and the next byte
//	          2  copy      3 bytes: length-1 in the upper six bits, distance in 2 bytes, little-endian
//	          3  copy      5 bytes: the same with a distance in 4 bytes
func plainSnappy(block []byte) error {
	_, i := binary.Uvarint(block)
	for i < len(block) {
		tag := block[i]
		distance, size := uint32(1), 1
		switch tag & 3 {
		case 0:
			n := uint32(tag >> 2)
			if n >= 60 {
				size = int(n) - 58
				n = littleEndian(block, i+1, int(tag>>2)-59)
			}
			size += int(n) + 1
		case 1:
			distance, size = uint32(tag>>5)<<8|littleEndian(block, i+1, 1), 2
		case 2:
			distance, size = littleEndian(block, i+1, 2), 3
		case 3:
			distance, size = littleEndian(block, i+1, 4), 5
		}
		if distance == 0 {
			return fmt.Errorf("%w: snappy copy at distance 0", ErrCorrupt)
		}
		i += size
	}
	return nil
}

// littleEndian reads n bytes at b[i:]; 0, which is refused or followed past the end, where they are cut off.
func littleEndian(b []byte, i, n int) (v uint32) {
	for k := min(i+n, len(b)) - 1; k >= i; k-- {
		v = v<<8 | uint32(b[k])
	}
	return v
}

// unsnap is Decompress for snappy.
func unsnap(dst, src []byte, limit int) ([]byte, error) {
	framed := bytes.HasPrefix(src, xerialMagic)
	end := len(dst) + limit
	for {
		block, rest, done, err := snappyNext(src, framed)
		if err != nil || done {
			return dst, err
		}
		n, err := snappySize(block, end-len(dst))
		if err != nil {
			return dst, err
		}
		dst = slices.Grow(dst, n)
		if _, err := s2.Decode(dst[len(dst):len(dst)+n], block); err != nil {
			return dst, corruptStream(err)
		}
		dst = dst[:len(dst)+n]
		src = rest
	}
}

// snap is Compress for snappy: xerial framing, which everybody reads.
func snap(dst, src []byte) []byte {
	dst = append(dst, xerialMagic...)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, 1)
	for len(src) > 0 {
		chunk := src[:min(len(src), xerialChunk)]
		src = src[len(chunk):]
		at := len(dst)
		dst = slices.Grow(dst, 4+s2.MaxEncodedLen(len(chunk)))
		block := s2.EncodeSnappy(dst[at+4 : at+4 : cap(dst)][:0:cap(dst)-at-4], chunk)
		dst = append(dst[:at+4], block...)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(block)))
	}
	return dst
}

// snappyReader decompresses block by block for Validate; the last block is its window.
type snappyReader struct {
	src    []byte
	framed bool
	limit  int
	buf    []byte // storage of the window
	window []byte // not yet read
}

func (s *snappyReader) open(src []byte, limit int) {
	s.src, s.framed, s.limit, s.window = src, bytes.HasPrefix(src, xerialMagic), limit, nil
}

// snappyKeepMax is the largest buffer a pooled reader keeps; larger ones are for raw blocks of unusual size.
const snappyKeepMax = 1 << 20

func (s *snappyReader) close() {
	s.src, s.window = nil, nil
	if cap(s.buf) > snappyKeepMax {
		s.buf = nil
	}
}

func (s *snappyReader) Read(p []byte) (int, error) {
	for len(s.window) == 0 {
		block, rest, done, err := snappyNext(s.src, s.framed)
		if err != nil {
			return 0, err
		}
		if done {
			return 0, io.EOF
		}
		n, err := snappySize(block, s.limit)
		if err != nil {
			return 0, err
		}
		s.buf = slices.Grow(s.buf[:0], n)
		if s.window, err = s2.Decode(s.buf[:n], block); err != nil {
			return 0, corruptStream(err)
		}
		s.src = rest
	}
	n := copy(p, s.window)
	s.window = s.window[n:]
	return n, nil
}
