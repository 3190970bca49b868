package main

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/record"
)

// batchTime is the time of the records that are produced: long ago, so that nothing of it is taken for today.
const batchTime = 1_600_000_000_000

// batchOf is a batch of records with the values, one millisecond after another.
func batchOf(o record.Options, values ...string) []byte {
	b := record.NewBuilder(o)
	for i, v := range values {
		b.Append(batchTime+int64(i), []byte("key"), []byte(v), nil)
	}
	batch, err := b.Build()
	if err != nil {
		panic(err) // no codec, nothing too long
	}
	return batch
}

// plainBatch has no producer.
func plainBatch(values ...string) []byte { return batchOf(record.Options{}, values...) }

// produceTo is a request for one partition.
func produceTo(topic string, id [16]byte, partition int32, acks int16, batch []byte) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.Acks, r.TimeoutMillis = acks, 30_000
	r.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: batch}}}}
	return r
}

// filled makes a topic with four records in partition 0.
func (a *asker) filled(name string) (id [16]byte) {
	id = a.topic(name, 2)
	key := a.key
	a.key = -1
	a.do(produceTo(name, id, 0, -1, plainBatch("one", "two")))
	a.do(produceTo(name, id, 0, -1, plainBatch("three", "four")))
	a.key = key
	return id
}

// logQuestions are about what is in the logs, but for fetching it.
func logQuestions() (out []question) {
	out = append(out, produceQuestions()...)
	out = append(out, listOffsetQuestions()...)
	out = append(out, deleteRecordQuestions()...)
	out = append(out, passingQuestions()...)
	return append(out, logDirQuestions()...)
}

func produceQuestions() (out []question) {
	produce := func(acks int16, partition int32, batch []byte) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			return produceTo(a.named("t"), a.filled(a.named("t")), partition, acks, batch)
		}
	}
	spoilt := func(at int) []byte {
		b := plainBatch("one")
		b[at] ^= 0x55
		return b
	}
	idempotent := func(id int64, epoch int16, sequence int32) []byte {
		return batchOf(record.Options{ProducerID: id, Epoch: epoch, BaseSequence: sequence, Idempotent: true}, "one")
	}
	out = since(3, about("Produce", 0,
		situation{"plain", produce(-1, 0, plainBatch("one"))}, situation{"leader", produce(1, 1, plainBatch("one"))},
		situation{"unknown-partition", produce(-1, 9, plainBatch("one"))}, situation{"negative-partition", produce(-1, -1, plainBatch("one"))},
		situation{"acks-2", produce(2, 0, plainBatch("one"))}, situation{"unknown-topic", func(a *asker) kmsg.Request {
			return produceTo(a.named("nowhere"), unknownID, 0, -1, plainBatch("one"))
		}},
		situation{"no-records", produce(-1, 0, []byte{})}, situation{"half-a-batch", produce(-1, 0, plainBatch("one")[:70])},
		situation{"two-batches", produce(-1, 0, append(plainBatch("one"), plainBatch("two")...))},
		situation{"wrong-crc", produce(-1, 0, spoilt(70))}, situation{"wrong-magic", produce(-1, 0, spoilt(16))},
		situation{"too-large", produce(-1, 0, plainBatch(tooLong(1_100_000)))}, situation{"wrong-count", produce(-1, 0, spoilt(60))},
		situation{"unknown-producer", produce(-1, 0, idempotent(4711, 0, 5))}, situation{"nothing", func(a *asker) kmsg.Request {
			r := kmsg.NewPtrProduceRequest()
			r.Acks = -1
			return r
		}},
		situation{"no-partition", func(a *asker) kmsg.Request {
			r := produceTo(a.named("t"), a.filled(a.named("t")), 0, -1, nil)
			r.Topics[0].Partitions = nil
			return r
		}}))
	out = append(out, recordQuestions()...)
	out = append(out, question{name: "Produce/before-version-3", key: 0, to: 2, ask: func(a *asker) { a.ask(produce(-1, 0, plainBatch("one"))(a)) }},
		question{name: "Produce/null-records", key: 0, from: 13, ask: func(a *asker) { a.ask(produce(-1, 0, nil)(a)) }})
	return append(out, question{name: "Produce/sequences", key: 0, from: 3, ask: func(a *asker) {
		id := a.topic(a.named("t"), 1)
		for _, b := range [][]byte{idempotent(4711, 0, 0), idempotent(4711, 0, 0), idempotent(4711, 0, 2), idempotent(4711, 0, 1), idempotent(4711, 1, 3), idempotent(4711, 1, 0), idempotent(4711, 0, 2)} {
			a.ask(produceTo(a.named("t"), id, 0, -1, b))
		}
		describe := kmsg.NewPtrDescribeProducersRequest()
		describe.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: a.named("t"), Partitions: []int32{0}}}
		a.ask(describe)
	}})
}

