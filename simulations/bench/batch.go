package main

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const valueBytes = 100 // of every record of the pre-encoded loads

// encodeBatch builds one uncompressed v2 batch of at most size bytes and tells how many records of 100 random bytes it holds.
// It is written against kmsg, not against the broker's own builder, so that the load is not our own idea of the format.
func encodeBatch(size int) ([]byte, int) {
	const header = 61
	rng := rand.New(rand.NewPCG(1, 2))
	var payload []byte
	n := 0
	for {
		value := make([]byte, valueBytes)
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
		rec := kmsg.Record{OffsetDelta: int32(n), Value: value}
		body := rec.AppendTo(nil)[1:] // behind the one-byte length of a zero record length
		rec.Length = int32(len(body))
		encoded := rec.AppendTo(nil)
		if header+len(payload)+len(encoded) > size && n > 0 {
			break
		}
		payload = append(payload, encoded...)
		n++
	}
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{Length: int32(header - 12 + len(payload)), PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(n - 1),
		FirstTimestamp: now, MaxTimestamp: now, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(n), Records: payload}
	raw := b.AppendTo(nil)
	const attributesAt, crcAt = 21, 17
	binary.BigEndian.PutUint32(raw[crcAt:], crc32.Checksum(raw[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return raw, n
}

// distinctValues are n different values of 100 bytes that compress badly.
func distinctValues(n int) [][]byte {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, valueBytes)
		for j := range out[i] {
			out[i][j] = byte(rng.Uint32())
		}
	}
	return out
}
