package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/troupe-broker/troupe/actors/env"
)

// fileSizeMax bounds a small file that is read: 64 MiB hold more than half a million partitions.
const fileSizeMax = 64 << 20

// ReadFile reads a small file whole; fs.ErrNotExist if there is none, ErrCorrupt if it is larger than any such file gets. Blocks.
func ReadFile(files env.FS, name string) ([]byte, error) {
	f, err := files.Open(name, false)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	if size > fileSizeMax {
		return nil, &Corruption{File: name, Offset: -1, Reason: fmt.Sprintf("%d bytes are too many", size)}
	}
	b := make([]byte, size)
	if _, err := readFull(f, b, 0); err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	return b, nil
}

// ReplaceFile makes dir/name hold data, or leaves it as it was, whatever happens: it writes another file, syncs it, renames it and
// syncs the directory. ErrRefused if that is to be tried again; mostly the old file is then in place. Blocks.
func ReplaceFile(files env.FS, dir, name string, data []byte) error {
	err := replaceFile(files, dir, path.Join(dir, name), data)
	if Passing(err) {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

func replaceFile(files env.FS, dir, name string, data []byte) error {
	temp := name + tempSuffix
	if err := files.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %q: %w", temp, err)
	}
	f, err := files.Create(temp)
	if err == nil {
		_, err = f.WriteAt(data, 0)
		if Passing(err) {
			_ = f.Close()
			_ = files.Remove(temp) // it holds space others need; it is also removed by the next writer
		}
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", temp, err)
	}
	err = f.Sync()
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = files.Rename(temp, name)
	}
	if err == nil {
		err = files.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("replacing %q: %w", name, err)
	}
	return nil
}
