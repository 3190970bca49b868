package offsets

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// ErrMalformed marks a record that is none of ours, or cut short.
var ErrMalformed = errors.New("malformed offset commit record")

const (
	keyVersion    = 1 // highest that is an offset commit; 2 is the group itself
	valueVersion  = 4
	expiryVersion = 1 // the only one with an expire timestamp
	epochSince    = 3
	flexibleSince = 4
	topicIDTag    = 0

	stringMax = 1<<15 - 1 // bytes of a string with an int16 length
	noExpiry  = -1
)

// Key is the key of an offset commit.
type Key struct {
	Group, Topic string
	Partition    int32
}

// Value is what one commit stored. Times are in milliseconds.
type Value struct {
	Offset      int64
	LeaderEpoch protocol.LeaderEpoch
	Metadata    string
	Committed   int64
	Expires     int64 // noExpiry if the client chose no retention
	TopicID     protocol.TopicID
}

// AppendKey appends the key of an offset commit. Group and Topic must not be longer than stringMax.
func AppendKey(b []byte, k Key) []byte {
	b = kbin.AppendInt16(b, keyVersion)
	b = kbin.AppendString(b, k.Group)
	b = kbin.AppendString(b, k.Topic)
	return kbin.AppendInt32(b, k.Partition)
}

// AppendValue appends v as Kafka 4.3 writes it: version 4, or 1 with an expiry, which knows neither leader epoch nor topic id.
func AppendValue(b []byte, v *Value) []byte {
	if v.Expires != noExpiry {
		b = kbin.AppendInt16(b, expiryVersion)
		b = kbin.AppendInt64(b, v.Offset)
		b = kbin.AppendString(b, v.Metadata)
		b = kbin.AppendInt64(b, v.Committed)
		return kbin.AppendInt64(b, v.Expires)
	}
	b = kbin.AppendInt16(b, valueVersion)
	b = kbin.AppendInt64(b, v.Offset)
	b = kbin.AppendInt32(b, int32(v.LeaderEpoch))
	b = kbin.AppendCompactString(b, v.Metadata)
	b = kbin.AppendInt64(b, v.Committed)
	if v.TopicID.IsZero() {
		return append(b, 0)
	}
	b = append(b, 1, topicIDTag, byte(len(v.TopicID)))
	return append(b, v.TopicID[:]...)
}

// keySize and valueSize are at least what AppendKey and AppendValue add.
func keySize(k Key) int      { return 2 + 2 + len(k.Group) + 2 + len(k.Topic) + 4 }
func valueSize(v *Value) int { return 2 + 8 + 4 + 5 + len(v.Metadata) + 8 + 8 + 3 + len(v.TopicID) }

// IsKey reports whether a record of __consumer_offsets is an offset commit, by its key.
func IsKey(key []byte) bool {
	return len(key) >= 2 && key[0] == 0 && key[1] <= keyVersion
}

// GroupOfKey tells whose offset commit a record is; ok is false for records of other kinds.
func GroupOfKey(key []byte) (groupID string, ok bool, err error) {
	if !IsKey(key) {
		return "", false, nil
	}
	k, err := parseKey(key)
	return strings.Clone(k.Group), err == nil, err
}

// parseKey reads the key of an offset commit; its strings are views of key. The error is ErrMalformed.
func parseKey(key []byte) (Key, error) {
	if !IsKey(key) {
		return Key{}, fmt.Errorf("%w: the key is of another kind", ErrMalformed)
	}
	r := kbin.Reader{Src: key[2:]}
	k := Key{Group: r.UnsafeString(), Topic: r.UnsafeString(), Partition: r.Int32()}
	if !r.Ok() || k.Partition < 0 {
		return Key{}, fmt.Errorf("%w: key of %d bytes", ErrMalformed, len(key))
	}
	return k, nil
}

// parseValue reads the value of an offset commit; Metadata is a view of value. The error is ErrMalformed. What follows the value is ignored, as Kafka does.
func parseValue(value []byte) (Value, error) {
	r := kbin.Reader{Src: value}
	version := r.Int16()
	if version < 0 || version > valueVersion {
		return Value{}, fmt.Errorf("%w: version %d of the value", ErrMalformed, version)
	}
	v := Value{Offset: r.Int64(), LeaderEpoch: protocol.NoLeaderEpoch, Expires: noExpiry}
	if version >= epochSince {
		v.LeaderEpoch = protocol.LeaderEpoch(r.Int32())
	}
	if version >= flexibleSince {
		v.Metadata = r.UnsafeCompactString()
	} else {
		v.Metadata = r.UnsafeString()
	}
	v.Committed = r.Int64()
	if version == expiryVersion {
		v.Expires = r.Int64()
	}
	if version >= flexibleSince {
		readTags(&r, &v)
	}
	if !r.Ok() {
		return Value{}, fmt.Errorf("%w: value of %d bytes", ErrMalformed, len(value))
	}
	return v, nil
}

// readTags reads the tagged fields; every one takes two bytes at least, so that their announced count bounds nothing that is not there.
func readTags(r *kbin.Reader, v *Value) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		tag, size := r.Uvarint(), r.Uvarint()
		body := r.Span(int(size))
		if tag != topicIDTag {
			continue
		}
		if len(body) != len(v.TopicID) {
			r.Span(len(r.Src) + 1) // marks the reader
			return
		}
		copy(v.TopicID[:], body)
	}
}
