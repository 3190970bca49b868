package group_test

import (
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/group"
	"github.com/troupe-broker/troupe/group/step"
)

// producer is a transactional client.
type producer struct {
	w     *world
	id    string
	pid   protocol.ProducerID
	epoch protocol.ProducerEpoch
	seq   map[protocol.TopicPartition]int32
}

func (w *world) producer(id string) *producer {
	w.t.Helper()
	p := &producer{w: w, id: id}
	p.init()
	return p
}

func (p *producer) init() {
	p.w.t.Helper()
	got := ask[*protocol.TransactionsInitialized](p.w, p.w.transactions(p.id), &protocol.InitTransactions{
		TransactionalID: p.id, Timeout: time.Minute, ProducerID: protocol.NoProducerID, ProducerEpoch: -1,
	})
	if got.Failed() {
		p.w.t.Fatalf("init: %+v", got)
	}
	p.pid, p.epoch, p.seq = got.ProducerID, got.ProducerEpoch, map[protocol.TopicPartition]int32{}
}

// add adds partitions as clients of TV1 do.
func (p *producer) add(partitions ...protocol.NamedPartition) protocol.Code {
	p.w.t.Helper()
	return ask[*protocol.PartitionsAdded](p.w, p.w.transactions(p.id), &protocol.AddPartitions{
		TransactionalID: p.id, ProducerID: p.pid, ProducerEpoch: p.epoch, Partitions: partitions,
	}).Code
}

// write appends one record of the transaction.
func (p *producer) write(tp protocol.TopicPartition) {
	p.w.t.Helper()
	got := p.w.append(p.w.node.Table().Get(tp), record.Options{
		ProducerID: int64(p.pid), Epoch: int16(p.epoch), BaseSequence: p.seq[tp], Idempotent: true, Transactional: true,
	}, step.Record{Value: []byte("v")})
	if got.Failed() {
		p.w.t.Fatalf("writing: %+v", got)
	}
	p.seq[tp]++
}

// commitOffsets is TxnOffsetCommit.
func (p *producer) commitOffsets(id string, tv2 bool, offsets ...protocol.CommitOffset) protocol.Code {
	p.w.t.Helper()
	m := committing(id, offsets...)
	m.TransactionalID, m.ProducerID, m.ProducerEpoch, m.AddPartition = p.id, p.pid, p.epoch, tv2
	return ask[*protocol.OffsetsCommitted](p.w, p.w.coordinator(id), m).Codes[0]
}

func (p *producer) end(commit, tv2 bool) {
	p.w.t.Helper()
	got := ask[*protocol.TransactionEnded](p.w, p.w.transactions(p.id), &protocol.EndTransaction{
		TransactionalID: p.id, ProducerID: p.pid, ProducerEpoch: p.epoch, Commit: commit, Bump: tv2,
	})
	if got.Failed() {
		p.w.t.Fatalf("ending: %+v", got)
	}
	if tv2 {
		p.pid, p.epoch, p.seq = got.ProducerID, got.ProducerEpoch, map[protocol.TopicPartition]int32{}
	}
}

// state is that of the transactional id.
func (p *producer) state() string {
	p.w.t.Helper()
	return ask[*protocol.TransactionDescribed](p.w, p.w.transactions(p.id), &protocol.DescribeTransaction{TransactionalID: p.id}).State
}

func (p *producer) completes(want string) {
	p.w.t.Helper()
	p.w.until("the transaction is "+want, func() bool { return p.state() == want })
}

// offsetsOf is the partition of __consumer_offsets that a group belongs to.
func (w *world) offsetsOf(id string) protocol.NamedPartition {
	w.coordinator(id)
	return protocol.NamedPartition{Topic: group.OffsetsTopic, Partition: w.log(group.OffsetsTopic, id).Partition.Partition}
}

