package storage

import "slices"

// Snapshots lists the offsets of the producer snapshots of the log, oldest first. Blocks, as do all four.
func (l *Log) Snapshots() ([]int64, error) {
	entries, err := l.files.fs.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var offsets []int64
	for _, e := range entries {
		if offset, suffix, ok := parseOffsetName(e.Name); ok && suffix == snapshotSuffix {
			offsets = append(offsets, offset)
		}
	}
	slices.Sort(offsets)
	return offsets, nil
}

// WriteSnapshot stores the producer state as of offset, durably. The content is the caller's. ErrRefused if the disk is full. It may
// run beside the actor: it touches nothing but the file.
func (l *Log) WriteSnapshot(offset int64, data []byte) error {
	return ReplaceFile(l.files.fs, l.dir, offsetName(offset, snapshotSuffix), data)
}

// ReadSnapshot reads the producer state as of offset; fs.ErrNotExist if there is none.
func (l *Log) ReadSnapshot(offset int64) ([]byte, error) {
	return ReadFile(l.files.fs, l.dir+"/"+offsetName(offset, snapshotSuffix))
}

// RemoveSnapshot removes the producer state as of offset if there is one. Not durable by itself: a snapshot that comes back is
// still a true one, unless the log was truncated below it; TruncateTo and Restart remove those durably.
func (l *Log) RemoveSnapshot(offset int64) error {
	return l.remove(offsetName(offset, snapshotSuffix))
}
