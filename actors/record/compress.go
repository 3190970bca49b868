package record

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compress appends src, compressed, to dst and returns the extended slice. level is in the codec's own scale (gzip 1-9, lz4 1-17,
// zstd 1-22; snappy has none), 0 its default; what is outside is taken to the nearest. ErrUnsupportedCodec.
func Compress(codec Codec, level int, dst, src []byte) ([]byte, error) {
	switch codec {
	case None:
		return append(dst, src...), nil
	case Gzip:
		return gzipped(dst, src, level)
	case Snappy:
		return snap(dst, src), nil
	case LZ4:
		return lz4ed(dst, src, level)
	case Zstd:
		return zstded(dst, src, level), nil
	}
	return dst, fmt.Errorf("%w: %d", ErrUnsupportedCodec, codec)
}

// Pools of encoders, one per level where the level is fixed at building.
var (
	gzipWriters [gzip.BestCompression + 1]sync.Pool // at 0 the default level
	lz4Writers  sync.Pool
	zstdWriters [zstd.SpeedBestCompression + 1]sync.Pool
)

func gzipped(dst, src []byte, level int) ([]byte, error) {
	level = min(max(level, 0), gzip.BestCompression)
	out := bytes.NewBuffer(dst)
	w, _ := gzipWriters[level].Get().(*gzip.Writer)
	if w == nil {
		w, _ = gzip.NewWriterLevel(out, cmp.Or(level, gzip.DefaultCompression))
	}
	w.Reset(out)
	_, err := w.Write(src)
	if err == nil {
		err = w.Close()
	}
	gzipWriters[level].Put(w)
	return out.Bytes(), err
}

// lz4Levels maps lz4's levels to the library's; 0, the default, is its fast mode. Levels are about density and time, never about who
// can read it, so the library's scale ending at 9 does no harm.
var lz4Levels = [...]lz4.CompressionLevel{
	lz4.Fast, lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
}

// lz4ed writes one frame of independent blocks of 64 KiB without content checksum: all that KafkaLZ4BlockInputStream reads.
func lz4ed(dst, src []byte, level int) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	w, _ := lz4Writers.Get().(*lz4.Writer)
	if w == nil {
		w = lz4.NewWriter(out)
	}
	w.Reset(out)
	level = min(max(level, 0), len(lz4Levels)-1)
	err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.CompressionLevelOption(lz4Levels[level]))
	if err == nil {
		_, err = w.Write(src)
	}
	if err == nil {
		err = w.Close()
	}
	lz4Writers.Put(w)
	return out.Bytes(), err
}

func zstded(dst, src []byte, level int) []byte {
	speed := zstd.SpeedDefault
	if level != 0 {
		speed = zstd.EncoderLevelFromZstd(level)
	}
	e, _ := zstdWriters[speed].Get().(*zstd.Encoder)
	if e == nil {
		var err error
		if e, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(speed)); err != nil {
			panic("record: zstd refuses its options: " + err.Error())
		}
	}
	out := e.EncodeAll(src, dst)
	zstdWriters[speed].Put(e)
	return out
}

const (
	// recompressBeside is up to what a batch is compressed again beside others, in bytes of its records; larger ones take turns.
	recompressBeside = 8 << 20
	// recompressCost is to how many bytes of unpacking compressing a byte comes.
	recompressCost = 4
)

// Recompress returns b with its records in another codec, in memory of its own; b itself if it has that codec already. limit bounds
// the uncompressed records, in bytes, u what they take. Everything else stays; the CRC is sealed anew. ErrTooLarge, ErrCorrupt,
// ErrUnsupportedCodec, ErrStopped.
// For topics whose compression.type is not "producer". Source: LogValidator.validateMessagesAndAssignOffsetsCompressed.
func Recompress(b Batch, codec Codec, limit int, u Unpacking) (Batch, error) {
	if b.Codec() == codec {
		return b, nil
	}
	free := unpackedFree * len(b)
	beside := min(limit, recompressBeside)
	if b.Codec() == None {
		beside = limit
	}
	again, size, err := b.recompress(codec, beside)
	if errors.Is(err, ErrTooLarge) && limit > beside {
		if err := u.pay(recompressCost*beside - free); err != nil { // before its turn: others wait for theirs
			return nil, err
		}
		free += recompressCost * beside
		u.turns().Lock()
		again, size, err = b.recompress(codec, limit)
		u.turns().Unlock()
	}
	if err != nil {
		return nil, err
	}
	return again, u.pay(recompressCost*size - free)
}

// recompress is Recompress without a bound on what that takes; size is that of the records.
func (b Batch) recompress(codec Codec, limit int) (again Batch, size int, err error) {
	records, err := (&Decoder{Limit: limit}).plain(b)
	if err != nil {
		return nil, 0, err
	}
	out := append(make(Batch, 0, HeaderSize+len(records)), b[:HeaderSize]...)
	out[AttributesAt+1] = out[AttributesAt+1]&^codecMask | byte(codec)
	again, err = out.finish(codec, 0, records)
	return again, len(records), err
}
