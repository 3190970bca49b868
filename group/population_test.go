package group_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// founding tells what somebody is told who would found a group by a commit.
func (w *world) founding(id string) protocol.Code {
	w.t.Helper()
	return ask[*protocol.OffsetsCommitted](w, w.coordinator(id), committing(id, at("t", 0, 1))).Codes[0]
}

// entering tells what a member of a classic group is told whose subscription has size bytes.
func (w *world) entering(id, member string, size int) *protocol.GroupJoined {
	w.t.Helper()
	m := w.joining(id, member)
	m.Protocols[0].Metadata = make([]byte, size)
	return ask[*protocol.GroupJoined](w, w.coordinator(id), m)
}

// TestGroupsOfANodeAreLimited: in whatever way they are founded, over all shards; those that exist go on, also after a restart that finds more
// of them than may be, and after failures, which must not count them twice; what goes makes room.
func TestGroupsOfANodeAreLimited(t *testing.T) {
	w := newWorld(t, set("group.coordinator.max.groups", "4"))
	w.topic("t", 1)
	member := w.generation("classic", "")[0]
	if got := w.beat("modern", "m", 0); got.Failed() {
		t.Fatalf("%+v", got)
	}
	for i := range 2 {
		if code := w.founding(fmt.Sprint("commits", i)); code != protocol.None {
			t.Fatal(code.Name())
		}
	}
	full := func(when string) {
		t.Helper()
		if code := w.founding("more"); code != protocol.GroupMaxSizeReached {
			t.Errorf("%s: a commit for one more: %s", when, code.Name())
		}
		if got := w.entering("more", "", 10); got.Code != protocol.GroupMaxSizeReached {
			t.Errorf("%s: a member of one more: %s", when, got.Code.Name())
		}
		if got := w.beat("more", "m", 0); got.Code != protocol.GroupMaxSizeReached {
			t.Errorf("%s: a member of one more, by the consumer protocol: %s", when, got.Code.Name())
		}
		if code := w.founding("commits1"); code != protocol.None {
			t.Errorf("%s: one of them: %s", when, code.Name())
		}
	}
	full("at the limit")
	if code := member.commit(5); code != protocol.None {
		t.Error(code.Name())
	}
	w.expect("more", "t", 0, -1) // asking founds nothing, and is answered

	w.panics = 1
	w.node.System().Send(w.coordinator("classic"), &bomb{})
	w.until("the shard is back", func() bool {
		w.sim.RunFor(time.Second)
		return member.heartbeat() == protocol.None
	})
	full("after a shard failed")

	w.settings = append(w.settings[:0:0], set("group.coordinator.max.groups", "3"))
	w.kill()
	w.sim.RunFor(5 * time.Second) // until all shards are loaded
	full("with fewer than there are")
	for i := range 2 {
		id := fmt.Sprint("commits", i)
		if got := ask[*protocol.GroupDeleted](w, w.coordinator(id), &protocol.DeleteGroup{GroupID: id}); got.Code != protocol.None {
			t.Fatal(got.Code.Name())
		}
	}
	if code := w.founding("more"); code != protocol.None {
		t.Errorf("after two of them went: %s", code.Name())
	}
	if code := w.founding("yet more"); code != protocol.GroupMaxSizeReached {
		t.Errorf("after another came: %s", code.Name())
	}
}

// TestWhatMembersSayIsLimited: over all groups of a node, by both protocols, subscriptions and assignments; who said something may say it
// again, who leaves makes room, and a restart counts what the log holds.
func TestWhatMembersSayIsLimited(t *testing.T) {
	w := newWorld(t, set("group.coordinator.max.member.bytes", "10000"))
	w.topic("t", 1)
	first := w.entering("a", "", 6000)
	if first.Failed() {
		t.Fatal(first.Code.Name())
	}
	full := func(when string) {
		t.Helper()
		if got := w.entering("b", "", 5000); got.Code != protocol.GroupMaxSizeReached {
			t.Errorf("%s: much more: %s", when, got.Code.Name())
		}
		m := &protocol.HeartbeatConsumer{Member: protocol.Member{GroupID: "c", MemberID: "m"}, RebalanceTimeout: time.Minute, TopicsSet: true, OwnedSet: true}
		for i := range 500 {
			m.Topics = append(m.Topics, fmt.Sprintf("topic-%05d", i))
		}
		if got := ask[*protocol.ConsumerHeartbeat](w, w.coordinator("c"), m); got.Code != protocol.GroupMaxSizeReached {
			t.Errorf("%s: much more, by the consumer protocol: %s", when, got.Code.Name())
		}
	}
	full("after one joined")
	if first = w.entering("a", first.MemberID, 6000); first.Failed() {
		t.Errorf("joining again: %s", first.Code.Name())
	}
	sync := &protocol.SyncGroup{Member: protocol.Member{GroupID: "a", MemberID: first.MemberID}, Generation: first.Generation,
		Assignments: []protocol.MemberAssignment{{MemberID: first.MemberID, Assignment: make([]byte, 5000)}}}
	if got := ask[*protocol.GroupSynced](w, w.coordinator("a"), sync); got.Code != protocol.GroupMaxSizeReached {
		t.Errorf("a large assignment: %s", got.Code.Name())
	}
	sync.Assignments[0].Assignment = make([]byte, 100)
	if got := ask[*protocol.GroupSynced](w, w.coordinator("a"), sync); got.Failed() {
		t.Errorf("an assignment: %s", got.Code.Name())
	}
	w.kill()
	w.sim.RunFor(5 * time.Second) // until all shards are loaded
	full("after a restart")
	leave := &protocol.LeaveGroup{GroupID: "a", Members: []protocol.LeavingMember{{MemberID: first.MemberID}}}
	if got := ask[*protocol.GroupLeft](w, w.coordinator("a"), leave); got.Failed() {
		t.Fatal(got.Code.Name())
	}
	w.sim.RunFor(time.Second)
	if got := w.entering("b", "", 9000); got.Failed() {
		t.Errorf("after the first left: %s", got.Code.Name())
	}
}

// TestTransactionalIDsOfANodeAreLimited: those that exist go on.
func TestTransactionalIDsOfANodeAreLimited(t *testing.T) {
	w := newWorld(t, set("transaction.coordinator.max.ids", "2"))
	init := func(id string) protocol.Code {
		return ask[*protocol.TransactionsInitialized](w, w.transactions(id), &protocol.InitTransactions{TransactionalID: id, Timeout: time.Minute, ProducerID: -1, ProducerEpoch: -1}).Code
	}
	for i, want := range []protocol.Code{protocol.None, protocol.None, protocol.PolicyViolation, protocol.PolicyViolation} {
		if code := init(fmt.Sprint("id", i)); code != want {
			t.Errorf("id %d: %s", i, code.Name())
		}
	}
	w.kill()
	w.sim.RunFor(5 * time.Second)
	if a, b := init("id0"), init("id2"); a != protocol.None || b != protocol.PolicyViolation {
		t.Errorf("after a restart: %s, %s", a.Name(), b.Name())
	}
}
