package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// inputLineMax is the longest line produce takes; a longer one is refused, not cut.
const inputLineMax = 256 << 20 // bytes

// recordSource reads records from the input of produce until io.EOF. A record names partition -1 unless the input says otherwise.
type recordSource interface {
	next() (*kgo.Record, error)
}

func newSource(in io.Reader, p *produceFlags) (recordSource, error) {
	switch {
	case p.json && p.format != "":
		return nil, usage("one of -J and -f", "-J and -f both say how to read records")
	case p.json:
		dec := json.NewDecoder(bufio.NewReaderSize(in, 256<<10))
		dec.DisallowUnknownFields()
		return &jsonSource{dec}, nil
	case p.format != "":
		r, err := kgo.NewRecordReader(in, p.format)
		if err != nil {
			return nil, usage("-f '%k:%v\\n' reads key and value, parted by a colon", "bad format: %v", err)
		}
		return formatSource{r}, nil
	}
	return &lineSource{in: bufio.NewReaderSize(in, 256<<10)}, nil
}

// lineSource makes every line the value of a record; the last one need not end in a newline.
type lineSource struct{ in *bufio.Reader }

func (s *lineSource) next() (*kgo.Record, error) {
	var line []byte
	for {
		part, err := s.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if len(line) > inputLineMax {
				return nil, fmt.Errorf("longer than %d bytes without a newline", inputLineMax)
			}
			continue
		case err == io.EOF && len(line) > 0:
			return &kgo.Record{Value: line, Partition: -1}, nil
		case err != nil:
			return nil, err
		}
		return &kgo.Record{Value: line[:len(line)-1], Partition: -1}, nil
	}
}

type formatSource struct{ in *kgo.RecordReader }

func (s formatSource) next() (*kgo.Record, error) {
	r := &kgo.Record{Partition: -1}
	if err := s.in.ReadRecordInto(r); err != nil {
		return nil, err
	}
	return r, nil
}

type jsonSource struct{ dec *json.Decoder }

func (s *jsonSource) next() (*kgo.Record, error) {
	var j recordJSON
	if err := s.dec.Decode(&j); err != nil {
		return nil, unknownField(err)
	}
	return j.record()
}

// unknownField names the field that a misspelt one is like.
func unknownField(err error) error {
	name, ok := strings.CutPrefix(err.Error(), "json: unknown field ")
	if !ok {
		return err
	}
	name = strings.Trim(name, `"`)
	fields := recordFields()
	if near := nearest(name, fields); near != "" {
		return fmt.Errorf("unknown field %q; did you mean %q?", name, near)
	}
	return fmt.Errorf("unknown field %q; there are %s", name, strings.Join(fields, ", "))
}

// recordFields are the names of recordJSON's fields.
func recordFields() (out []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[recordJSON]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}
