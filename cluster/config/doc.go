// Package config is the one table of every setting of topics and brokers: Kafka 4.3's names, types, defaults, synonyms and update
// modes, what values are valid, and whether troupe enforces the setting or only accepts and describes it.
//
// It decides whether a value is valid, which of several sources wins, and what a partition's log or a broker is told. It does not
// read files or keep state: static settings come in as text, dynamic ones from the metadata image.
//
// # Where a value comes from
//
// Strongest first (KIP-226):
//
//	topic                the topic's own setting
//	dynamic broker       AlterConfigs on this broker's id
//	dynamic default      AlterConfigs on the broker resource with the empty name: the whole cluster
//	static               server.properties and the command line
//	default              this table
//
// A topic key falls back to its synonyms among the broker's keys, and some broker keys to coarser ones: retention.ms to
// log.retention.ms, then log.retention.minutes, then log.retention.hours. All synonyms of one source come before the next source.
//
// # Non-obvious
//
//   - DescribeTopic shows the whole chain of synonyms. Kafka drops the coarser ones (log.retention.hours) from a topic's chain and then
//     calls a static value "default"; here the source is the true one.
//   - node.id has a default (Kafka demands one), and log.dir is not under /tmp.
//   - A key that is accepted but not enforced says so in its documentation (Key.Documentation), and setting it gives a Warning.
//   - A value that restricts somebody and cannot be honoured is refused (Key.Restricts), at start and over the wire; one that an earlier
//     version stored stays without effect and gives a Warning (Unhonoured), since a node that does not start cannot take it back.
//   - inter.broker.listener.name keeps no listener from clients: Kafka serves them by it too. controller.listener.names does.
//   - Internal keys of plug-in classes have null or empty defaults: there are no Java classes to name.
//
// Source: KIP-226, KIP-248, KIP-339, KIP-524; KafkaConfig, LogConfig, ServerTopicConfigSynonyms, DynamicBrokerConfig, ConfigHelper.
package config
