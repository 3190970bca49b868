package classic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

const (
	// keyVersion tells a GroupMetadataKey from the keys of the other records in __consumer_offsets.
	keyVersion = 2
	// writtenVersion is what Kafka 4.3.1 writes, so that older Kafkas can read it (KIP-915).
	writtenVersion = 3
	// readVersionMax is the flexible one.
	readVersionMax = 4
)

// Metadata is a record of the log: the group between two rebalances.
type Metadata struct {
	ProtocolType string
	Generation   int32
	Protocol     *string // nil without members
	Leader       string
	Since        int64 // in milliseconds of wall time; -1 if not known
	Members      []Member
}

// Member is one member of a classic group, as records and migrations see it.
type Member struct {
	MemberID, InstanceID             string
	ClientID, ClientHost             string
	RebalanceTimeout, SessionTimeout time.Duration
	Protocols                        []protocol.GroupProtocol // in a record: the chosen one
	Assignment                       []byte
}

// IsRecord reports whether the key is that of a record of a classic group.
func IsRecord(key []byte) bool { return len(key) >= 2 && binary.BigEndian.Uint16(key) == keyVersion }

// GroupOfKey tells which group a record of the log belongs to; ok is false for records of other kinds.
func GroupOfKey(key []byte) (groupID string, ok bool, err error) {
	if !IsRecord(key) {
		return "", false, nil
	}
	r := reader{in: key[2:]}
	groupID = r.string()
	return groupID, true, r.end()
}

func appendKey(groupID string) []byte {
	return appendString(binary.BigEndian.AppendUint16(nil, keyVersion), groupID)
}

// Record is the record that says in.
func Record(groupID string, in Metadata) step.Record {
	return step.Record{Key: appendKey(groupID), Value: in.append(nil)}
}

func (in *Metadata) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, writtenVersion)
	b = appendString(b, in.ProtocolType)
	b = binary.BigEndian.AppendUint32(b, uint32(in.Generation))
	b = appendNullable(b, in.Protocol)
	b = appendOptional(b, in.Leader)
	b = binary.BigEndian.AppendUint64(b, uint64(in.Since))
	b = binary.BigEndian.AppendUint32(b, uint32(len(in.Members)))
	for _, m := range in.Members {
		b = appendString(b, m.MemberID)
		b = appendOptional(b, m.InstanceID)
		b = appendString(b, m.ClientID)
		b = appendString(b, m.ClientHost)
		b = binary.BigEndian.AppendUint32(b, uint32(m.RebalanceTimeout.Milliseconds()))
		b = binary.BigEndian.AppendUint32(b, uint32(m.SessionTimeout.Milliseconds()))
		b = appendBytes(b, m.Protocols[0].Metadata)
		b = appendBytes(b, m.Assignment)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendNullable(b []byte, s *string) []byte {
	if s == nil {
		return binary.BigEndian.AppendUint16(b, 0xffff)
	}
	return appendString(b, *s)
}

// appendOptional writes an id, which is never empty if there is one.
func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return appendNullable(b, nil)
	}
	return appendString(b, s)
}

