package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func (a *app) txn() *cobra.Command {
	c := noun("txn", "See transactions, find those that hang, and abort them", a.txnList(), a.txnDescribe(), a.txnHanging(), a.txnAbort())
	c.Aliases = []string{"txns", "transaction", "transactions"}
	return c
}

// txnRow is a line of txn list.
type txnRow struct {
	ID          string `json:"transactional_id"`
	State       string `json:"state"`
	ProducerID  int64  `json:"producer_id"`
	Coordinator int32  `json:"coordinator" doc:"node id"`
}

type txnRows []txnRow

func (rows txnRows) table() [][]string {
	out := [][]string{{"TRANSACTIONAL ID", "STATE", "PRODUCER", "COORDINATOR"}}
	for _, r := range rows {
		out = append(out, []string{r.ID, r.State, decimal(r.ProducerID), decimal(r.Coordinator)})
	}
	return out
}

// transactionStates are the words that a filter of transactions takes. Source: TransactionState.
var transactionStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"}

func (a *app) txnList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list [REGEX...]", Aliases: []string{"ls"}, Short: "List transactional ids and their states", ValidArgsFunction: a.completeTransactions,
		Long: "List transactional ids: all of them, or those that one of the expressions matches as a whole.",
	}
	states := cmd.Flags().StringSlice("state", nil, "only ids in this `STATE`, as Ongoing or CompleteCommit; may be repeated")
	completeWords(cmd, "state", "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "PrepareEpochFence", "Dead")
	return prints(a, cmd, func(ctx context.Context, args []string) (txnRows, error) {
		match, err := matcher(args)
		if err != nil {
			return nil, err
		}
		state, err := oneOf("state", *states, transactionStates...)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (txnRows, error) {
			got, err := c.admin.ListTransactions(ctx, nil, state)
			rows := txnRows{}
			for _, t := range got.Sorted() {
				if match(t.TxnID) && wanted(state, t.State) {
					rows = append(rows, txnRow{ID: t.TxnID, State: t.State, ProducerID: t.ProducerID, Coordinator: t.Coordinator})
				}
			}
			return rows, noTransactions(shardError(err))
		})
	})
}

// txnView is what txn describe prints of one transactional id.
type txnView struct {
	txnRow
	ProducerEpoch int16       `json:"producer_epoch"`
	TimeoutMillis int32       `json:"timeout_ms"`
	Started       *time.Time  `json:"started" doc:"null if no transaction is open"`
	Age           *float64    `json:"age_seconds" doc:"null if no transaction is open"`
	Partitions    []topicPart `json:"partitions" doc:"those in the open transaction; while it ends, those without a marker yet"`
}

type txnViews []txnView

func (views txnViews) table() (out [][]string) {
	for i, v := range views {
		if i > 0 {
			out = append(out, nil)
		}
		out = append(out,
			[]string{"id", v.ID},
			[]string{"state", v.State},
			[]string{"producer", fmt.Sprintf("%d, epoch %d", v.ProducerID, v.ProducerEpoch)},
			[]string{"coordinator", decimal(v.Coordinator)},
			[]string{"timeout", (time.Duration(v.TimeoutMillis) * time.Millisecond).String()},
		)
		if v.Started != nil {
			out = append(out, []string{"started", v.Started.Format(time.RFC3339) + ", " + showAge(v.Age) + " ago"})
		}
		if len(v.Partitions) > 0 {
			out = append(out, []string{"partitions", showParts(v.Partitions)})
		}
	}
	return out
}

func viewOf(t kadm.DescribedTransaction, now time.Time) txnView {
	v := txnView{
		txnRow:        txnRow{ID: t.TxnID, State: t.State, ProducerID: t.ProducerID, Coordinator: t.Coordinator},
		ProducerEpoch: t.ProducerEpoch, TimeoutMillis: t.TimeoutMillis, Partitions: partsOf(t.Topics),
	}
	if t.StartTimestamp > 0 {
		started := time.UnixMilli(t.StartTimestamp).UTC()
		age := max(0, now.Sub(started).Seconds())
		v.Started, v.Age = &started, &age
	}
	return v
}

func (a *app) txnDescribe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "describe TXID...", Short: "Show state, producer and partitions of transactional ids",
		Args: argCount(1, -1, "at least one transactional id"), ValidArgsFunction: a.completeTransactions,
	}
	return prints(a, cmd, func(ctx context.Context, ids []string) (txnViews, error) {
		return withClient(a, ctx, func(ctx context.Context, c *client) (txnViews, error) {
			got, err := c.admin.DescribeTransactions(ctx, ids...)
			bad := noTransactions(shardError(err))
			var views txnViews
			for _, id := range ids {
				t, ok := got[id]
				switch {
				case ok && t.Err == nil:
					views = append(views, viewOf(t, a.now()))
				case ok:
					bad = errors.Join(bad, fmt.Errorf("transactional id %q: %w", id, t.Err))
				case err == nil:
					bad = errors.Join(bad, fmt.Errorf("the broker says nothing about transactional id %q", id))
				}
			}
			return views, bad
		})
	})
}

// noTransactions says in plain words that a broker knows no transactions, or not these requests.
func noTransactions(err error) error {
	if err == nil || !tooOld(err) {
		return err
	}
	return &problem{what: "this broker cannot tell about its transactions", why: "it is too old, or serves none", next: "troupe doctor shows its versions", cause: err}
}

// knows reports whether the coordinator that described t has the partition in an open transaction.
func knows(t kadm.DescribedTransaction, topic string, partition int32) bool {
	return t.Err == nil && slices.Contains([]string{"Ongoing", "PrepareCommit", "PrepareAbort"}, t.State) && t.Topics.Lookup(topic, partition)
}
