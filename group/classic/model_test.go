package classic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// TestGroupsOfManyMembers lets clients that are slow, forgetful and doubled use a group whose log fails and whose coordinator crashes,
// and then lets them behave. What must hold is listed in the package doc; the names are those there.
func TestGroupsOfManyMembers(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		p := newParty(t, seed)
		for range 300 {
			p.chaos()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		p.converge()
		p.dissolve()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// party is the clients of one group.
type party struct {
	*world
	t       *testing.T
	rnd     *rand.Rand
	clients []*guest
	nextID  uint64
	open    map[uint64]*guest // commands not answered yet
	// begun is who leads each generation that was told to anybody, and its protocol.
	begun map[int32]string
	// given is what the leader of each generation gave to whom.
	given   map[int32]map[string]string
	settles int
}

// guest is a client.
type guest struct {
	name, instance string
	known          bool // its JoinGroup is of v4 or above
	protocols      []string
	id             string
	generation     int32
	phase          string // "", joining, joined, syncing, stable
	waits          uint64 // the command whose answer it cares for
	roster         []string
}

func newParty(t *testing.T, seed uint64) *party {
	rnd := rand.New(rand.NewPCG(seed, 4))
	cfg := testConfig
	cfg.InitialDelay = time.Duration(rnd.IntN(3)) * time.Second
	cfg.MaxSize = rnd.IntN(2) * (3 + rnd.IntN(8))
	p := &party{world: newWorld(cfg), t: t, rnd: rnd, open: map[uint64]*guest{}, begun: map[int32]string{}, given: map[int32]map[string]string{}}
	for i := range 2 + rnd.IntN(7) {
		g := &guest{name: fmt.Sprintf("c%d", i), known: rnd.IntN(3) > 0}
		if rnd.IntN(3) == 0 {
			g.instance = fmt.Sprintf("i%d", i)
		}
		g.choose(rnd)
		p.clients = append(p.clients, g)
	}
	p.answered, p.settled = p.answer, p.settle
	return p
}

// choose draws protocols, in any order; all share "p".
func (g *guest) choose(rnd *rand.Rand) {
	g.protocols = []string{"p", "q", "r"}[:1+rnd.IntN(3)]
	rnd.Shuffle(len(g.protocols), func(i, j int) { g.protocols[i], g.protocols[j] = g.protocols[j], g.protocols[i] })
}

// settle looks at what holds between two steps.
func (p *party) settle() {
	if err := consistent(p.g); err != nil {
		p.t.Error(err)
	}
	if p.g.state != stable && p.g.state != empty {
		return
	}
	if p.cfg.MaxSize > 0 && len(p.g.members) > p.cfg.MaxSize {
		p.t.Errorf("group.max.size: %d members, over %d", len(p.g.members), p.cfg.MaxSize)
	}
	fresh := New(testGroup, p.cfg)
	from := max(0, len(p.log)-1) // a record holds all of the group
	if p.settles++; p.settles%64 == 0 {
		from = 0
	}
	for _, r := range p.log[from:] {
		if err := fresh.Replay(r.Key, r.Value); err != nil {
			p.t.Error(err)
		}
	}
	if live, logged := hard(p.g), hard(fresh); live != logged {
		p.t.Errorf("I-HARD: the group is\n%s\nand its log says\n%s", live, logged)
	}
}

func (p *party) head(g *guest) protocol.Head {
	p.nextID++
	p.open[p.nextID] = g
	return protocol.Head{ReplyTo: client, ID: p.nextID}
}

func (p *party) member(g *guest) protocol.Member {
	return protocol.Member{GroupID: testGroup, MemberID: g.id, InstanceID: g.instance, ClientID: g.name}
}

func (p *party) join(g *guest) {
	m := &protocol.JoinGroup{Head: p.head(g), Member: p.member(g), ProtocolType: "consumer", SessionTimeout: 10 * time.Second,
		RebalanceTimeout: time.Duration(p.rnd.IntN(20)) * time.Second, RequireKnownMember: g.known, SkipAssignment: p.rnd.IntN(2) == 0}
	for _, name := range g.protocols {
		m.Protocols = append(m.Protocols, protocol.GroupProtocol{Name: name, Metadata: consumerSaid(g.name)})
	}
	g.phase, g.waits = "joining", m.ID
	p.do(m)
}

// who is a member as its generation knows it: a static one may change its id.
func who(id string) string {
	name := id[:len(id)-uuidLength-1]
	if name[0] == 'i' {
		return name
	}
	return id
}

func (p *party) sync(g *guest) {
	m := &protocol.SyncGroup{Head: p.head(g), Member: p.member(g), Generation: g.generation}
	given := map[string]string{}
	for _, id := range g.roster {
		if p.rnd.IntN(10) > 0 {
			given[who(id)] = fmt.Sprintf("%d/%s", g.generation, who(id))
			m.Assignments = append(m.Assignments, protocol.MemberAssignment{MemberID: id, Assignment: []byte(given[who(id)])})
		}
	}
	if p.g.leader == g.id && p.g.state == completing && p.g.generation == g.generation {
		p.given[g.generation] = given
	}
	g.phase, g.waits = "syncing", m.ID
	p.do(m)
}

func (p *party) heartbeat(g *guest) {
	m := &protocol.HeartbeatGroup{Head: p.head(g), Member: p.member(g), Generation: g.generation}
	g.waits = m.ID
	p.do(m)
}

func (p *party) leave(g *guest) {
	p.do(&protocol.LeaveGroup{Head: p.head(g), GroupID: testGroup, Members: []protocol.LeavingMember{{MemberID: g.id, InstanceID: g.instance}}})
	g.phase, g.id, g.waits = "", "", 0
}

// behave does what a good client does next.
func (p *party) behave(g *guest) {
	switch g.phase {
	case "":
		p.join(g)
	case "joined":
		p.sync(g)
	case "stable":
		p.heartbeat(g)
	}
}

func (p *party) chaos() {
	g := p.clients[p.rnd.IntN(len(p.clients))]
	switch n := p.rnd.IntN(100); {
	case n < 55:
		p.behave(g)
	case n < 60: // its connection broke
		if g.phase == "joining" || g.phase == "syncing" {
			g.phase = ""
		}
	case n < 63: // it restarts
		g.phase, g.id, g.waits = "", "", 0
	case n < 66:
		g.choose(p.rnd)
		if g.phase == "stable" {
			p.join(g)
		}
	case n < 68 && g.id != "":
		p.leave(g)
	case n < 69:
		p.delete(&protocol.DeleteGroup{Head: p.head(g), GroupID: testGroup})
	case n < 73:
		p.fail = append(p.fail, protocol.KafkaStorageError)
	case n < 74:
		p.crash()
	case n < 76:
		p.commit(g)
	default:
		p.wait(p.t, time.Duration(p.rnd.IntN(4000))*time.Millisecond)
	}
}

func (p *party) commit(g *guest) {
	code := p.g.CheckCommit(&protocol.CommitOffsets{Member: p.member(g), Generation: g.generation, ProducerID: protocol.NoProducerID})
	if m := p.g.byID[g.id]; code == protocol.None && p.g.state != empty && (m == nil || p.g.generation != g.generation || m.instance != g.instance) {
		p.t.Errorf("%+v commits in generation %d", g, p.g.generation)
	}
	if code == protocol.None {
		p.g.Heard(p.now(), g.id)
		p.settle()
	}
}

// crash loses what is not in the log, and with it generations whose assignment is not there.
func (p *party) crash() {
	p.g = p.reload(p.t)
	for id := range p.open {
		delete(p.open, id)
	}
	for generation := range p.begun {
		if generation > p.g.generation {
			delete(p.begun, generation)
			delete(p.given, generation)
		}
	}
	for _, g := range p.clients {
		if g.phase == "joining" || g.phase == "syncing" {
			g.phase = ""
		}
	}
	var out step.Out
	p.g.Loaded(p.now(), &out)
	p.carryOut(&out)
}

// answer takes a reply to its client.
func (p *party) answer(in step.Command, msg any) {
	id := msg.(interface{ CorrelationID() uint64 }).CorrelationID()
	g, waits := p.open[id]
	if !waits {
		p.t.Errorf("I-PARK: #%d is answered twice or was never asked: %+v", id, msg)
		return
	}
	delete(p.open, id)
	switch m := msg.(type) {
	case *protocol.GroupJoined:
		p.joined(g, m, id == g.waits)
	case *protocol.GroupSynced:
		p.synced(g, in.(*protocol.SyncGroup), m, id == g.waits)
	case *protocol.GroupHeartbeat:
		if id == g.waits && m.Code != protocol.None {
			g.lost(m.Code)
		}
	case *protocol.GroupDeleted:
		if m.Code == protocol.None { // generations begin again with 1
			p.begun, p.given = map[int32]string{}, map[int32]map[string]string{}
		}
	}
}

// lost is what clients do after a failure: join again, and if they are told that they are not known, as somebody new.
func (g *guest) lost(code protocol.Code) {
	g.phase = ""
	switch code {
	case protocol.UnknownMemberID, protocol.FencedInstanceID, protocol.GroupMaxSizeReached:
		g.id = ""
	}
}

func (p *party) joined(g *guest, m *protocol.GroupJoined, care bool) {
	if m.Code == protocol.None {
		is := who(m.Leader) + " " + m.ProtocolName
		if was, told := p.begun[m.Generation]; told && was != is {
			p.t.Errorf("I-GEN: generation %d has %q, and had %q", m.Generation, is, was)
		}
		p.begun[m.Generation] = is
		if len(m.Members) > 0 && m.Leader != m.MemberID {
			p.t.Errorf("I-GEN: %s is told who the members are, %s leads", m.MemberID, m.Leader)
		}
	}
	if !care {
		return
	}
	switch m.Code {
	case protocol.None:
		g.id, g.generation, g.phase, g.roster = m.MemberID, m.Generation, "joined", nil
		for _, o := range m.Members {
			g.roster = append(g.roster, o.MemberID)
		}
		if m.SkipAssignment {
			g.roster = nil
		}
	case protocol.MemberIDRequired:
		g.id, g.phase = m.MemberID, ""
	default:
		g.lost(m.Code)
	}
}

func (p *party) synced(g *guest, in *protocol.SyncGroup, m *protocol.GroupSynced, care bool) {
	if m.Code == protocol.None {
		if want := p.given[in.Generation][who(in.MemberID)]; string(m.Assignment) != want {
			p.t.Errorf("I-ASSIGN: %s gets %q in generation %d, its leader gave %q", in.MemberID, m.Assignment, in.Generation, want)
		}
	}
	if !care {
		return
	}
	if g.phase = "stable"; m.Code != protocol.None {
		g.lost(m.Code)
	}
}

// converge: when nothing fails any more all clients there is room for are members of one generation before long.
func (p *party) converge() {
	p.fail = nil
	for _, g := range p.clients {
		// All join again: after a crash only the chosen protocol of a member is known, which another may not speak.
		g.waits, g.phase = 0, ""
	}
	for range 60 {
		for _, g := range p.clients {
			p.behave(g)
		}
		p.wait(p.t, time.Second)
	}
	room := len(p.clients)
	if p.cfg.MaxSize > 0 {
		room = min(room, p.cfg.MaxSize)
	}
	if p.g.state != stable || len(p.g.members) != room {
		p.t.Errorf("L-GROUP: the group of %d is %s", room, hard(p.g))
	}
	for _, m := range p.g.members {
		if !slices.ContainsFunc(p.clients, func(g *guest) bool { return g.id == m.id && g.phase == "stable" && g.generation == p.g.generation }) {
			p.t.Errorf("L-GROUP: no client is %s", m.id)
		}
	}
}

// dissolve: when all fall silent every command is answered, and the group ends empty.
func (p *party) dissolve() {
	p.wait(p.t, 10*time.Minute)
	if len(p.open) > 0 {
		p.t.Errorf("I-PARK: never answered: %v", sortedKeys(func() map[string]bool {
			out := map[string]bool{}
			for id, g := range p.open {
				out[fmt.Sprintf("#%d of %s", id, g.name)] = true
			}
			return out
		}()))
	}
	if p.g.state != empty || len(p.g.pending) > 0 || p.g.Deadline() != step.Never && p.g.Deadline() < p.mono {
		p.t.Errorf("the group ends as %s, pending %v, deadline %v at %v", strings.SplitN(hard(p.g), "\n", 2)[0], p.g.pending, p.g.Deadline(), p.mono)
	}
}
