package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

const (
	// DefaultJournalSize is the size of one of the two files of a journal, in bytes. The larger it is, the less often segments are synced,
	// and the longer that then gets in the way of frames.
	DefaultJournalSize = 4 << 20
	// journalAhead is how many zero bytes are written ahead of the frames while a file grows to its size: overwriting what was written
	// before costs the file system no change of metadata, which is half of the cost of a sync.
	journalAhead = 1 << 20
	// journalPage aligns frames: a page that holds an acknowledged frame is never written again before its file is free.
	journalPage = env.BlockSize

	// drainAllFrom is the number of segments from which one syncfs replaces their fdatasyncs.
	drainAllFrom = 24

	frameHeaderSize = 32
	frameEntrySize  = 36
	frameMagic      = 0x74726a31 // "trj1"
)

var journalNames = [2]string{"flush-journal-0", "flush-journal-1"}

// Journal makes what many logs of one directory appended durable by one write and one sync: the bytes of all of them, one after the
// other, go into a file that was written before. The segment files are synced later, many frames at a time (Drain). After a crash Open
// takes from the journal what the segment files lost (Options.Journal).
//
// There are two files. While one is drained the other one takes frames. It belongs to one flusher; Begin, Write and the work of Drain
// block, and the last two may run beside each other. A failed write ends it for good, but for want of space: its logs are then synced one by one, and the
// files stay for the next start.
type Journal struct {
	fs    env.FS
	size  int64
	files [2]journalFile
	// active takes the frames, from pos on; seq is the number of the next one in the file, epoch that of the file's filling.
	active int
	pos    int64
	seq    uint32
	epoch  uint64
	frame  []byte // scratch
	err    error
}

type journalFile struct {
	f       env.DurableFile
	written int64 // bytes that were written before
	// segments have bytes in frames of the file: to be synced before it is free again. known finds one among them.
	segments []*segment
	known    map[*segment]struct{}
	drain    bool // being drained, or to be
}

// JournalEntry is what one frame holds of one log: the bytes that it appended at the end of a segment.
type JournalEntry struct {
	// From is the end of the log before the bytes; nothing is there to be added if the log ends below it.
	From int64
	// Lowered is that of the log's Position: what was written down before a truncation does not count.
	Lowered uint32
	// Bytes are whole batches.
	Bytes []byte
}

// JournalContent is what a start finds in the journal of a directory.
type JournalContent struct {
	Entries map[protocol.TopicPartition][]JournalEntry // in the order in which they were appended
	// Damaged says that a frame is unreadable although later ones are not: no crash does that. What it held is not known.
	Damaged bool
	epoch   uint64 // the largest one seen
}

// frame layout, integers big-endian; the header is followed by the entries, and by zeros up to the next page:
//
//	 0  4  magic
//	 4  4  CRC-32C of everything from byte 8 to the end of the entries
//	 8  8  epoch     of this filling of the file; larger than all before
//	16  4  sequence  from 0
//	20  4  entries
//	24  4  length    of the entries, bytes
//	28  4  zero
//
// and an entry:
//
//	 0 16  topic id
//	16  4  partition
//	20  4  lowered
//	24  8  from
//	32  4  length
//	36     batches
func appendFrameHeader(b []byte, epoch uint64, seq uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, frameMagic)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = binary.BigEndian.AppendUint32(b, seq)
	return append(b, make([]byte, frameHeaderSize-20)...)
}

// sealFrame completes a frame and pads it to whole pages.
func sealFrame(b []byte, entries int) []byte {
	binary.BigEndian.PutUint32(b[20:], uint32(entries))
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)-frameHeaderSize))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return append(b, make([]byte, int(alignPage(int64(len(b))))-len(b))...)
}

func alignPage(n int64) int64 { return (n + journalPage - 1) / journalPage * journalPage }

