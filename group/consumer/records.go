package consumer

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// kind is the type of a record of the log, the first two bytes of its key. Source: CoordinatorRecordType.
type kind int16

const (
	kindGroup             kind = 3 // ConsumerGroupMetadata
	kindPartitionMetadata kind = 4 // ConsumerGroupPartitionMetadata: written before 4.1; read over, removed
	kindMember            kind = 5 // ConsumerGroupMemberMetadata
	kindTarget            kind = 6 // ConsumerGroupTargetAssignmentMetadata
	kindTargetMember      kind = 7 // ConsumerGroupTargetAssignmentMember
	kindCurrent           kind = 8 // ConsumerGroupCurrentMemberAssignment
	kindRegex             kind = 16
)

// ours reports whether records of the kind belong to this package, and whether a second name follows the group id in their keys.
func (k kind) ours() (ours, named bool) {
	switch k {
	case kindGroup, kindPartitionMetadata, kindTarget:
		return true, false
	case kindMember, kindTargetMember, kindCurrent, kindRegex:
		return true, true
	}
	return false, false
}

// key is a decoded key. Name is the member id, or the regular expression.
type key struct {
	kind  kind
	group string
	name  string
}

func (k key) encode() []byte {
	dst := make([]byte, 0, 6+len(k.group)+len(k.name))
	dst = kbin.AppendInt16(dst, int16(k.kind))
	dst = kbin.AppendString(dst, k.group)
	if _, named := k.kind.ours(); named {
		dst = kbin.AppendString(dst, k.name)
	}
	return dst
}

// decodeKey reads a key; ok is false if the record is not of this package.
func decodeKey(src []byte) (k key, ok bool, err error) {
	r := kbin.Reader{Src: src}
	k.kind = kind(r.Int16())
	ours, named := k.kind.ours()
	if !r.Ok() || !ours {
		return key{}, false, nil
	}
	k.group = r.String()
	if named {
		k.name = r.String()
	}
	if !r.Ok() {
		return key{}, false, fmt.Errorf("the key of a record of type %d ends early", k.kind)
	}
	return k, true, nil
}

// GroupOfKey tells which group a record of the log belongs to; ok is false for records of other packages.
func GroupOfKey(src []byte) (groupID string, ok bool, err error) {
	k, ok, err := decodeKey(src)
	return k.group, ok, err
}

// valueVersion is the version of every value there is. Source: the message schemas of Kafka 4.3.
const valueVersion = 0

func (g *Group) record(k kind, name string, value []byte) step.Record {
	return step.Record{Key: key{k, g.id, name}.encode(), Value: value}
}

func newValue(size int) []byte { return kbin.AppendInt16(make([]byte, 0, size), valueVersion) }

// appendTags ends a structure without tagged fields.
func appendTags(dst []byte) []byte { return append(dst, 0) }

// appendTag ends a structure with one tagged field.
func appendTag(dst []byte, tag uint32, field []byte) []byte {
	dst = kbin.AppendUvarint(dst, 1)
	dst = kbin.AppendUvarint(dst, tag)
	dst = kbin.AppendUvarint(dst, uint32(len(field)))
	return append(dst, field...)
}

func (g *Group) groupRecord(epoch int32, hash int64) step.Record {
	dst := kbin.AppendInt32(newValue(16), epoch)
	if hash == 0 {
		return g.record(kindGroup, "", appendTags(dst))
	}
	return g.record(kindGroup, "", appendTag(dst, 0, kbin.AppendInt64(nil, hash)))
}

func (g *Group) targetRecord(epoch int32, timestamp int64) step.Record {
	dst := kbin.AppendInt32(newValue(16), epoch)
	if timestamp == 0 {
		return g.record(kindTarget, "", appendTags(dst))
	}
	return g.record(kindTarget, "", appendTag(dst, 0, kbin.AppendInt64(nil, timestamp)))
}

func (g *Group) memberRecord(m *member) step.Record {
	dst := newValue(64)
	dst = kbin.AppendCompactNullableString(dst, orNull(m.instanceID))
	dst = kbin.AppendCompactNullableString(dst, orNull(m.rack))
	dst = kbin.AppendCompactString(dst, m.clientID)
	dst = kbin.AppendCompactString(dst, m.clientHost)
	dst = kbin.AppendCompactArrayLen(dst, len(m.topics))
	for _, name := range m.topics {
		dst = kbin.AppendCompactString(dst, name)
	}
	dst = kbin.AppendCompactNullableString(dst, orNull(m.regex))
	dst = kbin.AppendInt32(dst, m.rebalanceTimeout)
	dst = kbin.AppendCompactNullableString(dst, orNull(m.assignor))
	if m.classic == nil { // has to be said: without the field it is an empty structure, and the member one that speaks classic
		return g.record(kindMember, m.id, appendTag(dst, 0, []byte{0}))
	}
	field := []byte{1} // it is there
	field = kbin.AppendInt32(field, m.classic.sessionTimeout)
	field = kbin.AppendCompactArrayLen(field, len(m.classic.protocols))
	for _, p := range m.classic.protocols {
		field = kbin.AppendCompactString(field, p.Name)
		field = kbin.AppendCompactBytes(field, p.Metadata)
		field = appendTags(field)
	}
	return g.record(kindMember, m.id, appendTag(dst, 0, appendTags(field)))
}

func (g *Group) targetMemberRecord(memberID string, rows []protocol.TopicPartitions) step.Record {
	dst := kbin.AppendCompactArrayLen(newValue(8+32*len(rows)), len(rows))
	for _, row := range rows {
		dst = kbin.AppendUuid(dst, row.Topic)
		dst = appendInts(dst, row.Partitions)
		dst = appendTags(dst)
	}
	return g.record(kindTargetMember, memberID, appendTags(dst))
}

func (g *Group) currentRecord(m *member) step.Record {
	dst := newValue(24 + 64*(len(m.assigned)+len(m.revoking)))
	dst = kbin.AppendInt32(dst, m.epoch)
	dst = kbin.AppendInt32(dst, m.previousEpoch)
	dst = kbin.AppendInt8(dst, int8(m.state))
	dst = appendHolding(dst, m.assigned)
	dst = appendHolding(dst, m.revoking)
	return g.record(kindCurrent, m.id, appendTags(dst))
}

func (g *Group) regexRecord(expression string, topics []string, version, timestamp int64) step.Record {
	dst := kbin.AppendCompactArrayLen(newValue(32), len(topics))
	for _, name := range topics {
		dst = kbin.AppendCompactString(dst, name)
	}
	dst = kbin.AppendInt64(dst, version)
	dst = kbin.AppendInt64(dst, timestamp)
	return g.record(kindRegex, expression, appendTags(dst))
}

func appendHolding(dst []byte, h holding) []byte {
	dst = kbin.AppendCompactArrayLen(dst, len(h))
	for _, t := range h {
		dst = kbin.AppendUuid(dst, t.topic)
		dst = appendInts(dst, t.partitions)
		dst = appendTag(dst, 0, appendInts(nil, t.epochs))
	}
	return dst
}

func appendInts(dst []byte, list []int32) []byte {
	dst = kbin.AppendCompactArrayLen(dst, len(list))
	for _, n := range list {
		dst = kbin.AppendInt32(dst, n)
	}
	return dst
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
