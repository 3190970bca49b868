package node

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/client"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// ledger is what all members of a group were given, in the order in which they were: every partition from 0 on, each offset once.
// One owner at a time that commits what it was given before another one goes on leaves no other way to fill it.
type ledger struct {
	t       *testing.T
	mu      sync.Mutex
	changed chan struct{}
	next    map[int32]int64
	by      map[string]int // records by member
	has     map[string]int // partitions by member
	total   int
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, changed: make(chan struct{}), next: map[int32]int64{}, by: map[string]int{}, has: map[string]int{}}
}

func (l *ledger) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledger) given(who string, partition int32, offset int64) {
	l.change(func() {
		if l.next[partition] != offset {
			l.t.Errorf("%s was given offset %d of partition %d, where %d was next", who, offset, partition, l.next[partition])
		}
		l.next[partition] = offset + 1
		l.by[who]++
		l.total++
	})
}

// until waits for something to be so.
func (l *ledger) until(ctx context.Context, what string, is func() bool) {
	l.t.Helper()
	for {
		l.mu.Lock()
		ok, changed := is(), l.changed
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			l.t.Fatalf("waited in vain until %s: %d records, %v, partitions %v", what, l.total, l.by, l.has)
		}
	}
}

// reader is an actor of an application that writes into the ledger what it is given, and acknowledges it.
type reader struct {
	name string
	*ledger
}

func (r *reader) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.PartitionAssigned:
		r.change(func() { r.has[r.name]++ })
	case *protocol.PartitionRevoked:
		r.change(func() { r.has[r.name]-- })
		if m.Lost {
			r.t.Errorf("%s lost partition %d", r.name, m.Partition.Partition)
		}
	case *protocol.Delivered:
		for _, rec := range m.Records {
			r.given(r.name, m.Partition.Partition, rec.Offset)
		}
		ctx.Send(m.Consumer, &protocol.Acknowledge{Lease: m.Lease, Next: m.Next})
	case *protocol.ConsumerEnded:
		r.change(func() { r.by[r.name+" ended"]++ })
		if m.Failed() {
			r.t.Errorf("%s: %v %s", r.name, m.Code, m.Reason)
		}
	}
}

// join spawns readers and a consumer for them.
func (l *ledger) join(n *Node, names ...string) (consumer actors.PID, readers []actors.PID) {
	l.t.Helper()
	for _, name := range names {
		readers = append(readers, l.spawn(n, actors.Spec{New: func() actors.Actor { return &reader{name, l} }}))
	}
	consumer = l.spawn(n, client.Consume(client.Consumption{Routes: n.Client(), Group: "g", Topics: []string{"t"}, Members: readers}))
	return consumer, readers
}

func (l *ledger) spawn(n *Node, s actors.Spec) actors.PID {
	l.t.Helper()
	pid, err := n.System().Spawn(s)
	if err != nil {
		l.t.Fatal(err)
	}
	return pid
}

// joinKafka is a member that speaks the Kafka protocol; leave ends it.
func (l *ledger) joinKafka(ctx context.Context, address string) (leave func()) {
	l.t.Helper()
	count := func(d int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			l.change(func() { l.has["kafka"] += d * len(parts["t"]) })
		}
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ServerSideBalancer(), kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)))
	if err != nil {
		l.t.Fatal(err)
	}
	polling, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fetches := c.PollRecords(polling, 20)
			fetches.EachRecord(func(r *kgo.Record) { l.given("kafka", r.Partition, r.Offset) })
			if err := c.CommitUncommittedOffsets(ctx); err != nil {
				l.t.Error(err)
			}
			c.AllowRebalance()
			if polling.Err() != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
		c.Close()
	}
}

