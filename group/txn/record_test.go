package txn

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// golden are bytes that Kafka 4.3.1 wrote (TransactionLog.valueToBytes with transaction.version 2, and 0 for the last).
var golden = []struct {
	hex      string
	want     hard
	readOnly bool
}{
	{
		hex:  "000100000000000003e800000000ea6000000000018bcfe56800ffffffffffffffff01000800000000000003e8",
		want: hard{known: true, producer: 1000, previous: 1000, next: -1, timeout: 60000, start: -1, updated: 1700000000000},
	},
	{
		hex: "000100000000000003e87fff0000ea60020204666f6f0200000001000000018bcfe568020000018bcfe5680103000800000000000003e8010800000000000007d002020002",
		want: hard{
			known: true, status: PrepareCommit, producer: 1000, previous: 1000, next: 2000, epoch: 32767, timeout: 60000,
			partitions: []protocol.NamedPartition{{Topic: "foo", Partition: 1}}, start: 1700000000001, updated: 1700000000002, version: 2,
		},
	},
	{
		hex:  "000100000000000007d000000000ea6004010000018bcfe568020000018bcfe5680102000800000000000003e802020002",
		want: hard{known: true, status: CompleteCommit, producer: 2000, previous: 1000, next: -1, timeout: 60000, start: 1700000000001, updated: 1700000000002, version: 2},
	},
	{
		hex:      "000000000000000003e800000000ea6000ffffffff0000018bcfe56800ffffffffffffffff",
		want:     hard{known: true, producer: 1000, previous: -1, next: -1, timeout: 60000, start: -1, updated: 1700000000000},
		readOnly: true,
	},
}

func TestRecordsAreKafkas(t *testing.T) {
	if got := hex.EncodeToString(encodeKey("my-id")); got != "000000056d792d6964" {
		t.Errorf("key %s", got)
	}
	for _, g := range golden {
		raw, err := hex.DecodeString(g.hex)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(raw)
		if err != nil || !got.equal(&g.want) {
			t.Errorf("%s: %+v, %v", g.hex, got, err)
		}
		if back := hex.EncodeToString(encode(&g.want)); !g.readOnly && back != g.hex {
			t.Errorf("%+v is\n%s, not\n%s", g.want, back, g.hex)
		}
	}
}

func TestKeysOfOtherKindsAreSkipped(t *testing.T) {
	for _, c := range []struct {
		key  string
		id   string
		ok   bool
		fail bool
	}{
		{"\x00\x00\x00\x01a", "a", true, false},
		{"\x00\x01whatever", "", false, false},
		{"\x00\x00\x00\x05a", "", false, true},
		{"\x00", "", false, true},
	} {
		id, ok, err := IDOfKey([]byte(c.key))
		if id != c.id || ok != c.ok || (err != nil) != c.fail {
			t.Errorf("%q: %q, %v, %v", c.key, id, ok, err)
		}
	}
}

func TestRecordsThatCannotBeUnderstoodChangeNothing(t *testing.T) {
	good, _ := hex.DecodeString(golden[1].hex)
	m := New("a", Config{})
	if err := m.Replay(nil, good); err != nil {
		t.Fatal(err)
	}
	before := m.hard
	for name, change := range map[string]func([]byte) []byte{
		"cut short":       func(b []byte) []byte { return b[:len(b)-1] },
		"empty":           func(b []byte) []byte { return b[:0] },
		"later version":   func(b []byte) []byte { b[1] = 2; return b },
		"unknown state":   func(b []byte) []byte { b[16] = 6; return b },
		"negative epoch":  func(b []byte) []byte { b[10] = 0x80; return b },
		"too many topics": func(b []byte) []byte { b[17] = 0x7f; return b },
	} {
		if err := m.Replay(nil, change([]byte(string(good)))); err == nil {
			t.Errorf("%s: taken", name)
		}
		if !m.hard.equal(&before) {
			t.Fatalf("%s: changed the state to %+v", name, m.hard)
		}
	}
}

func TestSizeIsNotBelowTheRecord(t *testing.T) {
	h := hard{known: true, status: Ongoing, producer: 1, previous: 1, next: 2, version: 2}
	for i := range int32(300) {
		name := strings.Repeat("t", int(i)%249+1)
		h.partitions, _ = union(h.partitions, []protocol.NamedPartition{{Topic: name, Partition: i}, {Topic: name, Partition: 1000 + i}})
		if got := len(encode(&h)); got > size(&h) {
			t.Fatalf("%d partitions take %d bytes, not at most %d", len(h.partitions), got, size(&h))
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, g := range golden {
		raw, _ := hex.DecodeString(g.hex)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		h, err := decode(value)
		if err != nil {
			return
		}
		again, err := decode(encode(&h))
		if err != nil || !again.equal(&h) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(encodeKey("my-id"))
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, key []byte) {
		if id, ok, err := IDOfKey(key); ok && err == nil && string(encodeKey(id)) != string(key) {
			t.Fatalf("%x names %q", key, id)
		}
	})
}

func (h *hard) equal(o *hard) bool {
	return h.known == o.known && h.status == o.status && h.producer == o.producer && h.previous == o.previous && h.next == o.next &&
		h.epoch == o.epoch && h.timeout == o.timeout && h.start == o.start && h.updated == o.updated && h.version == o.version &&
		slices.Equal(h.partitions, o.partitions)
}
