package image

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/btree"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Apply folds the records of one log entry, whose index is offset, into a new image and tells what changed. m stays as it is. The
// records belong to the image from now on.
func (m *Image) Apply(offset int64, records []Record) (*Image, Delta) {
	invariant.Check(offset > m.MetadataOffset, "metadata offset goes back from %d to %d", m.MetadataOffset, offset)
	f := &fold{mine: new(token), offset: offset}
	f.img = *m
	f.img.MetadataOffset = offset
	f.img.topics = m.topics.Copy()
	f.img.topicsByID = m.topicsByID.Copy()
	f.img.nodes = m.nodes.Copy()
	f.img.brokers = m.brokers.Copy()
	f.img.groups = m.groups.Copy()
	f.img.scrams = m.scrams.Copy()
	f.img.features = m.features.Copy()
	f.img.unified = m.unified.Copy()
	for _, r := range records {
		r.apply(f)
	}
	f.delta.From, f.delta.To = m.MetadataOffset, offset
	f.delta.normalize()
	return &f.img, f.delta
}

// fold is one Apply under way.
type fold struct {
	img    Image
	delta  Delta
	offset int64
	mine   *token
	last   *Topic // the topic changed last, if it is ours: records of one topic come together
}

// own returns the topic in a copy that this fold may change.
func (f *fold) own(id protocol.TopicID) *Topic {
	if f.last != nil && f.last.ID == id {
		return f.last
	}
	t, ok := f.img.TopicByID(id)
	invariant.Check(ok, "record at metadata offset %d names unknown topic %v", f.offset, id)
	if t.owner != f.mine {
		c := *t
		c.owner, c.chunks = f.mine, slices.Clone(t.chunks)
		t = &c
		f.put(t)
	}
	f.last = t
	return t
}

func (f *fold) put(t *Topic) {
	f.img.topics.Set(t.Name, t)
	f.img.topicsByID.Set(string(t.ID[:]), t)
}

// ownPartition returns a partition that this fold may change.
func (f *fold) ownPartition(id protocol.TopicID, number int32) *Partition {
	t := f.own(id)
	invariant.Check(number >= 0 && number < t.NumPartitions(), "record at metadata offset %d names partition %d of %q, which has %d", f.offset, number, t.Name, t.NumPartitions())
	at := &t.chunks[number/chunkSize]
	if (*at).owner != f.mine {
		*at = &chunk{owner: f.mine, partitions: slices.Clone((*at).partitions)}
	}
	return &(*at).partitions[number%chunkSize]
}

// add appends a partition to a topic.
func (f *fold) add(id protocol.TopicID, number int32, p Partition) {
	t := f.own(id)
	f.img.TopologyOffset = f.offset
	invariant.Check(number == t.NumPartitions(), "record at metadata offset %d adds partition %d of %q, which has %d", f.offset, number, t.Name, t.NumPartitions())
	if number%chunkSize == 0 {
		t.chunks = append(t.chunks, &chunk{owner: f.mine})
	}
	at := &t.chunks[number/chunkSize]
	if (*at).owner != f.mine {
		*at = &chunk{owner: f.mine, partitions: slices.Clone((*at).partitions)}
	}
	if before, ok := t.Partition(number - 1); ok { // most partitions of a small cluster have the replicas of their neighbour
		p.Replicas, p.ISR = share(p.Replicas, before.Replicas), share(p.ISR, before.ISR)
	}
	p.ISR = share(p.ISR, p.Replicas)
	(*at).partitions = append((*at).partitions, p)
	f.img.partitions++
}

// share returns b if it says the same as a, so that a can be forgotten.
func share(a, b []protocol.NodeID) []protocol.NodeID {
	if slices.Equal(a, b) {
		return b
	}
	return slices.Clip(a)
}

func (r *ClusterFounded) apply(f *fold) {
	invariant.Check(f.img.ClusterID == "" || f.img.ClusterID == r.ClusterID, "cluster %s is founded again as %s at metadata offset %d", f.img.ClusterID, r.ClusterID, f.offset)
	f.img.ClusterID = r.ClusterID
}

func (r *FeatureLevelSet) apply(f *fold) {
	f.delta.Features = true
	if r.Level == 0 {
		f.img.features.Delete(r.Name)
		return
	}
	f.img.features.Set(r.Name, r.Level)
}

func (r *BrokerRegistered) apply(f *fold) {
	epoch := r.Epoch
	if epoch == 0 {
		epoch = protocol.BrokerEpoch(f.offset)
	}
	if old, ok := f.img.nodes.Get(r.Node); ok {
		invariant.Check(epoch > old.Epoch, "epoch of broker %d goes from %d to %d", r.Node, old.Epoch, epoch)
	}
	f.img.nodes.Set(r.Node, &Node{
		ID: r.Node, Epoch: epoch, Incarnation: r.Incarnation, Rack: r.Rack,
		Fenced: r.Fenced, InControlledShutdown: r.InControlledShutdown, Listeners: r.Listeners,
	})
	f.delta.Nodes = append(f.delta.Nodes, r.Node)
}

func (r *BrokerChanged) apply(f *fold) {
	n, ok := f.img.nodes.Get(r.Node)
	if !ok || n.Epoch != r.Epoch {
		return // about a registration that has been replaced
	}
	c := *n
	c.Fenced, c.InControlledShutdown = r.Fenced, r.InControlledShutdown
	f.img.nodes.Set(r.Node, &c)
	f.delta.Nodes = append(f.delta.Nodes, r.Node)
}

