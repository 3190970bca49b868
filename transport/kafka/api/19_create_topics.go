package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// CreateTopics: v2-7.
//
// Behaviour:
//   - The controller decides; the answer comes when the partitions can be used, so that a client never meets a topic that is not
//     ready. If the directory of a partition cannot be made, the row says KAFKA_STORAGE_ERROR; the topic is there all the same, as in
//     Kafka (which answers before its brokers try), with that partition offline.
//   - A topic that is named twice is INVALID_REQUEST, once.
//
// Version history:
//   - v4: -1 for the broker's number of partitions and replication factor (KIP-464); v5: flexible, what was created (KIP-525)
//   - v6: THROTTLING_QUOTA_EXCEEDED (KIP-599); v7: topic ids (KIP-516)
//
// Source: ControllerApis.createTopics, ReplicationControlManager.createTopics.

func handleCreateTopics(c *Call) {
	req := kmsg.NewPtrCreateTopicsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrCreateTopicsResponse()
	cmd := &protocol.CreateTopics{ValidateOnly: req.ValidateOnly, Timeout: timeout(req.TimeoutMillis), By: c.requester()}
	names := make([]string, len(req.Topics))
	for i := range req.Topics {
		names[i] = req.Topics[i].Topic
	}
	twice := repeated(names)
	for i := range req.Topics {
		t := &req.Topics[i]
		if n, ok := twice[t.Topic]; ok {
			if n == i {
				out.Topics = append(out.Topics, c.createdRow(t, protocol.TopicResult{Fault: duplicateTopic}))
			}
			continue
		}
		cmd.Topics = append(cmd.Topics, newTopic(t))
	}
	if len(cmd.Topics) == 0 {
		c.reply(out)
		return
	}
	c.Conn.askController(cmd, cmd.Timeout, func(reply any, code protocol.Code) {
		created, _ := reply.(*protocol.TopicsCreated)
		next := 0
		for i := range req.Topics {
			t := &req.Topics[i]
			if _, ok := twice[t.Topic]; ok {
				continue
			}
			result := protocol.TopicResult{Fault: protocol.Fault{Code: code}}
			if created != nil && next < len(created.Topics) {
				result = created.Topics[next]
			}
			next++
			out.Topics = append(out.Topics, c.createdRow(t, result))
		}
		c.reply(out)
	})
}

var duplicateTopic = protocol.Fault{Code: protocol.InvalidRequest, Reason: "Duplicate topic name."}

// repeated maps the names that come more than once to where they come first.
func repeated(names []string) map[string]int {
	first, twice := map[string]int{}, map[string]int{}
	for i, name := range names {
		if at, ok := first[name]; ok {
			twice[name] = at
		} else {
			first[name] = i
		}
	}
	return twice
}

func newTopic(t *kmsg.CreateTopicsRequestTopic) protocol.NewTopic {
	out := protocol.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, ReplicationFactor: t.ReplicationFactor}
	for _, a := range t.ReplicaAssignment {
		out.Assignments = append(out.Assignments, protocol.ReplicaAssignment{Partition: a.Partition, Replicas: nodes(a.Replicas)})
	}
	for _, e := range t.Configs {
		out.Configs = append(out.Configs, entry(e.Name, e.Value))
	}
	return out
}

// nodes is numbers turned round, copied.
func nodes(numbers []int32) []protocol.NodeID {
	out := make([]protocol.NodeID, len(numbers))
	for i, n := range numbers {
		out[i] = protocol.NodeID(n)
	}
	return out
}

func entry(key string, value *string) protocol.ConfigEntry {
	if value == nil {
		return protocol.ConfigEntry{Key: key, Null: true}
	}
	return protocol.ConfigEntry{Key: key, Value: *value}
}

// createdRow is the row of a topic.
func (c *Call) createdRow(t *kmsg.CreateTopicsRequestTopic, r protocol.TopicResult) kmsg.CreateTopicsResponseTopic {
	row := kmsg.NewCreateTopicsResponseTopic()
	row.Topic, row.ErrorCode, row.ErrorMessage = t.Topic, c.failed(r.Code), messageOf(r.Fault)
	row.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	if r.Failed() {
		return row
	}
	row.TopicID, row.NumPartitions, row.ReplicationFactor = r.ID, r.Partitions, r.ReplicationFactor
	overrides := config.Sort(newTopic(t).Configs)
	if made, ok := c.Conn.Images.Load().TopicByID(r.ID); ok {
		overrides = made.Config
	}
	for _, e := range config.DescribeTopic(c.Conn.values(), overrides, nil) {
		row.Configs = append(row.Configs, kmsg.CreateTopicsResponseTopicConfig{
			Name: e.Name, Value: shown(e.Value, e.Null), ReadOnly: e.ReadOnly, Source: int8(e.Source), IsSensitive: e.Sensitive,
		})
	}
	return row
}

// messageOf is what a response says for people: the reason or, if none is given, what the code means. Null on success.
func messageOf(f protocol.Fault) *string {
	if f.Failed() && f.Reason == "" {
		return textOrNull(f.Code.Text())
	}
	return textOrNull(f.Reason)
}

// messageOrEmpty is messageOf where Kafka says nothing with an empty text and not with null.
func messageOrEmpty(f protocol.Fault) *string {
	if m := messageOf(f); m != nil {
		return m
	}
	return new(string)
}

// shown is a nullable value.
func shown(value string, null bool) *string {
	if null {
		return nil
	}
	return &value
}
