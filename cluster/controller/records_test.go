package controller

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/codec"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// What was released can be read for ever: ids stay, fields are only added at the end of a line.
func TestRecordTableIsPinned(t *testing.T) {
	var out strings.Builder
	for _, e := range recordTable.Entries() {
		out.WriteString(recordTable.Describe(e.ID) + "\n")
	}
	actortest.Golden(t, "testdata/records.txt", out.String())
}

func sampleRecords() []image.Record {
	id := protocol.TopicID{1, 2, 3}
	some := []protocol.NodeID{1, 2, 300}
	return []image.Record{
		&image.ClusterFounded{ClusterID: "c"},
		&image.FeatureLevelSet{Name: "f", Level: -2},
		&image.BrokerRegistered{Node: 1, Incarnation: [16]byte{1}, Rack: "r", Fenced: true, Listeners: []image.Listener{{Name: "n", Protocol: "p", Host: "h", Port: 9}}, Epoch: 5, InControlledShutdown: true},
		&image.BrokerChanged{Node: 1, Epoch: 5, Fenced: true, InControlledShutdown: true},
		&image.BrokerUnregistered{Node: 1, Epoch: 5},
		&image.TopicCreated{Name: "t", ID: id},
		&image.TopicDeleted{ID: id},
		&image.PartitionAdded{Topic: id, Partition: 1, Leader: 2, LeaderEpoch: 3, PartitionEpoch: 4, Replicas: some, ISR: some[:1], Recovery: image.LeaderRecovering, Adding: some, Removing: some, ELR: some, LastKnownELR: some},
		&image.PartitionChanged{Topic: id, Partition: 1, Leader: -1, LeaderEpoch: 3, PartitionEpoch: 4, Replicas: some, Recovery: image.LeaderRecovering, ELR: some},
		&image.ConfigChanged{Resource: protocol.ResourceTopic, Name: "t", Key: "k", Value: "v", Null: true},
		&image.ProducerIDsReserved{Node: 1, Epoch: 2, First: 1000, Next: 1 << 40},
		&image.ScramCredentialSet{User: "u", Mechanism: protocol.ScramSHA512, Iterations: 8192, Salt: []byte{1}, StoredKey: []byte{2, 3}, ServerKey: []byte{4}},
		&image.ScramCredentialRemoved{User: "u", Mechanism: protocol.ScramSHA256},
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	want := sampleRecords()
	if len(want) != len(recordTable.Entries()) {
		t.Errorf("%d samples of %d records", len(want), len(recordTable.Entries()))
	}
	data, err := AppendRecords([]byte("head"), want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecords(data[4:])
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	for i := range data[4:] {
		if _, err := DecodeRecords(data[4 : 4+i]); err == nil {
			t.Fatalf("%d of %d bytes decode", i, len(data)-4)
		}
	}
	if empty, err := AppendRecords(nil, nil); err != nil || len(empty) != 2 {
		t.Errorf("no records are %x, %v", empty, err)
	}
}

func TestRecordsOfANewerReleaseStopTheNode(t *testing.T) {
	if _, err := DecodeRecords([]byte{recordsVersion + 1, 0}); err == nil || !strings.Contains(err.Error(), "newer release") {
		t.Error(err)
	}
	if _, err := DecodeRecords([]byte{recordsVersion, 1, 3, 0xff, 0xff, 0x90}); !errors.Is(err, codec.ErrUnknownType) {
		t.Error(err)
	}
}

func TestFieldsOfANewerReleaseAreIgnored(t *testing.T) {
	// TopicDeleted with a second field.
	data := append([]byte{recordsVersion, 1, 22, 0, 7, 0x92, 0xc4, 16}, make([]byte, 16)...)
	got, err := DecodeRecords(append(data, 7))
	if err != nil || !reflect.DeepEqual(got, []image.Record{&image.TopicDeleted{}}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzMetadataRecord(f *testing.F) {
	for _, r := range sampleRecords() {
		data, err := AppendRecords(nil, []image.Record{r})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{recordsVersion, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := DecodeRecords(data)
		if err != nil {
			return
		}
		again, err := AppendRecords(nil, records)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := DecodeRecords(again)
		if err != nil || !reflect.DeepEqual(records, twice) {
			t.Fatalf("%v: %+v became %+v", err, records, twice)
		}
	})
}

func joined(t testing.TB) (*image.Image, Now) {
	n := uint64(0)
	now := Now{Self: 1, Rand: func() uint64 { n += 0x9e3779b97f4a7c15; return n }}
	img, _ := image.Empty().Apply(2, Join(image.Empty(), Registration{ClusterID: "c", Node: 1}))
	return img, now
}

// One request creates ten thousand partitions in one entry; at every step the figures of the log line.
func BenchmarkTenThousandPartitions(b *testing.B) {
	img, now := joined(b)
	request := &protocol.CreateTopics{Topics: []protocol.NewTopic{{Name: "big", Partitions: 10_000, ReplicationFactor: 1}}}
	records := Decide(img, now, request).Records
	data, err := AppendRecords(nil, records)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decide", func(b *testing.B) {
		for range b.N {
			Decide(img, now, request)
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for range b.N {
			if _, err := AppendRecords(nil, records); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for range b.N {
			if _, err := DecodeRecords(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("apply", func(b *testing.B) {
		for range b.N {
			img.Apply(3, records)
		}
	})
	b.Run("new epochs", func(b *testing.B) {
		full, _ := img.Apply(3, records)
		for range b.N {
			Join(full, Registration{Node: 1, Incarnation: [16]byte{9}})
		}
	})
}

func BenchmarkCreateOneTopic(b *testing.B) {
	img, now := joined(b)
	request := &protocol.CreateTopics{Topics: []protocol.NewTopic{{Name: "small", Partitions: -1, ReplicationFactor: -1}}}
	b.ReportAllocs()
	for range b.N {
		Decide(img, now, request)
	}
}
