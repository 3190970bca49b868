package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// groupView is what group describe prints of one group.
type groupView struct {
	groupInfo
	Configs []configRow `json:"configs" doc:"settings that differ from the default; all of them with --configs"`
	Offsets positions   `json:"offsets"`
}

type groupViews []groupView

func (views groupViews) table() (out [][]string) {
	for i, v := range views {
		if i > 0 {
			out = append(out, nil)
		}
		out = append(out, v.groupInfo.table()...)
		out = append(out, configLines(v.Configs)...)
		if len(v.Members) > 0 {
			out = append(out, nil)
			out = append(out, v.Members.table()...)
		}
		if len(v.Offsets) > 0 {
			out = append(out, nil)
			out = append(out, v.Offsets.table()...)
		}
	}
	return out
}

func (a *app) groupDescribe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "describe GROUP...", Short: "Show state, settings, members, offsets and lag of groups",
		Args: argCount(1, -1, "the name of at least one group"), ValidArgsFunction: a.completeGroups,
	}
	all := cmd.Flags().Bool("configs", false, allConfigsHelp)
	return prints(a, cmd, func(ctx context.Context, names []string) (groupViews, error) {
		return withClient(a, ctx, func(ctx context.Context, c *client) (groupViews, error) {
			groups, bad := lookGroups(ctx, c, names)
			var views groupViews
			at, err := groupPositions(ctx, c, groups)
			for i, g := range groups {
				views = append(views, groupView{groupInfo: g, Offsets: at[i]})
			}
			if err == nil {
				markAges(ctx, c, a.now(), at...)
			}
			err = errors.Join(err, addGroupConfigs(ctx, c, views, *all))
			return views, errors.Join(bad, err)
		})
	})
}

func (a *app) groupMembers() *cobra.Command {
	cmd := &cobra.Command{
		Use: "members GROUP", Short: "List the members of a group and what they are assigned",
		Args: argCount(1, 1, "the name of one group"), ValidArgsFunction: a.completeGroups,
	}
	return prints(a, cmd, func(ctx context.Context, names []string) (memberRows, error) {
		return withClient(a, ctx, func(ctx context.Context, c *client) (memberRows, error) {
			g, err := lookGroup(ctx, c, names[0])
			return g.Members, err
		})
	})
}
