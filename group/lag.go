package group

import (
	"cmp"
	"context"
	"slices"
	"strings"
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

// Lags asks the groups coordinated here for their positions and returns those furthest behind, at most limit of them, by group, topic and
// partition, and how many it left out. It blocks, and reads: for a scrape and the like, never for an actor. What does not answer before the
// end of ctx is not counted.
func (d *Directory) Lags(ctx context.Context, table *partition.Table, now time.Time, limit int) (out []Lag, leftOut int) {
	w := worst{limit: limit}
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
				d.lag(&w, table, g.GroupID, &fetched.Offsets[i])
			}
		}
	}
	w.cut()
	slices.SortFunc(w.rows, func(a, b behind) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return d.aged(ctx, w.rows, now), w.leftOut
}

// behind is a Lag whose Age is not known yet.
type behind struct {
	Lag
	handle *partition.Handle
}

// worst keeps the limit rows with the most records, in memory for twice as many.
type worst struct {
	limit   int
	rows    []behind
	leftOut int
}

func (w *worst) add(b behind) {
	if w.rows = append(w.rows, b); len(w.rows) >= 2*w.limit {
		w.cut()
	}
}

func (w *worst) cut() {
	if len(w.rows) <= w.limit {
		return
	}
	slices.SortStableFunc(w.rows, func(a, b behind) int { return cmp.Compare(b.Records, a.Records) })
	w.leftOut += len(w.rows) - w.limit
	w.rows = w.rows[:w.limit]
}

// lag adds a position, if it is in a partition led here.
func (d *Directory) lag(w *worst, table *partition.Table, id string, row *protocol.CommitOffset) {
	topic, ok := d.images.Load().Topic(row.Topic)
	if !ok || row.Code != protocol.None || row.Offset < 0 {
		return
	}
	h := table.Get(protocol.TopicPartition{Topic: topic.ID, Partition: row.Partition})
	if h == nil || h.View().Check(protocol.NoLeaderEpoch) != protocol.None {
		return
	}
	v := h.View()
	w.add(behind{Lag{Group: id, Topic: row.Topic, Partition: row.Partition, Committed: row.Offset, Records: max(0, v.HighWatermark-max(row.Offset, v.LogStartOffset))}, h})
}

// aged finds out the ages.
func (d *Directory) aged(ctx context.Context, rows []behind, now time.Time) (out []Lag) {
	times := d.unread.Swap(nil) // whoever asks at the same time begins anew
	if times == nil {
		times = &unread{}
	}
	times.begin()
	defer d.unread.Store(times)
	for _, r := range rows {
		l := r.Lag
		if l.Records > 0 {
			l.Age = -1
			if ctx.Err() == nil {
				if ts := times.since(r.handle, l.Committed); ts >= 0 {
					l.Age = max(0, now.Sub(time.UnixMilli(ts)))
				}
			}
		}
		out = append(out, l)
	}
	return out
}
