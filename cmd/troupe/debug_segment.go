package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/record"
)

// batchDump is one batch of a segment.
type batchDump struct {
	Position    int64        `json:"position" doc:"of its first byte in the file"`
	Size        int          `json:"size" doc:"bytes"`
	BaseOffset  int64        `json:"base_offset"`
	LastOffset  int64        `json:"last_offset"`
	Records     int32        `json:"records"`
	LeaderEpoch int32        `json:"leader_epoch"`
	Codec       string       `json:"codec"`
	Timestamp   int64        `json:"max_timestamp" doc:"milliseconds since 1970"`
	AppendTime  bool         `json:"log_append_time,omitempty" doc:"the broker made the timestamp"`
	ProducerID  int64        `json:"producer_id" doc:"-1 for none"`
	Epoch       int16        `json:"producer_epoch"`
	Sequence    int32        `json:"base_sequence"`
	Txn         bool         `json:"transactional,omitempty"`
	Control     string       `json:"control,omitempty" doc:"commit, abort or other"`
	CRC         string       `json:"crc"`
	Content     []recordJSON `json:"content,omitempty" doc:"the records, with --records"`
}

func batchOf(b record.Batch, pos int64) batchDump {
	d := batchDump{
		Position: pos, Size: b.Length(), BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Records: b.NumRecords(), LeaderEpoch: b.LeaderEpoch(),
		Codec: b.Codec().String(), Timestamp: b.MaxTimestamp(), AppendTime: b.IsLogAppendTime(), ProducerID: b.ProducerID(), Epoch: b.ProducerEpoch(),
		Sequence: b.BaseSequence(), Txn: b.IsTransactional(), CRC: fmt.Sprintf("%08x", b.CRC()),
	}
	if b.IsControl() {
		d.Control = "other"
		if commit, _, ok := b.Marker(); ok {
			d.Control = map[bool]string{true: "commit", false: "abort"}[commit]
		}
	}
	return d
}

func (b batchDump) row() []string {
	var marks []string
	if b.ProducerID >= 0 {
		marks = append(marks, fmt.Sprintf("producer %d/%d seq %d", b.ProducerID, b.Epoch, b.Sequence))
	}
	if b.Txn {
		marks = append(marks, "txn")
	}
	if b.Control != "" {
		marks = append(marks, b.Control)
	}
	if b.AppendTime {
		marks = append(marks, "append-time")
	}
	return []string{
		"  " + decimal(b.Position), fmt.Sprintf("%d-%d", b.BaseOffset, b.LastOffset), decimal(b.Records), decimal(b.Size), decimal(b.LeaderEpoch), b.Codec,
		stamp(b.Timestamp), b.CRC, strings.Join(marks, ", "),
	}
}

