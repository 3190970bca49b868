package api

import (
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Metadata: v0-13.
//
// Behaviour:
//   - v0: no topics means all. v1+: null means all, an empty list none.
//   - A topic that does not exist is created at once if the request and auto.create.topics.enable allow it, and the answer shows it
//     ready to use: Kafka answers UNKNOWN_TOPIC_OR_PARTITION or LEADER_NOT_AVAILABLE first and lets the client come back. So do we beyond
//     autoCreateMax topics of one request.
//   - A broker without advertised address is shown under the address the client itself used to reach it.
//
// Version history:
//   - v1: controller id, rack, internal flag; v2: cluster id; v4: allow auto creation (KIP-204); v5: offline replicas (KIP-112)
//   - v7: leader epochs (KIP-320); v8: authorized operations (KIP-430); v9: flexible
//   - v10: topic ids in the response, v12: in the request (KIP-516); v11: no cluster operations (KIP-700)
//   - v13: an error of the whole request (KIP-1102)
//
// Skipped: authorized operations are all there are, as in Kafka without an authorizer.
//
// Source: KafkaApis.handleTopicMetadataRequest, KRaftMetadataCache.

const (
	// autoCreateMax is how many topics one Metadata request creates; for the others the client has to come again, as in Kafka for all.
	autoCreateMax = 100
	// autoCreateWait is how long a Metadata request waits for the topics it creates.
	autoCreateWait = 15 * time.Second

	topicOperations   = 0x0df8 // read write create delete alter describe describeConfigs alterConfigs
	clusterOperations = 0x1fa0 // create alter describe clusterAction describeConfigs alterConfigs idempotentWrite

	leaderNotAvailable = protocol.LeaderNotAvailable
)

func handleMetadata(c *Call) {
	req := kmsg.NewPtrMetadataRequest()
	if !c.read(req) {
		return
	}
	faults := map[string]protocol.Code{}
	all := &join{left: 1, done: func() { c.metadata(req, faults) }}
	cmd := &protocol.CreateTopics{Timeout: autoCreateWait, Auto: true, By: c.requester()}
	for i, name := range c.toCreate(req) {
		faults[name] = leaderNotAvailable
		if i >= autoCreateMax {
			continue
		}
		if kind, ok := coordinates(name); ok {
			all.left++
			c.findCoordinator(kind, "", func(protocol.NodeID, protocol.Code) { all.one() })
			continue
		}
		cmd.Topics = append(cmd.Topics, protocol.NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1})
	}
	if len(cmd.Topics) > 0 {
		all.left++
		c.Conn.askController(cmd, autoCreateWait, func(reply any, _ protocol.Code) {
			if m, ok := reply.(*protocol.TopicsCreated); ok {
				for _, t := range m.Topics {
					faults[t.Name] = t.Code
				}
			}
			all.one()
		})
	}
	all.one()
}

// coordinates is the kind of coordinator that a topic is of: it is made as for the first who looks for one.
func coordinates(topic string) (kind int8, ok bool) {
	switch topic {
	case offsetsTopic:
		return coordinatorGroup, true
	case transactionsTopic:
		return coordinatorTransaction, true
	}
	return 0, false
}

// toCreate lists the topics that are missing and may be created.
func (c *Call) toCreate(req *kmsg.MetadataRequest) (names []string) {
	if c.Version >= 4 && !req.AllowAutoTopicCreation || !c.Conn.Settings().AutoCreateTopicsEnable {
		return nil
	}
	img := c.Conn.Images.Load()
	for i := range req.Topics {
		t := &req.Topics[i]
		if t.Topic == nil || !validTopicName(*t.Topic) {
			continue
		}
		if _, ours := coordinates(*t.Topic); isInternal(*t.Topic) && !ours {
			continue
		}
		if _, ok := img.Topic(*t.Topic); !ok {
			names = append(names, *t.Topic)
		}
	}
	return unique(names)
}

