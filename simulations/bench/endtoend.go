package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/simulations/process"
)

// latencyResult is the time from the moment a record was due to be produced to the moment a consumer had it, in milliseconds.
type latencyResult struct {
	P50, P99, P999 float64
}

// endToEnd produces 1 KB records at a fixed rate, open loop, and reads them back with another client.
func endToEnd(b *process.Broker, topic string, rate int, warm, span time.Duration) (latencyResult, error) {
	ctx, cancel := context.WithTimeout(context.Background(), warm+span+30*time.Second)
	defer cancel()
	producer, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return latencyResult{}, err
	}
	defer producer.Close()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	if err != nil {
		return latencyResult{}, err
	}
	defer consumer.Close()
	hist := hdrhistogram.New(1, 60_000_000, 3)
	start := time.Now()
	var received, failed atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fetches := consumer.PollFetches(ctx)
			if ctx.Err() != nil || fetches.IsClientClosed() {
				return
			}
			now := time.Since(start)
			fetches.EachRecord(func(r *kgo.Record) {
				due := time.Duration(binary.BigEndian.Uint64(r.Value))
				if due >= warm {
					hist.RecordValue(max(1, (now - due).Microseconds()))
					received.Add(1)
				}
			})
		}
	}()
	sent := paceRecords(ctx, producer, rate, start, warm, warm+span, &failed)
	if err := producer.Flush(ctx); err != nil {
		return latencyResult{}, err
	}
	for end := time.Now().Add(10 * time.Second); received.Load() < sent && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	if failed.Load() > 0 || received.Load() < sent {
		return latencyResult{}, fmt.Errorf("%s at %d/s: %d of %d records came back, %d failed", b.Name, rate, received.Load(), sent, failed.Load())
	}
	ms := func(q float64) float64 { return float64(hist.ValueAtQuantile(q)) / 1000 }
	return latencyResult{P50: ms(50), P99: ms(99), P999: ms(99.9)}, nil
}

// paceRecords produces on schedule, never waiting for acknowledgements, and tells how many records fell behind the warm-up.
func paceRecords(ctx context.Context, cl *kgo.Client, rate int, start time.Time, warm, end time.Duration, failed *atomic.Int64) (sent int64) {
	interval := time.Second / time.Duration(rate)
	for due := time.Duration(0); due < end; due += interval {
		if wait := due - time.Since(start); wait > 0 {
			time.Sleep(wait)
		}
		value := make([]byte, 1000)
		binary.BigEndian.PutUint64(value, uint64(due))
		cl.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			}
		})
		if due >= warm {
			sent++
		}
	}
	return sent
}

// clientProduce drives franz-go's producer, tuned for throughput, and returns 10^6 bytes of values per second.
func clientProduce(addr, topic string, span time.Duration) (float64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(1<<20), kgo.MaxBufferedRecords(1<<20), kgo.RecordPartitioner(kgo.UniformBytesPartitioner(512<<10, false, false, nil)))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*span+30*time.Second)
	defer cancel()
	var acked, failed atomic.Int64
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Add(1)
		} else {
			acked.Add(1)
		}
	}
	values := distinctValues(1 << 14)
	warm := span / 3
	start, base := time.Now(), int64(0)
	for i := 0; time.Since(start) < warm+span; i++ {
		if base == 0 && i&1023 == 0 && time.Since(start) > warm {
			base = acked.Load()
		}
		cl.Produce(ctx, &kgo.Record{Value: values[i&(len(values)-1)]}, promise)
	}
	n := acked.Load() - base
	if err := cl.Flush(ctx); err != nil {
		return 0, err
	}
	if failed.Load() > 0 {
		return 0, fmt.Errorf("%d records failed at %s", failed.Load(), addr)
	}
	return float64(n) * valueBytes / span.Seconds() / 1e6, nil
}
