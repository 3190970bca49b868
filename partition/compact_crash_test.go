package partition

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// A host with one compacted partition lives several lives on a simulated disk; each ends in a crash at any disk operation, by kill or
// power loss, in failed operations or in a clean stop. Whatever was acknowledged is the newest of its key, or something later is; what
// is read at an offset is what was there before.
//
// COMPACT_SEED runs one seed and prints its trace.
func TestCompactedPartitionSurvivesEveryCrash(t *testing.T) {
	if text := os.Getenv("COMPACT_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r := compacted(seed, os.Stdout)
		t.Log(r.w.Failures())
		return
	}
	rounds, acked := 0, 0
	for seed := range uint64(25) {
		r := compacted(seed, nil)
		for _, f := range r.w.Failures() {
			t.Errorf("COMPACT_SEED=%d: %s", seed, f)
		}
		rounds, acked = rounds+r.rounds, acked+r.acked
	}
	t.Logf("%d rounds, %d batches acknowledged", rounds, acked)
	if rounds < 200 || acked < 2000 {
		t.Error("the runs die before they do anything")
	}
	a, b := compacted(3, nil), compacted(3, nil)
	if a.w.Trace.Hash() != b.w.Trace.Hash() {
		t.Errorf("the same seed gives %d events, then %d", a.w.Trace.Events(), b.w.Trace.Events())
	}
}

type compactRun struct {
	w       *sim.World
	host    *sim.Host
	rng     *sim.Stream
	config  protocol.LogConfig
	created bool

	p      *sim.Process
	system *actors.System
	table  *Table
	pid    actors.PID
	ready  bool
	gone   bool // the partition went offline

	sent          map[string]int64  // value -> order in which it was sent
	newest        map[string]string // acknowledged, by key
	at            map[int64]string  // read, by offset
	order         int64
	rounds, acked int
}

func compacted(seed uint64, trace io.Writer) *compactRun {
	w := sim.NewWorld(seed, trace)
	r := &compactRun{w: w, host: w.NewHost("n0"), rng: w.Stream("client"), sent: map[string]int64{}, newest: map[string]string{}, at: map[int64]string{}}
	r.host.Disk.Writeback = []float64{0, 0.05, 0.3}[r.rng.IntN(3)]
	r.config = compactConfig()
	r.config.SegmentBytes, r.config.IndexIntervalBytes, r.config.MinCleanableRatio = r.rng.Between(300, 3000), int32(r.rng.Between(0, 400)), 0.1
	r.config.DeleteRetention = r.rng.Duration(0, 5*time.Second)
	for life := range 5 {
		r.live(life == 4)
		if len(w.Failures()) > 0 {
			break
		}
	}
	return r
}

func (r *compactRun) live(last bool) {
	r.p, r.table, r.ready, r.gone = r.host.Boot(), NewTable(), false, false
	d := r.host.Disk
	d.Heal()
	d.Injected = 0
	if !last {
		if r.rng.Chance(0.8) {
			d.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Skip: r.rng.IntN(1500), Times: 1, Effect: []sim.Effect{sim.CrashBefore, sim.CrashAfter}[r.rng.IntN(2)]})
		}
		if r.rng.Chance(0.3) {
			op := []sim.Op{sim.OpWrite, sim.OpSync, sim.OpSyncDir, sim.OpCreate, sim.OpRename, sim.OpRemove}[r.rng.IntN(6)]
			d.Inject(&sim.Rule{Op: op, Pattern: "*", Skip: r.rng.IntN(300), Times: 1 + r.rng.IntN(3), Effect: []sim.Effect{sim.EIO, sim.ENOSPC, sim.ENOSPC}[r.rng.IntN(3)]})
		}
	}
	r.boot()
	for i := 0; i < 250 && r.alive(); i++ {
		r.w.RunFor(r.rng.Duration(0, 10*time.Millisecond))
		if r.ready && r.alive() {
			r.produce()
		}
		if i%25 == 24 && r.ready && r.alive() {
			r.read("while it is appended to")
		}
	}
	if last {
		r.w.RunFor(5 * time.Second)
		if !r.ready || r.gone {
			r.w.Fail("a healthy life is ready: %v, offline: %v", r.ready, r.gone)
			return
		}
		r.read("in the end")
	}
	r.end()
}

func (r *compactRun) alive() bool { return !r.p.Dead() && !r.gone && len(r.w.Failures()) == 0 }

func (r *compactRun) boot() {
	e := r.p.Env()
	files, err := e.OpenFS("logs")
	if err != nil {
		return
	}
	r.system = actors.NewSystem(actors.Config{Env: e, Dispatcher: r.p.Dispatcher(), OnFailure: r.p.OnFailure, Trace: r.p.OnDeliver, Logger: r.p.Logger(func(string) {})})
	r.pid, err = r.system.Spawn(NewHost(HostConfig{
		Node: 1, Dirs: []Dir{{Name: "logs", ID: "d", FS: files}}, Table: r.table, Clock: e.Clock, CheckpointEvery: 300 * time.Millisecond,
		Cleaner:   func() CleanerConfig { return CleanerConfig{Backoff: 20 * time.Millisecond} },
		OnCleaned: r.cleaned, OnOffline: func(protocol.TopicPartition, protocol.Fault) { r.gone = true },
	}))
	if err != nil {
		r.w.Fail("%v", err)
		return
	}
	lead := leadOf(tp0, r.config)
	lead.New = !r.created
	r.system.Ask(r.pid, &protocol.HostPartitions{MetadataOffset: 1, Lead: []protocol.LeadPartition{lead}}, 0, func(reply any, err error) {
		hosted, ok := reply.(*protocol.PartitionsHosted)
		switch {
		case err != nil || !ok:
		case len(hosted.Failed) > 0:
			r.gone = true
			if r.host.Disk.Injected == 0 && !r.p.Dead() {
				r.w.Fail("without a fault: %v", hosted.Failed)
			}
		default:
			r.ready, r.created = true, true
		}
	})
}

