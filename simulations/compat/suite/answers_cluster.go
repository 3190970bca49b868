package main

import "github.com/twmb/franz-go/pkg/kmsg"

// situation is a question of one request.
type situation struct {
	name    string
	request func(*asker) kmsg.Request
}

// about makes questions of situations, in which requests of one key are sent.
func about(api string, key int16, all ...situation) (out []question) {
	for _, s := range all {
		out = append(out, question{name: api + "/" + s.name, key: key, ask: func(a *asker) { a.ask(s.request(a)) }})
	}
	return out
}

// since narrows questions to the versions from one on.
func since(from int16, all []question) []question {
	for i := range all {
		all[i].from = from
	}
	return all
}

// unknownID is an id that no topic has.
var unknownID = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// tooLong is a name that nothing may have.
func tooLong(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = 'x'
	}
	return string(out)
}

// clusterQuestions are about the cluster and the broker.
func clusterQuestions() (out []question) {
	out = append(out, about("ApiVersions", 18,
		situation{"plain", func(*asker) kmsg.Request {
			r := kmsg.NewPtrApiVersionsRequest()
			r.ClientSoftwareName, r.ClientSoftwareVersion = "answers", "1"
			return r
		}})...)
	out = append(out, since(3, about("ApiVersions", 18,
		situation{"illegal-name", func(*asker) kmsg.Request {
			r := kmsg.NewPtrApiVersionsRequest()
			r.ClientSoftwareName, r.ClientSoftwareVersion = "-answers!", "1"
			return r
		}},
		situation{"empty-name", func(*asker) kmsg.Request { return kmsg.NewPtrApiVersionsRequest() }}))...)
	cluster := func(operations, fenced bool, endpoint int8) func(*asker) kmsg.Request {
		return func(*asker) kmsg.Request {
			r := kmsg.NewPtrDescribeClusterRequest()
			r.IncludeClusterAuthorizedOperations, r.IncludeFencedBrokers, r.EndpointType = operations, fenced, endpoint
			return r
		}
	}
	out = append(out, about("DescribeCluster", 60, situation{"plain", cluster(false, false, 1)}, situation{"operations", cluster(true, true, 1)})...)
	out = append(out, since(1, about("DescribeCluster", 60, situation{"controllers", cluster(false, false, 2)},
		situation{"endpoint-type-9", cluster(false, false, 9)}))...)
	quorum := func(topic string, partitions ...int32) func(*asker) kmsg.Request {
		return func(*asker) kmsg.Request {
			r := kmsg.NewPtrDescribeQuorumRequest()
			t := kmsg.DescribeQuorumRequestTopic{Topic: topic}
			for _, p := range partitions {
				t.Partitions = append(t.Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: p})
			}
			r.Topics = append(r.Topics, t)
			return r
		}
	}
	out = append(out, about("DescribeQuorum", 55,
		situation{"plain", quorum("__cluster_metadata", 0)}, situation{"other-topic", quorum("nowhere", 0)},
		situation{"other-partition", quorum("__cluster_metadata", 1)},
		situation{"two-partitions", quorum("__cluster_metadata", 0, 1)},
		situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrDescribeQuorumRequest() }})...)
	out = append(out, electionQuestions()...)
	out = append(out, coordinatorQuestions()...)
	return append(out, quotaQuestions()...)
}

func electionQuestions() []question {
	elect := func(kind int8, name string, partitions ...int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			r := kmsg.NewPtrElectLeadersRequest()
			r.ElectionType, r.TimeoutMillis = kind, 10_000
			if name != "" {
				r.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: a.named(name), Partitions: partitions}}
			}
			return r
		}
	}
	reassignments := func(name string, partitions ...int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 2)
			r := kmsg.NewPtrListPartitionReassignmentsRequest()
			if r.TimeoutMillis = 10_000; name != "" {
				r.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{{Topic: a.named(name), Partitions: partitions}}
			}
			return r
		}
	}
	out := about("ElectLeaders", 43,
		situation{"all", elect(0, "")}, situation{"some", elect(0, "t", 0, 1)}, situation{"unknown-topic", elect(0, "nowhere", 0)},
		situation{"unknown-partition", elect(0, "t", 5)},
		situation{"no-partitions", elect(0, "t")}, situation{"twice", elect(0, "t", 1, 1)})
	out = append(out, since(1, about("ElectLeaders", 43, situation{"unclean", elect(1, "t", 0)}, situation{"type-9", elect(9, "t", 0)}))...)
	return append(out, about("ListPartitionReassignments", 46,
		situation{"all", reassignments("")}, situation{"some", reassignments("t", 0)}, situation{"unknown-topic", reassignments("nowhere", 0)},
		situation{"unknown-partition", reassignments("t", 7)}, situation{"no-partitions", reassignments("t")})...)
}

