package chaos

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/simulations/process"
)

// CopyConfig of one run of an exactly-once copy: consume, transform and produce in transactions, while broker and copier are killed.
type CopyConfig struct {
	Subject     process.Subject
	Dir         string
	Settings    map[string]string
	Records     int // in all, fed little by little so that there is always something to copy
	Partitions  int32
	BrokerKills int
	CopierKills int
	Seed        uint64
	// Copier starts a copier as a process of its own; see RunCopier.
	Copier   func() *exec.Cmd
	Progress func(format string, args ...any)
}

// CopyResult says what happened and what was found.
type CopyResult struct {
	Copied   int
	Took     time.Duration
	Problems []string // violations of the promises; empty is the only good value
}

const (
	copyInput, copyOutput, copyGroup = "copy-input", "copy-output", "copier"
	copyTransactionalID              = "copier"
	copySession                      = 2 * time.Second // of the copier in its group: a killed one is waited for that long
	copyQuietMax                     = 2 * time.Minute // without a newly copied record the run is over
)

// RunCopier copies from the input to the output in transactions until the context ends.
func RunCopier(ctx context.Context, addr string) error {
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(addr), kgo.TransactionalID(copyTransactionalID), kgo.ConsumerGroup(copyGroup),
		kgo.ConsumeTopics(copyInput), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.SessionTimeout(copySession),
		kgo.HeartbeatInterval(200*time.Millisecond), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.TransactionTimeout(5*time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer s.Close()
	for ctx.Err() == nil {
		polled := s.PollRecords(ctx, 1000)
		if polled.NumRecords() == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			return err
		}
		failed := kgo.AbortingFirstErrPromise(s.Client())
		polled.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{Topic: copyOutput, Partition: r.Partition, Key: r.Key, Value: transformed(r.Value)}, failed.Promise())
		})
		if _, err := s.End(ctx, kgo.TransactionEndTry(failed.Err() == nil)); err != nil {
			return err // whoever started it starts another
		}
	}
	return ctx.Err()
}

// transformed is what the copier makes of a value.
func transformed(v []byte) []byte {
	out := append([]byte("copy of "), v...)
	return out
}

// Copy feeds the input, keeps a copier and the broker alive between kills, and compares the output when all is copied.
func Copy(ctx context.Context, cfg CopyConfig) (out CopyResult, err error) {
	b, err := process.Start(cfg.Subject, cfg.Dir, cfg.Settings)
	if err != nil {
		return out, err
	}
	defer func() { b.Kill() }()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Subject.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		return out, err
	}
	defer cl.Close()
	for _, topic := range []string{copyInput, copyOutput} {
		if err := createNamed(ctx, cl, topic, cfg.Partitions); err != nil {
			return out, err
		}
	}
	began := time.Now()
	c := &copier{start: cfg.Copier}
	defer c.kill()
	rng := rand.New(rand.NewPCG(cfg.Seed, 2))
	kills := cfg.BrokerKills + cfg.CopierKills
	fed, brokerLeft := 0, cfg.BrokerKills
	for k := range kills {
		if err := c.ensure(); err != nil {
			return out, err
		}
		upTo := cfg.Records * (k + 1) / kills
		feed(ctx, cl, cfg, fed, upTo)
		fed = upTo
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(time.Duration(100+rng.IntN(500)) * time.Millisecond):
		}
		if rng.IntN(kills-k) < brokerLeft {
			brokerLeft--
			b.Kill()
			if b, err = process.Start(cfg.Subject, cfg.Dir, cfg.Settings); err != nil {
				return out, fmt.Errorf("restart: %w", err)
			}
		} else {
			c.kill()
		}
		if cfg.Progress != nil {
			cfg.Progress("kill %d/%d: %d records fed", k+1, kills, fed)
		}
	}
	if err := cl.Flush(ctx); err != nil {
		return out, err
	}
	out.Copied, out.Problems, err = compareCopy(ctx, cfg, c)
	out.Took = time.Since(began)
	if err != nil {
		return out, err
	}
	c.kill()
	problems, err := hanging(ctx, cfg)
	out.Problems = append(out.Problems, problems...)
	return out, err
}

// copier is the process that copies, started again whenever it has ended.
type copier struct {
	start func() *exec.Cmd
	cmd   *exec.Cmd
	ended atomic.Bool
}

