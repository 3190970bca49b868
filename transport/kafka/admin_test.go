package kafka

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

func metadataRequest(names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return req
}

func TestMetadataInEveryVersion(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 3)
	w.topic("__consumer_offsets", 1)
	c := w.connect()
	for version := int16(0); version <= 13; version++ {
		all := metadataRequest()
		if version > 0 {
			all.Topics = nil
		}
		resp := ask[*kmsg.MetadataResponse](c, version, all)
		if len(resp.Topics) != 2 || len(resp.Topics[1].Partitions) != 3 || *resp.Topics[1].Topic != "events" {
			t.Fatalf("v%d: %+v", version, resp.Topics)
		}
		if version >= 1 && (!resp.Topics[0].IsInternal || resp.Topics[1].IsInternal || resp.ControllerID != 1) {
			t.Errorf("v%d: internal %v %v, controller %d", version, resp.Topics[0].IsInternal, resp.Topics[1].IsInternal, resp.ControllerID)
		}
		if version >= 2 && *resp.ClusterID != "cluster-of-the-test-00" {
			t.Errorf("v%d: cluster %q", version, *resp.ClusterID)
		}
		if p := resp.Topics[1].Partitions[2]; p.Partition != 2 || p.Leader != 1 || len(p.Replicas) != 1 || version >= 7 && p.LeaderEpoch != 3 || p.ErrorCode != 0 {
			t.Errorf("v%d: %+v", version, p)
		}
		if version >= 10 && protocol.TopicID(resp.Topics[1].TopicID) != topicID("events") {
			t.Errorf("v%d: id %v", version, resp.Topics[1].TopicID)
		}
		if resp.Topics[1].AuthorizedOperations != -1<<31 || resp.AuthorizedOperations != -1<<31 {
			t.Errorf("v%d: operations nobody asked for", version)
		}
		if version > 0 {
			if none := ask[*kmsg.MetadataResponse](c, version, metadataRequest()); len(none.Topics) != 0 || len(none.Brokers) != 2 {
				t.Errorf("v%d: an empty list gave %d topics", version, len(none.Topics))
			}
		}
	}
}

// Without advertised address a client is sent to where it already is; other nodes are where they registered.
func TestMetadataAnswersWithTheAddressTheClientUsed(t *testing.T) {
	w := newWorld(t)
	resp := ask[*kmsg.MetadataResponse](w.connect(), 12, metadataRequest())
	if b := resp.Brokers[0]; b.NodeID != 1 || b.Host != "127.0.0.1" || b.Port != 19092 {
		t.Errorf("%+v", b)
	}
	if b := resp.Brokers[1]; b.NodeID != 2 || b.Host != "other.example" || b.Port != 9093 || *b.Rack != "far" {
		t.Errorf("%+v", b)
	}
	w.settings.Advertised = map[string]api.Address{"PLAINTEXT": {Host: "kafka.example", Port: 9}}
	resp = ask[*kmsg.MetadataResponse](w.connect(), 12, metadataRequest())
	if b := resp.Brokers[0]; b.Host != "kafka.example" || b.Port != 9 {
		t.Errorf("%+v", b)
	}
	w.settings.Advertised = map[string]api.Address{"PLAINTEXT": {Host: "kafka.example"}} // of a listener on any port
	resp = ask[*kmsg.MetadataResponse](w.connect(), 12, metadataRequest())
	if b := resp.Brokers[0]; b.Host != "kafka.example" || b.Port != 19092 {
		t.Errorf("%+v", b)
	}
}

