package group_test

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// bomb is a command whose refusal panics, which is what every machine does with a command it does not know.
type bomb struct{ protocol.Head }

func (*bomb) Refused(actors.Refusal) (actors.PID, any) { panic("bomb") }
func (*bomb) Failed(protocol.Code) any                 { return nil }

// child is the n-th coordinator that the shard has spawned.
func (w *world) child(shard actors.PID, n string) actors.PID {
	return actors.NewPID(w.node.System().Address(), shard.ID()+"/"+n)
}

func TestAPanicOfOneGroupIsItsOwn(t *testing.T) {
	w := newWorld(t, set("offsets.topic.num.partitions", "1"))
	w.topic("t", 1)
	a := w.generation("a", "")[0] // child 1
	b := w.generation("b", "", "")
	if code := a.commit(5); code != protocol.None {
		t.Fatal(code)
	}
	w.commit("b2", at("t", 0, 0)) // child 3
	p := w.producer("id")
	p.add(w.offsetsOf("a"))
	if code := p.commitOffsets("a", false, at("u", 0, 9)); code != protocol.None {
		t.Fatal(code)
	}
	pid := w.coordinator("a")
	for round := range 3 {
		w.panics = 1
		rejoin := send[*protocol.GroupJoined](w, pid, w.joining("a", "")) // parked: the other member has to join
		w.sim.RunFor(time.Millisecond)
		w.node.System().Send(w.child(pid, []string{"1", "4", "5"}[round]), &bomb{})
		w.until("the parked one is answered", func() bool { return *rejoin != nil })
		if code := (*rejoin).Code; code != protocol.CoordinatorNotAvailable {
			t.Errorf("a parked join: %s", code.Name())
		}
		w.sim.RunFor(time.Millisecond)
		if round == 1 { // the transaction ends while the group is away
			p.end(true, false)
			p.completes("CompleteCommit")
		}
		late := send[*protocol.GroupHeartbeat](w, pid, &protocol.HeartbeatGroup{Member: protocol.Member{GroupID: "a", MemberID: a.id}, Generation: a.joined.Generation})
		for _, m := range b {
			if code := m.heartbeat(); code != protocol.None {
				t.Errorf("a member of another group: %s", code.Name())
			}
		}
		w.commit("b2", at("t", 0, int64(round)))
		if *late != nil {
			t.Error("the group answers although it is away")
		}
		w.until("the group is back", func() bool { return *late != nil })
		if code := (*late).Code; code != protocol.None {
			t.Errorf("its member: %s", code.Name())
		}
		w.expect("a", "t", 0, 5)
		want := map[bool]int64{false: -1, true: 9}[round >= 1]
		w.expect("a", "u", 0, want)
		if got := w.fetch("a", "u", 0, true); (got.Code == protocol.UnstableOffsetCommit) != (round == 0) {
			t.Errorf("round %d: %+v", round, got)
		}
	}
}

func TestAPanicOfAShardIsAnsweredAndBringsItBack(t *testing.T) {
	w := newWorld(t, set("offsets.topic.num.partitions", "2"))
	a := w.generation("a", "")[0]
	w.commit("other", at("t", 0, 3))
	pid := w.coordinator("a")
	w.panics = 1
	parked := send[*protocol.GroupJoined](w, pid, w.joining("a", ""))
	w.sim.RunFor(time.Millisecond)
	w.node.System().Send(pid, &bomb{})
	w.until("the parked one is answered", func() bool { return *parked != nil })
	w.expect("other", "t", 0, 3)
	w.until("the shard is back", func() bool {
		got := ask[*protocol.GroupHeartbeat](w, w.coordinator("a"), &protocol.HeartbeatGroup{Member: protocol.Member{GroupID: "a", MemberID: a.id}, Generation: a.joined.Generation})
		return got.Code == protocol.None
	})
	if got := a.commit(4); got != protocol.None {
		t.Errorf("a commit after it: %s", got.Name())
	}
}
