package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// benchFlags are what the benches have in common.
type benchFlags struct {
	rate        int64 // records per second; 0 is as fast as possible
	size        int   // bytes of a value
	num         int64 // records; 0 is no limit
	duration    time.Duration
	warm        time.Duration
	acks, codec string
	partitions  int32
	replication int16
	keep        bool
	batchBytes  int32
	linger      time.Duration
}

// benchLinger is how long Kafka's producers wait for a batch to fill unless they are told otherwise (KIP-1030).
const benchLinger = 5 * time.Millisecond

const benchTopicHelp = "Without a TOPIC, one is made for the bench and deleted afterwards.\n"

func (a *app) bench() *cobra.Command {
	c := noun("bench", "Measure how fast a Kafka takes and gives records", a.benchProduce(), a.benchConsume(), a.benchEndToEnd())
	c.Long = "Measure any Kafka from here, for a bounded time. Latencies are said with percentiles; with a rate they count from the moment a record was due,\n" +
		"so that a slow broker cannot hide by slowing down the bench (coordinated omission)."
	return c
}

func (b *benchFlags) registerTime(f *pflag.FlagSet) {
	f.DurationVar(&b.duration, "duration", 10*time.Second, "measure for this long")
	f.Int64VarP(&b.num, "num", "n", 0, "stop after this many records")
}

