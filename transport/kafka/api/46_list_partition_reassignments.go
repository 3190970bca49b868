package api

import "github.com/twmb/franz-go/pkg/kmsg"

// ListPartitionReassignments: v0. The partitions that move from broker to broker (KIP-455).
//
// Behaviour:
//   - None: a partition stays where it was made. Partitions that do not exist are not an error, as in Kafka.
//
// Source: ReplicationControlManager.listPartitionReassignments.

func handleListPartitionReassignments(c *Call) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	if !c.read(req) {
		return
	}
	c.reply(kmsg.NewPtrListPartitionReassignmentsResponse())
}
