package classic

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/step"
)

const testGroup = "g"

// world is the actor of one group and its log: it carries out what the machine asks for.
type world struct {
	g    *Group
	cfg  Config
	log  []step.Record
	mono time.Duration
	ids  uint64
	fail []protocol.Code // what the next appends are answered with
	// answered is called for every reply that leaves.
	answered func(step.Command, any)
	// settled is called after every step.
	settled func()
}

var testConfig = Config{MinSession: 6 * time.Second, MaxSession: 30 * time.Minute, InitialDelay: 3 * time.Second}

func newWorld(cfg Config) *world {
	return &world{g: New(testGroup, cfg), cfg: cfg, answered: func(step.Command, any) {}, settled: func() {}}
}

func (w *world) now() step.Now {
	return step.Now{Wall: time.UnixMilli(1_700_000_000_000).Add(w.mono), Mono: w.mono, Image: image.Empty(), Rand: func() uint64 {
		if w.ids++; w.ids%2 == 1 {
			return 0
		}
		return w.ids / 2 // ids differ in their end only
	}}
}

func (w *world) do(in step.Command) {
	var out step.Out
	w.g.Step(w.now(), in, &out)
	w.carryOut(&out)
}

// delete does what the group's actor does.
func (w *world) delete(in *protocol.DeleteGroup) {
	out := step.Out{Replies: []step.Reply{{Command: in, Msg: in.Failed(w.g.CheckDelete())}}}
	if w.g.CheckDelete() == protocol.None {
		out.Records = w.g.Tombstone()
	}
	w.carryOut(&out)
}

func (w *world) carryOut(out *step.Out) {
	for len(out.Records) > 0 {
		replies := out.Replies
		var after step.Out
		if code := w.append(out.Records); code != protocol.None {
			for _, r := range replies {
				w.answered(r.Command, r.Command.Failed(code))
			}
			w.g.NotAppended(w.now(), code, &after)
		} else {
			for _, r := range out.Records {
				if err := w.g.Replay(r.Key, r.Value); err != nil {
					panic(err)
				}
			}
			w.g.Appended(w.now(), &after)
			for _, r := range replies {
				w.answered(r.Command, r.Msg)
			}
		}
		out = &after
	}
	for _, r := range out.Replies {
		w.answered(r.Command, r.Msg)
	}
	w.settled()
}

func (w *world) append(records []step.Record) protocol.Code {
	if len(w.fail) > 0 {
		code := w.fail[0]
		if w.fail = w.fail[1:]; code != protocol.None {
			return code
		}
	}
	w.log = append(w.log, records...)
	return protocol.None
}

// wait lets time pass.
func (w *world) wait(t testing.TB, d time.Duration) {
	until := w.mono + d
	for ticks := 0; w.g.Deadline() <= until; ticks++ {
		if ticks == 10_000 {
			t.Fatalf("the group ticks without end at %v", w.mono)
		}
		w.mono = max(w.mono, w.g.Deadline())
		var out step.Out
		w.g.Tick(w.now(), &out)
		w.carryOut(&out)
	}
	w.mono = until
}

// reload is a fresh machine from the log.
func (w *world) reload(t testing.TB) *Group {
	g := New(testGroup, w.cfg)
	for _, r := range w.log {
		if err := g.Replay(r.Key, r.Value); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// hard is what must last.
func hard(g *Group) string {
	protocol := "-"
	if g.protocol != nil {
		protocol = *g.protocol
	}
	out := fmt.Sprintf("%s generation=%d type=%q protocol=%s leader=%s since=%d topics=%v,%v", g.State(), g.generation, g.protocolType, protocol, g.leader, g.since, g.topics, g.topicsKnown)
	for _, m := range g.members {
		metadata, _ := m.metadata(protocol)
		out += fmt.Sprintf("\n%s %q %s %s %v %v %q %q", m.id, m.instance, m.clientID, m.clientHost, m.rebalanceTimeout, m.sessionTimeout, metadata, m.assignment)
	}
	return out
}

// consistent looks at what must hold after every step.
func consistent(g *Group) error {
	joining, owing := 0, 0
	votes := map[string]int{}
	for _, m := range g.members {
		if m.join != nil {
			joining++
		}
		if m.owes {
			owing++
		}
		for _, p := range m.protocols {
			votes[p.Name]++
		}
		switch {
		case g.byID[m.id] != m, m.instance != "" && g.byStatic[m.instance] != m:
			return fmt.Errorf("member %s is not found by its ids", m.id)
		case m.join != nil && g.state != preparing:
			return fmt.Errorf("member %s waits to join in %s", m.id, g.State())
		case m.sync != nil && (g.state != completing || m.id == g.leader):
			return fmt.Errorf("member %s waits to sync in %s", m.id, g.State())
		case m.expires < g.next:
			return fmt.Errorf("member %s expires at %v, before the deadline %v", m.id, m.expires, g.next)
		case m.expires == step.Never && m.join == nil && m.sync == nil:
			return fmt.Errorf("member %s never expires", m.id)
		}
	}
	switch {
	case joining != g.joining || owing != g.owing || len(g.byID) != len(g.members):
		return fmt.Errorf("%d of %d join, %d of %d owe, %d of %d members", joining, g.joining, owing, g.owing, len(g.byID), len(g.members))
	case len(votes) != len(g.votes):
		return fmt.Errorf("votes %v, counted %v", g.votes, votes)
	case (g.leader != "") != (len(g.members) > 0) || g.leader != "" && g.byID[g.leader] == nil:
		return fmt.Errorf("leader %q of %d members", g.leader, len(g.members))
	case g.state == preparing && g.joinBy == step.Never, g.state == completing && g.syncBy == step.Never, g.joinBy < g.next, g.syncBy < g.next:
		return fmt.Errorf("%s, join by %v, sync by %v, deadline %v", g.State(), g.joinBy, g.syncBy, g.next)
	case g.state == empty && len(g.members) > 0, (g.state == stable || g.state == completing) && len(g.members) == 0:
		return fmt.Errorf("%s with %d members", g.State(), len(g.members))
	}
	for name, n := range votes {
		if g.votes[name] != n {
			return fmt.Errorf("votes %v, counted %v", g.votes, votes)
		}
	}
	if g.state == completing || g.state == stable {
		if g.votes[*g.protocol] != len(g.members) {
			return fmt.Errorf("protocol %q is supported by %v of %d", *g.protocol, g.votes, len(g.members))
		}
	}
	return nil
}

var client = actors.NewPID("n", "client")

func consumerSaid(topics ...string) []byte {
	b := []byte{0, 1, 0, 0, 0, byte(len(topics))}
	for _, t := range topics {
		b = append(append(b, 0, byte(len(t))), t...)
	}
	return append(b, 0xff, 0xff, 0xff, 0xff)
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