func stamp(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// segmentReader walks the batches of a .log file. It keeps one batch in memory.
type segmentReader struct {
	file *os.File
	size int64
	pos  int64
	buf  []byte
}

func openSegment(name string) (*segmentReader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &segmentReader{file: f, size: info.Size()}, nil
}

func (s *segmentReader) close() { s.file.Close() }

// errTorn is a tail that is not a whole batch.
var errTorn = errors.New("torn tail")

// next returns the batch at the position, valid until the next call, and where it begins; io.EOF at the end, errTorn at a tail that
// is cut off, another error if the bytes are no batch.
func (s *segmentReader) next() (record.Batch, int64, error) {
	pos, left := s.pos, s.size-s.pos
	if left <= 0 {
		return nil, pos, io.EOF
	}
	if left < record.HeaderSize {
		return nil, pos, errTorn
	}
	if cap(s.buf) < record.HeaderSize {
		s.buf = make([]byte, 64<<10)
	}
	head := s.buf[:record.HeaderSize]
	if _, err := s.file.ReadAt(head, pos); err != nil {
		return nil, pos, err
	}
	size, err := record.Peek(head)
	if err != nil && !errors.Is(err, record.ErrShort) {
		return nil, pos, err
	}
	if int64(size) > left {
		return nil, pos, errTorn
	}
	if cap(s.buf) < size {
		s.buf = make([]byte, size)
	}
	s.buf = s.buf[:cap(s.buf)]
	if _, err := s.file.ReadAt(s.buf[:size], pos); err != nil {
		return nil, pos, err
	}
	s.pos += int64(size)
	return record.Batch(s.buf[:size]), pos, nil
}

// readLog shows a segment and checks it from front to back.
func (d *dumped) readLog(o dumpOptions) error {
	s, err := openSegment(d.File)
	if err != nil {
		return err
	}
	defer s.close()
	check := segmentCheck{next: baseOf(d.File), epoch: -1}
	var decoder record.Decoder
	var records int64
	for {
		b, pos, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			d.problem("at byte %d: %v, %d bytes left", pos, err, s.size-pos)
			break
		}
		check.batch(d, b, pos, &decoder)
		records += int64(b.NumRecords())
		if isMetadata(d.File) {
			d.metadataOf(b, &decoder)
		}
		if o.brief {
			continue
		}
		shown := batchOf(b, pos)
		if o.records {
			shown.Content = recordsOf(b, &decoder)
		}
		d.Batches = append(d.Batches, shown)
	}
	d.Summary = fmt.Sprintf("%s in %d batches", count(int(records), "record"), check.batches)
	if check.batches > 0 {
		d.Summary += fmt.Sprintf(", offsets %d to %d", check.first, check.next-1)
	}
	return nil
}

// segmentCheck is what a segment promises from batch to batch.
type segmentCheck struct {
	batches     int
	first, next int64 // offsets: the first, and the least the next batch may begin with
	epoch       int32
}

func (c *segmentCheck) batch(d *dumped, b record.Batch, pos int64, decoder *record.Decoder) {
	if c.batches == 0 {
		c.first = b.BaseOffset()
	}
	c.batches++
	if err := b.Verify(); err != nil {
		d.problem("batch at byte %d: %v", pos, err)
	} else if err := readable(b, decoder); err != nil {
		d.problem("records of the batch at byte %d: %v", pos, err)
	}
	if b.BaseOffset() < c.next {
		d.problem("batch at byte %d: offsets go back from %d to %d", pos, c.next, b.BaseOffset())
	}
	if b.LeaderEpoch() < c.epoch {
		d.problem("batch at byte %d: the leader epoch goes back from %d to %d", pos, c.epoch, b.LeaderEpoch())
	}
	c.next, c.epoch = b.NextOffset(), max(c.epoch, b.LeaderEpoch())
}

// readable walks the records of a batch: as many as it says, within its offsets.
func readable(b record.Batch, decoder *record.Decoder) error {
	if b.IsControl() {
		return nil
	}
	var n int32
	err := b.Each(decoder, func(r record.Record) error {
		if n++; r.Offset < b.BaseOffset() || r.Offset > b.LastOffset() {
			return fmt.Errorf("a record claims offset %d", r.Offset)
		}
		return nil
	})
	if err == nil && n != b.NumRecords() {
		err = fmt.Errorf("%d records instead of %d", n, b.NumRecords())
	}
	return err
}

func recordsOf(b record.Batch, decoder *record.Decoder) []recordJSON {
	var out []recordJSON
	// What cannot be read is reported by readable.
	_ = b.Each(decoder, func(r record.Record) error {
		offset, ts := r.Offset, r.Timestamp
		j := recordJSON{Offset: &offset, Timestamp: &ts}
		j.Key, j.KeyBase64 = textOrBase64(r.Key)
		j.Value, j.ValueBase64 = textOrBase64(r.Value)
		for _, h := range r.Headers {
			j.Headers = append(j.Headers, headerOf(h.Key, h.Value))
		}
		out = append(out, j)
		return nil
	})
	return out
}
