package classic

import "github.com/troupe-broker/troupe/actors/protocol"

// supports reports whether the group can go on with what a joining member speaks: the same kind of group, and a protocol that all
// members share. Source: ClassicGroup.supportsProtocols.
func (g *Group) supports(in *protocol.JoinGroup) bool {
	if g.state == empty {
		return in.ProtocolType != "" && len(in.Protocols) > 0
	}
	if in.ProtocolType != g.protocolType {
		return false
	}
	for _, p := range in.Protocols {
		if g.votes[p.Name] == len(g.members) {
			return true
		}
	}
	return false
}

// vote chooses the protocol of the next generation: each member votes for the one it likes best of those that all share, the most
// votes win, and of equally many the one voted for first. Source: ClassicGroup.selectProtocol.
func (g *Group) vote() string {
	return elect(g.members, func(name string) bool { return g.votes[name] == len(g.members) })
}

// voteWith is what vote would choose were by in the place of old.
func (g *Group) voteWith(old, by *member) string {
	members := make([]*member, len(g.members))
	for i, m := range g.members {
		if members[i] = m; m == old {
			members[i] = by
		}
	}
	return elect(members, func(name string) bool {
		votes := g.votes[name]
		if _, ok := old.metadata(name); ok {
			votes--
		}
		if _, ok := by.metadata(name); ok {
			votes++
		}
		return votes == len(members)
	})
}

func elect(members []*member, shared func(name string) bool) string {
	votes := map[string]int{}
	var order []string
	for _, m := range members {
		for _, p := range m.protocols {
			if !shared(p.Name) {
				continue
			}
			if votes[p.Name] == 0 {
				order = append(order, p.Name)
			}
			votes[p.Name]++
			break
		}
	}
	best := ""
	for i, name := range order {
		if i == 0 || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}
