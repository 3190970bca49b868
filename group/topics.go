package group

import (
	"strconv"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// newTopic is an internal topic as it is created. Its replication factor is what was configured or, in a smaller cluster, what there
// is: Kafka's refuses, and a single broker on defaults could then not commit an offset. Source: DefaultAutoTopicCreationManager.creatableTopic,
// GroupCoordinatorService.groupMetadataTopicConfigs, TransactionStateManager.transactionTopicConfigs.
func newTopic(k kind, b *config.Broker, liveNodes int) protocol.NewTopic {
	prefix := "offsets.topic."
	if k == transactions {
		prefix = "transaction.state.log."
	}
	t := protocol.NewTopic{
		Name: k.topic(), Partitions: int32(b.Int(prefix + "num.partitions")),
		ReplicationFactor: int16(max(1, min(b.Int(prefix+"replication.factor"), int64(liveNodes)))),
	}
	set := func(key, value string) {
		t.Configs = append(t.Configs, protocol.ConfigEntry{Key: key, Value: value})
	}
	set("cleanup.policy", "compact")
	set("segment.bytes", strconv.FormatInt(b.Int(prefix+"segment.bytes"), 10))
	if k == groups {
		set("compression.type", "producer")
		return t
	}
	set("compression.type", "uncompressed")
	set("min.insync.replicas", strconv.FormatInt(b.Int(prefix+"min.isr"), 10))
	set("unclean.leader.election.enable", "false")
	return t
}