// recordQuestions are about records that a topic does not take.
func recordQuestions() []question {
	to := func(batch []byte, configs ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			return produceTo(a.named("t"), a.topic(a.named("t"), 1, configs...), 0, -1, batch)
		}
	}
	keyless := func() []byte {
		b := record.NewBuilder(record.Options{})
		b.Append(batchTime, []byte("key"), []byte("one"), nil)
		b.Append(batchTime, nil, []byte("two"), nil)
		b.Append(batchTime, nil, []byte("three"), nil)
		batch, _ := b.Build()
		return batch
	}
	at := func(millis int64) []byte {
		b := record.NewBuilder(record.Options{})
		b.Append(millis, []byte("key"), []byte("one"), nil)
		batch, _ := b.Build()
		return batch
	}
	changed := func(change func(record.Batch)) []byte {
		b := record.Batch(plainBatch("one", "two"))
		change(b)
		b.SealCRC()
		return b
	}
	return since(3, about("Produce", 0,
		situation{"keyless", to(keyless(), "cleanup.policy", "compact")}, situation{"far-ahead", to(at(4_102_444_800_000))},
		situation{"long-ago", to(at(1), "message.timestamp.before.max.ms", "1000")}, situation{"negative-time", to(at(-1))},
		situation{"append-time", to(plainBatch("one"), "message.timestamp.type", "LogAppendTime")},
		situation{"transactional-without-id", to(batchOf(record.Options{ProducerID: 4711, Idempotent: true, Transactional: true}, "one"))},
		situation{"base-offset", to(changed(func(b record.Batch) { b.SetBaseOffset(7) }))},
		situation{"claims-append-time", to(changed(func(b record.Batch) { b.SetLogAppendTime(batchTime) }))},
		situation{"too-few-records", to(changed(func(b record.Batch) { b[record.HeaderSize-1] = 1 }))},
		situation{"zstd", to(batchOf(record.Options{Codec: record.Zstd}, "one"))}, situation{"unknown-codec", to(changed(func(b record.Batch) { b[22] |= 5 }))},
		situation{"control", to(batchOf(record.Options{ProducerID: 4711, Idempotent: true, Transactional: true, Control: true}, "one"))},
		situation{"internal", func(a *asker) kmsg.Request {
			return produceTo("__consumer_offsets", a.idOf("__consumer_offsets"), 0, -1, plainBatch("one"))
		}}))
}

// idOf asks for the id of a topic.
func (a *asker) idOf(name string) (id [16]byte) {
	key := a.key
	defer func() { a.key = key }()
	a.key = -1
	r := kmsg.NewPtrMetadataRequest()
	r.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	for _, t := range a.do(r).(*kmsg.MetadataResponse).Topics {
		id = t.TopicID
		a.names.know(id, name)
	}
	return id
}

