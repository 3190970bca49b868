package workload

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/troupe-broker/troupe/simulations/model"
	"github.com/troupe-broker/troupe/simulations/sim"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// standIn is the model behind connections: it takes its time, answers in order, and forgets nothing.
type standIn struct {
	w     *sim.World
	model *model.Broker
	conn  *sim.Conn
	delay *sim.Stream
	last  time.Duration
	dead  bool
}

func (s *standIn) Received(frame []byte) {
	s.last = max(s.last+1, s.w.Now()+s.delay.Exp(time.Millisecond))
	s.w.After(s.last-s.w.Now(), func() {
		if s.dead {
			return
		}
		if out := answer(s.model, frame, sim.Epoch.Add(s.w.Now()).UnixMilli()); out != nil {
			s.conn.Reply(out)
		}
	})
}

func (s *standIn) Closed() { s.dead = true }

// answer decodes a request, asks the model and encodes what it says.
func answer(m *model.Broker, frame []byte, wall int64) []byte {
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	id := frame[4:8]
	rest := frame[8:]
	rest = rest[2+max(0, int(int16(binary.BigEndian.Uint16(rest)))):]
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	if req.IsFlexible() {
		rest = rest[1:]
	}
	if err := req.ReadFrom(rest); err != nil {
		panic(err)
	}
	resp := m.Handle(req, wall)
	if p, ok := req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return nil
	}
	out := slices.Clone(id)
	if resp.IsFlexible() && key != 18 {
		out = append(out, 0)
	}
	return resp.AppendTo(out)
}

// play runs clients against the model for a while, reads everything back and checks the history.
func play(t *testing.T, seed uint64, bug model.Bug, set Settings, link func(*sim.Network)) (*Stage, []string) {
	t.Helper()
	w := sim.NewWorld(seed, nil)
	h := w.NewHost("n0")
	h.Boot()
	n := w.NewNetwork()
	m := &model.Broker{Bug: bug}
	e := &Simulated{World: w, Network: n, Host: h, EraOf: func(*sim.Process) int { return 0 }}
	e.Accept = func(c *sim.Conn) sim.Server {
		return &standIn{w: w, model: m, conn: c, delay: w.Stream(fmt.Sprint("node", c.ID))}
	}
	stage := NewStage(e, set, w.Fail)
	StartAdmin(stage, 50*time.Millisecond)
	w.RunUntil(5*time.Second, func() bool { return len(stage.Topics()) >= set.Topics })
	link(n)
	producers := make([]*Producer, set.Producers)
	for i := range producers {
		producers[i] = StartProducer(stage, fmt.Sprint("producer-", i))
	}
	transactors := make([]*Transactor, set.Transactors)
	for i := range transactors {
		transactors[i] = StartTransactor(stage, fmt.Sprint("transactor-", i))
	}
	for i := range set.Consumers {
		StartConsumer(stage, fmt.Sprint("consumer-", i))
	}
	w.RunFor(4 * time.Second)
	n.Link = sim.DefaultLink
	stage.Stop()
	idle := func() bool {
		return !slices.ContainsFunc(producers, func(p *Producer) bool { return !p.Idle() }) &&
			!slices.ContainsFunc(transactors, func(t *Transactor) bool { return !t.Idle() })
	}
	if !w.RunUntil(2*time.Minute, idle) {
		w.Fail("producers did not end")
	}
	stage.Halt()
	final := StartReader(stage, "final", true)
	if !w.RunUntil(time.Minute, final.Done) {
		w.Fail("the final read did not end: %s", final.Left())
	}
	if set.Transactors > 0 {
		committed := StartCommittedReader(stage, "committed")
		if !w.RunUntil(time.Minute, committed.Done) {
			w.Fail("hanging transactions: %s", committed.Left())
		}
	}
	out := w.Failures()
	for _, a := range stage.Rec.History().Check() {
		out = append(out, a.String())
	}
	return stage, out
}

