package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/pierrec/lz4/v4"
)

// Codec is how the records of a batch are compressed: the low three bits of the attributes. Source: CompressionType.
type Codec uint8

// The codecs of Kafka.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var codecNames = [...]string{None: "none", Gzip: "gzip", Snappy: "snappy", LZ4: "lz4", Zstd: "zstd"}

// Known reports whether the codec exists.
func (c Codec) Known() bool { return int(c) < len(codecNames) }

// String is the codec's name in Kafka's compression.type.
func (c Codec) String() string {
	if !c.Known() {
		return fmt.Sprintf("codec %d", uint8(c))
	}
	return codecNames[c]
}

// ParseCodec is the codec of a name of compression.type ("uncompressed" is none there). ok is false for "producer" and anything else.
func ParseCodec(name string) (c Codec, ok bool) {
	if name == "uncompressed" {
		return None, true
	}
	i := slices.Index(codecNames[:], name)
	return Codec(max(i, 0)), i >= 0
}

var (
	// ErrTooLarge: the content is larger than the limit.
	ErrTooLarge = errors.New("record batch is too large")
	// ErrUnsupportedCodec: the attributes name a codec that does not exist.
	ErrUnsupportedCodec = errors.New("unknown compression codec")
)

// Decompress appends what src decompresses to to dst and returns the extended slice. It never produces more than limit bytes and a block of
// 128 KiB, whatever src claims: ErrTooLarge. ErrCorrupt if src is not a whole stream of the codec, ErrUnsupportedCodec.
func Decompress(codec Codec, dst, src []byte, limit int) ([]byte, error) {
	switch codec {
	case None:
		if len(src) > limit {
			return dst, ErrTooLarge
		}
		return append(dst, src...), nil
	case Snappy:
		return unsnap(dst, src, limit)
	case Zstd:
		shape, err := zstdShapeOf(src)
		if err != nil {
			return dst, err
		}
		return unzstd(dst, src, shape.bound, limit)
	case Gzip, LZ4:
		s, _, err := openStream(codec, src, limit, limit, Unpacking{})
		if err != nil {
			return dst, err
		}
		defer s.close()
		return readAll(dst, s.r, len(src), limit)
	}
	return dst, fmt.Errorf("%w: %d", ErrUnsupportedCodec, codec)
}

// readAll is io.ReadAll into dst with a bound on what is read and, through it, on what is allocated.
func readAll(dst []byte, r io.Reader, hint, limit int) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, min(limit+1, max(3*hint, 4<<10)))
	for {
		room := min(cap(dst), start+limit+1)
		n, err := r.Read(dst[len(dst):room])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > limit:
			return dst, ErrTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, corruptStream(err)
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, min(len(dst)-start, start+limit+1-len(dst)))
		}
	}
}

func corruptStream(err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrStopped) {
		return err
	}
	return fmt.Errorf("%w: decompressing: %w", ErrCorrupt, err)
}

// stream is a pooled reader of compressed bytes.
type stream struct {
	codec Codec
	src   bytes.Reader
	r     io.Reader
}

type resetter interface{ Reset(io.Reader) error }

// streams has a pool for every codec, as building a decoder costs more than using it.
var streams [Zstd + 1]sync.Pool

// openStream starts to decompress src, which must stay as it is until close. The reader of r bounds what comes out; limit is for
// codecs that decompress in one piece. What that takes beyond free bytes is paid for here: paid bytes in all need not be paid again.
func openStream(codec Codec, src []byte, limit, free int, u Unpacking) (s *stream, paid int, err error) {
	if !codec.Known() || codec == None {
		return nil, 0, fmt.Errorf("%w: %d", ErrUnsupportedCodec, codec)
	}
	s, _ = streams[codec].Get().(*stream)
	if s == nil {
		s = &stream{codec: codec}
		s.build()
	}
	s.src.Reset(src)
	switch r := s.r.(type) {
	case resetter:
		err = r.Reset(&s.src)
	case *lz4.Reader:
		err = checkLZ4(src)
		r.Reset(&s.src)
	case *snappyReader:
		r.open(src, limit)
	case *zstdReader:
		paid, err = r.open(src, limit, free, u)
	}
	if err != nil {
		s.close()
		return nil, 0, corruptStream(err)
	}
	return s, paid, nil
}

func (s *stream) build() {
	switch s.codec {
	case Gzip:
		s.r = new(gzip.Reader)
	case Snappy:
		s.r = new(snappyReader)
	case LZ4:
		s.r = lz4.NewReader(nil)
	case Zstd:
		s.r = new(zstdReader)
	}
}

// close gives the stream back to its pool, without what it read.
func (s *stream) close() {
	s.src.Reset(nil)
	if r, ok := s.r.(interface{ close() }); ok {
		r.close()
	}
	streams[s.codec].Put(s)
}
