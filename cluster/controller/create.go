package controller

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/cluster/placement"
)

// PartitionsPerRequestMax bounds the partitions one request may create: they are one entry of the metadata log. Beyond it the whole
// request is POLICY_VIOLATION, as in Kafka, whose bound is 10,000 (KAFKA-17870).
const PartitionsPerRequestMax = 20_000

// createTopics decides CreateTopics. Source: ReplicationControlManager.createTopics, ControllerApis.createTopics.
func (d *decider) createTopics(c *protocol.CreateTopics) *protocol.TopicsCreated {
	out := &protocol.TopicsCreated{Answer: protocol.Answer{ID: c.ID}, Topics: make([]protocol.TopicResult, len(c.Topics))}
	tooMany := d.countPartitions(c.Topics)
	names := newNameSet(d.img, len(c.Topics))
	for _, t := range c.Topics {
		names.count[t.Name]++
	}
	for i := range c.Topics {
		t := &c.Topics[i]
		row := &out.Topics[i]
		row.Name = t.Name
		if row.Fault = tooMany; row.Failed() {
			continue
		}
		if existing, ok := d.img.Topic(t.Name); ok && c.Auto {
			row.ID, row.Partitions, row.ReplicationFactor = existing.ID, existing.NumPartitions(), existing.ReplicationFactor()
			continue
		}
		row.Fault = names.check(t.Name)
		if c.Auto && !row.Failed() && !d.defaults().AutoCreateTopics {
			row.Fault = fault(protocol.UnknownTopicOrPartition, "This server does not create topics on demand (auto.create.topics.enable is false)")
		}
		if row.Failed() {
			continue
		}
		d.createTopic(t, row, c.ValidateOnly)
		if !row.Failed() {
			names.take(t.Name)
		}
	}
	return out
}

// countPartitions refuses requests for too many.
func (d *decider) countPartitions(topics []protocol.NewTopic) protocol.Fault {
	total := int64(0)
	for _, t := range topics {
		switch {
		case len(t.Assignments) > 0:
			total += int64(len(t.Assignments))
		case t.Partitions == -1:
			total += int64(d.defaults().NumPartitions)
		default:
			total += max(0, int64(t.Partitions))
		}
	}
	return d.tooManyPartitions(total, "partitions")
}

// tooManyPartitions refuses requests over PartitionsPerRequestMax, and those that would bring the cluster over cluster.max.partitions; what
// is what they ask for.
func (d *decider) tooManyPartitions(more int64, what string) protocol.Fault {
	if more > PartitionsPerRequestMax {
		return fault(protocol.PolicyViolation, "Excessively large number of "+what+" per request.")
	}
	if has, most := int64(d.img.NumPartitions()), d.defaults().Int("cluster.max.partitions"); more > 0 && has+more > most {
		return fault(protocol.PolicyViolation, fmt.Sprintf("The cluster has %d partitions; %d more would be over cluster.max.partitions, which is %d", has, more, most))
	}
	return protocol.Fault{}
}

// nameSet knows the names a new topic must not have.
type nameSet struct {
	img   *image.Image
	count map[string]int    // in the request
	taken map[string]string // unified name -> name of a topic created by this request
}

func newNameSet(img *image.Image, n int) *nameSet {
	return &nameSet{img: img, count: make(map[string]int, n), taken: make(map[string]string)}
}

func (s *nameSet) check(name string) protocol.Fault {
	if s.count[name] > 1 {
		return fault(protocol.InvalidRequest, "Duplicate topic name.")
	}
	if name == metadataTopic {
		return fault(protocol.InvalidRequest, "Creation of internal topic "+name+" is prohibited.")
	}
	if f := CheckTopicName(name); f.Failed() {
		return f
	}
	if _, exists := s.img.Topic(name); exists {
		return fault(protocol.TopicAlreadyExists, "Topic '"+name+"' already exists.")
	}
	other, collides := s.img.Colliding(name)
	if !collides {
		other, collides = s.taken[image.UnifyCollisions(name)]
	}
	if collides {
		return fault(protocol.InvalidTopic, "Topic '"+name+"' collides with existing topic: "+other)
	}
	return protocol.Fault{}
}

