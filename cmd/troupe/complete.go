package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-broker/troupe/cluster/config"
)

// completionBudget is how long a press of the tab key may take.
const completionBudget = 500 * time.Millisecond

// completeTopics completes topic names; silently nothing if no broker answers in time.
func (a *app) completeTopics(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(ctx context.Context, c *client) ([]string, error) {
		topics, err := c.admin.ListTopics(ctx)
		return topics.Names(), err
	})
}

// completeFrom completes words that the cluster knows; silently nothing if no broker answers in time.
func (a *app) completeFrom(cmd *cobra.Command, list func(context.Context, *client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionBudget)
	defer cancel()
	a.completing, a.quiet = true, true
	if a.settleFor(cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	a.timeout = completionBudget
	c, err := a.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	words, err := list(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// keysFor are the settings that may be meant on a command line with these arguments.
type keysFor func(args []string) []config.Key

func topicKeys([]string) []config.Key { return config.TopicKeys() }
func groupKeys([]string) []config.Key { return config.GroupKeys() }

// completeKeys completes the names of settings in a flag, each with what follows it.
func completeKeys(cmd *cobra.Command, flag, after string, keys keysFor) {
	how := cobra.ShellCompDirectiveNoFileComp
	if after != "" {
		how |= cobra.ShellCompDirectiveNoSpace
	}
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, args []string, typed string) (words []string, _ cobra.ShellCompDirective) {
		if key, _, valued := strings.Cut(typed, "="); valued && after != "" {
			return begunBy(typed, valuesOf(key, keys(args))), cobra.ShellCompDirectiveNoFileComp
		}
		for _, k := range keys(args) {
			words = append(words, k.Name+after)
		}
		return begunBy(typed, words), how
	})
}

// valuesOf are the values of a setting that takes one of a few, each as KEY=VALUE.
func valuesOf(name string, keys []config.Key) (out []string) {
	for _, k := range keys {
		if k.Name != name {
			continue
		}
		for _, v := range k.Options() {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// completeWords completes the values of a flag that takes one of a few.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return begunBy(typed, slices.Clone(words)), cobra.ShellCompDirectiveNoFileComp
	})
}

// completeProperties completes the names of client properties.
func completeProperties(_ *cobra.Command, _ []string, typed string) (words []string, _ cobra.ShellCompDirective) {
	for _, name := range propertyNames() {
		words = append(words, name+"=")
	}
	return begunBy(typed, words), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// begunBy are the words that what was typed begins.
func begunBy(typed string, words []string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, typed) })
}

// completeResources completes what settings belong to.
func (a *app) completeResources(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(ctx context.Context, c *client) ([]string, error) {
		words := []string{"cluster"}
		if brokers, err := c.admin.ListBrokers(ctx); err == nil {
			for _, id := range brokers.NodeIDs() {
				words = append(words, "broker/"+decimal(id))
			}
		}
		if topics, err := c.admin.ListTopics(ctx); err == nil {
			for _, name := range topics.Names() {
				words = append(words, "topic/"+name)
			}
		}
		if groups, err := c.admin.ListGroups(ctx); err == nil {
			for _, name := range groups.Groups() {
				words = append(words, "group/"+name)
			}
		}
		return begunBy(typed, words), nil
	})
}

// nearest is the word closest to name, by edits, if it is close enough to be meant; otherwise empty.
func nearest(name string, words []string) string {
	best, distance := "", 1+max(2, len(name)/3)
	for _, w := range words {
		if d := edits(name, w); d < distance {
			best, distance = w, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// completeGroups completes names of groups.
func (a *app) completeGroups(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(ctx context.Context, c *client) ([]string, error) {
		groups, err := c.admin.ListGroups(ctx)
		return groups.Groups(), err
	})
}

// completeTransactions completes transactional ids.
func (a *app) completeTransactions(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completeFrom(cmd, func(ctx context.Context, c *client) ([]string, error) {
		transactions, err := c.admin.ListTransactions(ctx, nil, nil)
		return transactions.TransactionalIDs(), err
	})
}