func (c *copier) ensure() error {
	if c.cmd != nil && !c.ended.Load() {
		return nil
	}
	cmd := c.start()
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd = cmd
	c.ended.Store(false)
	go func() {
		cmd.Wait()
		if c.cmd == cmd {
			c.ended.Store(true)
		}
	}()
	return nil
}

// kill ends the copier with SIGKILL.
func (c *copier) kill() {
	if c.cmd != nil {
		c.cmd.Process.Kill()
		c.ended.Store(true)
	}
}

func createNamed(ctx context.Context, cl *kgo.Client, topic string, partitions int32) error {
	created, err := kadm.NewClient(cl).CreateTopics(ctx, partitions, 1, nil, topic)
	if err != nil {
		return err
	}
	return created[topic].Err
}

// feed writes the records from one number to another, round robin, without waiting: the client retries through kills.
func feed(ctx context.Context, cl *kgo.Client, cfg CopyConfig, from, to int) {
	for n := from; n < to; n++ {
		key := make([]byte, 8)
		binary.BigEndian.PutUint64(key, uint64(n))
		cl.Produce(ctx, &kgo.Record{Topic: copyInput, Partition: int32(n) % cfg.Partitions, Key: key, Value: value(0, uint64(n))}, nil)
	}
}

// compareCopy reads the output as a read_committed consumer until everything is there, and a little longer.
func compareCopy(ctx context.Context, cfg CopyConfig, c *copier) (copied int, problems []string, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Subject.Addr), kgo.ConsumeTopics(copyOutput), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, nil, err
	}
	defer cl.Close()
	next := make([]int, cfg.Partitions) // number of the record that must come next
	for p := range next {
		next[p] = p
	}
	last := time.Now()
	for time.Since(last) < copyQuietMax && (copied < cfg.Records || time.Since(last) < 2*time.Second) && len(problems) == 0 {
		if err := c.ensure(); err != nil {
			return copied, nil, err
		}
		wait, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		polled := cl.PollFetches(wait)
		cancel()
		if ctx.Err() != nil {
			return copied, nil, ctx.Err()
		}
		polled.EachRecord(func(r *kgo.Record) {
			last = time.Now()
			copied++
			want := next[r.Partition]
			if got := int(binary.BigEndian.Uint64(r.Key)); got != want {
				problems = append(problems, fmt.Sprintf("partition %d offset %d: record %d where %d was due", r.Partition, r.Offset, got, want))
			} else if !bytes.Equal(r.Value, transformed(value(0, uint64(want)))) {
				problems = append(problems, fmt.Sprintf("partition %d offset %d: record %d was changed", r.Partition, r.Offset, got))
			}
			next[r.Partition] = want + int(cfg.Partitions)
		})
	}
	if copied != cfg.Records && len(problems) == 0 {
		problems = append(problems, fmt.Sprintf("%d of %d records were copied and no more came for %v", copied, cfg.Records, copyQuietMax))
	}
	return copied, problems, nil
}

// hanging are the transactions that did not end by their timeout: an open one of the copier is aborted by then.
func hanging(ctx context.Context, cfg CopyConfig) (problems []string, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Subject.Addr))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(time.Second) {
		problems = nil
		open, err := admin.ListTransactions(ctx, nil, []string{"Ongoing", "PrepareCommit", "PrepareAbort"})
		if err != nil {
			return nil, err
		}
		for _, t := range open {
			problems = append(problems, fmt.Sprintf("transaction %s is %s", t.TxnID, t.State))
		}
		for _, topic := range []string{copyOutput, "__consumer_offsets"} {
			stable, err := admin.ListCommittedOffsets(ctx, topic)
			if err != nil {
				return nil, err
			}
			ends, err := admin.ListEndOffsets(ctx, topic)
			if err = errors.Join(err, stable.Error(), ends.Error()); err != nil {
				return nil, err
			}
			ends.Each(func(e kadm.ListedOffset) {
				if s, ok := stable.Lookup(e.Topic, e.Partition); ok && s.Offset != e.Offset {
					problems = append(problems, fmt.Sprintf("%s-%d is stable up to %d of %d", e.Topic, e.Partition, s.Offset, e.Offset))
				}
			})
		}
		if len(problems) == 0 || time.Now().After(deadline) {
			return problems, nil
		}
	}
}
