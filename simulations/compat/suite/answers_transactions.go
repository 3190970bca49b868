package main

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/record"
)

// transactionQuestions are about producers' ids and transactions.
func transactionQuestions() (out []question) {
	out = append(out, initQuestions()...)
	out = append(out, addQuestions()...)
	out = append(out, endQuestions()...)
	out = append(out, txnCommitQuestions()...)
	out = append(out, laterQuestions()...)
	return append(out, txnListQuestions()...)
}

// producer is a transactional id with its producer.
type producer struct {
	name  string
	id    int64
	epoch int16
}

// producer makes the question's own, without comparing answers.
func (a *asker) producer() (p producer) {
	key := a.key
	a.key = -1
	r := a.do(initialising(a.named("x"))).(*kmsg.InitProducerIDResponse)
	a.key = key
	return producer{a.named("x"), r.ProducerID, r.ProducerEpoch}
}

func initialising(id string) *kmsg.InitProducerIDRequest {
	r := kmsg.NewPtrInitProducerIDRequest()
	r.TransactionalID, r.TransactionTimeoutMillis, r.ProducerID, r.ProducerEpoch = &id, 60_000, -1, -1
	return r
}

func initQuestions() (out []question) {
	type request = kmsg.InitProducerIDRequest
	begin := func(change func(*request)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := initialising(a.named("x"))
			change(r)
			return r
		}
	}
	again := func(change func(*request, producer)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			p := a.producer()
			return begin(func(r *request) { change(r, p) })(a)
		}
	}
	out = about("InitProducerId", 22,
		situation{"idempotent", begin(func(r *request) { r.TransactionalID = nil })}, situation{"transactional", begin(func(*request) {})},
		situation{"empty-id", begin(func(r *request) { r.TransactionalID = kmsg.StringPtr("") })},
		situation{"timeout-0", begin(func(r *request) { r.TransactionTimeoutMillis = 0 })},
		situation{"negative-timeout", begin(func(r *request) { r.TransactionTimeoutMillis = -1 })},
		situation{"long-timeout", begin(func(r *request) { r.TransactionTimeoutMillis = 1 << 30 })},
		situation{"again", again(func(*request, producer) {})})
	return append(out, since(3, about("InitProducerId", 22,
		situation{"same-producer", again(func(r *request, p producer) { r.ProducerID, r.ProducerEpoch = p.id, p.epoch })},
		situation{"epoch-ahead", again(func(r *request, p producer) { r.ProducerID, r.ProducerEpoch = p.id, 9 })},
		situation{"other-producer", again(func(r *request, p producer) { r.ProducerID, r.ProducerEpoch = p.id+77, 0 })},
		situation{"unknown-producer", begin(func(r *request) { r.ProducerID, r.ProducerEpoch = 4711, 0 })},
		situation{"producer-without-epoch", again(func(r *request, p producer) { r.ProducerID = p.id })},
		situation{"epoch-without-producer", begin(func(r *request) { r.ProducerEpoch = 1 })},
		situation{"idempotent-producer", begin(func(r *request) { r.TransactionalID, r.ProducerID, r.ProducerEpoch = nil, 4711, 3 })},
		situation{"idempotent-timeout-0", begin(func(r *request) { r.TransactionalID, r.TransactionTimeoutMillis = nil, 0 })}))...)
}

// adding is a request for partitions of one topic.
func (p producer) adding(topic string, partitions ...int32) *kmsg.AddPartitionsToTxnRequest {
	r := kmsg.NewPtrAddPartitionsToTxnRequest()
	r.TransactionalID, r.ProducerID, r.ProducerEpoch = p.name, p.id, p.epoch
	r.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: partitions}}
	r.Transactions = []kmsg.AddPartitionsToTxnRequestTransaction{{TransactionalID: p.name, ProducerID: p.id, ProducerEpoch: p.epoch,
		Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: topic, Partitions: partitions}}}}
	return r
}

// clientVersion is the highest version of AddPartitionsToTxn for producers; later ones are for brokers.
const clientVersion = 3

