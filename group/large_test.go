package group_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/group"
)

// longTopic is a topic's name of the longest kind.
func longTopic(number int) string { return fmt.Sprintf("%0249d", number) }

// offsetsAt are positions of many partitions of topics with the longest names, with something to remember.
func offsetsAt(topics, partitions int, base int64) (out []protocol.CommitOffset) {
	for t := range topics {
		for p := range partitions {
			o := at(longTopic(t), int32(p), base+int64(t*partitions+p))
			o.Metadata = "as large as a client likes it"
			out = append(out, o)
		}
	}
	return out
}

// expectAll compares all positions of a group with those.
func (w *world) expectAll(id string, want []protocol.CommitOffset) {
	w.t.Helper()
	m := &protocol.FetchOffsets{Member: protocol.Member{GroupID: id}, Generation: -1}
	for _, o := range want {
		m.Wanted = append(m.Wanted, protocol.WantedOffset{Topic: o.Topic, Partition: o.Partition})
	}
	got := ask[*protocol.OffsetsFetched](w, w.coordinator(id), m)
	if got.Failed() || len(got.Offsets) != len(want) {
		w.t.Fatalf("%d offsets, %s, want %d", len(got.Offsets), got.Code.Name(), len(want))
	}
	for i, o := range got.Offsets {
		if o.Offset != want[i].Offset || o.Metadata != want[i].Metadata {
			w.t.Fatalf("%s-%d: offset %d, metadata %q, want %d, %q", o.Topic, o.Partition, o.Offset, o.Metadata, want[i].Offset, want[i].Metadata)
		}
	}
}

// batches are the sizes of the batches of a log.
func (w *world) batches(topic, id string) (sizes []int) {
	w.t.Helper()
	v := w.log(topic, id).View()
	err := v.Log.EachBatch(v.LogStartOffset, v.LogEndOffset, make([]byte, 1<<20), func(b record.Batch) error {
		sizes = append(sizes, len(b))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return sizes
}

func TestALargeCommitIsSplitAndAllOfItCounts(t *testing.T) {
	w := newWorld(t)
	want := offsetsAt(1000, 100, 7)
	w.commit("g", want...)
	w.expectAll("g", want)
	sizes := w.batches(group.OffsetsTopic, "g")
	for _, size := range sizes {
		if size > 1048588 {
			t.Errorf("a batch of %d bytes, more than max.message.bytes", size)
		}
	}
	if len(sizes) < 10 {
		t.Errorf("%d batches", len(sizes))
	}
	w.kill()
	w.expectAll("g", want)

	want = offsetsAt(1000, 100, 1_000_000)
	w.commit("g", want...)
	w.powerLoss()
	w.expectAll("g", want)

	m := &protocol.DeleteGroup{GroupID: "g"}
	if got := ask[*protocol.GroupDeleted](w, w.coordinator("g"), m); got.Failed() {
		t.Errorf("deleting it: %+v", got)
	}
	w.kill()
	w.expect("g", longTopic(999), 99, -1)
}

func TestALargeCommitOfATransactionCountsAsAWhole(t *testing.T) {
	w := newWorld(t)
	p := w.producer("id")
	before := offsetsAt(100, 100, 1)
	if code := p.commitOffsets("g", true, before...); code != protocol.None {
		t.Fatal(code.Name())
	}
	p.end(true, true)
	p.completes("CompleteCommit")
	w.expectAll("g", before)

	if code := p.commitOffsets("g", true, offsetsAt(100, 100, 1000)...); code != protocol.None {
		t.Fatal(code.Name())
	}
	w.kill()
	w.expectAll("g", before)
	p.end(false, true)
	p.completes("CompleteAbort")
	w.expectAll("g", before)
}

func TestALargeCommitThatMeetsAFullDiskIsNotAcknowledged(t *testing.T) {
	w := newWorld(t)
	before := offsetsAt(100, 100, 1)
	w.commit("g", before...)
	w.host.Disk.Capacity = w.host.Disk.Used() + 1<<20
	codes := ask[*protocol.OffsetsCommitted](w, w.coordinator("g"), committing("g", offsetsAt(100, 100, 100_000)...)).Codes
	for i, code := range codes {
		if code != protocol.NotCoordinator {
			t.Fatalf("row %d: %s", i, code.Name())
		}
	}
	w.host.Disk.Capacity = 0
	last := before[len(before)-1]
	w.expect("g", last.Topic, last.Partition, last.Offset)
	after := offsetsAt(100, 100, 200_000)
	w.commit("g", after...)
	w.kill()
	w.expectAll("g", after)
}

func TestALargeGroupIsOneBatch(t *testing.T) {
	w := newWorld(t)
	m := w.generation("g", "")[0]
	large := make([]byte, 5<<20)
	again := w.joining("g", m.id) // with another subscription the generation begins anew
	again.Protocols[0].Metadata = append([]byte{0, 1, 0, 0, 0, 0, 0, 0x50, 0, 0}, large...)
	joined := ask[*protocol.GroupJoined](w, w.coordinator("g"), again)
	if joined.Failed() {
		t.Fatalf("joining: %+v", joined.Fault)
	}
	synced := ask[*protocol.GroupSynced](w, w.coordinator("g"), &protocol.SyncGroup{
		Member: protocol.Member{GroupID: "g", MemberID: m.id}, Generation: joined.Generation,
		Assignments: []protocol.MemberAssignment{{MemberID: m.id, Assignment: large}},
	})
	if synced.Failed() || len(synced.Assignment) != len(large) {
		t.Fatalf("syncing: %+v, %d bytes", synced.Fault, len(synced.Assignment))
	}
	w.kill()
	if got := w.describe("g", true); len(got.Members) != 1 || len(got.Members[0].Assignment) != len(large) {
		t.Errorf("after a restart: %s, %d members", got.State, len(got.Members))
	}
}

func TestATransactionMayHaveManyTopics(t *testing.T) {
	w := newWorld(t)
	p := w.producer("id")
	var all []protocol.NamedPartition
	for i := range 10_000 {
		all = append(all, protocol.NamedPartition{Topic: longTopic(i)})
	}
	if code := p.add(all...); code != protocol.None {
		t.Fatal(code.Name())
	}
	w.kill()
	if got := ask[*protocol.TransactionDescribed](w, w.transactions("id"), &protocol.DescribeTransaction{TransactionalID: "id"}); len(got.Partitions) != len(all) {
		t.Errorf("%d partitions after a restart", len(got.Partitions))
	}
	for i := range 10_000 {
		all[i].Topic = longTopic(10_000 + i)
	}
	if code := p.add(all...); code != protocol.TransactionAbortable {
		t.Errorf("with too many: %s", code.Name())
	}
	p.end(false, true)
	p.completes("CompleteAbort")
}

func TestACommitBeyondEveryBoundIsRefusedAsSuch(t *testing.T) {
	w := newWorld(t)
	id := strings.Repeat("g", 30_000)
	for i, code := range ask[*protocol.OffsetsCommitted](w, w.coordinator(id), committing(id, offsetsAt(50, 100, 1)...)).Codes {
		if code != protocol.InvalidCommitOffsetSize {
			t.Fatalf("row %d: %s", i, code.Name())
		}
	}
	few := offsetsAt(1, 100, 1) // 3 MB with the group's name
	w.commit(id, few...)
	w.kill()
	w.expectAll(id, few)
}
