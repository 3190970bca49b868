package offsets

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Written by the generated classes of Kafka 4.3.1 (MessageUtil.toVersionPrefixedByteBuffer).
var (
	goldenKeys = []string{
		"000000076772c3bcc39f650007746f7069632d3100000007",
		"000100076772c3bcc39f650007746f7069632d3100000007",
	}
	goldenValues = []string{
		"00000000001cbe991a1400046d6574610000018bcfe56800",
		"00010000001cbe991a1400046d6574610000018bcfe568000000018bcfee8fc0",
		"00020000001cbe991a1400046d6574610000018bcfe56800",
		"00030000001cbe991a140000002a00046d6574610000018bcfe56800",
		"00040000001cbe991a140000002a056d6574610000018bcfe5680001001001020304050607081112131415161718",
	}
	goldenPlain = "00040000000000000005ffffffff010000018bcfe5680000"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenValue(version int) Value {
	v := Value{Offset: 123456789012, LeaderEpoch: -1, Metadata: "meta", Committed: 1700000000000, Expires: noExpiry}
	switch version {
	case 1:
		v.Expires = 1700000600000
	case 3, 4:
		v.LeaderEpoch = 42
	}
	if version == 4 {
		v.TopicID = protocol.TopicID{1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}
	}
	return v
}

func TestKafkasRecordsAreRead(t *testing.T) {
	want := Key{"grüße", "topic-1", 7}
	for version, text := range goldenKeys {
		if k, err := parseKey(unhex(t, text)); err != nil || k != want {
			t.Errorf("key v%d: %+v, %v", version, k, err)
		}
		if group, ok, err := GroupOfKey(unhex(t, text)); group != want.Group || !ok || err != nil {
			t.Errorf("key v%d: group %q %v %v", version, group, ok, err)
		}
	}
	for version, text := range goldenValues {
		if v, err := parseValue(unhex(t, text)); err != nil || v != goldenValue(version) {
			t.Errorf("value v%d: %+v, %v", version, v, err)
		}
	}
}

func TestRecordsAreWrittenAsKafkaWritesThem(t *testing.T) {
	if got := hex.EncodeToString(AppendKey(nil, Key{"grüße", "topic-1", 7})); got != goldenKeys[1] {
		t.Errorf("key\n got %s\nwant %s", got, goldenKeys[1])
	}
	for _, version := range []int{1, 4} {
		v := goldenValue(version)
		if got := hex.EncodeToString(AppendValue(nil, &v)); got != goldenValues[version] {
			t.Errorf("value v%d\n got %s\nwant %s", version, got, goldenValues[version])
		}
	}
	v := Value{Offset: 5, LeaderEpoch: -1, Committed: 1700000000000, Expires: noExpiry}
	if got := hex.EncodeToString(AppendValue(nil, &v)); got != goldenPlain {
		t.Errorf("plain value\n got %s\nwant %s", got, goldenPlain)
	}
}

func TestOtherRecordsOfTheTopicAreNotOurs(t *testing.T) {
	for _, key := range []string{"0002000161", "00030001", "0010", "ffff", "00", ""} {
		if group, ok, err := GroupOfKey(unhex(t, key)); ok || err != nil || group != "" {
			t.Errorf("%q: %q %v %v", key, group, ok, err)
		}
	}
}

func TestCutShortRecordsAreRefused(t *testing.T) {
	for _, text := range goldenKeys {
		for n := 2; n < len(text)/2; n++ {
			if _, err := parseKey(unhex(t, text)[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%d bytes of a key: %v", n, err)
			}
		}
	}
	for _, text := range goldenValues {
		for n := range len(text) / 2 {
			if _, err := parseValue(unhex(t, text)[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%d bytes of value %s: %v", n, text[:4], err)
			}
		}
	}
	for _, text := range []string{"0005" + goldenPlain[4:], "ffff" + goldenPlain[4:], "00040000000000000005ffffffff000000018bcfe5680000",
		"00040000000000000005ffffffff010000018bcfe56800" + "ffffffff0f", "00040000000000000005ffffffff010000018bcfe56800" + "01000f" + strings.Repeat("00", 15)} {
		if _, err := parseValue(unhex(t, text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestUnknownTagsAreSkipped(t *testing.T) {
	text := strings.TrimSuffix(goldenPlain, "00") + "02" + "0010" + strings.Repeat("07", 16) + "0903aabbcc"
	v, err := parseValue(unhex(t, text))
	if err != nil || v.TopicID != (protocol.TopicID{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7}) {
		t.Errorf("%+v, %v", v, err)
	}
}

// FuzzValue: whatever is read agrees with kmsg, and is the same after writing it.
func FuzzValue(f *testing.F) {
	for _, text := range append(goldenValues, goldenPlain) {
		f.Add(unhex(f, text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseValue(b)
		if err != nil {
			return
		}
		k := kmsg.NewOffsetCommitValue()
		if err := k.ReadFrom(b); err != nil {
			t.Fatalf("kmsg refuses %x: %v", b, err)
		}
		if k.Version < epochSince {
			k.LeaderEpoch = -1
		}
		if k.Version != expiryVersion {
			k.ExpireTimestamp = noExpiry
		}
		if want := (Value{k.Offset, protocol.LeaderEpoch(k.LeaderEpoch), k.Metadata, k.CommitTimestamp, k.ExpireTimestamp, k.TopicID}); v != want {
			t.Fatalf("%x is %+v, kmsg says %+v", b, v, want)
		}
		if v.Expires != noExpiry {
			v.LeaderEpoch, v.TopicID = -1, protocol.TopicID{}
		}
		if again, err := parseValue(AppendValue(nil, &v)); err != nil || again != v {
			t.Fatalf("%+v became %+v, %v", v, again, err)
		}
	})
}

// FuzzReplay: no record harms the state, and one that is refused changes nothing.
func FuzzReplay(f *testing.F) {
	for _, key := range goldenKeys {
		for _, value := range goldenValues {
			f.Add(unhex(f, key), unhex(f, value), false, int64(-1))
			f.Add(unhex(f, key), unhex(f, value), true, int64(3))
		}
	}
	f.Fuzz(func(t *testing.T, key, value []byte, tombstone bool, producer int64) {
		s := New("grüße")
		if err := s.Replay(unhex(t, goldenKeys[0]), unhex(t, goldenValues[0]), -1, 0); err != nil {
			t.Fatal(err)
		}
		before := s.Fetch(&protocol.FetchOffsets{All: true, RequireStable: true})
		if tombstone {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		err := s.Replay(key, value, protocol.ProducerID(producer), 1)
		after := s.Fetch(&protocol.FetchOffsets{All: true, RequireStable: true})
		if err != nil && (!errors.Is(err, ErrMalformed) || !reflect.DeepEqual(before, after)) {
			t.Fatalf("%v: %+v became %+v", err, before, after)
		}
		if k, err2 := parseKey(key); err == nil && (err2 != nil || string(AppendKey(nil, k)[2:]) != string(key[2:2+len(AppendKey(nil, k))-2])) {
			t.Fatalf("key %x is %+v, %v", key, k, err2)
		}
	})
}
