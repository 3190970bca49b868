package record

import "encoding/binary"

const (
	markerAbort  = 0
	markerCommit = 1

	controlKeySize  = 4 // version, type
	markerValueSize = 6 // version, coordinator epoch
)

// EndTxnMarker is the control batch that ends the producer's transaction in a partition: at ts (milliseconds), by the coordinator
// of that epoch. Source: EndTransactionMarker, MemoryRecords.writeEndTransactionalMarker.
func EndTxnMarker(producerID int64, producerEpoch int16, commit bool, coordinatorEpoch int32, ts int64) Batch {
	var key [controlKeySize]byte
	var value [markerValueSize]byte
	if commit {
		binary.BigEndian.PutUint16(key[2:], markerCommit)
	}
	binary.BigEndian.PutUint32(value[2:], uint32(coordinatorEpoch))
	b := NewBuilder(Options{
		ProducerID: producerID, Epoch: producerEpoch, BaseSequence: NoSequence,
		Idempotent: true, Transactional: true, Control: true, BaseTimestamp: ts,
	})
	b.Append(ts, key[:], value[:], nil)
	batch, err := b.Build()
	if err != nil {
		panic("record: a marker cannot fail to build: " + err.Error())
	}
	return batch
}

// Marker reads the end of a transaction from a control batch. ok is false for data, for other kinds of control batch, and for one
// that compaction emptied. Source: ControlRecordType.parse, EndTransactionMarker.deserialize: newer versions only append fields.
func (b Batch) Marker() (commit bool, coordinatorEpoch int32, ok bool) {
	if !b.IsControl() || b.NumRecords() < 1 {
		return false, 0, false
	}
	_ = b.Each(nil, func(r Record) error {
		if len(r.Key) < controlKeySize || len(r.Value) < markerValueSize {
			return errFound
		}
		kind := binary.BigEndian.Uint16(r.Key[2:])
		commit, ok = kind == markerCommit, kind == markerAbort || kind == markerCommit
		coordinatorEpoch = int32(binary.BigEndian.Uint32(r.Value[2:]))
		return errFound
	})
	return commit, coordinatorEpoch, ok
}
