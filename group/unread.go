package group

import (
	"errors"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition"
)

const (
	// unreadBuffer is how much of a batch is read to find the time of a record in it; of a larger one the first record's counts.
	unreadBuffer = 128 << 10
	// unreadBatches bounds the markers that are passed over.
	unreadBatches = 16
)

// unread knows the times of the records that groups read next, each as long as no group has read on: a scrape then costs no reading for
// a group that stands still. It holds what the last round asked for.
type unread struct {
	last, now map[position]int64
	buf       []byte
	reads     int // batches, ever
}

type position struct {
	partition protocol.TopicPartition
	offset    int64
}

// begin starts a round.
func (u *unread) begin() { u.last, u.now = u.now, map[position]int64{} }

// since is the timestamp (milliseconds) of the first record from offset on; -1 if there is none, or it cannot be read now. It may read
// from the disk.
func (u *unread) since(h *partition.Handle, offset int64) int64 {
	at := position{h.Partition, offset}
	ts, known := u.now[at]
	if !known {
		ts, known = u.last[at]
	}
	if !known {
		ts = u.read(h.View(), offset)
	}
	if ts >= 0 {
		u.now[at] = ts
	}
	return ts
}

func (u *unread) read(v *partition.View, offset int64) int64 {
	if u.buf == nil {
		u.buf = make([]byte, unreadBuffer)
	}
	for range unreadBatches {
		span, code := v.Fetch(max(offset, v.LogStartOffset), 1, false)
		if code != protocol.None || span.Len == 0 || span.Bare {
			span.Release()
			return -1
		}
		n, err := v.Log.Read(span, u.buf)
		span.Release()
		u.reads++
		if err != nil || n < record.HeaderSize {
			return -1
		}
		b := record.Batch(u.buf[:n])
		if !b.IsControl() {
			if ts, ok := timeIn(b, offset); ok {
				return ts
			}
		}
		offset = b.NextOffset()
	}
	return -1
}

var errFound = errors.New("found")

// timeIn is the time of the first record of a batch from offset on, of which b may be the beginning.
func timeIn(b record.Batch, offset int64) (ts int64, ok bool) {
	if b.IsLogAppendTime() {
		return b.MaxTimestamp(), true
	}
	err := b.EachTime(record.Unpacking{}, func(at, of int64) error {
		if at < offset {
			return nil
		}
		ts = of
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return ts, true
	case len(b) >= b.Length():
		return 0, false
	case b.HasDeleteHorizon(): // which stands where the time of the first record does
		return b.MaxTimestamp(), true
	}
	return b.BaseTimestamp(), true
}
