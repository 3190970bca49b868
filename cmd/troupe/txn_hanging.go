package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// transactionMaxTimeout is Kafka's default of transaction.max.timeout.ms: no transaction may be open for longer.
const transactionMaxTimeout = 15 * time.Minute

// openRow is a transaction that is open on one partition, as the partition's leader sees it.
type openRow struct {
	Topic            string     `json:"topic"`
	Partition        int32      `json:"partition"`
	ProducerID       int64      `json:"producer_id"`
	ProducerEpoch    int16      `json:"producer_epoch"`
	CoordinatorEpoch int32      `json:"coordinator_epoch" doc:"-1 if no coordinator ever ended a transaction of this producer here"`
	Start            int64      `json:"start_offset" doc:"first offset of the transaction: read_committed stops here"`
	Last             *time.Time `json:"last_write"`
	Age              *float64   `json:"age_seconds" doc:"since the producer last wrote here"`
	ID               string     `json:"transactional_id,omitempty" doc:"if a coordinator knows the producer"`
	State            string     `json:"state" doc:"hanging: no coordinator will ever end it; open: its coordinator knows of it"`
	Done             string     `json:"done,omitempty" doc:"by txn abort"`
	Error            string     `json:"error,omitempty"`
	DryRun           bool       `json:"dry_run,omitempty"`
}

const (
	stateHanging = "hanging"
	stateOpen    = "open"
)

type openRows []openRow

// MarshalJSON keeps a dry run from saying that something was done.
func (r openRow) MarshalJSON() ([]byte, error) {
	type plain openRow
	r.Done = wouldBe(r.Done, r.DryRun)
	return marshal(plain(r))
}

func (rows openRows) table() [][]string {
	out := [][]string{{"TOPIC", "PARTITION", "START", "PRODUCER", "EPOCH", "LAST WRITE", "TRANSACTIONAL ID", "STATE", ""}}
	for _, r := range rows {
		note := outcome(r.Done, r.Error, r.DryRun)
		out = append(out, []string{
			r.Topic, decimal(r.Partition), decimal(r.Start), decimal(r.ProducerID), decimal(r.ProducerEpoch), ago(r.Age), orDash(r.ID), r.State, note,
		})
	}
	return out
}

func ago(age *float64) string {
	if age == nil {
		return "-"
	}
	return showAge(age) + " ago"
}

func (r openRow) String() string {
	return fmt.Sprintf("%s:%d from offset %d (producer %d)", r.Topic, r.Partition, r.Start, r.ProducerID)
}

func (a *app) txnHanging() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hanging", Short: "Find transactions that no coordinator will ever end", Args: argCount(0, 0, "no arguments"),
		Long: "Find transactions that are open on a partition although their coordinator does not know of them: nobody will end them, and readers\n" +
			"of committed records stop where they began. Every partition is asked, or those of some topics or of one broker.\n\n" +
			"The exit code is 4 if there are any; 'troupe txn abort' ends them.",
	}
	f := cmd.Flags()
	topics := f.StringArrayP("topic", "t", nil, topicPartHelp)
	broker := f.Int32("broker", -1, "only partitions that the broker with this `ID` leads")
	older := f.Duration("older-than", transactionMaxTimeout, "only producers that have not written for this long: transaction.max.timeout.ms of the brokers")
	all := f.Bool("all", false, "show every open transaction, also those that do not hang")
	_ = cmd.RegisterFlagCompletionFunc("topic", a.completeTopics)
	return prints(a, cmd, func(ctx context.Context, _ []string) (openRows, error) {
		selected, err := parseChosen(*topics)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (openRows, error) {
			rows, err := openTransactions(ctx, c, selected, *broker, a.now())
			hang := openRows{}
			n := 0
			for _, r := range rows {
				old := r.Age == nil || *r.Age >= older.Seconds()
				if r.State == stateHanging && old {
					n++
				}
				if *all || r.State == stateHanging && old {
					hang = append(hang, r)
				}
			}
			if n > 0 {
				err = errors.Join(err, &problem{what: count(n, "hanging transaction"), next: "troupe txn abort TOPIC:PARTITION", exit: exitUnhealthy})
			}
			return hang, err
		})
	})
}