func TestATransactionEndsEverywhereAtOnceForReaders(t *testing.T) {
	for _, commit := range []bool{true, false} {
		w := newWorld(t)
		h := w.topic("t", 2)
		w.commit("g", at("in", 0, 10))
		p := w.producer("id")
		for round := range int64(3) {
			if code := p.add(protocol.NamedPartition{Topic: "t"}, protocol.NamedPartition{Topic: "t", Partition: 1}, w.offsetsOf("g")); code != protocol.None {
				t.Fatal(code)
			}
			p.write(h[0].Partition)
			p.write(h[1].Partition)
			before := w.committed("g", "in", 0)
			if code := p.commitOffsets("g", false, at("in", 0, 20+round)); code != protocol.None {
				t.Fatal(code)
			}
			if got := w.fetch("g", "in", 0, true); got.Code != protocol.UnstableOffsetCommit {
				t.Errorf("a stable fetch in the middle: %+v", got)
			}
			w.expect("g", "in", 0, before)
			if v := h[0].View(); v.LastStableOffset != v.HighWatermark-1 {
				t.Errorf("last stable offset %d, high watermark %d", v.LastStableOffset, v.HighWatermark)
			}
			p.end(commit, false)
			want := map[bool]string{true: "CompleteCommit", false: "CompleteAbort"}[commit]
			p.completes(want)
			for _, h := range h {
				if v := h.View(); v.LastStableOffset != v.HighWatermark || v.HighWatermark != 2*(round+1) {
					t.Errorf("after the end: last stable offset %d, high watermark %d", v.LastStableOffset, v.HighWatermark)
				}
			}
			if commit {
				before = 20 + round
			}
			if got := w.fetch("g", "in", 0, true); got.Code != protocol.None || got.Offset != before {
				t.Errorf("after the end: %+v, want %d", got, before)
			}
			w.kill()
			h = w.handles("t")
			w.expect("g", "in", 0, before)
			if got := p.state(); got != want {
				t.Errorf("after a restart it is %s", got)
			}
		}
	}
}

func TestADecidedTransactionIsCompletedAfterAKill(t *testing.T) {
	for _, restart := range []func(*world){(*world).kill, (*world).powerLoss} {
		w := newWorld(t)
		h := w.topic("t", 1)[0].Partition
		p := w.producer("id")
		p.add(protocol.NamedPartition{Topic: "t"}, w.offsetsOf("g"))
		p.write(h)
		p.commitOffsets("g", false, at("in", 0, 7))
		p.end(true, false) // decided, not a marker yet
		restart(w)
		p.completes("CompleteCommit")
		w.expect("g", "in", 0, 7)
		if v := w.node.Table().Get(h).View(); v.LastStableOffset != 2 || v.HighWatermark != 2 {
			t.Errorf("last stable offset %d, high watermark %d", v.LastStableOffset, v.HighWatermark)
		}
	}
}

func TestAnUndecidedTransactionSurvivesAKillAndEndsByItsTimeout(t *testing.T) {
	w := newWorld(t)
	p := w.producer("id")
	p.add(w.offsetsOf("g"))
	p.commitOffsets("g", false, at("in", 0, 7))
	w.kill()
	if got := w.fetch("g", "in", 0, true); got.Code != protocol.UnstableOffsetCommit {
		t.Errorf("a stable fetch after a restart: %+v", got)
	}
	w.sim.RunFor(2 * time.Minute)
	if got := p.state(); got != "CompleteAbort" {
		t.Errorf("after its timeout it is %s", got)
	}
	if got := w.fetch("g", "in", 0, true); got.Code != protocol.None || got.Offset != -1 {
		t.Errorf("after its timeout: %+v", got)
	}
	if code := p.commitOffsets("g", false, at("in", 0, 8)); code == protocol.None {
		t.Error("a fenced producer commits")
	}
}

func TestOffsetsJoinATransactionOnlyIfItsCoordinatorSaysSo(t *testing.T) {
	w := newWorld(t)
	p := w.producer("id")
	if code := p.commitOffsets("g", false, at("in", 0, 7)); code != protocol.TransactionAbortable {
		t.Errorf("a partition that was not added: %s", code.Name())
	}
	p.add(w.offsetsOf("g"))
	if code := p.commitOffsets("g", false, at("in", 0, 7)); code != protocol.None {
		t.Errorf("one that was: %s", code.Name())
	}
	p.end(true, false)
	p.completes("CompleteCommit")
	if code := p.commitOffsets("g", false, at("in", 0, 8)); code != protocol.TransactionAbortable {
		t.Errorf("after the end: %s", code.Name())
	}
	w.expect("g", "in", 0, 7)
	// TV2: the shard adds the partition itself, and every transaction has its own epoch.
	for round := range int64(3) {
		old := *p
		if code := p.commitOffsets("g", true, at("in", 0, 100+round)); code != protocol.None {
			t.Fatalf("TV2: %s", code.Name())
		}
		p.end(true, true)
		p.completes("CompleteCommit")
		if code := old.commitOffsets("g", true, at("in", 0, 1)); code == protocol.None {
			t.Error("TV2: a late commit of the transaction before joins the next")
		}
		w.expect("g", "in", 0, 100+round)
	}
}

