package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Names of the files a log directory has beside its partitions. Those Kafka has too have Kafka's names and formats.
const (
	RecoveryPointsName = "recovery-point-offset-checkpoint"
	LogStartsName      = "log-start-offset-checkpoint"
	HighWatermarksName = "replication-offset-checkpoint"
	PositionsName      = "positions-checkpoint"
	CleanerOffsetsName = "cleaner-offset-checkpoint"
	metaName           = "meta.properties"
	cleanShutdownName  = ".kafka_cleanshutdown"
)

// PartitionOffset is a line of a Kafka offset checkpoint.
type PartitionOffset struct {
	Partition protocol.TopicPartition
	Offset    int64
}

// WriteOffsets replaces an offset checkpoint of a log directory in Kafka's format: version 0, the number of entries, then topic (its
// id in text here), partition and offset a line. Source: CheckpointFile, OffsetCheckpointFile.
func WriteOffsets(files env.FS, name string, entries []PartitionOffset) error {
	b := append(make([]byte, 0, 16+48*len(entries)), "0\n"...)
	b = strconv.AppendInt(b, int64(len(entries)), 10)
	b = append(b, '\n')
	for _, e := range entries {
		b = append(b, e.Partition.Topic.String()...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(e.Partition.Partition), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, e.Offset, 10)
		b = append(b, '\n')
	}
	return ReplaceFile(files, ".", name, b)
}

// ReadOffsets reads what WriteOffsets wrote; nothing if the file does not exist. ErrCorrupt if it does not hold together: use none
// of it.
func ReadOffsets(files env.FS, name string) ([]PartitionOffset, error) {
	b, err := ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := parseOffsets(string(b))
	if err != nil {
		return nil, &Corruption{File: name, Offset: -1, Reason: err.Error()}
	}
	return entries, nil
}

func parseOffsets(text string) ([]PartitionOffset, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" {
		return nil, errors.New("version is not 0")
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return nil, fmt.Errorf("%d entries where %q are announced", len(lines)-2, lines[1])
	}
	entries := make([]PartitionOffset, 0, len(lines)-2)
	for _, line := range lines[2:] {
		dir, text, ok := cutLast(line, " ")
		topic, partition, ok2 := cutLast(dir, " ")
		tp, ok3 := ParseDirName(topic + "-" + partition)
		offset, err := strconv.ParseInt(text, 10, 64)
		if !ok || !ok2 || !ok3 || err != nil || offset < 0 {
			return nil, fmt.Errorf("entry %q", line)
		}
		entries = append(entries, PartitionOffset{tp, offset})
	}
	return entries, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// PartitionPosition is an entry of the positions checkpoint.
type PartitionPosition struct {
	Partition protocol.TopicPartition
	Position  Position
}

const (
	positionsMagic     = "troupe positions\x00\x01" // the last byte is the version
	positionSize       = 16 + 4 + 6*8 + 5*4
	positionsHeadSize  = len(positionsMagic) + 4
	positionsTrailSize = 4
)

// WritePositions replaces the positions checkpoint of a log directory. 10,000 entries are 880 KB and one sync.
func WritePositions(files env.FS, entries []PartitionPosition) error {
	b := make([]byte, 0, positionsHeadSize+len(entries)*positionSize+positionsTrailSize)
	b = append(b, positionsMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(entries)))
	for i := range entries {
		b = entries[i].appendTo(b)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return ReplaceFile(files, ".", PositionsName, b)
}

