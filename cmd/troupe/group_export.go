package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// exportBytesMax bounds the file import reads: a million offsets and more.
const exportBytesMax = 256 << 20

// exportedRow is one committed offset in a file. The leader epoch is left out: it belongs to the cluster it was committed in, and a
// consumer elsewhere would take it for a sign that the log was cut.
type exportedRow struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset" doc:"of the next record to read"`
	Metadata  string `json:"metadata,omitempty" doc:"what the group committed with the offset; not in csv"`
}

type exportedRows []exportedRow

func (rows exportedRows) table() [][]string {
	out := [][]string{{"GROUP", "TOPIC", "PARTITION", "OFFSET", "METADATA"}}
	for _, r := range rows {
		out = append(out, []string{r.Group, r.Topic, decimal(r.Partition), decimal(r.Offset), r.Metadata})
	}
	return out
}

// writeOffsetsCSV writes the lines that kafka-consumer-groups --reset-offsets --from-file reads: group,topic,partition,offset.
func writeOffsetsCSV(w io.Writer, v tabled) error {
	out := csv.NewWriter(w)
	for _, r := range v.(exportedRows) {
		if err := out.Write([]string{r.Group, r.Topic, decimal(r.Partition), decimal(r.Offset)}); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (a *app) groupExport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export GROUP...", Short: "Write what groups have committed, for group import",
		Long: "Write what groups have committed to standard output, as JSON or, with -o csv, in the form that Kafka's own\n" +
			"kafka-consumer-groups --reset-offsets --from-file takes. 'troupe group import' reads both.",
		Example: "  troupe group export billing > billing.json\n  troupe group import billing.json",
		Args:    argCount(1, -1, "the name of at least one group"), ValidArgsFunction: a.completeGroups,
	}
	return printsAs(a, cmd, "json", outputWriters{"csv": writeOffsetsCSV}, func(ctx context.Context, names []string) (exportedRows, error) {
		return withClient(a, ctx, func(ctx context.Context, c *client) (exportedRows, error) { return exportGroups(ctx, c, names) })
	})
}

func exportGroups(ctx context.Context, c *client, names []string) (exportedRows, error) {
	rows := exportedRows{}
	var bad error
	for _, name := range names {
		committed, err := c.admin.FetchOffsets(ctx, name)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			bad = errors.Join(bad, noGroups(fmt.Errorf("group %q: %w", name, err)))
			continue
		}
		if len(committed) == 0 {
			if _, err := lookGroup(ctx, c, name); err != nil {
				bad = errors.Join(bad, err)
			}
			continue
		}
		var some exportedRows
		committed.Each(func(o kadm.OffsetResponse) {
			if o.Err != nil {
				bad = errors.Join(bad, fmt.Errorf("group %q, %s partition %d: %w", name, o.Topic, o.Partition, o.Err))
			} else if o.At >= 0 {
				some = append(some, exportedRow{Group: name, Topic: o.Topic, Partition: o.Partition, Offset: o.At, Metadata: o.Metadata})
			}
		})
		slices.SortFunc(some, func(x, y exportedRow) int { return comparePart(x.Topic, x.Partition, y.Topic, y.Partition) })
		rows = append(rows, some...)
	}
	return rows, bad
}

func (a *app) groupImport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Commit the offsets that group export wrote",
		Long: "Commit offsets from a file that 'troupe group export' wrote, or '-' for standard input: JSON, JSON lines or CSV, also the CSV of\n" +
			"kafka-consumer-groups --export. The groups must have no members; groups that do not exist are made.",
		Args: argCount(1, 1, "one file, or - for standard input"),
	}
	f := cmd.Flags()
	group := f.StringP("group", "g", "", "commit for this `GROUP` whatever the file says")
	dry := f.Bool("dry-run", false, "show what would be committed and commit nothing")
	_ = cmd.RegisterFlagCompletionFunc("group", a.completeGroups)
	return prints(a, cmd, func(ctx context.Context, args []string) (moveRows, error) {
		raw, err := a.readAll(args[0])
		if err != nil {
			return nil, err
		}
		offsets, err := parseExported(raw, *group)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (moveRows, error) { return a.importOffsets(ctx, c, offsets, *dry) })
	})
}

