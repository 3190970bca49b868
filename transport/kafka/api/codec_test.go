package api

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// The hand-written codecs must agree with kmsg on every version: what kmsg encodes we decode to the same fields, and what we encode
// kmsg decodes to the same response, or the same bytes.

func TestProduceRequestDecodesAsKmsgEncodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var got produceRequest
	for version := int16(0); version <= 13; version++ {
		for range 200 {
			want := randomRequest(rng, 0, version).(*kmsg.ProduceRequest)
			got.reset()
			if err := got.decode(version, want.AppendTo(nil)); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			compareProduce(t, want, &got)
		}
	}
}

func compareProduce(t *testing.T, want *kmsg.ProduceRequest, got *produceRequest) {
	t.Helper()
	if got.acks != want.Acks || got.timeoutMs != want.TimeoutMillis || len(got.topics) != len(want.Topics) {
		t.Fatalf("v%d: got %+v, want %+v", want.Version, got, want)
	}
	if want.Version >= 3 && (got.txnID == nil) != (want.TransactionID == nil) && *want.TransactionID != "" {
		t.Fatalf("v%d: transactional id %q", want.Version, got.txnID)
	}
	for i, topic := range want.Topics {
		g := &got.topics[i]
		if want.Version >= 13 && g.id != topic.TopicID || want.Version < 13 && string(got.name(g)) != topic.Topic {
			t.Fatalf("v%d: topic %q %v", want.Version, got.name(g), g.id)
		}
		parts := got.parts[g.first:g.past]
		if len(parts) != len(topic.Partitions) {
			t.Fatalf("v%d: %d partitions, want %d", want.Version, len(parts), len(topic.Partitions))
		}
		for j, p := range topic.Partitions {
			if parts[j].partition != p.Partition || !bytes.Equal(parts[j].records, p.Records) || (parts[j].records == nil) != (p.Records == nil) {
				t.Fatalf("v%d: partition %+v, want %+v", want.Version, parts[j], p)
			}
		}
	}
}

func TestProduceResponseIsWhatKmsgEncodes(t *testing.T) {
	for version := int16(0); version <= 13; version++ {
		id := protocol.TopicID{1, 2, 3}
		p := produceRequest{version: version, names: []byte("firstsecond"), topics: []produceTopic{{id, 0, 5, 0, 2}, {id, 5, 11, 2, 3}}}
		p.parts = []producePart{
			{partition: 7, baseOffset: 1 << 40, logAppendTime: 99, logStartOffset: 5},
			{partition: 8, code: protocol.InvalidRecord, baseOffset: -1, logAppendTime: -1, logStartOffset: -1, reason: "why",
				faults: []protocol.RecordFault{{Index: 3, Reason: "because"}, {Index: 4}}},
			{partition: 0, code: protocol.NotLeaderOrFollower, baseOffset: -1, logAppendTime: -1, logStartOffset: -1},
		}
		want := kmsg.NewProduceResponse()
		want.Version = version
		why, because := "why", "because"
		row := func(p producePart) kmsg.ProduceResponseTopicPartition {
			out := kmsg.NewProduceResponseTopicPartition()
			out.Partition, out.ErrorCode, out.BaseOffset = p.partition, int16(p.code), p.baseOffset
			out.LogAppendTime, out.LogStartOffset = p.logAppendTime, p.logStartOffset
			return out
		}
		rows := []kmsg.ProduceResponseTopicPartition{row(p.parts[0]), row(p.parts[1]), row(p.parts[2])}
		rows[1].ErrorMessage = &why
		rows[1].ErrorRecords = []kmsg.ProduceResponseTopicPartitionErrorRecord{{RelativeOffset: 3, ErrorMessage: &because}, {RelativeOffset: 4}}
		var brokers []brokerAddress
		if version >= 10 {
			p.parts[2].leader = leaderHint{true, 4, 17}
			rows[2].CurrentLeader.LeaderID, rows[2].CurrentLeader.LeaderEpoch = 4, 17
			brokers = []brokerAddress{{4, "host", 9092, ""}, {5, "other", 9093, "rack"}}
			rack := "rack"
			want.Brokers = []kmsg.ProduceResponseBroker{{NodeID: 4, Host: "host", Port: 9092}, {NodeID: 5, Host: "other", Port: 9093, Rack: &rack}}
		}
		want.Topics = []kmsg.ProduceResponseTopic{
			{Topic: "first", TopicID: id, Partitions: rows[:2]}, {Topic: "second", TopicID: id, Partitions: rows[2:]},
		}
		var o wire.Out
		p.appendTo(&o.Writer, brokers)
		if expect := want.AppendTo(nil); !bytes.Equal(o.Buf, expect) {
			t.Errorf("v%d:\n got %x\nwant %x", version, o.Buf, expect)
		}
	}
}

