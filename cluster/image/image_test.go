package image

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func topicID(n int) (id protocol.TopicID) {
	id[0], id[14], id[15] = 1, byte(n>>8), byte(n)
	return id
}

func added(topic, partition int, replicas ...protocol.NodeID) *PartitionAdded {
	return &PartitionAdded{Topic: topicID(topic), Partition: int32(partition), Leader: replicas[0], Replicas: replicas}
}

func TestApplyLeavesItsParentAlone(t *testing.T) {
	a, _ := Empty().Apply(1, []Record{&TopicCreated{Name: "a", ID: topicID(1)}, added(1, 0, 1, 2), added(1, 1, 2, 1)})
	before := a.Hash()
	b, delta := a.Apply(2, []Record{
		&PartitionChanged{Topic: topicID(1), Partition: 1, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1, Replicas: []protocol.NodeID{2, 1}, ISR: []protocol.NodeID{1}},
		&ConfigChanged{Resource: protocol.ResourceTopic, Name: "a", Key: "retention.ms", Value: "1"},
		&TopicCreated{Name: "b", ID: topicID(2)}, added(2, 0, 1),
	})
	if a.Hash() != before {
		t.Fatal("the parent changed")
	}
	if _, ok := a.Topic("b"); ok || a.NumPartitions() != 2 || b.NumPartitions() != 3 {
		t.Fatalf("partitions: parent %d, child %d", a.NumPartitions(), b.NumPartitions())
	}
	topic, _ := b.Topic("a")
	if p, _ := topic.Partition(1); p.Leader != 1 || !slices.Equal(p.ISR, []protocol.NodeID{1}) {
		t.Fatalf("partition 1 is %+v", p)
	}
	want := []protocol.TopicPartition{{Topic: topicID(1), Partition: 1}, {Topic: topicID(2), Partition: 0}}
	if !slices.Equal(delta.Partitions, want) || !slices.Equal(delta.TopicsCreated, []protocol.TopicID{topicID(2)}) || !slices.Equal(delta.TopicConfigs, []protocol.TopicID{topicID(1)}) {
		t.Fatalf("delta %+v", delta)
	}
}

func TestTopologyOffsetFollowsTopicsAndPartitionsOnly(t *testing.T) {
	m := Empty()
	for i, c := range []struct {
		r    Record
		want int64
	}{
		{&TopicCreated{Name: "a", ID: topicID(1)}, 0},
		{added(1, 0, 1), 1},
		{&ConfigChanged{Resource: protocol.ResourceTopic, Name: "a", Key: "retention.ms", Value: "1"}, 1},
		{&PartitionChanged{Topic: topicID(1), Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1, Replicas: []protocol.NodeID{1}, ISR: []protocol.NodeID{1}}, 1},
		{&TopicDeleted{ID: topicID(1)}, 4},
	} {
		if m, _ = m.Apply(int64(i), []Record{c.r}); m.TopologyOffset != c.want {
			t.Fatalf("after %T: %d, not %d", c.r, m.TopologyOffset, c.want)
		}
	}
}

func TestDeltaForgetsWhatIsDeleted(t *testing.T) {
	a, _ := Empty().Apply(1, []Record{&TopicCreated{Name: "a", ID: topicID(1)}, added(1, 0, 1)})
	b, delta := a.Apply(2, []Record{&TopicCreated{Name: "b", ID: topicID(2)}, added(2, 0, 1), &TopicDeleted{ID: topicID(2)}, &TopicDeleted{ID: topicID(1)}})
	if len(delta.Partitions)+len(delta.TopicsCreated) != 0 || len(delta.TopicsDeleted) != 2 || delta.TopicsDeleted[0].Name != "a" {
		t.Fatalf("delta %+v", delta)
	}
	if b.NumTopics() != 0 || b.NumPartitions() != 0 {
		t.Fatalf("%d topics, %d partitions left", b.NumTopics(), b.NumPartitions())
	}
}

func TestBrokerEpochIsTheOffsetOfItsRegistration(t *testing.T) {
	a, _ := Empty().Apply(5, []Record{&BrokerRegistered{Node: 1, Fenced: true}})
	b, _ := a.Apply(6, []Record{&BrokerChanged{Node: 1, Epoch: 4}, &BrokerChanged{Node: 1, Epoch: 5, InControlledShutdown: true}})
	n, _ := b.Node(1)
	if n.Epoch != 5 || n.Fenced || !n.InControlledShutdown || len(b.LiveNodes()) != 0 {
		t.Fatalf("node %+v", n)
	}
	if c := refold(b); c.Hash() != b.Hash() {
		t.Fatal("a snapshot changed the image")
	}
}

// refold is what loading a snapshot does.
func refold(m *Image) *Image {
	var records []Record
	m.Records(func(r Record) bool {
		records = append(records, r)
		return true
	})
	out, _ := Empty().Apply(m.MetadataOffset, records)
	return out
}

