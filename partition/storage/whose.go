package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/env"
)

// ErrNotOurs is in the error of a directory that holds what troupe did not write.
var ErrNotOurs = errors.New("the directory is not troupe's")

// foreignNamed bounds the files that an error names.
const foreignNamed = 5

// kafkaBootstrap is what Apache Kafka's storage tool leaves beside meta.properties.
const kafkaBootstrap = "bootstrap.checkpoint"

// Whose looks at a directory before anything is written to it, and changes nothing. It returns who it belongs to, or zero for an empty
// one, which may be taken. What others wrote is an error with ErrNotOurs that says what it is; ErrCorrupt if meta.properties is damaged.
//
// A directory is troupe's if meta.properties says so or, of before it did, if there is what only troupe writes. Kafka's has the same
// meta.properties otherwise, and the same names of checkpoints and logs.
func Whose(files env.FS) (MetaProperties, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return MetaProperties{}, err
	}
	seen := look(entries)
	meta, err := ReadMetaProperties(files)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return MetaProperties{}, seen.unmarked()
	case err != nil && (zooKeeperEra(files) || len(seen.kafka) > 0):
		return MetaProperties{}, fmt.Errorf("%w: it holds the data of an Apache Kafka broker of before KRaft", ErrNotOurs)
	case err != nil:
		return MetaProperties{}, err
	case meta.Format > DirectoryFormat:
		return MetaProperties{}, fmt.Errorf("%w to this version: a later one wrote it (%s=%d, this one knows up to %d)", ErrNotOurs, formatKey, meta.Format, DirectoryFormat)
	case meta.Format > 0 || (seen.ours || unnumbered(files, meta)) && len(seen.kafka) == 0:
		return meta, nil
	case len(seen.kafka) > 0:
		return MetaProperties{}, fmt.Errorf("%w: it holds the data of an Apache Kafka broker (%s)", ErrNotOurs, named(seen.kafka))
	}
	return MetaProperties{}, fmt.Errorf("%w: it was formatted for Apache Kafka (cluster.id=%s)", ErrNotOurs, meta.ClusterID)
}

// unnumbered reports whether meta.properties is to the letter what was written before there was a troupe.format. Kafka's begins with a
// comment and the date.
func unnumbered(files env.FS, m MetaProperties) bool {
	b, err := ReadFile(files, metaName)
	return err == nil && string(b) == fmt.Sprintf("cluster.id=%s\ndirectory.id=%s\nnode.id=%d\nversion=1\n", m.ClusterID, m.DirectoryID, m.NodeID)
}

// signs are what the names in a directory tell.
type signs struct {
	ours  bool     // there is what only troupe writes
	kafka []string // what only Apache Kafka writes
	other []string // what neither does
}

func look(entries []env.Entry) (s signs) {
	for _, e := range entries {
		_, id := ParseDirName(e.Name) // also a name that a topic of Kafka's may have
		switch {
		case e.Name == PositionsName || slices.Contains(journalNames[:], e.Name):
			s.ours = true
		case e.IsDir && id:
			s.other = append(s.other, e.Name)
		case e.Name == kafkaBootstrap || e.IsDir && isKafkaDir(e.Name):
			s.kafka = append(s.kafka, e.Name)
		case strings.HasPrefix(e.Name, ".") || e.Name == "lost+found" || e.Name == metaName:
		case !isCheckpoint(e.Name) && e.Name != metadataDirName:
			s.other = append(s.other, e.Name)
		}
	}
	return s
}

// unmarked is the error of a directory without meta.properties, nil if it is as good as empty.
func (s signs) unmarked() error {
	switch {
	case s.ours:
		return fmt.Errorf("%w any more: %s is missing beside the data of a troupe node", ErrNotOurs, metaName)
	case len(s.kafka) > 0:
		return fmt.Errorf("%w: it holds the data of an Apache Kafka broker (%s), without %s", ErrNotOurs, named(s.kafka), metaName)
	case len(s.other) > 0:
		return fmt.Errorf("%w: it holds %s", ErrNotOurs, named(s.other))
	}
	return nil
}

// named lists some names.
func named(names []string) string {
	if len(names) > foreignNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:foreignNamed], ", "), len(names)-foreignNamed)
	}
	return strings.Join(names, ", ")
}

// metadataDirName is the directory of the metadata log, of Kafka's and of troupe's.
const metadataDirName = "__cluster_metadata-0"

// isKafkaDir reports whether Kafka would name the directory of a partition so: topic-partition, or that on its way out or in.
func isKafkaDir(name string) bool {
	if name == metadataDirName {
		return false
	}
	for _, suffix := range []string{"-delete", "-future", "-stray"} {
		if rest, ok := strings.CutSuffix(name, suffix); ok {
			name = rest[:max(strings.LastIndexByte(rest, '.'), 0)]
		}
	}
	dash := strings.LastIndexByte(name, '-')
	if dash <= 0 {
		return false
	}
	n, err := strconv.ParseUint(name[dash+1:], 10, 31)
	return err == nil && strconv.FormatUint(n, 10) == name[dash+1:]
}

// isCheckpoint reports whether the file is one that Kafka and troupe both keep in a log directory.
func isCheckpoint(name string) bool {
	return strings.HasSuffix(name, "-checkpoint") || strings.HasSuffix(name, "-checkpoint"+tempSuffix)
}

// zooKeeperEra reports whether meta.properties is of before KRaft.
func zooKeeperEra(files env.FS) bool {
	b, err := ReadFile(files, metaName)
	return err == nil && strings.Contains(string(b), "broker.id=") && strings.Contains(string(b), "version=0")
}