// produce appends n records by a native producer and checks where they went.
func (l *ledger) produce(ctx context.Context, n *Node, producer actors.PID, from, count int) {
	l.t.Helper()
	m := &protocol.ProduceRecords{Topic: "t", Partition: protocol.AnyPartition}
	for i := range count {
		m.Records = append(m.Records, protocol.Record{Key: []byte(fmt.Sprint(from + i)), Value: []byte("v")})
	}
	reply, err := n.System().AskWait(ctx, producer, m)
	if err != nil {
		l.t.Fatal(err)
	}
	produced := reply.(*protocol.RecordsProduced)
	if produced.Failed() || len(produced.Records) != count {
		l.t.Fatalf("%v %s, %d rows", produced.Code, produced.Reason, len(produced.Records))
	}
}

func nativeConfig(t *testing.T, dir, address string) Config {
	t.Helper()
	return Config{Version: "test", Settings: settings(t, config.Sort([]protocol.ConfigEntry{
		{Key: "log.dirs", Value: dir}, {Key: "listeners", Value: "PLAINTEXT://" + address}, {Key: "http.listener", Value: ""},
		{Key: "offsets.topic.num.partitions", Value: "3"},
	})...), OnFailure: func(f actors.Failure) { t.Errorf("%v\n%s", f.Error(), f.Stack) }}
}

// TestNativeAndKafkaMembersShareAGroup: members come, leave, die and come back after the node did, and every record is read once.
func TestNativeAndKafkaMembersShareAGroup(t *testing.T) {
	const address = "127.0.0.1:20660"
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	l := newLedger(t)
	n, err := Start(ctx, osenv.New(), nativeConfig(t, dir, address))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.CreateTopics(ctx, []protocol.NewTopic{{Name: "t", Partitions: 6, ReplicationFactor: 1}}); err != nil {
		t.Fatal(err)
	}
	producer := l.spawn(n, client.Produce(client.Production{Routes: n.Client()}))
	sent := 0
	more := func() {
		t.Helper()
		l.produce(ctx, n, producer, sent, 200)
		sent += 200
	}
	all := func(what string) {
		t.Helper()
		l.until(ctx, what, func() bool { return l.total == sent })
	}
	more()
	a, _ := l.join(n, "a")
	_, bs := l.join(n, "b1", "b2")
	more()
	leave := l.joinKafka(ctx, address)
	shared := func() bool {
		return l.has["a"] == 2 && l.has["b1"] == 1 && l.has["b2"] == 1 && l.has["kafka"] == 2
	}
	l.until(ctx, "three members have two partitions each", shared)
	more()
	all("everybody read")
	if l.by["a"] == 0 || l.by["b1"] == 0 || l.by["b2"] == 0 || l.by["kafka"] == 0 {
		t.Errorf("somebody read nothing: %v", l.by)
	}

	more()
	if _, err := n.System().AskWait(ctx, a, &protocol.StopConsuming{}); err != nil {
		t.Fatal(err)
	}
	l.until(ctx, "a has left", func() bool {
		return l.has["a"] == 0 && l.by["a ended"] == 1 && l.has["b1"]+l.has["b2"]+l.has["kafka"] == 6
	})
	more()
	all("two read on")
	leave()
	l.until(ctx, "b has everything", func() bool { return l.has["b1"] == 3 && l.has["b2"] == 3 })
	more()
	all("b reads on")
	n.System().Stop(bs[0])
	l.until(ctx, "b2 has everything", func() bool { return l.has["b2"] == 6 })
	more()
	all("b2 reads on")
	n.System().Stop(bs[1]) // the last one; its consumer leaves
	c, _ := l.join(n, "c")
	more()
	all("c reads on")
	if _, err := n.System().AskWait(ctx, c, &protocol.StopConsuming{}); err != nil {
		t.Fatal(err)
	}
	stop(t, n)

	if n, err = Start(ctx, osenv.New(), nativeConfig(t, dir, address)); err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	producer = l.spawn(n, client.Produce(client.Production{Routes: n.Client()}))
	more()
	l.join(n, "d")
	all("d reads on after the restart")
	if l.by["d"] != 200 {
		t.Errorf("d read %d records, not 200", l.by["d"])
	}
}