// passingQuestions are about what is gone, or has become more.
func passingQuestions() []question {
	ask := func(a *asker, topic string, id [16]byte) {
		list := kmsg.NewPtrListOffsetsRequest()
		list.ReplicaID = -1
		list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -2}}}}
		a.ask(list)
		a.ask(committedFetch(topic, id))
		a.ask(produceTo(topic, id, 0, -1, plainBatch("more")))
		m := kmsg.NewPtrMetadataRequest()
		m.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
		a.ask(m)
		a.ask(a.offsetsOf(a.named("g"), topic, id, 0, 3))
		a.ask(a.committing(a.named("g"), topic, id, 3, 9))
	}
	return []question{
		{name: "DeleteRecords/then", key: 21, ask: func(a *asker) {
			id := a.filled(a.named("t"))
			r := kmsg.NewPtrDeleteRecordsRequest()
			r.TimeoutMillis = 30_000
			r.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: a.named("t"), Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 3}}}}
			a.ask(r)
			ask(a, a.named("t"), id)
		}},
		{name: "DeleteTopics/then", key: 20, ask: func(a *asker) {
			id := a.committed(a.named("g"), a.named("t"))
			r := kmsg.NewPtrDeleteTopicsRequest()
			r.TimeoutMillis, r.TopicNames = 30_000, []string{a.named("t")}
			r.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &r.TopicNames[0]}}
			a.ask(r)
			a.settle()
			ask(a, a.named("t"), id)
		}},
		{name: "DeleteTopics/then-anew", key: 20, ask: func(a *asker) {
			old := a.committed(a.named("g"), a.named("t"))
			r := kmsg.NewPtrDeleteTopicsRequest()
			r.TimeoutMillis, r.TopicNames = 30_000, []string{a.named("t")}
			r.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &r.TopicNames[0]}}
			a.do(r)
			a.settle()
			id := a.topic(a.named("t"), 1)
			a.names.know(old, "the old topic")
			ask(a, a.named("t"), old)
			ask(a, a.named("t"), id)
		}},
		{name: "CreatePartitions/then", key: 37, ask: func(a *asker) {
			id := a.filled(a.named("t"))
			r := kmsg.NewPtrCreatePartitionsRequest()
			r.TimeoutMillis = 30_000
			r.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: a.named("t"), Count: 4}}
			a.ask(r)
			a.settle()
			a.serving(a.named("t"), 4)
			ask(a, a.named("t"), id)
		}},
	}
}

func listOffsetQuestions() (out []question) {
	list := func(partition, epoch int32, timestamps ...int64) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.filled(a.named("t"))
			r := kmsg.NewPtrListOffsetsRequest()
			r.ReplicaID, r.TimeoutMillis = -1, 10_000
			t := kmsg.ListOffsetsRequestTopic{Topic: a.named("t")}
			for _, at := range timestamps {
				t.Partitions = append(t.Partitions, kmsg.ListOffsetsRequestTopicPartition{Partition: partition, CurrentLeaderEpoch: epoch, Timestamp: at})
			}
			r.Topics = append(r.Topics, t)
			return r
		}
	}
	of := func(topic string, replica int32, isolation int8) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := list(0, -1, -1)(a).(*kmsg.ListOffsetsRequest)
			r.Topics[0].Topic, r.ReplicaID, r.IsolationLevel = a.named(topic), replica, isolation
			return r
		}
	}
	out = about("ListOffsets", 2,
		situation{"latest", list(0, -1, -1)}, situation{"earliest", list(0, -1, -2)}, situation{"empty-latest", list(1, -1, -1)},
		situation{"empty-earliest", list(1, -1, -2)},
		situation{"time", list(0, -1, batchTime+1)}, situation{"time-before", list(0, -1, 1)}, situation{"time-after", list(0, -1, batchTime+9)},
		situation{"time-0", list(0, -1, 0)}, situation{"empty-time", list(1, -1, batchTime)},
		situation{"special-9", list(0, -1, -9)}, situation{"unknown-partition", list(9, -1, -1)}, situation{"negative-partition", list(-1, -1, -1)},
		situation{"unknown-topic", of("nowhere", -1, 0)}, situation{"illegal-topic", of("a b", -1, 0)},
		situation{"twice", list(0, -1, -1, -1)}, situation{"twice-differently", list(0, -1, -1, -2)}, situation{"from-replica", of("t", 7, 0)},
		situation{"from-debugger", of("t", -2, 0)},
		situation{"nothing", func(*asker) kmsg.Request {
			r := kmsg.NewPtrListOffsetsRequest()
			r.ReplicaID = -1
			return r
		}})
	out = append(out, since(2, about("ListOffsets", 2, situation{"committed", of("t", -1, 1)}, situation{"isolation-9", of("t", -1, 9)}))...)
	out = append(out, since(4, about("ListOffsets", 2, situation{"epoch", list(0, 0, -1)}, situation{"epoch-ahead", list(0, 9, -1)}))...)
	out = append(out, since(7, about("ListOffsets", 2, situation{"max-timestamp", list(0, -1, -3)}, situation{"empty-max-timestamp", list(1, -1, -3)}))...)
	out = append(out, since(8, about("ListOffsets", 2, situation{"earliest-local", list(0, -1, -4)}))...)
	out = append(out, since(9, about("ListOffsets", 2, situation{"latest-tiered", list(0, -1, -5)}))...)
	out = append(out, since(11, about("ListOffsets", 2, situation{"earliest-pending", list(0, -1, -6)}))...)
	epoch := func(topic string, partition, current, asked int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.filled(a.named("t"))
			r := kmsg.NewPtrOffsetForLeaderEpochRequest()
			r.ReplicaID = -1
			r.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: a.named(topic), Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{Partition: partition, CurrentLeaderEpoch: current, LeaderEpoch: asked}}}}
			return r
		}
	}
	return append(out, about("OffsetForLeaderEpoch", 23,
		situation{"current", epoch("t", 0, -1, 0)}, situation{"fenced-or-not", epoch("t", 0, 0, 0)}, situation{"epoch-ahead", epoch("t", 0, 9, 0)},
		situation{"asked-ahead", epoch("t", 0, -1, 9)}, situation{"asked-negative", epoch("t", 0, -1, -1)},
		situation{"empty", epoch("t", 1, -1, 0)}, situation{"unknown-partition", epoch("t", 9, -1, 0)},
		situation{"unknown-topic", epoch("nowhere", 0, -1, 0)})...)
}