var everything = Settings{
	Producers: 3, Consumers: 3, Topics: 3, Partitions: 3, Deletes: true, Trims: true, Reconfigures: true, Pace: 20 * time.Millisecond,
	BatchMax: 5, PadMax: 100, FetchBytes: 2000, OldVersions: 0.5, LogAppendTime: 0.2, Plain: 0.3,
}

func quiet(*sim.Network) {}

func rough(n *sim.Network) { n.Reset, n.Hang = 0.01, 0.001 }

func TestClientsFindNothingWrongWithTheModel(t *testing.T) {
	for seed := range uint64(30) {
		set := everything
		set.NearWrap = seed%2 == 0
		link := quiet
		if seed%3 > 0 {
			link = rough
		}
		s, found := play(t, seed, model.NoBug, set, link)
		if len(found) > 0 {
			t.Fatalf("seed %d: %v", seed, found)
		}
		if s.Acked < 50 {
			t.Errorf("seed %d: only %d batches acknowledged", seed, s.Acked)
		}
	}
}

func TestClientsAndCheckerFindPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		bug  model.Bug
		want check.Class
	}{
		{model.LoseBatch, check.InconsistentOffsets},
		{model.NoDeduplicate, check.Duplicate},
		{model.SkipRecord, check.IntPollSkip},
		{model.WrongOffset, check.InconsistentOffsets},
		{model.FailAndKeep, check.FailedRead},
		{model.DamageBytes, check.Damaged},
		{model.StaleWatermark, check.WatermarkBack},
		{model.KeepDeleted, check.ForeignRecord},
	} {
		t.Run(string(c.bug), func(t *testing.T) {
			for seed := range uint64(10) {
				if _, found := play(t, seed, c.bug, everything, rough); mentions(found, string(c.want)) {
					return
				}
			}
			t.Errorf("no %s in ten seeds", c.want)
		})
	}
}

var transactional = Settings{
	Producers: 1, Transactors: 3, Consumers: 4, Topics: 2, Partitions: 2, Trims: true, Pace: 20 * time.Millisecond, BatchMax: 5, PadMax: 100, FetchBytes: 2000,
}

func TestTransactorsFindNothingWrongWithTheModel(t *testing.T) {
	for seed := range uint64(12) {
		set, link := transactional, quiet
		set.Deletes = seed%2 == 0
		if seed%3 > 0 {
			link = rough
		}
		s, found := play(t, seed, model.NoBug, set, link)
		if len(found) > 0 {
			t.Fatalf("seed %d: %v", seed, found)
		}
		if s.Answers["EndTxn NONE"] < 8 || s.Seen["aborted records left out"] == 0 {
			t.Errorf("seed %d: %v %v", seed, s.Answers, s.Seen)
		}
	}
}

func TestTransactorsFindPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		bug  model.Bug
		want string
	}{
		{model.ShowAborted, string(check.AbortedRead)},
		{model.ShowOpen, string(check.AbortedRead)},
		{model.TearCommit, string(check.TornTransaction)},
		{model.LoseMarker, "hanging transactions"},
		{model.JoinNext, "hanging transactions"},
	} {
		t.Run(string(c.bug), func(t *testing.T) {
			for seed := range uint64(10) {
				if _, found := play(t, seed, c.bug, transactional, rough); mentions(found, c.want) {
					return
				}
			}
			t.Errorf("no %s in ten seeds", c.want)
		})
	}
}

func mentions(found []string, class string) bool {
	return slices.ContainsFunc(found, func(s string) bool { return len(s) > len(class) && s[:len(class)] == class })
}

func TestSequenceWraps(t *testing.T) {
	for _, c := range []struct{ from, n, want int32 }{{0, 5, 5}, {1<<31 - 1, 1, 0}, {1<<31 - 2, 3, 1}} {
		if got := advance(c.from, int(c.n)); got != c.want {
			t.Errorf("advance(%d, %d) = %d, want %d", c.from, c.n, got, c.want)
		}
	}
}
