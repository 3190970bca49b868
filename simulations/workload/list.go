package workload

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// list asks ListOffsets for one partition, as an operation of the history. found is called with the answer or with err.
func (c *client) list(t *Topic, key protocol.TopicPartition, at int64, process int, found func(offset int64, code protocol.Code, err error)) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = c.version(req, 1)
	if at == check.AtMaxTimestamp {
		req.Version = c.version(req, 7)
	}
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = t.Name
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = key.Partition, at, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	began := c.stage.Rec.Now()
	c.call(req, func(r kmsg.Response, err error) {
		if err != nil {
			found(-1, protocol.None, err)
			return
		}
		resp := r.(*kmsg.ListOffsetsResponse)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			c.stage.violate("%s: ListOffsets v%d answers for %d topics", c.name, resp.Version, len(resp.Topics))
			found(-1, protocol.UnknownServerError, nil)
			return
		}
		part := &resp.Topics[0].Partitions[0]
		code := protocol.Code(part.ErrorCode)
		c.stage.saw("ListOffsets", part.ErrorCode)
		if code == protocol.None && !t.ambiguous() {
			op := c.stage.Rec.InvokeAt(began, check.Op{
				Process: process, Func: check.ListOffsets, Key: key, At: at, Offset: part.Offset, Timestamp: part.Timestamp,
			})
			c.answeredBy(op)
			c.stage.Rec.Complete(op, check.OK)
		}
		if code != protocol.None && (part.Offset != -1 || part.Timestamp != -1) {
			c.stage.violate("%s: ListOffsets %s with offset %d", c.name, code.Name(), part.Offset)
		}
		found(part.Offset, code, nil)
	})
}

// ambiguous reports whether an answer by name may come from another incarnation of the topic.
func (t *Topic) ambiguous() bool { return t.gone }
