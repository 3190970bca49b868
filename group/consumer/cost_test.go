package consumer

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// crowd is a settled group of n members over topics of 100 partitions.
func crowd(n, topics int) (*world, []*protocol.HeartbeatConsumer) {
	w := newWorld(1)
	var names []string
	for i := range topics {
		w.topic(i, 100)
		names = append(names, topicName(i))
	}
	beats := make([]*protocol.HeartbeatConsumer, n)
	for i := range beats {
		beats[i] = &protocol.HeartbeatConsumer{
			Member: protocol.Member{GroupID: "g", MemberID: fmt.Sprintf("m%04d", i), ClientID: "c", ClientHost: "/127.0.0.1"}, RebalanceTimeout: time.Minute,
			Topics: names, TopicsSet: true, OwnedSet: true,
		}
		w.beat(beats[i])
	}
	for range 3 {
		w.tick(w.mono + time.Second)
		for i, b := range beats {
			m := w.g.members[b.MemberID]
			w.beat(&protocol.HeartbeatConsumer{Member: b.Member, MemberEpoch: m.epoch, RebalanceTimeout: -1, Owned: m.assigned.rows(), OwnedSet: true})
			beats[i] = &protocol.HeartbeatConsumer{Member: b.Member, MemberEpoch: w.g.members[b.MemberID].epoch, RebalanceTimeout: -1}
		}
	}
	return w, beats
}

func TestAnIdleHeartbeatCostsOneAllocation(t *testing.T) {
	w, beats := crowd(300, 3)
	if w.g.State() != "Stable" {
		t.Fatal(w.g)
	}
	now, i := w.now(), 0
	var out step.Out
	allocs := testing.AllocsPerRun(1000, func() {
		w.g.Step(now, beats[i%len(beats)], &out)
		if len(out.Records) > 0 || len(out.Replies) != 1 || out.Replies[0].Msg.(*protocol.ConsumerHeartbeat).Failed() {
			t.Fatalf("%+v", out)
		}
		out.Reset()
		i++
	})
	if allocs > 1 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestAThousandMembersOverTenThousandPartitions takes the worst step, the one that computes and writes a target of all.
func TestAThousandMembersOverTenThousandPartitions(t *testing.T) {
	w, beats := crowd(1000, 100)
	if w.g.State() != "Stable" {
		t.Fatal(w.g.State())
	}
	w.tick(w.mono + 2*time.Second)
	start := time.Now()
	w.beat(&protocol.HeartbeatConsumer{Member: beats[0].Member, MemberEpoch: leaveEpoch, RebalanceTimeout: -1})
	w.tick(w.mono + 100*time.Millisecond)
	if took := time.Since(start); took > 5*time.Second || w.g.targetEpoch != w.g.epoch {
		t.Errorf("a member leaving took %v; %v", took, w.g.State())
	}
	held := 0
	for _, m := range w.g.order {
		for _, row := range m.target {
			held += len(row.Partitions)
		}
	}
	if held != 10_000 {
		t.Errorf("%d partitions in the target", held)
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	w, beats := crowd(300, 3)
	now := w.now()
	var out step.Out
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.g.Step(now, beats[i%len(beats)], &out)
		out.Reset()
	}
}