// ReadJournal reads what a journal holds; after a clean stop that is nothing. Nothing is changed: it stays until Begin. Blocks.
func ReadJournal(files env.FS, clean bool) (*JournalContent, error) {
	c := &JournalContent{Entries: map[protocol.TopicPartition][]JournalEntry{}}
	var found [len(journalNames)][]foundFrame
	for i, name := range journalNames {
		if clean {
			if err := c.peek(files, name); err != nil {
				return nil, err
			}
			continue
		}
		b, err := ReadFile(files, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[i] = c.read(b)
	}
	slices.SortFunc(found[:], func(a, b []foundFrame) int {
		if len(a) == 0 || len(b) == 0 {
			return len(a) - len(b)
		}
		return int(min(max(int64(a[0].epoch-b[0].epoch), -1), 1))
	})
	for _, frames := range found {
		for _, f := range frames {
			if err := c.take(f); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// peek notes the epoch that a file begins with, which is its newest.
func (c *JournalContent) peek(files env.FS, name string) error {
	f, err := files.Open(name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var header [frameHeaderSize]byte
	if _, err := readFull(f, header[:], 0); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if binary.BigEndian.Uint32(header[:]) == frameMagic {
		c.epoch = max(c.epoch, binary.BigEndian.Uint64(header[8:]))
	}
	return nil
}

// foundFrame is a frame whose CRC is right.
type foundFrame struct {
	epoch   uint64
	seq     uint32
	entries uint32
	body    []byte
}

// read returns the frames of the newest filling of a file, in order. What is left of earlier ones follows them.
func (c *JournalContent) read(b []byte) (frames []foundFrame) {
	for pos := 0; pos+frameHeaderSize <= len(b); {
		f, ok := parseFrame(b[pos:])
		if !ok {
			pos += journalPage
			continue
		}
		c.epoch = max(c.epoch, f.epoch)
		if len(frames) > 0 && f.epoch > frames[0].epoch {
			frames = frames[:0]
		}
		if len(frames) == 0 || f.epoch == frames[0].epoch {
			frames = append(frames, f)
		}
		pos += int(alignPage(int64(frameHeaderSize + len(f.body))))
	}
	for i := 1; i < len(frames); i++ {
		c.Damaged = c.Damaged || frames[i].seq != frames[i-1].seq+1
	}
	return frames
}

func parseFrame(b []byte) (f foundFrame, ok bool) {
	if binary.BigEndian.Uint32(b) != frameMagic {
		return f, false
	}
	length := int64(binary.BigEndian.Uint32(b[24:]))
	if frameHeaderSize+length > int64(len(b)) {
		return f, false
	}
	whole := b[:frameHeaderSize+length]
	f = foundFrame{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:]), whole[frameHeaderSize:]}
	return f, crc32.Checksum(whole[8:], castagnoli) == binary.BigEndian.Uint32(b[4:])
}

// take adds the entries of one frame.
func (c *JournalContent) take(f foundFrame) error {
	b := f.body
	for range f.entries {
		if len(b) < frameEntrySize {
			return &Corruption{File: "flush journal", Offset: -1, Reason: "an entry is cut short"}
		}
		var tp protocol.TopicPartition
		copy(tp.Topic[:], b)
		tp.Partition = int32(binary.BigEndian.Uint32(b[16:]))
		e := JournalEntry{Lowered: binary.BigEndian.Uint32(b[20:]), From: int64(binary.BigEndian.Uint64(b[24:]))}
		size := int64(binary.BigEndian.Uint32(b[32:]))
		if b = b[frameEntrySize:]; size > int64(len(b)) {
			return &Corruption{File: "flush journal", Offset: -1, Reason: "an entry is longer than its frame"}
		}
		e.Bytes, b = b[:size:size], b[size:]
		c.Entries[tp] = append(c.Entries[tp], e)
	}
	return nil
}

// NewJournal is the journal of a directory in which content was found. size is that of each file in bytes, 0 the default. It takes
// nothing before Begin.
func NewJournal(files env.FS, size int64, content *JournalContent) *Journal {
	if size <= 0 {
		size = DefaultJournalSize
	}
	return &Journal{fs: files, size: alignPage(size), epoch: content.epoch}
}

// Begin empties the journal and makes it take frames. What it held must be in the segment files, durably. Blocks.
func (j *Journal) Begin() error {
	for i := range j.files {
		if err := j.open(i); err != nil {
			return j.fail(err)
		}
	}
	if err := j.fs.SyncDir("."); err != nil {
		return j.fail(err)
	}
	return j.clear()
}

func (j *Journal) open(i int) error {
	name := journalNames[i]
	there, err := j.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		var f env.File
		if f, err = j.fs.Create(name); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return err
	}
	f, err := j.openDurable(name)
	if err != nil {
		return err
	}
	j.files[i] = journalFile{f: f, written: min(there.Size, j.size) / journalPage * journalPage, known: map[*segment]struct{}{}}
	return nil
}

func (j *Journal) openDurable(name string) (env.DurableFile, error) {
	if mutation.Is(mutation.JournalUnsynced) {
		return j.fs.Open(name, true)
	}
	return j.fs.OpenDurable(name)
}

// clear voids all frames, by an empty one of a new epoch at the beginning of each file.
func (j *Journal) clear() error {
	j.epoch++
	j.frame = sealFrame(appendFrameHeader(j.frame[:0], j.epoch, 0), 0)
	for i := range j.files {
		if err := j.put(&j.files[i], 0); err != nil {
			return j.fail(err)
		}
	}
	j.active, j.pos, j.seq = 0, int64(len(j.frame)), 1
	return nil
}

// put writes the frame at pos of a file, durably.
func (j *Journal) put(x *journalFile, pos int64) error {
	if end := pos + int64(len(j.frame)); end > x.written {
		ahead := min(max(j.size, end), end+journalAhead)
		if _, err := x.f.WriteAt(make([]byte, ahead-end), end); err != nil {
			return err
		}
		x.written = ahead
	}
	_, err := x.f.WriteAt(j.frame, pos)
	return err
}

// Keep ends the journal and leaves its files as they are for the next start, in the flusher: a sync of a segment failed, so that what a
// frame holds of it may be nowhere else, and a later sync of the same file would find nothing to write and call that durable.
func (j *Journal) Keep(err error) { _ = j.fail(err) }

func (j *Journal) fail(err error) error {
	j.err = fmt.Errorf("flush journal: %w", err)
	return j.err
}

// Close lets go of the files; no Write may be under way.
func (j *Journal) Close() {
	for i := range j.files {
		_ = j.files[i].f.Close() // what must be durable was synced
	}
}

// Fits reports whether a frame for tasks that flush so many bytes has room now. It may turn to the other file for that.
func (j *Journal) Fits(tasks int, bytes int64) bool {
	need := alignPage(frameHeaderSize + int64(tasks)*frameEntrySize + bytes)
	switch other := &j.files[1-j.active]; {
	case j.err != nil || need > j.size:
		return false
	case j.pos+need <= j.size:
		return true
	case other.drain:
		return false
	}
	j.files[j.active].drain = true
	j.active, j.pos, j.seq = 1-j.active, 0, 0
	j.epoch++
	return true
}

// Write makes durable what the tasks flush, which JournalBytes says can be done: they are then to be handed to Log.Flushed without Run.
// A task whose bytes cannot be read is left out, and all are after an error: Journaled tells. Room for them was found by Fits. The outcome
// goes to Written. Blocks.
func (j *Journal) Write(tasks []*FlushTask) error {
	j.frame = appendFrameHeader(j.frame[:0], j.epoch, j.seq)
	entries := 0
	for _, t := range tasks {
		if j.add(t) {
			entries++
		}
	}
	if entries > 0 {
		j.frame = sealFrame(j.frame, entries)
		x := &j.files[j.active]
		if err := j.put(x, j.pos); err != nil {
			for _, t := range tasks {
				t.journaled = false
			}
			return err
		}
		for _, t := range tasks {
			if t.journaled {
				x.hold(t.segments[0].segment)
			}
		}
		j.pos += int64(len(j.frame))
		j.seq++
	}
	return nil
}

// hold notes that a frame has bytes of s.
func (x *journalFile) hold(s *segment) {
	if _, ok := x.known[s]; !ok {
		x.known[s] = struct{}{}
		x.segments = append(x.segments, s)
	}
}

// Written notes the outcome of Write, in the flusher. A full disk only means that the frame is not there: the next one takes its place.
func (j *Journal) Written(err error) {
	if err != nil && !Passing(err) {
		_ = j.fail(err)
	}
}

// add appends the bytes that a task flushes to the frame.
func (j *Journal) add(t *FlushTask) bool {
	s := t.segments[0].segment
	f, err := s.file.pin()
	if err != nil {
		return false
	}
	defer s.file.unpin()
	mark, size := len(j.frame), t.JournalBytes()
	j.frame = append(j.frame, t.log.tp.Topic[:]...)
	j.frame = binary.BigEndian.AppendUint32(j.frame, uint32(t.log.tp.Partition))
	j.frame = binary.BigEndian.AppendUint32(j.frame, t.end.Lowered)
	j.frame = binary.BigEndian.AppendUint64(j.frame, uint64(t.fromOffset))
	j.frame = binary.BigEndian.AppendUint32(j.frame, uint32(size))
	at := len(j.frame)
	j.frame = slices.Grow(j.frame, int(size))[:at+int(size)]
	if _, err := readFull(f, j.frame[at:], t.from); err != nil {
		j.frame = j.frame[:mark]
		return false
	}
	t.journaled = true
	return true
}

// Drainable reports whether a file waits to be drained.
func (j *Journal) Drainable() bool { return j.err == nil && j.files[1-j.active].drain }

// Drain returns the work of making durable in the segment files what the full file holds, for any goroutine, beside Write. Success
// is reported by Drained. After an error, unless the disk is full, the caller calls Keep and takes the logs offline: the segment files may
// lack what was acknowledged, and the journal is what the next start recovers it from.
func (j *Journal) Drain() (work func() error) {
	segments, files := j.files[1-j.active].segments, j.fs
	return func() error {
		if mutation.Is(mutation.JournalUndrained) {
			return nil
		}
		if len(segments) >= drainAllFrom {
			if err := files.SyncAll(); !errors.Is(err, env.ErrUnsupported) {
				return err
			}
		}
		for _, s := range segments {
			if err := s.syncAside(); err != nil {
				return err
			}
		}
		return nil
	}
}

// Drained frees the full file, in the flusher: the work of Drain has succeeded, and no other sync that began before its end has failed.
func (j *Journal) Drained() {
	if j.err != nil {
		return
	}
	x := &j.files[1-j.active]
	clear(x.known)
	clear(x.segments)
	x.segments, x.drain = x.segments[:0], false
}

// syncAside makes the records of s durable through a descriptor of its own, if its file is still there: also when the segment was dropped,
// and so that a failure to write is reported to the flush tasks of the log as well (errseq_t), whoever syncs first.
func (s *segment) syncAside() error {
	f, err := s.file.files.fs.Open(s.path(logSuffix), true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // dropped
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", s.path(logSuffix), err)
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("syncing %q: %w", s.path(logSuffix), err)
	}
	return nil
}

// appendJournal adds what the journal has beyond the end of the files: what was acknowledged and did not reach them.
func (r *recovery) appendJournal() error {
	for _, e := range r.o.Journal {
		if e.Lowered < r.durable.Lowered || mutation.Is(mutation.JournalNotReplayed) {
			continue
		}
		if e.From > r.end {
			r.note("the journal goes on at offset %d, behind the end %d", e.From, r.end)
			r.report.IntactBeyond = true
			break
		}
		batches, err := journalBatches(e.Bytes, r.end)
		if err != nil {
			return err
		}
		if len(batches) == 0 {
			continue
		}
		if err := r.Append(batches); err != nil {
			return err
		}
		r.report.Journaled += len(batches)
	}
	if len(r.o.Journal) > 0 {
		r.published = max(r.published, r.end) // the entries count as long as the journal is there
	}
	return nil
}

// FlushNow makes durable in the files of the log what it holds; after that a journal that it was opened with may be emptied. For whoever
// has opened the log, once it has rebuilt the transaction index: a flush says that the index is complete. Blocks.
func (l *Log) FlushNow() error {
	if t := l.flushTask(false); t != nil {
		return l.Flushed(t, t.Run())
	}
	return l.failure
}

// journalBatches are the batches of an entry that begin at end or after it.
func journalBatches(b []byte, end int64) (out []record.Batch, err error) {
	for len(b) > 0 {
		size, err := batchSize(b)
		if err != nil {
			return nil, err
		}
		if batch := record.Batch(b[:size:size]); batch.BaseOffset() >= end {
			out = append(out, batch)
		}
		b = b[size:]
	}
	return out, nil
}

func batchSize(b []byte) (int, error) {
	if len(b) >= record.HeaderSize {
		if size := record.Batch(b).Length(); size >= record.HeaderSize && size <= len(b) {
			return size, nil
		}
	}
	return 0, &Corruption{File: "flush journal", Offset: -1, Reason: "an entry does not hold whole batches"}
}
