package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordPrinter writes records to standard output.
type recordPrinter interface {
	print(*kgo.Record) error
	flush() error // after every batch: a person is watching
	end() error   // after the last record
}

func newRecordPrinter(out io.Writer, f *consumeFlags) (recordPrinter, error) {
	w := &buffered{bufio.NewWriterSize(out, 64<<10)}
	if f.format != "" {
		layout, err := kgo.NewRecordFormatter(f.format)
		if err != nil {
			return nil, usage("-f '%t %p %o %k %v\\n'", "bad format: %v", err)
		}
		return &formatPrinter{w, layout, nil}, nil
	}
	switch f.output {
	case "", "value":
		return valuePrinter{w}, nil
	case "json", "jsonl":
		return jsonPrinter{w}, nil
	case "yaml":
		return yamlPrinter{w}, nil
	case "table":
		return &tablePrinter{buffered: w}, nil
	}
	return nil, usage("--output value|table|json|jsonl|yaml|help", "no output format %q", f.output)
}

type buffered struct{ *bufio.Writer }

func (b *buffered) flush() error { return b.Flush() }
func (b *buffered) end() error   { return b.Flush() }

// valuePrinter prints the value and a newline.
type valuePrinter struct{ *buffered }

func (p valuePrinter) print(r *kgo.Record) error {
	if r.Attrs.IsControl() {
		p.WriteString(controlOf(r).String())
		return p.WriteByte('\n')
	}
	p.Write(r.Value)
	return p.WriteByte('\n')
}

// formatPrinter prints in the language of kgo.NewRecordFormatter, which is rpk's.
type formatPrinter struct {
	*buffered
	layout *kgo.RecordFormatter
	line   []byte
}

func (p *formatPrinter) print(r *kgo.Record) error {
	p.line = p.layout.AppendRecord(p.line[:0], r)
	_, err := p.Write(p.line)
	return err
}

// jsonPrinter prints one object a line.
type jsonPrinter struct{ *buffered }

func (p jsonPrinter) print(r *kgo.Record) error {
	raw, err := marshal(recordOf(r))
	if err != nil {
		return err
	}
	p.Write(raw)
	return p.WriteByte('\n')
}

// yamlPrinter prints one document a record.
type yamlPrinter struct{ *buffered }

func (p yamlPrinter) print(r *kgo.Record) error {
	p.WriteString("---\n")
	return writeYAML(p.buffered, recordOf(r))
}

func (j recordJSON) table() [][]string { return nil } // records stream; tablePrinter has their table

// tablePrinter prints columns of fixed width, because it cannot wait for all records.
type tablePrinter struct {
	*buffered
	headed bool
}

const tableRow = "%-24s %5s %10s  %-20s %s\n"

func (p *tablePrinter) print(r *kgo.Record) error {
	if !p.headed {
		p.headed = true
		fmt.Fprintf(p, tableRow, "TIME", "PART", "OFFSET", "KEY", "VALUE")
	}
	key, value := cell(r.Key), cell(r.Value)
	if r.Attrs.IsControl() {
		key, value = "(control)", controlOf(r).String()
	}
	_, err := fmt.Fprintf(p, tableRow, r.Timestamp.UTC().Format(time.RFC3339), decimal(r.Partition), decimal(r.Offset), key, value)
	return err
}

// cell shows bytes on one line.
func cell(b []byte) string {
	switch {
	case b == nil:
		return "-"
	case !utf8.Valid(b):
		return fmt.Sprintf("%x", b)
	}
	return strings.NewReplacer("\n", "\\n", "\r", "\\r", "\t", "\\t").Replace(string(b))
}
