package main

import "regexp"

// expectedDifference is a difference between troupe's answers and Apache Kafka's that is as it shall be, or is known.
type expectedDifference struct {
	question string // an expression for the whole names of those that show it
	path     string // an expression for the whole path of the values
	why      string
	kafka    bool // two of Apache Kafka may differ in it too
}

var expectedDifferences = []expectedDifference{
	{".*", ".* order", "Apache Kafka answers in the order of its hash tables; troupe in that of the request or of the names", true},
	{"ApiVersions/plain", ".* (ApiKeys|SupportedFeatures|FinalizedFeatures).*", "what is not served, or not yet in this version, and features that go with it (transport/kafka/api/skipped.go)", false},
	{"(CreateTopics|DescribeConfigs|.*/shown-.*).*", `.*Configs\[durability\].*`, "troupe's own setting", false},
	{"(CreateTopics|DescribeConfigs|.*/shown-.*).*", `.*Configs\[(errors|max.decompressed|remote.copy.lag|share|streams|consumer.assign).*`, "settings of what is not built: share and streams groups, tiered storage", false},
	{"(CreateTopics|DescribeConfigs|.*/shown-.*).*", `.*Configs\[min.insync.replicas\].*`, "Apache Kafka sets it for the whole cluster when its eligible leader replicas begin (KIP-966)", false},
	{"DescribeConfigs/broker", `.*Configs\[(allow.everyone|cluster.max|controlled|eligible|follower.repl|group.consumer.regex|group.coordinator.max|http|inter.broker.protocol|leader\.|log.durability|log.initial).*`,
		"troupe's own settings, and those of Apache Kafka that it does not show", false},
	{"DescribeConfigs/broker", `.*Configs\[(logging|producer.id.exp|replica.alter|server.max|super.users|transaction.coordinator.max|unclean|unstable).*`, "the same", false},
	{"DescribeConfigs/broker", `.*Configs\[(sasl.oauthbearer|group.share|group.streams|group.consumer.*assignment|remote|log.remote|follower.fetch|group.coordinator.(back|cached)|controller.quorum.fetch|config.providers).*`,
		"settings of what is not built: OAUTHBEARER, share and streams groups, tiered storage, assignments on other threads, more nodes, providers of secrets", false},
	{"DescribeConfigs/broker", `.*Configs\[(controller|listeners|listener.security|advertised.listeners|process.roles|broker.id|log.dir|(offsets.topic|transaction.state.log).*(factor|isr)).*`,
		"the two are started with other listeners, roles and directories", true},
	{"DescribeConfigs/broker", `.*Configs\[(metric.reporters|principal.builder|group.coordinator.rebalance|sasl.enabled|socket.receive).*`,
		"defaults that say what there is: no classes of Java, no streams groups, SCRAM; and a larger buffer to receive", false},
	{"DescribeConfigs/default-broker", `.*Configs`, "the same", false},
	{"(DescribeConfigs|.*/shown-.*).*", `.*ConfigSynonyms.*`, "troupe names every setting that the value may come from, log.retention.hours for retention.ms", false},
	{"DescribeConfigs/client-metrics", ".*", "there are no subscriptions to clients' metrics (KIP-714)", false},
	{"DescribeConfigs/twice", `.*#2\]`, "a resource is described once, however often it is named: an answer is not to grow by asking the same thing often", false},
	{"IncrementalAlterConfigs/op-9", ".*", "Apache Kafka fails with UNKNOWN_SERVER_ERROR; the request is invalid", false},
	{"IncrementalAlterConfigs/broker-unknown-key", ".*", "Apache Kafka keeps what it does not know for its plug-ins; troupe has none, and settings fail closed", false},
	{"AlterConfigs/twice|Produce/null-records|AddPartitionsToTxn/by-broker-nothing", ".*", "Apache Kafka never answers", false},
	{"AlterClientQuotas/.*", `.*`, "there are no quotas: none can be set, whatever it says", false},
	{"DescribeQuorum/plain", ".*Listeners.*", "every broker is a controller, and is asked by the listener of its clients", true},
	{"Metadata/(unknown|auto-creation)", ".*", "a topic that the request makes is there when it is answered (docs/promises.md)", false},
	{"Metadata/.*id.*", "Metadata (Brokers|ClusterID|ControllerID|ErrorCode|Topics).*", "Apache Kafka sends no brokers with what it refuses as a whole; troupe refuses the row", false},
	{"CreateTopics/validate-only", `CreateTopics Topics\[q.*new.*`, "what is not made has no id", false},
	{"DeleteTopics/id-beside-name", ".*", "a row for every row of the request, where Apache Kafka has one for the topic", false},
	{"DescribeTopicPartitions/empty-name", ".*", "Apache Kafka fails with UNKNOWN_SERVER_ERROR; the name is illegal", false},
	{"Produce/before-version-3", ".*", "Apache Kafka ends the connection; troupe answers, so that the client's log says why", false},
	{"(Produce|Fetch|InitProducerId|EndTxn)/.*", `Produce[^.]*\.Partitions\[[^.]*\]\.ErrorMessage`, "troupe says what is wrong with the batch", false},
	{"Produce/.*", `.*\.LogStartOffset`, "a refusal has its code and nothing else", false},
	{"Produce/sequences", `.*\.LogAppendTime`, "a duplicate under create time has no time of its appending", false},
	{"Produce/keyless", `.*ErrorRecords.*\.ErrorMessage`, "the text does not repeat the name of the partition in whose row it stands", false},
	{"Produce/claims-append-time", `.*`, "what only a broker may set is refused; Apache Kafka overwrites it", false},
	{"Produce/unknown-codec", `.*\.ErrorCode`, "Apache Kafka fails with UNKNOWN_SERVER_ERROR; the codec is not supported", false},
	{".*/(no-partitions?|no-topics)", ".*", "troupe answers every row of the request, Apache Kafka leaves out a topic without partitions", false},
	{"(ListOffsets|DeleteRecords)/twice.*", ".*", "a row for every row of the request, where Apache Kafka has one for each partition", false},
	{"(ListOffsets|Fetch)/isolation-9|Fetch/negative-bytes", ".*", "Apache Kafka fails with UNKNOWN_SERVER_ERROR; troupe takes an unknown isolation for none, and fewer bytes than none for none", false},
	{"JoinGroup/static-empty-name", ".*", "an empty instance id is none, also in the member id", false},
	{"ListGroups/.*", `ListGroups Groups\[.*`, "a group without members and offsets is gone at once, where Apache Kafka keeps it until it looks for expired offsets", false},
	{"ConsumerGroup.*", ".*HeartbeatIntervalMillis", "members come back sooner while partitions move", false},
	{"ConsumerGroupHeartbeat/(no-timeout|null-owned)", ".*ErrorCode", "librdkafka's heartbeat after it left a group, which is no valid join, makes it join instead of ending it for good", false},
	{"ConsumerGroupHeartbeat/empty-assignor", ".*", "an empty assignor is none", false},
	{"ConsumerGroupHeartbeat/epoch-.*", ".*ErrorMessage", "the text has the epoch, and how far one change takes that is the coordinator's own affair", false},
	{"OffsetFetch/consumer-group", "OffsetFetch#7.*", "Apache Kafka fails with UNKNOWN_SERVER_ERROR; a member without id is not known", false},
}

// excuse is the entry that a difference is expected by; nil if there is none.
func excuse(question string, d difference) *expectedDifference {
	for i := range expectedDifferences {
		if e := &expectedDifferences[i]; whole(e.question).MatchString(question) && whole(e.path).MatchString(d.path) {
			return e
		}
	}
	return nil
}

func whole(expression string) *regexp.Regexp { return regexp.MustCompile("^(?:" + expression + ")$") }