// From TV2 on the epoch of a marker is newer than that of what it ends: one that comes late, of the transaction before, has the epoch of
// the one that is open (KIP-1228).
func TestALateMarkerDoesNotEndTheNextTransaction(t *testing.T) {
	w := newWorld(t)
	p := w.producer("id")
	p.commitOffsets("g", true, at("in", 0, 1))
	p.end(true, true)
	p.completes("CompleteCommit")
	if code := p.commitOffsets("g", true, at("in", 0, 2)); code != protocol.None {
		t.Fatal(code.Name())
	}
	late := func() protocol.Code {
		tp := w.offsetsOf("g")
		return ask[*protocol.OffsetsEnded](w, w.coordinator("g"), &protocol.EndOffsets{
			Partition: tp.Partition, ProducerID: p.pid, ProducerEpoch: p.epoch, Commit: true, TransactionVersion: 2,
		}).Code
	}
	if code := late(); code != protocol.InvalidProducerEpoch {
		t.Errorf("a late marker: %s", code.Name())
	}
	w.expect("g", "in", 0, 1)
	if code := p.commitOffsets("g", true, at("in", 1, 3)); code != protocol.None {
		t.Errorf("after it: %s", code.Name())
	}
	p.end(true, true)
	p.completes("CompleteCommit")
	w.expect("g", "in", 0, 2)
	w.expect("g", "in", 1, 3)
}

func TestTransactionsAreListed(t *testing.T) {
	w := newWorld(t)
	w.topic("t", 1)
	open, done := w.producer("open"), w.producer("done")
	open.add(protocol.NamedPartition{Topic: "t"})
	done.add(protocol.NamedPartition{Topic: "t"})
	done.end(false, false)
	done.completes("CompleteAbort")
	w.sim.RunFor(5 * time.Second)
	list := func(m protocol.ListTransactions) (out []string) {
		for _, shard := range w.node.Groups().TransactionShards() {
			m := m
			got := ask[*protocol.TransactionsListed](w, shard, &m)
			for _, row := range got.Transactions {
				out = append(out, row.TransactionalID+" "+row.State)
			}
		}
		slices.Sort(out)
		return out
	}
	if got := list(protocol.ListTransactions{LongerThan: -1}); len(got) != 2 {
		t.Errorf("%v", got)
	}
	for _, m := range []protocol.ListTransactions{
		{LongerThan: -1, States: []string{"Ongoing"}}, {LongerThan: time.Second, States: []string{"Ongoing"}}, {LongerThan: -1, Pattern: "op.*"}, {LongerThan: -1, ProducerIDs: []protocol.ProducerID{open.pid}},
	} {
		if got := list(m); len(got) != 1 || got[0] != "open Ongoing" {
			t.Errorf("%+v: %v", m, got)
		}
	}
	w.producer("none") // no transaction of it ever began
	w.sim.RunFor(5 * time.Second)
	open.end(false, false)
	open.completes("CompleteAbort")
	open.add(protocol.NamedPartition{Topic: "t"})
	if got := list(protocol.ListTransactions{LongerThan: time.Second}); !slices.Equal(got, []string{"done CompleteAbort", "none Empty"}) {
		t.Errorf("%v", got)
	}
	if got := ask[*protocol.TransactionDescribed](w, w.transactions("nobody"), &protocol.DescribeTransaction{TransactionalID: "nobody"}); got.Code != protocol.TransactionalIDNotFound {
		t.Errorf("%+v", got)
	}
}

// The leaders of all partitions of a large request ask at once to be added to its transaction, and none is sent away.
func TestManyLeadersAddToOneTransaction(t *testing.T) {
	w := newWorld(t)
	p := w.producer("id")
	const leaders = 5000
	to := w.transactions("id")
	var answers []**protocol.PartitionsAdded
	for n := range int32(leaders) {
		answers = append(answers, send[*protocol.PartitionsAdded](w, to, &protocol.AddPartitions{
			TransactionalID: "id", ProducerID: p.pid, ProducerEpoch: p.epoch, ByLeader: true, Partitions: []protocol.NamedPartition{{Topic: "t", Partition: n}},
		}))
	}
	for n, a := range answers {
		w.until("a leader's answer", func() bool { return *a != nil })
		if code := (*a).Code; code != protocol.None || len((*a).Codes) > 0 {
			t.Fatalf("leader %d: %s %v", n, code.Name(), (*a).Codes)
		}
	}
}
