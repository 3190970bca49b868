package scenarios

import (
	"fmt"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/simulations/sim"
	"github.com/troupe-broker/troupe/simulations/workload"
)

// Plan is what a seed draws before anything runs: which faults there are and how often, how large things are, how fast. Zero means
// never; every class of faults is off in at least a third of the seeds, so that each can be seen alone and what one fault hides
// another seed shows.
type Plan struct {
	Clients workload.Settings
	Link    sim.Link
	Timing  sim.Timing
	// Span is how long the phase with faults lasts.
	Span time.Duration
	// AdminPace is the mean time between operations of the administrator.
	AdminPace time.Duration

	// The means of the times between faults of a class.
	Kills, PowerLosses, CleanStops, CrashPoints, Pauses, ClockJumps, WriteErrors, SyncErrors, ReadErrors, FullDisks, Descriptors, Splits time.Duration
	// Rot is the number of durable bits that rot.
	Rot int
	// Downtime is the mean time between a crash and the next start.
	Downtime time.Duration
	// CrashInRecovery is the chance of a start to end in another crash, somewhere in its first disk operations.
	CrashInRecovery float64
	// Writeback is the chance of a write to make the kernel write some dirty page.
	Writeback float64
	Drift     float64
	// SegmentBytes overrides the segment size of every log, below what topic configurations allow.
	SegmentBytes int64
	IndexBytes   int32
	// LogDirs is log.dirs.
	LogDirs string
	// Coordinators is set where there are clients of groups; the settings of the node then suit the span of a run.
	Coordinators bool
	// NoErrors says that nothing is broken, so that an error answered is a violation.
	NoErrors bool

	extra func(*nemesis, *sim.Stream)
}

// DrawPlan draws the plan of a seed.
func DrawPlan(seed uint64) Plan {
	s := sim.NewStream(seed, "plan")
	some := func(p float64, low, high time.Duration) time.Duration {
		d := s.Duration(low, high) // always drawn, so that switching one class off does not shift the others
		if !s.Chance(p) {
			return 0
		}
		return d
	}
	p := Plan{
		Link: sim.DefaultLink, Timing: sim.DefaultTiming, Span: s.Duration(3*time.Second, 8*time.Second),
		AdminPace: s.Duration(30*time.Millisecond, 300*time.Millisecond),
		Kills:     some(0.4, time.Second, 5*time.Second), PowerLosses: some(0.5, time.Second, 5*time.Second),
		CleanStops: some(0.25, 2*time.Second, 6*time.Second), CrashPoints: some(0.4, time.Second, 4*time.Second),
		Pauses: some(0.3, time.Second, 4*time.Second), ClockJumps: some(0.3, time.Second, 4*time.Second),
		WriteErrors: some(0.2, 2*time.Second, 6*time.Second), SyncErrors: some(0.2, 2*time.Second, 6*time.Second),
		ReadErrors: some(0.15, 2*time.Second, 6*time.Second), FullDisks: some(0.2, time.Second, 5*time.Second),
		Splits: some(0.2, 2*time.Second, 6*time.Second), Downtime: s.Duration(time.Millisecond, time.Second),
		Writeback: []float64{0, 0.02, 0.3}[s.IntN(3)], SegmentBytes: s.Between(600, 16<<10), IndexBytes: int32(s.Between(0, 2000)),
	}
	if s.Chance(0.5) {
		p.CrashInRecovery = s.Float64() * 0.5
	}
	if s.Chance(0.3) {
		p.Drift = (s.Float64() - 0.5) / 20
	}
	p.LogDirs = []string{"/one", "/one", "/one,/two"}[s.IntN(3)]
	if s.Chance(0.08) {
		p.Rot = 1 + s.IntN(3)
	}
	drawNetwork(&p, s)
	drawTiming(&p, s)
	drawClients(&p, s)
	if own := sim.NewStream(seed, "plan/descriptors"); own.Chance(0.15) {
		p.Descriptors = own.Duration(time.Second, 5*time.Second)
	}
	if p.FullDisks+p.WriteErrors+p.Descriptors > 0 {
		// A producer that begins anywhere but at 0 is one whose past was deleted; when its first batch is refused nobody can know that
		// the next one is not the first.
		p.Clients.NearWrap = false
	}
	return p
}

// drawTransactions makes a plan one of transactional producers, with few others.
func drawTransactions(p *Plan, s *sim.Stream) {
	c := &p.Clients
	c.Transactors, c.Producers, c.Consumers = 1+s.IntN(3), s.IntN(2), 2+s.IntN(2)
	c.Deletes = c.Deletes && s.Chance(0.3)
	p.Span = s.Duration(4*time.Second, 12*time.Second)
	p.Rot = 0 // what is lost of the coordinator's own log would end its transactions for good
}

