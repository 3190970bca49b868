package group_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/group"
	"github.com/troupe-broker/troupe/group/step"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// What Java computes for these strings, modulo 50: org.apache.kafka.common.utils.Utils.abs(id.hashCode()) % 50.
func TestIDsBelongToThePartitionsKafkaPutsThemIn(t *testing.T) {
	for id, want := range map[string]int32{"": 0, "a": 47, "group": 47, "console-consumer-1": 24, "grüße": 23, "\U0001F600": 49, "polygenelubricants": 0} {
		if got := group.PartitionOf(id, 50); got != want {
			t.Errorf("%q: %d, want %d", id, got, want)
		}
	}
}

func TestACommittedOffsetSurvivesKillAndPowerLoss(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		id := "group-" + strconv.Itoa(i)
		w.commit(id, at("t", 0, int64(i)), at("t", 1, int64(100+i)), at("u", 7, 5))
	}
	for round, restart := range []func(){func() {}, w.kill, w.powerLoss} {
		restart()
		for i := range 20 {
			id := "group-" + strconv.Itoa(i)
			w.expect(id, "t", 0, int64(i+round))
			w.expect(id, "t", 1, int64(100+i))
			w.expect(id, "u", 7, 5)
			w.expect(id, "u", 8, -1)
			w.commit(id, at("t", 0, int64(i+round+1)))
		}
	}
}

func TestInternalTopicsAreMadeOnDemandAndOnce(t *testing.T) {
	w := newWorld(t)
	if _, ok := w.node.Images().Load().Topic(group.OffsetsTopic); ok {
		t.Error("the topic exists before anybody asked")
	}
	if _, code := w.node.Groups().Group("g"); code != protocol.CoordinatorNotAvailable {
		t.Errorf("without the topic: %s", code.Name())
	}
	answers := 0
	for i := range 30 { // of all partitions, at once
		w.node.Groups().EnsureGroup(strconv.Itoa(i), time.Minute, func(node protocol.NodeID, code protocol.Code) {
			if answers++; node != 1 || code != protocol.None {
				t.Errorf("node %d, %s", node, code.Name())
			}
		})
	}
	w.until("answers", func() bool { return answers == 30 })
	topic, _ := w.node.Images().Load().Topic(group.OffsetsTopic)
	if topic.NumPartitions() != 3 || topic.ReplicationFactor() != 1 || len(w.node.Groups().GroupShards()) != 3 {
		t.Errorf("%d partitions, %d replicas, %d shards", topic.NumPartitions(), topic.ReplicationFactor(), len(w.node.Groups().GroupShards()))
	}
	if c := w.log(group.OffsetsTopic, "g").View().Config; !c.Compact || c.Delete || c.SegmentBytes != 104857600 {
		t.Errorf("%+v", c)
	}
	w.transactions("id")
	if c := w.log(group.TransactionsTopic, "id").View().Config; !c.Compact || c.MinInsyncReplicas != 2 || c.CompressionType != "uncompressed" {
		t.Errorf("%+v", c)
	}
}

func TestARecordThatCannotBeUnderstoodDoesNotKeepTheOthersFromBeingServed(t *testing.T) {
	w := newWorld(t, set("offsets.topic.num.partitions", "1"))
	w.commit("g", at("t", 0, 5))
	h := w.log(group.OffsetsTopic, "g")
	for _, r := range []step.Record{
		{Key: []byte{}, Value: []byte("x")}, {Key: []byte{0, 1, 0, 200, 'g'}, Value: []byte("x")}, {Key: []byte{0, 99, 1}, Value: []byte("y")}, // of a newer broker
		{Key: []byte{0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 0}, Value: []byte{0, 77}}, {Key: nil, Value: nil},
		{Key: []byte{0, 2, 0, 1, 'g'}, Value: []byte{0}}, {Key: []byte{0, 5, 0, 1, 'g'}, Value: []byte{0}},
	} {
		if got := w.append(h, record.Options{}, r); got.Failed() {
			t.Fatal(got)
		}
	}
	w.kill()
	w.expect("g", "t", 0, 5)
	w.commit("g", at("t", 0, 6))
	w.commit("other", at("t", 0, 1))
	w.kill()
	w.expect("g", "t", 0, 6)
	w.expect("other", "t", 0, 1)
}

