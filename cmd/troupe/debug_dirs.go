package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/cluster/raft"
	"github.com/troupe-broker/troupe/partition/storage"
)

// dirRow is the directory of one partition.
type dirRow struct {
	Path      string `json:"path"`
	Topic     string `json:"topic" doc:"by the metadata log, else by partition.metadata; empty if neither says it"`
	Partition int32  `json:"partition" doc:"-1 for a directory of no partition"`
	ID        string `json:"topic_id"`
	State     string `json:"state" doc:"live, stray (metadata does not know the topic), deleted, foreign, or unknown if the metadata log is in none of the directories"`
	Bytes     int64  `json:"bytes" doc:"of all files"`
	Segments  int    `json:"segments"`
	Start     int64  `json:"log_start" doc:"by the log start checkpoint and the first segment; -1 without segments"`
	End       int64  `json:"log_end" doc:"behind the last whole batch in the files; the flush journal may hold more after a crash"`
}

type dirRows []dirRow

func (rows dirRows) table() [][]string {
	out := [][]string{{"TOPIC", "PARTITION", "STATE", "SIZE", "SEGMENTS", "LOG START", "LOG END", "DIRECTORY"}}
	for _, r := range rows {
		out = append(out, []string{orDash(r.Topic), decimal(r.Partition), r.State, humanize.IBytes(uint64(r.Bytes)), decimal(int64(r.Segments)), decimal(r.Start), decimal(r.End), r.Path})
	}
	return out
}

func (a *app) debugDirs() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dirs DIR...", Short: "List which topic each directory of log.dirs holds", Args: argCount(1, -1, "the directories of log.dirs"),
		Long: "List the directories of partitions in log directories: topic, partition, size, segments, offsets, and whether the metadata log knows them.\n" +
			"Reads files only, and changes none: for a broker that is stopped. Name all of log.dirs, for one of them holds the metadata log.",
		Example: "  troupe debug dirs /var/lib/troupe\n  troupe debug dirs /disk1 /disk2 -o json",
	}
	return prints(a, cmd, func(ctx context.Context, args []string) (dirRows, error) {
		topics, err := topicsOnDisk(args)
		if err != nil {
			return nil, err
		}
		var out dirRows
		for _, dir := range args {
			rows, err := listDir(dir, topics)
			if err != nil {
				return nil, err
			}
			if out = append(out, rows...); ctx.Err() != nil {
				return out, ctx.Err()
			}
		}
		slices.SortStableFunc(out, func(a, b dirRow) int {
			if byTopic := strings.Compare(a.Topic, b.Topic); byTopic != 0 {
				return byTopic
			}
			return int(a.Partition) - int(b.Partition)
		})
		return out, nil
	})
}

// topicsOnDisk are the topics by the metadata log in one of dirs, nil if it is in none.
func topicsOnDisk(dirs []string) (map[protocol.TopicID]string, error) {
	for _, dir := range dirs {
		metadata := filepath.Join(dir, cluster.MetadataDir)
		entries, err := os.ReadDir(metadata)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		topics := map[protocol.TopicID]string{}
		var from uint64
		for _, suffix := range []string{".checkpoint", ".log"} { // in the order of their names the newest comes last
			for _, e := range entries {
				if filepath.Ext(e.Name()) != suffix {
					continue
				}
				if from, err = replay(filepath.Join(metadata, e.Name()), topics, from); err != nil {
					return nil, err
				}
			}
		}
		return topics, nil
	}
	return nil, nil
}

