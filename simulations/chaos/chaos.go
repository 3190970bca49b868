// Package chaos kills a real broker process again and again under the load of real clients and then reads everything back: idempotent
// producers (Run), and an exactly-once copy whose copier is killed too (Copy).
//
// It proves for the built binary, the real disk and a client nobody here wrote (franz-go) what the simulator proves for the code: no
// acknowledged record is lost, changed, duplicated or reordered by kill -9. It cannot prove anything about power loss: the page
// cache survives a killed process. That is the simulator's job.
package chaos

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/simulations/process"
)

// Config of one run.
type Config struct {
	Subject    process.Subject
	Dir        string
	Settings   map[string]string
	Kills      int
	Partitions int32
	Producers  int // each an idempotent producer of its own, writing to every partition
	Seed       uint64
	Progress   func(format string, args ...any)
}

// Result says what happened and what was found.
type Result struct {
	Acked    int           // acknowledged records
	Read     int           // records read back at the end
	Slowest  time.Duration // longest restart until the port accepted again
	Problems []string      // violations of the promises; empty is the only good value
}

const topic = "chaos"

// Run starts the broker, loads it, kills it Kills times, restarts it each time, reads everything back and compares.
func Run(ctx context.Context, cfg Config) (Result, error) {
	b, err := process.Start(cfg.Subject, cfg.Dir, cfg.Settings)
	if err != nil {
		return Result{}, err
	}
	defer func() { b.Kill() }()
	if err := createTopic(ctx, cfg); err != nil {
		return Result{}, err
	}
	ledger := newLedger(cfg.Producers, cfg.Partitions)
	stop := make(chan struct{})
	failures := make(chan error, cfg.Producers)
	var wg sync.WaitGroup
	for p := range cfg.Producers {
		wg.Add(1)
		go func() { defer wg.Done(); failures <- produce(ctx, cfg, p, ledger, stop) }()
	}
	out := Result{}
	rng := rand.New(rand.NewPCG(cfg.Seed, 1))
	for k := range cfg.Kills {
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(time.Duration(100+rng.IntN(400)) * time.Millisecond):
		}
		b.Kill()
		began := time.Now()
		if b, err = process.Start(cfg.Subject, cfg.Dir, cfg.Settings); err != nil {
			return out, fmt.Errorf("restart %d: %w", k+1, err)
		}
		out.Slowest = max(out.Slowest, time.Since(began))
		if cfg.Progress != nil {
			cfg.Progress("kill %d/%d: %d records acknowledged", k+1, cfg.Kills, ledger.count())
		}
	}
	close(stop)
	wg.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			return out, err
		}
	}
	out.Acked = ledger.count()
	read, problems, err := readBack(ctx, cfg, ledger)
	out.Read, out.Problems = read, problems
	return out, err
}

func createTopic(ctx context.Context, cfg Config) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Subject.Addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, cfg.Partitions, 1
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// produce writes until stop, one record after another to every partition in turn, many in flight, and enters every acknowledgement.
func produce(ctx context.Context, cfg Config, producer int, l *ledger, stop chan struct{}) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Subject.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(2000), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	var mu sync.Mutex
	var failed error
	for n := uint64(0); ; n++ {
		select {
		case <-stop:
			if err := cl.Flush(ctx); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			return failed
		default:
		}
		p := int32(n % uint64(cfg.Partitions))
		cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: p, Value: value(producer, n)}, func(r *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				failed = fmt.Errorf("producer %d, record %d: %w", producer, n, err)
				mu.Unlock()
				return
			}
			l.acked(producer, p, n, r.Offset)
		})
	}
}

// value carries who wrote it, its number and a checksum, padded to a size that varies.
func value(producer int, n uint64) []byte {
	v := make([]byte, 24+n%200)
	binary.BigEndian.PutUint64(v, uint64(producer))
	binary.BigEndian.PutUint64(v[8:], n)
	for i := 24; i < len(v); i++ {
		v[i] = byte(n) + byte(i)
	}
	binary.BigEndian.PutUint32(v[16:], crc32.ChecksumIEEE(v[24:]))
	return v
}
