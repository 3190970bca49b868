package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// tabled is what a command prints: a value whose JSON form is the data and whose table is a view of it for people.
type tabled interface {
	// table is rows of cells, the first of them the heading. An empty row is a blank line; a row of one cell is a line of its own.
	table() [][]string
}

// marked is a table in which words are marked by a colour.
type marked interface{ marks() []string }

const outputFormats = "table|json|jsonl|yaml|help"

// prints makes cmd print what run returns, in the format of -o. A value that comes with an error is printed too: what was done
// before something failed is data. `-o help` prints the shape of T and does not run.
func prints[T tabled](a *app, cmd *cobra.Command, run func(ctx context.Context, args []string) (T, error)) *cobra.Command {
	return printsAs(a, cmd, "table", nil, run)
}

// printsAs is prints with a format used without -o, and with formats of the command's own.
func printsAs[T tabled](a *app, cmd *cobra.Command, format string, more outputWriters, run func(ctx context.Context, args []string) (T, error)) *cobra.Command {
	cmd.Flags().StringVarP(&format, "output", "o", format, more.names())
	completeWords(cmd, "output", strings.Split(more.names(), "|")...)
	noteShape[T](cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if format == "help" {
			_, err := io.WriteString(a.out, shapeOf(reflect.TypeFor[T]()))
			return err
		}
		write, err := more.writerFor(format)
		if err != nil {
			return err
		}
		v, err := run(cmd.Context(), args)
		if !reflect.ValueOf(&v).Elem().IsZero() {
			if werr := write(a.out, v); err == nil {
				err = werr
			}
		}
		return err
	}
	return cmd
}

// annotationShape marks the commands whose output has a shape; value is the Go type, for the test that walks the tree.
const annotationShape = "shape"

func noteShape[T any](cmd *cobra.Command) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[annotationShape] = reflect.TypeFor[T]().String()
}

// outputWriters are formats that only some commands have.
type outputWriters map[string]func(io.Writer, tabled) error

func (more outputWriters) names() string {
	return strings.Join(append(slices.Sorted(maps.Keys(more)), outputFormats), "|")
}

func (more outputWriters) writerFor(format string) (func(io.Writer, tabled) error, error) {
	if write, ok := more[format]; ok {
		return write, nil
	}
	switch format {
	case "table":
		return writeTable, nil
	case "json":
		return writeJSON, nil
	case "jsonl":
		return writeJSONLines, nil
	case "yaml":
		return writeYAML, nil
	}
	return nil, usage("-o "+more.names(), "no output format %q", format)
}

// marshal is JSON for people: no escapes of <, > and &, but of all that a terminal obeys.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return obeyedByTerminals.ReplaceAllFunc(bytes.TrimSuffix(b.Bytes(), []byte("\n")), jsonEscape), err
}

func writeJSON(w io.Writer, v tabled) error {
	raw, err := marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// writeJSONLines prints a list as one object a line, anything else as one line.
func writeJSONLines(w io.Writer, v tabled) error {
	items := []any{v}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice {
		items = items[:0]
		for i := range list.Len() {
			items = append(items, list.Index(i).Interface())
		}
	}
	for _, item := range items {
		raw, err := marshal(item)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(raw, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// writeYAML goes through the JSON form, so that both have the same names in the same order.
func writeYAML(w io.Writer, v tabled) error {
	raw, err := marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return err
	}
	blockStyle(&doc)
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// blockStyle takes off the braces and quotes that JSON needs and YAML does not; text that looks like a number keeps its quotes.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		blockStyle(child)
	}
}

// writeTable aligns columns within each section; sections are separated by empty rows.
func writeTable(w io.Writer, v tabled) error {
	var b bytes.Buffer
	rows := v.table()
	for len(rows) > 0 {
		end := slices.IndexFunc(rows, func(row []string) bool { return len(row) == 0 })
		if end < 0 {
			end = len(rows)
		}
		writeSection(&b, rows[:end])
		if end == len(rows) {
			break
		}
		b.WriteByte('\n')
		rows = rows[end+1:]
	}
	text := b.String()
	if m, ok := v.(marked); ok {
		text = highlight(text, m.marks())
	}
	_, err := io.WriteString(w, text)
	return err
}

func writeSection(b *bytes.Buffer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i] = visible(row[i])
			cell := row[i]
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if len(row) > 1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
}
