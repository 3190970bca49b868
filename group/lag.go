package group

import (
	"context"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition"
)

// Lag is how far a group is behind in one partition that is led here.
type Lag struct {
	Group, Topic string
	Partition    int32
	Committed    int64
	Records      int64 // between the committed offset and the high watermark; offsets without a record count
	// Age of the next record to read; 0 if there is none, -1 if it could not be found out.
	Age time.Duration
}

// Lags asks the groups coordinated here for their positions, at most limit of them, by shard, group, topic and partition. It blocks, and
// reads: for a scrape and the like, never for an actor. What does not answer before the end of ctx is left out.
func (d *Directory) Lags(ctx context.Context, table *partition.Table, now time.Time, limit int) (out []Lag) {
	times := d.unread.Swap(nil) // whoever asks at the same time begins anew
	if times == nil {
		times = &unread{}
	}
	times.begin()
	defer d.unread.Store(times)
	for _, shard := range d.GroupShards() {
		reply, err := d.system.AskWait(ctx, shard, &protocol.ListGroups{})
		listed, ok := reply.(*protocol.GroupsListed)
		if err != nil || !ok {
			continue
		}
		for _, g := range listed.Groups {
			reply, err := d.system.AskWait(ctx, shard, &protocol.FetchOffsets{Member: protocol.Member{GroupID: g.GroupID}, Generation: -1, All: true})
			fetched, ok := reply.(*protocol.OffsetsFetched)
			if err != nil || !ok {
				continue
			}
			for i := range fetched.Offsets {
				if len(out) >= limit {
					return out
				}
				if l, ok := d.lag(ctx, times, table, now, g.GroupID, &fetched.Offsets[i]); ok {
					out = append(out, l)
				}
			}
		}
	}
	return out
}

func (d *Directory) lag(ctx context.Context, times *unread, table *partition.Table, now time.Time, id string, row *protocol.CommitOffset) (Lag, bool) {
	topic, ok := d.images.Load().Topic(row.Topic)
	if !ok || row.Code != protocol.None || row.Offset < 0 {
		return Lag{}, false
	}
	h := table.Get(protocol.TopicPartition{Topic: topic.ID, Partition: row.Partition})
	if h == nil || h.View().Check(protocol.NoLeaderEpoch) != protocol.None {
		return Lag{}, false
	}
	v := h.View()
	l := Lag{Group: id, Topic: row.Topic, Partition: row.Partition, Committed: row.Offset, Records: max(0, v.HighWatermark-max(row.Offset, v.LogStartOffset))}
	if l.Records > 0 {
		l.Age = -1
		if ctx.Err() == nil {
			if ts := times.since(h, row.Offset); ts >= 0 {
				l.Age = max(0, now.Sub(time.UnixMilli(ts)))
			}
		}
	}
	return l, true
}
