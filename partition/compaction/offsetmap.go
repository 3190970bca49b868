package compaction

import (
	"crypto/sha256"
	"encoding/binary"
)

// OffsetMap notes the newest offset of every key, by a hash of the key: 24 bytes a slot, open addressing. Two keys with the same hash
// would be one, and the older record lost; so the hash is one for which nobody can find such keys, the first half of SHA-256.
//
// It grows up to its bound, and then takes nothing new: Full. Source: SkimpyOffsetMap, which uses MD5.
type OffsetMap struct {
	slots  []slot
	used   int
	max    int // of slots
	factor float64
}

// slot is free while offset is 0; offsets are noted plus one.
type slot struct {
	a, b   uint64
	offset int64
}

const (
	slotBytes = 24
	slotsMin  = 1 << 10
)

// NewOffsetMap is an empty map of at most maxBytes, which may become as full as factor. It never has less than a few kilobytes.
func NewOffsetMap(maxBytes int64, factor float64) *OffsetMap {
	if factor <= 0 || factor > 0.95 {
		factor = 0.9
	}
	return &OffsetMap{slots: make([]slot, slotsMin), max: int(max(maxBytes/slotBytes, slotsMin)), factor: factor}
}

// Len is the number of keys.
func (m *OffsetMap) Len() int { return m.used }

// Full reports that the bound is reached. Put works all the same, by exceeding it: a batch must not be noted by half.
func (m *OffsetMap) Full() bool {
	return m.used >= int(float64(m.max)*m.factor)
}

func hash(key []byte) (a, b uint64) {
	sum := sha256.Sum256(key)
	return binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])
}

// Put notes that key has a record at offset, which is larger than those noted before.
func (m *OffsetMap) Put(key []byte, offset int64) {
	if m.used >= int(float64(len(m.slots))*m.factor) {
		m.grow()
	}
	a, b := hash(key)
	s := m.find(a, b)
	if s.offset == 0 {
		m.used++
		s.a, s.b = a, b
	}
	s.offset = offset + 1
}

// Get is the newest offset of key, -1 if none is noted.
func (m *OffsetMap) Get(key []byte) int64 { return m.find(hash(key)).offset - 1 }

// find is the slot of the hash, or a free one.
func (m *OffsetMap) find(a, b uint64) *slot {
	for i := a % uint64(len(m.slots)); ; {
		s := &m.slots[i]
		if s.offset == 0 || s.a == a && s.b == b {
			return s
		}
		if i++; i == uint64(len(m.slots)) {
			i = 0
		}
	}
}

// grow doubles the map, up to its bound; beyond it by an eighth.
func (m *OffsetMap) grow() {
	old, size := m.slots, 2*len(m.slots)
	if size > m.max {
		size = max(m.max, len(m.slots)+len(m.slots)/8)
	}
	m.slots = make([]slot, size)
	for i := range old {
		if old[i].offset != 0 {
			*m.find(old[i].a, old[i].b) = old[i]
		}
	}
}