func (s *nameSet) take(name string) { s.taken[image.UnifyCollisions(name)] = name }

// createTopic decides one topic whose name is free.
func (d *decider) createTopic(t *protocol.NewTopic, row *protocol.TopicResult, validateOnly bool) {
	settings, bad := d.newSettings(t.Configs)
	if row.Fault = bad; row.Failed() {
		return
	}
	replicas, bad := d.replicasOf(t)
	if row.Fault = bad; row.Failed() {
		return
	}
	row.Partitions, row.ReplicationFactor = int32(len(replicas.sets)), int16(len(replicas.sets[0]))
	if validateOnly {
		return
	}
	row.ID = replicas.topic
	d.add(&image.TopicCreated{Name: t.Name, ID: row.ID})
	for _, e := range settings {
		d.add(&image.ConfigChanged{Resource: protocol.ResourceTopic, Name: t.Name, Key: e.Key, Value: e.Value})
	}
	d.addPartitions(replicas, 0)
}

// newSettings checks the settings of a new topic and puts them in order.
func (d *decider) newSettings(configs []protocol.ConfigEntry) ([]protocol.ConfigEntry, protocol.Fault) {
	if len(configs) == 0 {
		return nil, protocol.Fault{}
	}
	var null []string
	for _, e := range configs {
		if e.Null {
			null = append(null, e.Key)
		}
	}
	if len(null) > 0 {
		return nil, fault(protocol.InvalidConfig, "Null value not supported for topic configs: "+strings.Join(null, ","))
	}
	settings := config.Sort(slices.Clone(configs))
	return settings, d.checkTopicSettings(settings)
}

// checkTopicSettings checks all settings a topic has or would have, alone and together.
func (d *decider) checkTopicSettings(settings []protocol.ConfigEntry) protocol.Fault {
	if err := config.ValidateTopic(settings); err != nil {
		return fault(protocol.InvalidConfig, err.Error())
	}
	if _, err := config.Resolve(d.values(), settings); err != nil {
		return fault(protocol.InvalidConfig, err.Error())
	}
	return protocol.Fault{}
}

// replicaSets are the replicas of new partitions, in order.
type replicaSets struct {
	topic protocol.TopicID
	sets  [][]protocol.NodeID
	live  map[protocol.NodeID]bool
}