// history draws valid batches of records.
func history(t *rapid.T) [][]Record {
	var batches [][]Record
	live := map[int]int{} // topic -> partitions
	epochs := map[[2]int]int{}
	next := 0
	for range rapid.IntRange(1, 30).Draw(t, "batches") {
		var batch []Record
		for range rapid.IntRange(0, 6).Draw(t, "records") {
			batch = append(batch, step(t, live, epochs, &next)...)
		}
		batches = append(batches, batch)
	}
	return batches
}

func step(t *rapid.T, live map[int]int, epochs map[[2]int]int, next *int) []Record {
	var topics []int
	for n := range live {
		topics = append(topics, n)
	}
	slices.Sort(topics)
	kind := rapid.IntRange(0, 8).Draw(t, "kind")
	if len(topics) == 0 && kind >= 1 && kind <= 4 {
		kind = 0
	}
	switch kind {
	case 0:
		*next++
		out := []Record{&TopicCreated{Name: fmt.Sprintf("t%03d", *next), ID: topicID(*next)}}
		n := rapid.SampledFrom([]int{1, 3, chunkSize, chunkSize + 1, 3 * chunkSize}).Draw(t, "partitions")
		for i := range n {
			out = append(out, added(*next, i, protocol.NodeID(i%3), protocol.NodeID(3+i%2)))
		}
		live[*next] = n
		return out
	case 1:
		n := rapid.SampledFrom(topics).Draw(t, "topic")
		delete(live, n)
		return []Record{&TopicDeleted{ID: topicID(n)}}
	case 2:
		n := rapid.SampledFrom(topics).Draw(t, "topic")
		p := rapid.IntRange(0, live[n]-1).Draw(t, "partition")
		epochs[[2]int{n, p}]++
		e := epochs[[2]int{n, p}]
		isr := rapid.SliceOfNDistinct(rapid.Int32Range(0, 5), 1, 3, rapid.ID).Draw(t, "isr")
		r := &PartitionChanged{Topic: topicID(n), Partition: int32(p), PartitionEpoch: protocol.PartitionEpoch(e), LeaderEpoch: protocol.LeaderEpoch(e), Replicas: []protocol.NodeID{0, 1, 2, 3, 4, 5}}
		for _, id := range isr {
			r.ISR = append(r.ISR, protocol.NodeID(id))
		}
		r.Leader = r.ISR[0]
		if rapid.Bool().Draw(t, "elr") {
			r.ELR = []protocol.NodeID{5}
		}
		return []Record{r}
	case 3, 4:
		n := rapid.SampledFrom(topics).Draw(t, "topic")
		return []Record{&ConfigChanged{
			Resource: protocol.ResourceTopic, Name: fmt.Sprintf("t%03d", n), Key: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"),
			Value: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value"), Null: rapid.Bool().Draw(t, "null"),
		}}
	case 5:
		return []Record{&ConfigChanged{Resource: rapid.SampledFrom([]protocol.ResourceType{protocol.ResourceBroker, protocol.ResourceGroup}).Draw(t, "resource"), Name: rapid.SampledFrom([]string{"", "1"}).Draw(t, "broker"), Key: "k", Value: "v", Null: rapid.Bool().Draw(t, "null")}}
	case 6:
		return []Record{&FeatureLevelSet{Name: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "feature"), Level: rapid.Int16Range(0, 2).Draw(t, "level")}}
	case 7:
		c := &ScramCredentialSet{
			User: rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user"), Mechanism: rapid.SampledFrom([]protocol.ScramMechanism{1, 2}).Draw(t, "mechanism"),
			Iterations: rapid.Int32Range(4096, 4097).Draw(t, "iterations"), Salt: []byte("s"), StoredKey: []byte("k"), ServerKey: []byte("v"),
		}
		if rapid.Bool().Draw(t, "removed at once") {
			return []Record{c, &ScramCredentialRemoved{User: c.User, Mechanism: c.Mechanism}}
		}
		return []Record{c}
	default:
		return nil
	}
}