func deleteRecordQuestions() []question {
	remove := func(topic string, partition int32, offsets ...int64) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.filled(a.named("t"))
			r := kmsg.NewPtrDeleteRecordsRequest()
			r.TimeoutMillis = 30_000
			t := kmsg.DeleteRecordsRequestTopic{Topic: a.named(topic)}
			for _, o := range offsets {
				t.Partitions = append(t.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: partition, Offset: o})
			}
			r.Topics = append(r.Topics, t)
			return r
		}
	}
	return about("DeleteRecords", 21,
		situation{"some", remove("t", 0, 2)}, situation{"none", remove("t", 0, 0)}, situation{"all", remove("t", 0, -1)},
		situation{"beyond", remove("t", 0, 9)}, situation{"negative", remove("t", 0, -2)},
		situation{"unknown-partition", remove("t", 9, 0)}, situation{"unknown-topic", remove("nowhere", 0, 0)},
		situation{"illegal-topic", remove("a b", 0, 0)}, situation{"no-partitions", remove("t", 0)}, situation{"twice", remove("t", 0, 1, 2)},
		situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrDeleteRecordsRequest() }},
		situation{"internal", func(a *asker) kmsg.Request {
			r := remove("t", 0, 1)(a).(*kmsg.DeleteRecordsRequest)
			r.Topics[0].Topic = "__transaction_state"
			return r
		}},
		situation{"compacted", func(a *asker) kmsg.Request {
			a.topic(a.named("c"), 1, "cleanup.policy", "compact")
			return remove("c", 0, 0)(a)
		}})
}

func logDirQuestions() []question {
	describe := func(topic string, partitions ...int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.filled(a.named("t"))
			r := kmsg.NewPtrDescribeLogDirsRequest()
			r.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: a.named(topic), Partitions: partitions}}
			return r
		}
	}
	return about("DescribeLogDirs", 35,
		situation{"some", describe("t", 0)}, situation{"unknown-partition", describe("t", 9)}, situation{"unknown-topic", describe("nowhere", 0)},
		situation{"no-partitions", describe("t")},
		situation{"nothing", func(*asker) kmsg.Request {
			r := kmsg.NewPtrDescribeLogDirsRequest()
			r.Topics = []kmsg.DescribeLogDirsRequestTopic{}
			return r
		}})
}
