package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// writtenJSON says where one record of the input was written.
type writtenJSON struct {
	Record    int64  `json:"record" doc:"its number in the input, from 1"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp" doc:"milliseconds since 1970"`
}

// echo prints where records were written, as their acknowledgements come. It is safe for concurrent use.
type echo struct {
	mu   sync.Mutex
	out  *bufio.Writer
	line func(n int64, r *kgo.Record) ([]byte, error)
	err  error // of the first write that failed
}

// newEcho prints in a format: text, jsonl, or rpk's language for records. A nil echo prints nothing.
func newEcho(out io.Writer, format, acks string) (*echo, error) {
	e := &echo{out: bufio.NewWriter(out)}
	switch {
	case format == "":
		return nil, nil
	case acks == "none" || acks == "0":
		return nil, usage("--acks all or leader", "--echo wants acknowledgements: without them nobody knows the offsets")
	case format == "text":
		e.line = func(_ int64, r *kgo.Record) ([]byte, error) {
			return fmt.Appendf(nil, "%s partition %d offset %d\n", r.Topic, r.Partition, r.Offset), nil
		}
	case format == "json", format == "jsonl":
		e.line = func(n int64, r *kgo.Record) ([]byte, error) {
			raw, err := marshal(writtenJSON{n, r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli()})
			return append(raw, '\n'), err
		}
	case strings.Contains(format, "%"):
		layout, err := kgo.NewRecordFormatter(format)
		if err != nil {
			return nil, usage("--echo='%t %p %o %k\\n'", "bad format: %v", err)
		}
		e.line = func(_ int64, r *kgo.Record) ([]byte, error) { return layout.AppendRecord(nil, r), nil }
	default:
		return nil, usage("--echo, --echo=jsonl or --echo='%t %p %o\\n'", "no echo format %q", format)
	}
	return e, nil
}

// wrote prints that record n of the input was written as r.
func (e *echo) wrote(n int64, r *kgo.Record, flush bool) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	line, err := e.line(n, r)
	if err == nil {
		_, err = e.out.Write(line)
	}
	if err == nil && flush {
		err = e.out.Flush()
	}
	if e.err == nil {
		e.err = err
	}
}

// end writes what is left and returns the first error of all writes.
func (e *echo) end() error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.out.Flush(); e.err == nil {
		e.err = err
	}
	return e.err
}
