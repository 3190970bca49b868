package offsets

import (
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// entry is one committed offset: 40 bytes, so that a million fit in memory. What is mostly the same for all partitions of a topic is
// shared.
type entry struct {
	partition   int32
	leaderEpoch protocol.LeaderEpoch
	offset      int64
	committed   int64 // milliseconds
	at          int64 // offset of its record in the log
	rest        *rest
}

// rest is what commits rarely differ in.
type rest struct {
	metadata string
	topicID  protocol.TopicID
	expires  int64 // milliseconds, noExpiry if there is none
}

// plain is the rest of a commit that says nothing more.
var plain = &rest{expires: noExpiry}

// scanMax is how many partitions of a topic are searched one by one; with more there is an index.
const scanMax = 16

// parts are the offsets of one topic, in no order.
type parts struct {
	topic   string
	entries []entry
	index   map[int32]int32 // place in entries, by partition; nil up to scanMax
	last    *rest           // of the newest entry, for the next one like it; never nil
}

// place is where the partition is in entries, -1 if it is not.
func (p *parts) place(partition int32) int {
	if p.index != nil {
		if i, ok := p.index[partition]; ok {
			return int(i)
		}
		return -1
	}
	for i := range p.entries {
		if p.entries[i].partition == partition {
			return i
		}
	}
	return -1
}

// put sets an offset and reports whether it is new.
func (p *parts) put(e entry) bool {
	if i := p.place(e.partition); i >= 0 {
		p.entries[i] = e
		return false
	}
	p.entries = append(p.entries, e)
	switch n := len(p.entries); {
	case p.index != nil:
		p.index[e.partition] = int32(n - 1)
	case n > scanMax:
		p.index = make(map[int32]int32, 2*n)
		for i := range p.entries {
			p.index[p.entries[i].partition] = int32(i)
		}
	}
	return true
}

// drop removes the entry at i.
func (p *parts) drop(i int) {
	last := len(p.entries) - 1
	if p.index != nil {
		delete(p.index, p.entries[i].partition)
		if i != last {
			p.index[p.entries[last].partition] = int32(i)
		}
	}
	p.entries[i] = p.entries[last]
	p.entries[last] = entry{}
	p.entries = p.entries[:last]
}

// restOf is the rest of v, shared with the entry before it if it is the same. v may be a view.
func (p *parts) restOf(v *Value) *rest {
	if l := p.last; l.metadata == v.Metadata && l.topicID == v.TopicID && l.expires == v.Expires {
		return l
	}
	p.last = &rest{strings.Clone(v.Metadata), v.TopicID, v.Expires}
	return p.last
}

// table is offsets by topic and partition.
type table struct {
	topics map[string]*parts
	len    int
}

func (t *table) get(topic string, partition int32) *entry {
	p := t.topics[topic]
	if p == nil {
		return nil
	}
	i := p.place(partition)
	if i < 0 {
		return nil
	}
	return &p.entries[i]
}

// of is the topic's part of the table, made if it is not there. topic may be a view; name, if it is not empty, is the same for keeping.
func (t *table) of(topic, name string) *parts {
	if p := t.topics[topic]; p != nil {
		return p
	}
	if t.topics == nil {
		t.topics = map[string]*parts{}
	}
	if name == "" {
		name = strings.Clone(topic)
	}
	p := &parts{topic: name, last: plain}
	t.topics[name] = p
	return p
}

func (t *table) put(p *parts, e entry) {
	if p.put(e) {
		t.len++
	}
}

// remove takes an offset out and returns the name of its topic, which is no view even if topic is.
func (t *table) remove(topic string, partition int32) (name string, ok bool) {
	p := t.topics[topic]
	if p == nil {
		return "", false
	}
	i := p.place(partition)
	if i < 0 {
		return "", false
	}
	p.drop(i)
	if t.len--; len(p.entries) == 0 {
		delete(t.topics, topic)
	}
	return p.topic, true
}

// sorted lists the topics by name.
func (t *table) sorted() []*parts {
	out := make([]*parts, 0, len(t.topics))
	for _, p := range t.topics {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *parts) int { return strings.Compare(a.topic, b.topic) })
	return out
}

// sorted lists the entries by partition.
func (p *parts) sorted() []entry {
	out := slices.Clone(p.entries)
	slices.SortFunc(out, func(a, b entry) int { return int(a.partition) - int(b.partition) })
	return out
}
