package scenarios

// Sometimes are the rare things that a range of swarm seeds long enough must have met, or it did not test what it seems to test: the
// opposite of an assertion. They are counted in Result.Seen.
var Sometimes = []string{
	"Produce NONE", "Produce OUT_OF_ORDER_SEQUENCE_NUMBER", "Produce KAFKA_STORAGE_ERROR", "Produce INVALID_TIMESTAMP",
	"Produce UNKNOWN_TOPIC_OR_PARTITION", "Produce UNKNOWN_TOPIC_ID",
	"Fetch OFFSET_OUT_OF_RANGE", "Fetch KAFKA_STORAGE_ERROR", "Fetch UNKNOWN_TOPIC_ID", "Fetch UNKNOWN_TOPIC_OR_PARTITION",
	"ListOffsets OFFSET_NOT_AVAILABLE", "DeleteRecords OFFSET_OUT_OF_RANGE", "DeleteTopics NONE", "CreatePartitions NONE",
	"IncrementalAlterConfigs NONE",

	"repeated batch recognised", "repeated batch recognised by a later life", "repeated batch recognised with four behind it",
	"batch decided by a later life", "sequence wrapped", "topic made again under the name of a deleted one",

	"kills", "power losses", "clean stops", "power losses after clean stops", "crashes in recovery", "pauses", "clock jumps", "full disks",
	"splits", "pages dropped after a failed sync", "rotten bits", "restarts by the operator",

	"log: cut a torn tail off a log", "log: cut a torn tail off the metadata log", "log: log goes offline", "log: partition is offline",
	"log: flush put off, the disk is full", "log: checkpoint was not written",
}

// Missed lists what of Sometimes was never seen.
func Missed(seen map[string]int) (out []string) {
	for _, name := range Sometimes {
		if seen[name] == 0 {
			out = append(out, name)
		}
	}
	return out
}
