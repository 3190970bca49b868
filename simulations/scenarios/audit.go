package scenarios

import (
	"encoding/binary"
	"hash/crc32"
	"path"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/troupe-broker/troupe/simulations/workload"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// audit holds I-HWDUR against the medium itself, at the moment a client hears of an acknowledgement: with durability=disk the batch
// must lie there whole, in a segment whose name, directory and bytes no power loss can take any more. It needs no crash to see a
// missing fsync, and it looks with its own eyes: nothing of the node is asked.
func (r *run) audit(t *workload.Topic, op *check.Op) {
	if t.Durability != protocol.DurabilityDisk || t.Retains || t.Compacted || op.Offset < r.stage.Trimmed(op.Key) || r.rotten[op.Key] || !r.sampled() {
		return
	}
	for _, dir := range strings.Split(r.plan.LogDirs, ",") {
		dir = path.Join(strings.Trim(dir, "/"), storage.DirName(op.Key))
		if segment := segmentOf(r.host.Disk.DurableNames(dir), op.Offset); segment != "" {
			content, ok := r.host.Disk.Durable(path.Join(dir, segment))
			if ok && holds(content, op.Offset, len(op.Values)) {
				return
			}
		}
	}
	if r.journaled(op) {
		return
	}
	r.world.Fail("audit: %v is not on the medium of %v", op, op.Key)
}

// journaled reports whether a flush journal holds the batch for the segment.
func (r *run) journaled(op *check.Op) bool {
	for _, dir := range strings.Split(r.plan.LogDirs, ",") {
		for _, name := range []string{"flush-journal-0", "flush-journal-1"} {
			content, _ := r.host.Disk.Durable(path.Join(strings.Trim(dir, "/"), name))
			if inFrames(content, op) {
				return true
			}
		}
	}
	return false
}

// inFrames looks for the batch in the frames of a journal file; package storage draws them.
func inFrames(b []byte, op *check.Op) bool {
	const page, header, entry = 4096, 32, 36
	for pos := 0; pos+header <= len(b); pos += page {
		length := int(binary.BigEndian.Uint32(b[pos+24:]))
		if string(b[pos:pos+4]) != "trj1" || length > len(b)-pos-header {
			continue
		}
		frame := b[pos : pos+header+length]
		if crc32.Checksum(frame[8:], castagnoli) != binary.BigEndian.Uint32(frame[4:]) {
			continue
		}
		for body := frame[header:]; len(body) >= entry; {
			size := entry + int(binary.BigEndian.Uint32(body[32:]))
			of := string(body[:16]) == string(op.Key.Topic[:]) && int32(binary.BigEndian.Uint32(body[16:])) == op.Key.Partition
			if of && holds(body[entry:size], op.Offset, len(op.Values)) {
				return true
			}
			body = body[size:]
		}
	}
	return false
}

// sampled keeps the audit cheap.
func (r *run) sampled() bool {
	r.acks++
	return r.acks%4 == 0
}

// segmentOf is the segment that would hold offset.
func segmentOf(names []string, offset int64) (name string) {
	for _, n := range names {
		text, isLog := strings.CutSuffix(n, ".log")
		base, err := strconv.ParseInt(text, 10, 64)
		if isLog && err == nil && base <= offset {
			name = n
		}
	}
	return name
}

// holds reports whether the bytes of a segment contain a whole batch of n records at offset.
func holds(b []byte, offset int64, n int) bool {
	for len(b) >= 61 {
		base, size := int64(binary.BigEndian.Uint64(b)), 12+int(binary.BigEndian.Uint32(b[8:]))
		if size < 61 || size > len(b) {
			return false
		}
		if base == offset {
			return int(binary.BigEndian.Uint32(b[57:])) == n && crc32.Checksum(b[21:size], castagnoli) == binary.BigEndian.Uint32(b[17:])
		}
		b = b[size:]
	}
	return false
}
