package main

import "github.com/twmb/franz-go/pkg/kmsg"

// configQuestions are about settings of topics, brokers, groups and loggers.
func configQuestions() (out []question) {
	out = append(out, describeConfigQuestions()...)
	out = append(out, incrementalQuestions()...)
	out = append(out, alterConfigQuestions()...)
	list := func(types ...int8) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrListConfigResourcesRequest()
			r.ResourceTypes = types
			return r
		}
	}
	out = append(out, about("ListConfigResources", 74, situation{"plain", list()})...)
	return append(out, since(1, about("ListConfigResources", 74,
		situation{"brokers", list(4)}, situation{"topics", list(2)}, situation{"loggers", list(8)}, situation{"groups", list(32)},
		situation{"type-9", list(9)}, situation{"type-0", list(0)}))...)
}

// resource is what is configured: of topics, groups and telemetry the name is the question's own.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

func (r resource) named(a *asker) string {
	if r.name == "t" || r.name == "nowhere" || r.name == "g" {
		return a.named(r.name)
	}
	return r.name
}

const (
	ofTopic  = kmsg.ConfigResourceTypeTopic
	ofBroker = kmsg.ConfigResourceTypeBroker
	ofLogger = kmsg.ConfigResourceTypeBrokerLogger
	ofGroup  = kmsg.ConfigResourceTypeGroupConfig
)

func describeConfigQuestions() (out []question) {
	describe := func(synonyms, documentation bool, keys []string, all ...resource) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 1, "retention.ms", "5000")
			r := kmsg.NewPtrDescribeConfigsRequest()
			r.IncludeSynonyms, r.IncludeDocumentation = synonyms, documentation
			for _, w := range all {
				r.Resources = append(r.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: w.kind, ResourceName: w.named(a), ConfigNames: keys})
			}
			return r
		}
	}
	topic, broker, retention := resource{ofTopic, "t"}, resource{ofBroker, "1"}, []string{"retention.ms", "cleanup.policy"}
	return about("DescribeConfigs", 32,
		situation{"topic", describe(false, false, nil, topic)}, situation{"topic-synonyms", describe(true, false, nil, topic)},
		situation{"topic-documentation", describe(false, true, []string{"no.such.key"}, topic)},
		situation{"topic-keys", describe(true, false, retention, topic)}, situation{"topic-no-keys", describe(false, false, []string{}, topic)},
		situation{"topic-unknown-key", describe(false, false, []string{"wishes", "retention.ms"}, topic)},
		situation{"topic-key-twice", describe(false, false, []string{"retention.ms", "retention.ms"}, topic)},
		situation{"unknown-topic", describe(false, false, nil, resource{ofTopic, "nowhere"})},
		situation{"illegal-topic", describe(false, false, nil, resource{ofTopic, "a b"})},
		situation{"empty-topic", describe(false, false, nil, resource{ofTopic, ""})},
		situation{"broker-keys", describe(true, false, []string{"log.retention.ms", "num.partitions", "node.id", "log.cleaner.threads", "message.max.bytes"}, broker)},
		situation{"broker", describe(true, false, nil, broker)},
		situation{"broker-unknown-key", describe(false, false, []string{"wishes"}, broker)},
		situation{"default-broker", describe(false, false, nil, resource{ofBroker, ""})},
		situation{"other-broker", describe(false, false, nil, resource{ofBroker, "7"})},
		situation{"broker-no-number", describe(false, false, nil, resource{ofBroker, "one"})},
		situation{"logger-unknown-key", describe(false, false, []string{"no.such.logger"}, resource{ofLogger, "1"})},
		situation{"logger-other-broker", describe(false, false, nil, resource{ofLogger, "7"})},
		situation{"logger-no-name", describe(false, false, nil, resource{ofLogger, ""})},
		situation{"logger-no-number", describe(false, false, nil, resource{ofLogger, "one"})},
		situation{"group", describe(false, false, nil, resource{ofGroup, "g"})},
		situation{"group-synonyms", describe(true, false, []string{"consumer.session.timeout.ms"}, resource{ofGroup, "g"})},
		situation{"group-no-name", describe(false, false, nil, resource{ofGroup, ""})},
		situation{"client-metrics", describe(false, false, nil, resource{16, "m"})},
		situation{"type-0", describe(false, false, nil, resource{0, "t"})}, situation{"type-9", describe(false, false, nil, resource{9, "t"})},
		situation{"nothing", describe(false, false, nil)}, situation{"twice", describe(false, false, retention, topic, topic)},
		situation{"topic-and-unknown", describe(false, false, retention, topic, resource{ofTopic, "nowhere"})})
}