func TestMetadataFaults(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.settings.AutoCreateTopicsEnable = false
	c := w.connect()
	resp := ask[*kmsg.MetadataResponse](c, 9, metadataRequest("events", "nowhere", "bad name", "events", "..", ""))
	want := map[string]int16{"events": 0, "nowhere": 3, "bad name": 17, "..": 17, "": 17}
	if len(resp.Topics) != len(want) {
		t.Errorf("%d topics", len(resp.Topics))
	}
	for _, topic := range resp.Topics {
		if topic.ErrorCode != want[*topic.Topic] {
			t.Errorf("%q: %d", *topic.Topic, topic.ErrorCode)
		}
	}
	byID := metadataRequest()
	byID.Topics = []kmsg.MetadataRequestTopic{{TopicID: topicID("events")}, {TopicID: topicID("nowhere")}}
	resp = ask[*kmsg.MetadataResponse](c, 12, byID)
	if a, b := resp.Topics[0], resp.Topics[1]; a.ErrorCode != 0 || *a.Topic != "events" || b.ErrorCode != 100 || b.Topic != nil {
		t.Errorf("%+v", resp.Topics)
	}
	if len(w.ctl.got) > 0 {
		t.Error("a topic was created although that is off")
	}
}

// makesTopics is a node whose coordinators' topics are missing.
type makesTopics struct {
	directory
	w    *world
	made int
}

func (m *makesTopics) EnsureGroup(id string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	m.make("__consumer_offsets", done)
}

func (m *makesTopics) EnsureTransaction(id string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	m.make("__transaction_state", done)
}

func (m *makesTopics) make(name string, done func(protocol.NodeID, protocol.Code)) {
	m.made++
	m.w.topic(name, 2)
	done(self, protocol.None)
}

func TestMetadataCreatesTopics(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	resp := ask[*kmsg.MetadataResponse](c, 4, metadataRequest("fresh", "fresh", "bad name", "__share_group_state", "__consumer_offsets"))
	for _, topic := range resp.Topics {
		if want := map[string]int16{"fresh": 0, "bad name": 17, "__share_group_state": 3, "__consumer_offsets": 5}[*topic.Topic]; topic.ErrorCode != want {
			t.Errorf("%q: %d", *topic.Topic, topic.ErrorCode)
		}
	}
	if len(w.ctl.got) != 1 {
		t.Fatalf("%d requests to the controller", len(w.ctl.got))
	}
	co := &makesTopics{w: w}
	w.server.Coordinators = co
	resp = ask[*kmsg.MetadataResponse](c, 4, metadataRequest("__transaction_state", "__consumer_offsets", "__transaction_state"))
	for _, topic := range resp.Topics {
		if topic.ErrorCode != 0 || len(topic.Partitions) != 2 || !topic.IsInternal {
			t.Errorf("%q: %+v", *topic.Topic, topic)
		}
	}
	if len(w.ctl.got) != 1 || co.made != 2 {
		t.Errorf("%d requests to the controller, %d topics made", len(w.ctl.got), co.made)
	}
	if m := w.ctl.got[0].(*protocol.CreateTopics); !m.Auto || len(m.Topics) != 1 || m.Topics[0].Partitions != -1 || m.Topics[0].ReplicationFactor != -1 {
		t.Errorf("%+v", m)
	}
	if p := ask[*kmsg.ProduceResponse](c, 9, produceRequest(-1, "fresh", batch(1))).Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Errorf("a topic that was shown is not ready: %d", p.ErrorCode)
	}
	forbidden := metadataRequest("other")
	forbidden.AllowAutoTopicCreation = false
	if resp := ask[*kmsg.MetadataResponse](c, 4, forbidden); resp.Topics[0].ErrorCode != 3 {
		t.Errorf("%+v", resp.Topics)
	}
	w.ctl.fault = protocol.Fault{Code: protocol.InvalidReplicationFactor}
	if resp := ask[*kmsg.MetadataResponse](c, 3, metadataRequest("other")); resp.Topics[0].ErrorCode != 38 {
		t.Errorf("%+v", resp.Topics)
	}
	w.ctl.mute = true
	c.send(9, metadataRequest("third"))
	w.advance(time.Minute)
	if resp, _ := c.reply().(*kmsg.MetadataResponse); resp == nil || resp.Topics[0].ErrorCode != 5 {
		t.Errorf("no controller: %+v", resp)
	}
}

