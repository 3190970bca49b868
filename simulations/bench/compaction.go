package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	compactedRecords = 10_000_000
	compactedKeys    = 100_000
)

// compactionRow produces 10,000,000 records of 100,000 keys, once with the cleaner off and once with it working beside, and counts what
// a reader finds when it is done.
func (r *run) compactionRow() error {
	for _, v := range r.plain() {
		for _, on := range []string{"false", "true"} {
			var got sample
			err := r.with(v, map[string]string{"log.cleaner.enable": on, "log.cleaner.backoff.ms": "1000"}, func(b *process.Broker, c *client) (err error) {
				got, err = compaction(b, c, on == "true")
				return err
			})
			if err != nil {
				return err
			}
			label := v.label + " without"
			if on == "true" {
				label = v.label + " while cleaning"
			}
			r.report.add("compaction", label, got)
			r.progress("compaction %s: %v", label, got)
		}
	}
	return nil
}

func compaction(b *process.Broker, c *client, cleaned bool) (sample, error) {
	ctx := context.Background()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.DefaultProduceTopic("keyed"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(50_000), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	if err := c.createTopic("keyed", 4, map[string]string{"cleanup.policy": "compact", "segment.bytes": fmt.Sprint(32 << 20), "min.cleanable.dirty.ratio": "0.3"}); err != nil {
		return nil, err
	}
	if _, err := c.waitLed("keyed", 4, time.Minute); err != nil {
		return nil, err
	}
	begin, cpu := time.Now(), b.CPU()
	var failed atomic.Pointer[error]
	for n := range compactedRecords {
		kv := make([]byte, 8+100)
		key := (n * 7919) % compactedKeys
		binary.BigEndian.PutUint64(kv, uint64(key))
		binary.BigEndian.PutUint64(kv[8:], uint64(n))
		cl.Produce(ctx, &kgo.Record{Partition: int32(key % 4), Key: kv[:8], Value: kv[8:]}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return nil, err
	}
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	took := time.Since(begin)
	out := sample{"M records/s": compactedRecords / took.Seconds() / 1e6, "CPU s": (b.CPU() - cpu).Seconds()}
	if !cleaned {
		return out, nil
	}
	read, err := newestOfEach(ctx, b)
	out["records left"] = float64(read)
	return out, err
}

// newestOfEach reads the topic as the cleaner leaves it and checks that the newest value of every key is there.
func newestOfEach(ctx context.Context, b *process.Broker) (read int, err error) {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Second) {
		before := read
		if read, err = readKeyed(ctx, b); err != nil || read == before || time.Now().After(deadline) {
			return read, err
		}
	}
}

func readKeyed(ctx context.Context, b *process.Broker) (read int, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ConsumeTopics("keyed"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	newest := make([]int64, compactedKeys)
	for done := 0; done < compactedKeys; {
		wait, cancel := context.WithTimeout(ctx, 20*time.Second)
		polled := cl.PollFetches(wait)
		cancel()
		if polled.NumRecords() == 0 {
			return read, fmt.Errorf("%d of %d keys have their newest value", done, compactedKeys)
		}
		polled.EachRecord(func(r *kgo.Record) {
			read++
			key, n := binary.BigEndian.Uint64(r.Key), int64(binary.BigEndian.Uint64(r.Value))
			newest[key] = n
			if n >= compactedRecords-compactedKeys { // every key comes once in as many records
				done++
			}
		})
	}
	return read, nil
}