// drawGroups makes a plan one of clients of coordinators, with few others. Each kind is missing in some seeds.
func drawGroups(p *Plan, s *sim.Stream) {
	c := &p.Clients
	some := func(p float64, n int) int {
		if drawn := 1 + s.IntN(n); s.Chance(p) {
			return drawn
		}
		return 0
	}
	c.Producers, c.Consumers, c.Transactors = 1+s.IntN(2), s.IntN(2), some(0.3, 2)
	c.Committers, c.Members, c.ModernMembers, c.Copiers = some(0.6, 3), some(0.6, 5), some(0.5, 4), some(0.5, 3)
	c.Topics, c.Partitions = 2, 1+s.IntN(4)
	c.Pace = s.Duration(10*time.Millisecond, 60*time.Millisecond)
	c.Deletes, c.Plain = false, 0
	if c.Copiers > 0 {
		c.Trims, c.Retention, c.OS, c.FetchBytes = false, 0, 0, max(c.FetchBytes, 4000)
	}
	p.Span = s.Duration(4*time.Second, 12*time.Second)
	p.Rot, p.Coordinators = 0, true // what is lost of the coordinator's own log would end its transactions for good
	c.Migrants, c.RegexMembers = some(0.4, 4), some(0.3, 3)
	if tellers := some(0.5, 2); c.Copiers > 0 {
		c.Tellers = tellers
	}
}

// drawCompaction makes a plan one of compacted topics.
func drawCompaction(p *Plan, s *sim.Stream) {
	c := &p.Clients
	c.Producers, c.Transactors, c.Consumers = 1+s.IntN(3), s.IntN(3), 1+s.IntN(2)
	c.Compacted, c.Retention, c.OS, c.Plain = 0.5+s.Float64()/2, 0, 0, 0
	c.Trims = c.Trims && s.Chance(0.3) // refused where there is only compaction
	c.Deletes = c.Deletes && s.Chance(0.3)
	p.Rot, p.Span, p.Coordinators = 0, s.Duration(4*time.Second, 12*time.Second), true
}

func drawNetwork(p *Plan, s *sim.Stream) {
	if s.Chance(0.5) {
		p.Link.Reset = s.Float64() * 0.02
	}
	if s.Chance(0.3) {
		p.Link.Hang = s.Float64() * 0.002
	}
	if s.Chance(0.4) {
		p.Link.Delay = s.Duration(time.Millisecond, 20*time.Millisecond)
	}
	if s.Chance(0.3) {
		p.Link.Stall, p.Link.StallMean = s.Float64()*0.02, s.Duration(10*time.Millisecond, time.Second)
	}
}

func drawTiming(p *Plan, s *sim.Stream) {
	if s.Chance(0.5) {
		p.Timing.Stall, p.Timing.StallMean = s.Float64()*0.005, s.Duration(time.Millisecond, 100*time.Millisecond)
	}
	p.Timing.Work = []time.Duration{100 * time.Microsecond, 500 * time.Microsecond, 5 * time.Millisecond, 50 * time.Millisecond}[s.IntN(4)]
}

func drawClients(p *Plan, s *sim.Stream) {
	c := &p.Clients
	c.Producers, c.Consumers = 1+s.IntN(4), 1+s.IntN(3)
	c.Topics, c.Partitions = 1+s.IntN(4), 1+s.IntN(3)
	c.Deletes, c.Trims, c.Reconfigures = s.Chance(0.5), s.Chance(0.5), s.Chance(0.4)
	c.Pace = s.Duration(3*time.Millisecond, 40*time.Millisecond)
	c.BatchMax, c.PadMax = 1+s.IntN(8), s.IntN(600)
	c.FetchBytes = int32(s.Between(1, 20000))
	c.NearWrap = s.Chance(0.3)
	if s.Chance(0.5) {
		c.OldVersions = 0.5
	}
	if s.Chance(0.4) {
		c.OS = s.Float64()
	}
	if s.Chance(0.3) {
		c.LogAppendTime = 0.5
	}
	if s.Chance(0.5) {
		c.Plain = 0.5
	}
	if s.Chance(0.2) {
		c.Retention = 0.5
	}
}

// String lists what is on.
func (p Plan) String() string {
	var on []string
	for _, c := range []struct {
		name string
		mean time.Duration
	}{
		{"kills", p.Kills}, {"power losses", p.PowerLosses}, {"clean stops", p.CleanStops}, {"crash points", p.CrashPoints}, {"pauses", p.Pauses},
		{"clock jumps", p.ClockJumps}, {"write errors", p.WriteErrors}, {"sync errors", p.SyncErrors}, {"read errors", p.ReadErrors},
		{"full disks", p.FullDisks}, {"shortages of descriptors", p.Descriptors}, {"splits", p.Splits},
	} {
		if c.mean > 0 {
			on = append(on, fmt.Sprintf("%s/%v", c.name, c.mean.Round(time.Millisecond)))
		}
	}
	if p.Rot > 0 {
		on = append(on, fmt.Sprintf("%d rotten bits", p.Rot))
	}
	return fmt.Sprintf("%v; link %+v; timing %+v; segments of %d; clients %+v", strings.Join(on, ", "), p.Link, p.Timing, p.SegmentBytes, p.Clients)
}
