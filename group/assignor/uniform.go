package assignor

import (
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// Uniform gives everybody the same number, as far as subscriptions allow, and moves little.
func Uniform(g *Group) [][]protocol.TopicPartitions {
	u := &uniform{g: g, owner: newOwners(g.Topics), load: make([]int32, len(g.Members))}
	u.keep()
	if homogeneous(g) {
		u.level()
	} else {
		u.subscribers = subscribers(g)
		u.fill()
		u.balance()
	}
	return u.owner.rows(g, u.load)
}

type uniform struct {
	g           *Group
	owner       owners
	load        []int32   // partitions of each member
	subscribers [][]int32 // of each topic; only if subscriptions differ
}

// keep lets everybody have what it was given and still may have. Of two that were given the same the first has it.
func (u *uniform) keep() {
	for m := range u.g.Members {
		member := &u.g.Members[m]
		for _, row := range member.Given {
			t, ok := topicIndex(u.g.Topics, row.Topic)
			if !ok {
				continue
			}
			if _, ok := slices.BinarySearch(member.Topics, t); !ok {
				continue
			}
			for _, p := range row.Partitions {
				if p >= 0 && int(p) < len(u.owner[t]) && u.owner[t][p] == nobody {
					u.owner[t][p] = int32(m)
					u.load[m]++
				}
			}
		}
	}
}

// level is for members with equal subscriptions: everybody gets total/members or one more.
func (u *uniform) level() {
	if len(u.g.Members) == 0 || len(u.g.Members[0].Topics) == 0 {
		return
	}
	total := 0
	for _, t := range u.g.Members[0].Topics {
		total += len(u.owner[t])
	}
	least, more := int32(total/len(u.g.Members)), total%len(u.g.Members)
	quota := make([]int32, len(u.g.Members))
	for m := range quota { // first to those that have one more
		if quota[m] = least; u.load[m] > least && more > 0 {
			quota[m]++
			more--
		}
	}
	for m := 0; more > 0; m++ {
		if quota[m] == least {
			quota[m]++
			more--
		}
	}
	u.release(quota)
	u.deal(quota)
}

// release takes from everybody what is above its quota, the last ones first: they are the ones it got last.
func (u *uniform) release(quota []int32) {
	topics := u.g.Members[0].Topics
	for i := len(topics) - 1; i >= 0; i-- {
		parts := u.owner[topics[i]]
		for p := len(parts) - 1; p >= 0; p-- {
			if m := parts[p]; m != nobody && u.load[m] > quota[m] {
				parts[p] = nobody
				u.load[m]--
			}
		}
	}
}

// deal gives what is free round those that have room.
func (u *uniform) deal(quota []int32) {
	var roomy []int32
	for m := range quota {
		if u.load[m] < quota[m] {
			roomy = append(roomy, int32(m))
		}
	}
	at := 0
	for _, t := range u.g.Members[0].Topics {
		for p, m := range u.owner[t] {
			if m != nobody {
				continue
			}
			invariant.Check(len(roomy) > 0, "no member has room for a partition, though quotas cover all of them")
			if at >= len(roomy) {
				at = 0
			}
			m = roomy[at]
			u.owner[t][p] = m
			if u.load[m]++; u.load[m] == quota[m] {
				roomy = slices.Delete(roomy, at, at+1)
			} else {
				at++
			}
		}
	}
}

// fill gives what is free to the subscriber with the least, beginning with the topics that have the fewest to choose from.
func (u *uniform) fill() {
	order := make([]int, len(u.g.Topics))
	for t := range order {
		order[t] = t
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(u.subscribers[a]), len(u.subscribers[b])) })
	for _, t := range order {
		if len(u.subscribers[t]) == 0 {
			continue
		}
		h := heap{load: u.load, members: slices.Clone(u.subscribers[t])}
		h.init()
		for p, m := range u.owner[t] {
			if m != nobody {
				continue
			}
			m = h.members[0]
			u.owner[t][p] = m
			u.load[m]++
			h.down(0)
		}
	}
}

// roundsMax bounds balance. Each move lowers the sum of the squares of the loads, so it ends by itself; more than a few rounds need
// chains of subscriptions, and then a target that is not quite even is better than a coordinator that computes.
const roundsMax = 100

// balance moves single partitions until none of them would help.
func (u *uniform) balance() {
	for range roundsMax {
		moved := false
		for t := range u.owner {
			moved = u.balanceTopic(int32(t)) || moved
		}
		if !moved {
			return
		}
	}
}

func (u *uniform) balanceTopic(t int32) (moved bool) {
	members := u.subscribers[t]
	if len(members) < 2 {
		return false
	}
	held := make([][]int32, len(u.g.Members)) // partitions of the topic by member
	for p, m := range u.owner[t] {
		held[m] = append(held[m], int32(p))
	}
	for {
		from, to := int32(nobody), members[0]
		for _, m := range members {
			if len(held[m]) > 0 && (from == nobody || u.load[m] > u.load[from]) {
				from = m
			}
			if u.load[m] < u.load[to] {
				to = m
			}
		}
		if from == nobody || u.load[from]-u.load[to] < 2 {
			return moved
		}
		last := len(held[from]) - 1
		p := held[from][last]
		held[from], held[to] = held[from][:last], append(held[to], p)
		u.owner[t][p] = to
		u.load[from]--
		u.load[to]++
		moved = true
	}
}

// heap keeps the member with the least load at the front; of equals the first.
type heap struct {
	load    []int32
	members []int32
}

func (h *heap) less(i, j int) bool {
	a, b := h.members[i], h.members[j]
	return h.load[a] < h.load[b] || h.load[a] == h.load[b] && a < b
}

func (h *heap) init() {
	for i := len(h.members)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

// down restores the order after the load of the member at i grew.
func (h *heap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.members) {
			return
		}
		if child+1 < len(h.members) && h.less(child+1, child) {
			child++
		}
		if !h.less(child, i) {
			return
		}
		h.members[i], h.members[child] = h.members[child], h.members[i]
		i = child
	}
}