// change is one change of a setting.
type change struct {
	key   string
	op    kmsg.IncrementalAlterConfigOp
	value *string
}

func set(key, value string) change { return change{key, 0, &value} }

// altering is a request for changes of resources; topic t is there.
func altering(validate bool, of []resource, all ...change) func(*asker) kmsg.Request {
	return func(a *asker) kmsg.Request {
		a.topic(a.named("t"), 1, "retention.ms", "5000", "cleanup.policy", "compact")
		r := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r.ValidateOnly = validate
		for _, w := range of {
			row := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: w.kind, ResourceName: w.named(a)}
			for _, c := range all {
				row.Configs = append(row.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: c.key, Op: c.op, Value: c.value})
			}
			r.Resources = append(r.Resources, row)
		}
		return r
	}
}

func incrementalQuestions() (out []question) {
	topic := []resource{{ofTopic, "t"}}
	text := kmsg.StringPtr
	out = about("IncrementalAlterConfigs", 44,
		situation{"set", altering(false, topic, set("retention.ms", "7000"))},
		situation{"validate-only", altering(true, topic, set("retention.ms", "7000"))}, situation{"nothing", altering(false, topic)},
		situation{"no-resource", altering(false, nil)},
		situation{"delete", altering(false, topic, change{"retention.ms", 1, nil})},
		situation{"delete-unset", altering(false, topic, change{"segment.ms", 1, nil})},
		situation{"append", altering(false, topic, change{"cleanup.policy", 2, text("delete")})},
		situation{"append-again", altering(false, topic, change{"cleanup.policy", 2, text("compact")})},
		situation{"subtract", altering(false, topic, change{"cleanup.policy", 3, text("compact")})},
		situation{"append-to-no-list", altering(false, topic, change{"retention.ms", 2, text("1")})},
		situation{"subtract-from-no-list", altering(false, topic, change{"retention.ms", 3, text("1")})},
		situation{"op-9", altering(false, topic, change{"retention.ms", 9, text("1")})},
		situation{"null", altering(false, topic, change{"retention.ms", 0, nil})},
		situation{"null-append", altering(false, topic, change{"cleanup.policy", 2, nil})},
		situation{"empty", altering(false, topic, set("cleanup.policy", ""))},
		situation{"key-twice", altering(false, topic, set("retention.ms", "1"), set("retention.ms", "2"))},
		situation{"unknown-key", altering(false, topic, set("wishes", "3"))},
		situation{"unknown-key-delete", altering(false, topic, change{"wishes", 1, nil})},
		situation{"empty-key", altering(false, topic, set("", "3"))},
		situation{"illegal", altering(false, topic, set("retention.ms", "much"))},
		situation{"out-of-range", altering(false, topic, set("max.message.bytes", "-1"))},
		situation{"bad-policy", altering(true, topic, set("cleanup.policy", "burn"))},
		situation{"bad-compression", altering(true, topic, set("compression.type", "rar"))},
		situation{"bad-level", altering(true, topic, set("compression.gzip.level", "77"))},
		situation{"bad-boolean", altering(true, topic, set("preallocate", "perhaps"))},
		situation{"bad-ratio", altering(true, topic, set("min.cleanable.dirty.ratio", "3"))},
		situation{"small-segments", altering(true, topic, set("segment.bytes", "10"))},
		situation{"bad-timestamps", altering(true, topic, set("message.timestamp.type", "Never"))},
		situation{"lag-beside-lag", altering(true, topic, set("min.compaction.lag.ms", "10"), set("max.compaction.lag.ms", "5"))},
		situation{"unknown-topic", altering(false, []resource{{ofTopic, "nowhere"}}, set("retention.ms", "1"))},
		situation{"illegal-topic", altering(false, []resource{{ofTopic, "a b"}}, set("retention.ms", "1"))},
		situation{"empty-topic", altering(false, []resource{{ofTopic, ""}}, set("retention.ms", "1"))},
		situation{"twice", altering(false, []resource{{ofTopic, "t"}, {ofTopic, "t"}}, set("retention.ms", "1"))},
		situation{"topic-and-unknown", altering(false, []resource{{ofTopic, "t"}, {ofTopic, "nowhere"}}, set("retention.ms", "1"))})
	out = append(out, brokerChangeQuestions()...)
	out = append(out, shownQuestions()...)
	return append(out, question{name: "IncrementalAlterConfigs/shown-after", key: 44, ask: func(a *asker) {
		a.ask(altering(false, topic, set("retention.ms", "7000"), change{"cleanup.policy", 2, text("delete")}, change{"segment.ms", 1, nil})(a))
		a.settle()
		describe := kmsg.NewPtrDescribeConfigsRequest()
		describe.IncludeSynonyms = true
		describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: ofTopic, ResourceName: a.named("t")}}
		a.ask(describe)
	}})
}

