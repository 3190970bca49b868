package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (a *app) groupAlter() *cobra.Command {
	cmd := &cobra.Command{
		Use: "alter GROUP...", Short: "Change settings of groups", Args: argCount(1, -1, "the name of at least one group"),
		Long: "Change settings of groups (KIP-848). A group that does not exist may have settings: they hold once it does.\n" +
			"Classic groups do not heed them.",
		Example:           "  troupe group alter billing --set consumer.session.timeout.ms=60000",
		ValidArgsFunction: a.completeGroups,
	}
	set, unset := alterFlags(cmd, groupKeys)
	dry := cmd.Flags().Bool("dry-run", false, dryAlterHelp)
	return prints(a, cmd, func(ctx context.Context, groups []string) (changeRows, error) {
		configs, err := alterations(*set, *unset)
		if err != nil {
			return nil, err
		}
		if len(configs) == 0 {
			return nil, usage("--set KEY=VALUE or --unset KEY", "nothing to alter")
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (changeRows, error) {
			got, err := alterGroupConfigs(ctx, c, configs, *dry, groups...)
			if err != nil {
				return nil, err
			}
			var rows changeRows
			var bad failed
			alteredRows("group", groups, got, changeRow{Done: "altered: " + describeAlterations(configs), DryRun: *dry}, &rows, &bad)
			return rows, bad.err()
		})
	})
}

// alterGroupConfigs is kadm's AlterTopicConfigs for groups, or its ValidateAlterTopicConfigs. Any broker knows the settings of all groups.
func alterGroupConfigs(ctx context.Context, c *client, configs []kadm.AlterConfig, dry bool, groups ...string) (kadm.AlterConfigsResponses, error) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = dry
	for _, name := range groups {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, name
		for _, change := range configs {
			op := kmsg.IncrementalAlterConfigOpSet
			if change.Op == kadm.DeleteConfig {
				op = kmsg.IncrementalAlterConfigOpDelete
			}
			r.Configs = append(r.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: change.Name, Op: op, Value: change.Value})
		}
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, c.Client)
	if err != nil {
		return nil, err
	}
	var out kadm.AlterConfigsResponses
	for _, r := range resp.Resources {
		out = append(out, kadm.AlterConfigsResponse{Name: r.ResourceName, Err: kerr.ErrorForCode(r.ErrorCode), ErrMessage: value(r.ErrorMessage)})
	}
	return out, nil
}

// describeGroupConfigs is kadm's DescribeTopicConfigs for groups. A broker before 4.0, whose groups have no settings, answers
// INVALID_REQUEST for each.
func describeGroupConfigs(ctx context.Context, c *client, groups ...string) (kadm.ResourceConfigs, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range groups {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, name
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, c.Client)
	if err != nil {
		return nil, err
	}
	var out kadm.ResourceConfigs
	for _, r := range resp.Resources {
		described := kadm.ResourceConfig{Name: r.ResourceName, Err: kerr.ErrorForCode(r.ErrorCode), ErrMessage: value(r.ErrorMessage)}
		for _, k := range r.Configs {
			described.Configs = append(described.Configs, kadm.Config{Key: k.Name, Value: k.Value, Sensitive: k.IsSensitive, Source: k.Source})
		}
		out = append(out, described)
	}
	return out, nil
}

// addGroupConfigs shows the settings of groups in their views.
func addGroupConfigs(ctx context.Context, c *client, views groupViews, all bool) error {
	var names []string
	for _, v := range views {
		names = append(names, v.Group)
	}
	if len(names) == 0 {
		return nil
	}
	got, err := describeGroupConfigs(ctx, c, names...)
	for i := range views {
		views[i].Configs = []configRow{}
		for _, r := range got {
			if r.Name != views[i].Group {
				continue
			}
			views[i].Configs = configRows(r.Configs, all)
			if r.Err != nil && !errors.Is(r.Err, kerr.InvalidRequest) {
				err = errors.Join(err, r.Err)
			}
		}
	}
	return err
}
