package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

const topicOffsetsHelp = `Show offsets of partitions by time (as kafka-get-offsets does), without a group. WHEN (--at, may be repeated) is

  start, end        the first offset, and the one after the last record
  stable            the end of what read_committed sees
  max-timestamp     the record with the largest timestamp (KIP-734)
  TIME              the first record written at that time or later:
                    2026-05-01, 2026-05-01T10:00:00Z, -1h30m or 2d (so long
                    ago), @1777629600 (Unix seconds or milliseconds)

-2, -1 and -3 are start, end and max-timestamp, as Kafka's tool has them. Where no record is that late, the offset is the end and the
timestamp is missing. An empty partition has no largest timestamp: its offset is null.`

// offsetRow is one offset of one partition.
type offsetRow struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	At          string `json:"at" doc:"what was asked for"`
	Offset      *int64 `json:"offset" doc:"null if there is none"`
	Timestamp   *int64 `json:"timestamp,omitempty" doc:"of the record there, milliseconds since 1970"`
	LeaderEpoch *int32 `json:"leader_epoch,omitempty" doc:"in which the record was written"`
	Error       string `json:"error,omitempty"`
}

type offsetRows []offsetRow

func (rows offsetRows) table() [][]string {
	out := [][]string{{"TOPIC", "PARTITION", "AT", "OFFSET", "TIMESTAMP", ""}}
	for _, r := range rows {
		when := "-"
		if r.Timestamp != nil {
			when = time.UnixMilli(*r.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")
		}
		out = append(out, []string{r.Topic, decimal(r.Partition), r.At, maybe(r.Offset), when, r.Error})
	}
	return out
}

func (a *app) topicOffsets() *cobra.Command {
	cmd := &cobra.Command{
		Use: "offsets [TOPIC...]", Aliases: []string{"get-offsets"}, Short: "Show offsets by time, at the start and at the end", Long: topicOffsetsHelp,
		Example: "  troupe topic offsets orders                       # start and end\n  troupe topic offsets orders --at -1h --at end\n" +
			"  troupe topic offsets 'ord.*' -r --at max-timestamp -o jsonl",
		ValidArgsFunction: a.completeTopics,
	}
	f := cmd.Flags()
	at := f.StringArray("at", []string{"start", "end"}, "`WHEN` (see above); may be repeated")
	partitions := f.Int32SliceP("partitions", "p", nil, "only these partitions")
	regex := f.BoolP("regex", "r", false, "the topics are regular expressions, each matching whole names")
	completeWords(cmd, "at", "start", "end", "stable", "max-timestamp")
	return prints(a, cmd, func(ctx context.Context, topics []string) (offsetRows, error) {
		questions, err := parseQuestions(*at, a.now())
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (offsetRows, error) {
			if len(topics) == 0 {
				topics, *regex = []string{".*"}, true
			}
			topics, err := selectTopics(ctx, c, topics, *regex)
			if err != nil {
				return nil, err
			}
			return listOffsets(ctx, c, topics, *partitions, questions)
		})
	})
}

// question is one offset that is asked of every partition.
type question struct {
	name   string
	ask    func(context.Context, *kadm.Client, []string) (kadm.ListedOffsets, error)
	byTime bool // the answer has a timestamp, if there is such a record
}

// namedQuestions are those that are no time, by their names; the first is the one shown.
var namedQuestions = []struct {
	names []string
	question
}{
	{[]string{"start", "earliest", "beginning", "oldest", "-2"}, question{ask: func(ctx context.Context, c *kadm.Client, t []string) (kadm.ListedOffsets, error) {
		return c.ListStartOffsets(ctx, t...)
	}}},
	{[]string{"end", "latest", "newest", "-1"}, question{ask: func(ctx context.Context, c *kadm.Client, t []string) (kadm.ListedOffsets, error) {
		return c.ListEndOffsets(ctx, t...)
	}}},
	{[]string{"stable", "committed"}, question{ask: func(ctx context.Context, c *kadm.Client, t []string) (kadm.ListedOffsets, error) {
		return c.ListCommittedOffsets(ctx, t...)
	}}},
	{[]string{"max-timestamp", "-3"}, question{byTime: true, ask: func(ctx context.Context, c *kadm.Client, t []string) (kadm.ListedOffsets, error) {
		return c.ListMaxTimestampOffsets(ctx, t...)
	}}},
}

func parseQuestions(values []string, now time.Time) (out []question, err error) {
	for _, v := range values {
		q, err := parseQuestion(v, now)
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

func parseQuestion(s string, now time.Time) (question, error) {
	for _, n := range namedQuestions {
		if slices.Contains(n.names, s) {
			q := n.question
			q.name = n.names[0]
			return q, nil
		}
	}
	at, err := parseTime(strings.TrimPrefix(s, "@"), now)
	if err != nil {
		return question{}, usage("--at start, end, stable, max-timestamp, -1h or 2026-05-01T10:00:00Z", "%q is no offset and no time", s)
	}
	return question{name: at.at.UTC().Format(time.RFC3339), byTime: true, ask: func(ctx context.Context, c *kadm.Client, t []string) (kadm.ListedOffsets, error) {
		return c.ListOffsetsAfterMilli(ctx, at.at.UnixMilli(), t...)
	}}, nil
}

// listOffsets asks every question of every partition, or of the listed ones; the rows are sorted by topic, partition and question.
func listOffsets(ctx context.Context, c *client, topics []string, partitions []int32, questions []question) (offsetRows, error) {
	rows := offsetRows{}
	var bad []error
	for _, q := range questions {
		got, err := q.ask(ctx, c.admin, topics)
		if err != nil {
			bad = append(bad, shardError(err))
		}
		got.Each(func(o kadm.ListedOffset) {
			if o.Partition < 0 || len(partitions) > 0 && !slices.Contains(partitions, o.Partition) {
				return
			}
			if o.Err != nil {
				bad = append(bad, fmt.Errorf("topic %q partition %d, %s: %w", o.Topic, o.Partition, q.name, o.Err))
			}
			rows = append(rows, q.row(o))
		})
	}
	slices.SortStableFunc(rows, func(x, y offsetRow) int { return comparePart(x.Topic, x.Partition, y.Topic, y.Partition) })
	if len(rows) == 0 && len(bad) == 0 {
		return nil, &problem{what: "none of these partitions exists", next: "troupe topic describe TOPIC", exit: exitNotFound}
	}
	return rows, errors.Join(bad...)
}

func (q question) row(o kadm.ListedOffset) offsetRow {
	r := offsetRow{Topic: o.Topic, Partition: o.Partition, At: q.name, Error: text(o.Err)}
	if o.Err != nil || o.Offset < 0 {
		return r
	}
	r.Offset = &o.Offset
	if q.byTime && o.Timestamp >= 0 {
		r.Timestamp = &o.Timestamp
	}
	if o.LeaderEpoch >= 0 {
		r.LeaderEpoch = &o.LeaderEpoch
	}
	return r
}
