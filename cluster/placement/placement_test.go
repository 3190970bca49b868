package placement

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func topic(n int) (id protocol.TopicID) {
	id[0], id[1], id[2] = byte(n), byte(n>>8), 7
	return id
}

func nodes(n int, racks ...string) []Node {
	var out []Node
	for i := range n {
		node := Node{ID: protocol.NodeID(i + 1)}
		if len(racks) > 0 {
			node.Rack = racks[i%len(racks)]
		}
		out = append(out, node)
	}
	return out
}

func TestEveryTopicIsBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "nodes")
		r := Request{Topic: topic(rapid.IntRange(0, 1000).Draw(t, "topic")), Count: rapid.IntRange(1, 60).Draw(t, "partitions"), ReplicationFactor: rapid.IntRange(1, min(n, 5)).Draw(t, "rf"), Nodes: nodes(n)}
		leaders, replicas := map[protocol.NodeID]int{}, map[protocol.NodeID]int{}
		for _, p := range Place(r) {
			if len(p) != r.ReplicationFactor || len(p) != len(slices.Compact(slices.Sorted(slices.Values(p)))) {
				t.Fatalf("replicas %v", p)
			}
			leaders[p[0]]++
			for _, id := range p {
				replicas[id]++
			}
		}
		for id, count := range leaders {
			if count > share(r.Count, n)+2 { // leaders are picked among replicas already chosen
				t.Fatalf("node %d leads %d of %d partitions on %d nodes", id, count, r.Count, n)
			}
		}
		for id, count := range replicas {
			if count > share(r.Count*r.ReplicationFactor, n) {
				t.Fatalf("node %d has %d of %d replicas on %d nodes", id, count, r.Count*r.ReplicationFactor, n)
			}
		}
	})
}

func TestOrderOfNodesDoesNotMatter(t *testing.T) {
	r := Request{Topic: topic(1), Count: 50, ReplicationFactor: 3, Nodes: nodes(7, "a", "b", "c")}
	want := fmt.Sprint(Place(r))
	slices.Reverse(r.Nodes)
	if got := fmt.Sprint(Place(r)); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
}

func TestReplicasSpreadOverRacks(t *testing.T) {
	for _, n := range []int{3, 5, 6, 9} {
		r := Request{Topic: topic(2), Count: 100, ReplicationFactor: 3, Nodes: nodes(n, "a", "b", "c")}
		rack := map[protocol.NodeID]string{}
		for _, node := range r.Nodes {
			rack[node.ID] = node.Rack
		}
		for _, p := range Place(r) {
			seen := map[string]bool{}
			for _, id := range p {
				seen[rack[id]] = true
			}
			if len(seen) != 3 {
				t.Fatalf("%d nodes: replicas %v share a rack", n, p)
			}
		}
	}
}

// A node that joins may take its share and little else may move; one that leaves likewise.
func TestAChangeOfNodesMovesLittle(t *testing.T) {
	moved, total, fair := 0, 0, 0
	for i := range 200 {
		r := Request{Topic: topic(i), Count: 24, ReplicationFactor: 2, Nodes: nodes(6)}
		before := Place(r)
		r.Nodes = nodes(7)
		after := Place(r)
		for p := range before {
			for _, id := range after[p] {
				total++
				if !slices.Contains(before[p], id) {
					moved++
				}
			}
		}
		fair += 24 * 2 / 7
	}
	t.Logf("%d of %d replicas moved, %d is the newcomer's share", moved, total, fair)
	if moved > 2*fair {
		t.Errorf("%d of %d replicas moved, %d is the newcomer's share", moved, total, fair)
	}
}

func TestGrowthKeepsTheBalance(t *testing.T) {
	r := Request{Topic: topic(3), Count: 5, ReplicationFactor: 1, Nodes: nodes(4)}
	all := Place(r)
	for range 5 {
		r.Existing, r.Count = all, 3
		all = append(all, Place(r)...)
	}
	leaders := map[protocol.NodeID]int{}
	for _, p := range all {
		leaders[p[0]]++
	}
	for id, n := range leaders {
		if n > share(len(all), 4) {
			t.Errorf("node %d leads %d of %d", id, n, len(all))
		}
	}
}

// Where data is must not depend on the release.
func TestRankNeverChanges(t *testing.T) {
	if got, want := rank(topic(1), 2, 3), uint64(0x721aaddc75d05f34); got != want {
		t.Errorf("rank %#x, want %#x", got, want)
	}
}

func BenchmarkPlaceTenThousand(b *testing.B) {
	r := Request{Topic: topic(1), Count: 10_000, ReplicationFactor: 1, Nodes: nodes(1)}
	b.ReportAllocs()
	for range b.N {
		Place(r)
	}
}
