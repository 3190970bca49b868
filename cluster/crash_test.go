package cluster

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// The controller lives several lives on a simulated disk; each but the last ends in a crash at any disk operation, by kill or power
// loss, or in failed operations. What was answered must hold in every later life, what was refused or never answered may or may not.
//
// CRASH_SEED runs one seed and prints its trace.
func TestMetadataSurvivesEveryCrash(t *testing.T) {
	if text := os.Getenv("CRASH_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		report(t, seed, crashes(seed, os.Stdout))
		return
	}
	seeds := uint64(300)
	if testing.Short() {
		seeds = 30
	}
	lives, answers := 0, 0
	for seed := range seeds {
		r := crashes(seed, nil)
		report(t, seed, r)
		lives, answers = lives+r.served, answers+r.answers
	}
	t.Logf("%d lives served, %d answers", lives, answers)
	if lives < int(seeds) || answers < 10*int(seeds) {
		t.Error("the runs die before they do anything")
	}
}

func report(t *testing.T, seed uint64, r *crashRun) {
	for _, f := range r.w.Failures() {
		t.Errorf("CRASH_SEED=%d: %s", seed, f)
	}
}

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	for seed := range uint64(5) {
		if a, b := crashes(seed, nil), crashes(seed, nil); a.w.Trace.Hash() != b.w.Trace.Hash() {
			t.Errorf("CRASH_SEED=%d: %d events, then %d", seed, a.w.Trace.Events(), b.w.Trace.Events())
		}
	}
}

type crashRun struct {
	w    *sim.World
	host *sim.Host
	rng  *sim.Stream

	proc   *sim.Process
	system *actors.System
	pid    actors.PID
	images *Images
	ready  bool
	broken bool // a failed operation ended the controller
	led    map[protocol.TopicPartition]bool

	// What the client knows. A name in doubt has a change under way whose answer never came.
	topics  map[string]protocol.TopicID
	setting map[string]string
	doubt   map[string]bool
	busy    map[string]bool
	ids     protocol.ProducerID // every id below was given out
	lastID  protocol.BrokerEpoch

	served, answers int
}

func crashes(seed uint64, trace io.Writer) *crashRun {
	w := sim.NewWorld(seed, trace)
	old := rand.Reader
	rand.Reader = w.Stream("crypto")
	defer func() { rand.Reader = old }()
	r := &crashRun{
		w: w, host: w.NewHost("n0"), rng: w.Stream("client"), topics: map[string]protocol.TopicID{}, setting: map[string]string{}, doubt: map[string]bool{},
	}
	r.host.Disk.Writeback = []float64{0, 0.05, 0.3}[r.rng.IntN(3)]
	for life := range 5 {
		r.live(life == 4)
		if len(w.Failures()) > 0 {
			break
		}
	}
	return r
}

func (r *crashRun) live(last bool) {
	r.proc, r.images, r.ready, r.broken = r.host.Boot(), NewImages(), false, false
	r.led, r.busy = map[protocol.TopicPartition]bool{}, map[string]bool{}
	r.host.Disk.Injected = 0
	if !last {
		r.drawFaults()
	}
	r.boot()
	for i := 0; i < 60 && r.alive(); i++ {
		r.w.RunFor(r.rng.Duration(0, 10*time.Millisecond))
		if r.ready && r.alive() {
			r.command()
		}
	}
	if last {
		r.w.RunFor(3 * time.Second)
		if !r.ready || r.broken {
			r.w.Fail("a healthy life is ready: %v, broken: %v", r.ready, r.broken)
		}
	}
	r.end()
}

// boot starts the actors of a life.
func (r *crashRun) boot() {
	e := r.proc.Env()
	files, err := e.OpenFS("logs")
	if err != nil {
		r.w.Fail("open file system: %v", err)
		return
	}
	r.system = actors.NewSystem(actors.Config{Env: e, Dispatcher: r.proc.Dispatcher(), OnFailure: r.proc.OnFailure, Trace: r.proc.OnDeliver, Logger: r.proc.Logger(func(string) {})})
	host, err := r.system.Spawn(actors.Spec{Name: "host", New: func() actors.Actor { return &slowHost{run: r} }})
	if err != nil {
		r.w.Fail("%v", err)
		return
	}
	var incarnation [16]byte
	_, _ = r.rng.Read(incarnation[:])
	r.pid, err = r.system.Spawn(NewController(Config{
		Node: 1, ClusterID: "c", Incarnation: incarnation, FS: files, Files: storage.NewFiles(files, 8), Host: host, Images: r.images, Clean: r.rng.Chance(0.3),
		Ready: r.recovered, Failed: func(err error) { r.broken = true },
	}))
	if err != nil {
		r.w.Fail("%v", err)
		return
	}
}

