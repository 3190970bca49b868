// Package record is Kafka's record batch, format v2 (magic 2, KIP-98): a view over the bytes, the check of what clients send, a
// builder, and the compression codecs.
//
// It decides whether bytes are one well-formed batch. It does not decide offsets, epochs, duplicates or what a topic allows: those
// come in as Limits or are patched by the partition. It is pure: no clock, no goroutine, no IO; the only shared state are pools of
// compression coders.
//
// # The batch, byte by byte
//
//	 0  8  baseOffset       offset of the first record; 0 from clients, patched by the leader, therefore outside the CRC
//	 8  4  batchLength      bytes that follow this field; with the 12 before it, the size of the batch
//	12  4  leaderEpoch      epoch of the leader that appended it, patched by the leader, therefore outside the CRC (KIP-101)
//	16  1  magic            2; at the same place in formats 0 and 1, so that old batches are recognised before anything else is read
//	17  4  crc              CRC-32C (Castagnoli) of everything from attributes to the end
//	21  2  attributes       bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon, 7-15 zero
//	23  4  lastOffsetDelta  offset of the last record minus baseOffset; kept when compaction removes records, so that offsets and
//	                        sequences of the batch survive; on the way in it is numRecords-1
//	27  8  baseTimestamp    records carry deltas to it; under bit 6 it is the delete horizon
//	35  8  maxTimestamp     highest timestamp of the records, or the append time of all of them under bit 3
//	43  8  producerId       -1: not idempotent, and then epoch and sequence mean nothing
//	51  2  producerEpoch
//	53  4  baseSequence     sequence of the first record; counts per producer, epoch and partition, and wraps from 2^31-1 to 0
//	57  4  numRecords
//	61  -  records          numRecords records one after the other, compressed as a whole if there is a codec
//
// All integers are big-endian. One record, where v is a zigzag varint and v64 may be ten bytes long:
//
//	length v | attributes 1 (zero, unused) | timestampDelta v64 | offsetDelta v
//	keyLength v (-1 = null) | key | valueLength v (-1 = null, a tombstone) | value
//	headers v | headers times: keyLength v | key | valueLength v (-1 = null) | value
//
// The length covers what follows it. It makes a record skippable and is redundant with the fields, so both are compared.
//
// A control batch (bit 5) has one record with key: version 2 bytes, type 2 bytes (0 abort, 1 commit), and value: version 2 bytes,
// coordinatorEpoch 4 bytes. Its producer is the one whose transaction ends; it takes one offset and no sequence.
//
// # What is promised
//
// A batch that Validate accepted with Limits.Deep is readable by every client: its framing is right down to the headers, its counts
// agree, and its payload decompresses within the limit. From then on the CRC guards the bytes, compressed or not: whoever reads a
// batch back from a disk or a peer checks it with Verify, so a corrupt record is never served.
//
// # Non-obvious
//
//   - Validate may patch maxTimestamp (and the CRC): Kafka does not trust the producer's either, as time index and retention stand on it.
//   - Kafka's in-place path for uncompressed batches does not look at offset deltas; its compressed path rewrites the batch if they
//     are not 0, 1, 2. Here both are refused: a batch is never rewritten except by Recompress.
//   - Several clients leave epoch or sequence at 0 with producer id -1, so these are not looked at then.
//   - lz4 means the frame format, snappy the "xerial" framing of snappy-java or one raw block; both occur in the wild.
//
// Source: KIP-98, KIP-32, KIP-82, KIP-110; DefaultRecordBatch, DefaultRecord, LogValidator, EndTransactionMarker.
package record