// openTransactions finds the transactions that are open on the chosen partitions and asks their coordinators whether they know of
// them. An error that comes with rows is about partitions that could not be asked.
//
// Source: KIP-664; TransactionsCommand.FindHangingTransactionsCommand.
func openTransactions(ctx context.Context, c *client, selected []chosen, broker int32, now time.Time) (openRows, error) {
	names := []string{}
	for _, s := range selected {
		names = append(names, s.topic)
	}
	topics, err := c.admin.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, err
	}
	ask := kadm.TopicsSet{}
	for _, t := range topics {
		if errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			return nil, unknownTopic(ctx, c, t.Topic)
		}
		for _, p := range t.Partitions {
			if has(selected, t.Topic, p.Partition) && (broker < 0 || p.Leader == broker) {
				ask.Add(t.Topic, p.Partition)
			}
		}
	}
	if len(ask) == 0 {
		return openRows{}, nil
	}
	described, err := c.admin.DescribeProducers(ctx, ask)
	bad := noTransactions(shardError(err))
	rows := openRows{}
	described.EachPartition(func(p kadm.DescribedProducersPartition) {
		if p.Err != nil {
			bad = errors.Join(bad, fmt.Errorf("topic %q partition %d: %w", p.Topic, p.Partition, p.Err))
		}
		for _, producer := range p.ActiveProducers {
			if producer.CurrentTxnStartOffset >= 0 {
				rows = append(rows, openOf(producer, now))
			}
		}
	})
	slices.SortFunc(rows, func(x, y openRow) int {
		return cmp.Or(comparePart(x.Topic, x.Partition, y.Topic, y.Partition), cmp.Compare(x.Start, y.Start))
	})
	return rows, errors.Join(bad, judgeOpen(ctx, c, rows))
}

func openOf(p kadm.DescribedProducer, now time.Time) openRow {
	r := openRow{
		Topic: p.Topic, Partition: p.Partition, ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch,
		CoordinatorEpoch: p.CoordinatorEpoch, Start: p.CurrentTxnStartOffset, State: stateOpen,
	}
	if p.LastTimestamp >= 0 {
		last := time.UnixMilli(p.LastTimestamp).UTC()
		age := max(0, now.Sub(last).Seconds())
		r.Last, r.Age = &last, &age
	}
	return r
}

// judgeOpen asks the coordinators about the producers of rows. A transaction hangs if no transactional id has its producer, or if
// that id has no open transaction with the partition. If the coordinators cannot be asked, none is called hanging.
func judgeOpen(ctx context.Context, c *client, rows openRows) error {
	if len(rows) == 0 {
		return nil
	}
	var producers []int64
	for _, r := range rows {
		producers = append(producers, r.ProducerID)
	}
	slices.Sort(producers)
	listed, err := c.admin.ListTransactions(ctx, slices.Compact(producers), nil)
	if err != nil {
		return noTransactions(shardError(err))
	}
	described := kadm.DescribedTransactions{}
	if len(listed) > 0 {
		if described, err = c.admin.DescribeTransactions(ctx, listed.TransactionalIDs()...); err != nil {
			return noTransactions(shardError(err))
		}
	}
	for i := range rows {
		r := &rows[i]
		r.State = stateHanging
		for _, t := range described {
			if t.ProducerID != r.ProducerID {
				continue
			}
			r.ID = t.TxnID
			if knows(t, r.Topic, r.Partition) {
				r.State = stateOpen
			}
		}
	}
	return nil
}

