package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// groupLag is how far one group is behind.
type groupLag struct {
	Group      string    `json:"group"`
	State      string    `json:"state"`
	Partitions int       `json:"partitions"`
	Unknown    int       `json:"unknown" doc:"partitions whose lag is not known: nothing committed, or no leader"`
	Lag        int64     `json:"lag" doc:"total of the partitions whose lag is known"`
	Age        *float64  `json:"lag_seconds" doc:"how long the oldest record not yet read has been waiting; null if unknown"`
	Offsets    positions `json:"offsets,omitempty" doc:"each partition, of groups named on the command line"`
}

type groupLags []groupLag

func (lags groupLags) table() (out [][]string) {
	if len(lags) == 0 || lags[0].Offsets == nil {
		out = append(out, []string{"GROUP", "STATE", "PARTITIONS", "LAG", "WAITING", ""})
		for _, g := range lags {
			out = append(out, []string{g.Group, g.State, decimal(g.Partitions), decimal(g.Lag), showAge(g.Age), g.note()})
		}
		return out
	}
	for i, g := range lags {
		if i > 0 {
			out = append(out, nil)
		}
		out = append(out, g.Offsets.table()...)
		out = append(out, nil, []string{g.summary()})
	}
	return out
}

func (g groupLag) note() string {
	if g.Unknown == 0 {
		return ""
	}
	return count(g.Unknown, "partition") + " unknown"
}

func (g groupLag) summary() string {
	out := g.Group + " (" + g.State + "): " + count(int(g.Lag), "record") + " behind"
	if g.Lag > 0 && g.Age != nil {
		out += ", the oldest waiting for " + showAge(g.Age)
	}
	if g.Unknown > 0 {
		out += ", " + g.note()
	}
	return out
}

func lagOf(g groupInfo, rows positions) groupLag {
	out := groupLag{Group: g.Group, State: g.State, Partitions: len(rows), Offsets: rows}
	none := 0.0
	oldest := &none
	for _, p := range rows {
		if p.Lag == nil {
			out.Unknown++
			continue
		}
		out.Lag += *p.Lag
		if p.Age == nil || oldest == nil {
			oldest = nil // a partition with lag that could not be read may hold the oldest record
		} else if *p.Age > *oldest {
			oldest = p.Age
		}
	}
	out.Age = oldest
	return out
}

func (a *app) groupLag() *cobra.Command {
	cmd := &cobra.Command{
		Use: "lag [GROUP...]", Short: "Show how far groups are behind, in records and in time", ValidArgsFunction: a.completeGroups,
		Long: "Show how far groups are behind: each partition of the groups named, or the totals of all groups.\n\n" +
			"LAG is the number of offsets between what the group committed and the end of the partition. WAITING is the age of the next\n" +
			"record to read: how long the group has been behind.",
	}
	watch := cmd.Flags().Duration("watch", 0, "show it again every so often, until interrupted")
	cmd.Flags().Lookup("watch").NoOptDefVal = "2s"
	prints(a, cmd, func(ctx context.Context, names []string) (groupLags, error) {
		return withClient(a, ctx, func(ctx context.Context, c *client) (groupLags, error) { return a.measureLag(ctx, c, names) })
	})
	once := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *watch <= 0 {
			return once(cmd, args)
		}
		return a.repeat(cmd.Context(), *watch, func() error { return once(cmd, args) })
	}
	return cmd
}

// repeat runs f every so often until ctx ends or f fails. A terminal is cleared before.
func (a *app) repeat(ctx context.Context, every time.Duration, f func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if a.outTTY {
			io.WriteString(a.out, "\x1b[H\x1b[2J")
		}
		if err := f(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (a *app) measureLag(ctx context.Context, c *client, names []string) (groupLags, error) {
	var listed error
	totals := len(names) == 0
	if totals {
		var rows groupRows
		rows, listed = listGroups(ctx, c, nil, nil)
		for _, r := range rows {
			if slices.Contains([]string{"", "classic", "consumer"}, r.Type) { // the others commit no offsets
				names = append(names, r.Group)
			}
		}
	}
	out := groupLags{}
	if len(names) == 0 {
		return out, listed
	}
	groups, bad := lookGroups(ctx, c, names)
	at, err := groupPositions(ctx, c, groups)
	markAges(ctx, c, a.now(), at...)
	for i, g := range groups {
		lag := lagOf(g, at[i])
		if totals {
			lag.Offsets = nil
		}
		out = append(out, lag)
	}
	return out, errors.Join(listed, bad, err)
}