func TestListOffsets(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	w.apply(elsewhere()...)
	w.produce("events", 0, 5) // timestamps 1_700_000_000_000 + i
	w.produce("events", 0, 5)
	parts[0].stable = 7
	parts[0].publish()
	list := func(version int16, topic string, ts int64, change ...func(*kmsg.ListOffsetsRequest)) kmsg.ListOffsetsResponseTopicPartition {
		req := kmsg.NewPtrListOffsetsRequest()
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp, p.CurrentLeaderEpoch = ts, -1
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
		for _, f := range change {
			f(req)
		}
		return ask[*kmsg.ListOffsetsResponse](w.connect(), version, req).Topics[0].Partitions[0]
	}
	committed := func(r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 1 }
	epoch := func(e int32) func(*kmsg.ListOffsetsRequest) {
		return func(r *kmsg.ListOffsetsRequest) { r.Topics[0].Partitions[0].CurrentLeaderEpoch = e }
	}
	twice := func(r *kmsg.ListOffsetsRequest) {
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
	}
	for _, row := range []struct {
		what      string
		got       kmsg.ListOffsetsResponseTopicPartition
		code      int16
		offset    int64
		timestamp int64
	}{
		{"latest v1", list(1, "events", -1), 0, 10, -1},
		{"latest v11", list(11, "events", -1), 0, 10, -1},
		{"latest committed", list(2, "events", -1, committed), 0, 7, -1},
		{"earliest", list(5, "events", -2), 0, 0, -1},
		{"highest timestamp", list(7, "events", -3), 0, 4, 1_700_000_000_004},
		{"highest timestamp, too old", list(6, "events", -3), 35, -1, -1},
		{"earliest local", list(8, "events", -4), 0, 0, -1},
		{"last tiered", list(9, "events", -5), 0, -1, -1},
		{"pending", list(11, "events", -6), 0, -1, -1},
		{"pending, too old", list(10, "events", -6), 35, -1, -1},
		{"no such thing", list(11, "events", -7), 35, -1, -1},
		{"lowest number", list(11, "events", -1<<63), 35, -1, -1},
		{"inside a batch", list(4, "events", 1_700_000_000_002), 0, 2, 1_700_000_000_002},
		{"before all", list(4, "events", 5), 0, 0, 1_700_000_000_000},
		{"after all", list(4, "events", 1_800_000_000_000), 0, -1, -1},
		{"unknown topic", list(4, "nowhere", -1), 3, -1, -1},
		{"led elsewhere", list(4, "elsewhere", -1), 6, -1, -1},
		{"old epoch", list(4, "events", -1, epoch(2)), 74, -1, -1},
		{"future epoch", list(4, "events", -1, epoch(9)), 75, -1, -1},
		{"twice", list(4, "events", -1, twice), 42, -1, -1},
	} {
		if g := row.got; g.ErrorCode != row.code || g.Offset != row.offset || g.Timestamp != row.timestamp {
			t.Errorf("%s: %+v", row.what, g)
		}
	}
	if got := list(4, "events", -1); got.LeaderEpoch != 3 {
		t.Errorf("epoch %d", got.LeaderEpoch)
	}
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.produce("events", 0, 4)
	at := func(topic string, current, epoch int32) kmsg.OffsetForLeaderEpochResponseTopicPartition {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: current, LeaderEpoch: epoch}}}}
		return ask[*kmsg.OffsetForLeaderEpochResponse](w.connect(), 2, req).Topics[0].Partitions[0]
	}
	if p := at("events", -1, 3); p.ErrorCode != 0 || p.LeaderEpoch != 3 || p.EndOffset != 4 {
		t.Errorf("%+v", p)
	}
	if p := at("events", 2, 3); p.ErrorCode != 74 || p.LeaderEpoch != -1 || p.EndOffset != -1 {
		t.Errorf("%+v", p)
	}
	if p := at("nowhere", -1, 3); p.ErrorCode != 3 {
		t.Errorf("%+v", p)
	}
}