func coordinatorQuestions() (out []question) {
	find := func(kind int8, keys ...string) func(*asker) kmsg.Request {
		return func(*asker) kmsg.Request {
			r := kmsg.NewPtrFindCoordinatorRequest()
			if r.CoordinatorType, r.CoordinatorKeys = kind, keys; len(keys) > 0 {
				r.CoordinatorKey = keys[0]
			}
			return r
		}
	}
	out = about("FindCoordinator", 10, situation{"group", find(0, "g")}, situation{"empty-group", find(0, "")})
	out = append(out, since(1, about("FindCoordinator", 10,
		situation{"transaction", find(1, "t")}, situation{"empty-transaction", find(1, "")}, situation{"share", find(2, "g:AQIDBAUGBwgJCgsMDQ4PEA:0")},
		situation{"share-illegal", find(2, "g")}, situation{"type-9", find(9, "g")}, situation{"type-negative", find(-1, "g")}))...)
	return append(out, since(4, about("FindCoordinator", 10,
		situation{"several", find(0, "b", "a", "b")}, situation{"none", find(0)}, situation{"long-key", find(0, tooLong(300))}))...)
}

func quotaQuestions() (out []question) {
	some := kmsg.StringPtr("some")
	describe := func(strict bool, all ...kmsg.DescribeClientQuotasRequestComponent) func(*asker) kmsg.Request {
		return func(*asker) kmsg.Request {
			r := kmsg.NewPtrDescribeClientQuotasRequest()
			r.Components, r.Strict = all, strict
			return r
		}
	}
	out = about("DescribeClientQuotas", 48,
		situation{"everything", describe(false)}, situation{"strict", describe(true)},
		situation{"user", describe(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", Match: some})},
		situation{"default", describe(true, kmsg.DescribeClientQuotasRequestComponent{EntityType: "client-id", MatchType: 1})},
		situation{"any", describe(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "ip", MatchType: 2})},
		situation{"unknown-entity", describe(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "wizard", Match: some})},
		situation{"empty-entity", describe(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "", Match: some})},
		situation{"match-type-9", describe(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", MatchType: 9})},
		situation{"twice", describe(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", Match: some}, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", Match: some})},
		situation{"ip-and-user", describe(false, kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", Match: some}, kmsg.DescribeClientQuotasRequestComponent{EntityType: "ip", Match: some})})
	alter := func(validate bool, kind string, name *string, key string, value float64) func(*asker) kmsg.Request {
		return func(*asker) kmsg.Request {
			r := kmsg.NewPtrAlterClientQuotasRequest()
			r.ValidateOnly = validate
			r.Entries = []kmsg.AlterClientQuotasRequestEntry{{Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: kind, Name: name}},
				Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: key, Value: value}}}}
			return r
		}
	}
	return append(out, about("AlterClientQuotas", 49,
		situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrAlterClientQuotasRequest() }},
		situation{"validate-only", alter(true, "user", some, "producer_byte_rate", 1000)}, situation{"unknown-key", alter(true, "user", some, "wishes", 3)},
		situation{"unknown-entity", alter(true, "wizard", some, "producer_byte_rate", 1000)},
		situation{"negative", alter(true, "user", some, "producer_byte_rate", -1)},
		situation{"empty-name", alter(true, "user", kmsg.StringPtr(""), "producer_byte_rate", 1000)},
		situation{"not-an-ip", alter(true, "ip", some, "connection_creation_rate", 10)})...)
}
