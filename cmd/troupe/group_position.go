package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// position is where a group stands in one partition: what it committed, or what a member reads although nothing is committed.
type position struct {
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Committed *int64   `json:"committed" doc:"offset of the next record to read; null if nothing is committed"`
	Start     int64    `json:"log_start_offset" doc:"-1 if unknown"`
	End       int64    `json:"high_watermark" doc:"-1 if unknown"`
	Lag       *int64   `json:"lag" doc:"offsets between committed and the high watermark; null if unknown"`
	Age       *float64 `json:"lag_seconds" doc:"how long ago the next record was written; 0 without lag, null if unknown"`
	Member    string   `json:"member,omitempty" doc:"who reads the partition"`
	Client    string   `json:"client,omitempty"`
	Metadata  string   `json:"metadata,omitempty" doc:"what the group committed with the offset"`
	Error     string   `json:"error,omitempty"`

	epoch int32
}

type positions []position

func (rows positions) table() [][]string {
	out := [][]string{{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "WAITING", "MEMBER", ""}}
	for _, p := range rows {
		out = append(out, []string{p.Topic, decimal(p.Partition), maybe(p.Committed), known(p.End), maybe(p.Lag), showAge(p.Age), orDash(p.Member), p.Error})
	}
	return out
}

func maybe(n *int64) string {
	if n == nil {
		return "-"
	}
	return decimal(*n)
}

func known(offset int64) string {
	if offset < 0 {
		return "-"
	}
	return decimal(offset)
}

// showAge shows seconds with the two largest units.
func showAge(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	n := int64(*seconds)
	switch {
	case n < 60:
		return fmt.Sprintf("%ds", n)
	case n < 3600:
		return fmt.Sprintf("%dm%ds", n/60, n%60)
	case n < 86400:
		return fmt.Sprintf("%dh%dm", n/3600, n%3600/60)
	}
	return fmt.Sprintf("%dd%dh", n/86400, n%86400/3600)
}

// groupPositions finds what each group has committed and where those logs end. The result has an element for every group, also
// with an error, which is about some of them.
func groupPositions(ctx context.Context, c *client, groups []groupInfo) ([]positions, error) {
	out := make([]positions, len(groups))
	for i := range out {
		out[i] = positions{}
	}
	if len(groups) == 0 {
		return out, nil
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Group
	}
	fetched := c.admin.FetchManyOffsets(ctx, names...)
	topics := kadm.TopicsSet{}
	var bad error
	for i, g := range groups {
		got := fetched[g.Group]
		if got.Err != nil {
			bad = errors.Join(bad, fmt.Errorf("group %q: %w", g.Group, got.Err))
			continue
		}
		out[i] = standing(g, got.Fetched)
		for _, p := range out[i] {
			topics.Add(p.Topic)
		}
	}
	if len(topics) == 0 {
		return out, bad
	}
	start, _ := c.admin.ListStartOffsets(ctx, topics.Topics()...) // what is missing is told by the end
	end, err := c.admin.ListEndOffsets(ctx, topics.Topics()...)
	for _, rows := range out {
		for i := range rows {
			rows[i].measure(start, end)
		}
	}
	return out, errors.Join(bad, shardError(err))
}

// standing are the positions of g without what the logs hold, sorted: what it committed and what its members are assigned.
func standing(g groupInfo, committed kadm.OffsetResponses) positions {
	byPart := map[topicPartition]*position{}
	at := func(topic string, partition int32) *position {
		tp := topicPartition{topic, partition}
		if byPart[tp] == nil {
			byPart[tp] = &position{Topic: topic, Partition: partition, epoch: -1}
		}
		return byPart[tp]
	}
	committed.Each(func(o kadm.OffsetResponse) {
		p := at(o.Topic, o.Partition)
		p.Error, p.Metadata = text(o.Err), o.Metadata
		if o.Err == nil && o.At >= 0 {
			p.Committed, p.epoch = &o.At, o.LeaderEpoch
		}
	})
	for _, m := range g.Members {
		for _, t := range m.Assigned {
			for _, partition := range t.Partitions {
				p := at(t.Topic, partition)
				p.Member, p.Client = m.Member, m.Client
			}
		}
	}
	out := positions{}
	for _, p := range byPart {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(x, y position) int { return comparePart(x.Topic, x.Partition, y.Topic, y.Partition) })
	return out
}

// measure adds where the log of the position begins and ends.
func (p *position) measure(start, end kadm.ListedOffsets) {
	p.Start, p.End = offsetIn(start, p.Topic, p.Partition), offsetIn(end, p.Topic, p.Partition)
	if p.End < 0 && p.Error == "" {
		p.Error = missingIn(end, p.Topic, p.Partition)
	}
	if p.Committed != nil && p.End >= 0 {
		lag := max(0, p.End-*p.Committed)
		p.Lag = &lag
	}
}

// missingIn is why l has no offset of a partition.
func missingIn(l kadm.ListedOffsets, topic string, partition int32) string {
	if o, ok := l.Lookup(topic, partition); ok && o.Err != nil {
		return o.Err.Error()
	}
	if o, ok := l.Lookup(topic, -1); ok && o.Err != nil { // the client library's word for: there is no such topic
		return o.Err.Error()
	}
	if len(l[topic]) > 0 {
		return "there is no such partition"
	}
	return "the broker says nothing about this partition"
}

// agesAtOnce bounds how many partitions are read beside each other to learn the age of a record.
const agesAtOnce = 16

// markAges reads the record at each position that has lag, to learn how long it has been waiting. What cannot be read stays
// unknown: the lag in records is told all the same.
func markAges(ctx context.Context, c *client, now time.Time, all ...positions) {
	topics := kadm.TopicsSet{}
	for _, rows := range all {
		for _, p := range rows {
			topics.Add(p.Topic)
		}
	}
	if len(topics) == 0 {
		return
	}
	about, err := c.admin.ListTopicsWithInternal(ctx, topics.Topics()...)
	if err != nil {
		return
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, agesAtOnce)
	for _, rows := range all {
		for i := range rows {
			p := &rows[i]
			if p.Lag == nil {
				continue
			}
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				p.Age = ageOf(ctx, c, about[p.Topic], *p, now)
			})
		}
	}
	wait.Wait()
}

// ageOf is how long before now the record at p was written, in seconds; nil if unknown.
func ageOf(ctx context.Context, c *client, about kadm.TopicDetail, p position, now time.Time) *float64 {
	age := 0.0
	if *p.Lag == 0 {
		return &age
	}
	records, err := readSome(ctx, c, about, p.Partition, max(*p.Committed, p.Start), 1, false)
	if err != nil || len(records) == 0 {
		return nil
	}
	age = max(0, now.Sub(records[0].Timestamp).Seconds())
	return &age
}

func comparePart(topic string, partition int32, otherTopic string, otherPartition int32) int {
	return cmp.Or(cmp.Compare(topic, otherTopic), cmp.Compare(partition, otherPartition))
}