func (r *compactRun) cleaned(c Cleaned) {
	r.rounds++
	if c.Err != nil && r.host.Disk.Injected == 0 && !r.p.Dead() {
		r.w.Fail("compaction without a fault: %v", c.Err)
	}
}

// produce sends a batch of one idempotent producer, the next when the last was answered.
func (r *compactRun) produce() {
	h := r.table.Get(tp0)
	if h == nil || h.PID.IsZero() {
		return
	}
	type pair struct{ key, value string }
	var pairs []pair
	b := record.NewBuilder(record.Options{Codec: record.Codec(r.rng.IntN(5)), BaseTimestamp: r.p.Env().Clock.Now().UnixMilli()})
	for range 1 + r.rng.IntN(4) {
		r.order++
		p := pair{fmt.Sprint("k", r.rng.IntN(12)), fmt.Sprint(r.order, "-", r.rng.IntN(1<<r.rng.IntN(30)))}
		r.sent[p.value] = r.order
		pairs = append(pairs, p)
		b.Append(r.p.Env().Clock.Now().UnixMilli(), []byte(p.key), []byte(p.value), nil)
	}
	batch, err := b.Build()
	if err != nil {
		r.w.Fail("%v", err)
		return
	}
	life := r.p
	r.system.Ask(h.PID, &protocol.Produce{Partition: tp0, LeaderEpoch: protocol.NoLeaderEpoch, Acks: -1, Batch: batch}, 0, func(reply any, err error) {
		produced, ok := reply.(*protocol.Produced)
		if err != nil || !ok || produced.Failed() || life != r.p {
			return
		}
		r.acked++
		for i, p := range pairs {
			if r.sent[p.value] > r.sent[r.newest[p.key]] {
				r.newest[p.key] = p.value
			}
			r.hold(produced.BaseOffset+int64(i), p.key+"="+p.value, "acknowledged")
		}
	})
}

// hold remembers what is at an offset, for ever.
func (r *compactRun) hold(offset int64, what, when string) {
	if was, ok := r.at[offset]; ok && was != what {
		r.w.Fail("%s: at offset %d is %q, was %q", when, offset, what, was)
	}
	r.at[offset] = what
}

// read reads what is committed as a consumer does.
func (r *compactRun) read(when string) {
	h := r.table.Get(tp0)
	if h == nil || h.View().Err != protocol.None {
		return
	}
	v := h.View()
	if v.HighWatermark < v.LogEndOffset && when != "in the end" {
		return // a start has not flushed yet
	}
	newest := map[string]string{}
	last := int64(-1)
	err := v.Log.EachBatch(v.LogStartOffset, v.HighWatermark, nil, func(b record.Batch) error {
		if err := b.Verify(); err != nil {
			return err
		}
		return b.Each(nil, func(x record.Record) error {
			if x.Offset <= last {
				r.w.Fail("%s: offset %d after %d", when, x.Offset, last)
			}
			last = x.Offset
			r.hold(x.Offset, string(x.Key)+"="+string(x.Value), when)
			newest[string(x.Key)] = string(x.Value)
			return nil
		})
	})
	if err != nil {
		if r.host.Disk.Injected == 0 && !r.p.Dead() {
			r.w.Fail("%s: %v", when, err)
		}
		return
	}
	for i := range 12 {
		key := fmt.Sprint("k", i)
		if r.sent[newest[key]] < r.sent[r.newest[key]] {
			r.w.Fail("%s: %s is %q, acknowledged was %q", when, key, newest[key], r.newest[key])
		}
	}
}

func (r *compactRun) end() {
	switch n := r.rng.IntN(4); {
	case r.p.Dead() && n > 0, !r.p.Dead() && n == 1:
		r.p.PowerLoss(sim.DrawCrash(r.rng))
	case r.p.Dead() || n == 0 || !r.alive():
		r.p.Kill()
	default:
		closed := false
		r.system.Ask(r.pid, &CloseLogs{}, 0, func(reply any, err error) {
			done, ok := reply.(*LogsClosed)
			closed = true
			if (err != nil || !ok || done.Err != nil) && r.host.Disk.Injected == 0 && !r.p.Dead() {
				r.w.Fail("clean stop: %v %v", reply, err)
			}
		})
		r.w.RunFor(20 * time.Second)
		if !closed && !r.p.Dead() {
			r.w.Fail("a clean stop does not end")
		}
		r.p.Kill()
	}
}