// readAll reads a file, or standard input for "-".
func (a *app) readAll(name string) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, exportBytesMax+1))
	if err == nil && len(raw) > exportBytesMax {
		err = &problem{what: name + " is too large for a file of offsets"}
	}
	return raw, err
}

// parseExported reads JSON, JSON lines or CSV. A group that is given overrules those of the file.
func parseExported(raw []byte, group string) (rows exportedRows, err error) {
	raw = bytes.TrimSpace(raw)
	switch {
	case bytes.HasPrefix(raw, []byte("[")):
		err = json.Unmarshal(raw, &rows)
	case bytes.HasPrefix(raw, []byte("{")):
		for dec := json.NewDecoder(bytes.NewReader(raw)); err == nil; {
			var r exportedRow
			if err = dec.Decode(&r); err == nil {
				rows = append(rows, r)
			}
		}
		if err == io.EOF {
			err = nil
		}
	default:
		rows, err = parseOffsetsCSV(raw)
	}
	if err != nil {
		return nil, usage("a file that 'troupe group export' wrote", "these are no exported offsets: %v", err)
	}
	for i := range rows {
		r := &rows[i]
		r.Group = cmp.Or(group, r.Group)
		switch {
		case r.Group == "":
			return nil, usage("--group GROUP", "row %d names no group", i+1)
		case r.Topic == "" || r.Partition < 0 || r.Offset < 0:
			return nil, usage("a file that 'troupe group export' wrote", "row %d is no committed offset", i+1)
		}
	}
	if len(rows) == 0 {
		return nil, usage("a file that 'troupe group export' wrote", "there are no offsets in it")
	}
	return rows, nil
}

// parseOffsetsCSV reads group,topic,partition,offset, or the same without the group.
func parseOffsetsCSV(raw []byte) (exportedRows, error) {
	in := csv.NewReader(bytes.NewReader(raw))
	in.FieldsPerRecord = -1
	lines, err := in.ReadAll()
	if err != nil {
		return nil, err
	}
	var rows exportedRows
	for i, line := range lines {
		var r exportedRow
		if len(line) == 4 {
			r.Group, line = line[0], line[1:]
		}
		if len(line) != 3 {
			return nil, fmt.Errorf("line %d is not group,topic,partition,offset", i+1)
		}
		partition, perr := strconv.ParseInt(strings.TrimSpace(line[1]), 10, 32)
		offset, oerr := strconv.ParseInt(strings.TrimSpace(line[2]), 10, 64)
		if err := errors.Join(perr, oerr); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		r.Topic, r.Partition, r.Offset = line[0], int32(partition), offset
		rows = append(rows, r)
	}
	return rows, nil
}

// importOffsets moves every group of the rows to the offsets they say; the first group that cannot be moved stops none of the others.
func (a *app) importOffsets(ctx context.Context, c *client, offsets exportedRows, dry bool) (moveRows, error) {
	byGroup, names := map[string]exportedRows{}, []string{}
	topics := kadm.TopicsSet{}
	for _, r := range offsets {
		if byGroup[r.Group] == nil {
			names = append(names, r.Group)
		}
		byGroup[r.Group] = append(byGroup[r.Group], r)
		topics.Add(r.Topic)
	}
	start, end, err := endsOf(ctx, c, topics.Topics())
	if err != nil {
		return nil, err
	}
	var out moveRows
	var bad error
	for _, name := range names {
		g, err := lookGroup(ctx, c, name)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			bad = errors.Join(bad, err)
			continue
		}
		g.Group = name
		committed, err := c.admin.FetchOffsets(ctx, name)
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			bad = errors.Join(bad, noGroups(fmt.Errorf("group %q: %w", name, err)))
			continue
		}
		var rows moveRows
		for _, r := range byGroup[name] {
			row := rowAt(name, r.Topic, r.Partition, committed, start, end)
			row.metadata, row.DryRun = r.Metadata, dry
			if row.Error == "" {
				row.to(r.Offset)
			}
			rows = append(rows, row)
		}
		moved, err := a.moveGroup(ctx, c, g, rows, dry)
		out, bad = append(out, moved...), errors.Join(bad, err)
	}
	return out, bad
}
