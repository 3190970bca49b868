package assignor

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func topicID(n int) (id protocol.TopicID) {
	id[0], id[14], id[15] = 1, byte(n>>8), byte(n)
	return id
}

// draw makes a group; same says that all subscribe to the same topics.
func draw(t *rapid.T, same bool) *Group {
	g := &Group{}
	for i := range rapid.IntRange(0, 6).Draw(t, "topics") {
		g.Topics = append(g.Topics, Topic{ID: topicID(i), Partitions: rapid.Int32Range(0, 12).Draw(t, "partitions")})
	}
	var all []int32
	for i := range g.Topics {
		all = append(all, int32(i))
	}
	for m := range rapid.IntRange(0, 9).Draw(t, "members") {
		member := Member{ID: fmt.Sprintf("m%02d", m)}
		if rapid.IntRange(0, 3).Draw(t, "static") == 0 {
			member.InstanceID = fmt.Sprintf("i%02d", 20-m)
		}
		for _, topic := range all {
			if same || rapid.Bool().Draw(t, "subscribed") {
				member.Topics = append(member.Topics, topic)
			}
		}
		for i := range 7 { // what it was given may be gone, out of range, or somebody else's too
			var parts []int32
			for p := range int32(14) {
				if rapid.IntRange(0, 5).Draw(t, "given") == 0 {
					parts = append(parts, p)
				}
			}
			if len(parts) > 0 {
				member.Given = append(member.Given, protocol.TopicPartitions{Topic: topicID(i), Partitions: parts})
			}
		}
		g.Members = append(g.Members, member)
	}
	return g
}

type partition struct {
	topic protocol.TopicID
	n     int32
}

// check holds what is true of every assignor and tells loads and owners.
func check(t interface{ Fatalf(string, ...any) }, g *Group, rows [][]protocol.TopicPartitions) (load []int, owner map[partition]int) {
	if len(rows) != len(g.Members) {
		t.Fatalf("%d rows for %d members", len(rows), len(g.Members))
	}
	load, owner = make([]int, len(rows)), map[partition]int{}
	for m, row := range rows {
		before := protocol.TopicPartition{Partition: -1}
		for _, tp := range row {
			i, ok := topicIndex(g.Topics, tp.Topic)
			if !ok || !slices.Contains(g.Members[m].Topics, i) || len(tp.Partitions) == 0 {
				t.Fatalf("member %d got %v, which it does not want", m, tp)
			}
			for _, p := range tp.Partitions {
				next := protocol.TopicPartition{Topic: tp.Topic, Partition: p}
				if !before.Less(next) || p >= g.Topics[i].Partitions {
					t.Fatalf("row %d has %v after %v", m, next, before)
				}
				before = next
				if other, taken := owner[partition{tp.Topic, p}]; taken {
					t.Fatalf("%v is of %d and %d", next, other, m)
				}
				owner[partition{tp.Topic, p}] = m
				load[m]++
			}
		}
	}
	for i, topic := range g.Topics {
		wanted := slices.ContainsFunc(g.Members, func(m Member) bool { return slices.Contains(m.Topics, int32(i)) })
		for p := range topic.Partitions {
			if _, ok := owner[partition{topic.ID, p}]; ok != wanted {
				t.Fatalf("partition %d of topic %d: owned %v, wanted %v", p, i, ok, wanted)
			}
		}
	}
	return load, owner
}

func given(g *Group, rows [][]protocol.TopicPartitions) *Group {
	out := &Group{Topics: g.Topics, Members: slices.Clone(g.Members)}
	for m := range out.Members {
		out.Members[m].Given = rows[m]
	}
	return out
}

func TestUniformIsEvenForEqualSubscriptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := draw(t, true)
		rows := Uniform(g)
		load, _ := check(t, g, rows)
		if len(load) > 0 && slices.Max(load)-slices.Min(load) > 1 {
			t.Fatalf("loads %v", load)
		}
		if again := Uniform(given(g, rows)); !reflect.DeepEqual(again, rows) {
			t.Fatalf("a second run moves partitions: %v, then %v", rows, again)
		}
	})
}

// TestUniformMovesNoMoreThanItMust: with members gone and come, exactly what nobody holds and what is above the quotas changes hands.
func TestUniformMovesNoMoreThanItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := draw(t, true)
		if len(g.Members) == 0 {
			return
		}
		g = given(g, Uniform(g))
		gone := rapid.IntRange(0, len(g.Members)-1).Draw(t, "gone")
		g.Members = slices.Delete(slices.Clone(g.Members), 0, gone)
		for n := range rapid.IntRange(0, 4).Draw(t, "come") {
			g.Members = append(g.Members, Member{ID: fmt.Sprintf("n%02d", n), Topics: g.Members[0].Topics})
		}
		before := map[partition]int{}
		held := make([]int, len(g.Members))
		for m := range g.Members {
			for _, row := range g.Members[m].Given {
				for _, p := range row.Partitions {
					before[partition{row.Topic, p}] = m
					held[m]++
				}
			}
		}
		_, owner := check(t, g, Uniform(g))
		moved := 0
		for p, m := range before {
			if owner[p] != m {
				moved++
			}
		}
		least, more, must := len(owner)/len(g.Members), len(owner)%len(g.Members), 0
		for _, n := range held {
			over := max(0, n-least)
			if over > 0 && more > 0 {
				over--
				more--
			}
			must += over
		}
		if moved != must {
			t.Fatalf("%d partitions moved, %d had to", moved, must)
		}
	})
}

func TestUniformLeavesNoMoveThatHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := draw(t, false)
		rows := Uniform(g)
		load, owner := check(t, g, rows)
		for p, m := range owner {
			i, _ := topicIndex(g.Topics, p.topic)
			for other := range g.Members {
				if load[m]-load[other] > 1 && slices.Contains(g.Members[other].Topics, i) {
					t.Fatalf("%v could move from %d to %d: loads %v", p, m, other, load)
				}
			}
		}
		if again := Uniform(given(g, rows)); !reflect.DeepEqual(again, rows) {
			t.Fatalf("a second run moves partitions: %v, then %v", rows, again)
		}
	})
}

func TestRangeGivesRangesByTopic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := draw(t, rapid.Bool().Draw(t, "same"))
		rows := Range(g)
		check(t, g, rows)
		for i, topic := range g.Topics {
			var members []int
			for m := range g.Members {
				if slices.Contains(g.Members[m].Topics, int32(i)) {
					members = append(members, m)
				}
			}
			slices.SortFunc(members, func(a, b int) int { return compareForRange(&g.Members[a], &g.Members[b]) })
			next := int32(0)
			for k, m := range members {
				want := int(topic.Partitions) / len(members)
				if k < int(topic.Partitions)%len(members) {
					want++
				}
				var parts []int32
				for _, row := range rows[m] {
					if row.Topic == topic.ID {
						parts = row.Partitions
					}
				}
				if len(parts) != want || want > 0 && (parts[0] != next || parts[want-1] != next+int32(want)-1) {
					t.Fatalf("member %d has %v of topic %d, not %d from %d on", m, parts, i, want, next)
				}
				next += int32(want)
			}
		}
	})
}

func TestRangePutsStaticMembersFirst(t *testing.T) {
	g := &Group{Topics: []Topic{{topicID(0), 3}}, Members: []Member{
		{ID: "a", Topics: []int32{0}}, {ID: "b", InstanceID: "z", Topics: []int32{0}}, {ID: "c", InstanceID: "y", Topics: []int32{0}},
	}}
	rows := Range(g)
	if rows[2][0].Partitions[0] != 0 || rows[1][0].Partitions[0] != 1 || rows[0][0].Partitions[0] != 2 {
		t.Fatalf("rows %v", rows)
	}
}

func TestNamesOfKafkasClassesAreNames(t *testing.T) {
	for _, name := range []string{"uniform", "range", "org.apache.kafka.coordinator.group.assignor.UniformAssignor", "org.apache.kafka.coordinator.group.assignor.RangeAssignor"} {
		if _, ok := ByName(Canonical(name)); !ok {
			t.Errorf("%s is not known", name)
		}
	}
	if _, ok := ByName(Canonical("com.example.Best")); ok {
		t.Error("a foreign class is known")
	}
}

// large is 1,000 members over 10,000 partitions, nothing given yet; every third member skips a topic unless they are all the same.
func large(same bool) *Group {
	g := &Group{}
	var all []int32
	for i := range 100 {
		g.Topics = append(g.Topics, Topic{ID: topicID(i), Partitions: 100})
		all = append(all, int32(i))
	}
	for m := range 1000 {
		topics := all
		if !same && m%3 == 0 {
			topics = slices.Delete(slices.Clone(all), m%100, m%100+1)
		}
		g.Members = append(g.Members, Member{ID: fmt.Sprintf("m%04d", m), Topics: topics})
	}
	return g
}

func TestLargeGroupsAreQuick(t *testing.T) {
	for _, same := range []bool{true, false} {
		g := large(same)
		start := time.Now()
		g = given(g, Uniform(g))
		g.Members = g.Members[:500]
		g = given(g, Uniform(g))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("two targets took %v", took)
		}
	}
}

func BenchmarkUniform(b *testing.B) {
	for _, same := range []bool{true, false} {
		b.Run(fmt.Sprintf("same=%v", same), func(b *testing.B) {
			g := large(same)
			g = given(g, Uniform(g))
			g.Members = g.Members[:900]
			b.ReportAllocs()
			for b.Loop() {
				Uniform(g)
			}
		})
	}
}