func TestCreateTopics(t *testing.T) {
	w := newWorld(t)
	req := kmsg.NewPtrCreateTopicsRequest()
	value := "1000"
	topic := func(name string) kmsg.CreateTopicsRequestTopic {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, 4, 1
		return t
	}
	first := topic("first")
	first.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: &value}, {Name: "nothing"}}
	first.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1, 2}}}
	req.Topics = []kmsg.CreateTopicsRequestTopic{first, topic("twice"), topic("twice"), topic("last")}
	resp := ask[*kmsg.CreateTopicsResponse](w.connect(), 7, req)
	codes := map[string]int16{}
	for _, row := range resp.Topics {
		codes[row.Topic] = row.ErrorCode
		if row.ErrorCode == 0 && (row.NumPartitions != 4 || protocol.TopicID(row.TopicID) != topicID(row.Topic) || len(row.Configs) < 20 || row.ErrorMessage != nil) {
			t.Errorf("%+v", row)
		}
	}
	if fmt.Sprint(codes) != "map[first:0 last:0 twice:42]" || len(resp.Topics) != 3 {
		t.Errorf("%v in %d rows", codes, len(resp.Topics))
	}
	m := w.ctl.got[0].(*protocol.CreateTopics).Topics[0]
	if len(m.Configs) != 2 || m.Configs[0].Value != "1000" || !m.Configs[1].Null || len(m.Assignments[0].Replicas) != 2 {
		t.Errorf("%+v", m)
	}
	w.ctl.fault = protocol.Fault{Code: protocol.TopicAlreadyExists, Reason: "it is there"}
	req = kmsg.NewPtrCreateTopicsRequest()
	req.Topics = []kmsg.CreateTopicsRequestTopic{topic("first")}
	resp = ask[*kmsg.CreateTopicsResponse](w.connect(), 2, req)
	if row := resp.Topics[0]; row.ErrorCode != 36 || *row.ErrorMessage != "it is there" {
		t.Errorf("%+v", row)
	}
	w.ctl.mute = true
	c := w.connect()
	c.send(7, req)
	w.advance(2 * time.Minute)
	if resp, _ := c.reply().(*kmsg.CreateTopicsResponse); resp == nil || resp.Topics[0].ErrorCode != 7 {
		t.Errorf("%+v", resp)
	}
}

func TestDeleteTopics(t *testing.T) {
	w := newWorld(t)
	name := "events"
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name}, {TopicID: topicID("other")}, {}, {Topic: &name, TopicID: topicID("other")},
		{TopicID: topicID("twice")}, {TopicID: topicID("twice")}}
	resp := ask[*kmsg.DeleteTopicsResponse](w.connect(), 6, req)
	var codes []int16
	for _, row := range resp.Topics {
		codes = append(codes, row.ErrorCode)
	}
	if fmt.Sprint(codes) != "[42 42 42 0 0]" {
		t.Errorf("%v", codes)
	}
	req = kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames = []string{"a", "b"}
	if resp = ask[*kmsg.DeleteTopicsResponse](w.connect(), 3, req); len(resp.Topics) != 2 || *resp.Topics[1].Topic != "b" {
		t.Errorf("%+v", resp.Topics)
	}
}

func TestDeleteRecords(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.topic("compact", 1, func(c *protocol.LogConfig) { c.Delete, c.Compact = false, true })
	w.produce("events", 0, 4)
	req := kmsg.NewPtrDeleteRecordsRequest()
	row := func(topic string, partition int32, offset int64) kmsg.DeleteRecordsRequestTopic {
		return kmsg.DeleteRecordsRequestTopic{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: offset}}}
	}
	req.Topics = []kmsg.DeleteRecordsRequestTopic{row("events", 0, 3), row("events", 9, 0), row("nowhere", 0, 0), row("compact", 0, 0), row("events", 0, -2)}
	resp := ask[*kmsg.DeleteRecordsResponse](w.connect(), 2, req)
	var got []string
	for _, t := range resp.Topics {
		got = append(got, fmt.Sprint(t.Partitions[0].ErrorCode, ":", t.Partitions[0].LowWatermark))
	}
	if fmt.Sprint(got) != "[0:3 3:-1 3:-1 44:-1 1:-1]" {
		t.Errorf("%v", got)
	}
}