func appendBytes(b, s []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// recordOfAssigned is the generation with the leader's assignment. Whoever it forgot gets an empty one; of two for one member the
// last counts.
func (g *Group) recordOfAssigned(assignments []protocol.MemberAssignment) step.Record {
	given := make(map[string][]byte, len(assignments))
	for _, a := range assignments {
		given[a.MemberID] = a.Assignment
	}
	said := g.metadata()
	said.Leader = g.leader // with that no rebalance is due any more
	for i := range said.Members {
		said.Members[i].Assignment = given[said.Members[i].MemberID]
	}
	return Record(g.id, said)
}

// recordOfReplaced is the group with by in the place of old.
func (g *Group) recordOfReplaced(old, by *member) step.Record {
	said := g.metadata()
	said.Members[slices.Index(g.members, old)] = by.said(*g.protocol)
	if said.Leader == old.id {
		said.Leader = by.id
	}
	return Record(g.id, said)
}

// recordOfEmpty is the next generation, without members.
func (g *Group) recordOfEmpty(now step.Now) step.Record {
	return Record(g.id, Metadata{ProtocolType: g.protocolType, Generation: g.nextGeneration(), Since: now.Wall.UnixMilli()})
}

// metadata is the group as a record says it.
func (g *Group) metadata() Metadata {
	out := Metadata{ProtocolType: g.protocolType, Generation: g.generation, Protocol: g.protocol, Leader: g.leader, Since: g.since,
		Members: make([]Member, len(g.members))}
	if g.unled {
		out.Leader = ""
	}
	for i, m := range g.members {
		out.Members[i] = m.said(*g.protocol)
	}
	return out
}

// said is the member as a record says it.
func (m *member) said(chosen string) Member {
	metadata, _ := m.metadata(chosen)
	out := m.all()
	out.Protocols = []protocol.GroupProtocol{{Name: chosen, Metadata: metadata}}
	return out
}

func (m *member) all() Member {
	return Member{MemberID: m.id, InstanceID: m.instance, ClientID: m.clientID, ClientHost: m.clientHost,
		RebalanceTimeout: m.rebalanceTimeout, SessionTimeout: m.sessionTimeout, Protocols: m.protocols, Assignment: m.assignment}
}

// readMetadata reads any version of the record. What it returns shares nothing with in.
func readMetadata(in []byte) (Metadata, error) {
	r := reader{in: in}
	version := r.int16()
	if r.bad == nil && (version < 0 || version > readVersionMax) {
		return Metadata{}, fmt.Errorf("version %d is not known", version)
	}
	r.flexible = version >= readVersionMax
	out := Metadata{ProtocolType: r.string(), Generation: r.int32(), Protocol: r.nullable(), Since: -1}
	if leader := r.nullable(); leader != nil {
		out.Leader = *leader
	}
	if version >= 2 {
		out.Since = max(-1, r.int64())
	}
	ids, instances := map[string]bool{}, map[string]bool{}
	for range r.count(memberSizeMin) {
		m, protocolBytes := r.member(version)
		if r.bad != nil {
			break
		}
		if out.Protocol == nil {
			return Metadata{}, fmt.Errorf("member %q has no protocol", m.MemberID)
		}
		if m.MemberID == "" || ids[m.MemberID] || instances[m.InstanceID] {
			return Metadata{}, fmt.Errorf("member %q, instance %q is there twice or has no id", m.MemberID, m.InstanceID)
		}
		ids[m.MemberID], instances[m.InstanceID] = true, m.InstanceID != ""
		m.Protocols = []protocol.GroupProtocol{{Name: *out.Protocol, Metadata: protocolBytes}}
		out.Members = append(out.Members, m)
	}
	r.tags()
	return out, r.end()
}

// memberSizeMin is the size of a member whose strings are all empty, in the version where that is least.
const memberSizeMin = 15

func (r *reader) member(version int16) (m Member, metadata []byte) {
	m.MemberID = r.string()
	if version >= 3 {
		if instance := r.nullable(); instance != nil {
			m.InstanceID = *instance
		}
	}
	m.ClientID, m.ClientHost = r.string(), r.string()
	rebalance := int32(-1)
	if version >= 1 {
		rebalance = r.int32()
	}
	session := max(0, r.int32())
	if rebalance < 0 {
		rebalance = session
	}
	m.RebalanceTimeout, m.SessionTimeout = time.Duration(rebalance)*time.Millisecond, time.Duration(session)*time.Millisecond
	metadata, m.Assignment = r.bytes(), r.bytes()
	r.tags()
	return m, metadata
}

// reader takes a record apart. After the first thing that is not there bad says so and all else is zero.
type reader struct {
	in       []byte
	flexible bool // compact lengths and tagged fields
	bad      error
}

var (
	errShort = errors.New("it is cut short")
	errNull  = errors.New("something is null that must not be")
	errLong  = errors.New("bytes follow its end")
)

func (r *reader) fail(err error) {
	if r.bad == nil {
		r.bad = err
	}
	r.in = nil
}

// span takes the next n bytes, as a view.
func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.in) {
		r.fail(errShort)
		return nil
	}
	out := r.in[:n]
	r.in = r.in[n:]
	return out
}

func (r *reader) int16() int16 {
	if b := r.span(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.span(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.span(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uvarint() int {
	v, n := binary.Uvarint(r.in)
	if n <= 0 || v > 1<<31 {
		r.fail(errShort)
		return 0
	}
	r.in = r.in[n:]
	return int(v)
}

// length of a string or of bytes; -1 is null.
func (r *reader) length(wide bool) int {
	switch {
	case r.flexible:
		return r.uvarint() - 1
	case wide:
		return int(r.int32())
	}
	return int(r.int16())
}

// count of the elements of an array, each of which takes at least size bytes.
func (r *reader) count(size int) int {
	n := r.length(true)
	if n < 0 {
		r.fail(errNull)
		return 0
	}
	if n > len(r.in)/size {
		r.fail(errShort)
		return 0
	}
	return n
}

func (r *reader) nullable() *string {
	n := r.length(false)
	if n < 0 {
		return nil
	}
	s := string(r.span(n))
	return &s
}

func (r *reader) string() string {
	if s := r.nullable(); s != nil {
		return *s
	}
	r.fail(errNull)
	return ""
}

// bytes takes a copy.
func (r *reader) bytes() []byte {
	n := r.length(true)
	if n < 0 {
		r.fail(errNull)
		return nil
	}
	return slices.Clone(r.span(n))
}

// tags skips tagged fields; none is known.
func (r *reader) tags() {
	if !r.flexible {
		return
	}
	for range r.uvarint() {
		if r.bad != nil {
			return
		}
		r.uvarint()
		r.span(r.uvarint())
	}
}

// end reports what went wrong, if anything did.
func (r *reader) end() error {
	if r.bad == nil && len(r.in) > 0 {
		return errLong
	}
	return r.bad
}
