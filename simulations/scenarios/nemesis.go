package scenarios

import (
	"path"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/partition/storage"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// nemesis breaks things, each class of faults by its own stream of chance, until it is told to stop.
type nemesis struct {
	*run
	stopped bool
}

// unleash starts every class of faults of the plan.
func (r *run) unleash() *nemesis {
	n := &nemesis{run: r}
	p := &r.plan
	r.host.Disk.Writeback, r.host.Timing, r.net.Link = p.Writeback, p.Timing, p.Link
	r.host.SetDrift(p.Drift)
	n.every("kill", p.Kills, func(*sim.Stream) { r.crash(false) })
	n.every("power", p.PowerLosses, func(*sim.Stream) { r.crash(true) })
	n.every("stop", p.CleanStops, func(*sim.Stream) { r.stopCleanly() })
	n.every("point", p.CrashPoints, func(s *sim.Stream) { n.crashPoint(s, 60) })
	n.every("pause", p.Pauses, n.pause)
	n.every("clock", p.ClockJumps, n.jump)
	n.every("write-error", p.WriteErrors, func(s *sim.Stream) {
		n.inject(s, sim.OpWrite, []sim.Effect{sim.EIO, sim.Short, sim.ENOSPC}[s.IntN(3)])
	})
	n.every("sync-error", p.SyncErrors, func(s *sim.Stream) {
		n.inject(s, []sim.Op{sim.OpSync, sim.OpSyncAll, sim.OpSyncDir}[s.IntN(3)], sim.EIO)
	})
	n.every("read-error", p.ReadErrors, func(s *sim.Stream) { n.inject(s, sim.OpRead, sim.EIO) })
	n.every("full", p.FullDisks, n.fillDisk)
	n.every("descriptors", p.Descriptors, n.descriptors)
	n.every("split", p.Splits, n.split)
	n.every("operator", time.Second, func(*sim.Stream) { n.operate() })
	if p.Rot > 0 {
		n.every("rot", p.Span/time.Duration(p.Rot+1), n.rot)
	}
	return n
}

// every calls f again and again, with mean between. Each class draws from a stream of its own.
func (n *nemesis) every(name string, mean time.Duration, f func(*sim.Stream)) {
	s := n.world.Stream("nemesis/" + name)
	var next func()
	next = func() {
		n.world.After(s.Exp(mean), func() {
			if n.stopped {
				return
			}
			f(s)
			next()
		})
	}
	if mean > 0 {
		next()
	}
}

// operate restarts a node with something offline that its disk made fail; it is the cure the broker asks for.
func (n *nemesis) operate() {
	if l := n.node; l != nil && l.ready && !l.stopping && n.host.Disk.Injected > l.injected && l.wounded() {
		n.count("restarts by the operator")
		if n.down.Chance(0.5) {
			n.crash(false)
		} else {
			n.stopCleanly()
		}
	}
}

// crashPoint ends the process at one of its next disk operations.
func (n *nemesis) crashPoint(s *sim.Stream, within int) {
	effect := sim.CrashBefore
	if s.Chance(0.5) {
		effect = sim.CrashAfter
	}
	n.host.Disk.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Skip: s.IntN(within), Times: 1, Effect: effect})
}

func (n *nemesis) pause(s *sim.Stream) {
	p := n.host.Process()
	if p == nil {
		return
	}
	n.count("pauses")
	n.world.Trace.Printf("pause")
	p.Pause()
	n.world.After(10*time.Millisecond+s.Exp(time.Second), p.Resume)
}

// jump moves the node's wall clock, at most by hours: a day would expire producers, as it may.
func (n *nemesis) jump(s *sim.Stream) {
	n.count("clock jumps")
	d := s.Duration(-time.Minute, time.Minute)
	if s.Chance(0.2) {
		d = s.Duration(-2*time.Hour, 2*time.Hour)
	}
	n.host.Skew = min(max(n.host.Skew+d, -3*time.Hour), 3*time.Hour)
}

func (n *nemesis) inject(s *sim.Stream, op sim.Op, effect sim.Effect) {
	n.host.Disk.Inject(&sim.Rule{Op: op, Pattern: "*", Skip: s.IntN(20), Times: 1, Effect: effect})
}

// fillDisk leaves almost no space for a while.
func (n *nemesis) fillDisk(s *sim.Stream) {
	d := n.host.Disk
	if d.Capacity > 0 {
		return
	}
	n.count("full disks")
	n.wasFull = true
	n.stage.Rec.Fault(check.Fault{Kind: check.DiskFull})
	d.Capacity = max(d.Used()+s.Between(0, 64<<10), 4096)
	n.world.Trace.Printf("the disk has room for %d bytes", d.Capacity-d.Used())
	n.world.After(s.Exp(time.Second), func() { d.Capacity = 0 })
}

// descriptors lets the system run short of them for a while.
func (n *nemesis) descriptors(s *sim.Stream) {
	n.count("shortages of descriptors")
	n.wasFull = true // refusals are answered as those of a full disk
	n.stage.Rec.Fault(check.Fault{Kind: check.DiskFull})
	d := n.host.Disk
	r := d.Inject(&sim.Rule{Op: sim.OpAny, Pattern: "*", Chance: s.Float64(), Effect: sim.EMFILE})
	n.world.After(s.Exp(time.Second), func() { d.Withdraw(r) })
}

func (n *nemesis) split(s *sim.Stream) {
	n.count("splits")
	n.net.Cut = true
	n.world.After(s.Exp(time.Second), func() { n.net.Cut = false })
}

// rot makes a bit rot while the node is down: damage under a running node, in bytes it has checked already, is a scrub's business.
func (n *nemesis) rot(*sim.Stream) {
	n.rotNext++
	n.crash(false)
}

// rotBits damages durable bits of record files; what promises nothing from then on are only those partitions.
func (r *run) rotBits() {
	for ; r.rotNext > 0; r.rotNext-- {
		name, _, ok := r.host.Disk.Rot(r.down, func(name string) bool {
			_, isLog := storage.ParseDirName(path.Base(path.Dir(name)))
			return isLog && strings.HasSuffix(name, ".log")
		})
		if !ok {
			return
		}
		r.count("rotten bits")
		key, _ := storage.ParseDirName(path.Base(path.Dir(name)))
		r.stage.Rec.Fault(check.Fault{Kind: check.MediaDestroyed, Key: key, Note: name})
		r.rotten[key] = true
	}
}

// heal ends all faults: no new ones, the disk works, the network is quiet, clocks go right.
func (n *nemesis) heal() {
	n.stopped = true
	r := n.run
	r.host.Disk.Heal()
	r.host.Timing, r.net.Cut, r.net.Link = sim.DefaultTiming, false, sim.DefaultLink
	r.host.SetDrift(0)
	r.host.Skew = 0
	if p := r.host.Process(); p != nil {
		p.Resume()
	}
}
