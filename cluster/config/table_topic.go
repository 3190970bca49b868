package config

const (
	maxLong = "9223372036854775807"
	maxInt  = "2147483647"
	day     = "86400000"  // milliseconds
	week    = "604800000" // milliseconds
	gib     = "1073741824"
	mib     = 1 << 20
)

// compressionTypes are the values of compression.type. Source: BrokerCompressionType.
var compressionTypes = []string{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}

// topicKeys is every topic setting. Source: TopicConfig, LogConfig of Kafka 4.3; durability is ours.
var topicKeys = []Key{
	{Name: "durability", Type: String, Default: "disk", Valid: oneOf("disk", "os"), Synonyms: []string{"log.durability"}, Enforced: true,
		Doc: "What an acknowledgement means on a replica: disk, the records are on stable storage; os, they are in the page cache, as in Apache Kafka."},
	{Name: "cleanup.policy", Type: List, Default: "delete", Valid: someOf("compact", "delete"), Synonyms: []string{"log.cleanup.policy"}, Enforced: true,
		Doc: "How old data leaves the log: delete removes segments past the retention limits, compact keeps the last record of every key; both or none may be given."},
	{Name: "retention.ms", Type: Long, Default: week, Valid: atLeast(-1), Synonyms: []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"}, Enforced: true,
		Doc: "Milliseconds a record is kept at least under the delete policy, by its timestamp; -1 keeps records for ever."},
	{Name: "retention.bytes", Type: Long, Default: "-1", Synonyms: []string{"log.retention.bytes"}, Enforced: true,
		Doc: "Bytes a partition may reach before its oldest segments are removed under the delete policy; -1 is no limit."},
	{Name: "segment.bytes", Type: Int, Default: gib, Valid: atLeast(mib), Synonyms: []string{"log.segment.bytes"}, Enforced: true,
		Doc: "Bytes of one segment file; retention works in whole segments."},
	{Name: "segment.ms", Type: Long, Default: week, Valid: atLeast(1), Synonyms: []string{"log.roll.ms", "log.roll.hours"}, Enforced: true,
		Doc: "Milliseconds after which a segment is closed even if it is not full, so that retention can reach it."},
	{Name: "segment.jitter.ms", Type: Long, Default: "0", Valid: atLeast(0), Synonyms: []string{"log.roll.jitter.ms", "log.roll.jitter.hours"}, Enforced: true,
		Doc: "Most milliseconds taken off segment.ms at random, so that partitions do not all roll at once."},
	{Name: "segment.index.bytes", Type: Int, Default: "10485760", Valid: atLeast(4), Synonyms: []string{"log.index.size.max.bytes"},
		Doc: "Bytes an offset index may reach."},
	{Name: "index.interval.bytes", Type: Int, Default: "4096", Valid: atLeast(0), Synonyms: []string{"log.index.interval.bytes"}, Enforced: true,
		Doc: "Bytes of log between two entries of the offset index."},
	{Name: "max.message.bytes", Type: Int, Default: "1048588", Valid: atLeast(0), Synonyms: []string{"message.max.bytes"}, Enforced: true,
		Doc: "Largest record batch accepted, in bytes after compression."},
	{Name: "min.insync.replicas", Type: Int, Default: "1", Valid: atLeast(1), Synonyms: []string{"min.insync.replicas"}, Enforced: true,
		Doc: "In-sync replicas without which a produce request with acks=all is refused."},
	{Name: "compression.type", Type: String, Default: "producer", Valid: oneOf(compressionTypes...), Synonyms: []string{"compression.type"}, Enforced: true,
		Doc: "Codec batches are stored with; producer keeps what the producer chose."},
	{Name: "compression.gzip.level", Type: Int, Default: "-1", Valid: gzipLevel, Synonyms: []string{"compression.gzip.level"},
		Doc: "Effort of gzip if compression.type is gzip; -1 is gzip's own default."},
	{Name: "compression.lz4.level", Type: Int, Default: "9", Valid: between(1, 17), Synonyms: []string{"compression.lz4.level"},
		Doc: "Effort of lz4 if compression.type is lz4."},
	{Name: "compression.zstd.level", Type: Int, Default: "3", Valid: between(-131072, 22), Synonyms: []string{"compression.zstd.level"},
		Doc: "Effort of zstd if compression.type is zstd."},
	{Name: "message.timestamp.type", Type: String, Default: "CreateTime", Valid: oneOf("CreateTime", "LogAppendTime"), Synonyms: []string{"log.message.timestamp.type"}, Enforced: true,
		Doc: "Whether records carry the producer's time or the time of the append."},
	{Name: "message.timestamp.before.max.ms", Type: Long, Default: maxLong, Valid: atLeast(0), Synonyms: []string{"log.message.timestamp.before.max.ms"}, Enforced: true,
		Doc: "Most milliseconds by which a record's timestamp may lie before the broker's clock; ignored under LogAppendTime."},
	{Name: "message.timestamp.after.max.ms", Type: Long, Default: "3600000", Valid: atLeast(0), Synonyms: []string{"log.message.timestamp.after.max.ms"}, Enforced: true,
		Doc: "Most milliseconds by which a record's timestamp may lie after the broker's clock; ignored under LogAppendTime."},
	{Name: "delete.retention.ms", Type: Long, Default: day, Valid: atLeast(0), Synonyms: []string{"log.cleaner.delete.retention.ms"}, Enforced: true,
		Doc: "Milliseconds a tombstone stays in a compacted log so that readers see it."},
	{Name: "min.compaction.lag.ms", Type: Long, Default: "0", Valid: atLeast(0), Synonyms: []string{"log.cleaner.min.compaction.lag.ms"}, Enforced: true,
		Doc: "Milliseconds a record stays uncompacted at least."},
	{Name: "max.compaction.lag.ms", Type: Long, Default: maxLong, Valid: atLeast(1), Synonyms: []string{"log.cleaner.max.compaction.lag.ms"}, Enforced: true,
		Doc: "Milliseconds after which a record becomes due for compaction whatever the dirty ratio."},
	{Name: "min.cleanable.dirty.ratio", Type: Double, Default: "0.5", Valid: fraction(0, 1), Synonyms: []string{"log.cleaner.min.cleanable.ratio"}, Enforced: true,
		Doc: "Share of a compacted log that must be new before it is compacted again."},
	{Name: "unclean.leader.election.enable", Type: Boolean, Default: "false", Synonyms: []string{"unclean.leader.election.enable"},
		Doc: "Whether a replica outside the in-sync set may lead when no other is left, at the price of acknowledged records."},
	{Name: "flush.messages", Type: Long, Default: maxLong, Valid: atLeast(1), Synonyms: []string{"log.flush.interval.messages"}, Enforced: true,
		Doc: "Records after which the log is flushed to disk under durability=os; durability=disk flushes before it acknowledges."},
	{Name: "flush.ms", Type: Long, Default: maxLong, Valid: atLeast(0), Synonyms: []string{"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}, Enforced: true,
		Doc: "Milliseconds after which the log is flushed to disk under durability=os; durability=disk flushes before it acknowledges."},
	{Name: "file.delete.delay.ms", Type: Long, Default: "60000", Valid: atLeast(0), Synonyms: []string{"log.segment.delete.delay.ms"},
		Doc: "Milliseconds between giving a file up and removing it."},
	{Name: "preallocate", Type: Boolean, Default: "false", Synonyms: []string{"log.preallocate"},
		Doc: "Whether segment files are allocated in full when they are created."},
	{Name: "leader.replication.throttled.replicas", Type: List, Default: "", Valid: throttled,
		Doc: "Replicas whose leader side is throttled during reassignment, as partition:broker pairs or *."},
	{Name: "follower.replication.throttled.replicas", Type: List, Default: "", Valid: throttled,
		Doc: "Replicas whose follower side is throttled during reassignment, as partition:broker pairs or *."},
	{Name: "remote.storage.enable", Type: Boolean, Default: "false", Valid: notTrue,
		Doc: "Whether closed segments are copied to remote storage."},
	{Name: "remote.log.copy.disable", Type: Boolean, Default: "false",
		Doc: "Whether remote storage of the topic is read-only."},
	{Name: "remote.log.delete.on.disable", Type: Boolean, Default: "false",
		Doc: "Whether turning remote storage off also deletes what is there."},
	{Name: "local.retention.ms", Type: Long, Default: "-2", Valid: atLeast(-2), Synonyms: []string{"log.local.retention.ms"},
		Doc: "Milliseconds a segment stays on local disk once it is in remote storage; -2 means as long as retention.ms."},
	{Name: "local.retention.bytes", Type: Long, Default: "-2", Valid: atLeast(-2), Synonyms: []string{"log.local.retention.bytes"},
		Doc: "Bytes of a partition that stay on local disk once they are in remote storage; -2 means as retention.bytes."},
}