// unique drops repetitions, keeping the order.
func unique(names []string) (out []string) {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// metadata answers the request. faults say why topics that were to be created do not exist.
func (c *Call) metadata(req *kmsg.MetadataRequest, faults map[string]protocol.Code) {
	s, img := c.Conn.Server, c.Conn.Images.Load()
	out := kmsg.NewPtrMetadataResponse()
	out.ControllerID = int32(img.ControllerID)
	out.ClusterID = &img.ClusterID
	if req.IncludeClusterAuthorizedOperations {
		out.AuthorizedOperations = clusterOperations
	}
	d := describer{server: s, listener: c.Conn.Peer.Listener, operations: req.IncludeTopicAuthorizedOperations, live: map[protocol.NodeID]bool{}}
	for _, n := range img.LiveNodes() {
		a := s.address(c.Conn.Peer, n)
		d.live[n.ID] = true
		out.Brokers = append(out.Brokers, kmsg.MetadataResponseBroker{NodeID: int32(n.ID), Host: a.Host, Port: a.Port, Rack: textOrNull(n.Rack)})
	}
	if req.Topics == nil || c.Version == 0 && len(req.Topics) == 0 {
		d.reserve(img.NumPartitions())
		out.Topics = make([]kmsg.MetadataResponseTopic, 0, img.NumTopics())
		img.EachTopic(func(t *image.Topic) bool {
			out.Topics = append(out.Topics, d.topic(t))
			return true
		})
	} else {
		out.Topics = c.named(req, img, &d, faults)
	}
	c.reply(out)
}

// named describes the topics a request names, each once.
func (c *Call) named(req *kmsg.MetadataRequest, img *image.Image, d *describer, faults map[string]protocol.Code) []kmsg.MetadataResponseTopic {
	out := make([]kmsg.MetadataResponseTopic, 0, len(req.Topics))
	names, ids := map[string]bool{}, map[protocol.TopicID]bool{}
	for i := range req.Topics {
		t := &req.Topics[i]
		row := kmsg.NewMetadataResponseTopic()
		row.Topic = t.Topic
		switch id := protocol.TopicID(t.TopicID); {
		case !id.IsZero() && c.Version < 12 || id.IsZero() && t.Topic == nil:
			row.ErrorCode, row.TopicID = int16(protocol.InvalidRequest), t.TopicID
		case !id.IsZero():
			if ids[id] {
				continue
			}
			ids[id] = true
			row.Topic, row.TopicID = nil, t.TopicID
			if found, ok := img.TopicByID(id); ok {
				row = d.topic(found)
			} else {
				row.ErrorCode = int16(protocol.UnknownTopicID)
			}
		default:
			if names[*t.Topic] {
				continue
			}
			names[*t.Topic] = true
			row = d.byName(img, *t.Topic, faults)
		}
		c.failed(protocol.Code(row.ErrorCode))
		out = append(out, row)
	}
	return out
}

// byName describes a topic, or says why there is none.
func (d *describer) byName(img *image.Image, name string, faults map[string]protocol.Code) kmsg.MetadataResponseTopic {
	if t, ok := img.Topic(name); ok {
		return d.topic(t)
	}
	row := kmsg.NewMetadataResponseTopic()
	row.Topic, row.IsInternal = &name, isInternal(name)
	code := protocol.UnknownTopicOrPartition
	if fault, ok := faults[name]; ok && fault != protocol.None {
		code = fault
	}
	switch {
	case !validTopicName(name):
		code = protocol.InvalidTopic
	case code == protocol.NotController || code == protocol.RequestTimedOut || code == protocol.ThrottlingQuotaExceeded:
		code = leaderNotAvailable // come back
	}
	row.ErrorCode = int16(code)
	return row
}

// describer describes topics. What a response holds is carved from slabs: a request for everything must not cost an allocation a
// partition.
type describer struct {
	server     *Server
	listener   string
	operations bool
	live       map[protocol.NodeID]bool
	slab       []kmsg.MetadataResponseTopicPartition
}

func (d *describer) reserve(partitions int) {
	d.slab = make([]kmsg.MetadataResponseTopicPartition, 0, partitions)
}

func (d *describer) topic(t *image.Topic) kmsg.MetadataResponseTopic {
	row := kmsg.NewMetadataResponseTopic()
	row.Topic, row.TopicID, row.IsInternal = &t.Name, t.ID, isInternal(t.Name)
	if d.operations {
		row.AuthorizedOperations = topicOperations
	}
	n := int(t.NumPartitions())
	if cap(d.slab)-len(d.slab) < n {
		d.reserve(n)
	}
	from := len(d.slab)
	d.slab = d.slab[:from+n]
	row.Partitions = d.slab[from : from+n : from+n]
	t.EachPartition(func(number int32, p *image.Partition) bool {
		d.partition(&row.Partitions[number], t, number, p)
		return true
	})
	return row
}

func (d *describer) partition(row *kmsg.MetadataResponseTopicPartition, t *image.Topic, number int32, p *image.Partition) {
	*row = kmsg.NewMetadataResponseTopicPartition()
	leader, offline := d.state(t, number, p)
	row.Partition, row.Leader, row.LeaderEpoch = number, int32(leader), int32(p.LeaderEpoch)
	row.Replicas, row.ISR, row.OfflineReplicas = numbers(p.Replicas), numbers(p.ISR), offline
	if leader == protocol.NoNode {
		row.ErrorCode = int16(leaderNotAvailable)
	}
}

// state is who leads a partition, and which of its replicas are offline: on nodes that are not there, or here with a log that is offline.
// Such a log leads nobody; Kafka's controller hears of it and has it led elsewhere, or by none.
func (d *describer) state(t *image.Topic, number int32, p *image.Partition) (leader protocol.NodeID, offline []int32) {
	leader = p.Leader
	for _, id := range p.Replicas {
		if d.live[id] && (id != d.server.NodeID || !d.server.broken(t, number)) {
			continue
		}
		offline = append(offline, int32(id))
		if id == d.server.NodeID && leader == id {
			leader = protocol.NoNode
		}
	}
	return leader, offline
}

// broken reports that the log of a partition here is offline.
func (s *Server) broken(t *image.Topic, number int32) bool {
	h := s.Table.Get(protocol.TopicPartition{Topic: t.ID, Partition: number})
	return h != nil && h.View().Err == protocol.KafkaStorageError
}

// numbers is ids as kmsg wants them, without copying; shared and not to be changed.
func numbers(ids []protocol.NodeID) []int32 {
	return unsafe.Slice((*int32)(unsafe.SliceData(ids)), len(ids))
}
