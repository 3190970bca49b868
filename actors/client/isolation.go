package client

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// decompressedMax bounds what one batch may unpack to, in bytes.
const decompressedMax = 64 << 20

// decode takes the records at or after from out of what a fetch brought: no control records and, if aborted transactions are named,
// none of theirs. The records alias batches. An error of package record if they cannot be read.
// Source: CompletedFetch.nextFetchedRecord, consumeAbortedTransactionsUpTo.
func decode(batches []byte, from int64, aborted []protocol.AbortedTransaction) (out []protocol.Record, err error) {
	var open []protocol.ProducerID // of aborted transactions whose marker is still to come
	for len(batches) > 0 {
		size, err := record.Peek(batches)
		if err != nil {
			return nil, err
		}
		if size > len(batches) {
			return nil, record.ErrShort
		}
		b := record.Batch(batches[:size])
		batches = batches[size:]
		for len(aborted) > 0 && aborted[0].FirstOffset <= b.LastOffset() {
			open = append(open, aborted[0].ProducerID)
			aborted = aborted[1:]
		}
		id := protocol.ProducerID(b.ProducerID())
		if b.IsControl() {
			if commit, _, ok := b.Marker(); ok && !commit {
				open = slices.DeleteFunc(open, func(p protocol.ProducerID) bool { return p == id })
			}
			continue
		}
		if b.IsTransactional() && slices.Contains(open, id) {
			continue
		}
		if out, err = appendRecords(out, b, from); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendRecords appends the records of one batch. They keep the decoder's memory, so each batch has its own.
func appendRecords(out []protocol.Record, b record.Batch, from int64) ([]protocol.Record, error) {
	err := b.Each(&record.Decoder{Limit: decompressedMax}, func(r record.Record) error {
		if r.Offset < from {
			return nil
		}
		p := protocol.Record{Offset: r.Offset, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			p.Headers = append(p.Headers, protocol.RecordHeader{Key: h.Key, Value: h.Value})
		}
		out = append(out, p)
		return nil
	})
	return out, err
}
