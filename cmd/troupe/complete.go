package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
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
