package image

import (
	"encoding/binary"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Records calls f with the records that rebuild the image when folded, at MetadataOffset, into Empty, until it returns false. They
// share memory with the image and must not be changed.
func (m *Image) Records(f func(Record) bool) {
	if m.ClusterID != "" && !f(&ClusterFounded{ClusterID: m.ClusterID}) {
		return
	}
	stop := false
	yield := func(r Record) bool {
		stop = stop || !f(r)
		return !stop
	}
	m.features.Scan(func(name string, level int16) bool { return yield(&FeatureLevelSet{Name: name, Level: level}) })
	m.nodes.Scan(func(_ protocol.NodeID, n *Node) bool {
		return yield(&BrokerRegistered{
			Node: n.ID, Incarnation: n.Incarnation, Rack: n.Rack, Fenced: n.Fenced, Listeners: n.Listeners,
			Epoch: n.Epoch, InControlledShutdown: n.InControlledShutdown,
		})
	})
	m.brokers.Scan(func(name string, entries []protocol.ConfigEntry) bool {
		return settings(protocol.ResourceBroker, name, entries, yield)
	})
	m.groups.Scan(func(id string, entries []protocol.ConfigEntry) bool {
		return settings(protocol.ResourceGroup, id, entries, yield)
	})
	m.scrams.Scan(func(_ string, c *ScramCredential) bool { return yield(c.record()) })
	m.topics.Scan(func(_ string, t *Topic) bool { return t.records(yield) })
	if m.NextProducerID > 0 {
		yield(&ProducerIDsReserved{Node: protocol.NoNode, Epoch: -1, First: m.NextProducerID - 1, Next: m.NextProducerID})
	}
}

func (t *Topic) records(yield func(Record) bool) bool {
	if !yield(&TopicCreated{Name: t.Name, ID: t.ID}) {
		return false
	}
	more := true
	t.EachPartition(func(i int32, p *Partition) bool {
		rare := p.less()
		more = yield(&PartitionAdded{
			Topic: t.ID, Partition: i, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
			Replicas: p.Replicas, ISR: p.ISR, Recovery: p.Recovery,
			Adding: rare.adding, Removing: rare.removing, ELR: rare.elr, LastKnownELR: rare.lastKnownELR,
		})
		return more
	})
	return more && settings(protocol.ResourceTopic, t.Name, t.Config, yield)
}

func settings(resource protocol.ResourceType, name string, entries []protocol.ConfigEntry, yield func(Record) bool) bool {
	for _, e := range entries {
		if !yield(&ConfigChanged{Resource: resource, Name: name, Key: e.Key, Value: e.Value}) {
			return false
		}
	}
	return true
}

// Hash is the same for equal images (ControllerID aside) on every node and in every process. It walks the whole image: for checks.
func (m *Image) Hash() uint64 {
	h := hasher{d: xxhash.New()}
	h.text(m.ClusterID)
	h.numbers(m.MetadataOffset, int64(m.NextProducerID), int64(m.topics.Len()), int64(m.nodes.Len()))
	m.features.Scan(func(name string, level int16) bool {
		h.text(name)
		h.numbers(int64(level))
		return true
	})
	for _, n := range m.Nodes() {
		h.numbers(int64(n.ID), int64(n.Epoch), flag(n.Fenced), flag(n.InControlledShutdown), int64(len(n.Listeners)))
		h.text(string(n.Incarnation[:]))
		h.text(n.Rack)
		for _, l := range n.Listeners {
			h.text(l.Name)
			h.text(l.Protocol)
			h.text(l.Host + ":" + strconv.Itoa(int(l.Port)))
		}
	}
	m.brokers.Scan(func(name string, entries []protocol.ConfigEntry) bool {
		h.text(name)
		h.entries(entries)
		return true
	})
	m.groups.Scan(func(id string, entries []protocol.ConfigEntry) bool {
		h.text(id)
		h.entries(entries)
		return true
	})
	m.scrams.Scan(func(key string, c *ScramCredential) bool {
		h.text(key)
		h.numbers(int64(c.Iterations))
		for _, b := range [][]byte{c.Salt, c.StoredKey, c.ServerKey} {
			h.text(string(b))
		}
		return true
	})
	m.EachTopic(func(t *Topic) bool {
		h.topic(t)
		return true
	})
	return h.d.Sum64()
}

type hasher struct {
	d   *xxhash.Digest
	buf [8]byte
}

func (h *hasher) numbers(ns ...int64) {
	for _, n := range ns {
		binary.LittleEndian.PutUint64(h.buf[:], uint64(n))
		_, _ = h.d.Write(h.buf[:])
	}
}

// text hashes the length too, so that "ab","c" differs from "a","bc".
func (h *hasher) text(s string) {
	h.numbers(int64(len(s)))
	_, _ = h.d.WriteString(s)
}

func (h *hasher) entries(entries []protocol.ConfigEntry) {
	h.numbers(int64(len(entries)))
	for _, e := range entries {
		h.text(e.Key)
		h.text(e.Value)
	}
}

func (h *hasher) topic(t *Topic) {
	h.text(t.Name)
	h.text(string(t.ID[:]))
	h.entries(t.Config)
	h.numbers(int64(t.NumPartitions()))
	t.EachPartition(func(_ int32, p *Partition) bool {
		h.numbers(int64(p.Leader), int64(p.LeaderEpoch), int64(p.PartitionEpoch), int64(p.Recovery))
		rare := p.less()
		for _, set := range [][]protocol.NodeID{p.Replicas, p.ISR, rare.adding, rare.removing, rare.elr, rare.lastKnownELR} {
			h.numbers(int64(len(set)))
			for _, id := range set {
				h.numbers(int64(id))
			}
		}
		return true
	})
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
