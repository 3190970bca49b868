package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

func (a *app) debug() *cobra.Command {
	return noun("debug", "Look into a broker's files", noun("log", "Look into logs", a.logDump()), a.debugDirs())
}

// dumped is what is in one file of a log directory.
type dumped struct {
	File     string   `json:"file"`
	Kind     string   `json:"kind" doc:"log, index, timeindex, txnindex, snapshot, metadata (a snapshot of it), checkpoint, positions or properties"`
	Bytes    int64    `json:"bytes"`
	Summary  string   `json:"summary"`
	Problems []string `json:"problems,omitempty" doc:"what does not hold together"`

	Batches   []batchDump    `json:"batches,omitempty" doc:"of a log"`
	Entries   []indexDump    `json:"entries,omitempty" doc:"of an index or timeindex"`
	Aborted   []abortedDump  `json:"aborted,omitempty" doc:"of a txnindex"`
	Producers []producerDump `json:"producers,omitempty" doc:"of a snapshot"`
	Positions []positionDump `json:"positions,omitempty" doc:"of the positions checkpoint"`
	Metadata  []metadataDump `json:"metadata,omitempty" doc:"of the metadata log or a snapshot of it"`
	Lines     []string       `json:"lines,omitempty" doc:"of a text file"`
}

type dumps []dumped

func (all dumps) table() (out [][]string) {
	for i, d := range all {
		rows := d.rows()
		if i > 0 && len(rows) > 0 {
			out = append(out, nil)
		}
		out = append(out, []string{fmt.Sprintf("%s  %s, %s: %s", d.File, d.Kind, humanize.IBytes(uint64(d.Bytes)), d.Summary)})
		for _, p := range d.Problems {
			out = append(out, []string{"  PROBLEM " + p})
		}
		out = append(out, rows...)
	}
	return out
}

func (d *dumped) problem(format string, args ...any) {
	d.Problems = append(d.Problems, fmt.Sprintf(format, args...))
}

// dumpOptions say how much of a file to show.
type dumpOptions struct{ records, brief bool }

func (a *app) logDump() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dump FILE|DIR...", Short: "Show and check segments, indexes, checkpoints and snapshots", Args: argCount(1, -1, "a file or directory"),
		Long: "Show what is in files of a log directory, troupe's or Kafka's, and check it: the CRC of every batch, that its records can be read,\n" +
			"that offsets and leader epochs never go back, that every index entry points at the batch it names. Of the metadata log (in\n" +
			"__cluster_metadata-0) and its snapshots the records are shown by name and field.\n\n" +
			"A broker that is writing may show a torn tail; that is not damage. The exit code is 4 if something does not hold together.",
	}
	var o dumpOptions
	cmd.Flags().BoolVar(&o.records, "records", false, "show the records of every batch")
	cmd.Flags().BoolVar(&o.brief, "brief", false, "show only a line for every file, and problems")
	return prints(a, cmd, func(ctx context.Context, args []string) (dumps, error) {
		var files []string
		for _, arg := range args {
			found, err := filesUnder(arg)
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
		}
		var out dumps
		bad := 0
		for _, name := range files {
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			d, err := dumpFile(name, o)
			if err != nil {
				return out, err
			}
			if len(d.Problems) > 0 {
				bad++
			}
			out = append(out, d)
		}
		if bad > 0 {
			return out, &problem{what: fmt.Sprintf("%d of %s with problems", bad, count(len(out), "file")), exit: exitUnhealthy}
		}
		return out, nil
	})
}

// filesUnder is the file itself, or every file below a directory that a broker writes, in order.
func filesUnder(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if kindOf(name) == "" {
			return nil, usage("a .log, .index, .timeindex, .txnindex or .snapshot file, a checkpoint, or a directory of them", "%s is no file of a log", name)
		}
		return []string{name}, nil
	}
	var out []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // retention is faster than we are
		}
		if err == nil && !d.IsDir() && kindOf(path) != "" {
			out = append(out, path)
		}
		return err
	})
	if err == nil && len(out) == 0 {
		err = &problem{what: "nothing to show: no files of a log under " + name, exit: exitNotFound}
	}
	slices.Sort(out)
	return out, err
}

// kindOf tells by its name what a file is; empty if it is none of ours.
func kindOf(name string) string {
	base := filepath.Base(name)
	switch ext := filepath.Ext(base); ext {
	case ".log", ".index", ".timeindex", ".txnindex", ".snapshot":
		return ext[1:]
	}
	switch {
	case base == "meta.properties" || base == "partition.metadata":
		return "properties"
	case filepath.Ext(base) == ".checkpoint" && isMetadata(name):
		return "metadata"
	case base == "positions-checkpoint":
		return "positions"
	case strings.HasSuffix(base, "-checkpoint") || base == ".kafka_cleanshutdown" || base == "lowered-position":
		return "checkpoint"
	}
	return ""
}

func dumpFile(name string, o dumpOptions) (dumped, error) {
	info, err := os.Stat(name)
	if err != nil {
		return dumped{}, err
	}
	d := dumped{File: name, Kind: kindOf(name), Bytes: info.Size()}
	switch d.Kind {
	case "log":
		err = d.readLog(o)
	case "index", "timeindex":
		err = d.readIndex()
	case "txnindex":
		err = d.readAborted()
	case "snapshot":
		err = d.readSnapshot()
	case "positions":
		err = d.readPositions()
	case "metadata":
		err = d.readState()
	default:
		err = d.readText()
	}
	if o.brief {
		d.Batches, d.Entries, d.Aborted, d.Producers, d.Positions, d.Metadata, d.Lines = nil, nil, nil, nil, nil, nil, nil
	}
	return d, err
}