func (d *decider) replicasOf(t *protocol.NewTopic) (*replicaSets, protocol.Fault) {
	out := &replicaSets{live: d.live()}
	if len(t.Assignments) > 0 {
		f := d.assigned(t, out)
		out.topic = d.newTopicID()
		return out, f
	}
	if t.ReplicationFactor < -1 || t.ReplicationFactor == 0 {
		return nil, fault(protocol.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if t.Partitions < -1 || t.Partitions == 0 {
		return nil, fault(protocol.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	partitions, factor := int(t.Partitions), int(t.ReplicationFactor)
	if partitions == -1 {
		partitions = int(d.defaults().NumPartitions)
	}
	if factor == -1 {
		factor = int(d.defaults().DefaultReplicationFactor)
	}
	out.topic = d.newTopicID()
	f := d.place(out, nil, partitions, factor)
	return out, f
}

// place chooses replicas for count more partitions.
func (d *decider) place(out *replicaSets, existing [][]protocol.NodeID, count, factor int) protocol.Fault {
	nodes := d.img.LiveNodes()
	if len(nodes) < factor {
		nodes = d.img.Nodes() // replicas may wait for a fenced broker, as long as one is live
	}
	impossible := func(why string) protocol.Fault {
		return fault(protocol.InvalidReplicationFactor, fmt.Sprintf("Unable to replicate the partition %d time(s): %s", factor, why))
	}
	switch {
	case len(nodes) < factor:
		return impossible(fmt.Sprintf("The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.", factor, len(nodes)))
	case len(out.live) == 0:
		return impossible("All brokers are currently fenced or in controlled shutdown.")
	}
	request := placement.Request{Topic: out.topic, Existing: existing, Count: count, ReplicationFactor: factor, Nodes: make([]placement.Node, len(nodes))}
	for i, n := range nodes {
		request.Nodes[i] = placement.Node{ID: n.ID, Rack: n.Rack}
	}
	out.sets = placement.Place(request)
	for _, set := range out.sets {
		if !slices.ContainsFunc(set, func(id protocol.NodeID) bool { return out.live[id] }) {
			return impossible("All brokers are currently fenced or in controlled shutdown.")
		}
	}
	return protocol.Fault{}
}

func (d *decider) live() map[protocol.NodeID]bool {
	out := map[protocol.NodeID]bool{}
	for _, n := range d.img.LiveNodes() {
		out[n.ID] = true
	}
	return out
}

// assigned takes the replicas a request places by hand.
func (d *decider) assigned(t *protocol.NewTopic, out *replicaSets) protocol.Fault {
	if t.ReplicationFactor != -1 {
		return fault(protocol.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if t.Partitions != -1 {
		return fault(protocol.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	byNumber := slices.SortedStableFunc(slices.Values(t.Assignments), func(a, b protocol.ReplicaAssignment) int { return cmp.Compare(a.Partition, b.Partition) })
	for i, a := range byNumber {
		if i > 0 && byNumber[i-1].Partition == a.Partition {
			return fault(protocol.InvalidReplicaAssignment, fmt.Sprintf("Found multiple manual partition assignments for partition %d", a.Partition))
		}
	}
	for i, a := range byNumber {
		if a.Partition != int32(i) {
			return fault(protocol.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		if f := d.checkAssignment(a.Replicas, len(byNumber[0].Replicas), i, out); f.Failed() {
			return f
		}
		out.sets = append(out.sets, a.Replicas)
	}
	return protocol.Fault{}
}

// checkAssignment checks the replicas somebody chose for one partition.
func (d *decider) checkAssignment(replicas []protocol.NodeID, factor, partition int, out *replicaSets) protocol.Fault {
	wrong := func(format string, args ...any) protocol.Fault {
		return fault(protocol.InvalidReplicaAssignment, fmt.Sprintf(format, args...))
	}
	if len(replicas) == 0 {
		return wrong("The manual partition assignment includes an empty replica list.")
	}
	alive := false
	for i, id := range replicas {
		if _, ok := d.img.Node(id); !ok {
			return wrong("The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if slices.Contains(replicas[:i], id) {
			return wrong("The manual partition assignment includes the broker %d more than once.", id)
		}
		alive = alive || out.live[id]
	}
	if len(replicas) != factor {
		return wrong("The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), factor)
	}
	if !alive {
		return wrong("All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", partition)
	}
	return protocol.Fault{}
}

// addPartitions adds a record a partition, numbered from first. The ISR is what of the replicas is live, the leader its first.
func (d *decider) addPartitions(r *replicaSets, first int32) {
	d.records = slices.Grow(d.records, len(r.sets))
	for i, set := range r.sets {
		p := &image.PartitionAdded{Topic: r.topic, Partition: first + int32(i), Replicas: set}
		for _, id := range set {
			if r.live[id] {
				p.ISR = append(p.ISR, id)
			}
		}
		p.Leader = p.ISR[0]
		if len(p.ISR) == len(set) {
			p.ISR = nil // all of them
		}
		d.add(p)
	}
}

// idAttemptsMax bounds the search for a topic id; one in 64 begins with a dash.
const idAttemptsMax = 1000

// newTopicID makes a random UUID of version 4 that is not in use. Source: Uuid.randomUuid.
func (d *decider) newTopicID() (id protocol.TopicID) {
	for range idAttemptsMax {
		binary.BigEndian.PutUint64(id[:8], d.now.Rand())
		binary.BigEndian.PutUint64(id[8:], d.now.Rand())
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if _, used := d.img.TopicByID(id); !used && id.String()[0] != '-' {
			return id
		}
	}
	invariant.Check(false, "chance gave no usable topic id in %d attempts", idAttemptsMax)
	return id
}