func TestCredentialsAreFoundByMechanismAndUser(t *testing.T) {
	set := func(m protocol.ScramMechanism, user string) Record {
		return &ScramCredentialSet{User: user, Mechanism: m, Iterations: 4096 + int32(m), Salt: []byte("salt"), StoredKey: []byte("stored"), ServerKey: []byte("server")}
	}
	a, delta := Empty().Apply(1, []Record{set(2, "zoe"), set(1, "bob"), set(2, "bob"), set(2, "alice")})
	b, _ := a.Apply(2, []Record{&ScramCredentialRemoved{User: "bob", Mechanism: 1}})
	if got := a.ScramUsers(); !slices.Equal(got, []string{"alice", "bob", "zoe"}) || !slices.Equal(delta.Users, got) || delta.Empty() {
		t.Errorf("users %v, delta %v", got, delta.Users)
	}
	if c, ok := a.ScramFrom(1, ""); !ok || c.User != "bob" || c.Iterations != 4097 {
		t.Errorf("first of SHA-256: %+v", c)
	}
	if c, ok := a.ScramFrom(2, ""); !ok || c.User != "alice" {
		t.Errorf("first of SHA-512: %+v", c)
	}
	for from, want := range map[string]string{"alice": "alice", "b": "bob", "bobby": "zoe", "zz": "alice"} {
		if c, ok := a.ScramFrom(2, from); !ok || c.User != want {
			t.Errorf("from %s on: %+v", from, c)
		}
	}
	if c, ok := b.ScramFrom(1, ""); ok {
		t.Errorf("a removed credential is first: %+v", c)
	}
	if _, ok := b.Scram(1, "bob"); ok || a.Hash() == b.Hash() {
		t.Error("a removed credential is found")
	}
	if _, ok := b.Scram(2, "bob"); !ok {
		t.Error("the other mechanism's credential went with it")
	}
	c, _ := b.Scram(2, "zoe")
	if shown := fmt.Sprintf("%+v %x %s %#v %q", *c, c.Salt, c.StoredKey, c.ServerKey, *c); strings.Contains(shown, "stored") || strings.Contains(shown, "server") || strings.Contains(shown, "73746f") {
		t.Errorf("keys are shown: %s", shown)
	}
}

// A node that starts from a snapshot and reads the tail must stand where one stands that read everything, whatever the point.
func TestSnapshotAndTailGiveTheSameImage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batches := history(t)
		cut := rapid.IntRange(0, len(batches)).Draw(t, "cut")
		full, fromSnapshot := Empty(), Empty()
		for i, batch := range batches {
			if i == cut && i > 0 {
				fromSnapshot = refold(full)
			}
			full, _ = full.Apply(int64(i+1), batch)
			if i >= cut || cut == 0 {
				fromSnapshot, _ = fromSnapshot.Apply(int64(i+1), batch)
			}
		}
		if cut == len(batches) {
			fromSnapshot = refold(full)
		}
		if full.Hash() != fromSnapshot.Hash() {
			t.Fatalf("hash %x after the whole log, %x after the snapshot at %d and the tail", full.Hash(), fromSnapshot.Hash(), cut)
		}
		partitions := 0
		for topic := range full.EachTopic {
			partitions += int(topic.NumPartitions())
		}
		if partitions != full.NumPartitions() {
			t.Fatalf("%d partitions counted, %d there", full.NumPartitions(), partitions)
		}
	})
}

// The hash is compared between nodes of different versions: it must not change by accident.
func TestHashIsStable(t *testing.T) {
	m, _ := Empty().Apply(1, []Record{
		&ClusterFounded{ClusterID: "Some-Cluster"}, &FeatureLevelSet{Name: "metadata.version", Level: 1},
		&BrokerRegistered{Node: 1, Listeners: []Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "::1", Port: 9092}}},
		&TopicCreated{Name: "a", ID: topicID(1)}, added(1, 0, 1), &ConfigChanged{Resource: protocol.ResourceTopic, Name: "a", Key: "k", Value: "v"},
		&ProducerIDsReserved{Node: 1, Epoch: 1, First: 0, Next: 1000},
	})
	if got, want := m.Hash(), uint64(0xd251f1be96e9e7f4); got != want {
		t.Errorf("hash %#x, want %#x", got, want)
	}
}

func topics(n, partitions int) []Record {
	var out []Record
	for i := range n {
		out = append(out, &TopicCreated{Name: fmt.Sprintf("topic-%05d", i), ID: topicID(i)})
		for p := range partitions {
			out = append(out, added(i, p, 1))
		}
	}
	return out
}

func heap() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestTenThousandPartitionsFitInAFewMegabytes(t *testing.T) {
	for _, shape := range [][2]int{{1, 10_000}, {10_000, 1}} {
		before := heap()
		m, _ := Empty().Apply(1, topics(shape[0], shape[1]))
		used := int64(heap()) - int64(before)
		t.Logf("%d topics of %d partitions: %.2f MB", shape[0], shape[1], float64(used)/1e6)
		if used > 8<<20 {
			t.Errorf("%d topics of %d partitions take %d bytes", shape[0], shape[1], used)
		}
		runtime.KeepAlive(m)
	}
}

func TestOneTopicAmongTenThousandCopiesLittle(t *testing.T) {
	m, _ := Empty().Apply(1, topics(10_000, 1))
	batch := []Record{&TopicCreated{Name: "one-more", ID: topicID(20_000)}, added(20_000, 0, 1)}
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		m.Apply(2, batch)
	}
	runtime.ReadMemStats(&after)
	if bytes := (after.TotalAlloc - before.TotalAlloc) / runs; bytes > 32<<10 {
		t.Errorf("creating one topic allocates %d bytes", bytes)
	}
}

func BenchmarkApplyTenThousandPartitions(b *testing.B) {
	batch := topics(1, 10_000)
	b.ReportAllocs()
	for range b.N {
		Empty().Apply(1, batch)
	}
}