// TestDeleteRecordsUnderEveryPolicy: only where nothing but compaction removes records, nobody else may. Kafka 4.4.0 answers the same.
func TestDeleteRecordsUnderEveryPolicy(t *testing.T) {
	for _, c := range []struct {
		compact, delete bool
		want            string
	}{{false, false, "0:3"}, {false, true, "0:3"}, {true, true, "0:3"}, {true, false, "44:-1"}} {
		w := newWorld(t)
		w.topic("events", 1, func(l *protocol.LogConfig) { l.Delete, l.Compact = c.delete, c.compact })
		w.produce("events", 0, 4)
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "events", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0, Offset: 3}}}}
		row := ask[*kmsg.DeleteRecordsResponse](w.connect(), 2, req).Topics[0].Partitions[0]
		if got := fmt.Sprint(row.ErrorCode, ":", row.LowWatermark); got != c.want {
			t.Errorf("compact %v, delete %v: %s, want %s", c.compact, c.delete, got, c.want)
		}
	}
}

func TestInitProducerIDsAreNeverGivenTwice(t *testing.T) {
	w := newWorld(t)
	seen := map[int64]bool{}
	clients := []*client{w.connect(), w.connect()}
	for i := range 5 { // beyond a block, which has 2
		for _, c := range clients {
			c.push(int16(i), kmsg.NewPtrInitProducerIDRequest())
		}
	}
	for _, c := range clients {
		for range 5 {
			resp, _ := c.reply().(*kmsg.InitProducerIDResponse)
			if resp == nil || resp.ErrorCode != 0 || seen[resp.ProducerID] || resp.ProducerEpoch != 0 {
				t.Fatalf("%+v", resp)
			}
			seen[resp.ProducerID] = true
		}
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = kmsg.StringPtr("tx")
	if resp := ask[*kmsg.InitProducerIDResponse](clients[0], 4, req); resp.ErrorCode != 15 || resp.ProducerID != -1 {
		t.Errorf("%+v", resp)
	}
	req.TransactionalID = kmsg.StringPtr("")
	if resp := ask[*kmsg.InitProducerIDResponse](clients[0], 4, req); resp.ErrorCode != 42 {
		t.Errorf("%+v", resp)
	}
	w.ctl.fault = protocol.Fault{Code: protocol.NotController}
	c := w.connect()
	for range 3 {
		if resp := ask[*kmsg.InitProducerIDResponse](c, 4, kmsg.NewPtrInitProducerIDRequest()); resp.ErrorCode != 0 && resp.ErrorCode != 15 {
			t.Errorf("without controller: %+v", resp)
		}
	}
}

func TestDescribeConfigs(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.apply(&image.ConfigChanged{Resource: protocol.ResourceTopic, Name: "events", Key: "retention.ms", Value: "5"},
		&image.ConfigChanged{Resource: protocol.ResourceBroker, Name: "", Key: "num.partitions", Value: "7"})
	w.server.Static = []protocol.ConfigEntry{{Key: "min.insync.replicas", Value: "2"}}
	describe := func(kind kmsg.ConfigResourceType, name string, keys ...string) kmsg.DescribeConfigsResponseResource {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms, req.IncludeDocumentation = true, true
		req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name, ConfigNames: keys}}
		return ask[*kmsg.DescribeConfigsResponse](w.connect(), 4, req).Resources[0]
	}
	find := func(r kmsg.DescribeConfigsResponseResource, key string) kmsg.DescribeConfigsResponseResourceConfig {
		for _, e := range r.Configs {
			if e.Name == key {
				return e
			}
		}
		t.Fatalf("no %s among %d settings", key, len(r.Configs))
		return kmsg.DescribeConfigsResponseResourceConfig{}
	}
	topic := describe(2, "events")
	if e := find(topic, "retention.ms"); *e.Value != "5" || e.Source != 1 || len(e.ConfigSynonyms) < 2 || e.Documentation == nil || e.ConfigType != 5 {
		t.Errorf("%+v", e)
	}
	if e := find(topic, "min.insync.replicas"); *e.Value != "2" || e.Source != 4 {
		t.Errorf("%+v", e)
	}
	if e := find(topic, "cleanup.policy"); *e.Value != "delete" || e.Source != 5 {
		t.Errorf("%+v", e)
	}
	broker := describe(4, "1")
	for _, key := range []string{"num.partitions", "default.replication.factor", "min.insync.replicas", "auto.create.topics.enable", "log.retention.ms", "log.retention.hours",
		"log.segment.bytes", "advertised.listeners", "log.dirs", "delete.topic.enable"} {
		find(broker, key)
	}
	if e := find(broker, "num.partitions"); *e.Value != "7" || e.Source != 3 {
		t.Errorf("%+v", e)
	}
	if r := describe(4, ""); len(r.Configs) != 1 || *find(r, "num.partitions").Value != "7" {
		t.Errorf("%+v", r)
	}
	if r := describe(2, "events", "retention.ms", "no.such.key"); len(r.Configs) != 1 {
		t.Errorf("%+v", r)
	}
	for _, row := range []struct {
		want int16
		got  kmsg.DescribeConfigsResponseResource
	}{
		{42, describe(4, "2")}, {42, describe(4, "x")}, {3, describe(2, "nowhere")}, {17, describe(2, "bad name")}, {42, describe(8, "2")}, {42, describe(8, "")}, {42, describe(77, "1")},
	} {
		if row.got.ErrorCode != row.want || row.got.ErrorMessage == nil {
			t.Errorf("want %d: %+v", row.want, row.got)
		}
	}
}

