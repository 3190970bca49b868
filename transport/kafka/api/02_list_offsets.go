package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition"
)

// ListOffsets: v1-11.
//
// Behaviour:
//   - Answered from the partition's view; a timestamp is looked up in the log, to the record, on the connection, whose other requests wait,
//     and nobody else's. A batch is unpacked for it as far as the record, at the pace of Conn.Unpacking, and no further than the client stays.
//   - A partition that is asked for twice is INVALID_REQUEST both times.
//   - The highest timestamp is that of the first record which has it, among those that a reader may read: Kafka may name one below the
//     log start, and with read_committed none while it lies in an open transaction. Markers have timestamps, and count, as in Kafka.
//   - "Latest" is not answered while a new leader may not know all that is committed (KIP-207): OFFSET_NOT_AVAILABLE, below v5
//     LEADER_NOT_AVAILABLE.
//
// Version history:
//   - v2: isolation level (KIP-98); v4: leader epochs (KIP-320); v6: flexible; v7: -3, the highest timestamp (KIP-734)
//   - v8: -4, the earliest local offset (KIP-405); v9: -5, the last tiered one (KIP-1005); v11: -6, the first that waits to be
//     tiered (KIP-1023)
//
// Skipped: tiered storage. The earliest local offset is the log start; -5 and -6 find nothing.
//
// Source: KafkaApis.handleListOffsetRequest, ReplicaManager.fetchOffset, UnifiedLog.fetchOffsetByTimestamp.

// The timestamps that are none. Source: ListOffsetsRequest.
const (
	latestTimestamp          = -1
	earliestTimestamp        = -2
	maxTimestamp             = -3
	earliestLocalTimestamp   = -4
	latestTieredTimestamp    = -5
	earliestPendingTimestamp = -6
)

// timestampSince is the first version that knows a special timestamp, by its negated value.
var timestampSince = [...]int16{-latestTimestamp: 1, -earliestTimestamp: 1, -maxTimestamp: 7, -earliestLocalTimestamp: 8, -latestTieredTimestamp: 9, -earliestPendingTimestamp: 11}

// listOffsets is one ListOffsets request under way.
type listOffsets struct {
	err error // the request is malformed
	out *kmsg.ListOffsetsResponse
}

// prepare looks everything up. It runs outside the session's lock.
func (l *listOffsets) prepare(c *Call) {
	req := kmsg.NewPtrListOffsetsRequest()
	if l.err = c.decode(req); l.err != nil {
		return
	}
	type key struct {
		topic     string
		partition int32
	}
	asked := map[key]int{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			asked[key{req.Topics[i].Topic, req.Topics[i].Partitions[j].Partition}]++
		}
	}
	l.out = kmsg.NewPtrListOffsetsResponse()
	for i := range req.Topics {
		t := &req.Topics[i]
		rows := kmsg.NewListOffsetsResponseTopic()
		rows.Topic = t.Topic
		for j := range t.Partitions {
			p := &t.Partitions[j]
			at, code := nowhere, protocol.InvalidRequest
			if asked[key{t.Topic, p.Partition}] == 1 {
				at, code = c.listOffset(t.Topic, p, req.IsolationLevel == 1)
			}
			row := kmsg.NewListOffsetsResponseTopicPartition()
			row.Partition, row.ErrorCode = p.Partition, c.failed(code)
			row.Offset, row.Timestamp, row.LeaderEpoch = at.Offset, at.Timestamp, int32(at.LeaderEpoch)
			rows.Partitions = append(rows.Partitions, row)
		}
		l.out.Topics = append(l.out.Topics, rows)
	}
}

// deliver, expire and abandon have nothing to do: nothing is asked of anybody.
func (*listOffsets) deliver(int, any)     {}
func (*listOffsets) expire(time.Duration) {}
func (*listOffsets) abandon()             {}

func handleListOffsets(c *Call) {
	l := c.task.(*listOffsets)
	if l.err != nil {
		c.malformed()
		return
	}
	c.reply(l.out)
}

var nowhere = partition.Position{Offset: -1, Timestamp: -1, LeaderEpoch: protocol.NoLeaderEpoch}

func (c *Call) listOffset(topic string, p *kmsg.ListOffsetsRequestTopicPartition, committed bool) (partition.Position, protocol.Code) {
	ts := p.Timestamp
	if ts < 0 && (-ts >= int64(len(timestampSince)) || -ts < 0 || c.Version < timestampSince[-ts]) {
		return nowhere, protocol.UnsupportedVersion
	}
	h, code := c.Conn.leads(topic, p.Partition)
	if code != protocol.None {
		return nowhere, code
	}
	view := h.View()
	epoch := protocol.NoLeaderEpoch
	if c.Version >= 4 {
		epoch = protocol.LeaderEpoch(p.CurrentLeaderEpoch)
	}
	if code := view.Check(epoch); code != protocol.None {
		return nowhere, code
	}
	at, code := lookUp(view, c.Conn.Unpacking, ts, committed)
	if code == protocol.OffsetNotAvailable && c.Version < 5 {
		code = leaderNotAvailable
	}
	return at, code
}

// lookUp finds the offset that a timestamp, special or not, stands for.
func lookUp(view *partition.View, u record.Unpacking, ts int64, committed bool) (partition.Position, protocol.Code) {
	switch ts {
	case latestTimestamp:
		return view.Latest(committed)
	case earliestTimestamp, earliestLocalTimestamp:
		return view.Earliest(), protocol.None
	case maxTimestamp:
		return view.MaxTimestamp(u, committed)
	case latestTieredTimestamp, earliestPendingTimestamp:
		return nowhere, protocol.None
	}
	return view.OffsetForTimestamp(u, ts, committed)
}
