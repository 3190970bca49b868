package model

import (
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka's error codes that the model answers.
const (
	none                    = 0
	offsetOutOfRange        = 1
	corruptMessage          = 2
	unknownTopicOrPartition = 3
	invalidTopic            = 17
	invalidRequiredAcks     = 21
	topicAlreadyExists      = 36
	invalidPartitions       = 37
	outOfOrderSequence      = 45
	invalidProducerEpoch    = 47
	invalidTxnState         = 48
	unknownTopicID          = 100
)

// ID is a topic id.
type ID = [16]byte

// Broker is the whole state.
type Broker struct {
	topics       []*topic
	ids          uint64
	producers    int64
	transactions []*transaction
	ended        int // transactions
	// Bug is what the model does wrong: tests plant one to see that it is found.
	Bug Bug
}

// Bug is a planted fault of the model.
type Bug string

// Bugs that the tests of the clients and the checker plant.
const (
	NoBug          Bug = ""
	LoseBatch      Bug = "a batch is acknowledged and not kept"
	NoDeduplicate  Bug = "a repeated batch is appended again"
	SkipRecord     Bug = "a fetch leaves a batch out"
	WrongOffset    Bug = "an acknowledgement names the next offset"
	FailAndKeep    Bug = "a batch is refused and kept"
	DamageBytes    Bug = "a byte of a value changes"
	StaleWatermark Bug = "a fetch shows an old high watermark"
	KeepDeleted    Bug = "a recreated topic has the records of the deleted one"
	ShowAborted    Bug = "an aborted transaction is left out of the list"
	ShowOpen       Bug = "read_committed reads up to the high watermark"
	TearCommit     Bug = "one partition of a committed transaction is aborted"
	LoseMarker     Bug = "a marker is not written"
	JoinNext       Bug = "a batch is not held to its transaction"
)

type topic struct {
	name       string
	id         ID
	partitions []*partition
	appendTime bool
}

type partition struct {
	batches   []batch
	start     int64
	producers []*producer
	appends   int
	open      []openTxn
	aborted   []abortedTxn
}

// batch is raw v2 bytes at its offset.
type batch struct {
	base, last int64
	raw        []byte
}

type producer struct {
	id     int64
	epoch  int16
	recent []appended // at most 5, oldest first
}

type appended struct {
	first, last int32
	base        int64
}

func (p *partition) end() int64 {
	if n := len(p.batches); n > 0 {
		return p.batches[n-1].last + 1
	}
	return 0
}

func (b *Broker) byName(name string) *topic {
	i := slices.IndexFunc(b.topics, func(t *topic) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return b.topics[i]
}

func (b *Broker) byID(id ID) *topic {
	i := slices.IndexFunc(b.topics, func(t *topic) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return b.topics[i]
}

// find resolves a topic as a request names it: by id from byIDFrom on, else by name.
func (b *Broker) find(name string, id ID, byID bool) (*topic, int16) {
	if byID {
		if t := b.byID(id); t != nil {
			return t, none
		}
		return nil, unknownTopicID
	}
	if t := b.byName(name); t != nil {
		return t, none
	}
	return nil, unknownTopicOrPartition
}

func (t *topic) partition(i int32) *partition {
	if t == nil || i < 0 || int(i) >= len(t.partitions) {
		return nil
	}
	return t.partitions[i]
}

// Handle answers a request. wall is the broker's wall clock in milliseconds. A request the model does not know is answered with nil.
func (b *Broker) Handle(req kmsg.Request, wall int64) kmsg.Response {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	switch r := req.(type) {
	case *kmsg.ApiVersionsRequest:
		b.apiVersions(resp.(*kmsg.ApiVersionsResponse))
	case *kmsg.MetadataRequest:
		b.metadata(r, resp.(*kmsg.MetadataResponse))
	case *kmsg.CreateTopicsRequest:
		b.createTopics(r, resp.(*kmsg.CreateTopicsResponse))
	case *kmsg.DeleteTopicsRequest:
		b.deleteTopics(r, resp.(*kmsg.DeleteTopicsResponse))
	case *kmsg.CreatePartitionsRequest:
		b.createPartitions(r, resp.(*kmsg.CreatePartitionsResponse))
	case *kmsg.IncrementalAlterConfigsRequest:
		b.alterConfigs(r, resp.(*kmsg.IncrementalAlterConfigsResponse))
	case *kmsg.DeleteRecordsRequest:
		b.deleteRecords(r, resp.(*kmsg.DeleteRecordsResponse))
	case *kmsg.InitProducerIDRequest:
		b.initProducerID(r, resp.(*kmsg.InitProducerIDResponse), wall)
	case *kmsg.FindCoordinatorRequest:
	case *kmsg.AddPartitionsToTxnRequest:
		b.addPartitions(r, resp.(*kmsg.AddPartitionsToTxnResponse))
	case *kmsg.EndTxnRequest:
		b.endTxn(r, resp.(*kmsg.EndTxnResponse), wall)
	case *kmsg.ProduceRequest:
		b.produce(r, resp.(*kmsg.ProduceResponse), wall)
	case *kmsg.FetchRequest:
		b.fetch(r, resp.(*kmsg.FetchResponse))
	case *kmsg.ListOffsetsRequest:
		b.listOffsets(r, resp.(*kmsg.ListOffsetsResponse))
	default:
		return nil
	}
	return resp
}

// apis are the APIs of the model with the versions it speaks. Fetch stops below sessions by leaving them out: it never gives an id.
var apis = []struct{ key, min, max int16 }{
	{0, 3, 13}, {1, 4, 17}, {2, 1, 10}, {3, 0, 13}, {18, 0, 4}, {19, 0, 7}, {20, 0, 6}, {21, 0, 2}, {10, 0, 3}, {22, 0, 5}, {24, 0, 3}, {26, 0, 5}, {37, 0, 3}, {44, 0, 1},
}

func (b *Broker) apiVersions(out *kmsg.ApiVersionsResponse) {
	for _, a := range apis {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = a.key, a.min, a.max
		out.ApiKeys = append(out.ApiKeys, k)
	}
}

func (b *Broker) metadata(r *kmsg.MetadataRequest, out *kmsg.MetadataResponse) {
	add := func(name string, id ID, t *topic, code int16) {
		m := kmsg.NewMetadataResponseTopic()
		m.Topic, m.TopicID, m.ErrorCode = kmsg.StringPtr(name), id, code
		if t != nil {
			m.Topic, m.TopicID = kmsg.StringPtr(t.name), t.id
			for i := range t.partitions {
				p := kmsg.NewMetadataResponseTopicPartition()
				p.Partition = int32(i)
				m.Partitions = append(m.Partitions, p)
			}
		}
		out.Topics = append(out.Topics, m)
	}
	if r.Topics == nil || r.Version == 0 && len(r.Topics) == 0 {
		for _, t := range b.topics {
			add("", ID{}, t, none)
		}
		return
	}
	for _, rt := range r.Topics {
		name := ""
		if rt.Topic != nil {
			name = *rt.Topic
		}
		t, code := b.find(name, rt.TopicID, rt.Topic == nil)
		add(name, rt.TopicID, t, code)
	}
}

func (b *Broker) createTopics(r *kmsg.CreateTopicsRequest, out *kmsg.CreateTopicsResponse) {
	for _, rt := range r.Topics {
		row := kmsg.NewCreateTopicsResponseTopic()
		row.Topic = rt.Topic
		switch {
		case rt.Topic == "":
			row.ErrorCode = invalidTopic
		case b.byName(rt.Topic) != nil:
			row.ErrorCode = topicAlreadyExists
		case rt.NumPartitions == 0:
			row.ErrorCode = invalidPartitions
		case !r.ValidateOnly:
			t := b.create(rt)
			row.TopicID, row.NumPartitions, row.ReplicationFactor = t.id, int32(len(t.partitions)), 1
		}
		out.Topics = append(out.Topics, row)
	}
}

func (b *Broker) create(rt kmsg.CreateTopicsRequestTopic) *topic {
	b.ids++
	t := &topic{name: rt.Topic}
	binary.BigEndian.PutUint64(t.id[8:], b.ids)
	for _, c := range rt.Configs {
		t.appendTime = t.appendTime || c.Name == "message.timestamp.type" && c.Value != nil && *c.Value == "LogAppendTime"
	}
	for range max(1, rt.NumPartitions) {
		t.partitions = append(t.partitions, &partition{})
	}
	if old := b.byName("deleted " + rt.Topic); old != nil {
		t.partitions[0] = old.partitions[0]
	}
	b.topics = append(b.topics, t)
	return t
}

func (b *Broker) deleteTopics(r *kmsg.DeleteTopicsRequest, out *kmsg.DeleteTopicsResponse) {
	for _, name := range r.TopicNames {
		b.deleteTopic(kmsg.StringPtr(name), ID{}, out)
	}
	for _, rt := range r.Topics {
		b.deleteTopic(rt.Topic, rt.TopicID, out)
	}
}

func (b *Broker) deleteTopic(name *string, id ID, out *kmsg.DeleteTopicsResponse) {
	row := kmsg.NewDeleteTopicsResponseTopic()
	row.Topic, row.TopicID = name, id
	var t *topic
	if name != nil {
		t, row.ErrorCode = b.find(*name, id, false)
	} else {
		t, row.ErrorCode = b.find("", id, true)
	}
	if t != nil {
		row.Topic, row.TopicID = kmsg.StringPtr(t.name), t.id
		if b.Bug == KeepDeleted {
			t.name, t.id = "deleted "+t.name, ID{}
		} else {
			b.topics = slices.DeleteFunc(b.topics, func(o *topic) bool { return o == t })
		}
	}
	out.Topics = append(out.Topics, row)
}

func (b *Broker) createPartitions(r *kmsg.CreatePartitionsRequest, out *kmsg.CreatePartitionsResponse) {
	for _, rt := range r.Topics {
		row := kmsg.NewCreatePartitionsResponseTopic()
		row.Topic = rt.Topic
		t := b.byName(rt.Topic)
		switch {
		case t == nil:
			row.ErrorCode = unknownTopicOrPartition
		case int(rt.Count) <= len(t.partitions):
			row.ErrorCode = invalidPartitions
		case !r.ValidateOnly:
			for len(t.partitions) < int(rt.Count) {
				t.partitions = append(t.partitions, &partition{})
			}
		}
		out.Topics = append(out.Topics, row)
	}
}

func (b *Broker) alterConfigs(r *kmsg.IncrementalAlterConfigsRequest, out *kmsg.IncrementalAlterConfigsResponse) {
	for _, rr := range r.Resources {
		row := kmsg.NewIncrementalAlterConfigsResponseResource()
		row.ResourceType, row.ResourceName = rr.ResourceType, rr.ResourceName
		if rr.ResourceType == kmsg.ConfigResourceTypeTopic && b.byName(rr.ResourceName) == nil {
			row.ErrorCode = unknownTopicOrPartition
		}
		out.Resources = append(out.Resources, row)
	}
}

func (b *Broker) deleteRecords(r *kmsg.DeleteRecordsRequest, out *kmsg.DeleteRecordsResponse) {
	for _, rt := range r.Topics {
		row := kmsg.NewDeleteRecordsResponseTopic()
		row.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewDeleteRecordsResponseTopicPartition()
			part.Partition, part.LowWatermark = rp.Partition, -1
			p := b.byName(rt.Topic).partition(rp.Partition)
			part.ErrorCode, part.LowWatermark = p.trim(rp.Offset)
			row.Partitions = append(row.Partitions, part)
		}
		out.Topics = append(out.Topics, row)
	}
}

func (p *partition) trim(before int64) (code int16, low int64) {
	switch {
	case p == nil:
		return unknownTopicOrPartition, -1
	case before == -1:
		before = p.end()
	case before < 0 || before > p.end():
		return offsetOutOfRange, -1
	}
	p.start = max(p.start, before)
	return none, p.start
}