func TestAlterConfigs(t *testing.T) {
	w := newWorld(t)
	value := "5"
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter := func(kind kmsg.ConfigResourceType, name string, op kmsg.IncrementalAlterConfigOp, keys ...string) {
		r := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kind, ResourceName: name}
		for _, key := range keys {
			r.Configs = append(r.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: key, Op: op, Value: &value})
		}
		req.Resources = append(req.Resources, r)
	}
	alter(2, "good", 0, "retention.ms")
	alter(2, "again", 0, "retention.ms")
	alter(2, "again", 0, "retention.bytes")
	alter(2, "key twice", 0, "a", "a")
	alter(2, "operation", 9, "a")
	alter(4, "x", 0, "a")
	alter(8, "1", 0, "a")
	alter(4, "", 2, "a")
	resp := ask[*kmsg.IncrementalAlterConfigsResponse](w.connect(), 1, req)
	var codes []int16
	for i, r := range resp.Resources {
		codes = append(codes, r.ErrorCode)
		if r.ResourceName != req.Resources[i].ResourceName {
			t.Errorf("row %d is %q", i, r.ResourceName)
		}
	}
	if fmt.Sprint(codes) != "[0 42 42 42 42 42 40 0]" {
		t.Errorf("%v", codes)
	}
	m := w.ctl.got[0].(*protocol.AlterConfigs)
	if len(m.Resources) != 2 || m.Replace || m.Resources[1].Ops[0].Op != protocol.ConfigAppend {
		t.Errorf("%+v", m)
	}
	old := kmsg.NewPtrAlterConfigsRequest()
	old.ValidateOnly = true
	old.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: 2, ResourceName: "t", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "a", Value: &value}}},
		{ResourceType: 2, ResourceName: "u", Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "a"}}}}
	w.ctl.fault = protocol.Fault{Code: protocol.InvalidConfig, Reason: "no such key"}
	got := ask[*kmsg.AlterConfigsResponse](w.connect(), 0, old)
	if got.Resources[0].ErrorCode != 40 || *got.Resources[0].ErrorMessage != "no such key" || got.Resources[1].ErrorCode != 42 {
		t.Errorf("%+v", got.Resources)
	}
	if m := w.ctl.got[1].(*protocol.AlterConfigs); !m.Replace || !m.ValidateOnly || len(m.Resources) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestCreatePartitionsAnswersOneRowATopic(t *testing.T) {
	w := newWorld(t)
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "a", Count: 3}, {Topic: "b", Count: 4}, {Topic: "b", Count: 5}}
	resp := ask[*kmsg.CreatePartitionsResponse](w.connect(), 3, req)
	codes := map[string]int16{}
	for _, r := range resp.Topics {
		codes[r.Topic] = r.ErrorCode
	}
	if len(resp.Topics) != 2 || fmt.Sprint(codes) != "map[a:0 b:42]" {
		t.Errorf("%+v", resp.Topics)
	}
}