func addQuestions() (out []question) {
	add := func(change func(*producer), topic string, partitions ...int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			p := a.producer()
			change(&p)
			return p.adding(a.named(topic), partitions...)
		}
	}
	same := func(*producer) {}
	out = about("AddPartitionsToTxn", 24,
		situation{"some", add(same, "t", 0, 1)}, situation{"unknown-topic", add(same, "nowhere", 0)},
		situation{"unknown-partition", add(same, "t", 0, 9)}, situation{"twice", add(same, "t", 0, 0)}, situation{"no-partitions", add(same, "t")},
		situation{"unknown-id", add(func(p *producer) { p.name = "nobody's" }, "t", 0)},
		situation{"empty-id", add(func(p *producer) { p.name = "" }, "t", 0)},
		situation{"other-producer", add(func(p *producer) { p.id += 77 }, "t", 0)},
		situation{"old-epoch", add(func(p *producer) { p.epoch-- }, "t", 0)}, situation{"epoch-ahead", add(func(p *producer) { p.epoch += 3 }, "t", 0)},
		situation{"nothing", func(a *asker) kmsg.Request {
			r := a.producer().adding("", 0)
			r.Topics, r.Transactions[0].Topics = nil, nil
			return r
		}})
	for i := range out {
		out[i].to = clientVersion
	}
	offsets := func(change func(*kmsg.AddOffsetsToTxnRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			p := a.producer()
			r := kmsg.NewPtrAddOffsetsToTxnRequest()
			r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Group = p.name, p.id, p.epoch, a.named("g")
			change(r)
			return r
		}
	}
	return append(out, about("AddOffsetsToTxn", 25,
		situation{"plain", offsets(func(*kmsg.AddOffsetsToTxnRequest) {})},
		situation{"unknown-id", offsets(func(r *kmsg.AddOffsetsToTxnRequest) { r.TransactionalID = "nobody's" })},
		situation{"empty-id", offsets(func(r *kmsg.AddOffsetsToTxnRequest) { r.TransactionalID = "" })},
		situation{"empty-group", offsets(func(r *kmsg.AddOffsetsToTxnRequest) { r.Group = "" })},
		situation{"other-producer", offsets(func(r *kmsg.AddOffsetsToTxnRequest) { r.ProducerID += 77 })},
		situation{"old-epoch", offsets(func(r *kmsg.AddOffsetsToTxnRequest) { r.ProducerEpoch-- })})...)
}

// ending is the request that ends the producer's transaction.
func (p producer) ending(commit bool) *kmsg.EndTxnRequest {
	r := kmsg.NewPtrEndTxnRequest()
	r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Commit = p.name, p.id, p.epoch, commit
	return r
}

// open begins a transaction with one partition, as producers do that add partitions themselves.
func (a *asker) open(topic string) producer {
	p := a.producer()
	r := p.adding(topic, 0)
	if a.failed == nil {
		if _, err := a.send(r, clientVersion); err != nil {
			a.fail(err)
		}
	}
	return p
}

// transactional is a batch of the producer.
func (p producer) transactional(sequence int32, values ...string) []byte {
	return batchOf(record.Options{ProducerID: p.id, Epoch: p.epoch, BaseSequence: sequence, Idempotent: true, Transactional: true}, values...)
}

// completed waits until a transaction has ended everywhere.
func (a *asker) completed(name string) {
	a.until("the transaction is complete", func() bool {
		r := kmsg.NewPtrDescribeTransactionsRequest()
		r.TransactionalIDs = []string{name}
		all := a.do(r).(*kmsg.DescribeTransactionsResponse).TransactionStates
		return len(all) == 1 && all[0].State != "PrepareCommit" && all[0].State != "PrepareAbort"
	})
}

func endQuestions() (out []question) {
	end := func(commit bool, change func(*kmsg.EndTxnRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 1)
			r := a.open(a.named("t")).ending(commit)
			change(r)
			return r
		}
	}
	same := func(*kmsg.EndTxnRequest) {}
	unbegun := func(commit bool) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request { return a.producer().ending(commit) }
	}
	out = about("EndTxn", 26,
		situation{"commit", end(true, same)}, situation{"abort", end(false, same)}, situation{"commit-of-nothing", unbegun(true)},
		situation{"abort-of-nothing", unbegun(false)},
		situation{"unknown-id", end(true, func(r *kmsg.EndTxnRequest) { r.TransactionalID = "nobody's" })},
		situation{"empty-id", end(true, func(r *kmsg.EndTxnRequest) { r.TransactionalID = "" })},
		situation{"other-producer", end(true, func(r *kmsg.EndTxnRequest) { r.ProducerID += 77 })},
		situation{"old-epoch", end(true, func(r *kmsg.EndTxnRequest) { r.ProducerEpoch-- })},
		situation{"epoch-ahead", end(true, func(r *kmsg.EndTxnRequest) { r.ProducerEpoch += 3 })})
	out = append(out, question{name: "EndTxn/twice", key: 26, ask: func(a *asker) {
		r := end(true, same)(a).(*kmsg.EndTxnRequest)
		a.ask(r)
		a.completed(r.TransactionalID)
		a.ask(r)
		r.Commit = false
		a.ask(r)
	}})
	out = append(out, question{name: "InitProducerId/in-transaction", key: 22, ask: func(a *asker) {
		id := a.topic(a.named("t"), 1)
		p := a.open(a.named("t"))
		a.do(produceTo(a.named("t"), id, 0, -1, p.transactional(0, "one")))
		again := initialising(p.name)
		a.until("the transaction is aborted", func() bool {
			got := a.do(again).(*kmsg.InitProducerIDResponse)
			return got.ErrorCode == 0
		})
		a.ask(again)
		late := produceTo(a.named("t"), id, 0, -1, p.transactional(1, "two"))
		late.TransactionID = &p.name
		a.ask(late)
		a.ask(p.ending(true))
		add := p.adding(a.named("t"), 0)
		a.ask(add)
		a.ask(committedFetch(a.named("t"), id))
	}})
	out = append(out, endedQuestions()...)
	return append(out, markerQuestions()...)
}