func (r *BrokerUnregistered) apply(f *fold) {
	if n, ok := f.img.nodes.Get(r.Node); !ok || n.Epoch != r.Epoch {
		return
	}
	f.img.nodes.Delete(r.Node)
	f.delta.Nodes = append(f.delta.Nodes, r.Node)
}

func (r *TopicCreated) apply(f *fold) {
	_, byName := f.img.Topic(r.Name)
	_, byID := f.img.TopicByID(r.ID)
	invariant.Check(!byName && !byID, "record at metadata offset %d creates topic %q (%v), which exists", f.offset, r.Name, r.ID)
	f.put(&Topic{Name: r.Name, ID: r.ID, owner: f.mine})
	f.img.TopologyOffset = f.offset
	if strings.ContainsAny(r.Name, "._") {
		f.img.unified.Set(UnifyCollisions(r.Name), r.Name)
	}
	f.delta.TopicsCreated = append(f.delta.TopicsCreated, r.ID)
}

func (r *TopicDeleted) apply(f *fold) {
	t, ok := f.img.TopicByID(r.ID)
	invariant.Check(ok, "record at metadata offset %d deletes unknown topic %v", f.offset, r.ID)
	f.img.TopologyOffset = f.offset
	f.img.topics.Delete(t.Name)
	f.img.topicsByID.Delete(string(r.ID[:]))
	f.img.unified.Delete(UnifyCollisions(t.Name))
	f.img.partitions -= int(t.NumPartitions())
	f.last = nil
	f.delta.TopicsDeleted = append(f.delta.TopicsDeleted, t)
}

func (r *PartitionAdded) apply(f *fold) {
	isr := r.ISR
	if len(isr) == 0 && r.Leader != protocol.NoNode {
		isr = r.Replicas
	}
	f.add(r.Topic, r.Partition, Partition{
		Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch, Recovery: r.Recovery,
		Replicas: r.Replicas, ISR: isr, rare: rareOf(r.Adding, r.Removing, r.ELR, r.LastKnownELR),
	})
	f.delta.Partitions = append(f.delta.Partitions, protocol.TopicPartition{Topic: r.Topic, Partition: r.Partition})
}

func (r *PartitionChanged) apply(f *fold) {
	p := f.ownPartition(r.Topic, r.Partition)
	invariant.Check(r.PartitionEpoch > p.PartitionEpoch && r.LeaderEpoch >= p.LeaderEpoch, "record at metadata offset %d takes partition %d of %v from epochs %d/%d to %d/%d",
		f.offset, r.Partition, r.Topic, p.LeaderEpoch, p.PartitionEpoch, r.LeaderEpoch, r.PartitionEpoch)
	replicas := share(r.Replicas, p.Replicas)
	*p = Partition{
		Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch, Recovery: r.Recovery,
		Replicas: replicas, ISR: share(r.ISR, replicas), rare: rareOf(r.Adding, r.Removing, r.ELR, r.LastKnownELR),
	}
	f.delta.Partitions = append(f.delta.Partitions, protocol.TopicPartition{Topic: r.Topic, Partition: r.Partition})
}

func rareOf(adding, removing, elr, lastKnownELR []protocol.NodeID) *rare {
	if len(adding)+len(removing)+len(elr)+len(lastKnownELR) == 0 {
		return nil
	}
	return &rare{adding: adding, removing: removing, elr: elr, lastKnownELR: lastKnownELR}
}

func (r *ConfigChanged) apply(f *fold) {
	switch r.Resource {
	case protocol.ResourceTopic:
		t, ok := f.img.Topic(r.Name)
		invariant.Check(ok, "record at metadata offset %d configures unknown topic %q", f.offset, r.Name)
		t = f.own(t.ID)
		t.Config = r.change(t.Config)
		f.delta.TopicConfigs = append(f.delta.TopicConfigs, t.ID)
	case protocol.ResourceBroker:
		r.set(f.img.brokers)
		f.delta.BrokerConfigs = append(f.delta.BrokerConfigs, r.Name)
	case protocol.ResourceGroup:
		r.set(f.img.groups)
		f.delta.GroupConfigs = append(f.delta.GroupConfigs, r.Name)
	}
}

// set changes the settings of one resource; one that has none is not there.
func (r *ConfigChanged) set(all *btree.Map[string, []protocol.ConfigEntry]) {
	entries, _ := all.Get(r.Name)
	if entries = r.change(entries); len(entries) == 0 {
		all.Delete(r.Name)
	} else {
		all.Set(r.Name, entries)
	}
}

// change returns entries, sorted by key, with the record's one key set or removed. The old slice stays as it is.
func (r *ConfigChanged) change(entries []protocol.ConfigEntry) []protocol.ConfigEntry {
	i, found := slices.BinarySearchFunc(entries, r.Key, func(e protocol.ConfigEntry, key string) int { return cmp.Compare(e.Key, key) })
	out := slices.Clone(entries)
	entry := protocol.ConfigEntry{Key: r.Key, Value: r.Value}
	switch {
	case r.Null && found:
		out = slices.Delete(out, i, i+1)
	case r.Null:
	case found:
		out[i] = entry
	default:
		out = slices.Insert(out, i, entry)
	}
	return slices.Clip(out)
}

func (r *ProducerIDsReserved) apply(f *fold) {
	invariant.Check(r.First >= f.img.NextProducerID && r.Next > r.First, "record at metadata offset %d reserves producer ids [%d,%d) after %d", f.offset, r.First, r.Next, f.img.NextProducerID)
	f.img.NextProducerID = r.Next
}

// BrokerResource is the name of a broker's configuration resource.
func BrokerResource(id protocol.NodeID) string { return strconv.Itoa(int(id)) }