// shownQuestions are about what was set, elsewhere than on a topic.
func shownQuestions() (out []question) {
	for _, w := range []struct {
		name  string
		of    resource
		key   string
		value string
	}{
		{"group", resource{ofGroup, "g"}, "consumer.session.timeout.ms", "46000"}, {"broker", resource{ofBroker, "1"}, "log.retention.ms", "700000000"},
		{"default-broker", resource{ofBroker, ""}, "log.segment.bytes", "20000000"},
	} {
		out = append(out, question{name: "IncrementalAlterConfigs/shown-of-" + w.name, key: 44, ask: func(a *asker) {
			describe := kmsg.NewPtrDescribeConfigsRequest()
			describe.IncludeSynonyms = true
			describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: w.of.kind, ResourceName: w.of.named(a), ConfigNames: []string{w.key}}}
			list := kmsg.NewPtrListConfigResourcesRequest()
			list.ResourceTypes = []int8{int8(ofGroup)}
			for _, c := range []change{set(w.key, w.value), {w.key, 1, nil}} {
				a.ask(altering(false, []resource{w.of}, c)(a))
				a.settle()
				a.ask(describe)
				a.ask(list)
			}
		}})
	}
	return out
}

// brokerChangeQuestions are about settings of brokers, groups and loggers.
func brokerChangeQuestions() []question {
	broker, group := []resource{{ofBroker, "1"}}, []resource{{ofGroup, "g"}}
	return about("IncrementalAlterConfigs", 44,
		situation{"broker-not-dynamic", altering(true, broker, set("node.id", "2"))},
		situation{"broker-unknown-key", altering(true, broker, set("wishes", "2"))},
		situation{"broker-illegal", altering(true, broker, set("log.retention.ms", "much"))},
		situation{"broker-cluster-wide-key", altering(true, broker, set("log.cleaner.threads", "2"))},
		situation{"other-broker", altering(true, []resource{{ofBroker, "7"}}, set("log.retention.ms", "1000"))},
		situation{"broker-no-number", altering(true, []resource{{ofBroker, "one"}}, set("log.retention.ms", "1000"))},
		situation{"default-broker", altering(true, []resource{{ofBroker, ""}}, set("log.retention.ms", "1000"))},
		situation{"default-broker-own-key", altering(true, []resource{{ofBroker, ""}}, set("listeners", "PLAINTEXT://:1"))},
		situation{"group", altering(true, group, set("consumer.session.timeout.ms", "46000"))},
		situation{"group-out-of-range", altering(true, group, set("consumer.session.timeout.ms", "1"))},
		situation{"group-unknown-key", altering(true, group, set("wishes", "1"))},
		situation{"group-no-name", altering(true, []resource{{ofGroup, ""}}, set("consumer.session.timeout.ms", "46000"))},
		situation{"group-not-offered", altering(true, group, set("consumer.session.timeout.ms", "much"))},
		situation{"logger-other-broker", altering(true, []resource{{ofLogger, "7"}}, set("root", "INFO"))},
		situation{"logger-bad-level", altering(true, []resource{{ofLogger, "1"}}, set("root", "LOUD"))},
		situation{"logger-append", altering(true, []resource{{ofLogger, "1"}}, change{"root", 2, kmsg.StringPtr("INFO")})},
		situation{"logger-unknown", altering(true, []resource{{ofLogger, "1"}}, set("no.such.logger", "INFO"))},
		situation{"type-0", altering(true, []resource{{0, "t"}}, set("a", "1"))}, situation{"type-9", altering(true, []resource{{9, "t"}}, set("a", "1"))})
}

