package assignor

import (
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Range gives every topic in ranges. Source: RangeAssignor.
func Range(g *Group) [][]protocol.TopicPartitions {
	o, load := newOwners(g.Topics), make([]int32, len(g.Members))
	for t, members := range subscribers(g) {
		if len(members) == 0 {
			continue
		}
		slices.SortFunc(members, func(a, b int32) int { return compareForRange(&g.Members[a], &g.Members[b]) })
		n, count := len(o[t]), len(members)
		p := 0
		for i, m := range members {
			length := n / count
			if i < n%count {
				length++
			}
			for range length {
				o[t][p] = m
				p++
			}
			load[m] += int32(length)
		}
	}
	return o.rows(g, load)
}

// compareForRange puts static members first, by instance id.
func compareForRange(a, b *Member) int {
	if (a.InstanceID == "") != (b.InstanceID == "") {
		if a.InstanceID == "" {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.InstanceID, b.InstanceID), cmp.Compare(a.ID, b.ID))
}