func (b *benchFlags) registerLoad(cmd *cobra.Command, rate int64, linger time.Duration) {
	f := cmd.Flags()
	b.registerTime(f)
	f.Int64Var(&b.rate, "rate", rate, "`RECORDS` a second; 0 is as fast as possible")
	f.IntVar(&b.size, "size", 1024, "`BYTES` of a record's value: random letters")
	f.DurationVar(&b.warm, "warmup", time.Second, "do not count this long at the beginning")
	f.StringVar(&b.acks, "acks", "all", "who must have a record: all (in-sync replicas), leader or none")
	f.StringVarP(&b.codec, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	f.Int32Var(&b.batchBytes, "max-message-bytes", produceBatchBytesDefault, "largest batch to send, in `bytes` before compression")
	f.DurationVar(&b.linger, "linger", linger, "wait so long for a batch to fill (linger.ms)")
	f.Int32VarP(&b.partitions, "partitions", "p", 6, "partitions of the topic that is made")
	f.Int16Var(&b.replication, "replication", -1, "its replicas; -1 is the broker's default")
	f.BoolVar(&b.keep, "keep", false, "do not delete the topic that was made")
	completeWords(cmd, "acks", "all", "leader", "none")
	completeWords(cmd, "compression", "none", "gzip", "snappy", "lz4", "zstd")
}

// check refuses what makes no sense; low is the smallest value the bench can do with, in bytes.
func (b *benchFlags) check(low int) error {
	switch {
	case b.rate < 0 || b.rate > 1e9:
		return usage("--rate 1000, or 0 for as fast as possible", "--rate %d", b.rate)
	case b.size < low || b.size > inputLineMax:
		return usage(fmt.Sprintf("--size %d or more", low), "--size %d", b.size)
	case b.duration <= 0 || b.warm < 0 || b.linger < 0:
		return usage("--duration 10s --warmup 1s --linger 5ms", "--duration, --warmup and --linger are lengths of time")
	}
	return nil
}

func (a *app) benchProduce() *cobra.Command {
	b := &benchFlags{}
	cmd := &cobra.Command{
		Use: "produce [TOPIC]", Short: "Measure how fast records are acknowledged", Args: argCount(0, 1, "at most one topic"), ValidArgsFunction: a.completeTopics,
		Long:    "Write records for a while and tell how many were acknowledged and after what time. " + benchTopicHelp + "\nWithout --rate a latency includes the time in this client's queue.",
		Example: "  troupe bench produce\n  troupe bench produce --rate 20000 --size 200 -z lz4\n  troupe bench produce orders -X linger.ms=5 -o json",
	}
	b.registerLoad(cmd, 0, benchLinger)
	return prints(a, cmd, func(ctx context.Context, args []string) (benchResult, error) {
		if err := b.check(1); err != nil {
			return benchResult{}, err
		}
		return a.onBenchTopic(ctx, b, args, func(topic string) (benchResult, error) { return a.measureProduce(ctx, b, topic) })
	})
}

func (a *app) benchEndToEnd() *cobra.Command {
	b := &benchFlags{}
	cmd := &cobra.Command{
		Use: "e2e [TOPIC]", Aliases: []string{"end-to-end", "latency"}, Short: "Measure the time from a record's due time to its consumer", Args: argCount(0, 1, "at most one topic"),
		Long: "Write records at a rate and read them back with another client. The latency of a record is the time from when it was due to be written until\n" +
			"it was read; nothing waits for anything, and what does not come back is an error. " + benchTopicHelp,
		Example:           "  troupe bench e2e\n  troupe bench e2e --rate 50000 --duration 30s --acks leader",
		ValidArgsFunction: a.completeTopics,
	}
	b.registerLoad(cmd, 1000, 0)
	return prints(a, cmd, func(ctx context.Context, args []string) (benchResult, error) {
		if b.rate == 0 {
			return benchResult{}, usage("--rate 1000; bench produce finds out how much is possible", "e2e wants a rate")
		}
		if err := b.check(benchStampSize); err != nil {
			return benchResult{}, err
		}
		return a.onBenchTopic(ctx, b, args, func(topic string) (benchResult, error) { return a.measureEndToEnd(ctx, b, topic) })
	})
}

func (a *app) benchConsume() *cobra.Command {
	b := &benchFlags{}
	cmd := &cobra.Command{
		Use: "consume TOPIC", Short: "Measure how fast the records of a topic are read", Args: argCount(1, 1, "the name of one topic"), ValidArgsFunction: a.completeTopics,
		Long:    "Read a topic from its start to its end, or for --duration, and tell how fast that went. Nothing is committed or printed.",
		Example: "  troupe bench produce --keep\n  troupe bench consume TOPIC",
	}
	b.registerTime(cmd.Flags())
	committed := cmd.Flags().Bool("committed", false, "leave out records of open and aborted transactions (read_committed)")
	return prints(a, cmd, func(ctx context.Context, args []string) (benchResult, error) {
		if err := b.check(0); err != nil {
			return benchResult{}, err
		}
		return a.measureConsume(ctx, b, args[0], *committed)
	})
}

// onBenchTopic runs a bench on the topic that args name, or on one made for it.
func (a *app) onBenchTopic(ctx context.Context, b *benchFlags, args []string, run func(topic string) (benchResult, error)) (out benchResult, err error) {
	c, err := a.connect(ctx)
	if err != nil {
		return out, err
	}
	defer c.Close()
	setup, cancel := c.within(ctx)
	defer cancel()
	if len(args) > 0 {
		if _, err := selectTopics(setup, c, args, false); err != nil {
			return out, c.explain(err)
		}
		return run(args[0])
	}
	topic := "troupe-bench-" + strings.ToLower(rand.Text()[:10])
	made, err := c.admin.CreateTopics(setup, b.partitions, b.replication, nil, topic)
	if err == nil {
		err = made[topic].Err
	}
	if err != nil {
		return out, c.explain(fmt.Errorf("topic %q: %w", topic, err))
	}
	if b.keep {
		a.say("The records are in topic %s.", topic)
	} else {
		defer func() { err = errors.Join(err, c.removeBenchTopic(ctx, topic)) }()
	}
	return run(topic)
}

// removeBenchTopic deletes a topic that a bench has made, also after an interrupt.
func (c *client) removeBenchTopic(ctx context.Context, topic string) error {
	ctx, cancel := c.within(context.WithoutCancel(ctx))
	defer cancel()
	gone, err := c.admin.DeleteTopics(ctx, topic)
	if err == nil {
		err = gone[topic].Err
	}
	if err != nil {
		return &problem{what: "the topic of the bench was not deleted", why: err.Error(), next: "troupe topic delete " + topic, cause: err}
	}
	return nil
}
