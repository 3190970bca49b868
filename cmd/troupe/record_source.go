package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

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
		lines := &lineCounter{in: bufio.NewReaderSize(in, 256<<10)}
		return &jsonSource{json.NewDecoder(lines), lines}, nil
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

// jsonSource reads JSON objects, on one line each or on several. Errors begin with the line.
type jsonSource struct {
	dec   *json.Decoder
	lines *lineCounter
}

func (s *jsonSource) next() (*kgo.Record, error) {
	var raw json.RawMessage
	if err := s.dec.Decode(&raw); err != nil {
		if err == io.EOF {
			return nil, err
		}
		return nil, fmt.Errorf("line %d: %w", s.lines.at(max(s.dec.InputOffset(), syntaxAt(err))), err)
	}
	line := s.lines.at(s.dec.InputOffset() - int64(len(raw)))
	r, err := decodeRecord(raw)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	return r, nil
}

// syntaxAt is the offset in the stream of what is no JSON.
func syntaxAt(err error) int64 {
	if syntax := new(json.SyntaxError); errors.As(err, &syntax) {
		return syntax.Offset - 1
	}
	return 0
}

// decodeRecord makes a record of one JSON object, of which every field is known and is there once.
func decodeRecord(raw json.RawMessage) (*kgo.Record, error) {
	if err := strictObject(raw, "a record", recordFields); err != nil {
		return nil, err
	}
	var j recordJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
			return nil, fmt.Errorf("the field %q cannot be a JSON %s", wrong.Field, wrong.Value)
		}
		return nil, err
	}
	return j.record()
}
