package partition

import (
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Table finds the handle of a partition hosted on this node. Readers take no lock and may be on any goroutine; there is one writer
// at a time, the host. The tree is copy-on-write: a reader works on the tree it loaded.
type Table struct {
	published atomic.Pointer[topicTree]
	writing   *topicTree // the writer's own tree; what is published is always a copy that nobody changes
	hosted    atomic.Int64
}

type topicTree = btree.BTreeG[topicEntry]

// topicEntry is a value, so that looking one up allocates nothing.
type topicEntry struct {
	topic protocol.TopicID
	*topicHandles
}

// topicHandles are the partitions of one topic, indexed by partition; a slot is nil where the partition is not hosted here.
// The slice never grows in place: a longer one replaces the whole value.
type topicHandles struct {
	slots []atomic.Pointer[Handle]
	live  int // slots in use; only the writer looks
}

func lessTopic(a, b topicEntry) bool { return string(a.topic[:]) < string(b.topic[:]) }

// NewTable is a table without partitions.
func NewTable() *Table {
	t := &Table{writing: btree.NewBTreeGOptions(lessTopic, btree.Options{NoLocks: true})}
	t.publish()
	return t
}

func (t *Table) publish() { t.published.Store(t.writing.Copy()) }

// Get returns the handle of tp, or nil if it is not hosted here.
func (t *Table) Get(tp protocol.TopicPartition) *Handle {
	topic, ok := t.published.Load().Get(topicEntry{topic: tp.Topic})
	if !ok || tp.Partition < 0 || int(tp.Partition) >= len(topic.slots) {
		return nil
	}
	return topic.slots[tp.Partition].Load()
}

// Each calls f for every handle in the order of protocol.TopicPartition.Less, until f returns false.
func (t *Table) Each(f func(*Handle) bool) {
	t.published.Load().Scan(func(topic topicEntry) bool {
		for i := range topic.slots {
			if h := topic.slots[i].Load(); h != nil && !f(h) {
				return false
			}
		}
		return true
	})
}

// Len is the number of partitions hosted here.
func (t *Table) Len() int { return int(t.hosted.Load()) }

// Put adds handles, replacing those of the same partition, in one change: 10,000 at once cost milliseconds. Host only.
func (t *Table) Put(handles ...*Handle) {
	for len(handles) > 0 {
		n := 1
		for n < len(handles) && handles[n].Partition.Topic == handles[0].Partition.Topic {
			n++
		}
		t.putTopic(handles[:n])
		handles = handles[n:]
	}
	t.publish()
}

// putTopic puts handles of one topic. Readers of a tree published earlier may see slots change: the slice is shared with them.
func (t *Table) putTopic(handles []*Handle) {
	id := handles[0].Partition.Topic
	size := 0
	for _, h := range handles {
		size = max(size, int(h.Partition.Partition)+1)
	}
	topic, ok := t.writing.Get(topicEntry{topic: id})
	if !ok {
		topic = topicEntry{id, &topicHandles{slots: make([]atomic.Pointer[Handle], size)}}
		t.writing.Set(topic)
	} else if size > len(topic.slots) {
		topic = topicEntry{id, topic.grow(max(size, 2*len(topic.slots)))}
		t.writing.Set(topic)
	}
	for _, h := range handles {
		if before := topic.slots[h.Partition.Partition].Load(); before != nil {
			h.traffic = before.traffic
		}
		if topic.slots[h.Partition.Partition].Swap(h) == nil {
			topic.live++
			t.hosted.Add(1)
		}
	}
}

func (t *topicHandles) grow(size int) *topicHandles {
	grown := &topicHandles{slots: make([]atomic.Pointer[Handle], size), live: t.live}
	for i := range t.slots {
		grown.slots[i].Store(t.slots[i].Load())
	}
	return grown
}

// Remove takes partitions out, in one change. Host only.
func (t *Table) Remove(partitions ...protocol.TopicPartition) {
	for _, tp := range partitions {
		topic, ok := t.writing.Get(topicEntry{topic: tp.Topic})
		if !ok || tp.Partition < 0 || int(tp.Partition) >= len(topic.slots) {
			continue
		}
		if topic.slots[tp.Partition].Swap(nil) == nil {
			continue
		}
		t.hosted.Add(-1)
		if topic.live--; topic.live == 0 {
			t.writing.Delete(topic)
		}
	}
	t.publish()
}
