package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordJSON is one record as consume -J prints and produce -J reads it. Nothing is lost between the two: bytes that are not UTF-8
// travel as base64 in the field of that name, null and empty stay apart.
type recordJSON struct {
	Topic       string          `json:"topic,omitempty"`
	Partition   *int32          `json:"partition,omitempty"`
	Offset      *int64          `json:"offset,omitempty" doc:"ignored by produce"`
	Timestamp   *int64          `json:"timestamp,omitempty" doc:"milliseconds since 1970"`
	Key         json.RawMessage `json:"key,omitempty" doc:"text or null; produce also takes any JSON"`
	KeyBase64   *string         `json:"key_base64,omitempty" doc:"instead of key, if that is not UTF-8"`
	Value       json.RawMessage `json:"value,omitempty" doc:"text or null (a tombstone); produce also takes any JSON"`
	ValueBase64 *string         `json:"value_base64,omitempty" doc:"instead of value, if that is not UTF-8"`
	Headers     []headerJSON    `json:"headers,omitempty" doc:"in order; a name may repeat"`
	Control     *controlJSON    `json:"control,omitempty" doc:"instead of key and value, of a control record (consume --control)"`
}

type headerJSON struct {
	Key         string          `json:"key"`
	KeyBase64   *string         `json:"key_base64,omitempty"`
	Value       json.RawMessage `json:"value,omitempty"`
	ValueBase64 *string         `json:"value_base64,omitempty"`
}

// recordOf makes the JSON form of r. It shares no memory with r.
func recordOf(r *kgo.Record) recordJSON {
	ts := r.Timestamp.UnixMilli()
	j := recordJSON{Topic: r.Topic, Partition: &r.Partition, Offset: &r.Offset, Timestamp: &ts}
	if r.Attrs.IsControl() {
		j.Control = controlOf(r)
		return j
	}
	j.Key, j.KeyBase64 = textOrBase64(r.Key)
	j.Value, j.ValueBase64 = textOrBase64(r.Value)
	for _, h := range r.Headers {
		j.Headers = append(j.Headers, headerOf(h.Key, h.Value))
	}
	return j
}

func headerOf(key string, value []byte) headerJSON {
	out := headerJSON{Key: key}
	if !utf8.ValidString(key) {
		encoded := base64.StdEncoding.EncodeToString([]byte(key))
		out.Key, out.KeyBase64 = "", &encoded
	}
	out.Value, out.ValueBase64 = textOrBase64(value)
	return out
}

func textOrBase64(b []byte) (json.RawMessage, *string) {
	if b == nil {
		return json.RawMessage("null"), nil
	}
	if !utf8.Valid(b) {
		encoded := base64.StdEncoding.EncodeToString(b)
		return nil, &encoded
	}
	text, _ := marshal(string(b))
	return text, nil
}

// record makes the record that j stands for. A JSON value that is not text is its own compact JSON. There must be a value: a tombstone is
// a null that somebody wrote, not a field that is missing or misspelt.
func (j recordJSON) record() (*kgo.Record, error) {
	if j.Control != nil {
		return nil, errors.New("a control record: brokers write those; leave out consume --control")
	}
	r := &kgo.Record{Topic: j.Topic, Partition: -1}
	var err error
	if j.Value == nil && j.ValueBase64 == nil {
		return nil, errors.New(`there is no value; a tombstone is "value":null`)
	}
	if r.Key, err = bytesOf("key", j.Key, j.KeyBase64); err != nil {
		return nil, err
	}
	if r.Value, err = bytesOf("value", j.Value, j.ValueBase64); err != nil {
		return nil, err
	}
	for _, h := range j.Headers {
		header := kgo.RecordHeader{Key: h.Key}
		if h.KeyBase64 != nil {
			key, err := bytesOf("key of a header", nil, h.KeyBase64)
			if err != nil {
				return nil, err
			}
			header.Key = string(key)
		}
		if h.Value == nil && h.ValueBase64 == nil {
			return nil, fmt.Errorf(`the header %q has no value; one without a value is "value":null`, h.Key)
		}
		if header.Value, err = bytesOf("value of a header", h.Value, h.ValueBase64); err != nil {
			return nil, err
		}
		r.Headers = append(r.Headers, header)
	}
	if j.Partition != nil {
		r.Partition = *j.Partition
	}
	if j.Timestamp != nil {
		r.Timestamp = time.UnixMilli(*j.Timestamp)
	}
	return r, nil
}

func bytesOf(what string, raw json.RawMessage, encoded *string) ([]byte, error) {
	if encoded != nil {
		if raw != nil {
			return nil, fmt.Errorf("the %s is there twice: as it is, and in base64", what)
		}
		b, err := base64.StdEncoding.DecodeString(*encoded)
		if err != nil {
			return nil, fmt.Errorf("the %s is not base64: %w", what, err)
		}
		return append([]byte{}, b...), nil
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return []byte(s), err
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, raw)
	return compact.Bytes(), err
}