func TestDescribeLogDirs(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 2)
	w.topic("more", 1)
	w.produce("events", 1, 3)
	resp := ask[*kmsg.DescribeLogDirsResponse](w.connect(), 5, kmsg.NewPtrDescribeLogDirsRequest())
	d := resp.Dirs[0]
	if d.Dir != "/data" || d.UsableBytes != 10 || d.TotalBytes != 20 || len(d.Topics) != 2 || len(d.Topics[0].Partitions) != 2 || d.Topics[0].Partitions[1].Size != int64(len(batch(3))) {
		t.Errorf("%+v", d)
	}
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "events", Partitions: []int32{1, 7}}}
	resp = ask[*kmsg.DescribeLogDirsResponse](w.connect(), 1, req)
	if ts := resp.Dirs[0].Topics; len(ts) != 1 || len(ts[0].Partitions) != 1 || ts[0].Partitions[0].Partition != 1 {
		t.Errorf("%+v", ts)
	}
}

func TestDescribeCluster(t *testing.T) {
	w := newWorld(t)
	w.apply(&image.BrokerRegistered{Node: 3, Fenced: true})
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeClusterAuthorizedOperations = true
	resp := ask[*kmsg.DescribeClusterResponse](w.connect(), 0, req)
	if resp.ClusterID != "cluster-of-the-test-00" || resp.ControllerID != 1 || len(resp.Brokers) != 2 || resp.ClusterAuthorizedOperations != 8096 {
		t.Errorf("%+v", resp)
	}
	req.IncludeFencedBrokers = true
	if resp = ask[*kmsg.DescribeClusterResponse](w.connect(), 2, req); len(resp.Brokers) != 3 || !resp.Brokers[2].IsFenced {
		t.Errorf("%+v", resp)
	}
	for endpoint, want := range map[int8]int16{1: 0, 2: 114, 9: 115} {
		req.EndpointType = endpoint
		if resp = ask[*kmsg.DescribeClusterResponse](w.connect(), 1, req); resp.ErrorCode != want {
			t.Errorf("endpoint type %d: %d", endpoint, resp.ErrorCode)
		}
	}
}

func TestDescribeProducers(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "events", Partitions: []int32{0, 4}}}
	rows := ask[*kmsg.DescribeProducersResponse](w.connect(), 0, req).Topics[0].Partitions
	if rows[0].ErrorCode != 0 || rows[0].ActiveProducers[0].ProducerID != 9 || rows[1].ErrorCode != 3 {
		t.Errorf("%+v", rows)
	}
}

func TestDescribeTopicPartitionsPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		w.topic(name, 3)
	}
	w.settings.MaxRequestPartitionSizeLimit = 4
	c := w.connect()
	var seen []string
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 1000
	for pages := 1; ; pages++ {
		resp := ask[*kmsg.DescribeTopicPartitionsResponse](c, 0, req)
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				seen = append(seen, fmt.Sprint(*topic.Topic, p.Partition))
			}
		}
		if resp.NextCursor == nil {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
	}
	if fmt.Sprint(seen) != "[a0 a1 a2 b0 b1 b2 c0 c1 c2]" {
		t.Errorf("%v", seen)
	}
	req = kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 1000
	req.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "nowhere"}, {Topic: "b"}, {Topic: "bad name"}}
	resp := ask[*kmsg.DescribeTopicPartitionsResponse](c, 0, req)
	var codes []string
	for _, topic := range resp.Topics {
		codes = append(codes, fmt.Sprint(*topic.Topic, ":", topic.ErrorCode))
	}
	if fmt.Sprint(codes) != "[b:0 bad name:17 nowhere:3]" {
		t.Errorf("%v", codes)
	}
}

