package group_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// copier reads numbers from a source that is in nobody's way (they are its offsets), and writes them to a topic in transactions with its
// position in the source. Whatever happens to the node, and to itself, every number is written once and in order.
type copier struct {
	*world
	rand  *sim.Stream
	tv2   bool
	pid   protocol.ProducerID
	epoch protocol.ProducerEpoch
	seq   int32
}

// call asks; false if the node died, or the answer is one after which a client begins anew.
func call[R comparable](c *copier, to actors.PID, m actors.Command) (out R, ok bool) {
	var none R
	process := c.process
	got := send[R](c.world, to, m)
	if !c.sim.RunUntil(90*time.Second, func() bool { return *got != none || process.Dead() }) {
		c.t.Fatalf("seed %d: %T is not answered", c.sim.Seed, m)
	}
	return *got, *got != none && !process.Dead()
}

// copy does up to n transactions; false if it has to begin anew.
func (c *copier) copy(n int64) bool {
	shard, code := c.node.Groups().Transaction("copier")
	groups, code2 := c.node.Groups().Group("g")
	if code != protocol.None || code2 != protocol.None {
		c.sim.RunFor(time.Millisecond)
		return false
	}
	init, ok := call[*protocol.TransactionsInitialized](c, shard, &protocol.InitTransactions{TransactionalID: "copier", Timeout: time.Minute, ProducerID: -1, ProducerEpoch: -1})
	if !ok || init.Failed() {
		return false
	}
	c.pid, c.epoch, c.seq = init.ProducerID, init.ProducerEpoch, 0
	fetched, ok := call[*protocol.OffsetsFetched](c, groups, &protocol.FetchOffsets{
		Member: protocol.Member{GroupID: "g"}, Generation: -1, RequireStable: true, Wanted: []protocol.WantedOffset{{Topic: "source"}},
	})
	if !ok || fetched.Failed() || fetched.Offsets[0].Code != protocol.None {
		return false
	}
	for next := max(0, fetched.Offsets[0].Offset); next < n; next++ {
		if !c.transaction(shard, groups, next, c.rand.Chance(0.8)) {
			return false
		}
	}
	return true
}

// transaction writes one number and the position after it. One that is aborted ends the life of the copier, too.
func (c *copier) transaction(shard, groups actors.PID, number int64, commit bool) bool {
	h := c.handles("t")[0]
	partitions := []protocol.NamedPartition{{Topic: "t"}}
	if !c.tv2 {
		partitions = append(partitions, c.offsetsPartition())
	}
	added, ok := call[*protocol.PartitionsAdded](c, shard, &protocol.AddPartitions{
		TransactionalID: "copier", ProducerID: c.pid, ProducerEpoch: c.epoch, Partitions: partitions, ByLeader: c.tv2,
	})
	if !ok || added.Failed() || h == nil {
		return false
	}
	b := record.NewBuilder(record.Options{ProducerID: int64(c.pid), Epoch: int16(c.epoch), BaseSequence: c.seq, Idempotent: true, Transactional: true})
	b.Append(1, nil, strconv.AppendInt(nil, number, 10), nil)
	batch, _ := b.Build()
	c.seq++
	m := &protocol.Produce{Partition: h.Partition, LeaderEpoch: -1, Acks: -1, Deadline: 1 << 62, Batch: batch, Internal: true}
	if out, ok := call[*protocol.Produced](c, h.PID, m); !ok || out.Failed() {
		return false
	}
	offsets := committing("g", at("source", 0, number+1))
	offsets.TransactionalID, offsets.ProducerID, offsets.ProducerEpoch, offsets.AddPartition = "copier", c.pid, c.epoch, c.tv2
	if out, ok := call[*protocol.OffsetsCommitted](c, groups, offsets); !ok || out.Codes[0] != protocol.None {
		return false
	}
	ended, ok := call[*protocol.TransactionEnded](c, shard, &protocol.EndTransaction{TransactionalID: "copier", ProducerID: c.pid, ProducerEpoch: c.epoch, Commit: commit, Bump: c.tv2})
	if c.tv2 && ok && !ended.Failed() {
		c.pid, c.epoch, c.seq = ended.ProducerID, ended.ProducerEpoch, 0
	}
	return ok && !ended.Failed() && commit
}

// offsetsPartition is that of the group.
func (c *copier) offsetsPartition() protocol.NamedPartition {
	return protocol.NamedPartition{Topic: "__consumer_offsets", Partition: c.log("__consumer_offsets", "g").Partition.Partition}
}

// visible are the values of committed transactions.
func (w *world) visible(topic string) (out []string) {
	w.t.Helper()
	open := map[int64][]string{}
	v := w.handles(topic)[0].View()
	if v.LastStableOffset != v.LogEndOffset {
		w.t.Errorf("seed %d: a transaction hangs at %d, the log ends at %d", w.sim.Seed, v.LastStableOffset, v.LogEndOffset)
	}
	err := v.Log.EachBatch(v.LogStartOffset, v.LastStableOffset, make([]byte, 1<<16), func(b record.Batch) error {
		id := b.ProducerID()
		if commit, _, ok := b.Marker(); ok {
			if commit {
				out = append(out, open[id]...)
			}
			delete(open, id)
			return nil
		}
		return b.Each(nil, func(r record.Record) error {
			open[id] = append(open[id], string(r.Value))
			return nil
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestACopyIsExactlyOnceWhateverDies(t *testing.T) {
	deaths := 0
	for seed := range uint64(6) {
		c := &copier{world: newSeededWorld(t, 2000+seed), tv2: seed%2 == 1}
		c.rand = c.sim.Stream("copier")
		c.topic("t", 1)
		c.coordinator("g")
		c.transactions("copier")
		const n = 60
		for done := false; !done; {
			process := c.process
			if c.rand.Chance(0.5) {
				c.sim.After(c.rand.Exp(20*time.Millisecond), func() {
					switch {
					case process.Dead():
					case c.rand.Chance(0.5):
						process.PowerLoss(sim.DrawCrash(c.rand))
					default:
						process.Kill()
					}
				})
			}
			done = c.copy(n)
			if c.process.Dead() {
				deaths++
				c.boot()
				done = false
			}
		}
		c.sim.RunFor(5 * time.Second)
		if c.process.Dead() {
			c.boot()
		}
		c.sim.RunFor(5 * time.Second)
		got := c.visible("t")
		if len(got) != n {
			t.Errorf("seed %d: %d numbers came out, %d went in", c.sim.Seed, len(got), n)
		}
		for i, v := range got {
			if v != strconv.Itoa(i) {
				t.Errorf("seed %d: number %s at place %d", c.sim.Seed, v, i)
				break
			}
		}
		c.expect("g", "source", 0, n)
	}
	if deaths < 10 {
		t.Errorf("the node died only %d times", deaths)
	}
}
