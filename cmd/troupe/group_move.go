package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// moveRow is one committed offset that was changed from outside the group, or would be.
type moveRow struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Before    *int64 `json:"before" doc:"what was committed; null for nothing"`
	After     *int64 `json:"after" doc:"what is committed now, or would be with --dry-run"`
	Note      string `json:"note,omitempty"`
	Error     string `json:"error,omitempty"`
	DryRun    bool   `json:"dry_run,omitempty"`

	metadata   string
	start, end int64
}

type moveRows []moveRow

func (rows moveRows) table() [][]string {
	out := [][]string{{"GROUP", "TOPIC", "PARTITION", "BEFORE", "AFTER", ""}}
	for _, r := range rows {
		out = append(out, []string{r.Group, r.Topic, decimal(r.Partition), maybe(r.Before), maybe(r.After), r.result()})
	}
	return out
}

// result is what became of r besides its offsets.
func (r moveRow) result() string {
	switch {
	case r.Error != "" || !r.DryRun:
		return cmp.Or(outcome("", r.Error, r.DryRun), r.Note)
	case r.Note != "":
		return outcome("moved", "", true) + "; " + r.Note
	}
	return outcome("moved", "", true)
}

// to sets where r shall stand. An offset outside the log is moved to its nearer end: a group that stood there would be sent to
// wherever its auto.offset.reset says.
//
// Source: OffsetsUtils.checkOffsetsRange.
func (r *moveRow) to(offset int64) {
	if r.end >= 0 {
		inside := min(max(offset, r.start), r.end)
		if inside != offset {
			r.Note = fmt.Sprintf("%d is outside the log", offset)
		}
		offset = inside
	}
	r.After = &offset
}

// fail says why r cannot be moved.
func (r *moveRow) fail(why string) { r.Error, r.After = why, nil }

// errs are the errors of single rows as one.
func (rows moveRows) errs() error {
	var out []error
	for _, r := range rows {
		if r.Error != "" {
			out = append(out, &problem{what: fmt.Sprintf("group %q, %s partition %d", r.Group, r.Topic, r.Partition), why: r.Error})
		}
	}
	return errors.Join(out...)
}

// summary is what the moves mean for the group's consumers. Without what was committed before nobody can tell.
func (rows moveRows) summary() string {
	var moved, again, skipped int64
	for _, r := range rows {
		if r.After == nil || r.Before != nil && *r.Before == *r.After {
			continue
		}
		moved++
		if r.Before == nil {
			continue
		}
		if d := *r.After - *r.Before; d < 0 {
			again -= d
		} else {
			skipped += d
		}
	}
	out := count(int(moved), "partition") + " moved"
	if again > 0 {
		out += ", " + humanize.Comma(again) + " to read again"
	}
	if skipped > 0 {
		out += ", " + humanize.Comma(skipped) + " skipped"
	}
	return out
}

// commitMoves commits the rows of one group that can be moved. Errors of partitions are noted in the rows.
func commitMoves(ctx context.Context, c *client, g groupInfo, rows moveRows) error {
	offsets := kadm.Offsets{}
	for _, r := range rows {
		if r.After != nil {
			offsets.Add(kadm.Offset{Topic: r.Topic, Partition: r.Partition, At: *r.After, LeaderEpoch: -1, Metadata: r.metadata})
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	got, err := c.admin.CommitOffsets(ctx, g.Group, offsets)
	if err != nil {
		return fmt.Errorf("group %q: %w", g.Group, err)
	}
	for i := range rows {
		r := &rows[i]
		answer, _ := got.Lookup(r.Topic, r.Partition)
		switch {
		case r.After == nil || answer.Err == nil:
		case joinedMeanwhile(answer.Err):
			return busyGroup(g)
		default:
			r.fail(answer.Err.Error())
		}
	}
	return nil
}

// joinedMeanwhile reports whether a commit from outside was refused because the group has members again.
func joinedMeanwhile(err error) bool {
	return errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.StaleMemberEpoch) || errors.Is(err, kerr.RebalanceInProgress)
}

// chosen is what --topic names: a topic, and some of its partitions or all.
type chosen struct {
	topic      string
	partitions []int32 // all if empty
}

const topicPartHelp = "only this topic, or some of its partitions: `TOPIC[:P,P...]`; may be repeated"

// parseChosen reads TOPIC or TOPIC:P,P.
func parseChosen(values []string) (out []chosen, err error) {
	for _, v := range values {
		topic, list, some := strings.Cut(v, ":")
		one := chosen{topic: topic}
		for _, word := range strings.Split(list, ",") {
			if !some {
				break
			}
			n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 32)
			if err != nil || n < 0 {
				return nil, usage("TOPIC, or TOPIC:0,2,5", "%q does not name partitions", v)
			}
			one.partitions = append(one.partitions, int32(n))
		}
		if topic == "" {
			return nil, usage("TOPIC, or TOPIC:0,2,5", "%q names no topic", v)
		}
		out = append(out, one)
	}
	return out, nil
}

// has reports whether the partition is among the chosen; nothing chosen is everything.
func has(all []chosen, topic string, partition int32) bool {
	return len(all) == 0 || slices.ContainsFunc(all, func(c chosen) bool {
		return c.topic == topic && (len(c.partitions) == 0 || slices.Contains(c.partitions, partition))
	})
}

// choose makes a row for every partition that is chosen, sorted; without a choice for every partition the group has committed.
// What does not exist is an error that comes with the rest.
func choose(ctx context.Context, c *client, group string, all []chosen) (moveRows, error) {
	committed, err := c.admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, noGroups(fmt.Errorf("group %q: %w", group, err))
	}
	topics := kadm.TopicsSet{}
	committed.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 && has(all, o.Topic, o.Partition) {
			topics.Add(o.Topic, o.Partition)
		}
	})
	named := kadm.TopicsSet{}
	for _, one := range all {
		named.Add(one.topic, one.partitions...)
	}
	for topic := range topics {
		named.Add(topic)
	}
	start, end, bad := endsOf(ctx, c, named.Topics())
	for _, one := range all {
		if len(one.partitions) > 0 {
			topics.Add(one.topic, one.partitions...)
			continue
		}
		for partition := range end[one.topic] {
			if partition >= 0 {
				topics.Add(one.topic, partition)
			}
		}
		if len(topics[one.topic]) == 0 {
			bad = errors.Join(bad, unknownTopic(ctx, c, one.topic))
		}
	}
	var rows moveRows
	for _, t := range topics.Sorted() {
		for _, partition := range t.Partitions {
			rows = append(rows, rowAt(group, t.Topic, partition, committed, start, end))
		}
	}
	return rows, bad
}

func rowAt(group, topic string, partition int32, committed kadm.OffsetResponses, start, end kadm.ListedOffsets) moveRow {
	r := moveRow{Group: group, Topic: topic, Partition: partition, start: offsetIn(start, topic, partition), end: offsetIn(end, topic, partition)}
	if o, ok := committed.Lookup(topic, partition); ok && o.At >= 0 {
		r.Before = &o.At
	}
	if r.end < 0 {
		r.fail(missingIn(end, topic, partition))
	}
	return r
}

// endsOf is where the logs of topics begin and end. Topics that do not exist are left out, with the client library's marker.
func endsOf(ctx context.Context, c *client, topics []string) (start, end kadm.ListedOffsets, err error) {
	if len(topics) == 0 {
		return nil, nil, nil
	}
	start, _ = c.admin.ListStartOffsets(ctx, topics...) // fails for the reason the next one fails
	end, err = c.admin.ListEndOffsets(ctx, topics...)
	return start, end, shardError(err)
}