func BenchmarkMetadataOfTenThousandPartitions(b *testing.B) {
	w := newWorld(b)
	for i := range 100 {
		name := fmt.Sprintf("topic-%03d", i)
		records := []image.Record{&image.TopicCreated{Name: name, ID: topicID(fmt.Sprint(i))}}
		for p := range int32(100) {
			records = append(records, &image.PartitionAdded{Topic: topicID(fmt.Sprint(i)), Partition: p, Leader: 1, Replicas: []protocol.NodeID{1}, ISR: []protocol.NodeID{1}})
		}
		w.apply(records...)
	}
	c := w.connect()
	all := kmsg.NewPtrMetadataRequest()
	all.Topics = nil
	b.ReportAllocs()
	for b.Loop() {
		c.push(12, all)
		c.drain()
		c.stream, c.asked = c.stream[:0], nil
	}
}

func TestSettingsOfGroups(t *testing.T) {
	w := newWorld(t)
	w.apply(&image.ConfigChanged{Resource: protocol.ResourceGroup, Name: "g", Key: "consumer.session.timeout.ms", Value: "50000"})
	c := w.connect()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 32, ResourceName: "g"}, {ResourceType: 32}}
	resp := ask[*kmsg.DescribeConfigsResponse](c, 4, req)
	var got []string
	for _, row := range resp.Resources[0].Configs {
		got = append(got, fmt.Sprint(row.Name, "=", *row.Value, " ", int8(row.Source)))
	}
	if want := []string{"consumer.heartbeat.interval.ms=5000 5", "consumer.session.timeout.ms=50000 8"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if code := resp.Resources[1].ErrorCode; code != int16(protocol.InvalidRequest) {
		t.Errorf("without a name: %d", code)
	}
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: 32}, {ResourceType: 16, ResourceName: "g"}}
	for _, row := range ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, alter).Resources {
		if row.ErrorCode != int16(protocol.InvalidRequest) {
			t.Errorf("%+v", row)
		}
	}
}

// A request that names very many missing topics creates some of them, and the client comes again for the others, as it does for all with Kafka.
func TestMetadataCreatesSomeTopicsAtOnce(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 250 {
		names = append(names, fmt.Sprint("new", i))
	}
	c := w.connect()
	for _, want := range []int{150, 50, 0} {
		later := 0
		for _, topic := range ask[*kmsg.MetadataResponse](c, 9, metadataRequest(names...)).Topics {
			switch topic.ErrorCode {
			case int16(protocol.LeaderNotAvailable):
				later++
			case 0:
			default:
				t.Fatalf("%s: %d", *topic.Topic, topic.ErrorCode)
			}
		}
		if later != want {
			t.Errorf("%d topics are to come, want %d", later, want)
		}
	}
}

// A partition whose log is offline is led by nobody, for whoever asks, until it is back.
func TestAnOfflineLogIsShown(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 3)
	c := w.connect()
	shown := func() (out []string) {
		row := ask[*kmsg.MetadataResponse](c, 12, metadataRequest("events")).Topics[0]
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: "events"})
		req.ResponsePartitionLimit = 10
		also := ask[*kmsg.DescribeTopicPartitionsResponse](c, 0, req).Topics[0]
		for i, p := range row.Partitions {
			out = append(out, fmt.Sprint(p.Leader, p.ErrorCode, p.OfflineReplicas))
			if q := also.Partitions[i]; fmt.Sprint(q.LeaderID, q.ErrorCode, q.OfflineReplicas) != out[i] {
				t.Errorf("partition %d is %s to some and %v to others", i, out[i], q)
			}
		}
		return out
	}
	if got := shown(); !slices.Equal(got, []string{"1 0 []", "1 0 []", "1 0 []"}) {
		t.Errorf("%q", got)
	}
	whole := *parts[1].handle.View()
	broken := whole
	broken.Err = protocol.KafkaStorageError
	parts[1].handle.Publish(&broken)
	if got := shown(); !slices.Equal(got, []string{"1 0 []", "-1 5 [1]", "1 0 []"}) {
		t.Errorf("%q", got)
	}
	parts[1].handle.Publish(&whole)
	if got := shown(); !slices.Equal(got, []string{"1 0 []", "1 0 []", "1 0 []"}) {
		t.Errorf("%q", got)
	}
}
