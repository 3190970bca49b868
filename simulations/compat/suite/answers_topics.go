package main

import "github.com/twmb/franz-go/pkg/kmsg"

// topicQuestions are about topics as such.
func topicQuestions() (out []question) {
	out = append(out, metadataQuestions()...)
	out = append(out, createQuestions()...)
	out = append(out, deleteQuestions()...)
	out = append(out, partitionQuestions()...)
	return append(out, describeTopicQuestions()...)
}

func metadataQuestions() (out []question) {
	metadata := func(auto bool, topics ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			r := kmsg.NewPtrMetadataRequest()
			r.AllowAutoTopicCreation, r.Topics = auto, []kmsg.MetadataRequestTopic{}
			for _, t := range topics {
				r.Topics = append(r.Topics, kmsg.MetadataRequestTopic{Topic: &t})
			}
			return r
		}
	}
	own := func(auto bool, topics ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := metadata(auto, topics...)(a).(*kmsg.MetadataRequest)
			for i := range r.Topics {
				r.Topics[i].Topic = kmsg.StringPtr(a.named(*r.Topics[i].Topic))
			}
			return r
		}
	}
	ids := func(ids ...func(a *asker) [16]byte) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := metadata(false)(a).(*kmsg.MetadataRequest)
			for _, id := range ids {
				r.Topics = append(r.Topics, kmsg.MetadataRequestTopic{TopicID: id(a)})
			}
			return r
		}
	}
	operations := func(a *asker) kmsg.Request {
		r := own(false, "t")(a).(*kmsg.MetadataRequest)
		r.IncludeClusterAuthorizedOperations, r.IncludeTopicAuthorizedOperations = true, true
		return r
	}
	out = about("Metadata", 3,
		situation{"one", own(false, "t")}, situation{"none", metadata(false)}, situation{"unknown", own(false, "nowhere")},
		situation{"twice", own(false, "t", "t")},
		situation{"empty-name", metadata(false, "")}, situation{"illegal-name", metadata(false, "a b")}, situation{"dots", metadata(false, "..")},
		situation{"long-name", metadata(false, tooLong(250))},
		situation{"illegal-name-auto", metadata(true, "a/b")}, situation{"internal", metadata(false, "__consumer_offsets", "__transaction_state")},
		situation{"operations", operations},
		situation{"all", func(a *asker) kmsg.Request { return kmsg.NewPtrMetadataRequest() }})
	out = append(out, since(10, about("Metadata", 3,
		situation{"id", ids(func(a *asker) [16]byte { return a.topic(a.named("u"), 1) })},
		situation{"unknown-id", ids(func(*asker) [16]byte { return unknownID })},
		situation{"zero-id-and-no-name", ids(func(*asker) [16]byte { return [16]byte{} })}))...)
	return append(out, question{name: "Metadata/auto-creation", key: 3, from: 4, ask: func(a *asker) {
		a.ask(own(true, "auto")(a))
		a.until("the topic is there", func() bool {
			r := own(false, "auto")(a).(*kmsg.MetadataRequest)
			t := a.do(r).(*kmsg.MetadataResponse).Topics
			return len(t) == 1 && t[0].ErrorCode == 0
		})
		a.ask(own(false, "auto")(a))
	}})
}

// creation changes a topic that is otherwise in order.
type creation func(*asker, *kmsg.CreateTopicsRequestTopic)

