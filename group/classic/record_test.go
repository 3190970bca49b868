package classic

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// kafkaRecords are keys and values that Kafka 4.3.1 itself encoded (MessageUtil of its generated classes), by name and version.
func kafkaRecords(t testing.TB) map[string][]byte {
	raw, err := os.ReadFile("testdata/kafka.records")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(raw)) {
		at := strings.LastIndexByte(line, ' ')
		b, err := hex.DecodeString(strings.TrimSpace(line[at+1:]))
		if err != nil {
			t.Fatal(err)
		}
		out[line[:at]] = b
	}
	return out
}

var (
	rangeName  = "range"
	kafkaEmpty = Metadata{ProtocolType: "connect", Generation: 8, Since: 1700000000456}
)

func kafkaStable() Metadata {
	return Metadata{ProtocolType: "consumer", Generation: 7, Protocol: &rangeName, Leader: "a-1", Since: 1700000000123, Members: []Member{
		{MemberID: "a-1", ClientID: "a", ClientHost: "/127.0.0.1", RebalanceTimeout: 300 * time.Second, SessionTimeout: 45 * time.Second,
			Protocols: []protocol.GroupProtocol{{Name: "range", Metadata: []byte{0, 1, 2}}}, Assignment: []byte{9, 8}},
		{MemberID: "i-2", InstanceID: "i", ClientHost: "/::1", RebalanceTimeout: time.Second, SessionTimeout: 6 * time.Second,
			Protocols: []protocol.GroupProtocol{{Name: "range", Metadata: []byte{}}}, Assignment: []byte{}},
	}}
}

func TestRecordsAreWhatKafkaWrites(t *testing.T) {
	golden := kafkaRecords(t)
	for name, in := range map[string]Metadata{"stable 3": kafkaStable(), "empty 3": kafkaEmpty} {
		r := Record("grüppe", in)
		if !bytes.Equal(r.Key, golden["key"]) {
			t.Errorf("key %x, Kafka's is %x", r.Key, golden["key"])
		}
		if !bytes.Equal(r.Value, golden[name]) {
			t.Errorf("%s: %x, Kafka's is %x", name, r.Value, golden[name])
		}
	}
	if group, ok, err := GroupOfKey(golden["key"]); group != "grüppe" || !ok || err != nil {
		t.Errorf("key of %q, %v, %v", group, ok, err)
	}
}

func TestEveryVersionIsRead(t *testing.T) {
	golden := kafkaRecords(t)
	for version := range 5 {
		want, empty := kafkaStable(), kafkaEmpty
		if version < 3 {
			want.Members[1].InstanceID = ""
		}
		if version < 2 {
			want.Since, empty.Since = -1, -1
		}
		if version < 1 { // the session timeout stands for both
			want.Members[0].RebalanceTimeout, want.Members[1].RebalanceTimeout = 45*time.Second, 6*time.Second
		}
		for name, want := range map[string]Metadata{"stable": want, "empty": empty} {
			got, err := readMetadata(golden[name+" "+string(rune('0'+version))])
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, version %d: %v\n%+v, want\n%+v", name, version, err, got, want)
			}
		}
	}
}

func TestKeysOfOtherRecordsAreNotOurs(t *testing.T) {
	for _, key := range [][]byte{nil, {0}, {0, 1, 0, 1, 'g'}, {0, 3, 0, 1, 'g'}} {
		if _, ok, err := GroupOfKey(key); ok || err != nil {
			t.Errorf("key %x: %v, %v", key, ok, err)
		}
	}
	for _, key := range [][]byte{{0, 2}, {0, 2, 0, 2, 'g'}, {0, 2, 0, 1, 'g', 'g'}, {0, 2, 0xff, 0xff}} {
		if _, ok, err := GroupOfKey(key); !ok || err == nil {
			t.Errorf("key %x: %v, %v", key, ok, err)
		}
	}
}

// FuzzReplay reads hostile records: no panic, and nothing changes unless the record is understood. What is understood is what kmsg
// reads in it, and is written again so that it reads the same.
func FuzzReplay(f *testing.F) {
	golden := kafkaRecords(f)
	for _, name := range sortedKeys(golden) {
		f.Add(golden[name])
		f.Add(golden[name][:len(golden[name])-1])
	}
	f.Add([]byte{0, 3, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, value []byte) {
		g := New(testGroup, testConfig)
		g.apply(kafkaStable())
		before := hard(g)
		if err := g.Replay(appendKey(testGroup), value); err != nil {
			if after := hard(g); after != before {
				t.Errorf("%v, and yet\n%s\nbecame\n%s", err, before, after)
			}
			return
		}
		if value == nil {
			return
		}
		var theirs kmsg.GroupMetadataValue
		if err := theirs.ReadFrom(value); err != nil {
			t.Fatalf("kmsg cannot read it: %v", err)
		}
		if theirs.Generation != g.generation || theirs.ProtocolType != g.protocolType || len(theirs.Members) != len(g.members) {
			t.Errorf("%s, kmsg reads %+v", hard(g), theirs)
		}
		again := New(testGroup, testConfig)
		written := g.metadataOf()
		if err := again.Replay(appendKey(testGroup), written.append(nil)); err != nil || hard(again) != hard(g) {
			t.Errorf("%v\n%s\nis written and reads\n%s", err, hard(g), hard(again))
		}
	})
}

// metadataOf is metadata of an empty group, too.
func (g *Group) metadataOf() Metadata {
	if len(g.members) > 0 {
		return g.metadata()
	}
	return Metadata{ProtocolType: g.protocolType, Generation: g.generation, Protocol: g.protocol, Leader: g.leader, Since: g.since}
}

func FuzzSubscription(f *testing.F) {
	f.Add(consumerSaid("a", "b"))
	f.Add([]byte{0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		topics, ok := subscription(in)
		if !ok {
			return
		}
		var theirs kmsg.ConsumerMemberMetadata
		if err := theirs.ReadFrom(in); err == nil && strings.Join(theirs.Topics, "\x00") != strings.Join(topics, "\x00") {
			t.Errorf("%q, kmsg reads %q", topics, theirs.Topics)
		}
	})
}
