package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	manyCoordinators = 10_000 // groups, and as many transactional ids
	offsetGroups     = 1_000
	offsetsEach      = 1_000 // committed by each of them, so 1,000,000 in all
)

// inParallel runs the steps 0..n-1 on some workers and returns the first error.
func inParallel(n, workers int, step func(i int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := step(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// commitAll commits the offset for the first partitions of the topic, in one request.
func commitAll(ctx context.Context, cl *kgo.Client, group, topic string, id [16]byte, partitions int, offset int64) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topic, id
	for p := range partitions {
		row := kmsg.NewOffsetCommitRequestTopicPartition()
		row.Partition, row.Offset = int32(p), offset
		t.Partitions = append(t.Partitions, row)
	}
	req.Topics = append(req.Topics, t)
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode)
}

func topicID(ctx context.Context, cl *kgo.Client, topic string) ([16]byte, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &topic})
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return [16]byte{}, err
	}
	return answer.Topics[0].TopicID, kerr.ErrorForCode(answer.Topics[0].ErrorCode)
}

// coordinatorsRow measures what 10,000 groups and 10,000 transactional ids cost in memory, and how soon 1,000,000 committed offsets are
// there again after kill -9.
func (r *run) coordinatorsRow() error {
	for _, v := range r.plain() {
		dir := r.fresh()
		got, err := coordinators(func() (*process.Broker, error) { return process.Start(v.Subject, dir, atOnce) })
		os.RemoveAll(dir)
		if err != nil {
			return err
		}
		r.report.add("coordinators", v.label, got)
		r.progress("coordinators %s: %v", v.label, got)
	}
	return nil
}

// coordinators measures a broker that start starts, and after kill -9 starts again.
func coordinators(start func() (*process.Broker, error)) (out sample, err error) {
	b, err := start()
	if err != nil {
		return nil, err
	}
	defer func() { b.Kill() }()
	ctx := context.Background()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	c, err := dial(b.Addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.ready("wide", offsetsEach); err != nil {
		return nil, err
	}
	id, err := topicID(ctx, cl, "wide")
	if err != nil {
		return nil, err
	}
	if err := commitAll(ctx, cl, "warm", "wide", id, 1, 1); err != nil { // creates the internal topic
		return nil, err
	}
	time.Sleep(2 * time.Second)
	before := b.RSS()
	if err := inParallel(manyCoordinators, 64, func(i int) error { return oneOfEach(ctx, cl, i, id) }); err != nil {
		return nil, err
	}
	time.Sleep(5 * time.Second)
	out = sample{"more RSS MB": float64(b.RSS()-before) / 1e6}
	if err := inParallel(offsetGroups, 16, func(i int) error { return commitAll(ctx, cl, fmt.Sprintf("wide-%d", i), "wide", id, offsetsEach, 1) }); err != nil {
		return nil, err
	}
	b.Kill()
	begin := time.Now()
	again, err := start()
	if err != nil {
		return nil, err
	}
	b = again
	fresh, err := kgo.NewClient(kgo.SeedBrokers(b.Addr)) // one whose connections did not end with the broker
	if err != nil {
		return nil, err
	}
	defer fresh.Close()
	err = inParallel(offsetGroups, 16, func(i int) error { return fetchLast(ctx, fresh, fmt.Sprintf("wide-%d", i), id) })
	out["1M offsets loaded ms"] = float64(time.Since(begin).Milliseconds())
	return out, err
}

// oneOfEach makes a group with one offset and a transactional id.
func oneOfEach(ctx context.Context, cl *kgo.Client, i int, topic [16]byte) error {
	if err := commitAll(ctx, cl, fmt.Sprintf("group-%d", i), "wide", topic, 1, 1); err != nil {
		return err
	}
	txn := fmt.Sprintf("txn-%d", i)
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &txn, 60_000
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.ErrorCode)
}

// fetchLast checks the last of the offsets that a group committed.
func fetchLast(ctx context.Context, cl *kgo.Client, group string, topic [16]byte) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.TopicID, t.Partitions = "wide", topic, []int32{offsetsEach - 1}
	g.Topics = append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if got := answer.Groups[0].Topics[0].Partitions[0].Offset; got != 1 {
		return fmt.Errorf("group %s has offset %d after the restart", group, got)
	}
	return nil
}