func markerQuestions() []question {
	marker := func(change func(*kmsg.WriteTxnMarkersRequestMarker)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 1)
			r := kmsg.NewPtrWriteTxnMarkersRequest()
			m := kmsg.WriteTxnMarkersRequestMarker{ProducerID: 4711, Committed: false, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: a.named("t"), Partitions: []int32{0}}}}
			change(&m)
			r.Markers = append(r.Markers, m)
			return r
		}
	}
	return about("WriteTxnMarkers", 27,
		situation{"plain", marker(func(*kmsg.WriteTxnMarkersRequestMarker) {})},
		situation{"unknown-partition", marker(func(m *kmsg.WriteTxnMarkersRequestMarker) { m.Topics[0].Partitions = []int32{0, 9} })},
		situation{"unknown-topic", marker(func(m *kmsg.WriteTxnMarkersRequestMarker) { m.Topics[0].Topic = "nowhere" })},
		situation{"no-topics", marker(func(m *kmsg.WriteTxnMarkersRequestMarker) { m.Topics = nil })},
		situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrWriteTxnMarkersRequest() }})
}

// endedQuestions are about what readers of committed records see of a transaction before and after its end.
func endedQuestions() (out []question) {
	for _, commit := range []bool{true, false} {
		name := map[bool]string{true: "after-commit", false: "after-abort"}[commit]
		out = append(out, question{name: "Fetch/" + name, key: 1, ask: func(a *asker) {
			id := a.topic(a.named("t"), 1)
			p := a.open(a.named("t"))
			a.ask(produceTo(a.named("t"), id, 0, -1, p.transactional(0, "one", "two")))
			a.ask(committedFetch(a.named("t"), id))
			a.do(p.ending(commit))
			a.completed(p.name)
			a.ask(committedFetch(a.named("t"), id))
			list := kmsg.NewPtrListOffsetsRequest()
			list.ReplicaID, list.IsolationLevel = -1, 1
			list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: a.named("t"), Partitions: []kmsg.ListOffsetsRequestTopicPartition{{CurrentLeaderEpoch: -1, Timestamp: -1}}}}
			a.ask(list)
		}})
	}
	return out
}

// committedFetch reads partition 0 from its beginning, committed records alone.
func committedFetch(topic string, id [16]byte) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.ReplicaID, r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.SessionEpoch, r.IsolationLevel = -1, 10, 1, 1<<20, -1, 1
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = 1<<20, -1, -1, -1
	r.Topics = []kmsg.FetchRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	return r
}

