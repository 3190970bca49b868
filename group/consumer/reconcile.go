package consumer

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// reconciliation is one step of a member towards its target.
//
//	          target differs: give up first              revoked: nothing to wait for
//	stable ────────────────────────────────► unrevoked ─────────────────────────────► stable
//	   │                                         │ revoked, but others hold some of the target
//	   │ others hold some of the target          ▼
//	   └───────────────────────────────────► unreleased ─── all of it is free ───────► stable
//
// A member stays at its epoch until it has given up what it must, and then goes to the epoch of the target, however many others there
// were in between. That nobody is given a partition which another one still holds follows from two rules: a partition has an owner from
// the record that gives it until the record in which the owner does without it, and only a free one is given. The member's word that it
// no longer owns a partition is the only thing that takes it from a member in good standing.
//
// Source: CurrentAssignmentBuilder of 4.3; KIP-848.
type reconciliation struct {
	g          *Group
	m          *member            // changed in place
	epoch      int32              // of the target; the target itself is in m
	wanted     []protocol.TopicID // that m subscribes to, in order: the target may be older than the subscription
	owned      []protocol.TopicPartitions
	ownedSet   bool
	subscribed bool // m changed its subscription with this request
}

func (r *reconciliation) run() protocol.Fault {
	m := r.m
	switch m.state {
	case stable:
		if m.epoch != r.epoch {
			r.next()
		} else if r.subscribed {
			r.narrow()
		}
	case unrevoked:
		if !r.owns(m.revoking) {
			r.next()
		} else if r.subscribed {
			r.narrow()
		}
	case unreleased:
		r.next()
	default: // a state of a later version, which wrote the log before
		if !r.ownedSet || len(r.owned) > 0 {
			return fault(protocol.FencedMemberEpoch, "the member's state %d is not known: it must give up its partitions and join again", m.state)
		}
		m.epoch = r.epoch
		r.next()
	}
	return protocol.Fault{}
}

// owns reports whether the member may still hold some of h: it says so, or it says nothing.
func (r *reconciliation) owns(h holding) bool { return !r.ownedSet || h.hasAny(r.owned) }

func (r *reconciliation) wants(id protocol.TopicID) bool {
	_, ok := slices.BinarySearchFunc(r.wanted, id, compareTopics)
	return ok
}

// next computes the way from what m has to its target.
func (r *reconciliation) next() {
	m := r.m
	// kept is in both, given is kept and what else the target has and is free, lost is what m must give up.
	var kept, given, lost holding
	waits := false
	target := m.target
	for _, id := range r.topics() {
		have, _ := m.assigned.topic(id)
		var want []int32
		for len(target) > 0 && compareTopics(target[0].Topic, id) < 0 {
			target = target[1:]
		}
		if len(target) > 0 && target[0].Topic == id && r.wants(id) {
			want = target[0].Partitions
		}
		for i := 0; i < len(have.partitions) || len(want) > 0; {
			switch {
			case len(want) == 0 || i < len(have.partitions) && have.partitions[i] < want[0]:
				lost.add(id, have.partitions[i], have.epochs[i])
				i++
			case i < len(have.partitions) && have.partitions[i] == want[0]:
				kept.add(id, want[0], have.epochs[i])
				given.add(id, want[0], have.epochs[i])
				i, want = i+1, want[1:]
			default:
				if r.free(id, want[0]) {
					given.add(id, want[0], r.epoch)
				} else {
					waits = true
				}
				want = want[1:]
			}
		}
	}
	if len(lost) > 0 && r.owns(lost) {
		m.state, m.assigned, m.revoking = unrevoked, kept, lost
		return
	}
	m.state, m.assigned, m.revoking = stable, given, nil
	if waits {
		m.state = unreleased
	}
	m.moveTo(r.epoch)
}

// topics lists those of the target and of what m has, in order.
func (r *reconciliation) topics() []protocol.TopicID {
	out := make([]protocol.TopicID, 0, len(r.m.target)+len(r.m.assigned))
	for _, row := range r.m.target {
		out = append(out, row.Topic)
	}
	for _, t := range r.m.assigned {
		out = append(out, t.topic)
	}
	slices.SortFunc(out, compareTopics)
	return slices.Compact(out)
}

// free reports whether nobody holds the partition. What m itself was to give up, and has, is free for m.
func (r *reconciliation) free(id protocol.TopicID, partition int32) bool {
	owner := r.g.owner[protocol.TopicPartition{Topic: id, Partition: partition}]
	return mutation.Is(mutation.GivenUnreleased) || owner == nil || owner.id == r.m.id && owner.revoking.has(id, partition)
}

// narrow takes topics from m that it no longer subscribes to, though the target is not yet computed again.
func (r *reconciliation) narrow() {
	m := r.m
	var kept, lost holding
	for _, t := range m.assigned {
		if r.wants(t.topic) {
			kept = append(kept, t)
		} else {
			lost = append(lost, t)
		}
	}
	if len(lost) == 0 {
		return
	}
	m.assigned = kept
	if lost = m.revoking.union(lost); r.owns(lost) {
		m.state, m.revoking = unrevoked, lost
	}
}