func (r *crashRun) alive() bool { return !r.proc.Dead() && !r.broken && len(r.w.Failures()) == 0 }

func (r *crashRun) drawFaults() {
	d := r.host.Disk
	if r.rng.Chance(0.7) {
		effect := []sim.Effect{sim.CrashBefore, sim.CrashAfter}[r.rng.IntN(2)]
		d.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Skip: r.rng.IntN(90), Times: 1, Effect: effect})
	}
	if r.rng.Chance(0.2) {
		d.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Skip: r.rng.IntN(60), Times: 1, Effect: []sim.Effect{sim.EIO, sim.Short, sim.ENOSPC}[r.rng.IntN(3)]})
	}
}

func (r *crashRun) end() {
	for name := range r.busy {
		r.doubt[name] = true
	}
	r.host.Disk.Heal()
	switch {
	case r.proc.Dead() && !r.proc.EndedAtOperation():
	case r.rng.Chance(0.4):
		r.proc.Kill()
	default:
		r.proc.PowerLoss(sim.DrawCrash(r.rng))
	}
}

// slowHost carries out what it is told after a while.
type slowHost struct{ run *crashRun }

type later struct{ m *protocol.HostPartitions }

func (h *slowHost) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.HostPartitions:
		ctx.After(time.Duration(ctx.Rand()%uint64(3*time.Millisecond)), later{m})
	case later:
		for _, l := range m.m.Lead {
			h.run.led[l.Partition] = true
		}
		for _, tp := range m.m.Drop {
			delete(h.run.led, tp)
		}
		ctx.Send(m.m.ReplyTo, &protocol.PartitionsHosted{Answer: protocol.Answer{ID: m.m.ID}})
	}
}

// recovered compares what a new life remembers with what the client was told.
func (r *crashRun) recovered() {
	r.ready = true
	r.served++
	img := r.images.Load()
	r.w.Trace.Event("ready", img.MetadataOffset, int64(img.Hash()))
	r.visible()
	if n, ok := img.Node(1); !ok || n.Epoch <= r.lastID {
		r.w.Fail("registered as %+v after epoch %d", n, r.lastID)
	} else {
		r.lastID = n.Epoch
	}
	if img.NextProducerID < r.ids {
		r.w.Fail("producer ids below %d were given out, the next would be %d", r.ids, img.NextProducerID)
	}
	for i := range names {
		r.check(name(i), img)
	}
}

// check compares one topic; in doubt, the client believes what it sees.
func (r *crashRun) check(name string, img *image.Image) {
	t, exists := img.Topic(name)
	var id protocol.TopicID
	var value string
	if exists {
		id = t.ID
		for _, e := range t.Config {
			value = e.Value
		}
	}
	if !r.doubt[name] && (id != r.topics[name] || value != r.setting[name]) {
		r.w.Fail("%s is %v with %q, the client was told %v with %q", name, id, value, r.topics[name], r.setting[name])
	}
	delete(r.doubt, name)
	r.topics[name], r.setting[name] = id, value
}

// visible is T35: what the image shows is served.
func (r *crashRun) visible() {
	for t := range r.images.Load().EachTopic {
		for i := range t.EachPartition {
			if tp := (protocol.TopicPartition{Topic: t.ID, Partition: i}); !r.led[tp] {
				r.w.Fail("%s-%d is visible and not hosted", t.Name, i)
			}
		}
	}
}

const names = 6

func name(i int) string { return fmt.Sprint("topic-", i) }

// command sends one command about a name without one under way.
func (r *crashRun) command() {
	n := name(r.rng.IntN(names))
	if r.busy[n] || r.doubt[n] {
		return
	}
	switch r.rng.IntN(5) {
	case 0, 1:
		c := create(n)
		c.Topics[0].Partitions = int32(r.rng.Between(1, 5))
		r.ask(n, c, r.created)
	case 2:
		r.ask(n, &protocol.DeleteTopics{Topics: []protocol.TopicRef{{Name: n}}}, r.deleted)
	case 3:
		value := strconv.Itoa(r.rng.IntN(1000))
		r.ask(n, set(protocol.ResourceTopic, n, "retention.ms", value), func(n string, reply any) { r.configured(n, value, reply) })
	default:
		r.system.Ask(r.pid, &protocol.AllocateProducerIDs{}, time.Minute, func(reply any, err error) { r.allocated(reply) })
	}
}

