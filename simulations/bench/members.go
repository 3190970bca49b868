package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	groupMembers    = 100
	groupPartitions = 300
	groupLeavers    = 10
	settleMax       = 60 * time.Second
	// classicHeartbeat is how often members of the classic protocol ask whether they must rejoin. Nothing but a heartbeat tells them, so
	// with the client's default of three seconds the row would measure that, whatever the broker.
	classicHeartbeat = 500 * time.Millisecond
	// recordsApart is how often every partition gets a record while members leave, to see whether the others go on reading.
	recordsApart = 100 * time.Millisecond
)

// owners is who holds which partition of the topic, as the members were told.
type owners struct {
	mu     sync.Mutex
	of     [groupPartitions]int // number of members that hold it
	shared int                  // partitions that had two owners at once, over all time
	change time.Time

	watched  bool // from here on:
	changed  [groupPartitions]bool
	lastRead [groupPartitions]time.Time
	pause    [groupPartitions]time.Duration // the longest between two records that were read
}

// watch begins to look at the partitions that keep their owner.
func (o *owners) watch() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watched = true
	for p := range o.lastRead {
		o.lastRead[p] = time.Now()
	}
}

// read notes that a record of the partition came.
func (o *owners) read(partition int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); o.watched {
		o.pause[partition] = max(o.pause[partition], now.Sub(o.lastRead[partition]))
		o.lastRead[partition] = now
	}
}

// kept counts the partitions that kept their owner, and returns the longest pause in reading one of them.
func (o *owners) kept() (n int, pause time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p := range o.pause {
		if !o.changed[p] {
			n++
			pause = max(pause, o.pause[p], time.Since(o.lastRead[p]))
		}
	}
	return n, pause
}

func (o *owners) assigned(partitions []int32, by int) {
	if len(partitions) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range partitions {
		if o.of[p] += by; o.of[p] > 1 {
			o.shared++
		}
		o.changed[p] = o.changed[p] || o.watched
	}
	o.change = time.Now()
}

// settled is when the last change was, once every partition has one owner.
func (o *owners) settled() (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.of {
		if n != 1 {
			return time.Time{}, false
		}
	}
	return o.change, true
}

// await returns the time from begin until every partition had its one owner and kept it for a second.
func (o *owners) await(begin time.Time) (time.Duration, error) {
	for deadline := begin.Add(settleMax); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if at, ok := o.settled(); ok && at.After(begin) && time.Since(at) > time.Second {
			return at.Sub(begin), nil
		}
	}
	return 0, fmt.Errorf("the partitions had not one owner each after %v", settleMax)
}

// membersResult is how long a group needs, in milliseconds.
type membersResult struct {
	Join, Leave float64
	Shared      int // partitions that two members held at once
	// Kept is how many partitions kept their owner while ten left, and Pause the longest time between two of their records as they were
	// read: they were produced recordsApart.
	Kept  int
	Pause float64
}

// members lets 100 members join a group over 300 partitions, and ten of them leave.
func members(b *process.Broker, topic, group string, next bool) (out membersResult, err error) {
	var o owners
	clients := make([]*kgo.Client, groupMembers)
	defer func() {
		var wg sync.WaitGroup
		for _, cl := range clients {
			if cl != nil {
				wg.Go(cl.Close)
			}
		}
		wg.Wait()
	}()
	told := func(by int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, m map[string][]int32) { o.assigned(m[topic], by) }
	}
	for i := range clients {
		opts := []kgo.Opt{kgo.SeedBrokers(b.Addr), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
			kgo.OnPartitionsAssigned(told(1)), kgo.OnPartitionsRevoked(told(-1)), kgo.OnPartitionsLost(told(-1)),
			kgo.FetchMaxWait(5 * time.Second)}
		if next {
			opts = append(opts, kgo.ServerSideBalancer())
		} else {
			opts = append(opts, kgo.Balancers(kgo.RangeBalancer()), kgo.HeartbeatInterval(classicHeartbeat))
		}
		if clients[i], err = kgo.NewClient(opts...); err != nil {
			return out, err
		}
	}
	begin := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, cl := range clients {
		go func() {
			for ctx.Err() == nil {
				fetched := cl.PollFetches(ctx)
				if fetched.IsClientClosed() {
					return
				}
				fetched.EachRecord(func(r *kgo.Record) { o.read(r.Partition) })
			}
		}()
	}
	took, err := o.await(begin)
	if err != nil {
		return out, err
	}
	out.Join = float64(took.Milliseconds())
	writer, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return out, err
	}
	defer writer.Close()
	go trickle(ctx, writer)
	time.Sleep(time.Second)
	o.watch()
	begin = time.Now()
	for i := range groupLeavers {
		go clients[i].LeaveGroup()
	}
	if took, err = o.await(begin); err != nil {
		return out, err
	}
	out.Leave, out.Shared = float64(took.Milliseconds()), o.shared
	kept, pause := o.kept()
	out.Kept, out.Pause = kept, float64(pause.Milliseconds())
	return out, nil
}

// trickle gives every partition a record now and then.
func trickle(ctx context.Context, writer *kgo.Client) {
	for tick := time.NewTicker(recordsApart); ctx.Err() == nil; <-tick.C {
		for p := range int32(groupPartitions) {
			writer.Produce(ctx, &kgo.Record{Partition: p, Value: []byte("x")}, nil)
		}
	}
}

func (r *run) membersRow() error {
	return r.each(r.plain(), atOnce, func(v variant, b *process.Broker, c *client) error {
		if err := c.ready("shared", groupPartitions); err != nil {
			return err
		}
		for round := range r.rounds {
			for _, p := range []struct {
				name string
				next bool
			}{{"classic", false}, {"KIP-848", true}} {
				got, err := members(b, "shared", fmt.Sprintf("%s-%d", p.name, round), p.next)
				if err != nil {
					return err
				}
				r.report.add("100 members over 300 partitions", v.label+" "+p.name, sample{"join ms": got.Join, "ten leave ms": got.Leave, "shared": float64(got.Shared), "kept": float64(got.Kept), "pause of kept ms": got.Pause})
				r.progress("members %s %s round %d/%d: join %.0f ms, ten leave %.0f ms, %d partitions with two owners, %d kept theirs and were read at most %.0f ms apart", v.label, p.name, round+1, r.rounds,
					got.Join, got.Leave, got.Shared, got.Kept, got.Pause)
			}
		}
		return nil
	})
}
