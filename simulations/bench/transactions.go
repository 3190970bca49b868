package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	txnRecords    = 100
	txnPartitions = 4
	commitsBeside = 256
)

// rate is what a closed loop reached after its warm-up.
type rate struct {
	PerSecond float64
	CPUEach   float64 // broker CPU-microseconds
}

// closedLoop counts how often the workers come round. The first error ends it.
func closedLoop(b *process.Broker, workers int, warm, span time.Duration, step func(ctx context.Context, worker int) error) (rate, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var done atomic.Int64
	var stop atomic.Bool
	errs := make(chan error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for !stop.Load() {
				if err := step(ctx, i); err != nil {
					errs <- err
					stop.Store(true)
					return
				}
				done.Add(1)
			}
		})
	}
	time.Sleep(warm)
	n0, cpu0, t0 := done.Load(), b.CPU(), time.Now()
	time.Sleep(span)
	n, cpu, elapsed := done.Load()-n0, b.CPU()-cpu0, time.Since(t0)
	stop.Store(true)
	wg.Wait()
	select {
	case err := <-errs:
		return rate{}, err
	default:
	}
	return rate{float64(n) / elapsed.Seconds(), float64(cpu.Microseconds()) / float64(max(n, 1))}, nil
}

// transactions is how many transactions of 100 records over 4 partitions the producers commit in a second.
func transactions(b *process.Broker, topic string, producers int, warm, span time.Duration) (rate, error) {
	clients := make([]*kgo.Client, producers)
	for i := range clients {
		cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.TransactionalID(fmt.Sprintf("bench-%d-%d", producers, i)), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
		if err != nil {
			return rate{}, err
		}
		defer cl.Close()
		clients[i] = cl
	}
	value := make([]byte, 100)
	return closedLoop(b, producers, warm, span, func(ctx context.Context, worker int) error {
		cl := clients[worker]
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		var failed atomic.Pointer[error]
		promise := func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		}
		for i := range txnRecords {
			cl.Produce(ctx, &kgo.Record{Value: value, Partition: int32(i % txnPartitions)}, promise)
		}
		if err := cl.Flush(ctx); err != nil {
			return err
		}
		if err := failed.Load(); err != nil {
			return *err
		}
		return cl.EndTransaction(ctx, kgo.TryCommit)
	})
}

// commits is how many offset commits of one partition each a client makes in a second with 256 in flight.
func commits(b *process.Broker, topic string, warm, span time.Duration) (rate, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.MaxConcurrentFetches(1))
	if err != nil {
		return rate{}, err
	}
	defer cl.Close()
	id, err := topicID(context.Background(), cl, topic)
	if err != nil {
		return rate{}, err
	}
	var next [commitsBeside]int64
	return closedLoop(b, commitsBeside, warm, span, func(ctx context.Context, worker int) error {
		next[worker]++
		return commitAll(ctx, cl, fmt.Sprintf("commits-%d", worker), topic, id, 1, next[worker])
	})
}

func (r *run) transactionsRow() error {
	return r.each(r.plain(), atOnce, func(v variant, b *process.Broker, c *client) error {
		if err := c.ready("txn", txnPartitions); err != nil {
			return err
		}
		warm := r.warmUp(v.label)
		for round := range r.rounds {
			for _, producers := range []int{1, 16} {
				got, err := transactions(b, "txn", producers, warm, r.span)
				if err != nil {
					return fmt.Errorf("%d producers: %w", producers, err)
				}
				r.report.add(fmt.Sprintf("transactions, %d producers", producers), v.label, sample{"per s": got.PerSecond, "CPU us each": got.CPUEach})
				r.progress("transactions %s %d producers round %d/%d: %.0f/s, %.0f us of broker CPU each", v.label, producers, round+1, r.rounds, got.PerSecond, got.CPUEach)
			}
			got, err := commits(b, "txn", warm, r.span)
			if err != nil {
				return fmt.Errorf("offset commits: %w", err)
			}
			r.report.add("offset commits", v.label, sample{"per s": got.PerSecond, "CPU us each": got.CPUEach})
			r.progress("offset commits %s round %d/%d: %.0f/s, %.1f us of broker CPU each", v.label, round+1, r.rounds, got.PerSecond, got.CPUEach)
			warm = r.span / 2
		}
		return nil
	})
}
