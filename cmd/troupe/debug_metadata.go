package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/cluster/raft"
)

// metadataDump is one entry of the metadata log: the records of one atomic change.
type metadataDump struct {
	Offset  int64               `json:"offset" doc:"in the metadata log, the index in raft"`
	Term    uint64              `json:"term"`
	Records []metadataRecordDoc `json:"records" doc:"none: a leader begins its term, or the membership changes"`
}

// metadataRecordDoc is a metadata record under its name in cluster/image.
type metadataRecordDoc struct {
	Type   string          `json:"type"`
	Record json.RawMessage `json:"record" doc:"its fields by name; keys of users are hidden"`
}

func isMetadata(file string) bool { return filepath.Base(filepath.Dir(file)) == cluster.MetadataDir }

// metadataOf are the changes in a batch of the metadata log, by its own decoder. What cannot be read is a problem of the file.
func (d *dumped) metadataOf(b record.Batch, decoder *record.Decoder) {
	err := raft.EachEntry(b, decoder, func(e raft.Entry) {
		shown := metadataDump{Offset: int64(e.Index), Term: e.Term, Records: []metadataRecordDoc{}}
		if e.Normal && len(e.Data) > 0 {
			records, err := cluster.DecodeProposal(e.Data)
			if err != nil {
				d.problem("metadata at offset %d: %v", e.Index, err)
			}
			shown.Records = metadataRecords(records)
		}
		d.Metadata = append(d.Metadata, shown)
	})
	if err != nil {
		d.problem("metadata from offset %d on: %v", b.BaseOffset(), err)
	}
}

// readState shows a snapshot of the metadata.
func (d *dumped) readState() error {
	raw, err := os.ReadFile(d.File)
	if err != nil {
		return err
	}
	s, err := raft.DecodeSnapshot(raw)
	if err != nil {
		d.problem("%v", err)
		return nil
	}
	records, err := cluster.DecodeState(s.Data)
	if err != nil {
		d.problem("%v", err)
	}
	d.Metadata = []metadataDump{{int64(s.Index), s.Term, metadataRecords(records)}}
	d.Summary = fmt.Sprintf("%s, all up to offset %d", count(len(records), "record"), s.Index)
	return nil
}

func metadataRecords(records []image.Record) []metadataRecordDoc {
	out := make([]metadataRecordDoc, 0, len(records))
	for _, r := range records {
		v := reflect.Indirect(reflect.ValueOf(r))
		fields, _ := marshal(plainValue(v))
		out = append(out, metadataRecordDoc{v.Type().Name(), fields})
	}
	return out
}

// plainValue makes of a record what JSON shows well: ids as Kafka writes them, names in our JSON's style, secrets hidden.
func plainValue(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case protocol.Secret:
		return x
	case [16]byte:
		return base64.RawURLEncoding.EncodeToString(x[:])
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			out[jsonName(v.Type().Field(i).Name)] = plainValue(v.Field(i))
		}
		return out
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plainValue(v.Index(i))
		}
		return out
	}
	return v.Interface()
}

// jsonName turns LastKnownELR into last_known_elr.
func jsonName(field string) string {
	var out strings.Builder
	letters := []rune(field)
	for i, c := range letters {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(c))
	}
	return out.String()
}
