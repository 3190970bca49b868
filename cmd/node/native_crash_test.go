package node

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/client"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// hoarder is an actor that acknowledges the first record of each Delivered and keeps the rest, until it is told to fail.
type hoarder struct {
	*ledger
	acked map[int32]int64 // guarded by ledger.mu
	held  int
	most  *int // guarded by ledger.mu
}

type failNow struct{}

func (h *hoarder) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.Delivered:
		n := m.Records[0].Offset + 1
		h.held += len(m.Records)
		h.change(func() {
			*h.most = max(*h.most, h.held)
			if h.acked[m.Partition.Partition] == m.Records[0].Offset {
				h.acked[m.Partition.Partition] = n
				h.held--
			}
		})
		ctx.Send(m.Consumer, &protocol.Acknowledge{Lease: m.Lease, Next: h.acked[m.Partition.Partition]})
	case failNow:
		panic("a bug of the application")
	}
}

// witness checks that it begins where the actor before it acknowledged.
type witness struct {
	reader
	acked map[int32]int64
}

func (w *witness) Receive(ctx *actors.Context, msg any) {
	if m, ok := msg.(*protocol.PartitionAssigned); ok {
		w.change(func() {
			p := m.Partition.Partition
			if m.Offset != w.acked[p] {
				w.t.Errorf("partition %d goes on at %d, %d were acknowledged", p, m.Offset, w.acked[p])
			}
			w.next[p] = m.Offset
		})
	}
	w.reader.Receive(ctx, msg)
}

// TestAnActorThatFailsLosesNothing: it is given no more than its credit, and what it did not acknowledge goes to the next one.
func TestAnActorThatFailsLosesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const records, credit = 200, 7
	l := newLedger(t)
	c := nativeConfig(t, t.TempDir(), "127.0.0.1:20661")
	c.OnFailure = nil
	n, err := Start(ctx, osenv.New(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	if _, err := n.CreateTopics(ctx, []protocol.NewTopic{{Name: "t", Partitions: 3, ReplicationFactor: 1}}); err != nil {
		t.Fatal(err)
	}
	l.produce(ctx, n, l.spawn(n, client.Produce(client.Production{Routes: n.Client()})), 0, records)
	acked, most := map[int32]int64{}, 0
	bad := l.spawn(n, actors.Spec{New: func() actors.Actor { return &hoarder{ledger: l, acked: acked, most: &most} }})
	l.spawn(n, client.Consume(client.Consumption{Routes: n.Client(), Group: "g", Topics: []string{"t"}, Members: []actors.PID{bad}, Credit: credit}))
	l.until(ctx, "the credit is used up", func() bool { return most == credit && acked[0]+acked[1]+acked[2] > 0 })
	n.System().Send(bad, failNow{})
	good := l.spawn(n, actors.Spec{New: func() actors.Actor { return &witness{reader{"good", l}, acked} }})
	l.spawn(n, client.Consume(client.Consumption{Routes: n.Client(), Group: "g", Topics: []string{"t"}, Members: []actors.PID{good}}))
	l.until(ctx, "another one has read the rest", func() bool { return l.next[0]+l.next[1]+l.next[2] == records })
	l.change(func() {
		if most > credit {
			t.Errorf("%d records were out, the credit is %d", most, credit)
		}
	})
}

// TestNativeReadersOfTransactions: under read_committed the records of aborted transactions are not delivered, and committed past.
func TestNativeReadersOfTransactions(t *testing.T) {
	const address = "127.0.0.1:20662"
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l := newLedger(t)
	n, err := Start(ctx, osenv.New(), nativeConfig(t, t.TempDir(), address))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	if _, err := n.CreateTopics(ctx, []protocol.NewTopic{{Name: "t", Partitions: 1, ReplicationFactor: 1}}); err != nil {
		t.Fatal(err)
	}
	p, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.TransactionalID("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, txn := range []struct {
		value  string
		commit kgo.TransactionEndTry
	}{{"a", kgo.TryCommit}, {"b", kgo.TryAbort}, {"c", kgo.TryCommit}} {
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := p.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte(txn.value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := p.EndTransaction(ctx, txn.commit); err != nil {
			t.Fatal(err)
		}
	}
	values, committed := "", int64(-1)
	got := n.System().Edge("reader", func(msg any) {
		switch m := msg.(type) {
		case *protocol.Delivered:
			l.change(func() {
				for _, r := range m.Records {
					values += string(r.Value)
				}
			})
			n.System().Send(m.Consumer, &protocol.Acknowledge{Lease: m.Lease, Next: m.Next})
		case *protocol.PartitionRevoked:
			l.change(func() { committed = m.Committed })
		}
	})
	consumer := l.spawn(n, client.Consume(client.Consumption{Routes: n.Client(), Group: "g", Topics: []string{"t"}, Members: []actors.PID{got}, ReadCommitted: true}))
	l.until(ctx, "c is read", func() bool { return len(values) == 2 })
	if _, err := n.System().AskWait(ctx, consumer, &protocol.StopConsuming{}); err != nil {
		t.Fatal(err)
	}
	l.change(func() {
		if values != "ac" || committed != 6 { // three records, each with its marker
			t.Errorf("%q, committed %d", values, committed)
		}
	})
}