func (e *PartitionPosition) appendTo(b []byte) []byte {
	p := &e.Position
	b = append(b, e.Partition.Topic[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(e.Partition.Partition))
	for _, v := range [...]int64{p.Offset, p.Start, p.Segment, p.Bytes, p.MaxTimestamp, p.MaxOffset} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	for _, v := range [...]uint32{uint32(p.Epoch), uint32(p.Indexes), uint32(p.Times), uint32(p.Aborted), p.Lowered} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// ReadPositions reads what WritePositions wrote; nothing if the file does not exist. ErrCorrupt if it is damaged: use none of it and
// open every log without a Checkpoint.
func ReadPositions(files env.FS) ([]PartitionPosition, error) {
	b, err := ReadFile(files, PositionsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, reason := parsePositions(b)
	if reason != "" {
		return nil, &Corruption{File: PositionsName, Offset: -1, Reason: reason}
	}
	return entries, nil
}

func parsePositions(b []byte) (entries []PartitionPosition, reason string) {
	if len(b) < positionsHeadSize+positionsTrailSize || string(b[:len(positionsMagic)]) != positionsMagic {
		return nil, "not a positions checkpoint of version 1"
	}
	body := b[:len(b)-positionsTrailSize]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(body):]) {
		return nil, "CRC does not match"
	}
	count := binary.BigEndian.Uint32(body[len(positionsMagic):])
	body = body[positionsHeadSize:]
	if int64(len(body)) != int64(count)*positionSize {
		return nil, fmt.Sprintf("%d bytes for %d entries", len(body), count)
	}
	entries = make([]PartitionPosition, count)
	for i := range entries {
		entries[i].parse(body[i*positionSize:])
	}
	return entries, ""
}

func (e *PartitionPosition) parse(b []byte) {
	p := &e.Position
	copy(e.Partition.Topic[:], b)
	e.Partition.Partition = int32(binary.BigEndian.Uint32(b[16:]))
	b = b[20:]
	for _, v := range [...]*int64{&p.Offset, &p.Start, &p.Segment, &p.Bytes, &p.MaxTimestamp, &p.MaxOffset} {
		*v, b = int64(binary.BigEndian.Uint64(b)), b[8:]
	}
	for _, v := range [...]*int32{&p.Epoch, &p.Indexes, &p.Times, &p.Aborted} {
		*v, b = int32(binary.BigEndian.Uint32(b)), b[4:]
	}
	p.Lowered = binary.BigEndian.Uint32(b)
}

// encodeLowered is the lowered-position file of a log: version, the position with its count, whether the log is to be emptied, and a
// CRC of the lines before it.
func encodeLowered(p Position, reset bool) []byte {
	text := fmt.Sprintf("0\n%d %d %d %d %d %d %t\n", p.Lowered, p.Offset, p.Start, p.Segment, p.Bytes, p.Aborted, reset)
	return fmt.Appendf(nil, "%s%08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

func parseLowered(b []byte) (p Position, reset bool, err error) {
	var crc uint32
	p = Position{MaxTimestamp: unknownTimestamp, Epoch: NoEpoch}
	_, err = fmt.Sscanf(string(b), "0\n%d %d %d %d %d %d %t\n%x\n", &p.Lowered, &p.Offset, &p.Start, &p.Segment, &p.Bytes, &p.Aborted, &reset, &crc)
	if err == nil && string(encodeLowered(p, reset)) != string(b) {
		err = errors.New("CRC does not match")
	}
	if err == nil && (p.Offset < p.Segment || p.Segment < 0 || p.Bytes < 0 || p.Start < 0 || p.Start > p.Offset) {
		err = errors.New("position is impossible")
	}
	return p, reset, err
}

// MetaProperties identify a log directory. Source: MetaProperties, version 1.
type MetaProperties struct {
	ClusterID   string
	NodeID      protocol.NodeID
	DirectoryID string
	// Format is of what the directory holds, DirectoryFormat for what is written now; 0 for a directory of before there was a number, and
	// for one of Apache Kafka's: see Whose.
	Format int
}

// DirectoryFormat is the format of a log directory as a whole. A directory of a later one is not touched.
const DirectoryFormat = 1

// formatKey is not Kafka's, which ignores keys that it does not know.
const formatKey = "troupe.format"

// WriteMetaProperties replaces meta.properties, with DirectoryFormat.
func WriteMetaProperties(files env.FS, m MetaProperties) error {
	text := fmt.Sprintf("cluster.id=%s\ndirectory.id=%s\nnode.id=%d\n%s=%d\nversion=1\n", m.ClusterID, m.DirectoryID, m.NodeID, formatKey, DirectoryFormat)
	return ReplaceFile(files, ".", metaName, []byte(text))
}

// ReadMetaProperties reads meta.properties; fs.ErrNotExist if the directory was never formatted, ErrCorrupt if the file does not say
// what it must. Kafka's of the ZooKeeper era (version=0, broker.id) is of the latter kind.
func ReadMetaProperties(files env.FS) (MetaProperties, error) {
	b, err := ReadFile(files, metaName)
	if err != nil {
		return MetaProperties{}, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, "="); ok && line[0] != '#' {
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	node, err := strconv.ParseInt(values["node.id"], 10, 32)
	if err != nil || values["version"] != "1" || values["cluster.id"] == "" {
		return MetaProperties{}, &Corruption{File: metaName, Offset: -1, Reason: "cluster.id, node.id or version=1 is missing"}
	}
	format := 0
	if text, ok := values[formatKey]; ok {
		if format, err = strconv.Atoi(text); err != nil || format < 1 {
			return MetaProperties{}, &Corruption{File: metaName, Offset: -1, Reason: formatKey + " is not a number from 1 on"}
		}
	}
	return MetaProperties{values["cluster.id"], protocol.NodeID(node), values["directory.id"], format}, nil
}

// CleanShutdown is what the marker of a clean shutdown says (KIP-966).
type CleanShutdown struct {
	BrokerEpoch int64
	DirectoryID string
}

// WriteCleanShutdown writes the marker: the last thing in a log directory after every log was closed clean, the positions were
// written and everything was synced.
func WriteCleanShutdown(files env.FS, c CleanShutdown) error {
	text := fmt.Sprintf("{\"version\":0,\"brokerEpoch\":%d,\"directoryId\":%q}", c.BrokerEpoch, c.DirectoryID)
	return ReplaceFile(files, ".", cleanShutdownName, []byte(text))
}

// TakeCleanShutdown reads the marker and removes it durably; call it first thing at start, so that a crash from then on is not taken
// for clean (KAFKA-10471). ok is false if there was none, or none that can be read.
func TakeCleanShutdown(files env.FS) (c CleanShutdown, ok bool, err error) {
	b, err := ReadFile(files, cleanShutdownName)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return c, false, err
	}
	var version int
	_, scanned := fmt.Sscanf(string(b), `{"version":%d,"brokerEpoch":%d,"directoryId":%q}`, &version, &c.BrokerEpoch, &c.DirectoryID)
	if mutation.Is(mutation.CleanMarkerStays) {
		return c, err == nil && scanned == nil, nil
	}
	if err := files.Remove(cleanShutdownName); err != nil {
		return c, false, fmt.Errorf("removing %q: %w", cleanShutdownName, err)
	}
	if err := files.SyncDir("."); err != nil {
		return c, false, fmt.Errorf("syncing the log directory: %w", err)
	}
	return c, err == nil && scanned == nil && version == 0, nil
}

// PartitionMetadata is the partition.metadata file of a log. Source: PartitionMetadataFile; the name is ours and only for people.
type PartitionMetadata struct {
	Topic     protocol.TopicID
	TopicName string
}

// WritePartitionMetadata replaces the file in the directory dir. Blocks.
func WritePartitionMetadata(files env.FS, dir string, m PartitionMetadata) error {
	return ReplaceFile(files, dir, partitionMetadataName, fmt.Appendf(nil, "version: 0\ntopic_id: %s\ntopic_name: %q\n", m.Topic, m.TopicName))
}

// ReadPartitionMetadata reads the file, ours or Kafka's (which has no name); fs.ErrNotExist if there is none, ErrCorrupt if there is no
// topic id in it.
func ReadPartitionMetadata(files env.FS, dir string) (m PartitionMetadata, err error) {
	name := dir + "/" + partitionMetadataName
	b, err := ReadFile(files, name)
	if err != nil {
		return m, err
	}
	ok := false
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "topic_id":
			var tp protocol.TopicPartition
			tp, ok = ParseDirName(value + "-0")
			m.Topic = tp.Topic
		case "topic_name":
			if m.TopicName, err = strconv.Unquote(value); err != nil {
				return m, &Corruption{File: name, Offset: -1, Reason: "topic_name is not quoted"}
			}
		}
	}
	if !ok {
		return m, &Corruption{File: name, Offset: -1, Reason: "topic_id is missing"}
	}
	return m, nil
}
