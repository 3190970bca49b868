package compaction

import (
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/storage"
)

// filter decides what stays of a batch. Source: Cleaner.cleanInto, shouldRetainRecord; MemoryRecords.filterTo.
type filter struct {
	keys            *OffsetMap
	mapped          int64 // exclusive: records from here on are not in keys, and stay
	now             int64 // milliseconds, the same for the whole round
	deleteRetention int64 // milliseconds
	producers       map[int64]producer.Last
	txns            *transactions
	decoder         record.Decoder
}

// batch returns what stays of b: b itself, another batch, or nil. next is the end of the segment that is written, whose last batch stays.
// entry is an aborted transaction that stays in the index, as b is its marker.
func (f *filter) batch(b record.Batch, next int64) (out record.Batch, entry *storage.AbortedTxn, err error) {
	var discard, spent bool
	if b.IsControl() {
		spent, entry = f.txns.control(b)
		discard = mutation.Is(mutation.CompactMarkers) || spent && b.HasDeleteHorizon() && b.BaseTimestamp() <= f.now
	} else {
		discard = f.txns.data(b)
	}
	var kept record.Filtered
	if !discard {
		if kept, err = b.Filter(&f.decoder, f.keeps(b)); err != nil {
			return nil, nil, err
		}
	}
	switch begins := !b.HasDeleteHorizon() && (kept.Tombstones || spent); {
	case kept.Kept == 0 && (f.isLast(b) || b.NextOffset() == next):
		if b.NumRecords() == 0 {
			return b, entry, nil
		}
		return b.Emptied(), entry, nil
	case kept.Kept == 0:
		return nil, entry, nil
	case begins:
		out, err = b.Rebuild(&f.decoder, kept, f.now+f.deleteRetention)
	case kept.Kept == kept.Read:
		return b, entry, nil
	default:
		out, err = b.Rebuild(&f.decoder, kept, record.NoTimestamp)
	}
	return out, entry, err
}

// keeps is the question for every record of b.
func (f *filter) keeps(b record.Batch) func(offset int64, key []byte, tombstone bool) bool {
	if b.IsControl() {
		return func(int64, []byte, bool) bool { return true }
	}
	expired := b.HasDeleteHorizon() && b.BaseTimestamp() <= f.now
	return func(offset int64, key []byte, tombstone bool) bool {
		if mutation.Is(mutation.CompactNewest) && key != nil && offset == f.keys.Get(key) {
			return false
		}
		if offset >= f.mapped {
			return true
		}
		return key != nil && offset >= f.keys.Get(key) && !(tombstone && expired)
	}
}

// isLast reports whether b holds what comes next of a producer that the log still knows: its last sequence, or, if nothing but markers is
// known, its epoch.
func (f *filter) isLast(b record.Batch) bool {
	last, ok := f.producers[b.ProducerID()]
	if !ok || b.ProducerID() < 0 {
		return false
	}
	if last.Offset >= 0 {
		return b.LastOffset() == last.Offset
	}
	return b.IsControl() && b.ProducerEpoch() == int16(last.Epoch)
}