func TestWhatIsInTheLogBehindTheShardsBackIsFoundWithItsNextAppend(t *testing.T) {
	w := newWorld(t)
	w.commit("g", at("t", 0, 5))
	if got := w.append(w.log(group.OffsetsTopic, "g"), record.Options{}, step.Record{
		Key: []byte{0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 9}, Value: []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	}); got.Failed() {
		t.Fatal(got)
	}
	w.expect("g", "t", 9, -1)
	codes := ask[*protocol.OffsetsCommitted](w, w.coordinator("g"), committing("g", at("t", 0, 6))).Codes
	if codes[0] != protocol.NotCoordinator {
		t.Errorf("the append that found it: %s", codes[0].Name())
	}
	w.expect("g", "t", 9, 42) // loaded again
	w.expect("g", "t", 0, 6)  // it was in the log
	w.commit("g", at("t", 0, 7))
	w.expect("g", "t", 0, 7)
}

func TestAFullDiskRefusesCommitsAndKeepsTheGroups(t *testing.T) {
	w := newWorld(t)
	w.commit("g", at("t", 0, 5))
	w.host.Disk.Capacity = w.host.Disk.Used()
	refused := false
	for i := range int64(200) {
		code := ask[*protocol.OffsetsCommitted](w, w.coordinator("g"), committing("g", protocol.CommitOffset{Topic: "t", Offset: 100 + i, Metadata: string(make([]byte, 4000))})).Codes[0]
		if refused = code == protocol.NotCoordinator; refused {
			break
		}
	}
	if !refused {
		t.Fatal("no commit was refused")
	}
	before := w.committed("g", "t", 0)
	w.host.Disk.Capacity = 0
	w.commit("g", at("t", 1, 1))
	w.expect("g", "t", 0, before)
	w.kill()
	w.expect("g", "t", 0, before)
	w.expect("g", "t", 1, 1)
}

func TestAPartitionThatFailsTakesItsShardAlongAndBringsItBack(t *testing.T) {
	w := newWorld(t)
	w.commit("g", at("t", 0, 5))
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		w.commit(id, at("t", 0, 1))
	}
	w.host.Disk.Inject(&sim.Rule{Op: sim.OpWrite, Pattern: "data/" + w.log(group.OffsetsTopic, "g").Partition.String() + "/*.log", Effect: sim.EIO, Times: 1})
	got := send[*protocol.OffsetsCommitted](w, w.coordinator("g"), committing("g", at("t", 0, 6)))
	w.until("an answer", func() bool { return *got != nil })
	if code := (*got).Codes[0]; code != protocol.NotCoordinator && code != protocol.CoordinatorNotAvailable {
		t.Errorf("a commit whose append failed: %s", code.Name())
	}
	w.host.Disk.Heal()
	w.kill()
	if got := w.committed("g", "t", 0); got != 5 && got != 6 {
		t.Errorf("offset %d", got)
	}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		w.expect(id, "t", 0, 1)
	}
}

func TestADeletedInternalTopicTakesItsGroupsAlong(t *testing.T) {
	w := newWorld(t)
	w.commit("g", at("t", 0, 5))
	member := w.generation("g", "")[0]
	done := false
	w.node.System().Ask(w.controller(), &protocol.DeleteTopics{Topics: []protocol.TopicRef{{Name: group.OffsetsTopic}}}, time.Minute, func(any, error) { done = true })
	parked := send[*protocol.GroupJoined](w, w.coordinator("g"), w.joining("g", ""))
	w.until("the topic is deleted", func() bool { return done })
	w.until("a parked join is answered", func() bool { return *parked != nil })
	w.until("its shards are gone", func() bool { return len(w.node.Groups().GroupShards()) == 0 })
	w.expect("g", "t", 0, -1) // it is made anew
	if code := member.heartbeat(); code != protocol.UnknownMemberID {
		t.Errorf("a member of before: %s", code.Name())
	}
	w.commit("g", at("t", 0, 6))
	w.kill()
	w.expect("g", "t", 0, 6)
}