func (a *app) txnAbort() *cobra.Command {
	cmd := &cobra.Command{
		Use: "abort TOPIC:PARTITION...", Short: "Abort transactions that hang on partitions",
		Long: "Abort transactions that hang on partitions, by writing the marker that no coordinator will write. Records of the transaction stay\n" +
			"invisible to readers of committed records, and those after it become visible.\n\n" +
			"A transaction that its coordinator knows of is left alone: its producer or its timeout ends it. --force aborts it all the same, on\n" +
			"this partition only, which breaks its atomicity.",
		Example: "  troupe txn hanging\n  troupe txn abort orders:3 --dry-run",
		Args:    argCount(1, -1, "at least one TOPIC:PARTITION"), ValidArgsFunction: a.completeTopics,
	}
	f := cmd.Flags()
	producer := f.Int64("producer", -1, "only the transaction of the producer with this `ID`")
	start := f.Int64("start-offset", -1, "only the transaction that begins at this `OFFSET`")
	force := f.Bool("force", false, "also transactions that do not hang")
	yes := f.BoolP("yes", "y", false, "do not ask")
	dry := f.Bool("dry-run", false, "show what would be aborted and abort nothing")
	return prints(a, cmd, func(ctx context.Context, args []string) (openRows, error) {
		selected, err := parseChosen(args)
		if err != nil {
			return nil, err
		}
		for i, s := range selected {
			if len(s.partitions) == 0 {
				return nil, usage(args[i]+":0", "%q names no partition", args[i])
			}
		}
		c, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		rows, err := findOpen(ctx, c, selected, a.now())
		if err != nil {
			return nil, c.explain(err)
		}
		rows = slices.DeleteFunc(rows, func(r openRow) bool {
			return *producer >= 0 && r.ProducerID != *producer || *start >= 0 && r.Start != *start
		})
		return a.abortOpen(ctx, c, rows, *force, *yes, *dry)
	})
}

func findOpen(ctx context.Context, c *client, selected []chosen, now time.Time) (openRows, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	return openTransactions(ctx, c, selected, -1, now)
}

func (a *app) abortOpen(ctx context.Context, c *client, rows openRows, force, yes, dry bool) (openRows, error) {
	if len(rows) == 0 {
		return rows, &problem{what: "no such transaction is open there", next: "troupe txn hanging --all", exit: exitNotFound}
	}
	var plan []string
	for _, r := range rows {
		if r.State == stateOpen && !force {
			return rows, &problem{
				what: "the transaction on " + r.String() + " does not hang",
				why:  "the coordinator of " + strconv.Quote(r.ID) + " knows of it",
				next: "let its producer or its timeout end it; 'troupe txn describe " + r.ID + "' shows it",
			}
		}
		plan = append(plan, r.String())
	}
	if dry {
		for i := range rows {
			rows[i].Done, rows[i].DryRun = "aborted", true
		}
		return rows, nil
	}
	if err := a.confirm(yes, "abort the transaction on "+strings.Join(plan, ", ")); err != nil {
		return nil, err
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	var bad error
	for i := range rows {
		r := &rows[i]
		if err := abortOne(ctx, c, *r); err != nil {
			r.Error = err.Error()
			bad = errors.Join(bad, fmt.Errorf("aborting on %s: %w", r, c.explain(err)))
			continue
		}
		r.Done = "aborted"
	}
	return rows, bad
}

// abortOne writes an abort marker to one partition.
//
// Source: KIP-664; AbortTransactionHandler: a coordinator epoch that is not known is sent as 0.
func abortOne(ctx context.Context, c *client, r openRow) error {
	part := kadm.TopicsSet{}
	part.Add(r.Topic, r.Partition)
	got, err := c.admin.WriteTxnMarkers(ctx, kadm.TxnMarkers{
		ProducerID: r.ProducerID, ProducerEpoch: r.ProducerEpoch, CoordinatorEpoch: max(0, r.CoordinatorEpoch), Topics: part,
	})
	if err != nil {
		return shardError(err)
	}
	answered := false
	got.EachPartition(func(p kadm.TxnMarkersPartitionResponse) { answered, err = true, errors.Join(err, p.Err) })
	if !answered {
		return errors.New("the broker did not answer for this partition")
	}
	return err
}
