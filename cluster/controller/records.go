package controller

import (
	"encoding/binary"
	"fmt"

	"github.com/troupe-broker/troupe/actors/codec"
	"github.com/troupe-broker/troupe/cluster/image"
)

// recordsVersion is the first byte of encoded records.
const recordsVersion = 0

// recordTable pins the type ids of metadata records, for ever. testdata/records.txt holds what was released.
var recordTable = codec.NewTable(
	codec.Entry{ID: 1, Message: &image.ClusterFounded{}},
	codec.Entry{ID: 2, Message: &image.FeatureLevelSet{}},
	codec.Entry{ID: 3, Message: &image.BrokerRegistered{}},
	codec.Entry{ID: 4, Message: &image.BrokerChanged{}},
	codec.Entry{ID: 5, Message: &image.BrokerUnregistered{}},
	codec.Entry{ID: 6, Message: &image.TopicCreated{}},
	codec.Entry{ID: 7, Message: &image.TopicDeleted{}},
	codec.Entry{ID: 8, Message: &image.PartitionAdded{}},
	codec.Entry{ID: 9, Message: &image.PartitionChanged{}},
	codec.Entry{ID: 10, Message: &image.ConfigChanged{}},
	codec.Entry{ID: 11, Message: &image.ProducerIDsReserved{}},
	codec.Entry{ID: 12, Message: &image.ScramCredentialSet{}},
	codec.Entry{ID: 13, Message: &image.ScramCredentialRemoved{}},
)

// AppendRecords appends the encoding of records to dst: one atomic change, or a snapshot.
func AppendRecords(dst []byte, records []image.Record) ([]byte, error) {
	dst = binary.AppendUvarint(append(dst, recordsVersion), uint64(len(records)))
	var frame []byte
	for _, r := range records {
		var err error
		if frame, err = recordTable.Encode(frame[:0], r); err != nil {
			return nil, err
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(frame))), frame...)
	}
	return dst, nil
}

// DecodeRecords reads what AppendRecords wrote. The records share no memory with data. Errors mean damage, or a record of a newer
// release.
func DecodeRecords(data []byte) ([]image.Record, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("metadata records: no version: %w", codec.ErrMalformed)
	}
	if data[0] != recordsVersion {
		return nil, fmt.Errorf("metadata records of version %d, known is %d; a newer release wrote them", data[0], recordsVersion)
	}
	count, rest, ok := uvarint(data[1:])
	if !ok || count > uint64(len(rest)) { // a record takes at least a byte
		return nil, fmt.Errorf("metadata records: count: %w", codec.ErrMalformed)
	}
	out := make([]image.Record, 0, count)
	for i := range count {
		size, body, ok := uvarint(rest)
		if !ok || size > uint64(len(body)) {
			return nil, fmt.Errorf("metadata record %d of %d: length: %w", i, count, codec.ErrMalformed)
		}
		msg, err := recordTable.Decode(body[:size], len(body))
		if err != nil {
			return nil, fmt.Errorf("metadata record %d of %d: %w", i, count, err)
		}
		out = append(out, msg.(image.Record))
		rest = body[size:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("metadata records: %d bytes too many: %w", len(rest), codec.ErrMalformed)
	}
	return out, nil
}

func uvarint(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}
