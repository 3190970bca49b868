package check

import "slices"

// Memberships is who believes to be a member of which group, and since which epoch or generation, kept while the clients run. An epoch
// never goes back: who joins is told one that is not below that of any member.
//
// Why it suffices: a member believes from an answer until it leaves, or until it must take itself for removed; that is no longer than
// the coordinator's belief. Both protocols let who joins begin where the group is: the classic one at the generation that its join
// begins, KIP-848 at the epoch of the target, above which nobody is. A group whose protocol changes goes on counting. So an answer to a
// join that was sent when another member had been told its epoch already, and who still believes in it, must not name a lower one.
type Memberships struct {
	groups  map[string][]Membership
	highest map[string]int32 // epoch of the group since it began
}

// Membership is one belief. From and Until are times of the clients' clock.
type Membership struct {
	Member      string
	Epoch       int32
	From, Until int64
}

// Told notes that a member was told its epoch.
func (m *Memberships) Told(group, member string, epoch int32, now, until int64) {
	if m.groups == nil {
		m.groups, m.highest = map[string][]Membership{}, map[string]int32{}
	}
	m.highest[group] = max(m.highest[group], epoch)
	i := slices.IndexFunc(m.groups[group], func(b Membership) bool { return b.Member == member })
	if i < 0 {
		i = len(m.groups[group])
		m.groups[group] = append(m.groups[group], Membership{Member: member, Epoch: -1})
	}
	b := &m.groups[group][i]
	if b.Epoch != epoch {
		b.Epoch, b.From = epoch, now
	}
	b.Until = max(b.Until, until)
}

// Left notes that a member is none any more.
func (m *Memberships) Left(group, member string) {
	if len(m.groups[group]) == 0 {
		return
	}
	m.groups[group] = slices.DeleteFunc(m.groups[group], func(b Membership) bool { return b.Member == member })
}

// Entered returns a member whose epoch is above that of one who joined by a request sent at that time, if there is one. If there is
// none, and the epoch is lower than one that was told before, the group has begun anew; also if it is the same, where groups expire.
func (m *Memberships) Entered(group, member string, epoch int32, sent, now int64, expire bool) (other Membership, back, anew bool) {
	for _, b := range m.groups[group] {
		if b.Member != member && b.From < sent && b.Until > now && b.Epoch > epoch {
			return b, true, false
		}
	}
	living := slices.ContainsFunc(m.groups[group], func(b Membership) bool { return b.Until > sent })
	if epoch < m.highest[group] || expire && !living && epoch == m.highest[group] {
		m.highest[group] = epoch
		return Membership{}, false, true
	}
	return Membership{}, false, false
}

// Count is how many members believe in it now.
func (m *Memberships) Count(group string, now int64) (n int) {
	for _, b := range m.groups[group] {
		if b.Until > now {
			n++
		}
	}
	return n
}
