package consumer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// value begins to read a value; it fails for versions this package does not know.
func value(src []byte, k kind) (*kbin.Reader, error) {
	r := &kbin.Reader{Src: src}
	if version := r.Int16(); !r.Ok() || version != valueVersion {
		return nil, fmt.Errorf("the value of a record of type %d has version %d, not %d", k, version, valueVersion)
	}
	return r, nil
}

// finish says whether the value could be read. Bytes behind it are left to later versions, as Kafka does.
func finish(r *kbin.Reader, k kind) error {
	if !r.Ok() {
		return fmt.Errorf("the value of a record of type %d is malformed", k)
	}
	return nil
}

// readTags reads tagged fields; field 0 goes to read, others are passed over.
func readTags(r *kbin.Reader, read func(field *kbin.Reader)) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		tag, size := r.Uvarint(), r.Uvarint()
		field := kbin.Reader{Src: r.Span(int(size))}
		if !r.Ok() {
			return
		}
		if tag == 0 && read != nil {
			if read(&field); !field.Ok() {
				r.Span(-1) // a field that ends early makes the whole malformed
			}
		}
	}
}

// readArray calls element for each element of a compact array; null is empty.
func readArray(r *kbin.Reader, element func()) {
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		element()
	}
}

func readInts(r *kbin.Reader) []int32 {
	n := r.CompactArrayLen()
	if n <= 0 || int(n) > len(r.Src)/4 {
		if n > 0 {
			r.Span(-1)
		}
		return nil
	}
	out := make([]int32, n)
	for i := range out {
		out[i] = r.Int32()
	}
	return out
}

func readStrings(r *kbin.Reader) (out []string) {
	readArray(r, func() { out = append(out, r.CompactString()) })
	return out
}

func readNullable(r *kbin.Reader) string {
	if s := r.CompactNullableString(); s != nil {
		return *s
	}
	return ""
}

func decodeGroup(src []byte) (epoch int32, hash int64, err error) {
	r, err := value(src, kindGroup)
	if err != nil {
		return 0, 0, err
	}
	epoch = r.Int32()
	readTags(r, func(f *kbin.Reader) { hash = f.Int64() })
	return epoch, hash, finish(r, kindGroup)
}

func decodeTarget(src []byte) (epoch int32, timestamp int64, err error) {
	r, err := value(src, kindTarget)
	if err != nil {
		return 0, 0, err
	}
	epoch = r.Int32()
	readTags(r, func(f *kbin.Reader) { timestamp = f.Int64() })
	return epoch, timestamp, finish(r, kindTarget)
}

// decodeMember reads the metadata of a member into m.
func decodeMember(src []byte, m *member) error {
	r, err := value(src, kindMember)
	if err != nil {
		return err
	}
	m.instanceID, m.rack = readNullable(r), readNullable(r)
	m.clientID, m.clientHost = r.CompactString(), r.CompactString()
	m.topics = readStrings(r)
	m.regex = readNullable(r)
	m.rebalanceTimeout = r.Int32()
	m.assignor = readNullable(r)
	m.classic = &classicMember{}
	readTags(r, func(f *kbin.Reader) { m.classic = readClassic(f) })
	slices.Sort(m.topics)
	m.topics = slices.Compact(m.topics)
	return finish(r, kindMember)
}

func readClassic(f *kbin.Reader) *classicMember {
	if f.Uvarint() == 0 { // null
		return nil
	}
	out := &classicMember{sessionTimeout: f.Int32()}
	readArray(f, func() {
		out.protocols = append(out.protocols, protocol.GroupProtocol{Name: f.CompactString(), Metadata: slices.Clone(f.CompactBytes())})
		readTags(f, nil)
	})
	readTags(f, nil)
	return out
}

func decodeTargetMember(src []byte) (rows []protocol.TopicPartitions, err error) {
	r, err := value(src, kindTargetMember)
	if err != nil {
		return nil, err
	}
	readArray(r, func() {
		row := protocol.TopicPartitions{Topic: r.Uuid(), Partitions: readInts(r)}
		readTags(r, nil)
		slices.Sort(row.Partitions)
		row.Partitions = slices.Compact(row.Partitions)
		if len(row.Partitions) > 0 {
			rows = append(rows, row)
		}
	})
	readTags(r, nil)
	slices.SortStableFunc(rows, func(a, b protocol.TopicPartitions) int { return compareTopics(a.Topic, b.Topic) })
	return rows, finish(r, kindTargetMember)
}

// decodeCurrent reads the current assignment of a member into m.
func decodeCurrent(src []byte, m *member) error {
	r, err := value(src, kindCurrent)
	if err != nil {
		return err
	}
	m.epoch, m.previousEpoch, m.state = r.Int32(), r.Int32(), memberState(r.Int8())
	m.assigned = readHolding(r, m.epoch)
	m.revoking = readHolding(r, m.epoch)
	readTags(r, nil)
	return finish(r, kindCurrent)
}

// readHolding puts what it reads in order. Without epochs, as logs from before 4.3 have it, all partitions get the member's: nothing
// older may commit to them then.
func readHolding(r *kbin.Reader, epoch int32) holding {
	var list []held
	readArray(r, func() {
		t := held{topic: r.Uuid(), partitions: readInts(r)}
		readTags(r, func(f *kbin.Reader) { t.epochs = readInts(f) })
		list = append(list, t)
	})
	if !r.Ok() {
		return nil
	}
	type one struct {
		topic            protocol.TopicID
		partition, epoch int32
	}
	var all []one
	for _, t := range list {
		for i, p := range t.partitions {
			o := one{t.topic, p, max(epoch, 0)}
			if len(t.epochs) == len(t.partitions) {
				o.epoch = t.epochs[i]
			}
			all = append(all, o)
		}
	}
	slices.SortStableFunc(all, func(a, b one) int {
		return cmp.Or(compareTopics(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	var out holding
	for i, o := range all {
		if i == 0 || o.topic != all[i-1].topic || o.partition != all[i-1].partition {
			out.add(o.topic, o.partition, o.epoch)
		}
	}
	return out
}

func decodeRegex(src []byte) (topics []string, version, timestamp int64, err error) {
	r, err := value(src, kindRegex)
	if err != nil {
		return nil, 0, 0, err
	}
	topics = readStrings(r)
	version, timestamp = r.Int64(), r.Int64()
	readTags(r, nil)
	slices.Sort(topics)
	return slices.Compact(topics), version, timestamp, finish(r, kindRegex)
}
