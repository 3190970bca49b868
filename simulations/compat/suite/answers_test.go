package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rendered is an answer as it is compared.
func rendered(addr string, resp kmsg.Response) []leaf {
	return newNames(&side{target: &target{addr: addr, data: "/data" + addr}}).render(resp)
}

func metadataOf(change func(*kmsg.MetadataResponse)) *kmsg.MetadataResponse {
	m := kmsg.NewPtrMetadataResponse()
	m.ThrottleMillis = 5
	for _, name := range []string{"a", "b"} {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.TopicID = kmsg.StringPtr(name), [16]byte{name[0]}
		t.Partitions = []kmsg.MetadataResponseTopicPartition{{Partition: 0, Leader: 1, Replicas: []int32{1}}}
		m.Topics = append(m.Topics, t)
	}
	change(m)
	return m
}

// TestAnswersAreComparedFieldByField: every kind of difference is seen, and told once.
func TestAnswersAreComparedFieldByField(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*kmsg.MetadataResponse)
		want   string
	}{
		{"nothing", func(*kmsg.MetadataResponse) {}, ""},
		{"throttling", func(m *kmsg.MetadataResponse) { m.ThrottleMillis = 9 }, ""},
		{"ids", func(m *kmsg.MetadataResponse) { m.Topics[0].TopicID = [16]byte{77} }, ""},
		{"a missing id", func(m *kmsg.MetadataResponse) { m.Topics[0].TopicID = [16]byte{} }, `Topics[a/<id of a>] is "a row"`},
		{"a code", func(m *kmsg.MetadataResponse) { m.Topics[1].ErrorCode = 3 }, `Topics[b/<id of b>].ErrorCode is "0", Kafka's "3"`},
		{"null for a text", func(m *kmsg.MetadataResponse) { m.ClusterID = kmsg.StringPtr("") }, `ClusterID is "null", Kafka's ""`},
		{"the order", func(m *kmsg.MetadataResponse) { slices.Reverse(m.Topics) }, `Topics order is "a/<id of a>, b/<id of b>"`},
		{"a row", func(m *kmsg.MetadataResponse) { m.Topics = m.Topics[:1] }, `Topics[b/<id of b>] is "a row", Kafka's absent`},
		{"a row twice", func(m *kmsg.MetadataResponse) { m.Topics = append(m.Topics, m.Topics[0]) }, `Topics[a/<id of a> #2] is absent, Kafka's "a row"`},
		{"numbers", func(m *kmsg.MetadataResponse) { m.Topics[0].Partitions[0].Replicas = []int32{1, 2} }, `Replicas is "[1]", Kafka's "[1 2]"`},
	} {
		same := metadataOf(func(*kmsg.MetadataResponse) {})
		got := differIn("", rendered("127.0.0.1:1", same), rendered("127.0.0.1:2", metadataOf(c.change)))
		if c.what == "a missing id" {
			got = got[:1]
		}
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0].String(), c.want)) {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// TestWhatDiffersByNatureIsMadeAlike: addresses, directories, clusters, and ids that somebody made up.
func TestWhatDiffersByNatureIsMadeAlike(t *testing.T) {
	of := func(n *names, port int32) *kmsg.MetadataResponse {
		m := kmsg.NewPtrMetadataResponse()
		m.ClusterID = &n.side.cluster
		m.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "127.0.0.1", Port: port}}
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = kmsg.StringPtr("at " + n.side.target.addr + " in " + n.side.target.data)
		m.Topics = append(m.Topics, t)
		return m
	}
	one := newNames(&side{target: &target{addr: "127.0.0.1:1111", data: "/one"}, cluster: "the first"})
	two := newNames(&side{target: &target{addr: "127.0.0.1:2222", data: "/two"}, cluster: "the second"})
	if got := differIn("", one.render(of(one, 1111)), two.render(of(two, 2222))); len(got) > 0 {
		t.Error(got)
	}
	if got := differIn("", one.render(of(one, 1111)), two.render(of(two, 3333))); len(got) != 1 {
		t.Error("another port than the broker's own is not seen:", got)
	}
	for _, text := range []string{"client-eb52af8e-6289-43d0-be77-4e17560fe758", "dHJvdXBlLXNpbXVsYXRpb3"} {
		if got := one.text(text); !strings.Contains(got, "<uuid") || one.text(text) != got {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// TestEveryExpectedDifferenceIsNeeded: each entry has its reason, is of some question, and fails the run if nothing differs so.
func TestEveryExpectedDifferenceIsNeeded(t *testing.T) {
	for _, e := range expectedDifferences {
		if e.why == "" || !slices.ContainsFunc(questions(), func(q question) bool { return whole(e.question).MatchString(q.name) }) {
			t.Errorf("%+v", e)
		}
	}
	s := &answerSuite{}
	err := s.unneeded(map[string]bool{})
	if err == nil || strings.Count(err.Error(), "\n")+1 != len(expectedDifferences) {
		t.Error(err)
	}
	used := map[string]bool{}
	for _, e := range expectedDifferences {
		used[e.question+e.path] = true
	}
	if err := s.unneeded(used); err != nil {
		t.Error(err)
	}
}
