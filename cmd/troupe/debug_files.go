package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/partition/storage"
)

// indexDump is an entry of an .index (offset and position) or a .timeindex (timestamp and offset).
type indexDump struct {
	Offset    int64  `json:"offset"`
	Position  *int64 `json:"position,omitempty" doc:"of an index: of the batch that ends with the offset"`
	Timestamp *int64 `json:"timestamp,omitempty" doc:"of a timeindex: no record up to the offset is younger"`
}

type abortedDump struct {
	ProducerID  int64 `json:"producer_id"`
	FirstOffset int64 `json:"first_offset"`
	LastOffset  int64 `json:"last_offset" doc:"of the abort marker"`
	Stable      int64 `json:"last_stable_offset"`
}

type producerDump struct {
	ProducerID       int64 `json:"producer_id"`
	Epoch            int16 `json:"producer_epoch"`
	LastSequence     int32 `json:"last_sequence"`
	LastOffset       int64 `json:"last_offset"`
	OffsetDelta      int32 `json:"offset_delta"`
	Timestamp        int64 `json:"timestamp"`
	CoordinatorEpoch int32 `json:"coordinator_epoch"`
	TxnFirstOffset   int64 `json:"current_txn_first_offset" doc:"-1 for none"`
}

type positionDump struct {
	Partition string `json:"partition" doc:"topic id and partition"`
	Offset    int64  `json:"offset" doc:"everything below is durable"`
	Segment   int64  `json:"segment"`
	Bytes     int64  `json:"position"`
}

// baseOf is the offset in a file's name, 0 if there is none.
func baseOf(name string) int64 {
	base, _, _ := strings.Cut(filepath.Base(name), ".")
	n, _ := strconv.ParseInt(base, 10, 64)
	return n
}

// rows are the table of what the file holds.
func (d *dumped) rows() (out [][]string) {
	if len(d.Batches) > 0 {
		out = append(out, []string{"  POSITION", "OFFSETS", "RECORDS", "SIZE", "EPOCH", "CODEC", "TIME", "CRC", ""})
	}
	for _, b := range d.Batches {
		out = append(out, b.row())
		for _, r := range b.Content {
			raw, _ := marshal(r)
			out = append(out, []string{"    " + string(raw)})
		}
	}
	for _, e := range d.Entries {
		if e.Position != nil {
			out = append(out, []string{"  offset " + decimal(e.Offset), "position " + decimal(*e.Position)})
		} else {
			out = append(out, []string{"  " + stamp(*e.Timestamp), "offset " + decimal(e.Offset)})
		}
	}
	for _, t := range d.Aborted {
		out = append(out, []string{"  producer " + decimal(t.ProducerID), fmt.Sprintf("offsets %d-%d", t.FirstOffset, t.LastOffset), "stable " + decimal(t.Stable)})
	}
	for _, p := range d.Producers {
		out = append(out, []string{
			fmt.Sprintf("  producer %d/%d", p.ProducerID, p.Epoch), "last sequence " + decimal(p.LastSequence), "last offset " + decimal(p.LastOffset),
			stamp(p.Timestamp), "transaction from " + decimal(p.TxnFirstOffset),
		})
	}
	for _, p := range d.Positions {
		out = append(out, []string{"  " + p.Partition, "durable below " + decimal(p.Offset), fmt.Sprintf("segment %d", p.Segment), fmt.Sprintf("byte %d", p.Bytes)})
	}
	for _, m := range d.Metadata {
		for _, r := range m.Records {
			out = append(out, []string{fmt.Sprintf("  offset %d", m.Offset), r.Type, string(r.Record)})
		}
	}
	for _, l := range d.Lines {
		out = append(out, []string{"  " + l})
	}
	return out
}

// readIndex shows an .index or .timeindex and checks its order, and an .index against the log beside it. Kafka preallocates the
// index of the active segment: zeroes after the entries are no entries.
func (d *dumped) readIndex() error {
	raw, err := os.ReadFile(d.File)
	if err != nil {
		return err
	}
	base, width := baseOf(d.File), 8
	if d.Kind == "timeindex" {
		width = 12
	}
	for ; len(raw) >= width; raw = raw[width:] {
		e := indexDump{}
		if d.Kind == "index" {
			pos := int64(binary.BigEndian.Uint32(raw[4:]))
			e = indexDump{Offset: base + int64(binary.BigEndian.Uint32(raw)), Position: &pos}
		} else {
			ts := int64(binary.BigEndian.Uint64(raw))
			e = indexDump{Offset: base + int64(binary.BigEndian.Uint32(raw[8:])), Timestamp: &ts}
		}
		if n := len(d.Entries); n > 0 && !e.after(d.Entries[n-1]) {
			if slices.ContainsFunc(raw, func(b byte) bool { return b != 0 }) {
				d.problem("entry %d does not follow the one before it", n)
			}
			raw = nil
			break
		}
		d.Entries = append(d.Entries, e)
	}
	if len(raw) > 0 {
		d.problem("%d bytes at the end are no entry", len(raw))
	}
	d.Summary = fmt.Sprintf("%d entries", len(d.Entries))
	if d.Kind == "index" {
		return d.checkIndex()
	}
	return nil
}

