package classic

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// member of a group.
type member struct {
	id, instance         string // instance is empty for a dynamic member
	clientID, clientHost string
	rebalanceTimeout     time.Duration
	sessionTimeout       time.Duration
	// protocols in the order of preference, names unique. After loading only the chosen one is known.
	protocols  []protocol.GroupProtocol
	assignment []byte

	// Soft state.
	join    *protocol.JoinGroup // parked until the generation begins
	sync    *protocol.SyncGroup // parked until the leader has assigned
	fresh   bool                // its first JoinGroup is not answered yet
	owes    bool                // a SyncGroup in this generation
	expires time.Duration       // end of the session; step.Never while none runs
}

// metadata is what the member says to a protocol.
func (m *member) metadata(name string) ([]byte, bool) {
	for _, p := range m.protocols {
		if p.Name == name {
			return p.Metadata, true
		}
	}
	return nil, false
}

// says reports whether the member supports just these protocols, with the same metadata in the same order.
func (m *member) says(protocols []protocol.GroupProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b protocol.GroupProtocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
}

// intake copies what a member says, as the request's buffer is not ours to keep, and drops repetitions of a name.
func intake(in []protocol.GroupProtocol) []protocol.GroupProtocol {
	out := make([]protocol.GroupProtocol, 0, len(in))
	seen := make(map[string]struct{}, len(in))
	for _, p := range in {
		if _, again := seen[p.Name]; !again {
			seen[p.Name] = struct{}{}
			out = append(out, protocol.GroupProtocol{Name: p.Name, Metadata: slices.Clone(p.Metadata)})
		}
	}
	return out
}

// newID makes a member id: who it is, and a random UUID (version 4). Source: ClassicGroup.generateMemberId.
func newID(now step.Now, who string) string {
	const digits = "0123456789abcdef"
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], now.Rand())
	binary.BigEndian.PutUint64(raw[8:], now.Rand())
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	id := make([]byte, 0, len(who)+1+uuidLength)
	id = append(append(id, who...), '-')
	for i, b := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			id = append(id, '-')
		}
		id = append(id, digits[b>>4], digits[b&0xf])
	}
	return string(id)
}

const uuidLength = 36

