package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// peekMax bounds how many records of each partition peek holds in memory.
const peekMax = 1000

// peekRow is the next record a group would read of a partition, or why there is none.
type peekRow struct {
	Topic     string      `json:"topic"`
	Partition int32       `json:"partition"`
	Committed *int64      `json:"committed" doc:"offset of the next record to read; null if nothing is committed"`
	Lag       *int64      `json:"lag" doc:"offsets between committed and the high watermark; null if unknown"`
	Record    *recordJSON `json:"record" doc:"null if there is none to read"`
	Note      string      `json:"note,omitempty" doc:"why there is no record"`

	record *kgo.Record
}

type peekRows []peekRow

func (rows peekRows) table() [][]string {
	out := [][]string{{"TOPIC", "PARTITION", "LAG", "OFFSET", "TIME", "KEY", "VALUE"}}
	for _, r := range rows {
		line := []string{r.Topic, decimal(r.Partition), maybe(r.Lag)}
		if r.record == nil {
			out = append(out, append(line, maybe(r.Committed), "("+r.Note+")"))
			continue
		}
		out = append(out, append(line, decimal(r.record.Offset), r.record.Timestamp.UTC().Format(time.RFC3339), cell(r.record.Key), cell(r.record.Value)))
	}
	return out
}

func (a *app) peek() *cobra.Command {
	cmd := &cobra.Command{
		Use: "peek GROUP", Short: "Show what a group would read next, without reading it for the group",
		Long: "Show the next record of each partition that a group has committed an offset for. Nothing is committed and no member joins: the group\n" +
			"does not notice.",
		Example: "  troupe peek billing\n  troupe peek billing -t orders:3 -n 5 -o json",
		Args:    argCount(1, 1, "the name of one group"), ValidArgsFunction: a.completeGroups,
	}
	f := cmd.Flags()
	num := f.IntP("num", "n", 1, "so many records of each partition")
	topics := f.StringArrayP("topic", "t", nil, topicPartHelp)
	committed := f.Bool("committed", false, "leave out records of open and aborted transactions (read_committed)")
	_ = cmd.RegisterFlagCompletionFunc("topic", a.completeTopics)
	return prints(a, cmd, func(ctx context.Context, names []string) (peekRows, error) {
		selected, err := parseChosen(*topics)
		if err != nil {
			return nil, err
		}
		if *num < 1 || *num > peekMax {
			return nil, usage("troupe consume TOPIC -o OFFSET for more", "peek shows 1 to %d records of each partition", peekMax)
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (peekRows, error) {
			g, err := lookGroup(ctx, c, names[0])
			if err != nil {
				return nil, err
			}
			at, err := groupPositions(ctx, c, []groupInfo{g})
			rows, perr := peekAt(ctx, c, at[0], selected, *num, *committed)
			return rows, errors.Join(err, perr)
		})
	})
}

// peekAt reads at every chosen position, some of them beside each other.
func peekAt(ctx context.Context, c *client, at positions, selected []chosen, num int, committed bool) (peekRows, error) {
	topics := kadm.TopicsSet{}
	for _, p := range at {
		topics.Add(p.Topic)
	}
	rows := peekRows{}
	if len(topics) == 0 {
		return rows, nil
	}
	about, err := c.admin.ListTopicsWithInternal(ctx, topics.Topics()...)
	if err != nil {
		return nil, err
	}
	found := make([]peekRows, len(at))
	var wait sync.WaitGroup
	slots := make(chan struct{}, agesAtOnce)
	for i, p := range at {
		if !has(selected, p.Topic, p.Partition) {
			continue
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			found[i] = peekOne(ctx, c, about[p.Topic], p, num, committed)
		})
	}
	wait.Wait()
	for _, some := range found {
		rows = append(rows, some...)
	}
	return rows, nil
}

func peekOne(ctx context.Context, c *client, about kadm.TopicDetail, p position, num int, committed bool) (out peekRows) {
	row := peekRow{Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, Lag: p.Lag}
	switch {
	case p.Error != "":
		row.Note = p.Error
	case p.Committed == nil:
		row.Note = "nothing committed yet"
	case *p.Lag == 0:
		row.Note = "at the end"
	default:
		records, err := readSome(ctx, c, about, p.Partition, max(*p.Committed, p.Start), num, committed)
		for _, r := range records {
			j := recordOf(r)
			row.record, row.Record = r, &j
			out = append(out, row)
		}
		if len(records) > 0 {
			return out
		}
		row.Note = "no record left to read"
		if err != nil {
			row.Note = err.Error()
		}
	}
	return peekRows{row}
}
