package storage

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Suffixes of the files of a log. Source: Kafka's LogFileUtils.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"

	deletedSuffix = ".deleted" // a segment on its way out; removed at Open
	cleanedSuffix = ".cleaned" // output of an unfinished compaction; removed at Open
	swapSuffix    = ".swap"    // output of a finished compaction that still has to replace its input; finished at Open
	tempSuffix    = ".tmp"     // a file being written, never read

	deletedDirSuffix = "-delete" // a whole log on its way out

	epochsName            = "leader-epoch-checkpoint"
	loweredName           = "lowered-position"
	partitionMetadataName = "partition.metadata"
)

const offsetDigits = 20

// offsetName is a file name as Kafka builds it: the offset in 20 digits and a suffix.
func offsetName(offset int64, suffix string) string {
	var digits [offsetDigits]byte
	for i := offsetDigits - 1; i >= 0; i-- {
		digits[i] = byte('0' + offset%10)
		offset /= 10
	}
	return string(digits[:]) + suffix
}

// parseOffsetName splits "00000000000000000042.log" into 42 and ".log". ok is false for any other shape.
func parseOffsetName(name string) (offset int64, suffix string, ok bool) {
	if len(name) <= offsetDigits || name[offsetDigits] != '.' {
		return 0, "", false
	}
	offset, err := strconv.ParseInt(name[:offsetDigits], 10, 64)
	if err != nil || offset < 0 || name[0] == '+' {
		return 0, "", false
	}
	return offset, name[offsetDigits:], true
}

// DirName is the directory of a partition inside its log directory: the topic id in text, a dash, the partition. It never
// contains anything that came over the wire as a name.
func DirName(tp protocol.TopicPartition) string { return tp.String() }

// ParseDirName is the inverse of DirName. ok is false for every name DirName does not produce.
func ParseDirName(name string) (tp protocol.TopicPartition, ok bool) {
	const idSize = 22 // 16 bytes in base64 without padding
	if len(name) < idSize+2 || name[idSize] != '-' {
		return tp, false
	}
	if n, err := base64.RawURLEncoding.Decode(tp.Topic[:], []byte(name[:idSize])); err != nil || n != len(tp.Topic) {
		return protocol.TopicPartition{}, false
	}
	partition, err := strconv.ParseInt(name[idSize+1:], 10, 32)
	if err != nil || partition < 0 {
		return protocol.TopicPartition{}, false
	}
	tp.Partition = int32(partition)
	return tp, tp.String() == name
}

// IsDeletedDir reports whether name is the directory of a log whose deletion did not finish. Whoever starts the log directory
// removes it.
func IsDeletedDir(name string) bool { return strings.HasSuffix(name, deletedDirSuffix) }