func TestFetchRequestDecodesAsKmsgEncodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for version := int16(4); version <= 18; version++ {
		for range 200 {
			want := randomRequest(rng, 1, version).(*kmsg.FetchRequest)
			var got fetchRequest
			if err := got.decode(version, want.AppendTo(nil)); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			compareFetch(t, want, &got)
		}
	}
}

func compareFetch(t *testing.T, want *kmsg.FetchRequest, got *fetchRequest) {
	t.Helper()
	var v kmsg.FetchRequest // as a decoder sees it: fields of other versions at their default
	v.Version = want.Version
	if err := v.ReadFrom(want.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	replica := v.ReplicaID
	if v.Version >= 15 {
		replica = v.ReplicaState.ID
	}
	head := []any{replica, v.MaxWaitMillis, v.MinBytes, v.MaxBytes, v.IsolationLevel == 1, v.SessionID, v.SessionEpoch, v.Rack}
	for i, g := range []any{got.replica, got.maxWaitMs, got.minBytes, got.maxBytes, got.committed, got.sessionID, got.sessionEpoch, got.rack} {
		if g != head[i] {
			t.Fatalf("v%d: field %d is %v, want %v", v.Version, i, g, head[i])
		}
	}
	var parts []fetchPart
	for _, topic := range v.Topics {
		for _, p := range topic.Partitions {
			q := fetchPart{fetchTopicPartition{topic.Topic, topic.TopicID, p.Partition}, -1, p.FetchOffset, -1, p.PartitionMaxBytes}
			if v.Version >= 9 {
				q.leaderEpoch = protocol.LeaderEpoch(p.CurrentLeaderEpoch)
			}
			if v.Version >= 12 {
				q.lastFetchedEpoch = protocol.LeaderEpoch(p.LastFetchedEpoch)
			}
			parts = append(parts, q)
		}
	}
	var forgotten []fetchTopicPartition
	for _, topic := range v.ForgottenTopics {
		for _, p := range topic.Partitions {
			forgotten = append(forgotten, fetchTopicPartition{topic.Topic, topic.TopicID, p})
		}
	}
	if len(parts) != len(got.parts) || len(forgotten) != len(got.forgotten) {
		t.Fatalf("v%d: %d parts and %d forgotten, want %d and %d", v.Version, len(got.parts), len(got.forgotten), len(parts), len(forgotten))
	}
	for i := range parts {
		if parts[i] != got.parts[i] {
			t.Fatalf("v%d: part %+v, want %+v", v.Version, got.parts[i], parts[i])
		}
	}
	for i := range forgotten {
		if forgotten[i] != got.forgotten[i] {
			t.Fatalf("v%d: forgotten %+v, want %+v", v.Version, got.forgotten[i], forgotten[i])
		}
	}
}

func TestFetchResponseIsWhatKmsgEncodes(t *testing.T) {
	long := bytes.Repeat([]byte("r"), 100<<10) // long enough to be spliced
	for version := int16(4); version <= 18; version++ {
		f := fetchResponse{version: version, code: 0, sessionID: 12}
		a := fetchTopicPartition{name: "a", id: protocol.TopicID{1}}
		b := fetchTopicPartition{name: "b", id: protocol.TopicID{2}, partition: 3}
		want := kmsg.NewFetchResponse()
		want.Version, want.SessionID = version, 12
		row := func(tp fetchTopicPartition, records []byte) (fetchedPart, kmsg.FetchResponseTopicPartition) {
			p := fetchedPart{fetchTopicPartition: tp, highWatermark: 100, lastStable: 90, start: 3}
			p.records = wire.Range{File: bytes.NewReader(append([]byte("skip"), records...)), Pos: 4, Len: len(records)}
			k := kmsg.NewFetchResponseTopicPartition()
			k.Partition, k.HighWatermark, k.LastStableOffset, k.LogStartOffset, k.RecordBatches = tp.partition, 100, 90, 3, records
			return p, k
		}
		p1, k1 := row(a, []byte("short"))
		p2, k2 := row(a, long)
		p2.partition, k2.Partition = 1, 1
		p2.aborted = []abortedTxn{{5, 60}, {6, 70}}
		k2.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 5, FirstOffset: 60}, {ProducerID: 6, FirstOffset: 70}}
		p3, k3 := row(b, []byte{})
		p3.code, k3.ErrorCode = protocol.NotLeaderOrFollower, 6
		p3.aborted, k3.AbortedTransactions = []abortedTxn{}, []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		if version >= 12 {
			p3.leader, k3.CurrentLeader.LeaderID, k3.CurrentLeader.LeaderEpoch = leaderHint{true, 4, 17}, 4, 17
			p3.diverging, k3.DivergingEpoch.Epoch, k3.DivergingEpoch.EndOffset = divergingEpoch{true, 5, 66}, 5, 66
			p1.leader, k1.CurrentLeader.LeaderID, k1.CurrentLeader.LeaderEpoch = leaderHint{true, 5, 18}, 5, 18
		}
		if version >= 16 {
			f.brokers = []brokerAddress{{4, "host", 9092, ""}}
			want.Brokers = []kmsg.FetchResponseBroker{{NodeID: 4, Host: "host", Port: 9092}}
		}
		f.parts = []fetchedPart{p1, p2, p3}
		want.Topics = []kmsg.FetchResponseTopic{
			{Topic: "a", TopicID: a.id, Partitions: []kmsg.FetchResponseTopicPartition{k1, k2}},
			{Topic: "b", TopicID: b.id, Partitions: []kmsg.FetchResponseTopicPartition{k3}},
		}
		var o wire.Out
		f.appendTo(&o)
		if len(o.Splices) != 1 {
			t.Errorf("v%d: %d splices", version, len(o.Splices))
		}
		got, err := o.AppendTo(nil)
		if expect := want.AppendTo(nil); err != nil || !bytes.Equal(got, expect) || o.Len() != len(expect) {
			t.Errorf("v%d: %v, %d bytes announced\n got %.200x\nwant %.200x", version, err, o.Len(), got, expect)
		}
	}
}

func FuzzDecodeProduce(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for version := int16(0); version <= 13; version++ {
		f.Add(version, randomRequest(rng, 0, version).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		version = (version%14 + 14) % 14
		var got produceRequest
		if got.decode(version, body) != nil {
			return
		}
		want := kmsg.ProduceRequest{Version: version}
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("v%d: we decode what kmsg does not: %v", version, err)
		}
		compareProduce(t, &want, &got)
	})
}

func FuzzDecodeFetch(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for version := int16(4); version <= 18; version++ {
		f.Add(version, randomRequest(rng, 1, version).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		version = 4 + (version%15+15)%15
		var got fetchRequest
		if got.decode(version, body) != nil {
			return
		}
		want := kmsg.FetchRequest{Version: version}
		if err := want.ReadFrom(body); err != nil {
			t.Fatalf("v%d: we decode what kmsg does not: %v", version, err)
		}
		compareFetch(t, &want, &got)
	})
}
