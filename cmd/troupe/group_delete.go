package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func (a *app) groupDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete GROUP...", Aliases: []string{"rm"}, Short: "Delete groups with their offsets, or the offsets of some topics",
		Long: "Delete groups that have no members, with everything they have committed. With --topic, delete only what one group has committed\n" +
			"for that topic; the group may have members, but none that subscribes to it.",
		Args: argCount(1, -1, "the name of at least one group"), ValidArgsFunction: a.completeGroups,
	}
	f := cmd.Flags()
	topics := f.StringArrayP("topic", "t", nil, topicPartHelp)
	regex := f.BoolP("regex", "r", false, "the names are regular expressions, each matching whole names")
	yes := f.BoolP("yes", "y", false, "do not ask")
	dry := f.Bool("dry-run", false, "show what would be deleted and delete nothing")
	_ = cmd.RegisterFlagCompletionFunc("topic", a.completeTopics)
	return prints(a, cmd, func(ctx context.Context, names []string) (changeRows, error) {
		selected, err := parseChosen(*topics)
		if err != nil {
			return nil, err
		}
		if len(selected) > 0 && (len(names) > 1 || *regex) {
			return nil, usage("one group at a time with --topic", "--topic is about the offsets of one group")
		}
		c, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if len(selected) > 0 {
			rows, err := a.deleteOffsets(ctx, c, names[0], selected, *yes, *dry)
			return rows, c.explain(err)
		}
		rows, err := a.deleteGroups(ctx, c, names, *regex, *yes, *dry)
		return rows, c.explain(err)
	})
}

func (a *app) deleteGroups(ctx context.Context, c *client, names []string, regex, yes, dry bool) (changeRows, error) {
	names, err := doomedGroups(ctx, c, names, regex)
	if err != nil {
		return nil, err
	}
	if dry {
		var rows changeRows
		for _, name := range names {
			rows = append(rows, changeRow{Name: name, Done: "deleted", DryRun: true})
		}
		return rows, nil
	}
	if err := a.confirm(yes, "delete "+count(len(names), "group")+" ("+strings.Join(names, ", ")+") with all their offsets"); err != nil {
		return nil, err
	}
	bounded, cancel := c.within(ctx)
	defer cancel()
	got, err := c.admin.DeleteGroups(bounded, names...)
	if err = shardError(err); err != nil && len(got) == 0 {
		return nil, noGroups(err)
	}
	var rows changeRows
	var bad failed
	for _, name := range names {
		r, gone := got.On(name, nil)
		if gone == nil {
			gone = r.Err
		}
		if gone != nil {
			rows = append(rows, bad.addOf("group", name, gone, r.ErrMessage))
			continue
		}
		rows = append(rows, changeRow{Name: name, Done: "deleted"})
	}
	return rows, errors.Join(bad.err(), err)
}

// doomedGroups are the groups a delete is about; every one exists.
func doomedGroups(ctx context.Context, c *client, args []string, regex bool) ([]string, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	there, err := listGroups(ctx, c, nil, nil)
	if err != nil {
		return nil, err
	}
	exists := map[string]bool{}
	for _, g := range there {
		exists[g.Group] = true
	}
	if !regex {
		for _, name := range args {
			if !exists[name] {
				return nil, unknownGroup(ctx, c, name)
			}
		}
		return args, nil
	}
	match, err := matcher(args)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range there {
		if match(g.Group) {
			out = append(out, g.Group)
		}
	}
	if len(out) == 0 {
		return nil, &problem{what: "no group matches " + strings.Join(args, " "), next: "troupe group list", exit: exitNotFound}
	}
	return out, nil
}

// deleteOffsets deletes what a group has committed for the chosen partitions.
func (a *app) deleteOffsets(ctx context.Context, c *client, group string, selected []chosen, yes, dry bool) (changeRows, error) {
	doomed, err := committedAmong(ctx, c, group, selected)
	if err != nil {
		return nil, err
	}
	var rows changeRows
	if !dry {
		if err := a.confirm(yes, fmt.Sprintf("delete the offsets of group %s for %s", group, showParts(partsOf(doomed)))); err != nil {
			return nil, err
		}
	}
	var got kadm.DeleteOffsetsResponses
	if !dry {
		bounded, cancel := c.within(ctx)
		defer cancel()
		if got, err = c.admin.DeleteOffsets(bounded, group, doomed); err != nil {
			return nil, fmt.Errorf("group %q: %w", group, err)
		}
	}
	var bad failed
	for _, t := range doomed.Sorted() {
		for _, partition := range t.Partitions {
			name := fmt.Sprintf("%s:%d", t.Topic, partition)
			if err, _ := got.Lookup(t.Topic, partition); err != nil {
				rows = append(rows, bad.addOf("partition", name, err, ""))
				continue
			}
			rows = append(rows, changeRow{Name: name, Done: "deleted", DryRun: dry})
		}
	}
	return rows, bad.err()
}

// committedAmong are the chosen partitions for which the group has committed something; at least one.
func committedAmong(ctx context.Context, c *client, group string, selected []chosen) (kadm.TopicsSet, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	committed, err := c.admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, noGroups(fmt.Errorf("group %q: %w", group, err))
	}
	out := kadm.TopicsSet{}
	committed.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 && has(selected, o.Topic, o.Partition) {
			out.Add(o.Topic, o.Partition)
		}
	})
	if len(out) > 0 {
		return out, nil
	}
	if _, err := lookGroup(ctx, c, group); err != nil {
		return nil, err
	}
	return nil, &problem{what: fmt.Sprintf("group %q has committed nothing there", group), next: "troupe group describe " + group, exit: exitNotFound}
}
