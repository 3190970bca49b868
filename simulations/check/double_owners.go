package check

import (
	"cmp"
	"maps"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// doubleOwners: two members of one generation were told the same partition (2.4-j1; E5).
//
// Why it suffices: generations of a classic group are told after they are in the log, so their numbers are never used again, and a
// member's answer does not change within one. Whatever assigns twice, or mixes two generations up, tells two members one partition. A
// static member that comes back under a new id is the same owner. Under KIP-848 epochs are not shared by an assignment: there the
// owners at one time are compared (Owners).
func doubleOwners(x *Index) (out []Anomaly) {
	type place struct {
		register
		generation int32
	}
	owners := map[place]*GroupOp{}
	for _, a := range assignments(x.H.byInvocation(), FoundGroup) {
		if a.Func == FoundGroup {
			maps.DeleteFunc(owners, func(p place, _ *GroupOp) bool { return p.group == a.Group })
		}
		for _, key := range a.Partitions {
			at := place{register{a.Group, key}, a.Generation}
			o := owners[at]
			if o != nil && o.Member != a.Member && (o.Instance == "" || o.Instance != a.Instance) && !a.Incremental {
				out = append(out, anomalyOf(DoubleOwner, key, "%v and %v own it in one generation", o, a))
			}
			owners[at] = a
		}
	}
	return out
}

func sortByCompletion(ops []*GroupOp) {
	slices.SortStableFunc(ops, func(a, b *GroupOp) int { return cmp.Compare(a.Complete, b.Complete) })
}

// Owners is who believes to own what in groups of KIP-848, kept while the clients run: a partition must have one owner at a time
// (E8; NoDoubleClientAssignment).
//
// Why it suffices: a member owns a partition from the answer that assigned it until it gives it up, which it does before it tells the
// coordinator; or until it must take itself for removed, because the last answer is a session timeout old. The coordinator can only
// assign it later than that. So at the moment of an assignment nobody else may believe to be the owner.
type Owners struct{ owned map[register][]Owner }

// Owner is one belief. Until is a time of the clients' clock, after which the owner takes itself for removed.
type Owner struct {
	Member string
	Until  int64
}

// Gained notes that member was told key, and returns another that believes to own it at the same time, if there is one.
func (o *Owners) Gained(group, member string, key protocol.TopicPartition, now, until int64) (other Owner, clash bool) {
	if o.owned == nil {
		o.owned = map[register][]Owner{}
	}
	r := register{group, key}
	o.Lost(group, member, key)
	for _, b := range o.owned[r] {
		if b.Until > now {
			other, clash = b, true
		}
	}
	o.owned[r] = append(o.owned[r], Owner{member, until})
	return other, clash
}

// Lost notes that member gave key up.
func (o *Owners) Lost(group, member string, key protocol.TopicPartition) {
	r := register{group, key}
	o.owned[r] = slices.DeleteFunc(o.owned[r], func(b Owner) bool { return b.Member == member })
}

// LostAll notes that member gave up everything in a group.
func (o *Owners) LostAll(group, member string) {
	for r := range o.owned {
		if r.group == group {
			o.Lost(group, member, r.key)
		}
	}
}
