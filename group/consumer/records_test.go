package consumer

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// samples are records of every kind, empty and full.
func samples() []step.Record {
	g := New("grüppe", testConfig)
	full := &member{
		id: "m1", instanceID: "i", rack: "r", clientID: "c", clientHost: "/127.0.0.1", topics: []string{"a", "b"}, regex: "a.*", assignor: "range", rebalanceTimeout: 300000,
		epoch: 7, previousEpoch: 6, state: unrevoked,
		assigned: holding{{topicID(1), []int32{0, 5}, []int32{3, 7}}, {topicID(2), []int32{1}, []int32{4}}}, revoking: holding{{topicID(2), []int32{9}, []int32{2}}},
		target: []protocol.TopicPartitions{{Topic: topicID(1), Partitions: []int32{0, 5, 6}}},
	}
	classic := &member{id: "m2", topics: []string{"a"}, classic: &classicMember{45000, []protocol.GroupProtocol{{Name: "range", Metadata: []byte{0, 1}}, {Name: "x"}}}}
	bare := &member{id: "m3", rebalanceTimeout: -1}
	return []step.Record{
		g.groupRecord(3, 0), g.groupRecord(4, -5), g.memberRecord(full), g.memberRecord(classic), g.memberRecord(bare),
		g.targetRecord(3, 0), g.targetRecord(4, 1_700_000_000_000), g.targetMemberRecord("m1", full.target), g.targetMemberRecord("m3", nil),
		g.currentRecord(full), g.currentRecord(bare), g.regexRecord("a.*", []string{"a", "ab"}, 42, 1_700_000_000_000), g.regexRecord("", nil, 0, 0),
		g.record(kindMember, "m1", nil), g.record(kindRegex, "a.*", nil), g.record(kindPartitionMetadata, "", nil),
	}
}

// TestRecordsAreKafkas: Kafka 4.3.1's GroupCoordinatorRecordSerde reads each line of testdata/records.txt and writes it back the same.
func TestRecordsAreKafkas(t *testing.T) {
	var b strings.Builder
	for _, r := range samples() {
		value := "-"
		if r.Value != nil {
			value = hex.EncodeToString(r.Value)
		}
		fmt.Fprintf(&b, "%x %s\n", r.Key, value)
	}
	actortest.Golden(t, "testdata/records.txt", b.String())
}

// rewritten is the state of a group as records.
func rewritten(g *Group) (out []step.Record) {
	if g.epoch != 0 || g.hash != 0 {
		out = append(out, g.groupRecord(g.epoch, g.hash))
	}
	for _, m := range g.order {
		out = append(out, g.memberRecord(m), g.targetMemberRecord(m.id, m.target), g.currentRecord(m))
	}
	out = append(out, g.targetRecord(g.targetEpoch, 0))
	for expression, r := range g.regexes {
		if r.resolved {
			out = append(out, g.regexRecord(expression, r.topics, r.version, r.timestamp))
		}
	}
	return out
}

func TestWrittenRecordsReadBackTheSame(t *testing.T) {
	g := New("grüppe", testConfig)
	for _, r := range samples()[:13] {
		if err := g.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	again := New("grüppe", testConfig)
	for _, r := range rewritten(g) {
		if err := again.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	if dump(g) != dump(again) || len(g.order) != 3 || g.members["m2"].classic == nil || g.members["m3"].classic != nil {
		t.Fatalf("got:\n%s\nwant:\n%s", dump(again), dump(g))
	}
	for _, r := range g.Tombstone() {
		if err := g.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	if dump(g) != dump(New("grüppe", testConfig)) {
		t.Fatalf("after its tombstones the group has\n%s", dump(g))
	}
}

func TestEveryPrefixOfAValueIsRefusedWhole(t *testing.T) {
	for _, r := range samples() {
		for n := range r.Value {
			g := New("grüppe", testConfig)
			before := dump(g)
			if err := g.Replay(r.Key, r.Value[:n:n]); err == nil || len(g.order) > 0 && dump(g) != before {
				t.Fatalf("%x cut to %d bytes: %v, %s", r.Value, n, err, dump(g))
			}
		}
		for n := range r.Key {
			if _, ok, err := GroupOfKey(r.Key[:n]); ok && err == nil {
				t.Fatalf("key %x cut to %d bytes is read", r.Key, n)
			}
		}
	}
}

// TestAPartitionOfTwoInTheLogIsOfTheLater: compaction may keep the record in which somebody has a partition, and drop the one in which it
// gave it up, as long as a later one of that member follows.
func TestAPartitionOfTwoInTheLogIsOfTheLater(t *testing.T) {
	g := New("g", testConfig)
	has := holding{{topicID(1), []int32{0}, []int32{1}}}
	for _, m := range []*member{{id: "a", epoch: 1, assigned: has}, {id: "b", epoch: 2, assigned: has}, {id: "a", epoch: 3}} {
		r := g.currentRecord(m)
		if err := g.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	if m := g.owner[protocol.TopicPartition{Topic: topicID(1)}]; m == nil || m.id != "b" {
		t.Fatalf("the owner is %v", m)
	}
}

func TestKeysOfOthersAreNotOurs(t *testing.T) {
	for _, k := range []byte{0, 1, 2, 9, 15, 17, 99} {
		if _, ok, err := GroupOfKey([]byte{0, k, 0, 1, 'g'}); ok || err != nil {
			t.Errorf("type %d: ok %v, %v", k, ok, err)
		}
	}
	if id, ok, err := GroupOfKey([]byte{0, 3, 0, 1, 'g'}); id != "g" || !ok || err != nil {
		t.Errorf("%q %v %v", id, ok, err)
	}
}

func FuzzReplay(f *testing.F) {
	for _, r := range samples() {
		f.Add(r.Key, r.Value, r.Value == nil)
	}
	f.Fuzz(func(t *testing.T, key, value []byte, tombstone bool) {
		id, ok, err := GroupOfKey(key)
		if err != nil || !ok {
			return
		}
		if tombstone {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		g := New(id, testConfig)
		if err := g.Replay(key, value); err != nil {
			return
		}
		again := New(id, testConfig)
		for _, r := range rewritten(g) {
			if err := again.Replay(r.Key, r.Value); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		}
		again.exists, again.oldMetadata = g.exists, g.oldMetadata
		if got, want := dump(again), dump(g); got != want {
			t.Fatalf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}