func alterConfigQuestions() (out []question) {
	alter := func(validate bool, of []resource, all ...change) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.topic(a.named("t"), 1, "retention.ms", "5000")
			r := kmsg.NewPtrAlterConfigsRequest()
			r.ValidateOnly = validate
			for _, w := range of {
				row := kmsg.AlterConfigsRequestResource{ResourceType: w.kind, ResourceName: w.named(a)}
				for _, c := range all {
					row.Configs = append(row.Configs, kmsg.AlterConfigsRequestResourceConfig{Name: c.key, Value: c.value})
				}
				r.Resources = append(r.Resources, row)
			}
			return r
		}
	}
	topic := []resource{{ofTopic, "t"}}
	out = about("AlterConfigs", 33,
		situation{"set", alter(false, topic, set("segment.ms", "70000"))}, situation{"validate-only", alter(true, topic, set("segment.ms", "70000"))},
		situation{"nothing", alter(false, topic)}, situation{"no-resource", alter(false, nil)},
		situation{"null", alter(false, topic, change{"retention.ms", 0, nil})}, situation{"unknown-key", alter(false, topic, set("wishes", "3"))},
		situation{"illegal", alter(false, topic, set("retention.ms", "much"))},
		situation{"key-twice", alter(false, topic, set("retention.ms", "1"), set("retention.ms", "2"))},
		situation{"unknown-topic", alter(false, []resource{{ofTopic, "nowhere"}}, set("retention.ms", "1"))},
		situation{"empty-topic", alter(false, []resource{{ofTopic, ""}}, set("retention.ms", "1"))},
		situation{"broker-not-dynamic", alter(true, []resource{{ofBroker, "1"}}, set("node.id", "2"))},
		situation{"other-broker", alter(true, []resource{{ofBroker, "7"}}, set("log.retention.ms", "1000"))},
		situation{"logger", alter(true, []resource{{ofLogger, "1"}}, set("root", "INFO"))},
		situation{"type-9", alter(true, []resource{{9, "t"}}, set("a", "1"))})
	out = append(out, since(2, about("AlterConfigs", 33,
		situation{"twice", alter(false, []resource{{ofTopic, "t"}, {ofTopic, "t"}}, set("retention.ms", "1"))}))...)
	return append(out, question{name: "AlterConfigs/shown-after", key: 33, ask: func(a *asker) {
		a.ask(alter(false, topic, set("segment.ms", "70000"))(a))
		a.settle()
		describe := kmsg.NewPtrDescribeConfigsRequest()
		describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: ofTopic, ResourceName: a.named("t"), ConfigNames: []string{"segment.ms", "retention.ms"}}}
		a.ask(describe)
	}})
}
