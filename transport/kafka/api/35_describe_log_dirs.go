package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition"
)

// DescribeLogDirs: v1-5. What this broker keeps where, and how much room there is (KIP-113).
//
// Behaviour:
//   - No topics means all. A partition that is not here is left out, as in Kafka.
//
// Version history:
//   - v2: flexible; v3: an error of the whole request; v4: total and usable bytes (KIP-827); v5: cordoned directories (KIP-1066)
//
// Skipped: moving replicas between directories (no future replicas, no lag), cordoning.
//
// Source: ReplicaManager.describeLogDirs.

func handleDescribeLogDirs(c *Call) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	if !c.read(req) {
		return
	}
	wanted := c.wantedPartitions(req)
	out := kmsg.NewPtrDescribeLogDirsResponse()
	for i := range c.Conn.LogDirs {
		dir := &c.Conn.LogDirs[i]
		row := kmsg.NewDescribeLogDirsResponseDir()
		row.Dir = dir.Path
		var err error
		if row.UsableBytes, row.TotalBytes, err = dir.Space(); err != nil {
			c.Conn.Log.Error("log directory cannot be examined", "dir", dir.Path, "error", err)
			row.ErrorCode, row.UsableBytes, row.TotalBytes = c.failed(protocol.KafkaStorageError), -1, -1
		}
		row.Topics = c.logsIn(i, wanted)
		out.Dirs = append(out.Dirs, row)
	}
	c.reply(out)
}

// wantedPartitions is the set a request names by topic name; nil means all.
func (c *Call) wantedPartitions(req *kmsg.DescribeLogDirsRequest) map[protocol.TopicPartition]bool {
	if req.Topics == nil {
		return nil
	}
	wanted := map[protocol.TopicPartition]bool{}
	img := c.Conn.Images.Load()
	for _, t := range req.Topics {
		topic, ok := img.Topic(t.Topic)
		if !ok {
			continue
		}
		for _, p := range t.Partitions {
			wanted[protocol.TopicPartition{Topic: topic.ID, Partition: p}] = true
		}
	}
	return wanted
}

// logsIn lists the logs in the directory with this index.
func (c *Call) logsIn(dir int, wanted map[protocol.TopicPartition]bool) (out []kmsg.DescribeLogDirsResponseDirTopic) {
	var last protocol.TopicID
	c.Conn.Table.Each(func(h *partition.Handle) bool {
		view := h.View()
		if wanted != nil && !wanted[h.Partition] || view.Log == nil || c.Conn.dirOf(h) != dir {
			return true
		}
		if len(out) == 0 || last != h.Partition.Topic {
			last = h.Partition.Topic
			out = append(out, kmsg.DescribeLogDirsResponseDirTopic{Topic: h.TopicName})
		}
		t := &out[len(out)-1]
		t.Partitions = append(t.Partitions, kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: h.Partition.Partition, Size: view.Size()})
		return true
	})
	return out
}