// laterQuestions are about transactions whose partitions their leaders add (KIP-890), and what these ask the coordinator.
func laterQuestions() (out []question) {
	batched := func(change func(*kmsg.AddPartitionsToTxnRequest, *asker)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			r := a.open(a.named("t")).adding(a.named("t"), 0, 1)
			change(r, a)
			return r
		}
	}
	type request = kmsg.AddPartitionsToTxnRequest
	verify := func(r *request, _ *asker) { r.Transactions[0].VerifyOnly = true }
	out = append(out, since(4, about("AddPartitionsToTxn", 24,
		situation{"by-broker", batched(func(*request, *asker) {})}, situation{"verified", batched(verify)},
		situation{"verified-unknown-id", batched(func(r *request, a *asker) {
			verify(r, a)
			r.Transactions[0].TransactionalID = "nobody's"
		})},
		situation{"verified-old-epoch", batched(func(r *request, a *asker) {
			verify(r, a)
			r.Transactions[0].ProducerEpoch--
		})},
		situation{"by-broker-unknown-topic", batched(func(r *request, _ *asker) { r.Transactions[0].Topics[0].Topic = "nowhere" })},
		situation{"by-broker-several", batched(func(r *request, a *asker) {
			other := r.Transactions[0]
			other.TransactionalID = "nobody's"
			r.Transactions = append(r.Transactions, other)
		})},
		situation{"by-broker-nothing", func(*asker) kmsg.Request { return kmsg.NewPtrAddPartitionsToTxnRequest() }}))...)
	return append(out, question{name: "EndTxn/unannounced", key: 26, from: 5, ask: func(a *asker) {
		id := a.topic(a.named("t"), 2)
		p := a.producer()
		for _, commit := range []bool{true, false} {
			produce := produceTo(a.named("t"), id, 0, -1, p.transactional(0, "one"))
			produce.TransactionID = &p.name
			a.ask(produce)
			r := kmsg.NewPtrTxnOffsetCommitRequest()
			r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Group, r.Generation = p.name, p.id, p.epoch, a.named("g"), -1
			r.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: a.named("t"), Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 5, LeaderEpoch: -1}}}}
			a.ask(r)
			described := kmsg.NewPtrDescribeTransactionsRequest()
			described.TransactionalIDs = []string{p.name}
			a.ask(described)
			ended := a.ask(p.ending(commit)).(*kmsg.EndTxnResponse)
			a.completed(p.name)
			a.ask(p.ending(commit)) // its answer got lost
			a.ask(described)
			a.ask(produce)
			p.id, p.epoch = ended.ProducerID, ended.ProducerEpoch
			a.ask(a.offsetsOf(a.named("g"), a.named("t"), id, 0))
		}
		a.ask(committedFetch(a.named("t"), id))
	}}, question{name: "TxnOffsetCommit/consumer-group", key: 28, from: 3, ask: func(a *asker) {
		_, epoch := a.joinedConsumer()
		p := a.producer()
		add := kmsg.NewPtrAddOffsetsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = p.name, p.id, p.epoch, a.named("g")
		a.do(add)
		for _, as := range []struct {
			member string
			epoch  int32
		}{{"first", epoch}, {"first", 0}, {"first", 9}, {"stranger", epoch}, {"", -1}} {
			r := kmsg.NewPtrTxnOffsetCommitRequest()
			r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Group, r.MemberID, r.Generation = p.name, p.id, p.epoch, a.named("g"), as.member, as.epoch
			r.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: a.named("t"), Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 5, LeaderEpoch: -1}}}}
			a.ask(r)
		}
	}})
}

func txnCommitQuestions() (out []question) {
	type request = kmsg.TxnOffsetCommitRequest
	commit := func(change func(*asker, *request)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			p := a.producer()
			add := kmsg.NewPtrAddOffsetsToTxnRequest()
			add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = p.name, p.id, p.epoch, a.named("g")
			a.do(add)
			r := kmsg.NewPtrTxnOffsetCommitRequest()
			r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Group, r.Generation = p.name, p.id, p.epoch, a.named("g"), -1
			r.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: a.named("t"), Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 5, LeaderEpoch: -1}}}}
			change(a, r)
			return r
		}
	}
	out = about("TxnOffsetCommit", 28,
		situation{"plain", commit(func(*asker, *request) {})},
		situation{"unknown-topic", commit(func(_ *asker, r *request) { r.Topics[0].Topic = "nowhere" })},
		situation{"unknown-partition", commit(func(_ *asker, r *request) { r.Topics[0].Partitions[0].Partition = 9 })},
		situation{"long-metadata", commit(func(_ *asker, r *request) { r.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(tooLong(4097)) })},
		situation{"nothing", commit(func(_ *asker, r *request) { r.Topics = nil })},
		situation{"unknown-id", commit(func(_ *asker, r *request) { r.TransactionalID = "nobody's" })},
		situation{"empty-id", commit(func(_ *asker, r *request) { r.TransactionalID = "" })},
		situation{"empty-group", commit(func(_ *asker, r *request) { r.Group = "" })},
		situation{"other-producer", commit(func(_ *asker, r *request) { r.ProducerID += 77 })},
		situation{"old-epoch", commit(func(_ *asker, r *request) { r.ProducerEpoch-- })},
		situation{"epoch-ahead", commit(func(_ *asker, r *request) { r.ProducerEpoch += 3 })})
	out = append(out, since(3, about("TxnOffsetCommit", 28,
		situation{"unknown-member", commit(func(_ *asker, r *request) { r.MemberID, r.Generation = "stranger", 3 })},
		situation{"generation-of-nobody", commit(func(_ *asker, r *request) { r.Generation = 3 })},
		situation{"unknown-instance", commit(func(_ *asker, r *request) { r.InstanceID = kmsg.StringPtr("i") })},
		situation{"member-of-group", commit(func(a *asker, r *request) { r.MemberID, r.Generation = a.joined() })},
		situation{"old-generation", commit(func(a *asker, r *request) {
			r.MemberID, r.Generation = a.joined()
			r.Generation--
		})}))...)
	return append(out, question{name: "OffsetFetch/in-transaction", key: 9, ask: func(a *asker) {
		r := commit(func(*asker, *request) {})(a).(*request)
		a.ask(r)
		described := kmsg.NewPtrMetadataRequest()
		described.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(a.named("t"))}}
		var id [16]byte
		if topics := a.do(described).(*kmsg.MetadataResponse).Topics; len(topics) == 1 {
			id = topics[0].TopicID
		}
		for _, stable := range []bool{false, true} {
			f := a.offsetsOf(a.named("g"), a.named("t"), id, 0)
			f.RequireStable = stable
			a.ask(f)
		}
		a.do(producer{r.TransactionalID, r.ProducerID, r.ProducerEpoch}.ending(true))
		a.completed(r.TransactionalID)
		f := a.offsetsOf(a.named("g"), a.named("t"), id, 0)
		a.ask(f)
	}})
}

