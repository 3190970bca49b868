package scenarios

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/troupe-broker/troupe/cluster/raft"
	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// RaftLog runs the only voter of a metadata group through several lives that end in crashes at any disk operation.
//
// The promise (I1, I6 of the bug catalogue): what was committed once is committed again by every later life, in the same order, each
// entry once, from a snapshot or from the log; and a healthy member commits what is proposed.
func RaftLog(seed uint64, trace io.Writer) *sim.World {
	return raftLog(seed, trace, func(*sim.Disk) {})
}

func raftLog(seed uint64, trace io.Writer, prepare func(*sim.Disk)) *sim.World {
	w := sim.NewWorld(seed, trace)
	old := rand.Reader
	rand.Reader = w.Stream("crypto")
	defer func() { rand.Reader = old }()
	r := &raftRun{w: w, host: w.NewHost("n0"), rng: w.Stream("raft")}
	prepare(r.host.Disk)
	r.host.Disk.Writeback = []float64{0, 0.05, 0.3}[r.rng.IntN(3)]
	r.host.Timing.Work = []time.Duration{100 * time.Microsecond, 5 * time.Millisecond}[r.rng.IntN(2)]
	r.size = int(r.rng.Between(8, 100))
	if r.rng.Chance(0.01) {
		r.size = 512 << 10 // a few of these make a snapshot
	}
	for r.life = 0; r.life < 4 && len(w.Failures()) == 0; r.life++ {
		r.live()
	}
	return w
}

type raftRun struct {
	w    *sim.World
	host *sim.Host
	rng  *sim.Stream
	size int // bytes of a proposal
	life int

	member *raft.Member
	proc   *sim.Process
	failed error
	// committed is what any life handed over, by order; seen is how much of it this life did.
	committed []uint64
	seen      int
	value     uint64
	founded   bool
}

func (r *raftRun) live() {
	r.proc, r.member, r.failed, r.seen = r.host.Boot(), nil, nil, 0
	r.host.Disk.Injected = 0
	if r.life < 3 {
		r.drawFaults()
	}
	files, err := r.proc.Env().OpenFS("logs")
	if err != nil {
		r.w.Fail("open file system: %v", err)
		return
	}
	cfg := raft.Config{ID: 1, Voters: []uint64{1}, FS: files, Files: storage.NewFiles(files, 8), Dir: "meta", Logger: r.proc.Logger(func(string) {})}
	member, recovered, err := raft.Open(cfg, r)
	switch {
	case r.proc.Dead():
	case err != nil && r.host.Disk.Injected > 0:
	case err != nil:
		r.w.Fail("open: %v", err)
	case recovered.New && r.founded:
		r.w.Fail("the group was founded again")
	default:
		r.founded, r.member = true, member
		r.Restore(recovered.Index, recovered.Snapshot)
		r.run()
	}
	r.host.Disk.Heal()
	r.end()
}

func (r *raftRun) drawFaults() {
	d := r.host.Disk
	if r.rng.Chance(0.8) {
		effect := sim.CrashBefore
		if r.rng.Chance(0.5) {
			effect = sim.CrashAfter
		}
		d.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Skip: r.rng.IntN(20 + 100*min(1, r.life)), Times: 1, Effect: effect})
	}
	if r.rng.Chance(0.2) {
		op := []sim.Op{sim.OpWrite, sim.OpSync, sim.OpSyncDir, sim.OpCreate, sim.OpAny}[r.rng.IntN(5)]
		d.Inject(&sim.Rule{Op: op, Pattern: "*", Skip: r.rng.IntN(60), Times: 1, Effect: []sim.Effect{sim.EIO, sim.Short}[r.rng.IntN(2)]})
	}
}

// run ticks and proposes; the last life, which is healthy, must commit everything again and something new.
func (r *raftRun) run() {
	r.member.Begin()
	before := len(r.committed)
	for i := 0; i < 80 && r.alive(); i++ {
		r.w.RunFor(r.rng.Duration(0, 20*time.Millisecond))
		if !r.alive() {
			return
		}
		if r.rng.Chance(0.2) {
			r.member.Tick()
			continue
		}
		r.value++
		data := bytes.Repeat([]byte{byte(r.value)}, r.size)
		binary.BigEndian.PutUint64(data, r.value)
		if err := r.member.Propose(data); err != nil {
			r.w.Trace.Printf("proposal %d: %v", r.value, err)
		}
	}
	r.w.RunFor(2 * time.Second)
	if r.alive() && r.life == 3 && (r.seen < before || len(r.committed) == before) {
		r.w.Fail("a healthy life handed over %d of %d entries, and %d new ones", r.seen, before, len(r.committed)-before)
	}
}

func (r *raftRun) alive() bool {
	return !r.proc.Dead() && r.failed == nil && len(r.w.Failures()) == 0
}

func (r *raftRun) end() {
	switch {
	case r.proc.Dead() && r.rng.Chance(0.3):
		r.proc.Kill()
	case r.proc.Dead() || r.member == nil || r.failed != nil || r.rng.Chance(0.6):
		r.proc.PowerLoss(sim.DrawCrash(r.rng))
	default:
		if err := r.member.Close(true); err != nil {
			r.w.Fail("close: %v", err)
		}
		r.proc.PowerLoss(sim.DrawCrash(r.rng))
	}
}

// Commit implements raft.Effects.
func (r *raftRun) Commit(index, term uint64, data []byte) {
	if r.proc.Dead() {
		return // what a dead process still decides reaches nobody
	}
	v := binary.BigEndian.Uint64(data)
	r.w.Trace.Event("commit", int64(index), int64(v))
	if r.seen < len(r.committed) {
		if r.committed[r.seen] != v {
			r.w.Fail("entry %d was %d in an earlier life and is %d now (index %d, term %d)", r.seen, r.committed[r.seen], v, index, term)
		}
	} else {
		r.committed = append(r.committed, v)
	}
	r.seen++
}

// Restore implements raft.Effects.
func (r *raftRun) Restore(_ uint64, data []byte) {
	n := len(data) / 8
	if n > len(r.committed) {
		r.w.Fail("a snapshot holds %d entries, %d were committed", n, len(r.committed))
		return
	}
	for i := range n {
		if v := binary.BigEndian.Uint64(data[8*i:]); v != r.committed[i] {
			r.w.Fail("a snapshot holds %d at %d instead of %d", v, i, r.committed[i])
			return
		}
	}
	r.seen = n
}

// Snapshot implements raft.Effects.
func (r *raftRun) Snapshot() []byte {
	var out []byte
	for _, v := range r.committed[:r.seen] {
		out = binary.BigEndian.AppendUint64(out, v)
	}
	return out
}

// Lead implements raft.Effects.
func (r *raftRun) Lead(uint64, uint64) {}

// Send implements raft.Effects.
func (r *raftRun) Send(m *raft.Message) {
	r.w.Fail("a single voter sends %v", m)
}

// Offload implements raft.Effects.
func (r *raftRun) Offload(work func() any) {
	p, member := r.proc, r.member
	p.Env().Offload.Run(func() {
		result := work()
		p.After(r.rng.Duration(0, time.Millisecond), func() {
			if r.failed == nil {
				member.Done(result)
			}
		})
	})
}

// Fail implements raft.Effects.
func (r *raftRun) Fail(err error) {
	r.failed = fmt.Errorf("member: %w", err)
	if r.host.Disk.Injected == 0 && !r.proc.Dead() {
		r.w.Fail("without a fault: %v", err)
	}
}
