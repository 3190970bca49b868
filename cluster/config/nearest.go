package config

import (
	"slices"
	"strings"
)

// nameLengthMax bounds the work on names from the wire.
const nameLengthMax = 100

// nearest is the key most like name, or "" if none is like it.
func nearest(name string, table []Key) string {
	if len(name) > nameLengthMax {
		return ""
	}
	best, at := max(2, len(name)/3)+1, ""
	for i := range table {
		candidate := table[i].Name
		if d := distance(name, candidate, best); d < best {
			best, at = d, candidate
		}
	}
	return at
}

// Foreign reports whether a name that is no key's resembles none either: it belongs to somebody else, who keeps settings in the same file.
// Of the family of a known key (its first word), whatever is like one may be meant for it; of another, only what is a few letters off. What is under
// listener.name. is always meant for a listener, what begins with a whole key (ssl.client.authentication) for that, and a topic's key for the
// default of all topics.
func Foreign(name string) bool {
	if _, ok := TopicKey(name); ok {
		return false
	}
	near := nearest(name, brokerTable)
	if strings.HasPrefix(name, "listener.name.") || slices.ContainsFunc(brokerTable, func(k Key) bool { return strings.Contains(k.Name, ".") && strings.HasPrefix(name, k.Name) }) {
		return false
	}
	if near == "" {
		return true
	}
	family, _, _ := strings.Cut(name, ".")
	for i := range brokerTable {
		if known, _, _ := strings.Cut(brokerTable[i].Name, "."); known == family {
			return false
		}
	}
	return distance(name, near, foreignFrom) >= foreignFrom
}

// Misspelt reports whether a name that is no key's is a letter or two off one.
func Misspelt(name string) bool {
	near := nearest(name, brokerTable)
	return near != "" && distance(name, near, misspeltTo+1) <= misspeltTo
}

// misspeltTo is how far from the nearest key a name surely is a misspelling of it.
const misspeltTo = 2

// foreignFrom is how far from the nearest key a name of another family is no misspelling of it.
const foreignFrom = 4

// distance is the Levenshtein distance, where an underscore or dash for a dot is free; anything from limit on may be returned as
// limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if !alike(a[i], b[j]) {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
			least = min(least, row[j+1])
		}
		if least >= limit {
			return limit
		}
	}
	return row[len(b)]
}

func alike(a, b byte) bool {
	return fold(a) == fold(b)
}

func fold(c byte) byte {
	switch {
	case c == '_' || c == '-':
		return '.'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}