func txnListQuestions() (out []question) {
	describe := func(ids ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			a.open(a.named("t"))
			r := kmsg.NewPtrDescribeTransactionsRequest()
			for _, id := range ids {
				if id == "x" {
					id = a.named(id)
				}
				r.TransactionalIDs = append(r.TransactionalIDs, id)
			}
			return r
		}
	}
	unused := func(a *asker) kmsg.Request {
		p := a.producer()
		r := kmsg.NewPtrDescribeTransactionsRequest()
		r.TransactionalIDs = []string{p.name}
		return r
	}
	out = about("DescribeTransactions", 65,
		situation{"open", describe("x")}, situation{"unused", unused}, situation{"unknown", describe("nobody's")}, situation{"empty-id", describe("")},
		situation{"nothing", describe()}, situation{"twice", describe("x", "x")}, situation{"several", describe("nobody's", "x")})
	list := func(change func(*kmsg.ListTransactionsRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrListTransactionsRequest()
			r.DurationFilterMillis = -1
			change(r)
			return r
		}
	}
	type request = kmsg.ListTransactionsRequest
	out = append(out, about("ListTransactions", 66,
		situation{"ongoing", list(func(r *request) { r.StateFilters = []string{"Ongoing"} })},
		situation{"lower-case", list(func(r *request) { r.StateFilters = []string{"ongoing"} })},
		situation{"unknown-state", list(func(r *request) { r.StateFilters = []string{"Bored", "Dead"} })},
		situation{"empty-state", list(func(r *request) { r.StateFilters = []string{""} })},
		situation{"unknown-producer", list(func(r *request) { r.ProducerIDFilters = []int64{4711} })},
		situation{"negative-producer", list(func(r *request) { r.ProducerIDFilters = []int64{-1} })})...)
	out = append(out, since(1, about("ListTransactions", 66, situation{"long", list(func(r *request) { r.DurationFilterMillis = 1 << 40 })},
		situation{"duration-0", list(func(r *request) { r.DurationFilterMillis, r.StateFilters = 0, []string{"Ongoing"} })}))...)
	out = append(out, since(2, about("ListTransactions", 66,
		situation{"pattern", list(func(r *request) { r.TransactionalIDPattern = kmsg.StringPtr("q[0-9]+-v5-x") })},
		situation{"bad-pattern", list(func(r *request) { r.TransactionalIDPattern = kmsg.StringPtr("(") })},
		situation{"empty-pattern", list(func(r *request) { r.TransactionalIDPattern, r.ProducerIDFilters = kmsg.StringPtr(""), []int64{4711} })}))...)
	producers := func(topic string, partitions ...int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			id := a.topic(a.named("t"), 1)
			p := a.open(a.named("t"))
			a.do(produceTo(a.named("t"), id, 0, -1, p.transactional(0, "one")))
			r := kmsg.NewPtrDescribeProducersRequest()
			r.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: a.named(topic), Partitions: partitions}}
			return r
		}
	}
	return append(out, about("DescribeProducers", 61,
		situation{"open", producers("t", 0)}, situation{"unknown-partition", producers("t", 9)}, situation{"unknown-topic", producers("nowhere", 0)},
		situation{"illegal-topic", producers("a b", 0)}, situation{"no-partitions", producers("t")},
		situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrDescribeProducersRequest() }})...)
}
