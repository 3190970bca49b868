package storage

import "github.com/troupe-broker/troupe/actors/env"

// ReplaceFile makes dir/name hold data, or leaves it as it was, whatever happens; durable on return. ErrNoSpace if the disk is full.
// For small files that others keep beside a log. Blocks.
func ReplaceFile(files env.FS, dir, name string, data []byte) error {
	return replaceFile(files, dir, name, data)
}

// ReadFile reads a small file whole; fs.ErrNotExist if there is none. Blocks.
func ReadFile(files env.FS, name string) ([]byte, error) { return readFile(files, name) }
