package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const trimHelp = `Delete the records at the beginning of partitions (as kafka-delete-records does), without waiting for retention. Where the log
shall begin (--to):

  N                 an exact offset: what is before it goes
  +N                the first N offsets go
  -N                the last N offsets stay
  end               everything goes
  TIME              what was written before goes: 2026-05-01,
                    2026-05-01T10:00:00Z, -7d or -1h30m (so long ago),
                    @1777629600 (Unix seconds or milliseconds)

The offsets of what remains do not change. If one of the partitions cannot be trimmed there, none is.`

// trimRow is one partition whose beginning was deleted, or would be.
type trimRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Start     int64  `json:"log_start_offset" doc:"first offset that could be read before"`
	To        int64  `json:"to" doc:"first offset to keep"`
	End       int64  `json:"high_watermark" doc:"exclusive end of what can be read"`
	Offsets   int64  `json:"offsets" doc:"how many offsets go: the records, unless compaction took some before"`
	Low       *int64 `json:"low_watermark" doc:"first offset that all replicas still hold; null if nothing was done"`
	Error     string `json:"error,omitempty"`
	DryRun    bool   `json:"dry_run,omitempty"`
}

type trimRows []trimRow

func (rows trimRows) table() [][]string {
	out := [][]string{{"TOPIC", "PARTITION", "START", "END", "TRIM TO", "OFFSETS", "LOW WATERMARK", ""}}
	for _, r := range rows {
		out = append(out, []string{r.Topic, decimal(r.Partition), decimal(r.Start), decimal(r.End), decimal(r.To), decimal(r.Offsets), maybe(r.Low), r.note()})
	}
	return out
}

func (r trimRow) note() string {
	switch {
	case r.Error != "":
		return outcome("", r.Error, r.DryRun)
	case r.Offsets == 0:
		return "nothing to delete"
	case r.DryRun:
		return outcome("trimmed", r.Error, r.DryRun)
	}
	return ""
}

// errs are the errors of single rows as one.
func (rows trimRows) errs() error {
	var out []error
	for _, r := range rows {
		if r.Error != "" {
			out = append(out, &problem{what: fmt.Sprintf("topic %q partition %d was not trimmed", r.Topic, r.Partition), why: r.Error, next: "troupe topic describe " + r.Topic})
		}
	}
	return errors.Join(out...)
}

func (a *app) topicTrim() *cobra.Command {
	cmd := &cobra.Command{
		Use: "trim TOPIC... --to WHERE", Aliases: []string{"truncate", "trim-prefix"}, Short: "Delete the records before an offset or a time", Long: trimHelp,
		Example: "  troupe topic trim orders --to -7d --dry-run\n  troupe topic trim orders -p 3 --to 1000\n  troupe topic trim orders --to end --yes   # empty it",
		Args:    argCount(1, -1, "the name of at least one topic"), ValidArgsFunction: a.completeTopics,
	}
	f := cmd.Flags()
	to := f.String("to", "", "`WHERE` the log shall begin (see above)")
	partitions := f.Int32SliceP("partitions", "p", nil, "only these partitions")
	yes := f.BoolP("yes", "y", false, "do not ask")
	dry := f.Bool("dry-run", false, "show what would be deleted and delete nothing")
	return prints(a, cmd, func(ctx context.Context, topics []string) (trimRows, error) {
		if *to == "" {
			return nil, usage("troupe topic trim "+topics[0]+" --to -7d --dry-run", "trim wants --to: where the log shall begin")
		}
		target, err := parseTrim(*to, a)
		if err != nil {
			return nil, err
		}
		c, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		rows, err := planTrim(ctx, c, topics, *partitions, target)
		if err == nil {
			err = rows.errs()
		}
		if err != nil || *dry {
			rows.setDry(*dry)
			return rows, c.explain(err)
		}
		return a.trim(ctx, c, rows, *yes)
	})
}

