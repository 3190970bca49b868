package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sync"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/record"
)

const (
	headerChunk = 4 << 10   // bytes read at a time while only headers matter
	bodyChunk   = 256 << 10 // bytes read at a time while every byte matters
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	headerChunks = sync.Pool{New: func() any { b := make([]byte, headerChunk); return &b }}
	bodyChunks   = sync.Pool{New: func() any { b := make([]byte, bodyChunk); return &b }}
)

// damage says where the batches of a file stop being batches. It is what recovery truncates at and readers refuse.
type damage struct {
	pos    int64
	reason string
}

func (d *damage) Error() string { return fmt.Sprintf("at byte %d: %s", d.pos, d.reason) }

// walker walks the batches of one file from pos to end, reading in chunks.
type walker struct {
	f        env.File
	pos, end int64 // end is exclusive
	chunk    *[]byte
	pool     *sync.Pool
	at       int64 // the chunk holds file[at:at+n]
	n        int
}

// walkHeaders reads as little as it can; walkBodies reads everything.
func walkHeaders(f env.File, pos, end int64) walker { return newWalker(f, pos, end, &headerChunks) }
func walkBodies(f env.File, pos, end int64) walker  { return newWalker(f, pos, end, &bodyChunks) }

func newWalker(f env.File, pos, end int64, pool *sync.Pool) walker {
	return walker{f: f, pos: pos, end: end, pool: pool, chunk: pool.Get().(*[]byte)}
}

// close gives the buffer back; no batch returned by w may be used after it.
func (w *walker) close() { w.pool.Put(w.chunk) }

func (w *walker) done() bool { return w.pos >= w.end }

// window returns file[pos:pos+size], reading it together with what follows if it is not in the chunk. size is at most the chunk.
func (w *walker) window(pos int64, size int) ([]byte, error) {
	if pos < w.at || pos+int64(size) > w.at+int64(w.n) {
		b := (*w.chunk)[:min(int64(len(*w.chunk)), w.end-pos)]
		n, err := w.f.ReadAt(b, pos)
		if n < size {
			w.n = 0
			if err == nil || errors.Is(err, io.EOF) {
				return nil, &damage{pos, "the file ends early"}
			}
			return nil, err
		}
		w.at, w.n = pos, n
	}
	return (*w.chunk)[pos-w.at:][:size], nil
}

// header returns the header of the batch at pos, valid until the next call, and the size of the batch. minBase is the least base
// offset it may have. A *damage if there is no such batch; its content is not looked at.
func (w *walker) header(minBase int64) (h record.Batch, size int64, err error) {
	if w.end-w.pos < record.HeaderSize {
		return nil, 0, &damage{w.pos, fmt.Sprintf("%d bytes are less than a batch header", w.end-w.pos)}
	}
	b, err := w.window(w.pos, record.HeaderSize)
	if err != nil {
		return nil, 0, err
	}
	size, reason := checkHeader(b, w.end-w.pos, minBase)
	if reason != "" {
		return nil, 0, &damage{w.pos, reason}
	}
	return b, size, nil
}

// checkHeader returns the size of the batch with the header h, or what is wrong with it. room is what the file has from here on.
func checkHeader(h record.Batch, room, minBase int64) (size int64, reason string) {
	size = int64(h.Length())
	switch {
	case h.Magic() != record.Magic2:
		return 0, fmt.Sprintf("magic %d, not 2", h.Magic())
	case size < record.HeaderSize:
		return 0, fmt.Sprintf("batch length %d is less than a header", size)
	case size > room:
		return 0, fmt.Sprintf("batch of %d bytes with %d left", size, room)
	case h.BaseOffset() < minBase:
		return 0, fmt.Sprintf("base offset %d where at least %d must follow", h.BaseOffset(), minBase)
	case h.LastOffsetDelta() < 0 || h.BaseOffset() > math.MaxInt64-1-int64(h.LastOffsetDelta()):
		return 0, fmt.Sprintf("last offset delta %d of base offset %d", h.LastOffsetDelta(), h.BaseOffset())
	}
	return size, ""
}

// whole returns the batch at pos if it fits into the chunk, else nil.
func (w *walker) whole(size int64) (record.Batch, error) {
	if size > int64(len(*w.chunk)) {
		return nil, nil
	}
	return w.window(w.pos, int(size))
}

// intact reports whether the batch of size bytes at pos has the CRC its header says. It streams batches larger than the chunk.
func (w *walker) intact(crc uint32, size int64) (bool, error) {
	if mutation.Is(mutation.TrustTail) {
		return true, nil
	}
	if b, err := w.whole(size); b != nil || err != nil {
		return err == nil && b.ComputeCRC() == crc, err
	}
	var sum uint32
	for at, end := w.pos+record.AttributesAt, w.pos+size; at < end; {
		b, err := w.window(at, int(min(end-at, int64(len(*w.chunk)))))
		if err != nil {
			return false, err
		}
		sum = crc32.Update(sum, castagnoli, b)
		at += int64(len(b))
	}
	return sum == crc, nil
}

// checked is header and intact in one: a *damage unless the whole batch is right. h is a copy of the header.
func (w *walker) checked(minBase int64, copied *[record.HeaderSize]byte) (h record.Batch, size int64, err error) {
	h, size, err = w.header(minBase)
	if err != nil {
		return nil, 0, err
	}
	copy(copied[:], h)
	h = copied[:]
	ok, err := w.intact(h.CRC(), size)
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		return nil, 0, &damage{w.pos, fmt.Sprintf("CRC of the batch at offset %d does not match", h.BaseOffset())}
	}
	return h, size, nil
}
