package main

import (
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/twmb/franz-go/pkg/kadm"
)

// assignment is what to consume of one partition: offsets from until to, exclusive. Invariant: start <= from <= end.
type assignment struct {
	topic      string
	partition  int32
	start, end int64 // what the partition held when it was asked
	from       int64
	to         int64 // unbounded if negative
}

// logEnds asks where the logs begin and end; committed means the end that read_committed sees.
func logEnds(ctx context.Context, c *client, topics []string, committed bool) (start, end kadm.ListedOffsets, err error) {
	listEnd := c.admin.ListEndOffsets
	if committed {
		listEnd = c.admin.ListCommittedOffsets
	}
	start, err = c.admin.ListStartOffsets(ctx, topics...)
	end, endErr := listEnd(ctx, topics...)
	return start, end, errors.Join(err, start.Error(), endErr, end.Error())
}

// resolve finds the offsets of a range in every partition of the topics, or in the listed partitions of each.
func resolve(ctx context.Context, c *client, topics []string, partitions []int32, r offsetRange, committed bool) ([]assignment, error) {
	start, end, err := logEnds(ctx, c, topics, committed)
	if err != nil {
		return nil, err
	}
	at := map[bound]kadm.ListedOffsets{}
	for _, b := range []bound{r.from, r.to} {
		if b.kind == boundTime && at[b] == nil {
			if at[b], err = c.admin.ListOffsetsAfterMilli(ctx, b.at.UnixMilli(), topics...); err != nil {
				return nil, err
			}
		}
	}
	var out []assignment
	start.Each(func(s kadm.ListedOffset) {
		if len(partitions) > 0 && !slices.Contains(partitions, s.Partition) {
			return
		}
		e, _ := end.Lookup(s.Topic, s.Partition)
		out = append(out, r.assign(s, e, at))
	})
	sort.Slice(out, func(i, j int) bool {
		x, y := out[i], out[j]
		return x.topic < y.topic || x.topic == y.topic && x.partition < y.partition
	})
	if len(out) == 0 {
		return nil, &problem{what: "none of these partitions exists", next: "troupe topic describe TOPIC", exit: exitNotFound}
	}
	return out, nil
}

func (r offsetRange) assign(start, end kadm.ListedOffset, at map[bound]kadm.ListedOffsets) assignment {
	a := assignment{topic: start.Topic, partition: start.Partition, start: start.Offset, end: end.Offset, to: -1}
	place := func(b bound) int64 {
		switch b.kind {
		case boundEnd:
			return a.end + b.n
		case boundOffset:
			return b.n
		case boundTime:
			if o, ok := at[b].Lookup(a.topic, a.partition); ok && o.Offset >= 0 {
				return o.Offset
			}
			return a.end
		}
		return a.start + b.n
	}
	a.from = min(max(place(r.from), a.start), a.end)
	if r.to.kind != boundOpen {
		a.to = max(place(r.to), 0)
	}
	if r.atEnd && (a.to < 0 || a.to > a.end) {
		a.to = a.end
	}
	return a
}