// parseTrim reads where a log shall begin: an offset as consume has it, or a time as group seek has it.
func parseTrim(s string, a *app) (bound, error) {
	if at, err := parseOffset(s); err == nil {
		return at, nil
	}
	at, err := parseTime(strings.TrimPrefix(s, "@"), a.now())
	if err != nil || strings.HasPrefix(s, "+") {
		return bound{}, usage("--to 1234, -10, end, -7d or 2026-05-01T10:00:00Z", "%q is no place for a log to begin", s)
	}
	return at, nil
}

func (rows trimRows) setDry(dry bool) {
	for i := range rows {
		rows[i].DryRun = dry
	}
}

// planTrim says for every chosen partition what a trim would delete. Partitions that cannot be trimmed there have an error; topics and
// partitions that do not exist are errors of the whole.
func planTrim(ctx context.Context, c *client, topics []string, partitions []int32, target bound) (trimRows, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	if _, err := selectTopics(ctx, c, topics, false); err != nil {
		return nil, err
	}
	parts, err := resolve(ctx, c, topics, partitions, offsetRange{from: target}, false)
	if err != nil {
		return nil, err
	}
	if err := allThere(topics, partitions, parts); err != nil {
		return nil, err
	}
	var rows trimRows
	for _, p := range parts {
		r := trimRow{Topic: p.topic, Partition: p.partition, Start: p.start, To: p.from, End: p.end, Offsets: p.from - p.start}
		if target.kind == boundOffset && target.n > p.end {
			r.To, r.Offsets, r.Error = target.n, 0, fmt.Sprintf("the log ends at %d, before %d", p.end, target.n)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// allThere checks that every topic has every partition that was asked for.
func allThere(topics []string, partitions []int32, parts []assignment) error {
	for _, topic := range topics {
		for _, partition := range partitions {
			if !slices.ContainsFunc(parts, func(p assignment) bool { return p.topic == topic && p.partition == partition }) {
				return &problem{what: fmt.Sprintf("topic %q has no partition %d", topic, partition), next: "troupe topic describe " + topic, exit: exitNotFound}
			}
		}
	}
	return nil
}

// trim deletes what the rows say, after asking, and notes the low watermarks.
func (a *app) trim(ctx context.Context, c *client, rows trimRows, yes bool) (trimRows, error) {
	offsets := kadm.Offsets{}
	var gone int64
	for _, r := range rows {
		if r.Offsets > 0 {
			gone += r.Offsets
			offsets.Add(kadm.Offset{Topic: r.Topic, Partition: r.Partition, At: r.To, LeaderEpoch: -1})
		}
	}
	if gone == 0 {
		return rows, nil
	}
	if err := a.confirm(yes, fmt.Sprintf("delete %s at the beginning of %s", offsetCount(gone), showParts(partsOf(offsets.TopicsSet())))); err != nil {
		return nil, err
	}
	bounded, cancel := c.within(ctx)
	defer cancel()
	got, err := c.admin.DeleteRecords(bounded, offsets)
	for i := range rows {
		if rows[i].Offsets > 0 {
			rows[i].trimmed(got)
		}
	}
	return rows, errors.Join(rows.errs(), c.explain(shardError(err)))
}

func offsetCount(n int64) string {
	if n == 1 {
		return "1 offset"
	}
	return humanize.Comma(n) + " offsets"
}

// trimmed notes what the broker says of r; nothing if its broker did not answer, which is an error of the whole.
func (r *trimRow) trimmed(got kadm.DeleteRecordsResponses) {
	answer, ok := got.Lookup(r.Topic, r.Partition)
	switch {
	case !ok:
	case errors.Is(answer.Err, kerr.PolicyViolation):
		r.Error = "the topic is compacted, and only topics with cleanup.policy=delete lose their beginning"
	case answer.Err != nil:
		r.Error = answer.Err.Error()
	default:
		r.Low = &answer.LowWatermark
	}
}