// after reports whether e may follow f: both columns of an index increase. The first entry of a preallocated file may be zero.
func (e indexDump) after(f indexDump) bool {
	if e.Position != nil {
		return e.Offset > f.Offset && *e.Position > *f.Position
	}
	return *e.Timestamp > *f.Timestamp && e.Offset >= f.Offset
}

// checkIndex looks every entry up in the .log beside the index, if that is there.
func (d *dumped) checkIndex() error {
	s, err := openSegment(strings.TrimSuffix(d.File, ".index") + ".log")
	if err != nil {
		d.Summary += ", not checked: no log beside it"
		return nil
	}
	defer s.close()
	for _, e := range d.Entries {
		s.pos = *e.Position
		b, _, err := s.next()
		switch {
		case err != nil:
			d.problem("offset %d points at byte %d of the log: %v", e.Offset, *e.Position, err)
		case b.LastOffset() != e.Offset:
			d.problem("offset %d points at byte %d of the log, where a batch ends with offset %d", e.Offset, *e.Position, b.LastOffset())
		}
	}
	return nil
}

// readAborted shows a .txnindex: int16 version, then four int64 an entry.
func (d *dumped) readAborted() error {
	raw, err := os.ReadFile(d.File)
	if err != nil {
		return err
	}
	const width = 34
	for ; len(raw) >= width; raw = raw[width:] {
		if v := binary.BigEndian.Uint16(raw); v != 0 {
			d.problem("entry %d has version %d", len(d.Aborted), v)
		}
		field := func(i int) int64 { return int64(binary.BigEndian.Uint64(raw[2+8*i:])) }
		d.Aborted = append(d.Aborted, abortedDump{field(0), field(1), field(2), field(3)})
	}
	if len(raw) > 0 {
		d.problem("%d bytes at the end are no entry", len(raw))
	}
	d.Summary = count(len(d.Aborted), "aborted transaction")
	return nil
}

// snapshotSection begins what troupe adds behind the producers of a snapshot, and Kafka does not read.
const snapshotSection = "TRP1"

// readSnapshot shows producer state: int16 version, uint32 CRC-32C of what follows, int32 count, entries.
// Source: ProducerStateManager.readSnapshot.
func (d *dumped) readSnapshot() error {
	raw, err := os.ReadFile(d.File)
	if err != nil {
		return err
	}
	const head, width = 10, 46
	if len(raw) < head {
		d.problem("%d bytes are no snapshot", len(raw))
		return nil
	}
	if got, want := crc32.Checksum(raw[6:], crc32.MakeTable(crc32.Castagnoli)), binary.BigEndian.Uint32(raw[2:]); got != want {
		d.problem("CRC is %08x, the file says %08x", got, want)
	}
	n := int(binary.BigEndian.Uint32(raw[6:]))
	version := binary.BigEndian.Uint16(raw)
	for raw = raw[head:]; len(raw) >= width && len(d.Producers) < n; raw = raw[width:] {
		u32 := func(at int) int32 { return int32(binary.BigEndian.Uint32(raw[at:])) }
		u64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(raw[at:])) }
		d.Producers = append(d.Producers, producerDump{u64(0), int16(binary.BigEndian.Uint16(raw[8:])), u32(10), u64(14), u32(22), u64(26), u32(34), u64(38)})
	}
	ours := len(raw) >= len(snapshotSection) && string(raw[:len(snapshotSection)]) == snapshotSection
	if len(d.Producers) != n || len(raw) > 0 && !ours {
		d.problem("%d producers and %d bytes left, the file says %d producers", len(d.Producers), len(raw), n)
	}
	d.Summary = fmt.Sprintf("version %d, %s as of offset %d", version, count(n, "producer"), baseOf(d.File))
	return nil
}

func (d *dumped) readPositions() error {
	fsys, err := osenv.New().OpenFS(filepath.Dir(d.File))
	if err != nil {
		return err
	}
	defer fsys.Close()
	positions, err := storage.ReadPositions(fsys)
	if err != nil {
		d.problem("%v", err)
	}
	for _, p := range positions {
		d.Positions = append(d.Positions, positionDump{p.Partition.String(), p.Position.Offset, p.Position.Segment, p.Position.Bytes})
	}
	d.Summary = count(len(d.Positions), "partition")
	return nil
}

// readText shows a file that people can read themselves.
func (d *dumped) readText() error {
	raw, err := os.ReadFile(d.File)
	if err != nil {
		return err
	}
	d.Lines = strings.FieldsFunc(string(raw), func(r rune) bool { return r == '\n' })
	d.Summary = count(len(d.Lines), "line")
	return nil
}