// add takes a member in, at the end.
func (g *Group) add(m *member) {
	if g.byID == nil {
		g.byID, g.byStatic, g.votes = map[string]*member{}, map[string]*member{}, map[string]int{}
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.members = append(g.members, m)
	g.index(m)
	delete(g.pending, m.id)
}

// index makes a member known by its ids and counts its votes.
func (g *Group) index(m *member) {
	g.byID[m.id] = m
	if m.instance != "" {
		g.byStatic[m.instance] = m
	}
	g.count(m, 1)
}

func (g *Group) count(m *member, by int) {
	for _, p := range m.protocols {
		if g.votes[p.Name] += by; g.votes[p.Name] == 0 {
			delete(g.votes, p.Name)
		}
	}
}

// forget is the opposite of index and ends what the member waits for with code.
func (g *Group) forget(m *member, code protocol.Code, memberID string, out *step.Out) {
	if m.join != nil {
		fail := m.join.Failed(code).(*protocol.GroupJoined)
		fail.MemberID = memberID
		g.answerJoin(m, fail, out)
	}
	if m.sync != nil {
		g.answerSync(m, m.sync.Failed(code).(*protocol.GroupSynced), out)
	}
	g.paid(m)
	g.count(m, -1)
	delete(g.byID, m.id)
	if m.instance != "" && g.byStatic[m.instance] == m {
		delete(g.byStatic, m.instance)
	}
}

// remove takes a member out; the oldest of the others leads if it led. Its parked commands are answered with code and without its id,
// so that the client begins anew. Source: ClassicGroup.remove; unlike there a parked SyncGroup is answered too.
func (g *Group) remove(m *member, code protocol.Code, out *step.Out) {
	g.forget(m, code, "", out)
	at := slices.Index(g.members, m)
	g.members = slices.Delete(g.members, at, at+1)
	if g.leader == m.id {
		if g.leader = ""; len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
}

// replace puts a static member that came back in the place of what it was; its parked commands are fenced.
// Source: ClassicGroup.replaceStaticMember.
func (g *Group) replace(old, by *member, out *step.Out) {
	g.forget(old, protocol.FencedInstanceID, old.id, out)
	g.members[slices.Index(g.members, old)] = by
	g.index(by)
	if g.leader == old.id {
		g.leader = by.id
	}
}

// parkJoin keeps a JoinGroup until the generation begins. A client that sends a second one has given up on the first, but on another
// connection it may still read the answer: it is told to try again. (Kafka never answers it.)
func (g *Group) parkJoin(m *member, in *protocol.JoinGroup, out *step.Out) {
	if m.join != nil {
		g.answerJoin(m, m.again(), out)
	}
	in.Protocols = nil // copied; the request's buffer may go
	m.join = in
	g.joining++
}

// again sends a member that waits with JoinGroup away to join once more: with the id it was given, or it would leave a member behind.
func (m *member) again() *protocol.GroupJoined {
	out := m.join.Failed(protocol.RebalanceInProgress).(*protocol.GroupJoined)
	out.MemberID = m.id
	return out
}

// Again is the answer to each parked JoinGroup if the group ends.
func (g *Group) Again() (out []step.Reply) {
	for _, m := range g.members {
		if m.join != nil {
			out = append(out, step.Reply{Command: m.join, To: m.join.ReplyTo, Msg: m.again()})
		}
	}
	return out
}

// parkSync keeps a SyncGroup until the assignment is in the log.
func (g *Group) parkSync(m *member, in *protocol.SyncGroup, out *step.Out) {
	if m.sync != nil {
		g.answerSync(m, m.sync.Failed(protocol.RebalanceInProgress).(*protocol.GroupSynced), out)
	}
	m.sync = in
}

func (g *Group) answerJoin(m *member, with *protocol.GroupJoined, out *step.Out) {
	reply(out, m.join, m.join.ReplyTo, with)
	m.join = nil
	g.joining--
}

func (g *Group) answerSync(m *member, with *protocol.GroupSynced, out *step.Out) {
	reply(out, m.sync, m.sync.ReplyTo, with)
	m.sync = nil
}

// paid: the member no longer owes a SyncGroup. The last one ends the wait for them.
func (g *Group) paid(m *member) {
	if m.owes {
		m.owes = false
		if g.owing--; g.owing == 0 {
			g.syncBy = step.Never
		}
	}
}

// validate finds the member a request speaks for. Source: ClassicGroup.validateMember.
func (g *Group) validate(memberID, instanceID string) (*member, protocol.Code) {
	if instanceID != "" {
		m := g.byStatic[instanceID]
		if m == nil {
			return nil, protocol.UnknownMemberID
		}
		if m.id != memberID && mutation.Is(mutation.InstanceNotFenced) {
			return m, protocol.None
		}
		if m.id != memberID {
			return nil, protocol.FencedInstanceID
		}
	}
	if m := g.byID[memberID]; m != nil {
		return m, protocol.None
	}
	return nil, protocol.UnknownMemberID
}

// weight is the size of what the member says, in bytes.
func (m *member) weight() (n int) {
	for i := range m.protocols {
		n += len(m.protocols[i].Name) + len(m.protocols[i].Metadata)
	}
	return n
}

// Weight is the size of all that the members say, and of what their leader assigned to them, in bytes.
func (g *Group) Weight() (n int) {
	for _, m := range g.members {
		n += m.weight() + len(m.assignment)
	}
	return n
}

// Said is the size of what one member says, in bytes.
func (g *Group) Said(who protocol.Member) int {
	m := g.byID[who.MemberID]
	if m == nil {
		m = g.byStatic[who.InstanceID]
	}
	if m == nil {
		return 0
	}
	return m.weight()
}