// replay follows the topics through a snapshot or a segment of the metadata log, in which entries up to from say nothing new. It stops where
// a torn tail begins.
func replay(name string, topics map[protocol.TopicID]string, from uint64) (uint64, error) {
	if filepath.Ext(name) == ".checkpoint" {
		raw, err := os.ReadFile(name)
		if err != nil {
			return from, err
		}
		s, err := raft.DecodeSnapshot(raw)
		if err != nil {
			return from, nil // the one before, and the log, say the same
		}
		clear(topics)
		records, err := cluster.DecodeState(s.Data)
		follow(topics, records)
		return s.Index, err
	}
	s, err := openSegment(name)
	if err != nil {
		return from, err
	}
	defer s.close()
	var decoder record.Decoder
	for {
		b, _, err := s.next()
		if err != nil || b.Verify() != nil {
			return from, nil
		}
		err = raft.EachEntry(b, &decoder, func(e raft.Entry) {
			if e.Index > from && e.Normal && len(e.Data) > 0 {
				records, _ := cluster.DecodeProposal(e.Data) // log dump tells what cannot be read
				follow(topics, records)
			}
		})
		if err != nil {
			return from, fmt.Errorf("%s: %w", name, err)
		}
	}
}

func follow(topics map[protocol.TopicID]string, records []image.Record) {
	for _, r := range records {
		switch r := r.(type) {
		case *image.TopicCreated:
			topics[r.ID] = r.Name
		case *image.TopicDeleted:
			delete(topics, r.ID)
		}
	}
}

func listDir(dir string, topics map[protocol.TopicID]string) (out dirRows, err error) {
	files, err := osenv.New().LookFS(dir)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	starts := map[protocol.TopicPartition]int64{}
	saved, err := storage.ReadOffsets(files, storage.LogStartsName)
	if err != nil && !errors.Is(err, storage.ErrCorrupt) { // Kafka's has names for ids
		return nil, err
	}
	for _, s := range saved {
		starts[s.Partition] = s.Offset
	}
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir || e.Name == "lost+found" || e.Name == cluster.MetadataDir {
			continue
		}
		row, tp := identifyDir(files, e.Name, topics)
		row.Path = filepath.Join(dir, e.Name)
		if err := row.measure(starts[tp]); err != nil {
			return out, err
		}
		out = append(out, row)
	}
	return out, nil
}

// identifyDir says what a directory is by its name, what is written in it and the metadata.
func identifyDir(files env.FS, name string, topics map[protocol.TopicID]string) (dirRow, protocol.TopicPartition) {
	row := dirRow{Partition: -1, State: "foreign"}
	written, err := storage.ReadPartitionMetadata(files, name)
	if err == nil {
		row.Topic, row.ID = written.TopicName, written.Topic.String()
	}
	tp, ok := storage.ParseDirName(strings.TrimSuffix(name, "-delete"))
	if !ok {
		if dash := strings.LastIndexByte(name, '-'); err == nil && dash > 0 { // Kafka's way
			if n, err := strconv.ParseInt(name[dash+1:], 10, 32); err == nil {
				row.Topic, row.Partition = name[:dash], int32(n)
			}
		}
		return row, tp
	}
	row.ID, row.Partition = tp.Topic.String(), tp.Partition
	known, live := topics[tp.Topic]
	switch {
	case storage.IsDeletedDir(name):
		row.State = "deleted"
	case topics == nil:
		row.State = "unknown"
	case live:
		row.Topic, row.State = known, "live"
	default:
		row.State = "stray"
	}
	return row, tp
}

// measure reads sizes and offsets from the files. saved is the log start by the checkpoint.
func (r *dirRow) measure(saved int64) error {
	entries, err := os.ReadDir(r.Path)
	if err != nil {
		return err
	}
	r.Start, r.End = -1, -1
	last := ""
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !e.IsDir() {
			r.Bytes += info.Size()
		}
		if filepath.Ext(e.Name()) != ".log" {
			continue
		}
		if r.Segments++; r.Start < 0 {
			r.Start = max(baseOf(e.Name()), saved)
		}
		last = filepath.Join(r.Path, e.Name())
	}
	if last == "" {
		return nil
	}
	r.End = baseOf(last)
	s, err := openSegment(last)
	if err != nil {
		return err
	}
	defer s.close()
	for {
		b, _, err := s.next()
		if err != nil { // the end, or what is no batch
			return nil
		}
		r.End = b.NextOffset()
	}
}
