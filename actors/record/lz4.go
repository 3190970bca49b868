package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// An lz4 frame, as far as it must be looked at before the library decodes it (integers little-endian):
//
//	0  4  magic       0x184d2204
//	4  1  flags       version 01 in bits 6-7, 5 blocks are independent, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary
//	5  1  block size  bits 4-6: 4 to 7 for 64 KiB to 4 MiB
//	6  8  content size, if flagged; then 1 header checksum
//	   -  blocks      size 4 bytes (bit 31: stored) | that many bytes | 4 bytes checksum, if flagged
//	   4  end mark    0, then 4 bytes content checksum, if flagged
//
// Kafka's clients read one such frame, of independent blocks, without dictionary, and stop at its end mark. The library reads more:
// legacy and skippable frames, linked blocks, frames in a row. What only the library can read must not be stored.
// Source: KafkaLZ4BlockInputStream.

const (
	lz4FlagDictionary      = 1 << 0
	lz4FlagReserved        = 1 << 1
	lz4FlagContentChecksum = 1 << 2
	lz4FlagContentSize     = 1 << 3
	lz4FlagBlockChecksum   = 1 << 4
	lz4FlagIndependent     = 1 << 5
	lz4VersionMask         = 3 << 6
	lz4Version             = 1 << 6
	lz4Stored              = 1 << 31
)

var lz4Magic = []byte{0x04, 0x22, 0x4d, 0x18}

// checkLZ4 walks the structure of the frame without decompressing anything.
func checkLZ4(src []byte) error {
	if len(src) < 7 || !bytes.HasPrefix(src, lz4Magic) {
		return fmt.Errorf("%w: no lz4 frame", ErrCorrupt)
	}
	flags := src[4]
	if flags&lz4VersionMask != lz4Version || flags&(lz4FlagDictionary|lz4FlagReserved) != 0 || flags&lz4FlagIndependent == 0 {
		return fmt.Errorf("%w: lz4 frame flags %#02x are not supported", ErrCorrupt, flags)
	}
	src = src[7:]
	if flags&lz4FlagContentSize != 0 {
		src = src[min(8, len(src)):]
	}
	for {
		if len(src) < 4 {
			return fmt.Errorf("%w: lz4 frame without end mark", ErrCorrupt)
		}
		size := int(binary.LittleEndian.Uint32(src) &^ lz4Stored)
		if src = src[4:]; size == 0 {
			break
		}
		if flags&lz4FlagBlockChecksum != 0 {
			size += 4
		}
		if size > len(src) {
			return fmt.Errorf("%w: lz4 block of %d bytes in %d", ErrCorrupt, size, len(src))
		}
		src = src[size:]
	}
	if flags&lz4FlagContentChecksum != 0 {
		src = src[min(4, len(src)):]
	}
	if len(src) != 0 {
		return fmt.Errorf("%w: %d bytes after the lz4 frame", ErrCorrupt, len(src))
	}
	return nil
}
