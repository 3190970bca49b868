package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/troupe-broker/troupe/actors/env"
)

// SiblingsName is the file in which a log directory remembers those that it is used together with. A disk that is not mounted looks like an
// empty directory: without the memory its partitions would be made anew, empty. Kafka does not read it.
const SiblingsName = "directories-checkpoint"

// Sibling is one of the directories that a node works in: its directory.id, and where it was last.
type Sibling struct {
	ID   string
	Path string // for people
}

// WriteSiblings replaces the file: version 0, then "id path" a line, the path as a quoted string.
func WriteSiblings(files env.FS, all []Sibling) error {
	b := []byte("0\n")
	for _, s := range all {
		b = fmt.Appendf(b, "%s %q\n", s.ID, s.Path)
	}
	return ReplaceFile(files, ".", SiblingsName, b)
}

// ReadSiblings reads what WriteSiblings wrote; nothing if the file does not exist, ErrCorrupt if it cannot be read. A line may be taken out
// by hand: what the directory held is given up then.
func ReadSiblings(files env.FS) ([]Sibling, error) {
	b, err := ReadFile(files, SiblingsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(string(b), "0\n")
	if !ok {
		return nil, &Corruption{File: SiblingsName, Offset: -1, Reason: "version is not 0"}
	}
	var out []Sibling
	for line := range strings.Lines(rest) {
		var s Sibling
		if _, err := fmt.Sscanf(strings.TrimSpace(line), "%s %q", &s.ID, &s.Path); err != nil {
			return nil, &Corruption{File: SiblingsName, Offset: -1, Reason: fmt.Sprintf("line %q: %v", line, err)}
		}
		out = append(out, s)
	}
	return out, nil
}