// creating is a request for topics, one for each change.
func creating(validate bool, changes ...creation) func(*asker) kmsg.Request {
	return func(a *asker) kmsg.Request {
		r := kmsg.NewPtrCreateTopicsRequest()
		r.TimeoutMillis, r.ValidateOnly = 30_000, validate
		for _, change := range changes {
			t := kmsg.NewCreateTopicsRequestTopic()
			t.Topic, t.NumPartitions, t.ReplicationFactor = a.named("new"), 1, 1
			change(a, &t)
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

func createQuestions() (out []question) {
	plain := func(*asker, *kmsg.CreateTopicsRequestTopic) {}
	called := func(name string) creation {
		return func(_ *asker, t *kmsg.CreateTopicsRequestTopic) { t.Topic = name }
	}
	sized := func(partitions int32, factor int16) creation {
		return func(_ *asker, t *kmsg.CreateTopicsRequestTopic) {
			t.NumPartitions, t.ReplicationFactor = partitions, factor
		}
	}
	assigned := func(partitions int32, factor int16, numbers []int32, replicas ...int32) creation {
		return func(_ *asker, t *kmsg.CreateTopicsRequestTopic) {
			t.NumPartitions, t.ReplicationFactor = partitions, factor
			for _, n := range numbers {
				t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: n, Replicas: replicas})
			}
		}
	}
	configured := func(name string, value *string) creation {
		return func(_ *asker, t *kmsg.CreateTopicsRequestTopic) {
			t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: value})
		}
	}
	existing := func(a *asker, t *kmsg.CreateTopicsRequestTopic) { a.topic(t.Topic, 1) }
	text := kmsg.StringPtr
	return about("CreateTopics", 19,
		situation{"plain", creating(false, plain)}, situation{"validate-only", creating(true, plain)}, situation{"nothing", creating(false)},
		situation{"twice", creating(false, plain, plain)},
		situation{"existing", creating(false, existing)}, situation{"existing-validate-only", creating(true, existing)},
		situation{"one-of-each", creating(false, plain, called("a b"), sized(0, 1))},
		situation{"empty-name", creating(false, called(""))}, situation{"illegal-name", creating(false, called("a b"))},
		situation{"dot", creating(false, called("."))},
		situation{"dots", creating(false, called(".."))}, situation{"long-name", creating(false, called(tooLong(250)))},
		situation{"colliding-name", creating(false, func(a *asker, t *kmsg.CreateTopicsRequestTopic) {
			a.topic(a.named("a.b"), 1)
			t.Topic = a.named("a_b")
		})},
		situation{"internal-name", creating(false, called("__consumer_offsets"))}, situation{"metadata-name", creating(true, called("__cluster_metadata"))},
		situation{"no-partitions", creating(false, sized(0, 1))}, situation{"negative-partitions", creating(false, sized(-2, 1))},
		situation{"very-many-partitions", creating(true, sized(1_000_000, 1))},
		situation{"factor-0", creating(false, sized(1, 0))}, situation{"factor-2", creating(false, sized(1, 2))},
		situation{"factor-negative", creating(false, sized(1, -2))},
		situation{"assigned", creating(false, assigned(-1, -1, []int32{0, 1}, 1))},
		situation{"assigned-and-sized", creating(false, assigned(2, 1, []int32{0, 1}, 1))},
		situation{"assigned-with-gap", creating(false, assigned(-1, -1, []int32{0, 2}, 1))},
		situation{"assigned-twice", creating(false, assigned(-1, -1, []int32{0, 0}, 1))},
		situation{"assigned-to-nobody", creating(false, assigned(-1, -1, []int32{0}))},
		situation{"assigned-to-stranger", creating(false, assigned(-1, -1, []int32{0}, 7))},
		situation{"assigned-to-one-twice", creating(false, assigned(-1, -1, []int32{0}, 1, 1))},
		situation{"assigned-from-negative", creating(false, assigned(-1, -1, []int32{-1}, 1))},
		situation{"configured", creating(false, configured("retention.ms", text("1000")))},
		situation{"unknown-config", creating(false, configured("wishes", text("3")))},
		situation{"illegal-config", creating(false, configured("retention.ms", text("much")))},
		situation{"out-of-range-config", creating(false, configured("segment.bytes", text("1")))},
		situation{"null-config", creating(false, configured("retention.ms", nil))},
		situation{"empty-config", creating(false, configured("cleanup.policy", text("")))},
		situation{"bad-policy", creating(false, configured("cleanup.policy", text("burn")))},
		situation{"two-bad-configs", creating(false, func(a *asker, t *kmsg.CreateTopicsRequestTopic) {
			configured("retention.ms", text("much"))(a, t)
			configured("wishes", text("3"))(a, t)
		})})
}

func deleteQuestions() (out []question) {
	remove := func(names ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 1)
			r := kmsg.NewPtrDeleteTopicsRequest()
			r.TimeoutMillis = 30_000
			for _, n := range names {
				if n == "t" || n == "nowhere" {
					n = a.named(n)
				}
				r.TopicNames = append(r.TopicNames, n)
				r.Topics = append(r.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &n})
			}
			return r
		}
	}
	ids := func(build func(a *asker) []kmsg.DeleteTopicsRequestTopic) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrDeleteTopicsRequest()
			r.TimeoutMillis, r.Topics = 30_000, build(a)
			return r
		}
	}
	out = about("DeleteTopics", 20,
		situation{"one", remove("t")}, situation{"unknown", remove("nowhere")}, situation{"nothing", remove()}, situation{"twice", remove("t", "t")},
		situation{"one-and-unknown", remove("t", "nowhere")},
		situation{"empty-name", remove("")}, situation{"illegal-name", remove("a b")})
	return append(out, since(6, about("DeleteTopics", 20,
		situation{"id", ids(func(a *asker) []kmsg.DeleteTopicsRequestTopic {
			return []kmsg.DeleteTopicsRequestTopic{{TopicID: a.topic(a.named("t"), 1)}}
		})},
		situation{"id-twice", ids(func(a *asker) []kmsg.DeleteTopicsRequestTopic {
			id := a.topic(a.named("t"), 1)
			return []kmsg.DeleteTopicsRequestTopic{{TopicID: id}, {TopicID: id}}
		})},
		situation{"id-and-name", ids(func(a *asker) []kmsg.DeleteTopicsRequestTopic {
			return []kmsg.DeleteTopicsRequestTopic{{TopicID: a.topic(a.named("t"), 1), Topic: kmsg.StringPtr(a.named("t"))}}
		})},
		situation{"id-beside-name", ids(func(a *asker) []kmsg.DeleteTopicsRequestTopic {
			return []kmsg.DeleteTopicsRequestTopic{{TopicID: a.topic(a.named("t"), 1)}, {Topic: kmsg.StringPtr(a.named("t"))}}
		})},
		situation{"unknown-id", ids(func(a *asker) []kmsg.DeleteTopicsRequestTopic {
			return []kmsg.DeleteTopicsRequestTopic{{TopicID: unknownID}}
		})},
		situation{"neither", ids(func(a *asker) []kmsg.DeleteTopicsRequestTopic { return []kmsg.DeleteTopicsRequestTopic{{}} })}))...)
}