func (r *crashRun) ask(n string, c actors.Command, done func(string, any)) {
	r.busy[n] = true
	life := r.proc
	r.system.Ask(r.pid, c, time.Minute, func(reply any, err error) {
		if err != nil || life.Dead() {
			return // busy for ever: in doubt when the life ends
		}
		r.answers++
		done(n, reply)
		r.visible()
	})
}

func (r *crashRun) settle(n string, f protocol.Fault) (done bool) {
	if f.Code == protocol.NotController {
		return false // in doubt
	}
	delete(r.busy, n)
	return !f.Failed()
}

func (r *crashRun) created(n string, reply any) {
	row := reply.(*protocol.TopicsCreated).Topics[0]
	if r.settle(n, row.Fault) {
		r.topics[n] = row.ID
		if t, ok := r.images.Load().Topic(n); !ok || t.ID != row.ID {
			r.w.Fail("%s was created and is not visible", n)
		}
	} else if row.Code != protocol.NotController && (row.Code != protocol.TopicAlreadyExists || r.topics[n].IsZero()) {
		r.w.Fail("creating %s: %v %s", n, row.Code, row.Reason)
	}
}

func (r *crashRun) deleted(n string, reply any) {
	row := reply.(*protocol.TopicsDeleted).Topics[0]
	if r.settle(n, row.Fault) {
		delete(r.topics, n)
		delete(r.setting, n)
		if _, ok := r.images.Load().Topic(n); ok {
			r.w.Fail("%s was deleted and is visible", n)
		}
	} else if row.Code != protocol.NotController && !r.topics[n].IsZero() {
		r.w.Fail("deleting %s: %v %s", n, row.Code, row.Reason)
	}
}

func (r *crashRun) configured(n, value string, reply any) {
	row := reply.(*protocol.ConfigsAltered).Resources[0]
	if r.settle(n, row.Fault) {
		r.setting[n] = value
		if c := r.images.Load().TopicConfig(n); len(c) != 1 || c[0].Value != value {
			r.w.Fail("%s was given retention.ms=%s and shows %v", n, value, c)
		}
	} else if row.Code != protocol.NotController && !r.topics[n].IsZero() {
		r.w.Fail("configuring %s: %v %s", n, row.Code, row.Reason)
	}
}

func (r *crashRun) allocated(reply any) {
	a, ok := reply.(*protocol.ProducerIDsAllocated)
	if !ok || a.Failed() {
		return
	}
	r.answers++
	if a.First < r.ids {
		r.w.Fail("producer ids from %d are given out again, after %d", a.First, r.ids)
	}
	r.ids = a.First + protocol.ProducerID(a.Count)
}

// A full disk delays changes; when there is space again they go on by themselves, and questions that need no record are answered.
func TestAFullDiskDelaysAndLosesNothing(t *testing.T) {
	r := &crashRun{w: sim.NewWorld(1, nil), topics: map[string]protocol.TopicID{}, setting: map[string]string{}, doubt: map[string]bool{}, led: map[protocol.TopicPartition]bool{}, busy: map[string]bool{}}
	r.host, r.rng = r.w.NewHost("n0"), r.w.Stream("client")
	r.proc, r.images = r.host.Boot(), NewImages()
	r.boot()
	r.w.RunFor(time.Second)
	if !r.ready {
		t.Fatal("not ready")
	}
	r.host.Disk.Inject(&sim.Rule{Op: sim.OpWrite, Pattern: "*", Effect: sim.ENOSPC})
	r.ask("topic-0", create("topic-0"), r.created)
	r.w.RunFor(5 * time.Second)
	if r.answers > 0 || r.broken {
		t.Errorf("%d answers, broken %v while the disk was full", r.answers, r.broken)
	}
	r.host.Disk.Heal()
	r.w.RunFor(5 * time.Second)
	if r.answers != 1 || r.broken {
		t.Errorf("%d answers, broken %v after there was space again", r.answers, r.broken)
	}

	r.proc.Kill()
	r.proc, r.images, r.ready = r.host.Boot(), NewImages(), false
	r.host.Disk.Inject(&sim.Rule{Op: sim.OpWrite, Pattern: "*", Effect: sim.ENOSPC})
	r.boot()
	r.w.RunFor(5 * time.Second)
	if r.ready || r.broken {
		t.Errorf("a start with a full disk is ready: %v, broken: %v", r.ready, r.broken)
	}
	r.host.Disk.Heal()
	r.w.RunFor(5 * time.Second)
	if !r.ready {
		t.Error("a start does not go on when there is space")
	}
	report(t, 1, r)
}
