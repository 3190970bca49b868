package storage

import "fmt"

// Blocks of the file system are reserved ahead of what is written, beyond the end of the file, so its size and recovery know nothing
// of it. One reservation costs less than giving every page a block of its own: writing takes a third less processor time (ext4), and a
// flush finds the blocks allocated. What was not used when a segment is complete is given back.
//
// What one log has reserved, others lack: on a full disk they would be refused beside megabytes that nobody uses. So nothing is reserved
// while little is free, and Unreserve gives back what is not being used.
const (
	// reserveFree is how much of the file system must be free, in bytes, to reserve: as much as 256 logs may hold at once.
	reserveFree = 256 * reserveMax
	// reserveMin is the size of a segment, in bytes, below which nothing is reserved: most partitions of a node are small or idle.
	reserveMin = 64 << 10
	// reserveMax bounds what is reserved ahead of one segment, in bytes. It doubles up to this with the segment, so no more is ever
	// reserved than was written.
	reserveMax = 4 << 20
	// reserveKept is what a complete segment may keep, in bytes; giving back costs a transaction of the file system.
	reserveKept = 64 << 10
)

// reserve makes sure that the next total bytes of the active segment have blocks, if the file system can. Nothing depends on it: a
// write without blocks finds its own, or finds the disk full.
func (l *Log) reserve(total int64) {
	s := l.active
	if s.size < reserveMin || s.size+total <= s.reserved {
		return
	}
	from := max(s.size, s.reserved)
	to := min(s.size+max(total, min(s.size, reserveMax)), l.segmentBytes())
	if to <= from {
		return
	}
	if l.short() { // looked at again when the log has come there
		s.reserved = to
		return
	}
	f, err := s.file.pin()
	if err != nil {
		return
	}
	defer s.file.unpin()
	if f.Reserve(from, to-from) != nil {
		to = segmentSizeMax // unable, or too full: not asked again for this segment
	}
	s.reserved = to
}

// short reports whether so little is free that blocks are not for keeping.
func (l *Log) short() bool {
	free, _, err := l.files.fs.Space()
	return err != nil || free < reserveFree
}

// Unreserve gives back what was reserved ahead, if the file system is short or nothing was appended since it was called last. The actor
// calls it now and then: a log that is written to keeps what it has, one that fell idle does not. The error is ErrOffline.
func (l *Log) Unreserve() error {
	s := l.active
	if l.failure != nil || s == nil || !s.overReserved() {
		return l.failure
	}
	idle := s.looked == s.size
	if s.looked = s.size; !idle && !l.short() {
		return nil
	}
	if err := s.giveBack(); err != nil && !Passing(err) {
		return l.goOffline(err)
	}
	s.reserved = s.size
	return nil
}

// overReserved reports whether s holds blocks that are worth giving back when it is complete or idle.
func (s *segment) overReserved() bool { return s.reserved-s.size > reserveKept }

// trim gives back what was reserved beyond the end of a rolled segment.
func (t *FlushTask) trim(s *flushSegment) error {
	if !s.trim {
		return nil
	}
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	if t.truncations != t.log.truncations.Load() { // what is in the file now is not what the task was taken for
		return nil
	}
	return s.giveBack()
}

func (s *segment) giveBack() error {
	f, err := s.file.pin()
	if err != nil {
		return nil // gone, or it cannot be synced either
	}
	defer s.file.unpin()
	if err := f.Truncate(s.size); err != nil {
		return fmt.Errorf("giving back what was reserved for %q: %w", s.path(logSuffix), err)
	}
	return nil
}