func partitionQuestions() (out []question) {
	grow := func(validate bool, names []string, count int32, replicas ...[]int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			r := kmsg.NewPtrCreatePartitionsRequest()
			r.TimeoutMillis, r.ValidateOnly = 30_000, validate
			for _, n := range names {
				t := kmsg.NewCreatePartitionsRequestTopic()
				if t.Topic, t.Count = n, count; n == "t" || n == "nowhere" {
					t.Topic = a.named(n)
				}
				for _, on := range replicas {
					t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: on})
				}
				r.Topics = append(r.Topics, t)
			}
			return r
		}
	}
	t := []string{"t"}
	return about("CreatePartitions", 37,
		situation{"more", grow(false, t, 4)}, situation{"validate-only", grow(true, t, 4)}, situation{"as-many", grow(false, t, 2)},
		situation{"fewer", grow(false, t, 1)},
		situation{"none", grow(false, t, 0)}, situation{"negative", grow(false, t, -1)}, situation{"nothing", grow(false, nil, 0)},
		situation{"twice", grow(false, []string{"t", "t"}, 4)},
		situation{"unknown", grow(false, []string{"nowhere"}, 4)}, situation{"empty-name", grow(false, []string{""}, 4)},
		situation{"illegal-name", grow(false, []string{"a b"}, 4)},
		situation{"very-many", grow(true, t, 1_000_000)}, situation{"assigned", grow(false, t, 3, []int32{1})},
		situation{"assigned-too-few", grow(false, t, 4, []int32{1})},
		situation{"assigned-too-many", grow(false, t, 3, []int32{1}, []int32{1})}, situation{"assigned-to-nobody", grow(false, t, 3, []int32{})},
		situation{"assigned-to-stranger", grow(false, t, 3, []int32{7})}, situation{"assigned-to-one-twice", grow(false, t, 3, []int32{1, 1})},
		situation{"internal-assigned-wrong", grow(true, []string{"__consumer_offsets"}, 1)})
}

func describeTopicQuestions() []question {
	describe := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 3)
			a.topic(a.named("u"), 2)
			r := kmsg.NewPtrDescribeTopicPartitionsRequest()
			r.ResponsePartitionLimit = limit
			for _, n := range names {
				if len(n) == 1 || n == "nowhere" {
					n = a.named(n)
				}
				r.Topics = append(r.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: n})
			}
			if cursor != nil {
				r.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: a.named(cursor.Topic), Partition: cursor.Partition}
			}
			return r
		}
	}
	at := func(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
		return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: topic, Partition: partition}
	}
	return about("DescribeTopicPartitions", 75,
		situation{"one", describe(2000, nil, "t")}, situation{"all", describe(2000, nil)}, situation{"unordered", describe(2000, nil, "u", "t")},
		situation{"twice", describe(2000, nil, "t", "t")},
		situation{"unknown", describe(2000, nil, "nowhere", "t")}, situation{"empty-name", describe(2000, nil, "")},
		situation{"illegal-name", describe(2000, nil, "a b")},
		situation{"limit-2", describe(2, nil, "t", "u")}, situation{"limit-3", describe(3, nil, "t", "u")},
		situation{"limit-0", describe(0, nil, "t")}, situation{"limit-negative", describe(-1, nil, "t")},
		situation{"cursor", describe(2000, at("t", 1), "t", "u")}, situation{"cursor-and-limit", describe(2, at("t", 2), "t", "u")},
		situation{"cursor-beyond-partitions", describe(2000, at("t", 9), "t", "u")},
		situation{"cursor-negative", describe(2000, at("t", -1), "t", "u")}, situation{"cursor-unknown-topic", describe(2000, at("tt", 0), "t", "u")},
		situation{"cursor-beyond-topics", describe(2000, at("z", 0), "t", "u")})
}
